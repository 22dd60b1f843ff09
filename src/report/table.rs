//! The end of a build: a table of the outputs, what failed and why, one line that sums it up.
//!
//! ```text
//! TARGET             CLASS   STRATEGY        SIZE  STATE       WARNINGS
//! //cmd/api:server   static  static_glibc  12.3 MiB  built              2
//! //:tests
//!   example.com/m/a  static  netgo          4.1 MiB  up to date
//! ```
//!
//! A column is as wide as its widest cell, never cut: what stands there can be copied.

use crate::engine::event::{Counts, Finished, Smoked, State};
use crate::report::escape;
use crate::report::outcome::{Outcome, has_output, state_word};
use crate::report::paint::{Paint, Tone};
use crate::words::amount::human_size;
use std::collections::HashMap;
use std::io::{self, Write};

/// How many skipped targets are named before the rest is only counted.
const MAX_SKIPPED_SHOWN: usize = 10;

/// How many names are told of those that failed for one reason: it may be one that all have.
const MAX_ALIKE_SHOWN: usize = 16;

/// Which way a column's cells lean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lean {
    /// To the left.
    Left,
    /// To the right: numbers.
    Right,
}

/// One cell: its text and what it means, if it means something.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// The text, safe for a terminal.
    pub text: String,
    /// Its tone.
    pub tone: Option<Tone>,
}

/// Writes rows with aligned columns, two blanks between them, no blanks at the end of a line.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_aligned(
    columns: &[Lean],
    rows: &[Vec<Cell>],
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut widths = vec![0; columns.len()];
    // A cell that stands alone in its row is a heading: it widens nothing.
    for row in rows.iter().filter(|it| it.len() > 1) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    for row in rows {
        let last = row.iter().rposition(|it| !it.text.is_empty()).unwrap_or(0);
        for (index, cell) in row.iter().enumerate().take(last + 1) {
            let lean = columns.get(index).copied().unwrap_or(Lean::Left);
            let width = widths.get(index).copied().unwrap_or(0);
            let blanks = width.saturating_sub(cell.text.chars().count());
            let gap = if index == 0 { 0 } else { 2 };
            let before = gap + if lean == Lean::Right { blanks } else { 0 };
            let after = if lean == Lean::Left && index != last { blanks } else { 0 };
            write!(out, "{:before$}", "")?;
            match cell.tone {
                Some(tone) => write!(out, "{}", paint.say(tone, &cell.text))?,
                None => write!(out, "{}", cell.text)?,
            }
            write!(out, "{:after$}", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Writes the table of the outputs; nothing if there are none.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_outputs(outcome: &Outcome, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let mut shown = outcome.finished();
    shown.retain(|it| has_output(it));
    if shown.is_empty() {
        return Ok(());
    }
    let any_warnings = shown.iter().any(|it| !it.warnings.is_empty());
    let heading = |text: &str| Cell { text: text.to_owned(), tone: Some(Tone::Faint) };
    let mut rows = vec![["TARGET", "CLASS", "STRATEGY", "SIZE", "STATE"].map(heading).to_vec()];
    if any_warnings {
        rows[0].push(heading("WARNINGS"));
    }
    let mut group = None;
    for finished in shown {
        let label = finished.label.to_string();
        let package = finished.go_package.as_deref().filter(|_| finished.rule == "go_tests");
        let several = (package.map(str::to_owned), finished.platform.clone());
        let name = match several {
            (None, None) => label,
            (package, platform) => {
                if group != Some(&finished.label) {
                    rows.push(vec![cell(&label)]);
                }
                group = Some(&finished.label);
                let words = [package, platform].into_iter().flatten().collect::<Vec<_>>();
                format!("  {}", words.join(" "))
            }
        };
        rows.push(output_row(&name, finished));
    }
    let lean = [Lean::Left, Lean::Left, Lean::Left, Lean::Right, Lean::Left, Lean::Right];
    write_aligned(&lean, &rows, paint, out)
}

fn output_row(name: &str, finished: &Finished) -> Vec<Cell> {
    let tone = match finished.state {
        State::Built | State::Restored => Tone::Good,
        State::UpToDate => Tone::Faint,
        State::Failed => Tone::Bad,
        State::Skipped => Tone::Caution,
    };
    let warnings = match finished.warnings.len() {
        0 => Cell::default(),
        count => Cell { text: count.to_string(), tone: Some(Tone::Caution) },
    };
    vec![
        cell(name),
        cell(finished.class.as_deref().unwrap_or("-")),
        cell(finished.strategy.as_deref().unwrap_or("-")),
        cell(&finished.size.map_or_else(|| "-".to_owned(), human_size)),
        Cell { text: state(finished), tone: Some(tone) },
        warnings,
    ]
}

fn cell(text: &str) -> Cell {
    Cell { text: escape::line(text).into_owned(), tone: None }
}

/// Writes what failed, each with the engine's words, then what was skipped for it.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_failures(outcome: &Outcome, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let finished = outcome.finished();
    let ended = |state| finished.iter().filter(move |it| it.state == state);
    for alike in alike(ended(State::Failed).copied()) {
        write_failure(&alike, paint, out)?;
    }
    for finished in ended(State::Skipped).take(MAX_SKIPPED_SHOWN) {
        let why = finished.error.as_deref().unwrap_or("not tried");
        let skipped = paint.say(Tone::Caution, "skipped:");
        writeln!(out, "{skipped} {}: {}", shown_name(finished), escape::line(why.trim_end()))?;
    }
    match ended(State::Skipped).count().saturating_sub(MAX_SKIPPED_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "{} {more} more", paint.say(Tone::Caution, "skipped:")),
    }
}

/// Puts those together that failed for the same reason, where the first of them is.
fn alike<'f>(failed: impl Iterator<Item = &'f Finished>) -> Vec<Vec<&'f Finished>> {
    let (mut groups, mut known): (Vec<Vec<&Finished>>, _) = (Vec::new(), HashMap::new());
    for finished in failed {
        let group = *known.entry((&finished.error, &finished.hints)).or_insert(groups.len());
        match groups.get_mut(group) {
            Some(group) => group.push(finished),
            None => groups.push(vec![finished]),
        }
    }
    groups
}

