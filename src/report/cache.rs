//! What `cache` says: what lies in the store, what is wrong with it, what went.

use crate::effects::compile_cache::Statistics;
use crate::effects::store::check::{Check, Damage};
use crate::effects::store::collect::Collected;
use crate::effects::store::survey::{Survey, Tally};
use crate::report::escape;
use crate::report::paint::{Paint, Tone};
use crate::report::table::{Cell, Lean, count, write_aligned};
use crate::report::terminal::ProgressKind;
use crate::words::amount::human_size;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{self, Write};

/// How far a check is: a bar on a terminal, nothing elsewhere.
#[derive(Debug)]
pub struct CheckProgress(ProgressBar);

impl CheckProgress {
    /// Makes the progress of a check that has not begun.
    #[must_use]
    pub fn new(kind: ProgressKind) -> Self {
        let target = match kind {
            ProgressKind::Bars => ProgressDrawTarget::stderr(),
            ProgressKind::Lines => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// Shows how many bytes of how many were read.
    pub fn show(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// What `cache stats` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CacheStats {
    /// What lies in the store.
    #[serde(flatten)]
    pub survey: Survey,
    /// What was asked of Go's compile cache so far, where that is the store.
    pub served: Option<Statistics>,
}

/// Writes what lies in a store, and what was asked of it.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_stats(stats: &CacheStats, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    write_survey(&stats.survey, paint, out)?;
    let Some(served) = stats.served else { return Ok(()) };
    let Statistics { sessions, hits, misses, puts, damaged, late, bytes_read, bytes_written } =
        served;
    let asked = (hits + misses).max(1);
    writeln!(
        out,
        "{sessions} go commands: {hits} hits ({} %), {misses} misses, {puts} puts; {} read, {} written",
        hits * 100 / asked,
        human_size(bytes_read),
        human_size(bytes_written)
    )?;
    if damaged + late > 0 {
        writeln!(out, "{damaged} damaged and set aside, {late} answered too late")?;
    }
    Ok(())
}

fn write_survey(survey: &Survey, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let Survey { store, format, records, blobs, toolchains, aside, unfinished, free } = survey;
    let store = escape::line(store);
    writeln!(out, "{} ({})", paint.say(Tone::Strong, &store), escape::line(format))?;
    let rows = [
        ("records", records, "what keys made"),
        ("blobs", blobs, "the bytes of it"),
        ("toolchains", toolchains, "pinned Gos"),
        ("set aside", aside, "damaged; `linkwright cache gc` removes them"),
        ("unfinished", unfinished, "of builds that run, or were killed"),
    ];
    let shown = rows.iter().filter(|(name, tally, _)| {
        // What is as it should be needs no line of its own.
        tally.files > 0 || matches!(*name, "records" | "blobs")
    });
    let row = |(name, tally, meaning): &(&str, &Tally, &str)| {
        let size = human_size(tally.bytes);
        vec![cell(&format!("  {name}")), cell(&tally.files.to_string()), cell(&size), cell(meaning)]
    };
    let rows: Vec<_> = shown.map(row).collect();
    write_aligned(&[Lean::Left, Lean::Right, Lean::Right, Lean::Left], &rows, paint, out)?;
    let all = [records, blobs, toolchains, aside, unfinished];
    let total = human_size(all.iter().map(|it| it.bytes).sum());
    match free {
        Some(free) => writeln!(out, "{total} in all, {} free on the disk", human_size(*free)),
        None => writeln!(out, "{total} in all"),
    }
}

/// Writes what a check found: what is wrong on `err`, the sum on `out`.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_check(
    check: &Check,
    (out_paint, err_paint): (Paint, Paint),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    let Check { records, blobs, damaged, orphans, stopped } = check;
    for Damage { path, what, mended } in damaged {
        let tone = if mended.is_some() { Tone::Caution } else { Tone::Bad };
        let word = err_paint.say(tone, mended.as_deref().unwrap_or("damaged"));
        writeln!(err, "{word}: {} {}", escape::line(path), escape::line(what))?;
    }
    err.flush()?;
    let read = format!(
        "{} and {}, {}",
        count(usize_of(records.files), "record"),
        count(usize_of(blobs.files), "blob"),
        human_size(records.bytes + blobs.bytes)
    );
    let unmended = damaged.iter().filter(|it| it.mended.is_none()).count();
    let (tone, verdict) = match (stopped, damaged.len(), unmended) {
        (true, ..) => (Tone::Caution, "interrupted".to_owned()),
        (false, 0, _) => (Tone::Good, "sound".to_owned()),
        (false, all, 0) => (Tone::Good, format!("sound again, {all} mended")),
        (false, _, bad) => (Tone::Bad, format!("{bad} damaged")),
    };
    writeln!(out, "{read}: {}", out_paint.say(tone, &verdict))?;
    if orphans.files > 0 {
        let blobs = count(usize_of(orphans.files), "blob");
        let size = human_size(orphans.bytes);
        writeln!(
            out,
            "{blobs} of no record ({size}); `linkwright cache gc` removes what is left over"
        )?;
    }
    if unmended > 0 {
        let hint = "`linkwright cache verify --repair` sets the damaged files aside";
        writeln!(err, "{} {hint}", err_paint.say(Tone::Hint, "hint:"))?;
    }
    Ok(())
}

/// Writes what went.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_collected(
    collected: &Collected,
    dry_run: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Collected { records, blobs, toolchains, left_over, kept, stopped } = collected;
    let verb = if dry_run { "would remove" } else { "removed" };
    let part = |tally: &Tally, thing: &str| count(usize_of(tally.files), thing);
    writeln!(
        out,
        "{verb} {}, {}{} and {}: {}",
        part(records, "record"),
        part(blobs, "blob"),
        if toolchains.files > 0 {
            format!(", {}", part(toolchains, "toolchain"))
        } else {
            String::new()
        },
        part(left_over, "left-over file"),
        human_size(records.bytes + blobs.bytes + toolchains.bytes + left_over.bytes)
    )?;
    if *stopped {
        return writeln!(out, "interrupted; what is there is sound");
    }
    let verb = if dry_run { "would keep" } else { "kept" };
    writeln!(out, "{verb} {}: {}", part(kept, "file"), human_size(kept.bytes))
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn cell(text: &str) -> Cell {
    Cell { text: escape::line(text).into_owned(), tone: None }
}

/// Makes samples for tests of this room.
#[cfg(test)]
pub(crate) fn damaged(mended: Option<&str>) -> Check {
    let damage = Damage {
        path: "v1/blobs/ab/ab\u{1b}".to_owned(),
        what: "does not hold the bytes that its name says".to_owned(),
        mended: mended.map(str::to_owned),
    };
    Check {
        records: Tally { files: 1, bytes: 500 },
        blobs: Tally { files: 3, bytes: 3 << 20 },
        damaged: vec![damage],
        orphans: Tally { files: 1, bytes: 1 << 20 },
        stopped: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_survey_shows_what_is_there() {
        let survey = Survey {
            store: "/s".to_owned(),
            format: "linkwright-store/1".to_owned(),
            records: Tally { files: 12, bytes: 40 << 10 },
            blobs: Tally { files: 9, bytes: 70 << 20 },
            toolchains: Tally { files: 1, bytes: 250 << 20 },
            aside: Tally { files: 1, bytes: 7 },
            unfinished: Tally::default(),
            free: Some(1 << 30),
        };
        let shown = text(|out| write_survey(&survey, Paint::Plain, out).unwrap());
        expect![[r"
            /s (linkwright-store/1)
              records     12   40.0 KiB  what keys made
              blobs        9   70.0 MiB  the bytes of it
              toolchains   1  250.0 MiB  pinned Gos
              set aside    1        7 B  damaged; `linkwright cache gc` removes them
            320.0 MiB in all, 1.0 GiB free on the disk
        "]]
        .assert_eq(&shown);
    }

    #[track_caller]
    fn shows(check: &Check, expect: Expect) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        write_check(check, (Paint::Plain, Paint::Plain), &mut out, &mut err).unwrap();
        let text = |it| String::from_utf8(it).unwrap();
        expect.assert_eq(&format!("{}--- stderr\n{}", text(out), text(err)));
    }

    #[test]
    fn a_check_shows_each_damage_and_the_sum() {
        shows(
            &damaged(None),
            expect![[r"
                1 record and 3 blobs, 3.0 MiB: 1 damaged
                1 blob of no record (1.0 MiB); `linkwright cache gc` removes what is left over
                --- stderr
                damaged: v1/blobs/ab/ab\u{1b} does not hold the bytes that its name says
                hint: `linkwright cache verify --repair` sets the damaged files aside
            "]],
        );
        shows(
            &Check { orphans: Tally::default(), ..damaged(Some("set aside")) },
            expect![[r"
                1 record and 3 blobs, 3.0 MiB: sound again, 1 mended
                --- stderr
                set aside: v1/blobs/ab/ab\u{1b} does not hold the bytes that its name says
            "]],
        );
        shows(
            &Check { damaged: vec![], orphans: Tally::default(), ..damaged(None) },
            expect![[r"
                1 record and 3 blobs, 3.0 MiB: sound
                --- stderr
            "]],
        );
    }

    #[test]
    fn a_collection_shows_what_went_and_what_stays() {
        let collected = Collected {
            records: Tally { files: 2, bytes: 1 << 10 },
            blobs: Tally { files: 1, bytes: 5 << 20 },
            toolchains: Tally { files: 1, bytes: 2 << 20 },
            left_over: Tally::default(),
            kept: Tally { files: 8, bytes: 9 << 20 },
            stopped: false,
        };
        let shown = text(|out| write_collected(&collected, false, out).unwrap());
        expect![[r"
            removed 2 records, 1 blob, 1 toolchain and 0 left-over files: 7.0 MiB
            kept 8 files: 9.0 MiB
        "]]
        .assert_eq(&shown);
        let shown = text(|out| write_collected(&collected, true, out).unwrap());
        assert!(shown.starts_with("would remove 2 records"), "{shown}");
    }
}
