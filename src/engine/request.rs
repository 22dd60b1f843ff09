//! What a build is asked for: the command line and the environment, already read and resolved.
//!
//! The engine reads neither by itself; two equal requests on equal files do the same.

use crate::effects::process::Guard;
use crate::model::run_in::RunIn;
use crate::words::pattern::PatternSet;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// One call of the engine.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The folder of the root `BUILD.ron`, absolute.
    pub root: PathBuf,
    /// Which targets.
    pub patterns: PatternSet,
    /// How many steps may run at a time.
    pub jobs: NonZeroUsize,
    /// What a failure does to the targets that do not depend on it.
    pub after_failure: AfterFailure,
    /// Whether processes are started at all.
    pub mode: Mode,
    /// Where the artefact store is, absolute.
    pub store: PathBuf,
    /// Where Go's compile cache is, absolute, if the user says; else below the store.
    pub go_cache: Option<PathBuf>,
    /// How long to wait for another linkwright that builds the workspace or cleans the store.
    pub lock_limit: Duration,
    /// linkwright's own program, which is an input of what a run remembers; `None` to remember
    /// nothing.
    pub program: Option<PathBuf>,
    /// Whether nothing that earlier runs remember of files is trusted.
    pub paranoid: bool,
    /// Whether each program is started once in a sealed root.
    pub smoke: bool,
    /// Whether of the targets that the patterns match only tests are meant, and what they need.
    pub only_tests: bool,
    /// The caller's variables. Nothing of it reaches a tool unless it is allow-listed or keyed.
    pub variables: BTreeMap<OsString, OsString>,
    /// What stands between us and each child, if something does.
    pub guard: Option<Guard>,
}

/// How the tests of a call are run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRequest {
    /// Which tests, as Go's `-test.run` has it.
    pub filter: Option<String>,
    /// Which part of the test binaries.
    pub shard: Option<Shard>,
    /// How often one that does not pass is run again.
    pub retries: usize,
    /// How long each may take, whatever its target says.
    pub timeout: Option<Duration>,
    /// Where each runs, whatever its target says.
    pub run_in: Option<RunIn>,
    /// How often each is run.
    pub effort: Effort,
    /// Whether no kept result is taken.
    pub fresh: bool,
}

/// The part `index` of `count`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which part.
    pub index: usize,
    /// Of how many.
    pub count: NonZeroUsize,
}

/// How often each test binary is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// Once, unless its result is known.
    #[default]
    Once,
    /// So many times.
    Repeat(NonZeroUsize),
    /// Until it fails, but no longer than this.
    Stress(Duration),
}

/// What a failure does to the targets that do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterFailure {
    /// What runs is finished, nothing more is started.
    #[default]
    Stop,
    /// They are built all the same (`--keep-going`).
    KeepGoing,
}

/// Whether processes are started at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They are.
    #[default]
    Build,
    /// The commands are told as events and not run (`--dry-run`); nothing is written.
    DryRun,
}
