//! The end of a run of tests: a table of the test binaries, what failed and why, the slowest tests,
//! what was flaky, and one line that sums it up.

use crate::engine::event::{Counts, TestCounts, TestFinished};
use crate::formats::cover_profile::Coverage;
use crate::plan::test_account::{Case, CaseOutcome, Outcome};
use crate::report::escape;
use crate::report::paint::{Paint, Tone};
use crate::report::table::{Cell, Lean, count, write_aligned};
use std::io::{self, Write};

/// How many of the slowest tests are told.
const SLOWEST: usize = 5;

/// What takes less is slow for nobody.
const SLOW: u64 = 500;

/// How many lines of one output are shown at each end.
const MOST_LINES: usize = 100;

/// How many failed tests of one binary are shown in full.
const MOST_CASES: usize = 20;

/// Lines of the `testing` package that say nothing about why a test failed.
const FRAMING: [&str; 5] = ["=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "=== ATTR "];

/// Returns the word for how a test binary ended, and its tone.
#[must_use]
pub fn outcome_word(finished: &TestFinished) -> (&'static str, Tone) {
    match finished.outcome {
        Outcome::Passed if finished.kept => ("kept", Tone::Faint),
        Outcome::Passed if finished.flaky => ("flaky", Tone::Caution),
        Outcome::Passed => ("passed", Tone::Good),
        Outcome::NoTests => ("no tests", Tone::Faint),
        Outcome::Failed => ("failed", Tone::Bad),
        Outcome::TimedOut => ("timed out", Tone::Bad),
        Outcome::Crashed => ("crashed", Tone::Bad),
        Outcome::Broken => ("broken", Tone::Bad),
        Outcome::NotRun => ("not run", Tone::Caution),
    }
}

/// Returns a length of time in seconds: `0.12 s`.
#[must_use]
pub fn seconds(milliseconds: u64) -> String {
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}

/// Writes the table, and below it the slowest tests and the flaky ones; nothing if there are none.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_tests(tests: &[TestFinished], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    if tests.is_empty() {
        return Ok(());
    }
    let heading = |text: &str| Cell { text: text.to_owned(), tone: Some(Tone::Faint) };
    let names = ["TEST", "RESULT", "TIME", "PASSED", "FAILED", "SKIPPED", "COVERAGE"];
    let covers = tests.iter().any(|it| it.coverage.is_some());
    let columns = names.len() - usize::from(!covers);
    let mut rows = vec![names.map(heading)[..columns].to_vec()];
    let mut group = None;
    for it in tests {
        if group != Some(&it.label) {
            rows.push(vec![cell(&it.label.to_string())]);
        }
        group = Some(&it.label);
        rows.push(row(it)[..columns].to_vec());
    }
    let mut lean = [Lean::Right; 7];
    lean[..2].fill(Lean::Left);
    write_aligned(&lean[..columns], &rows, paint, out)?;
    let mut slow: Vec<_> =
        tests.iter().flat_map(|it| it.cases.iter().map(move |case| (it, case))).collect();
    slow.retain(|(_, case)| case.milliseconds >= SLOW && !case.name.contains('/'));
    slow.sort_by_key(|(it, case)| {
        (std::cmp::Reverse(case.milliseconds), &it.go_package, &it.platform, &case.name)
    });
    if !slow.is_empty() {
        writeln!(out, "{}", paint.say(Tone::Faint, "slowest:"))?;
    }
    for (it, case) in slow.into_iter().take(SLOWEST) {
        let package = shown_package(it);
        let (name, package) = (escape::line(&case.name), escape::line(&package));
        writeln!(out, "  {:>9}  {name} ({package})", seconds(case.milliseconds))?;
    }
    for it in tests.iter().filter(|it| it.flaky) {
        let package = shown_package(it);
        let (word, package) = (paint.say(Tone::Caution, "flaky:"), escape::line(&package));
        writeln!(out, "{word} {package} passed in run {}", it.runs)?;
    }
    Ok(())
}

