//! Runs a program and strikes it at one chosen system call.
//!
//! Every thread of the program stops at each of its system calls (ptrace); those that touch files
//! below one folder are numbered in the order in which they come, over all threads. So "the 17th
//! change that linkwright makes to the disk" is one point, and the points of a run can be counted
//! and struck one by one. (`strace -e inject` numbers each kind of call in each thread on its own,
//! which leaves points that no number reaches.) Children of the program are not touched.
//!
//! ```text
//! stopped before call k:  Kill    SIGKILL; the call is never made
//!                         Errno   the call is replaced by none, and its result by the error
//! ```

use crate::faults::calls::{Call, Calls, Family};
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is done at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// Nothing; the calls are listed.
    Count,
    /// The program is killed before it.
    Kill,
    /// It fails.
    Fail(Errno),
    /// It fails, and so do all that follow it.
    FailOn(Errno),
}

/// Which calls are numbered, and what happens at which of them.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The calls that count.
    pub family: Family,
    /// They count where they touch something below one of these folders.
    pub below: Vec<PathBuf>,
    /// The number of the call that is struck; the first is 1.
    pub at: u64,
    /// What happens to it.
    pub strike: Strike,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Traced {
    /// How many calls counted, up to the strike.
    pub calls: u64,
    /// All calls below the folders, of whatever family, where nothing is struck.
    pub seen: Vec<Call>,
    /// The call that was struck first, in words.
    pub struck: Option<String>,
    /// What it touched.
    pub path: Option<PathBuf>,
    /// The exit code, if it ended by itself.
    pub code: Option<i32>,
    /// It did not end in time and was killed.
    pub hung: bool,
}

/// A thread of the program between the two stops of a call.
#[derive(Debug, Default)]
struct Thread {
    inside: bool,
    fails_with: Option<Errno>,
}

struct Tracer<'a> {
    plan: &'a Plan,
    leader: Pid,
    calls: Calls,
    threads: HashMap<Pid, Thread>,
    traced: Traced,
}

/// Starts `command` and strikes it as `plan` says; after `limit` it is killed.
///
/// # Errors
///
/// Returns the system's error if the program cannot be started or followed.
pub fn trace(command: &mut Command, plan: &Plan, limit: Duration) -> io::Result<Traced> {
    // This returns when the program is loaded: by then its memory is its own.
    let mut child = start(command)?;
    let leader = Pid::from_raw(child.id().cast_signed());
    let watch = Watch::over(leader, limit);
    let (traced, threads) = (Traced::default(), HashMap::new());
    let mut tracer = Tracer { plan, leader, calls: Calls::of(leader), threads, traced };
    let followed = tracer.follow();
    let hung = watch.end();
    if followed.is_err() {
        let _ = child.kill();
    }
    followed?;
    let mut traced = tracer.traced;
    traced.hung = hung;
    Ok(traced)
}

#[expect(unsafe_code, reason = "a traced program asks for it itself, between fork and exec")]
fn start(command: &mut Command) -> io::Result<Child> {
    // SAFETY: the closure makes one system call, allocates nothing and takes no lock.
    let command = unsafe { command.pre_exec(|| ptrace::traceme().map_err(io::Error::from)) };
    command.spawn()
}

impl Tracer<'_> {
    fn follow(&mut self) -> io::Result<()> {
        waitpid(self.leader, Some(WaitPidFlag::__WALL))?;
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(self.leader, options)?;
        self.threads.insert(self.leader, Thread::default());
        ptrace::syscall(self.leader, None)?;
        // Only what this thread traces: other lanes have children of their own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(flags))? {
                WaitStatus::PtraceSyscall(thread) => {
                    self.stopped(thread);
                    go_on(thread, None);
                }
                WaitStatus::Exited(thread, code) if thread == self.leader => {
                    self.traced.code = Some(code);
                    return Ok(());
                }
                WaitStatus::Signaled(thread, _, _) if thread == self.leader => return Ok(()),
                WaitStatus::Stopped(thread, signal) => {
                    // The first stop of a new thread is no signal that anybody sent.
                    let is_new = !self.threads.contains_key(&thread);
                    self.threads.entry(thread).or_default();
                    go_on(thread, (!is_new || signal != Signal::SIGSTOP).then_some(signal));
                }
                WaitStatus::PtraceEvent(thread, _, _) => go_on(thread, None),
                other => {
                    if let Some(thread) = other.pid() {
                        self.threads.remove(&thread);
                    }
                }
            }
        }
    }

    fn stopped(&mut self, thread: Pid) {
        let Ok(mut registers) = ptrace::getregs(thread) else { return };
        let state = self.threads.entry(thread).or_default();
        state.inside = !state.inside;
        if !state.inside {
            if let Some(error) = state.fails_with.take() {
                registers.rax = (-i64::from(error as i32)).cast_unsigned();
                let _ = ptrace::setregs(thread, registers);
            }
            return;
        }
        if self.traced.struck.is_some() && !matches!(self.plan.strike, Strike::FailOn(_)) {
            return;
        }
        let Some(call) = self.calls.read(&registers) else { return };
        if !self.plan.below.iter().any(|it| call.path.starts_with(it)) {
            return;
        }
        if self.plan.strike == Strike::Count {
            self.traced.seen.push(call);
            return;
        }
        if !call.families.contains(&self.plan.family) {
            return;
        }
        self.traced.calls += 1;
        if self.traced.calls < self.plan.at {
            return;
        }
        let error = match self.plan.strike {
            Strike::Count => return,
            Strike::Kill => {
                let _ = kill(self.leader, Signal::SIGKILL);
                return self.note(call);
            }
            Strike::Fail(error) | Strike::FailOn(error) => error,
        };
        // No such call: the kernel does nothing, and the result is set when it is done with that.
        registers.orig_rax = u64::MAX;
        if ptrace::setregs(thread, registers).is_ok() {
            self.threads.entry(thread).or_default().fails_with = Some(error);
            self.note(call);
        }
    }

    fn note(&mut self, call: Call) {
        if self.traced.struck.is_none() {
            self.traced.struck = Some(call.words());
            self.traced.path = Some(call.path);
        }
    }
}

/// Lets a stopped thread run; one that is dead by now needs nothing.
fn go_on(thread: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(thread, signal);
}

/// Kills a program that does not end.
struct Watch {
    done: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<bool>,
}

impl Watch {
    fn over(leader: Pid, limit: Duration) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            while !is_done.load(Ordering::SeqCst) {
                if began.elapsed() > limit {
                    let _ = kill(leader, Signal::SIGKILL);
                    return true;
                }
                std::thread::park_timeout(Duration::from_millis(200));
            }
            false
        });
        Self { done, thread }
    }

    /// Ends the watch; tells whether it had to kill.
    fn end(self) -> bool {
        self.done.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or(false)
    }
}

/// The registers of a thread at a call.
pub type Registers = libc::user_regs_struct;
