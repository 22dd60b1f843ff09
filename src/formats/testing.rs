//! How tests of the rule files show problems: as plain lines, each place with its text.

use crate::words::problem::Problem;
use std::fmt::Write;

/// Returns problems as text, `file:line:column` and the marked text for each place.
pub(crate) fn told(problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let code = problem.code.number();
        let _ = writeln!(
            out,
            "{}{}",
            if code == 2 { "" } else { "[refused] " },
            visible(&problem.message)
        );
        for (span, word) in &problem.places {
            let text = visible(&span.source.text[span.range()]);
            let word = if word.is_empty() { String::new() } else { format!(" {word}") };
            let _ = writeln!(out, "  {span}: {text}{word}");
        }
        for hint in &problem.hints {
            let _ = writeln!(out, "  hint: {hint}");
        }
    }
    out
}

/// Returns a text with its control characters escaped, so that the tests' own files hold none.
fn visible(text: &str) -> String {
    let show =
        |it: char| if it.is_control() { it.escape_debug().to_string() } else { it.to_string() };
    text.chars().map(show).collect()
}
