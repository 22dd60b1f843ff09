//! What the user reads when something goes wrong, and the exit code that goes with it.
//!
//! Rooms below return small typed errors and never format for a terminal. A [`Failure`] is made at
//! the edge, where it is known what the user was trying to do. It reads from the outside in: one
//! sentence, its causes, what to do.

use crate::engine::event::{ErrorEvent, ProblemEvent};
use crate::report::diagnostic;
use crate::report::escape;
use crate::report::paint::{Paint, Tone};
use crate::words::exit_code::ExitCode;
use crate::words::problem::Problem;
use std::error::Error;
use std::fmt::Write as _;

/// An error as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who has to act, which is what the exit code says.
    pub code: ExitCode,
    /// Lower-case, without a full stop, its subject in backticks.
    pub message: String,
    /// What caused it, from the outside in.
    pub causes: Vec<String>,
    /// What to do: commands or edits.
    pub hints: Vec<String>,
    /// The errors in rule files, if it is about these; shown before the message.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// Makes a failure without causes or hints.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, causes: Vec::new(), hints: Vec::new(), problems: Vec::new() }
    }

    /// Makes the failure of a workspace whose rule files are wrong.
    #[must_use]
    pub fn of_problems(problems: Vec<Problem>) -> Self {
        let message = match problems.len() {
            1 => "the rule files have an error".to_owned(),
            count => format!("the rule files have {count} errors"),
        };
        Self { problems, ..Self::new(ExitCode::BadInput, message) }
    }

    /// Attaches the error that this one explains, and what caused that.
    #[must_use]
    pub fn because(mut self, source: &dyn Error) -> Self {
        let mut cause = Some(source);
        while let Some(it) = cause {
            self.causes.push(it.to_string());
            cause = it.source();
        }
        self
    }

    /// Adds a line that tells the user what to try; a command or an edit, not a diagnosis.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Renders the failure, one trailing newline included.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let mut out = String::new();
        if !self.problems.is_empty() {
            out.push_str(&diagnostic::render(&self.problems, paint == Paint::Ansi));
        }
        let message = escape::line(&self.message);
        let _ = writeln!(out, "{} {message}", paint.say(Tone::Bad, "error:"));
        for cause in &self.causes {
            let cause = escape::block(cause.trim_end());
            let cause = cause.replace('\n', "\n    ");
            let _ = writeln!(out, "  {} {cause}", paint.say(Tone::Faint, "because:"));
        }
        for hint in &self.hints {
            write_hint(&mut out, hint, paint);
        }
        if self.code == ExitCode::Bug {
            write_hint(&mut out, "this is a bug in linkwright; please report it", paint);
        }
        out
    }

    /// Returns the failure as an event of the JSON stream.
    #[must_use]
    pub fn event(&self) -> ErrorEvent {
        let problem = |it: &Problem| {
            let place = it.places.first().map(|(span, _)| span);
            let position = place.map(crate::words::span::Span::line_and_column);
            ProblemEvent {
                message: it.message.clone(),
                file: place.map(|it| it.source.name.clone()),
                line: position.map(|it| it.0),
                column: position.map(|it| it.1),
                hints: it.hints.clone(),
            }
        };
        ErrorEvent {
            message: self.message.clone(),
            because: self.causes.clone(),
            hints: self.hints.clone(),
            problems: self.problems.iter().map(problem).collect(),
            exit_code: self.code.number(),
        }
    }
}

fn write_hint(out: &mut String, hint: &str, paint: Paint) {
    let _ = writeln!(out, "{} {}", paint.say(Tone::Hint, "hint:"), escape::line(hint));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::span::{Source, Span};
    use expect_test::expect;
    use std::sync::Arc;

    #[test]
    fn a_failure_reads_from_the_outside_in() {
        let failure =
            Failure::new(ExitCode::MachineLacks, "cannot build `//cmd/api:server` with cgo")
                .because(&std::io::Error::other("no `gcc` on PATH\nlooked in \x1b[31m/usr/bin"))
                .hint("install a C compiler, or give the target `link: \"pure\"`");
        expect![[r#"
            error: cannot build `//cmd/api:server` with cgo
              because: no `gcc` on PATH
                looked in \u{1b}[31m/usr/bin
            hint: install a C compiler, or give the target `link: "pure"`
        "#]]
        .assert_eq(&failure.render(Paint::Plain));
    }

    #[test]
    fn a_bug_asks_for_a_report() {
        let failure = Failure::new(ExitCode::Bug, "a step ended twice");
        assert!(failure.render(Paint::Plain).contains("please report it"));
    }

    #[test]
    fn errors_in_rule_files_come_first_and_are_counted() {
        let text = "build(\n  targets: [x],\n)\n".to_owned();
        let source = Arc::new(Source { name: "cmd/BUILD.ron".to_owned(), text });
        let at = |range| Span::new(Arc::clone(&source), range);
        let problems = vec![
            Problem::new("no rule is called `x`").at(at(19..20), "").hint("did you mean `files`?"),
            Problem::new("two targets are called `a`").at(at(0..5), "again").at(at(9..16), "first"),
        ];
        let failure = Failure::of_problems(problems);
        expect![[r#"
            error: no rule is called `x`
             --> cmd/BUILD.ron:2:13
              |
            2 |   targets: [x],
              |             ^
              |
              = help: did you mean `files`?

            error: two targets are called `a`
             --> cmd/BUILD.ron:1:1
              |
            1 | build(
              | ^^^^^ again
              |
             ::: cmd/BUILD.ron:2:3
              |
            2 |   targets: [x],
              |   ------- first

            error: the rule files have 2 errors
        "#]]
        .assert_eq(&failure.render(Paint::Plain));
        assert_eq!(failure.event().problems[0].line, Some(2));
    }
}
