//! What the engine tells while it works: each event is a JSON object a line under `--json`, and
//! what the terminal's progress and final table are made from.
//!
//! The engine sends events to a [`Sink`]; it formats nothing.

use crate::formats::cover_profile::{Coverage, Profile};
use crate::model::run_in::RunIn;
use crate::plan::record::Attempt;
use crate::plan::test_account::{Case, Outcome};
use crate::words::label::Label;
use crate::words::path::RelPath;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Receives events; called from worker threads too.
pub type Sink<'a> = &'a (dyn Fn(Event) + Sync);

/// How an output came to be where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Made by a tool in this run.
    Built,
    /// Taken from the store.
    Restored,
    /// Already in place, its bytes checked.
    UpToDate,
    /// Tried, without a result that can be kept.
    Failed,
    /// Not tried, because something it depends on failed or an earlier failure ended the run.
    Skipped,
}

/// One event of a build.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan is made.
    Started {
        /// How many targets are asked for or needed.
        targets: usize,
        /// How many steps may run at a time.
        jobs: usize,
    },
    /// It is known how many outputs are to come; sent again when more become known.
    Planned {
        /// Outputs of the whole run, those already finished included.
        outputs: usize,
    },
    /// A process starts (or, under `--dry-run`, would start).
    StepStarted {
        /// A number that `StepFinished` repeats.
        step: usize,
        /// What it does, for people: `link 4 programs by netgo`, `list Go packages`, `run
        /// //:protos`.
        what: String,
        /// The exact argument vector.
        argv: Vec<String>,
        /// The variables that differ from the fixed base environment, sorted, `NAME=value`.
        env: Vec<String>,
        /// The working folder, relative to the workspace root (`.` is the root).
        folder: String,
    },
    /// A process has ended.
    StepFinished {
        /// The number of its `StepStarted`.
        step: usize,
        /// Whether it did what it was started for.
        ok: bool,
    },
    /// An attempt on one output ended.
    Attempt {
        /// The target.
        label: Label,
        /// The Go package.
        go_package: String,
        /// The platform, where the target names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// What was tried and what came of it.
        #[serde(flatten)]
        attempt: Attempt,
    },
    /// One output (or one target without outputs) is finished.
    Finished(Arc<Finished>),
    /// A test binary starts; the `StepStarted` before it has the exact command.
    TestStarted {
        /// The target.
        label: Label,
        /// The Go package.
        go_package: String,
        /// The platform, where the target names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// Which run of it in this call, from 1.
        run: usize,
    },
    /// Something happens to one test.
    TestCase {
        /// The target.
        label: Label,
        /// The Go package.
        go_package: String,
        /// The platform, where the target names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// The test's name.
        test: String,
        /// What happens.
        action: CaseAction,
        /// How long it took, if it has ended.
        milliseconds: Option<u64>,
    },
    /// A test, or the binary around it, prints something.
    TestOutput {
        /// The target.
        label: Label,
        /// The Go package.
        go_package: String,
        /// The platform, where the target names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// The test's name, if it is one's output.
        test: Option<String>,
        /// A line, or a part of one; bytes that are no UTF-8 are replaced.
        output: String,
    },
    /// A test binary is done with: run to the last time, or its kept result found.
    TestFinished(Box<TestFinished>),
    /// Something that a person should know and that fails nothing.
    Warning {
        /// The target it is about, if it is about one.
        label: Option<Label>,
        /// One sentence.
        message: String,
    },
    /// The run cannot begin or go on; the command line, a rule file, the machine or we are at
    /// fault.
    Error(ErrorEvent),
    /// The run is over; always the last event.
    Done(Counts),
}

/// Why a run cannot begin or go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorEvent {
    /// One sentence.
    pub message: String,
    /// What caused it, from the outside in.
    pub because: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
    /// The errors in rule files, if it is about these.
    pub problems: Vec<ProblemEvent>,
    /// The exit code it gives.
    pub exit_code: u8,
}

/// One error in a rule file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProblemEvent {
    /// One sentence.
    pub message: String,
    /// The file, relative to the workspace root.
    pub file: Option<String>,
    /// 1-based.
    pub line: Option<usize>,
    /// 1-based, in characters.
    pub column: Option<usize>,
    /// What to do.
    pub hints: Vec<String>,
}

