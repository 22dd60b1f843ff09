//! Spawns one program at a time with an exact environment, and never waits without a bound.
//!
//! A child gets a process group of its own, no standard input, and only the variables it is given.
//! When the run is interrupted, or the child's time is over, the whole group is ended: first with
//! SIGTERM, two seconds later with SIGKILL. A grandchild that keeps our end of a pipe open cannot
//! hold us: after the child's own end the pipes are read for at most [`PIPE_GRACE`].

use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a child may live between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(2);

/// How long inherited pipes are read after the child itself has ended.
const PIPE_GRACE: Duration = Duration::from_secs(2);

/// How much of each stream is kept; what a tool prints beyond it is dropped and said so.
const OUTPUT_LIMIT: usize = 32 << 20;

/// Set once when the run must end; every wait looks at it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

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
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Its standard output, at most 32 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, at most 32 MiB.
    pub stderr: Vec<u8>,
}

/// Why a program did not end by itself.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("cannot start `{program}`")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// It took longer than its limit, and was ended.
    #[error("`{program}` did not end within {} s and was stopped", limit.as_secs())]
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
    /// Makes one that SIGINT, SIGTERM and SIGHUP set.
    ///
    /// # Errors
    ///
    /// Returns the system's error if the signals cannot be caught.
    pub fn on_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let this = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // The second signal of a kind ends us at once, by its default action.
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

/// Runs `invocation` to its end.
///
/// # Errors
///
/// Returns [`ProcessError`] if it cannot be started, takes too long, or the run is interrupted.
/// A program that ends with a non-zero code is no error here.
pub fn run(invocation: &Invocation, interrupt: &Interrupt) -> Result<Ended, ProcessError> {
    if interrupt.is_set() {
        return Err(ProcessError::Interrupted);
    }
    let mut child = spawn(invocation)?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let group = Pid::from_child(&child);
    let (report, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = report.send(child.wait());
    });
    let (status, stopped) = wait(&ended, group, invocation, interrupt);
    let done = Ended { status, stdout: stdout.take(), stderr: stderr.take() };
    match stopped {
        Some(error) => Err(error),
        None => Ok(done),
    }
}

/// Starts `program` with the caller's own streams, and waits for its end without a bound: it is
/// the user's. Returns its exit code, or 128 and the signal that ended it.
///
/// # Errors
///
/// Returns the system's error if it cannot be started.
#[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
pub fn start(
    program: &Path,
    args: &[OsString],
    env: &BTreeMap<OsString, OsString>,
    folder: &Path,
) -> std::io::Result<u8> {
    let mut command = std::process::Command::new(program);
    command.args(args).env_clear().envs(env).current_dir(folder);
    let status = command.status()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
fn spawn(invocation: &Invocation) -> Result<Child, ProcessError> {
    std::process::Command::new(&invocation.program)
        .args(&invocation.args)
        .env_clear()
        .envs(&invocation.env)
        .current_dir(&invocation.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| ProcessError::Spawn { program: invocation.program.clone(), source })
}

/// Waits for the child, ending its group when time or the user says so.
fn wait(
    ended: &mpsc::Receiver<std::io::Result<ExitStatus>>,
    group: Pid,
    invocation: &Invocation,
    interrupt: &Interrupt,
) -> (ExitStatus, Option<ProcessError>) {
    let deadline = Instant::now() + invocation.limit;
    let mut stopped: Option<(Instant, ProcessError)> = None;
    loop {
        match ended.recv_timeout(Duration::from_millis(50)) {
            Ok(status) => {
                let status = status.unwrap_or_else(|_| ExitStatus::from_raw(0xff00));
                return (status, stopped.map(|(_, error)| error));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return (ExitStatus::from_raw(0xff00), stopped.map(|(_, error)| error));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        match &stopped {
            Some((since, _)) if since.elapsed() > TERM_GRACE => {
                let _ = kill_process_group(group, Signal::KILL);
            }
            Some(_) => {}
            None => {
                let error = if interrupt.is_set() {
                    ProcessError::Interrupted
                } else if Instant::now() > deadline {
                    let program = invocation.program.clone();
                    ProcessError::TooLong { program, limit: invocation.limit }
                } else {
                    continue;
                };
                let _ = kill_process_group(group, Signal::TERM);
                stopped = Some((Instant::now(), error));
            }
        }
    }
}

/// A stream that a thread reads; what it has read so far can be taken at any time.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    finished: mpsc::Receiver<()>,
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Collected {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let (done, finished) = mpsc::channel();
    if let Some(mut stream) = stream {
        let bytes = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                let Ok(mut kept) = bytes.lock() else { break };
                let room = OUTPUT_LIMIT.saturating_sub(kept.len());
                kept.extend_from_slice(&buffer[..read.min(room)]);
            }
            let _ = done.send(());
        });
    }
    Collected { bytes, finished }
}

impl Collected {
    fn take(self) -> Vec<u8> {
        let _ = self.finished.recv_timeout(PIPE_GRACE);
        self.bytes.lock().map(|mut it| std::mem::take(&mut *it)).unwrap_or_default()
    }
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
        }
    }

    #[test]
    fn output_and_status_come_back() {
        let ended = run(
            &shell("echo out; echo err >&2; exit 3", Duration::from_secs(10)),
            &Interrupt::default(),
        )
        .unwrap();
        assert_eq!(
            (ended.stdout_text().as_str(), ended.stderr_text().as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(ended.how(), "it ended with code 3");
    }

    #[test]
    fn the_environment_is_exactly_what_is_given() {
        let ended = run(&shell("env", Duration::from_secs(10)), &Interrupt::default()).unwrap();
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
        let error = run(&shell(script, Duration::from_millis(100)), &Interrupt::default());
        assert!(matches!(error, Err(ProcessError::TooLong { .. })), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_open_does_not_hold_us() {
        let started = Instant::now();
        let invocation = shell("echo done; setsid sleep 30 &", Duration::from_secs(20));
        let ended = run(&invocation, &Interrupt::default()).unwrap();
        assert_eq!(ended.stdout_text(), "done\n");
        assert!(started.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn an_interrupt_ends_the_child() {
        let interrupt = Interrupt::default();
        let other = interrupt.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            other.set();
        });
        let error = run(&shell("sleep 30", Duration::from_mins(1)), &interrupt);
        assert!(matches!(error, Err(ProcessError::Interrupted)), "{error:?}");
    }
}
