//! A thing wrong with what the user wrote, with the places that show it.
//!
//! A stage returns a value and a list of these, so that all of them are told at once. Rendering is
//! `report::diagnostic`'s.

use crate::words::exit_code::ExitCode;
use crate::words::span::Span;

/// One error in a rule file (or, without a place, in a file that could not be read as text).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One sentence, lower-case, no full stop, its subject in backticks.
    pub message: String,
    /// The places: the first is where the user must look, with a word about each (may be empty).
    pub places: Vec<(Span, String)>,
    /// What to do: a command or an edit.
    pub hints: Vec<String>,
    /// What the program ends with because of it: [`ExitCode::BadInput`], or [`ExitCode::Refused`]
    /// for what could do harm.
    pub code: ExitCode,
}

impl Problem {
    /// Makes a problem that has no place yet.
    pub fn new(message: impl Into<String>) -> Self {
        let (places, hints) = (Vec::new(), Vec::new());
        Self { message: message.into(), places, hints, code: ExitCode::BadInput }
    }

    /// Adds a place and a word about it.
    #[must_use]
    pub fn at(mut self, span: Span, word: impl Into<String>) -> Self {
        self.places.push((span, word.into()));
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says that it is refused for safety, not only wrong.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.code = ExitCode::Refused;
        self
    }
}

/// Puts problems into the order of the files and of the places in them, each once.
pub fn sort(problems: &mut Vec<Problem>) {
    fn key(it: &Problem) -> (&str, usize, &str) {
        let place = it.places.first();
        let name = place.map_or("", |(span, _)| &span.source.name);
        (name, place.map_or(0, |(span, _)| span.range().start), &it.message)
    }
    problems.sort_by(|a, b| key(a).cmp(&key(b)));
    problems.dedup_by(|a, b| key(a) == key(b));
}

/// Returns the exit code of a list of problems: a refusal outweighs a mistake.
#[must_use]
pub fn exit_code(problems: &[Problem]) -> ExitCode {
    let refused = problems.iter().any(|it| it.code == ExitCode::Refused);
    if refused { ExitCode::Refused } else { ExitCode::BadInput }
}
