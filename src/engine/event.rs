//! What the engine tells while it works: each event is a JSON object a line under `--json`, and
//! what the terminal's progress and final table are made from.
//!
//! The engine sends events to a [`Sink`]; it formats nothing.

use crate::plan::record::Attempt;
use crate::words::label::Label;
use crate::words::path::RelPath;
use schemars::JsonSchema;
use serde::Serialize;

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
        /// What was tried and what came of it.
        #[serde(flatten)]
        attempt: Attempt,
    },
    /// One output (or one target without outputs) is finished.
    Finished(Box<Finished>),
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
    /// Path below `linkwright-out/` (Go outputs) or below the workspace root (commands).
    pub output: Option<RelPath>,
    /// How it came.
    pub state: State,
    /// The class, for Go outputs that verified.
    pub class: Option<String>,
    /// The strategy that verified.
    pub strategy: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
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
    /// The exit code of the run.
    pub exit_code: u8,
}
