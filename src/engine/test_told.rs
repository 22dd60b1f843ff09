//! What is told of a test binary: what its tests do as events, and how it ended.

use crate::engine::event::{CaseAction, Event, Finished, Sink, TestFinished};
use crate::formats::cover_profile::Profile;
use crate::formats::test_stream::{End, Said};
use crate::plan::test_account::Outcome;
use crate::words::label::Label;
use std::sync::Arc;
use std::time::Duration;

/// What events call a test binary by.
#[derive(Debug, Clone)]
pub struct Naming {
    /// The target.
    pub label: Label,
    /// The Go package.
    pub go_package: String,
    /// The platform, where the target names one.
    pub platform: Option<String>,
}

impl Naming {
    /// Takes it from what the build told.
    #[must_use]
    pub fn of(built: &Finished) -> Self {
        let go_package = built.go_package.clone().unwrap_or_default();
        Self { label: built.label.clone(), go_package, platform: built.platform.clone() }
    }

    /// Tells one thing that the binary's own stream says.
    pub fn tell(&self, sink: Sink<'_>, said: Said) {
        let Self { label, go_package, platform } = self.clone();
        let (test, action, time) = match said {
            Said::Began(test) => (test, CaseAction::Run, None),
            Said::Paused(test) => (test, CaseAction::Pause, None),
            Said::Continued(test) => (test, CaseAction::Continue, None),
            Said::Ended(test, end, time) => {
                let action = match end {
                    End::Passed | End::Measured => CaseAction::Pass,
                    End::Failed => CaseAction::Fail,
                    End::Skipped => CaseAction::Skip,
                };
                (test, action, Some(time))
            }
            Said::Output(test, bytes) => {
                let output = String::from_utf8_lossy(&bytes).into_owned();
                return sink(Event::TestOutput { label, go_package, platform, test, output });
            }
            Said::Verdict(_) => return,
        };
        let milliseconds = time.map(millis);
        sink(Event::TestCase { label, go_package, platform, test, action, milliseconds });
    }
}

/// Returns what is told of a test binary of which nothing more is known than that it was not run.
#[must_use]
pub fn unknown(built: &Finished) -> TestFinished {
    let Naming { label, go_package, platform } = Naming::of(built);
    TestFinished {
        label,
        go_package,
        platform,
        source_folder: built.source_folder.clone(),
        outcome: Outcome::NotRun,
        ran_in: None,
        kept: false,
        flaky: false,
        runs: 0,
        milliseconds: 0,
        reason: None,
        coverage: None,
        profile: None,
        notes: Vec::new(),
        cases: Vec::new(),
        output: String::new(),
    }
}

impl TestFinished {
    /// Adds what was counted.
    #[must_use]
    pub fn covering(self, profile: Option<Profile>) -> Self {
        let (coverage, profile) = (profile.as_ref().map(Profile::coverage), profile.map(Arc::new));
        Self { coverage, profile, ..self }
    }
}

/// Tells whether an outcome fails the run.
#[must_use]
pub fn is_failure(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Failed | Outcome::TimedOut | Outcome::Crashed | Outcome::Broken => true,
        Outcome::Passed | Outcome::NoTests | Outcome::NotRun => false,
    }
}

/// Returns whole milliseconds.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
