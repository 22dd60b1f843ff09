//! Failed tests as annotations of GitHub Actions: `::error file=…,line=…,title=…::message`.
//!
//! A place is one that the test named itself (`x_test.go:12:` at the head of a line of its output),
//! seen from the folder that the repository is in. Without one the annotation has no place.
//!
//! # Source
//!
//! "Workflow commands for GitHub Actions"; how values are escaped is in `toolkit/core/command.ts`.

use crate::engine::event::TestFinished;
use crate::plan::test_account::CaseOutcome;
use crate::report::paint::Tone;
use crate::report::test_table::{outcome_word, shown_package};
use std::fmt::Write as _;

/// How many annotations are written: GitHub shows ten of a step.
const MOST: usize = 10;

/// How much of an output is in one.
const LONGEST: usize = 2000;

/// Returns the annotations, one a line; `prefix` leads from the repository's folder to the root of
/// the workspace.
#[must_use]
pub fn annotations(tests: &[TestFinished], prefix: &str) -> String {
    let mut out = String::new();
    let mut left = MOST;
    for it in tests {
        let (word, tone) = outcome_word(it);
        if tone != Tone::Bad && !it.flaky {
            continue;
        }
        let folder = it.source_folder.as_deref().unwrap_or_default();
        let bad = [CaseOutcome::Failed, CaseOutcome::Unfinished];
        let own = it.cases.iter().filter(|it| bad.contains(&it.outcome) && !it.output.is_empty());
        let mut any = false;
        for case in own {
            // A test whose parts have failed says nothing by itself.
            let is_parent = it.cases.iter().any(|other| {
                let below = other.name.strip_prefix(&case.name);
                below.is_some_and(|it| it.starts_with('/')) && bad.contains(&other.outcome)
            });
            if is_parent || left == 0 {
                continue;
            }
            (left, any) = (left - 1, true);
            let title = format!("{} {} {word}", shown_package(it), case.name);
            write(&mut out, "error", place(&case.output, folder, prefix), &title, &case.output);
        }
        if !any && left > 0 {
            left -= 1;
            let kind = if it.flaky { "warning" } else { "error" };
            let notes = it.notes.join("\n");
            let message = it.reason.as_ref().unwrap_or(&notes);
            write(&mut out, kind, None, &format!("{} {word}", shown_package(it)), message);
        }
    }
    out
}

fn write(out: &mut String, kind: &str, place: Option<(String, &str)>, title: &str, message: &str) {
    let at = place.map(|(file, line)| format!("file={},line={line},", property(&file)));
    let message: String = message.chars().take(LONGEST).collect();
    let (at, title) = (at.unwrap_or_default(), property(title));
    let _ = writeln!(out, "::{kind} {at}title={title}::{}", data(message.trim()));
}

/// Finds `file.go:line:` at the head of a line.
fn place<'o>(output: &'o str, folder: &str, prefix: &str) -> Option<(String, &'o str)> {
    let found = output.lines().find_map(|line| {
        let (file, rest) = line.trim_start().split_once(".go:")?;
        let end = rest.find(|it: char| !it.is_ascii_digit())?;
        let number = rest.get(..end).filter(|it| !it.is_empty())?;
        (rest[end..].starts_with(':') && !file.contains([' ', '/'])).then_some((file, number))
    });
    let (file, line) = found?;
    let parts = [prefix, folder].into_iter().filter(|it| !matches!(*it, "" | "."));
    let parts: Vec<_> = parts.chain([file]).collect();
    Some((format!("{}.go", parts.join("/")), line))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::test_account::Outcome;
    use crate::report::test_table::samples::{case, tested};
    use expect_test::expect;

    #[test]
    fn a_failure_is_shown_where_the_test_says_it_is() {
        use CaseOutcome as C;
        let output = "=== RUN   TestA/x\n    a_test.go:12: 50% off\n--- FAIL: TestA/x (0.00s)\n";
        let cases = vec![
            case("TestA/x", C::Failed, output),
            case("TestA", C::Failed, "--- FAIL: TestA (0.00s)\n"),
            case("TestB", C::Skipped, "b_test.go:1: no"),
        ];
        let mut crashed = tested("m/b", Outcome::Crashed, vec![]);
        crashed.reason = Some("signal 11 (SIGSEGV) ended it".to_owned());
        let passed = tested("m/c", Outcome::Passed, vec![]);
        let tests = [tested("m/a", Outcome::Failed, cases), crashed, passed];
        expect![[r#"
            ::error file=sub/a/a_test.go,line=12,title=m/a TestA/x failed::=== RUN   TestA/x%0A    a_test.go:12: 50%25 off%0A--- FAIL: TestA/x (0.00s)
            ::error title=m/b crashed::signal 11 (SIGSEGV) ended it
        "#]].assert_eq(&annotations(&tests, "sub"));
    }

    #[test]
    fn no_more_than_are_shown_are_written() {
        let cases = (0..30).map(|it| case(&format!("Test{it}"), CaseOutcome::Failed, "x"));
        let tests = [tested("m/a", Outcome::Failed, cases.collect())];
        assert_eq!(annotations(&tests, "").lines().count(), MOST);
    }
}
