//! The `go` command: found, identified by content, and run with an environment that says outright
//! what it would otherwise read from elsewhere.

use crate::effects::compile_cache::{Pending, Served};
use crate::effects::go_env::{GoEnv, GoEnvError};
use crate::effects::go_memory::{self, Belief, UsedGo};
use crate::effects::go_root::{identity_of, leads_to};
use crate::effects::go_sdk::{Fetching, SdkError, kept_or_fetched};
use crate::effects::machine::Machine;
use crate::effects::process::{Ended, Invocation, ProcessError};
use crate::formats::go_list::{self, GoPackage};
use crate::model::go_release::{Ability, GoRelease};
use crate::model::go_sdk::GoSdk;
use crate::plan::configuration::Selection;
use crate::plan::go_choice::GoChoice;
use crate::words::digest::Digest;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most that `go` may print: about half a million packages take so much.
const LISTING_LIMIT: usize = 1 << 30;

/// How many words of a failed command are shown.
const MOST_WORDS: usize = 24;

/// A Go toolchain.
#[derive(Debug, Clone)]
pub struct GoTool {
    /// The `go` program.
    pub program: PathBuf,
    /// `GOROOT`.
    pub root: PathBuf,
    /// `go1.26.8`.
    pub version: String,
    /// The same, as what decides what it can be asked.
    pub release: GoRelease,
    /// This machine's `GOOS` and `GOARCH`.
    pub host: (String, String),
    /// Digest of the whole toolchain: the program on PATH, programs, tools, and the standard
    /// library's sources.
    pub identity: Digest,
    known: Known,
    /// How modules are fetched and checked, from the user's own Go settings.
    network: BTreeMap<String, String>,
}

/// How the identity of a toolchain is known.
#[derive(Debug, Clone)]
enum Known {
    /// Its files were digested.
    Digested,
    /// It was kept, and a look at its files told that it holds.
    Held,
    /// It was kept.
    Kept(Arc<Belief>),
}

/// What is done about the identity of a toolchain that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Its files are looked at before it is used.
    Look,
    /// It is used, and [`GoTool::holds`], or [`GoTool::holds_for`], looks at its files.
    Believe,
}

/// Where a Go package is looked up from: a module, or a set of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoModuleFolder {
    /// The folder of `go.mod`, absolute.
    pub folder: PathBuf,
    /// The `go.work` that holds it, absolute.
    pub work: Option<PathBuf>,
}

