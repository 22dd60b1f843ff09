//! The guard: a small process between linkwright and each program that it starts, so that nothing
//! of the program outlives linkwright, however linkwright ends.
//!
//! It is this same program under another name ([`NAME`]). It leads a session of its own, so no
//! terminal's signal reaches it or the program, and it is a *subreaper*: a process below it whose
//! parent has ended becomes its child, be it in another group, in another session, or forked
//! twice. So its own children, and theirs, are all that the program has started, and once it has
//! no child there is none.
//!
//! | it sees | it does |
//! |---|---|
//! | the program has ended | gives what is left [`LEFTOVER_GRACE`] to end too, then SIGKILL |
//! | [`DUMP`] | SIGQUIT to the program alone |
//! | [`STOP`], SIGTERM, SIGINT, SIGHUP | SIGTERM to all below it; after [`TERM_GRACE`] SIGKILL |
//! | the socket is closed: linkwright is gone | SIGKILL to all below it, at once |
//!
//! Then it removes the folder for temporary files that it gave the program (a `go` or a `gcc` that
//! is killed leaves hundreds of megabytes in one), answers how the program ended, and ends.
//!
//! The closed socket is the one sign of linkwright's end: the kernel closes it whatever ended
//! linkwright, it cannot come too early as a parent-death signal does when a *thread* ends, and
//! there is no instant in which it is missed.
//!
//! What it does not hold: a process that another uid owns; one that forks faster than the process
//! table is read, for longer than [`KILL_LIMIT`]; all of them, if the guard and linkwright are
//! killed at the same instant.

use crate::effects::guard_words::{Answer, DUMP, NAME, Request, STOP};
use crate::effects::proc_table;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long what was asked to end may live between SIGTERM and SIGKILL.
pub const TERM_GRACE: Duration = Duration::from_secs(1);

/// How long what a program leaves behind may still run: the `tee` at the end of its pipe.
pub const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// How long SIGKILL is tried for. What is stuck in the kernel ends when the kernel lets it.
pub const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How long a round of SIGKILL is given before the next one.
const KILL_ROUND: Duration = Duration::from_millis(10);

/// Tells whether this process was started as a guard, by the name that it was given.
#[must_use]
pub fn is_called(name: Option<&OsStr>) -> bool {
    name == Some(OsStr::new(NAME))
}

/// Is the guard of one program; returns the exit code.
#[must_use]
pub fn serve() -> u8 {
    // Without a request, or with nobody to answer to, there is nothing to do.
    serve_on(io::stdin().as_fd()).map_or(2, |()| 0)
}

/// Where the guard stands.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The program runs.
    Running,
    /// What runs may end by itself until then.
    Ending(Instant),
    /// What runs is killed; until then.
    Killing(Instant),
}

/// What linkwright, or a signal, asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Dump,
    Stop,
    Gone,
}

struct Guard {
    control: UnixStream,
    /// Readable when a child has changed.
    children: UnixStream,
    /// Readable when somebody signals the guard itself.
    signals: UnixStream,
    program: Pid,
    status: Option<i32>,
    /// Whether something was left when the program had ended, and was killed.
    left: bool,
}

fn serve_on(stdin: impl AsFd) -> io::Result<()> {
    // Fails only for the leader of a group, which is apart from the terminal's already.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"lw-guard");
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let mut control = UnixStream::from(stdin.as_fd().try_clone_to_owned()?);
    let children = wakes_on(&[SIGCHLD])?;
    let signals = wakes_on(&[SIGTERM, SIGINT, SIGHUP])?;
    let mut request = Request::read(&mut control)?;
    let scratch = give_scratch(&mut request.env);
    let answer = match start(&request) {
        Ok(program) => {
            let control = control.try_clone()?;
            let guard = Guard { control, children, signals, program, status: None, left: false };
            guard.watch()
        }
        Err(error) => {
            Answer::NotStarted(error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error()))
        }
    };
    drop(scratch);
    control.write_all(&answer.to_bytes())
}

#[expect(clippy::disallowed_methods, reason = "one of the places that spawn")]
fn start(request: &Request) -> io::Result<Pid> {
    let child = std::process::Command::new(&request.program)
        .args(&request.args)
        .env_clear()
        .envs(&request.env)
        .current_dir(&request.folder)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    // It is waited for with all that become our children later.
    Ok(Pid::from_child(&child))
}