fn row(it: &TestFinished) -> Vec<Cell> {
    let (word, tone) = outcome_word(it);
    let number = |outcomes: &[CaseOutcome]| {
        let found = it.cases.iter().filter(|it| outcomes.contains(&it.outcome)).count();
        cell(&if found == 0 { "-".to_owned() } else { found.to_string() })
    };
    vec![
        cell(&format!("  {}", shown_package(it))),
        Cell { text: word.to_owned(), tone: Some(tone) },
        cell(&seconds(it.milliseconds)),
        number(&[CaseOutcome::Passed]),
        number(&[CaseOutcome::Failed, CaseOutcome::Unfinished]),
        number(&[CaseOutcome::Skipped]),
        cell(&it.coverage.and_then(Coverage::percent).unwrap_or_else(|| "-".to_owned())),
    ]
}

/// Returns the Go package of a test binary, with the platform where its target names one.
#[must_use]
pub fn shown_package(it: &TestFinished) -> String {
    match &it.platform {
        Some(platform) => format!("{} {platform}", it.go_package),
        None => it.go_package.clone(),
    }
}

fn cell(text: &str) -> Cell {
    Cell { text: escape::line(text).into_owned(), tone: None }
}

/// Writes what did not pass, each with its tests and their output, and the notes on what did.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_failures(tests: &[TestFinished], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    for it in tests {
        let (word, tone) = outcome_word(it);
        let package = shown_package(it);
        let package = escape::line(&package);
        let shown = matches!(tone, Tone::Bad) || it.outcome == Outcome::NotRun;
        if shown {
            writeln!(out, "{} {package} ({})", paint.say(tone, &format!("{word}:")), it.label)?;
            if let Some(reason) = &it.reason {
                writeln!(out, "  {}", escape::block(reason))?;
            }
            let bad =
                |it: &&Case| !matches!(it.outcome, CaseOutcome::Passed | CaseOutcome::Skipped);
            let bad: Vec<_> = it.cases.iter().filter(bad).collect();
            for case in bad.iter().take(MOST_CASES) {
                write_case(case, paint, out)?;
            }
            if bad.len() > MOST_CASES {
                writeln!(out, "  and {} more", count(bad.len() - MOST_CASES, "test"))?;
            }
            write_output(&it.output, "    ", out)?;
        }
        for note in &it.notes {
            let about = if shown { String::new() } else { format!("{package}: ") };
            let word = paint.say(Tone::Caution, "note:");
            writeln!(out, "{}{word} {about}{}", if shown { "  " } else { "" }, escape::line(note))?;
        }
    }
    Ok(())
}

fn write_case(case: &Case, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let word = match case.outcome {
        CaseOutcome::Unfinished => "did not end:",
        _ => "failed:",
    };
    writeln!(out, "  {} {}", paint.say(Tone::Bad, word), escape::line(&case.name))?;
    write_output(&case.output, "    ", out)
}

fn write_output(output: &str, indent: &str, out: &mut dyn Write) -> io::Result<()> {
    let text = escape::block(output);
    let lines: Vec<_> =
        text.lines().filter(|it| !FRAMING.iter().any(|word| it.starts_with(word))).collect();
    let left_out = lines.len().saturating_sub(2 * MOST_LINES);
    for (index, line) in lines.iter().enumerate() {
        if left_out > 0 && index == MOST_LINES {
            writeln!(out, "{indent}… {left_out} lines are left out …")?;
        }
        if index < MOST_LINES || index >= MOST_LINES + left_out {
            writeln!(out, "{}", format!("{indent}{line}").trim_end())?;
        }
    }
    Ok(())
}

/// Returns the line that sums a run of tests up.
#[must_use]
pub fn summary(counts: &Counts) -> String {
    let TestCounts {
        passed,
        kept,
        flaky,
        failed,
        without_tests,
        not_run,
        cases_passed,
        cases_failed,
        cases_skipped,
        coverage,
    } = counts.tests.unwrap_or_default();
    let told = |parts: &[(usize, &str)]| {
        let parts = parts.iter().filter(|it| it.0 > 0);
        let parts: Vec<_> = parts.map(|(number, word)| format!("{number} {word}")).collect();
        if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
    };
    let fresh = passed - kept - flaky;
    let binaries = told(&[
        (fresh, "passed"),
        (kept, "kept"),
        (flaky, "flaky"),
        (failed, "failed"),
        (without_tests, "without tests"),
        (not_run, "not run"),
    ]);
    let cases = [(cases_passed, "passed"), (cases_failed, "failed"), (cases_skipped, "skipped")];
    let all = passed + failed + without_tests + not_run;
    let total = if all == 1 { "1 test binary".to_owned() } else { format!("{all} test binaries") };
    let tests = count(cases.iter().map(|it| it.0).sum(), "test");
    let covered = coverage.and_then(Coverage::percent);
    let covered = covered.map(|it| format!("; {it} of statements covered")).unwrap_or_default();
    format!("{total}{binaries}; {tests}{}{covered}", told(&cases))
}