/// Why there is no toolchain to work with, or it gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GoToolError {
    /// No `go` on PATH.
    #[error("no `go` on PATH")]
    Missing,
    /// Too old to drive.
    #[error("`{0}` is {1}; linkwright drives Go {oldest} and later", oldest = GoRelease::OLDEST)]
    TooOld(PathBuf, String),
    /// The workspace pins one that is not here.
    #[error(transparent)]
    Sdk(#[from] SdkError),
    /// It did not end by itself.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It failed, or what it printed was not understood.
    #[error("`{command}` failed: {words}")]
    Failed {
        /// The command, as typed.
        command: String,
        /// What it printed, or what was not understood of it.
        words: String,
    },
    /// There is no place for what it would put into its compile cache.
    #[error("there is no place for Go's compile cache")]
    NoRoom(#[source] std::io::Error),
    /// A part of the toolchain cannot be read.
    #[error("cannot read `{0}`")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// It is to be asked, and nothing may be asked of one that was not looked at.
    #[error("`go` was not looked at")]
    Unlooked,
    /// The system gives no thread to look for it.
    #[error("cannot start a thread that looks for `go`: {0}")]
    NoThread(#[source] std::io::Error),
}

impl GoTool {
    /// Finds `go` on PATH and reads what it is.
    ///
    /// # Errors
    ///
    /// Returns [`GoToolError`] if there is none, it is too old, or it cannot be read.
    pub fn find(machine: &Machine, trust: Trust) -> Result<Self, GoToolError> {
        let program = machine.program("go").ok_or(GoToolError::Missing)?;
        let told = GoEnv::of(machine, &program, None)?;
        Self::of(machine, program, told, (None, trust))
    }

    /// Returns the Go that a workspace pins: the one on PATH if it is that version, else one from
    /// the store, where it is fetched to if it must be.
    ///
    /// # Errors
    ///
    /// Returns [`GoToolError`] if it is not here and cannot be had, is too old, or cannot be read.
    pub fn pinned(
        machine: &Machine,
        sdk: &GoSdk,
        fetching: &Fetching<'_>,
        trust: Trust,
    ) -> Result<Self, GoToolError> {
        let mut on_path = None;
        if let Some(program) = machine.program("go") {
            match GoEnv::of(machine, &program, None) {
                Ok(told) if told.version == sdk.go_version() => {
                    return Self::of(machine, program, told, (None, trust));
                }
                Ok(told) => on_path = Some(told.version),
                Err(GoEnvError::Process(error @ ProcessError::Interrupted)) => {
                    return Err(error.into());
                }
                // One that does not even tell its version is not the one that is wanted.
                Err(_) => {}
            }
        }
        let kept = kept_or_fetched(machine, sdk, on_path.as_deref(), fetching)?;
        let program = kept.root.join("bin/go");
        let told = GoEnv::of(machine, &program, Some(&kept.root))?;
        Self::of(machine, program, told, (Some(kept.identity), trust))
    }

    /// Makes one of what a `go` tells of itself, and of its digest where that is known.
    fn of(
        machine: &Machine,
        program: PathBuf,
        told: GoEnv,
        (identity, trust): (Option<Digest>, Trust),
    ) -> Result<Self, GoToolError> {
        let release = GoRelease::read(&told.version).filter(|it| *it >= GoRelease::OLDEST);
        let Some(release) = release else {
            return Err(GoToolError::TooOld(program, told.version));
        };
        let is_it = |it: &Belief| identity.is_none_or(|identity| it.identity() == identity);
        let kept = belief(machine, &program, &told.root).filter(is_it);
        let (identity, known) = match (kept, identity) {
            (Some(kept), _) if trust == Trust::Believe => {
                (kept.identity(), Known::Kept(Arc::new(kept)))
            }
            (Some(kept), _) if kept.holds() => (kept.identity(), Known::Held),
            (_, Some(identity)) => (identity, Known::Digested),
            (_, None) => (digested(machine, &program, &told.root)?, Known::Digested),
        };
        let GoEnv { root, version, host, network } = told;
        Ok(Self { program, root, version, release, host, identity, known, network })
    }

    /// Tells whether its identity is only what it was at the last look.
    #[must_use]
    pub fn is_believed(&self) -> bool {
        matches!(self.known, Known::Kept(_))
    }

    /// Looks at the toolchain if it was not looked at: tells whether it is what it was.
    #[must_use]
    pub fn holds(&self) -> bool {
        match &self.known {
            Known::Digested | Known::Held => true,
            Known::Kept(it) => it.holds(),
        }
    }

    /// Looks at what packages of the standard library, by import path, are listed from where
    /// `choice` says which files count, if the toolchain was not looked at: tells whether that is
    /// what it was.
    #[must_use]
    pub fn holds_for<'p>(
        &self,
        packages: impl Iterator<Item = &'p str>,
        choice: &GoChoice,
    ) -> bool {
        match &self.known {
            Known::Digested | Known::Held => true,
            Known::Kept(it) => it.holds_for(&self.root, packages, choice),
        }
    }

    /// Digests the toolchain again: another value than [`GoTool::identity`] says that it was
    /// replaced meanwhile.
    ///
    /// # Errors
    ///
    /// Returns [`GoToolError`] if it cannot be read.
    pub fn identity_now(&self, machine: &Machine) -> Result<Digest, GoToolError> {
        let kept = belief(machine, &self.program, &self.root).filter(Belief::holds);
        kept.map_or_else(|| digested(machine, &self.program, &self.root), |it| Ok(it.identity()))
    }

    /// Keeps what the toolchain is, so that a look tells the next run; `None` if it cannot be kept.
    #[must_use]
    pub fn keep(&self, machine: &Machine) -> Option<UsedGo> {
        let Self { program, root, identity, .. } = self;
        let (program, root) = (program.clone(), root.clone());
        let used = UsedGo { program, root, identity: *identity };
        let runs = machine.last_runs.as_ref().filter(|it| it.is_written)?;
        let is_kept = matches!(self.known, Known::Held);
        (is_kept || go_memory::keep(&runs.folder, machine, &used)).then_some(used)
    }

    /// Tells whether the program is the toolchain's own `go`, and no script that chooses one of
    /// several and may choose another the next time.
    #[must_use]
    pub fn is_its_own(&self) -> bool {
        leads_to(&self.program, &self.root)
    }

    /// Begins a run of processes that build.
    ///
    /// # Errors
    ///
    /// Returns the system's error if there is no place for what they would compile.
    pub fn begin<'m>(&self, machine: &'m Machine) -> std::io::Result<Pending<'m>> {
        let served = if self.asks_a_program() { Served::ByProgram } else { Served::ByFiles };
        machine.compile_cache.begin(&self.identity, served)
    }

    fn asks_a_program(&self) -> bool {
        self.release.can(Ability::CacheProgram)
    }

    /// Returns the settings that say how modules are fetched and where they are unpacked.
    #[must_use]
    pub fn network(&self) -> &BTreeMap<String, String> {
        &self.network
    }

    /// Returns the host platform as two words.
    #[must_use]
    pub fn host(&self) -> (&str, &str) {
        (&self.host.0, &self.host.1)
    }

    /// Returns the whole environment of a `go` process.
    #[must_use]
    pub fn environment(
        &self,
        machine: &Machine,
        module: &GoModuleFolder,
        own: &BTreeMap<String, String>,
        pending: &Pending<'_>,
    ) -> BTreeMap<OsString, OsString> {
        let mut env = machine.base_environment();
        env.extend(self.network.iter().map(|(name, value)| (name.into(), value.into())));
        let work = module.work.as_ref().map_or(OsString::from("off"), OsString::from);
        let fixed: [(&str, OsString); 8] = [
            ("GOROOT", self.root.clone().into()),
            ("GOENV", "off".into()),
            ("GOFLAGS", "".into()),
            ("GOTOOLCHAIN", "local".into()),
            ("GOTELEMETRY", "off".into()),
            ("GO111MODULE", "on".into()),
            ("GOWORK", work),
            ("PWD", module.folder.clone().into()),
        ];
        env.extend(fixed.map(|(name, value)| (name.into(), value)));
        env.extend(pending.environment());
        env.extend(own.iter().map(|(name, value)| (name.into(), value.into())));
        env
    }

    /// Reads the Go packages that `patterns` name, and all that they import.
    ///
    /// Packages that cannot be loaded are in the answer, with their errors.
    ///
    /// # Errors
    ///
    /// Returns [`GoToolError`] if `go list` itself fails.
    pub fn list(
        &self,
        machine: &Machine,
        module: &GoModuleFolder,
        selection: &Selection,
        patterns: &[String],
        tests: bool,
    ) -> Result<BTreeMap<String, GoPackage>, GoToolError> {
        if self.is_believed() {
            return Err(GoToolError::Unlooked);
        }
        let args = list_arguments(selection, patterns, tests);
        // What a listing puts are indexes of packages, named by their files' sizes and times.
        let served = if self.asks_a_program() { Served::ByProgram } else { Served::ByNothing };
        let pending =
            machine.compile_cache.begin(&self.identity, served).map_err(GoToolError::NoRoom)?;
        let ended = self.run(machine, module, &selection.environment(), &args, &pending)?;
        let failed = |words| GoToolError::Failed { command: typed(&args), words };
        if !ended.status.success() {
            return Err(failed(ended.words()));
        }
        if ended.stdout.len() >= LISTING_LIMIT {
            return Err(failed("it tells more than 1 GiB, which is not read".to_owned()));
        }
        pending.promote();
        go_list::parse(&ended.stdout).map_err(|it| failed(it.to_string()))
    }

    /// Runs a `go` command that builds, with `env` besides what is fixed; what it puts into its
    /// compile cache is `pending`.
    ///
    /// # Errors
    ///
    /// Returns [`ProcessError`] if it did not end by itself; a failed build is no error here.
    pub fn build(
        &self,
        machine: &Machine,
        module: &GoModuleFolder,
        env: &BTreeMap<String, String>,
        args: &[String],
        pending: &Pending<'_>,
    ) -> Result<Ended, ProcessError> {
        self.run(machine, module, env, args, pending)
    }

    fn run(
        &self,
        machine: &Machine,
        module: &GoModuleFolder,
        own: &BTreeMap<String, String>,
        args: &[String],
        pending: &Pending<'_>,
    ) -> Result<Ended, ProcessError> {
        let invocation = Invocation {
            program: self.program.clone(),
            args: args.iter().map(OsString::from).collect(),
            env: self.environment(machine, module, own, pending),
            folder: module.folder.clone(),
            limit: machine.step_limit,
            most_output: LISTING_LIMIT,
        };
        machine.count_go();
        machine.run(&invocation)
    }
}

