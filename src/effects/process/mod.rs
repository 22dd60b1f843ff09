//! Spawns one program at a time with an exact environment, and never waits without a bound.
//!
//! A child gets no standard input, and only the variables it is given. When the run is interrupted,
//! or the child's time is over, it is ended: first with SIGTERM, a second later with SIGKILL.
//!
//! | with a [`Guard`] | without one |
//! |---|---|
//! | a guard process stands between ([`crate::effects::guard`]) | the program is our own child, in a group of its own |
//! | all that the program started ends with it, whoever its parent is | its process group ends; who left the group lives on |
//! | it ends with us, whatever ends us | it outlives a SIGKILL of ours |
//! | it gets a folder for temporary files that goes with it | what it leaves in TMPDIR stays |
//! | for linkwright, the program | for users of the library, whose program is no guard |
//!
//! A grandchild that keeps our end of a pipe open cannot hold us: after the program's own end the
//! pipes are read for at most [`PIPE_GRACE`]. Nothing here starts a thread, which a machine at its
//! limits may refuse.

mod running;

use crate::effects::process::running::Running;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long inherited pipes are read after the child itself has ended.
const PIPE_GRACE: Duration = Duration::from_secs(2);

/// How much of each stream of a tool is kept, unless it is asked for more.
pub const OUTPUT_LIMIT: usize = 32 << 20;

/// How long a program may take to say what it does, once its time is over.
const DUMP_GRACE: Duration = Duration::from_secs(3);

/// How often the clock and the interrupt are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long a machine that can start no more processes is waited for.
const CROWDED_LIMIT: Duration = Duration::from_secs(5);

/// Set once when the run must end; every wait looks at it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// The program that stands between us and each child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard(PathBuf);

/// One program to run.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments, the program's own name not included.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Its working folder.
    pub folder: PathBuf,
    /// The longest it may take.
    pub limit: Duration,
    /// How many bytes of each of its streams are kept; what it prints beyond is dropped.
    pub most_output: usize,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Its standard output, at most as much as was to be kept.
    pub stdout: Vec<u8>,
    /// Its standard error, likewise.
    pub stderr: Vec<u8>,
}

/// How a program ended that was listened to while it ran.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    /// Its status.
    pub status: ExitStatus,
    /// Whether its time was over, so that it was ended.
    pub out_of_time: bool,
    /// Whether it left processes behind, which were killed; known only with a guard.
    pub left_behind: bool,
}

/// Why a program did not end by itself.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("cannot start `{}`: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It took longer than its limit, and was ended.
    #[error("`{}` did not end within {} s and was stopped", program.display(), limit.as_secs())]
    TooLong {
        /// The program.
        program: PathBuf,
        /// Its limit.
        limit: Duration,
    },
    /// The run was interrupted, and the program ended.
    #[error("interrupted")]
    Interrupted,
}

impl Interrupt {
    /// Makes one that SIGINT, SIGTERM and SIGHUP set, each unless it is ignored: who starts us
    /// by `nohup`, or in the background of a script, means it.
    ///
    /// # Errors
    ///
    /// Returns the system's error if the signals cannot be caught.
    pub fn on_signals() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let this = Self::default();
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if ignored >> (signal - 1) & 1 == 1 {
                continue;
            }
            // The second signal ends us at once, by its default action; the guards see it.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&this.0))?;
            signal_hook::flag::register(signal, Arc::clone(&this.0))?;
        }
        // Unless it is caught, a limit on the size of files ends us instead of failing the write.
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
        Ok(this)
    }

    /// Tells whether the run must end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Ends the run.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Returns the signals that this process ignores, signal 1 in the lowest bit.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok()).unwrap_or(0)
}

impl Guard {
    /// Returns this very program as the guard, if this machine has a `/proc`.
    ///
    /// To be called by a `main` that answers [`crate::effects::guard::is_called`], and by nobody
    /// else: another program would be started over and over.
    #[must_use]
    pub fn of_this_program() -> Option<Self> {
        // Not its path: behind that there may be a newer program by now, or none. The link leads
        // a child that has not begun another program yet to the file that we were started from.
        let path = PathBuf::from("/proc/self/exe");
        path.exists().then_some(Self(path))
    }

