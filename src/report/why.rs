//! What `why` prints: for people, or as one JSON object.
//!
//! Of a target with many outputs, what changed for all of them is told once, outputs of which
//! nothing more is to be said share a line, and those that are up to date are only counted.

use crate::plan::difference::Change;
use crate::plan::explanation::{
    DynamicBecause, Explanation, LastInputs, OutputExplanation, Prospect,
};
use crate::plan::record::{Attempt, AttemptOutcome};
use crate::report::escape;
use crate::report::paint::{Paint, Tone};
use crate::report::table::{Cell, Lean, write_aligned};
use std::io::{self, Write};

/// How many changes of one list are shown before the rest is only counted.
const MOST_CHANGES: usize = 30;

/// Writes the explanation as one JSON object on one line.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_json(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, explanation)?;
    writeln!(out)
}

/// Writes the explanation for people.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_text(it: &Explanation, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    match it.outputs.as_slice() {
        [one] => {
            let words = output_words(one);
            let words = if words.is_empty() { words } else { format!(" ({words})") };
            let name = format!("{}{words}", it.label);
            write_heading(&name, one, paint, out)?;
            write_after(it, out)?;
            write_changes(one, &one.changes, paint, out)?;
            write_strategies(one, paint, out)?;
            write_left_out(one, paint, out)
        }
        many => {
            writeln!(out, "{}: {}", it.label, counted(many))?;
            write_after(it, out)?;
            write_many(it, many, paint, out)
        }
    }
}

/// Names one output of a target: its Go package, and its platform where the target names one.
fn output_words(output: &OutputExplanation) -> String {
    let words = [output.go_package.as_deref(), output.platform.as_deref()];
    let words: Vec<_> = words.into_iter().flatten().map(escape::line).collect();
    words.join(", ")
}

fn write_many(
    it: &Explanation,
    outputs: &[OutputExplanation],
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    if !it.changes.is_empty() {
        writeln!(out, "  changed for each of them that changed:")?;
        write_list(&it.changes, paint, out)?;
    }
    let mut alike: Vec<(Prospect, Vec<String>)> = Vec::new();
    let says = |it: &&OutputExplanation| it.state != Prospect::UpToDate || !it.left_out.is_empty();
    for output in outputs.iter().filter(says) {
        let name = output_words(output);
        let mut own = output.changes.clone();
        own.retain(|change| !it.changes.contains(change));
        let says_more = output.state == Prospect::WouldFail
            || !own.is_empty()
            || output.last_inputs != LastInputs::Known
            || !output.left_out.is_empty()
            || it.changes.is_empty();
        if says_more {
            write_nested(&name, output, &own, paint, out)?;
        } else {
            match alike.iter_mut().find(|(state, _)| *state == output.state) {
                Some((_, names)) => names.push(name),
                None => alike.push((output.state, vec![name])),
            }
        }
    }
    for (state, names) in alike {
        writeln!(out, "  {}, for nothing else: {}", word(state), names.join(", "))?;
    }
    match &it.dynamic_because {
        Some(because) => write_because(because, paint, out),
        None => Ok(()),
    }
}