/// Makes a folder where the program would put its temporary files, and lets its variables say so.
/// Where that is impossible it has none of its own; whether it needs one, it must say.
fn give_scratch(env: &mut BTreeMap<OsString, OsString>) -> Option<TempDir> {
    let place = |name: &str| env.get(OsStr::new(name)).filter(|it| !it.is_empty()).cloned();
    let go = place("GOTMPDIR");
    let parent = go.clone().or_else(|| place("TMPDIR")).unwrap_or_else(|| "/tmp".into());
    let scratch = tempfile::Builder::new().prefix("linkwright-").tempdir_in(parent).ok()?;
    env.insert("TMPDIR".into(), scratch.path().into());
    if go.is_some() {
        env.insert("GOTMPDIR".into(), scratch.path().into());
    }
    Some(scratch)
}

/// Returns a stream that can be read once one of `signals` has come.
fn wakes_on(signals: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    for signal in signals {
        pipe::register(*signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

impl Guard {
    /// Watches until nothing is left below this process; returns how the program ended.
    fn watch(mut self) -> Answer {
        let mut stage = Stage::Running;
        while self.reap() {
            let now = Instant::now();
            stage = match stage {
                Stage::Running if self.status.is_some() => Stage::Ending(now + LEFTOVER_GRACE),
                Stage::Ending(until) if now >= until => {
                    self.left = self.status.is_some();
                    Stage::Killing(now + KILL_LIMIT)
                }
                Stage::Killing(until) if now >= until => break,
                other => other,
            };
            let patience = match stage {
                Stage::Running => None,
                Stage::Ending(until) => Some(until - now),
                Stage::Killing(_) => {
                    signal_all(Signal::KILL);
                    Some(KILL_ROUND)
                }
            };
            stage = match (self.next(patience, stage), stage) {
                (Asked::Gone, Stage::Running | Stage::Ending(_)) => {
                    Stage::Killing(Instant::now() + KILL_LIMIT)
                }
                (Asked::Dump, Stage::Running) => {
                    let _ = kill_process(self.program, Signal::QUIT);
                    stage
                }
                (Asked::Stop, Stage::Running) => {
                    signal_all(Signal::TERM);
                    Stage::Ending(Instant::now() + TERM_GRACE)
                }
                (_, stage) => stage,
            };
        }
        let status = self.status.unwrap_or(Signal::KILL.as_raw());
        if self.left { Answer::EndedLeaving(status) } else { Answer::Ended(status) }
    }

    /// Takes note of every child that has ended; tells whether one is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if pid == self.program {
                        self.status = Some(status.as_raw());
                    }
                }
                Ok(None) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sleeps until something happens, at most `patience`.
    fn next(&mut self, patience: Option<Duration>, stage: Stage) -> Asked {
        let flags = PollFlags::IN;
        let mut waits = vec![
            PollFd::new(&self.children, flags),
            PollFd::new(&self.signals, flags),
            PollFd::new(&self.control, flags),
        ];
        if matches!(stage, Stage::Killing(_)) {
            // Nothing more can be asked for; a closed socket would only keep us awake.
            waits.truncate(1);
        }
        let patience = patience.and_then(|it| Timespec::try_from(it).ok());
        if poll(&mut waits, patience.as_ref()).is_err() {
            return Asked::Nothing;
        }
        let ready: Vec<bool> = waits.iter().map(|it| !it.revents().is_empty()).collect();
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or(false);
        if is_ready(0) {
            drain(&mut self.children);
        }
        if is_ready(2) {
            let mut byte = [0];
            match self.control.read(&mut byte) {
                Ok(1..) if byte == [STOP] => return Asked::Stop,
                Ok(1..) if byte == [DUMP] => return Asked::Dump,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return Asked::Gone,
            }
        }
        if is_ready(1) {
            drain(&mut self.signals);
            return Asked::Stop;
        }
        Asked::Nothing
    }
}

fn drain(stream: &mut UnixStream) {
    while matches!(stream.read(&mut [0; 64]), Ok(1..)) {}
}

/// Signals every process below this one.
fn signal_all(signal: Signal) {
    for pid in proc_table::below(getpid()) {
        let _ = kill_process(pid, signal);
    }
}
