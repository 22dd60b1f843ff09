//! Progress on stderr while a build runs: bars on a terminal, plain lines elsewhere.
//!
//! On a terminal the first line tells how far the build is, and each running step has a line with
//! its time. What must stay (a failure, a warning, a command under `-v`) is printed above them.
//! Elsewhere the same is printed line by line, without times, so that two logs can be compared.

use crate::engine::event::{Event, Finished, State, TestFinished};
use crate::report::command_line::CommandLine;
use crate::report::escape;
use crate::report::outcome::{Outcome, Position, has_output, state_word};
use crate::report::paint::{Paint, Tone};
use crate::report::table::shown_name;
use crate::report::test_table::{outcome_word, seconds, shown_package};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

/// How many running steps have a line of their own.
const MAX_STEPS_SHOWN: usize = 8;

/// How often a terminal is drawn anew while nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Failures alone.
    Quiet,
    /// What happens.
    #[default]
    Normal,
    /// Commands and warnings in full, too.
    Verbose,
}

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressKind {
    /// Bars, on a terminal that a person looks at.
    Bars,
    /// A line for each thing that happens.
    Lines,
}

/// The progress of one build.
#[derive(Debug)]
pub struct Progress {
    verbosity: Verbosity,
    paint: Paint,
    bars: Option<Bars>,
    failed: usize,
    /// Whether what tests print is shown as it comes.
    streams: bool,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    head: ProgressBar,
    /// The running steps; `None` for one that has no line because there are too many.
    steps: BTreeMap<usize, Option<ProgressBar>>,
}

impl Progress {
    /// Makes the progress of a build that has not begun.
    #[must_use]
    pub fn new(kind: ProgressKind, verbosity: Verbosity, paint: Paint) -> Self {
        let wanted = kind == ProgressKind::Bars && verbosity > Verbosity::Quiet;
        let bars = wanted.then(|| Bars::new(ProgressDrawTarget::stderr()));
        Self { verbosity, paint, bars, failed: 0, streams: false }
    }

    /// Shows what tests print, too, as it comes.
    #[must_use]
    pub fn streaming(self, streams: bool) -> Self {
        Self { streams, ..self }
    }

    /// Shows one event, which `outcome` has taken in already.
    ///
    /// # Errors
    ///
    /// Returns the writer's error.
    pub fn show(
        &mut self,
        event: &Event,
        outcome: &Outcome,
        err: &mut dyn Write,
    ) -> io::Result<()> {
        let position = outcome.position();
        if let Event::Finished(it) = event {
            self.failed += usize::from(it.state == State::Failed);
        }
        for line in self.lines(event, position) {
            match &self.bars {
                Some(bars) => {
                    bars.all.suspend(|| writeln!(err, "{line}").and_then(|()| err.flush()))?;
                }
                None => writeln!(err, "{line}").and_then(|()| err.flush())?,
            }
        }
        if let Some(bars) = &mut self.bars {
            bars.advance(event, position, self.failed);
        }
        Ok(())
    }

    /// Takes the bars away.
    pub fn clear(&mut self) {
        if let Some(bars) = self.bars.take() {
            for step in bars.steps.into_values().flatten() {
                step.finish_and_clear();
            }
            bars.head.finish_and_clear();
        }
    }

    /// Returns the lines that stay for `event`.
    fn lines(&self, event: &Event, position: Position) -> Vec<String> {
        let mut lines = Vec::new();
        match event {
            Event::StepStarted { what, argv, env, folder, .. } => {
                if self.bars.is_none() && self.verbosity > Verbosity::Quiet {
                    lines.push(escape::line(what).into_owned());
                }
                if self.verbosity == Verbosity::Verbose {
                    let command = CommandLine { argv, env, folder }.render();
                    lines.push(format!(
                        "  {}",
                        self.paint.say(Tone::Faint, &format!("$ {command}"))
                    ));
                }
            }
            Event::Finished(it) => lines.extend(self.finished_line(it, position)),
            Event::TestOutput { go_package, platform, output, .. } if self.streams => {
                let on = platform.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
                let name = format!("{}{on}:", escape::line(go_package));
                let name = self.paint.say(Tone::Faint, &name);
                let text = escape::block(output);
                lines.extend(text.lines().map(|line| format!("{name} {line}")));
            }
            Event::TestFinished(it) => lines.extend(self.test_line(it)),
            Event::Warning { label, message } => {
                let about = label.as_ref().map_or_else(String::new, |it| format!("{it}: "));
                lines.push(self.warning(&about, message));
            }
            _ => {}
        }
        if let Event::Finished(it) = event
            && self.verbosity == Verbosity::Verbose
        {
            let about = format!("{}: ", shown_name(it));
            lines.extend(it.warnings.iter().map(|warning| self.warning(&about, warning)));
        }
        lines
    }

    fn warning(&self, about: &str, message: &str) -> String {
        let message = escape::block(message.trim_end()).replace('\n', "\n  ");
        format!("{} {about}{message}", self.paint.say(Tone::Caution, "warning:"))
    }

    /// Returns the line for a test binary that has ended: every one in a log, on a terminal those
    /// that did not pass.
    fn test_line(&self, finished: &TestFinished) -> Option<String> {
        let (word, tone) = outcome_word(finished);
        let wanted = match self.bars {
            Some(_) => tone == Tone::Bad,
            None => self.verbosity > Verbosity::Quiet,
        };
        let (word, time) = (self.paint.say(tone, word), seconds(finished.milliseconds));
        let package = shown_package(finished);
        let package = escape::line(&package);
        wanted.then(|| format!("{word} {package} ({time})"))
    }