/// Shows the words of a `go` command in an error, which each target that waited for it tells: not
/// all of them, since there may be as many as there are targets.
fn typed(args: &[String]) -> String {
    let shown = args.iter().take(MOST_WORDS).map(|it| format!(" {it}"));
    let more = args.len().saturating_sub(MOST_WORDS);
    let rest = (more > 0).then(|| format!(" … and {more} more")).into_iter();
    std::iter::once("go".to_owned()).chain(shown).chain(rest).collect()
}

/// Digests all of a toolchain.
fn digested(machine: &Machine, program: &Path, root: &Path) -> Result<Digest, GoToolError> {
    identity_of(&machine.digests, program, root)
        .map_err(|(path, error)| GoToolError::Unreadable(path, error))
}

/// Returns what is kept of a toolchain, if this run may use that.
fn belief(machine: &Machine, program: &Path, root: &Path) -> Option<Belief> {
    let runs = machine.last_runs.as_ref().filter(|_| !machine.digests.is_paranoid())?;
    Belief::of(runs, program, root)
}

impl From<GoEnvError> for GoToolError {
    fn from(error: GoEnvError) -> Self {
        match error {
            GoEnvError::Process(it) => Self::Process(it),
            GoEnvError::Failed(words) => Self::Failed { command: "go env -json".into(), words },
        }
    }
}