/// Makes ended test binaries for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::model::run_in::RunIn;
    use crate::report::outcome::samples::label;

    pub(crate) fn case(name: &str, outcome: CaseOutcome, output: &str) -> Case {
        Case { name: name.to_owned(), outcome, milliseconds: 1250, output: output.to_owned() }
    }

    pub(crate) fn tested(package: &str, outcome: Outcome, cases: Vec<Case>) -> TestFinished {
        TestFinished {
            label: label("//:tests"),
            go_package: package.to_owned(),
            platform: None,
            source_folder: Some("a".to_owned()),
            outcome,
            ran_in: Some(RunIn::Host),
            kept: false,
            flaky: false,
            runs: 1,
            milliseconds: 2340,
            reason: None,
            coverage: None,
            profile: None,
            notes: Vec::new(),
            cases,
            output: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{case, tested};
    use super::*;
    use expect_test::expect;

    fn sample() -> Vec<TestFinished> {
        use CaseOutcome as C;
        let bad = "=== RUN   TestB\n    b_test.go:7: \x1b[31mwrong\n--- FAIL: TestB (1.25s)\n";
        let mut failed = tested(
            "m/b",
            Outcome::Failed,
            vec![case("TestB", C::Failed, bad), case("TestC", C::Skipped, "why")],
        );
        failed.notes = vec!["it left processes behind, which were ended".to_owned()];
        let kept = TestFinished {
            kept: true,
            ..tested("m/c", Outcome::Passed, vec![case("TestD/sub", C::Passed, "")])
        };
        let flaky = TestFinished {
            flaky: true,
            runs: 2,
            notes: vec!["it failed before it passed: `TestE`".to_owned()],
            ..tested("m/d", Outcome::Passed, vec![case("TestE", C::Passed, "")])
        };
        let late = TestFinished {
            reason: Some("panic: test timed out after 1s".to_owned()),
            output: "goroutine 1 [running]:\n".to_owned(),
            ..tested("m/e", Outcome::TimedOut, vec![case("TestF", C::Unfinished, "")])
        };
        vec![tested("m/a", Outcome::Passed, vec![]), failed, kept, flaky, late]
    }

    #[test]
    fn the_table_tells_each_binary_the_slowest_tests_and_the_flaky() {
        let mut out = Vec::new();
        write_tests(&sample(), Paint::Plain, &mut out).unwrap();
        let tests = Some(TestCounts::of(&sample()));
        let counts = Counts { tests, ..Counts::default() };
        let text = String::from_utf8(out).unwrap() + &summary(&counts) + "\n";
        expect![[r#"
            TEST   RESULT       TIME  PASSED  FAILED  SKIPPED
            //:tests
              m/a  passed     2.34 s       -       -        -
              m/b  failed     2.34 s       -       1        1
              m/c  kept       2.34 s       1       -        -
              m/d  flaky      2.34 s       1       -        -
              m/e  timed out  2.34 s       -       1        -
            slowest:
                 1.25 s  TestB (m/b)
                 1.25 s  TestC (m/b)
                 1.25 s  TestE (m/d)
                 1.25 s  TestF (m/e)
            flaky: m/d passed in run 2
            5 test binaries: 1 passed, 1 kept, 1 flaky, 2 failed; 5 tests: 2 passed, 2 failed, 1 skipped
        "#]].assert_eq(&text);
    }

    #[test]
    fn what_failed_is_told_with_what_it_printed() {
        let mut out = Vec::new();
        write_failures(&sample(), Paint::Plain, &mut out).unwrap();
        expect![[r#"
            failed: m/b (//:tests)
              failed: TestB
                    b_test.go:7: \u{1b}[31mwrong
                --- FAIL: TestB (1.25s)
              note: it left processes behind, which were ended
            note: m/d: it failed before it passed: `TestE`
            timed out: m/e (//:tests)
              panic: test timed out after 1s
              did not end: TestF
                goroutine 1 [running]:
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }
}
