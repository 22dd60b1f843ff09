//! A thing wrong with what the user wrote, with the places that show it.
//!
//! A stage returns a value and a list of these, so that all of them are told at once. Rendering is
//! `report::diagnostic`'s.

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
}

impl Problem {
    /// Makes a problem that has no place yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), places: Vec::new(), hints: Vec::new() }
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
}