impl GoModuleFolder {
    /// Finds the module that the folder `from` lies in, as the `go` command does: the nearest
    /// `go.mod` at or above it, and the nearest `go.work` at or above that.
    #[must_use]
    pub fn of(from: &Path) -> Option<Self> {
        let holds = |name: &'static str| move |it: &&Path| it.join(name).is_file();
        let folder = from.ancestors().find(holds("go.mod"))?;
        let work = from.ancestors().find(holds("go.work")).map(|it| it.join("go.work"));
        Some(Self { folder: folder.to_owned(), work })
    }
}

/// Returns the arguments of the `go list` that reads `patterns`.
#[must_use]
pub fn list_arguments(selection: &Selection, patterns: &[String], tests: bool) -> Vec<String> {
    let mut args: Vec<String> = ["list", "-e", "-deps"].map(String::from).to_vec();
    args.extend(tests.then(|| "-test".to_owned()));
    args.push(format!("-json={}", go_list::FIELDS));
    args.extend(selection.flags());
    args.push("--".to_owned());
    args.extend(patterns.iter().cloned());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_shown_with_as_many_words_as_a_person_reads() {
        let words = |count: usize| -> Vec<String> { (0..count).map(|it| it.to_string()).collect() };
        assert_eq!(typed(&words(3)), "go 0 1 2");
        assert!(typed(&words(MOST_WORDS)).ends_with(" 22 23"));
        assert!(typed(&words(100_000)).ends_with(" 22 23 … and 99976 more"));
    }
}