/// What is known of the start of a program in a sealed root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Smoked {
    /// It was started in this run, and ended well.
    Passed,
    /// The same bytes have ended well before, started in the same way.
    Known,
    /// It did not start, or not end well.
    Failed,
    /// It was not started: no sealed root can be made here, or the run was interrupted.
    NotTried,
    /// It is for another platform, or does not say how it is to be started.
    NotMeant,
}

/// How one output ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Finished {
    /// The target.
    pub label: Label,
    /// The kind of target: `go_binary`, `go_tests`, `command`, `files`, `suite`.
    pub rule: &'static str,
    /// The Go package, for Go outputs.
    pub go_package: Option<String>,
    /// The platform, as `linux/arm/7`, where the target names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Path below `linkwright-out/` (Go outputs) or below the workspace root (commands).
    pub output: Option<RelPath>,
    /// The folder of the Go package's sources, for test binaries: relative to the workspace root if
    /// it lies below, else absolute. Its tests run there.
    pub source_folder: Option<String>,
    /// How it came.
    pub state: State,
    /// The class, for Go outputs that verified.
    pub class: Option<String>,
    /// The strategy that verified.
    pub strategy: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// The Go that made it; it is told in the ledger.
    #[serde(skip)]
    pub go: Option<String>,
    /// Of its start in a sealed root, if one was asked for.
    pub smoke: Option<Smoked>,
    /// What the tools warned of, one line each.
    pub warnings: Vec<String>,
    /// Why it failed or was skipped: whole lines, the tool's own words included.
    pub error: Option<String>,
    /// The smallest change that would help, where one is known.
    pub hints: Vec<String>,
    /// The exit code this output alone would give.
    pub exit_code: u8,
}

/// What happens to one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseAction {
    /// It begins.
    Run,
    /// It waits for those that do not run in parallel.
    Pause,
    /// It goes on.
    Continue,
    /// It has passed.
    Pass,
    /// It has failed.
    Fail,
    /// It was skipped.
    Skip,
}

/// How a test binary ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TestFinished {
    /// The target.
    pub label: Label,
    /// The Go package.
    pub go_package: String,
    /// The platform, where the target names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The folder in which it ran, as in `Finished`.
    pub source_folder: Option<String>,
    /// The verdict over its last run, or over all of them where it was to be repeated.
    pub outcome: Outcome,
    /// Where it ran: on the machine as it is, or in a sealed root; nowhere if it never began.
    pub ran_in: Option<RunIn>,
    /// Whether it is that of an earlier call, with the same inputs, and nothing was run.
    pub kept: bool,
    /// Whether it passed after it had failed.
    pub flaky: bool,
    /// How often it was run.
    pub runs: usize,
    /// How long the run took of which the tests are told.
    pub milliseconds: u64,
    /// Why, where no test says it.
    pub reason: Option<String>,
    /// How much of what it covers ran, if it counts that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What it counted.
    #[serde(skip)]
    pub profile: Option<Arc<Profile>>,
    /// What a person should know besides: what it left behind, why a pass is not kept.
    pub notes: Vec<String>,
    /// Its tests, in the order in which they ended.
    pub cases: Vec<Case>,
    /// What was printed by no test in particular, unless it passed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// The counts of a run of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TestCounts {
    /// Test binaries that passed, the kept and the flaky included.
    pub passed: usize,
    /// Those of them that were not run, because an earlier result holds.
    pub kept: usize,
    /// Those of them that failed before they passed.
    pub flaky: usize,
    /// Test binaries that failed, crashed, broke or ran out of time.
    pub failed: usize,
    /// Those that had nothing to run.
    pub without_tests: usize,
    /// Those that were not run to their end.
    pub not_run: usize,
    /// Tests that passed.
    pub cases_passed: usize,
    /// Tests that failed, or did not come to their end.
    pub cases_failed: usize,
    /// Tests that were skipped.
    pub cases_skipped: usize,
    /// How much of what all of them cover ran, each statement counted once; of those that count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// The counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// Outputs made in this run.
    pub built: usize,
    /// Outputs taken from the store.
    pub restored: usize,
    /// Outputs found in place.
    pub up_to_date: usize,
    /// Outputs that failed.
    pub failed: usize,
    /// Outputs not tried.
    pub skipped: usize,
    /// How many `go` processes were started.
    pub go_processes: usize,
    /// Whether all was as the last run had seen it, so that nothing else was asked.
    pub recalled: bool,
    /// What came of the tests, of a run of tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestCounts>,
    /// The exit code of the run.
    pub exit_code: u8,
}