    /// Returns the linkwright at `path` as the guard.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Returns its path, at which this program can be started under other names too.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.0
    }
}

impl Ended {
    /// Returns standard output as text, odd bytes replaced.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns standard error as text, odd bytes replaced.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Returns what one that failed has to say, and the signal if one ended it.
    #[must_use]
    pub fn words(&self) -> String {
        let text = self.stderr_text();
        let signal = self.was_killed().then(|| self.how());
        let words = [signal.as_deref(), Some(text.trim())].into_iter().flatten();
        words.filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Tells whether a signal ended it: then it has not spoken, and what it was asked is open.
    #[must_use]
    pub fn was_killed(&self) -> bool {
        self.status.signal().is_some()
    }

    /// Returns how it ended as a clause: `it ended with code 2`, `signal 9 ended it`.
    #[must_use]
    pub fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("it ended with code {code}"),
            (None, Some(9)) => {
                "signal 9 (SIGKILL) ended it; the machine may be out of memory".to_owned()
            }
            (None, signal) => format!("signal {} ended it", signal.unwrap_or(0)),
        }
    }
}

impl ProcessError {
    /// Returns what may help, if something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Spawn { source, .. } if is_crowded(source) => {
                Some("say a smaller `--jobs`, or raise the limits that `ulimit -a` shows")
            }
            Self::TooLong { .. } => Some("see what holds it up by running the command by hand"),
            Self::Spawn { .. } | Self::Interrupted => None,
        }
    }
}

/// Runs `invocation` to its end, under `guard` if there is one. A machine that has no room for
/// one more process is asked again for a while: other steps end meanwhile.
///
/// # Errors
///
/// Returns [`ProcessError`] if it cannot be started, takes too long, or the run is interrupted.
/// A program that ends with a non-zero code is no error here.
pub fn run(
    invocation: &Invocation,
    guard: Option<&Guard>,
    interrupt: &Interrupt,
) -> Result<Ended, ProcessError> {
    let until = Instant::now() + CROWDED_LIMIT;
    loop {
        if interrupt.is_set() {
            return Err(ProcessError::Interrupted);
        }
        let tried = Running::start(invocation, guard).and_then(|it| it.watch(interrupt));
        match tried {
            Err(ProcessError::Spawn { source, .. })
                if is_crowded(&source) && Instant::now() < until =>
            {
                std::thread::sleep(TICK);
            }
            other => return other,
        }
    }
}

/// Runs `invocation` to its end and hands on what it prints, as it comes.
///
/// Both streams are one, and nothing of it is kept here. When its time is over it first gets
/// SIGQUIT, upon which a Go program prints what its goroutines do, and some seconds later it is
/// ended as by [`run`].
///
/// # Errors
///
/// Returns [`ProcessError`] if it cannot be started, or the run is interrupted. A program whose
/// time was over is no error here.
pub fn listen(
    invocation: &Invocation,
    guard: Option<&Guard>,
    interrupt: &Interrupt,
    hear: &mut dyn FnMut(&[u8]),
) -> Result<Heard, ProcessError> {
    let until = Instant::now() + CROWDED_LIMIT;
    loop {
        if interrupt.is_set() {
            return Err(ProcessError::Interrupted);
        }
        let tried = Running::start_to_listen(invocation, guard, hear);
        match tried.and_then(|it| it.listen_to_end(interrupt)) {
            Err(ProcessError::Spawn { source, .. })
                if is_crowded(&source) && Instant::now() < until =>
            {
                std::thread::sleep(TICK);
            }
            other => return other,
        }
    }
}

/// Tells whether the machine has no room at the moment for one more process, or file, or page.
fn is_crowded(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let crowded = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    crowded.iter().any(|it| error.raw_os_error() == Some(it.raw_os_error()))
}