/// Writes the names of all that failed for one reason, and the reason.
fn write_failure(alike: &[&Finished], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let failed = paint.say(Tone::Bad, "failed:");
    for finished in alike.iter().take(MAX_ALIKE_SHOWN) {
        writeln!(out, "{failed} {}", shown_name(finished))?;
    }
    if let more @ 1.. = alike.len().saturating_sub(MAX_ALIKE_SHOWN) {
        writeln!(out, "{failed} {more} more")?;
    }
    let Some(finished) = alike.first() else { return Ok(()) };
    for line in finished.error.as_deref().unwrap_or("").trim_end().lines() {
        writeln!(out, "{}", format!("  {}", escape::block(line)).trim_end())?;
    }
    for hint in &finished.hints {
        writeln!(out, "  {} {}", paint.say(Tone::Hint, "hint:"), escape::line(hint))?;
    }
    Ok(())
}

/// Returns the label, and the Go package where the target has several or another than its name.
pub(crate) fn shown_name(finished: &Finished) -> String {
    let words = [finished.go_package.as_deref(), finished.platform.as_deref()];
    let words: Vec<_> = words.into_iter().flatten().map(escape::line).collect();
    match words.as_slice() {
        [] => finished.label.to_string(),
        words => format!("{} ({})", finished.label, words.join(", ")),
    }
}

