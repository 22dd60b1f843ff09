//! The machine as one run sees it: which variables are let through, where the store is, and the
//! memory of what was hashed.
//!
//! The environment is read once, at the edge; here it is cut to what a child may see. Variables
//! that can change what is built (`GOFLAGS`, `CC`, `CGO_*`, `LD_*`, …) are never among them.

use crate::effects::c_answers::Answers;
use crate::effects::c_names::KnownNames;
use crate::effects::compile_cache::CompileCache;
use crate::effects::digests::Digests;
use crate::effects::last_run::LastRuns;
use crate::effects::looked::Looked;
use crate::effects::process::{
    self, Ended, Guard, Interrupt, Invocation, OUTPUT_LIMIT, ProcessError,
};
use crate::effects::store::Store;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

/// Variables that every child sees as they are: where tools are, and how the network is reached.
///
/// A guard gives its program a folder of its own below `TMPDIR`. None of them changes the bytes of
/// a build whose inputs have digests.
pub const PASSED: [&str; 16] = [
    "HOME",
    "PATH",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "NETRC",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "GIT_SSH_COMMAND",
];

/// The longest that one step may take, unless the command line says otherwise.
pub const STEP_LIMIT: Duration = Duration::from_hours(2);

/// What a run has at hand.
#[derive(Debug)]
pub struct Machine {
    /// Every variable of the caller, for `pass_env` of commands.
    pub caller: BTreeMap<OsString, OsString>,
    /// Go's compile cache for our builds; never the user's own, which we did not verify.
    pub compile_cache: CompileCache,
    /// The store.
    pub store: Store,
    /// Digests of files.
    pub digests: Digests,
    /// Set when the run must end.
    pub interrupt: Interrupt,
    /// What stands between us and each child, if something does.
    pub guard: Option<Guard>,
    /// How many `go` processes were started.
    pub go_processes: AtomicUsize,
    /// The number of the last step that was told of.
    pub steps: AtomicUsize,
    /// The longest that one step may take.
    pub step_limit: Duration,
    /// When the run began.
    pub began: SystemTime,
    /// Where programs and files were looked for.
    pub looked: Looked,
    /// What compilers and linkers said of themselves.
    pub answers: Answers,
    /// What C files name.
    pub c_names: KnownNames,
    /// Where what runs saw is kept; `None` where there is no workspace.
    pub last_runs: Option<LastRuns>,
}

/// Does something in a thread that is no worker of a pool. A worker that waits for others is handed
/// another job, which must not need what this one holds.
///
/// # Errors
///
/// Returns the system's error if it gives no thread.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let ended = thread::scope(|scope| {
        thread::Builder::new().spawn_scoped(scope, work).map(thread::ScopedJoinHandle::join)
    })?;
    Ok(ended.unwrap_or_else(|panic| resume_unwind(panic)))
}

/// Does two things at a time that mostly wait for processes, the first in a thread that is no
/// worker of a pool; one after the other where the system gives no thread.
pub fn side_by_side<A: Send, B>(
    first: impl Fn() -> A + Sync,
    second: impl FnOnce() -> B,
) -> (A, B) {
    thread::scope(|scope| {
        let begun = thread::Builder::new().spawn_scoped(scope, &first);
        let second = second();
        let first = match begun {
            Ok(it) => it.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => first(),
        };
        (first, second)
    })
}

impl Machine {
    /// Returns the environment that every child gets at the least.
    #[must_use]
    pub fn base_environment(&self) -> BTreeMap<OsString, OsString> {
        let passed = PASSED.iter().filter_map(|it| self.caller.get_key_value(OsStr::new(it)));
        let mut env: BTreeMap<_, _> =
            passed.map(|(name, value)| (name.clone(), value.clone())).collect();
        // Messages that we read must not be translated.
        env.insert("LC_ALL".into(), "C".into());
        env
    }

    /// Finds `name` on the caller's PATH: the first regular file that somebody may execute.
    ///
    /// Relative and empty entries of PATH are passed over: a program is never taken from the
    /// folder that happens to be current (CVE-2021-3115).
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        self.looked.for_program(name);
        let executable = |it: &PathBuf| {
            std::fs::metadata(it)
                .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        self.search_path().into_iter().map(|it| it.join(name)).find(executable)
    }

    /// Finds `name` as [`Machine::program`] does, but looks no second time.
    #[must_use]
    pub fn program_once(&self, name: &str) -> Option<PathBuf> {
        self.looked.once(name, || self.program(name))
    }

    /// Returns the folders of the caller's PATH that are searched.
    #[must_use]
    pub fn search_path(&self) -> Vec<PathBuf> {
        let path = self.caller.get(OsStr::new("PATH")).map_or(OsStr::new(""), OsString::as_os_str);
        std::env::split_paths(path).filter(|it| it.is_absolute()).collect()
    }

    /// Runs a small tool to its end, with the base environment.
    ///
    /// # Errors
    ///
    /// Returns [`ProcessError`] if it did not end by itself.
    pub fn ask(
        &self,
        program: &Path,
        args: &[&OsStr],
        folder: &Path,
    ) -> Result<Ended, ProcessError> {
        self.ask_with(program, args, folder, (&BTreeMap::new(), Duration::from_mins(2)))
    }

    /// Runs a tool to its end, with further variables and a limit of its own.
    ///
    /// # Errors
    ///
    /// Returns [`ProcessError`] if it did not end by itself.
    pub fn ask_with(
        &self,
        program: &Path,
        args: &[&OsStr],
        folder: &Path,
        (variables, limit): (&BTreeMap<String, String>, Duration),
    ) -> Result<Ended, ProcessError> {
        let mut env = self.base_environment();
        env.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
        let invocation = Invocation {
            program: program.to_owned(),
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            env,
            folder: folder.to_owned(),
            limit,
            most_output: OUTPUT_LIMIT,
        };
        self.run(&invocation)
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    ///
    /// Returns [`ProcessError`] if it did not end by itself.
    pub fn run(&self, invocation: &Invocation) -> Result<Ended, ProcessError> {
        process::run(invocation, self.guard.as_ref(), &self.interrupt)
    }

    /// Writes down what was learnt of files and of compilers, for the next run.
    pub fn save(&self) {
        self.answers.save((&self.store, &self.digests), self.began);
        let _ = self.digests.save();
    }

    /// Returns the number of a new step.
    pub fn next_step(&self) -> usize {
        self.steps.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts one more `go` process.
    pub fn count_go(&self) {
        self.go_processes.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};

    #[test]
    fn two_things_side_by_side_are_done_at_the_same_time() {
        let (tell_first, told_first) = mpsc::channel();
        let (tell_second, told_second) = mpsc::channel();
        let (moment, told_first) = (Duration::from_secs(30), Mutex::new(told_first));
        let first = || {
            tell_second.send("first").unwrap();
            told_first.lock().unwrap().recv_timeout(moment)
        };
        let second = || {
            tell_first.send("second").unwrap();
            told_second.recv_timeout(moment)
        };
        assert_eq!(side_by_side(first, second), (Ok("second"), Ok("first")));
    }
}