/// Writes one output of several, indented; what makes it dynamic is told once, at the end.
fn write_nested(
    name: &str,
    output: &OutputExplanation,
    own: &[Change],
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut text = Vec::new();
    write_heading(name, output, paint, &mut text)?;
    write_changes(output, own, paint, &mut text)?;
    if output.state == Prospect::WouldFail {
        write_attempts("known of strategies now", &output.forecasts, paint, &mut text)?;
    }
    write_left_out(output, paint, &mut text)?;
    for line in String::from_utf8_lossy(&text).lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// Writes what the last record says of Go packages without their cgo files.
fn write_left_out(output: &OutputExplanation, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    for it in &output.left_out {
        let word = paint.say(Tone::Caution, "warning:");
        writeln!(out, "  {word} {}", escape::line(&it.sentence()))?;
    }
    Ok(())
}

fn write_heading(
    name: &str,
    output: &OutputExplanation,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let tone = match output.state {
        Prospect::UpToDate => Tone::Faint,
        Prospect::WouldBeRestored | Prospect::WouldBeBuilt => Tone::Good,
        Prospect::WouldFail => Tone::Bad,
    };
    let state = paint.say(tone, word(output.state));
    match &output.strategy {
        Some(strategy) => writeln!(out, "{name}: {state} by `{}`", escape::line(strategy)),
        None => writeln!(out, "{name}: {state}"),
    }
}

fn write_after(it: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    if it.after.is_empty() {
        return Ok(());
    }
    let labels: Vec<_> = it.after.iter().map(|it| format!("`{it}`")).collect();
    writeln!(out, "  before it, these would be made anew and may change it: {}", labels.join(", "))
}

fn write_changes(
    output: &OutputExplanation,
    changes: &[Change],
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    match (output.last_inputs, output.state) {
        (LastInputs::NoRecord, _) => {
            writeln!(out, "  there is no record of it: it was not built here, or failed last time")
        }
        (LastInputs::Lost, _) => {
            writeln!(out, "  the store has lost what it was made of, so changes cannot be told")
        }
        (LastInputs::Known, _) if !changes.is_empty() => {
            writeln!(out, "  changed since the last record:")?;
            write_list(changes, paint, out)
        }
        (LastInputs::Known, Prospect::WouldBeRestored) if output.changes.is_empty() => {
            writeln!(out, "  no input changed; the output is not there as it was made")
        }
        (LastInputs::Known, Prospect::WouldBeBuilt) if output.changes.is_empty() => {
            writeln!(out, "  no input changed; the store has lost the output")
        }
        (LastInputs::Known, _) => Ok(()),
    }
}

fn write_list(changes: &[Change], paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let cell = |text: &str| Cell { text: escape::line(text).into_owned(), tone: None };
    let value = |it: &Option<String>| cell(it.as_deref().unwrap_or("-"));
    let row = |it: &Change| {
        let name = cell(&format!("    {}", it.input));
        vec![name, value(&it.old), cell("→"), value(&it.new)]
    };
    let rows: Vec<_> = changes.iter().take(MOST_CHANGES).map(row).collect();
    write_aligned(&[Lean::Left; 4], &rows, paint, out)?;
    match changes.len().saturating_sub(MOST_CHANGES) {
        0 => Ok(()),
        more => writeln!(out, "    and {more} more; `--json` tells them all"),
    }
}

fn write_strategies(
    output: &OutputExplanation,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    write_attempts("attempts of the last record", &output.attempts, paint, out)?;
    let is_known = |it: &&Attempt| !output.attempts.contains(it);
    if output.forecasts.iter().any(|it| is_known(&it)) {
        write_attempts("known of strategies now", &output.forecasts, paint, out)?;
    }
    match &output.dynamic_because {
        Some(because) => write_because(because, paint, out),
        None => Ok(()),
    }
}

fn write_attempts(
    heading: &str,
    attempts: &[Attempt],
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {heading}:")?;
    for Attempt { strategy, outcome, reason } in attempts {
        let (tone, word) = match outcome {
            AttemptOutcome::Verified => (Tone::Good, "verified"),
            AttemptOutcome::NotAsPromised => (Tone::Caution, "built, but not as promised"),
            AttemptOutcome::Failed => (Tone::Bad, "failed"),
            AttemptOutcome::Impossible => (Tone::Faint, "impossible"),
        };
        let word = paint.say(tone, word);
        let reason = reason.as_deref().map(|it| format!(": {}", escape::block(it.trim_end())));
        let reason = reason.unwrap_or_default().replace('\n', "\n      ");
        writeln!(out, "    {}: {word}{reason}", escape::line(strategy))?;
    }
    Ok(())
}

fn write_because(it: &DynamicBecause, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let DynamicBecause { strategy, chain, package, reason, change } = it;
    let (strategy, reason) = (escape::line(strategy), escape::line(reason));
    match package {
        Some(package) => {
            let package = escape::line(package);
            writeln!(out, "  dynamic by `{strategy}` because `{package}` uses cgo: {reason}")?;
        }
        None => writeln!(out, "  dynamic by `{strategy}` because {reason}")?,
    }
    if chain.len() > 1 {
        let steps: Vec<_> = chain.iter().map(|it| escape::line(it)).collect();
        writeln!(out, "    {}", steps.join(" → "))?;
    }
    match change {
        Some(it) => writeln!(out, "  {} {}", paint.say(Tone::Hint, "hint:"), escape::line(it)),
        None => Ok(()),
    }
}

fn counted(outputs: &[OutputExplanation]) -> String {
    let states = [
        Prospect::UpToDate,
        Prospect::WouldBeRestored,
        Prospect::WouldBeBuilt,
        Prospect::WouldFail,
    ];
    let count = |state: &Prospect| outputs.iter().filter(|it| it.state == *state).count();
    let told = states.iter().map(|it| (count(it), *it)).filter(|it| it.0 > 0);
    let told: Vec<_> = told.map(|(count, it)| format!("{count} {}", word(it))).collect();
    format!("{} outputs: {}", outputs.len(), told.join(", "))
}

fn word(state: Prospect) -> &'static str {
    match state {
        Prospect::UpToDate => "up to date",
        Prospect::WouldBeRestored => "would be restored",
        Prospect::WouldBeBuilt => "would be built",
        Prospect::WouldFail => "would fail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::explanation::samples::{explanation, output};
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(outputs: Vec<OutputExplanation>, expect: Expect) {
        let mut out = Vec::new();
        write_text(&explanation(outputs), Paint::Plain, &mut out).unwrap();
        expect.assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn one_output_is_told_with_all_that_is_known() {
        check(
            vec![output("m/a", &["file m: a.go", "flag -tags"])],
            expect![[r#"
            //:tests (m/a): would be built by `pure`
              before it, these would be made anew and may change it: `//:gen`
              changed since the last record:
                file m: a.go  1  →  -
                flag -tags    1  →  -
              attempts of the last record:
                pure: verified
              known of strategies now:
                netgo: impossible: it\u{1b} breaks
              dynamic by `netgo` because `net` uses cgo: so it is
                m/a → net
              hint: write `link: "pure"`
        "#]],
        );
    }

    #[test]
    fn of_many_outputs_what_they_share_is_told_once() {
        let mut failing = output("m/f", &["x"]);
        failing.state = Prospect::WouldFail;
        let many = vec![
            output("m/a", &["x"]),
            output("m/b", &["x"]),
            output("m/c", &["x", "y"]),
            output("m/d", &[]),
            failing,
        ];
        check(
            many,
            expect![[r#"
                //:tests: 5 outputs: 1 up to date, 3 would be built, 1 would fail
                  before it, these would be made anew and may change it: `//:gen`
                  changed for each of them that changed:
                    x  1  →  -
                  m/c: would be built by `pure`
                    changed since the last record:
                      y  1  →  -
                  m/f: would fail by `pure`
                    known of strategies now:
                      netgo: impossible: it\u{1b} breaks
                  would be built, for nothing else: m/a, m/b
                  dynamic by `netgo` because `net` uses cgo: so it is
                    m/a → net
                  hint: write `link: "pure"`
            "#]],
        );
    }

    #[test]
    fn what_is_not_known_is_said() {
        for (state, last) in [
            (Prospect::WouldBeBuilt, LastInputs::NoRecord),
            (Prospect::WouldBeBuilt, LastInputs::Lost),
            (Prospect::WouldBeBuilt, LastInputs::Known),
            (Prospect::WouldBeRestored, LastInputs::Known),
            (Prospect::UpToDate, LastInputs::Known),
        ] {
            let one = OutputExplanation { state, last_inputs: last, ..output("m", &[]) };
            let mut out = Vec::new();
            write_changes(&one, &[], Paint::Plain, &mut out).unwrap();
            assert_eq!(out.is_empty(), state == Prospect::UpToDate, "{state:?} {last:?}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<_> = (0..40).map(|it| format!("file {it:02}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut out = Vec::new();
        write_text(&explanation(vec![output("m", &names)]), Paint::Plain, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("file ").count(), MOST_CHANGES);
        assert!(text.contains("and 10 more"), "{text}");
    }
}
