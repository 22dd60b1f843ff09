//! What a build has told so far, collected for the final report.
//!
//! Events arrive in any order from several threads; the report is in label order and says the same
//! at any `-j`.

use crate::engine::event::{Counts, Event, Finished, State};
use crate::words::label::Label;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The events of one build, in the shape in which they are reported.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How each output ended, in the order in which that was told.
    finished: Vec<Arc<Finished>>,
    /// The counts that the engine gave at its end.
    pub counts: Option<Counts>,
    /// How many outputs are known to come.
    planned: Option<usize>,
    /// How many targets were started with.
    targets: usize,
    targets_finished: BTreeSet<Label>,
    outputs_finished: usize,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Finished ones.
    pub done: usize,
    /// All of them, as far as is known.
    pub total: usize,
    /// What is counted: `outputs`, or `targets` as long as the outputs are not known.
    pub unit: &'static str,
}

impl Outcome {
    /// Takes in one event.
    pub fn record(&mut self, event: &Event) {
        match event {
            Event::Started { targets, .. } => self.targets = *targets,
            Event::Planned { outputs } => self.planned = Some(*outputs),
            Event::Finished(it) => {
                if self.planned.is_none() {
                    self.targets_finished.insert(it.label.clone());
                }
                self.outputs_finished += usize::from(has_output(it));
                self.finished.push(Arc::clone(it));
            }
            Event::Done(counts) => self.counts = Some(*counts),
            Event::Attempt { .. }
            | Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::TestStarted { .. }
            | Event::TestCase { .. }
            | Event::TestOutput { .. }
            | Event::TestFinished(_)
            | Event::Warning { .. }
            | Event::Error(_) => {}
        }
    }

    /// Returns how each output ended, by target, Go package and platform.
    #[must_use]
    pub fn finished(&self) -> Vec<&Finished> {
        let mut all: Vec<_> = self.finished.iter().map(AsRef::as_ref).collect();
        all.sort_by(|a, b| name(a).cmp(&name(b)));
        all
    }

    /// Tells how far the build is.
    #[must_use]
    pub fn position(&self) -> Position {
        if let Some(total) = self.planned {
            let done = self.outputs_finished;
            Position { done, total: total.max(done), unit: "outputs" }
        } else {
            let done = self.targets_finished.len();
            Position { done, total: self.targets.max(done), unit: "targets" }
        }
    }

    /// Tells whether an output has failed.
    #[must_use]
    pub fn any_failed(&self) -> bool {
        self.finished.iter().any(|it| it.state == State::Failed)
    }

    /// Returns the engine's counts, or, where it ended without any, what was seen.
    #[must_use]
    pub fn counts(&self, exit_code: u8) -> Counts {
        let seen = |state| self.finished.iter().filter(|it| it.state == state).count();
        self.counts.unwrap_or_else(|| Counts {
            built: seen(State::Built),
            restored: seen(State::Restored),
            up_to_date: seen(State::UpToDate),
            failed: seen(State::Failed),
            skipped: seen(State::Skipped),
            go_processes: 0,
            recalled: false,
            tests: None,
            exit_code,
        })
    }
}

/// What names one output: its target, its Go package where it has one, and its platform where
/// the target names one.
fn name(it: &Finished) -> (&Label, Option<&str>, Option<&str>) {
    (&it.label, it.go_package.as_deref(), it.platform.as_deref())
}

/// Tells whether `finished` is about an output rather than about a target that has none.
#[must_use]
pub fn has_output(finished: &Finished) -> bool {
    finished.output.is_some() || matches!(finished.state, State::Failed | State::Skipped)
}

/// Returns the word that reports use for `state`.
#[must_use]
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Built => "built",
        State::Restored => "restored",
        State::UpToDate => "up to date",
        State::Failed => "failed",
        State::Skipped => "skipped",
    }
}

/// Makes events for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::plan::record::{Attempt, AttemptOutcome};
    use crate::words::label::PackagePath;
    use crate::words::path::RelPath;

    pub(crate) fn label(text: &str) -> Label {
        Label::parse(text, &PackagePath::root()).unwrap()
    }

    pub(crate) fn attempt(name: &str, package: &str, tried: (&str, AttemptOutcome, &str)) -> Event {
        let (strategy, outcome, reason) = tried;
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        let attempt = Attempt { strategy: strategy.to_owned(), outcome, reason };
        let (label, go_package) = (label(name), package.to_owned());
        Event::Attempt { label, go_package, platform: None, attempt }
    }

    pub(crate) fn finished(name: &str, package: &str, state: State) -> Finished {
        let label = label(name);
        let go = !package.is_empty();
        let kept = !matches!(state, State::Failed | State::Skipped);
        let rule = match (go, name.ends_with("tests")) {
            (true, true) => "go_tests",
            (true, false) => "go_binary",
            _ => "command",
        };
        Finished {
            rule,
            go_package: go.then(|| package.to_owned()),
            platform: None,
            output: kept.then(|| RelPath::parse(&format!("bin/{}", label.output_path())).unwrap()),
            source_folder: None,
            state,
            class: (go && kept).then(|| "static".to_owned()),
            strategy: (go && kept).then(|| "netgo".to_owned()),
            size: kept.then_some(5_367_336),
            go: None,
            smoke: None,
            warnings: Vec::new(),
            error: None,
            hints: Vec::new(),
            exit_code: 0,
            label,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::finished;
    use super::*;

    #[test]
    fn position_counts_targets_until_the_outputs_are_known() {
        let mut outcome = Outcome::default();
        outcome.record(&Event::Started { targets: 2, jobs: 1 });
        for package in ["m/a", "m/b"] {
            outcome.record(&Event::Finished(Arc::new(finished("//:tests", package, State::Built))));
        }
        assert_eq!(outcome.position(), Position { done: 1, total: 2, unit: "targets" });
        outcome.record(&Event::Planned { outputs: 5 });
        assert_eq!(outcome.position(), Position { done: 2, total: 5, unit: "outputs" });
        assert_eq!(outcome.counts(8).built, 2);
    }
}