/// Becomes `program`: this process is the program from here on, with the same streams and the
/// same terminal, so signals, job control and the exit code are its own. Returns only if that
/// fails.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "one of the places that spawn")]
pub fn become_program(
    program: &Path,
    args: &[OsString],
    env: &BTreeMap<OsString, OsString>,
    folder: &Path,
) -> io::Error {
    let mut command = std::process::Command::new(program);
    command.args(args).env_clear().envs(env).current_dir(folder).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Invocation {
        Invocation {
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            folder: PathBuf::from("/"),
            limit,
            most_output: OUTPUT_LIMIT,
        }
    }

    #[test]
    fn output_and_status_come_back() {
        let invocation = shell("echo out; echo err >&2; exit 3", Duration::from_secs(10));
        let ended = run(&invocation, None, &Interrupt::default()).unwrap();
        assert_eq!(
            (ended.stdout_text().as_str(), ended.stderr_text().as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(ended.how(), "it ended with code 3");
    }

    #[test]
    fn what_is_printed_beyond_what_is_to_be_kept_is_dropped_and_read_to_its_end() {
        let script = "i=0; while [ $i -lt 3000 ]; do echo 0123456789 || exit 3; i=$((i+1)); done";
        for (most_output, kept) in [(100, 100), (OUTPUT_LIMIT, 33_000)] {
            let invocation = Invocation { most_output, ..shell(script, Duration::from_secs(20)) };
            let ended = run(&invocation, None, &Interrupt::default()).unwrap();
            assert!(ended.status.success());
            assert_eq!(ended.stdout.len(), kept);
        }
    }

    #[test]
    fn the_environment_is_exactly_what_is_given() {
        let ended =
            run(&shell("env", Duration::from_secs(10)), None, &Interrupt::default()).unwrap();
        let text = ended.stdout_text();
        let mut names: Vec<_> = text.lines().filter_map(|it| it.split('=').next()).collect();
        // The shell itself adds these.
        names.retain(|it| !matches!(*it, "PWD" | "OLDPWD" | "_" | "SHLVL"));
        assert_eq!(names, ["PATH"]);
    }

    #[test]
    fn a_child_that_takes_too_long_is_ended_with_its_grandchildren() {
        let started = Instant::now();
        let script = "trap '' TERM; sleep 60 & sleep 60";
        let error = run(&shell(script, Duration::from_millis(100)), None, &Interrupt::default());
        assert!(matches!(error, Err(ProcessError::TooLong { .. })), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_open_does_not_hold_us() {
        let started = Instant::now();
        let invocation = shell("echo done; setsid sleep 30 &", Duration::from_secs(20));
        let ended = run(&invocation, None, &Interrupt::default()).unwrap();
        assert_eq!(ended.stdout_text(), "done\n");
        assert!(started.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn one_stream_is_heard_in_its_order_and_quit_comes_before_the_end() {
        let mut heard = Vec::new();
        let script = "trap 'echo dump; exit 4' QUIT; echo 1; echo 2 >&2; echo 3; \
                      while :; do sleep 0.05; done";
        let mut invocation = shell(script, Duration::from_secs(2));
        // A shell does not trap what was ignored when it began, as in the background of a script.
        invocation.args.splice(0..0, ["--default-signal=QUIT", "sh"].map(OsString::from));
        invocation.program = PathBuf::from("/usr/bin/env");
        let ended = listen(&invocation, None, &Interrupt::default(), &mut |it| {
            heard.extend_from_slice(it);
        });
        let ended = ended.unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), "1\n2\n3\ndump\n");
        assert_eq!((ended.status.code(), ended.out_of_time), (Some(4), true));
    }

    #[test]
    fn an_interrupt_ends_the_child() {
        let interrupt = Interrupt::default();
        let other = interrupt.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            other.set();
        });
        let error = run(&shell("sleep 30", Duration::from_mins(1)), None, &interrupt);
        assert!(matches!(error, Err(ProcessError::Interrupted)), "{error:?}");
    }
}