    /// Returns the line for an output that has ended: every one that something was done for in a
    /// log, the failed ones on a terminal.
    fn finished_line(&self, finished: &Finished, position: Position) -> Option<String> {
        let tone = match finished.state {
            State::Failed => Tone::Bad,
            State::Built | State::Restored => Tone::Good,
            State::UpToDate | State::Skipped => return None,
        };
        let wanted = match self.bars {
            Some(_) => finished.state == State::Failed,
            None => self.verbosity > Verbosity::Quiet && has_output(finished),
        };
        let Position { done, total, .. } = position;
        let word = self.paint.say(tone, state_word(finished.state));
        wanted.then(|| format!("[{done}/{total}] {word} {}", shown_name(finished)))
    }
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let head =
            all.add(ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg} {elapsed}")));
        head.enable_steady_tick(TICK);
        Self { all, head, steps: BTreeMap::new() }
    }

    fn advance(&mut self, event: &Event, position: Position, failed: usize) {
        match event {
            Event::StepStarted { step, what, .. } => {
                let shown = self.steps.values().flatten().count();
                let bar = (shown < MAX_STEPS_SHOWN).then(|| {
                    let bar = self.all.add(ProgressBar::new_spinner());
                    bar.set_style(style("  {elapsed:>4} {wide_msg}"));
                    bar.set_message(escape::line(what).into_owned());
                    bar.enable_steady_tick(TICK);
                    bar
                });
                self.steps.insert(*step, bar);
            }
            Event::StepFinished { step, .. } => {
                if let Some(bar) = self.steps.remove(step).flatten() {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
            }
            _ => {}
        }
        self.head.set_message(head_line(position, self.steps.len(), failed));
    }
}

/// Returns the first line of the bars: `3/12 outputs, 2 running, 1 failed`.
fn head_line(position: Position, running: usize, failed: usize) -> String {
    let Position { done, total, unit } = position;
    let mut line = format!("{done}/{total} {unit}");
    for (count, word) in [(running, "running"), (failed, "failed")] {
        if count > 0 {
            let _ = write!(line, ", {count} {word}");
        }
    }
    line
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_spinner()).tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::outcome::samples::{finished, label};
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    #[track_caller]
    fn check(verbosity: Verbosity, expect: Expect) {
        let mut server = finished("//:server", "m", State::Built);
        server.warnings = vec!["Using 'dlopen'\n  in x".to_owned()];
        let events = [
            Event::Started { targets: 3, jobs: 2 },
            Event::StepStarted {
                step: 1,
                what: "link 1 program by netgo\x07".to_owned(),
                argv: vec!["go".to_owned(), "build".to_owned()],
                env: vec!["GOFLAGS=".to_owned()],
                folder: ".".to_owned(),
            },
            Event::Warning { label: Some(label("//:x")), message: "odd".to_owned() },
            Event::StepFinished { step: 1, ok: true },
            Event::Finished(Arc::new(server)),
            Event::Finished(Arc::new(finished("//:old", "m/o", State::UpToDate))),
            Event::Finished(Arc::new(finished("//:bad", "m/b", State::Failed))),
        ];
        let mut progress = Progress::new(ProgressKind::Lines, verbosity, Paint::Plain);
        let (mut outcome, mut err) = (Outcome::default(), Vec::new());
        for event in events {
            outcome.record(&event);
            progress.show(&event, &outcome, &mut err).unwrap();
        }
        expect.assert_eq(&String::from_utf8(err).unwrap());
    }

    #[test]
    fn a_log_tells_what_is_done_and_a_verbose_one_how() {
        check(
            Verbosity::Normal,
            expect![[r"
            link 1 program by netgo\u{7}
            warning: //:x: odd
            [1/3] built //:server (m)
            [3/3] failed //:bad (m/b)
        "]],
        );
        check(
            Verbosity::Verbose,
            expect![[r"
            link 1 program by netgo\u{7}
              $ GOFLAGS='' go build
            warning: //:x: odd
            [1/3] built //:server (m)
            warning: //:server (m): Using 'dlopen'
                in x
            [3/3] failed //:bad (m/b)
        "]],
        );
    }

    #[test]
    fn a_quiet_log_tells_only_what_a_person_should_know() {
        check(
            Verbosity::Quiet,
            expect![[r"
            warning: //:x: odd
        "]],
        );
    }

    #[test]
    fn the_bars_show_running_steps_and_forget_finished_ones() {
        let mut bars = Bars::new(ProgressDrawTarget::hidden());
        let position = Position { done: 3, total: 12, unit: "outputs" };
        for step in 0..20 {
            let (what, folder) = ("run".to_owned(), ".".to_owned());
            let event = Event::StepStarted { step, what, argv: vec![], env: vec![], folder };
            bars.advance(&event, position, 0);
        }
        assert_eq!(bars.steps.values().flatten().count(), MAX_STEPS_SHOWN);
        assert_eq!(bars.head.message(), "3/12 outputs, 20 running");
        for step in 0..20 {
            bars.advance(&Event::StepFinished { step, ok: true }, position, 1);
        }
        assert_eq!(bars.head.message(), "3/12 outputs, 1 failed");
        assert!(bars.steps.is_empty());
    }
}