/// Returns the line that sums a build up: `12 outputs: 3 built, 9 up to date; 2 go processes`.
#[must_use]
pub fn summary(counts: &Counts) -> String {
    let Counts { built, restored, up_to_date, failed, skipped, go_processes, .. } = *counts;
    let parts = [
        (built, "built"),
        (restored, "restored"),
        (up_to_date, "up to date"),
        (failed, "failed"),
        (skipped, "skipped"),
    ];
    let total = count(parts.iter().map(|it| it.0).sum(), "output");
    let told: Vec<String> = parts
        .into_iter()
        .filter(|it| it.0 > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let colon = if told.is_empty() { "" } else { ": " };
    format!("{total}{colon}{}; {}", told.join(", "), processes(go_processes))
}

fn processes(number: usize) -> String {
    match number {
        1 => "1 go process".to_owned(),
        _ => format!("{number} go processes"),
    }
}

/// Returns `number` things in words.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// How it came, and that it has been seen to start.
fn state(finished: &Finished) -> String {
    let word = state_word(finished.state);
    match finished.smoke {
        Some(Smoked::Passed | Smoked::Known) => format!("{word}, starts"),
        Some(Smoked::Failed | Smoked::NotTried | Smoked::NotMeant) | None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Event;
    use crate::report::outcome::samples::finished;
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    fn sample() -> Outcome {
        let mut outcome = Outcome::default();
        let mut server = finished("//cmd/server:server", "example.com/m/cmd/server", State::Built);
        server.warnings = vec!["Using 'getaddrinfo'".to_owned(); 2];
        server.strategy = Some("static_glibc".to_owned());
        let mut bad = finished("//cmd/bad:bad", "example.com/m/cmd/bad", State::Failed);
        bad.error = Some("cmd/bad/main.go:3:2: undefined: \x1b[31mx\n\n  and more\n".to_owned());
        bad.hints = vec!["give the target `link: \"default\"`".to_owned()];
        let mut skipped = finished("//:after", "", State::Skipped);
        skipped.error = Some("`//cmd/bad:bad` failed".to_owned());
        let mut files = finished("//:files", "", State::UpToDate);
        (files.output, files.rule) = (None, "files");
        let all = [
            finished("//:tests", "example.com/m/b", State::Built),
            finished("//:tests", "example.com/m/a", State::UpToDate),
            finished("//:protos", "", State::Restored),
            server,
            bad,
            skipped,
            files,
        ];
        for it in all {
            outcome.record(&Event::Finished(Arc::new(it)));
        }
        outcome
    }

    type Writer = fn(&Outcome, Paint, &mut dyn Write) -> io::Result<()>;

    #[track_caller]
    fn check(write: Writer, expect: Expect) {
        let mut out = Vec::new();
        write(&sample(), Paint::Plain, &mut out).unwrap();
        expect.assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn the_table_is_aligned_and_groups_tests_by_target() {
        check(
            write_outputs,
            expect![[r"
            TARGET               CLASS   STRATEGY         SIZE  STATE       WARNINGS
            //:after             -       -                   -  skipped
            //:protos            -       -             5.1 MiB  restored
            //:tests
              example.com/m/a    static  netgo         5.1 MiB  up to date
              example.com/m/b    static  netgo         5.1 MiB  built
            //cmd/bad:bad        -       -                   -  failed
            //cmd/server:server  static  static_glibc  5.1 MiB  built              2
        "]],
        );
    }

    #[test]
    fn failures_tell_the_reason_and_what_to_do() {
        check(
            write_failures,
            expect![[r#"
                failed: //cmd/bad:bad (example.com/m/cmd/bad)
                  cmd/bad/main.go:3:2: undefined: \u{1b}[31mx

                    and more
                  hint: give the target `link: "default"`
                skipped: //:after: `//cmd/bad:bad` failed
            "#]],
        );
    }

    #[test]
    fn a_reason_that_many_have_is_told_once() {
        let mut outcome = Outcome::default();
        for at in 0..MAX_ALIKE_SHOWN + 2 {
            let mut bad = finished(&format!("//:p{at}"), "", State::Failed);
            bad.error = Some(if at == 1 { "its own" } else { "no `go` on PATH" }.to_owned());
            outcome.record(&Event::Finished(Arc::new(bad)));
        }
        let mut text = Vec::new();
        write_failures(&outcome, Paint::Plain, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("no `go` on PATH").count(), 1);
        assert_eq!(text.matches("//:p").count(), MAX_ALIKE_SHOWN + 1, "{text}");
        let last = "failed: 1 more\n  no `go` on PATH\nfailed: //:p1\n  its own\n";
        assert!(text.ends_with(last), "{text}");
    }

    #[test]
    fn the_summary_leaves_out_what_did_not_happen() {
        let counts = Counts { built: 3, up_to_date: 9, go_processes: 2, ..Counts::default() };
        assert_eq!(summary(&counts), "12 outputs: 3 built, 9 up to date; 2 go processes");
        let counts = Counts { failed: 1, go_processes: 1, ..Counts::default() };
        assert_eq!(summary(&counts), "1 output: 1 failed; 1 go process");
        assert_eq!(summary(&Counts::default()), "0 outputs; 0 go processes");
    }

    #[test]
    fn sizes_are_in_powers_of_1024() {
        let sizes = [0, 1023, 1024, 1_048_575, 5_367_336, u64::MAX];
        assert_eq!(
            sizes.map(human_size),
            ["0 B", "1023 B", "1.0 KiB", "1023.9 KiB", "5.1 MiB", "16383.9 PiB"]
        );
    }
}
