//! One program while it runs: our child, or a guard's.
//!
//! One thread sees to everything, by `poll`: both streams, the guard's answer, the clock and the
//! interrupt. A child without a guard is asked for its end at every tick.

use super::{DUMP_GRACE, Guard, Invocation, PIPE_GRACE, TICK};
use super::{Ended, Heard, Interrupt, ProcessError};
use crate::effects::guard::{KILL_LIMIT, TERM_GRACE};
use crate::effects::guard_words::{Answer, DUMP, NAME, Request, STOP};
use crate::effects::proc_table;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a guard may take beyond the time that it gives the program.
const GUARD_GRACE: Duration = Duration::from_secs(1);

/// Takes what a program prints, as it comes.
type Hear<'a> = &'a mut dyn FnMut(&[u8]);

/// A program that runs, and what has been heard of it.
pub(super) struct Running<'a> {
    invocation: &'a Invocation,
    /// The program itself, or its guard.
    child: Child,
    line: Line,
    answer: Vec<u8>,
    stdout: Stream,
    stderr: Stream,
    /// Who hears both streams, in one, as they come.
    hear: Option<Hear<'a>>,
}

/// Why the program is being ended, and how far that is.
struct Ending {
    since: Instant,
    /// Whether it was asked to say what it does, and not yet to end.
    dumps: bool,
    why: ProcessError,
}

/// What leads to the guard.
enum Line {
    /// There is no guard.
    None,
    Open(UnixStream),
    /// The guard has closed it.
    Closed,
}

/// What is known of the program's end.
enum News {
    None,
    Ended(ExitStatus),
    NotStarted(io::Error),
    /// The guard is gone and has said nothing.
    GuardLost,
}

/// A stream of the program; without a source once it has ended.
struct Stream {
    source: Option<File>,
    bytes: Vec<u8>,
    /// How many of them are kept.
    most: usize,
}

impl<'a> Running<'a> {
    pub(super) fn start(
        invocation: &'a Invocation,
        guard: Option<&Guard>,
    ) -> Result<Self, ProcessError> {
        let streams = || (Stdio::piped(), Stdio::piped());
        let (mut child, line) = begin(invocation, guard, streams())?;
        let most = invocation.most_output;
        let stdout = Stream::of(child.stdout.take().map(OwnedFd::from), most);
        let stderr = Stream::of(child.stderr.take().map(OwnedFd::from), most);
        let answer = Vec::new();
        Ok(Self { invocation, child, line, answer, stdout, stderr, hear: None })
    }

    /// Starts it with both streams in one.
    pub(super) fn start_to_listen(
        invocation: &'a Invocation,
        guard: Option<&Guard>,
        hear: &'a mut dyn FnMut(&[u8]),
    ) -> Result<Self, ProcessError> {
        let pipe = || -> io::Result<_> {
            let (reader, writer) = io::pipe()?;
            Ok((reader, (Stdio::from(writer.try_clone()?), Stdio::from(writer))))
        };
        let (reader, streams) = pipe().map_err(|it| no_start(invocation, it))?;
        let (child, line) = begin(invocation, guard, streams)?;
        let most = invocation.most_output;
        let (stdout, stderr) = (Stream::of(Some(reader.into()), most), Stream::of(None, most));
        let answer = Vec::new();
        Ok(Self { invocation, child, line, answer, stdout, stderr, hear: Some(hear) })
    }

    /// Waits for the program's end, and brings it about when time or the user says so.
    pub(super) fn watch(mut self, interrupt: &Interrupt) -> Result<Ended, ProcessError> {
        let (status, ending) = self.until_end(interrupt)?;
        match ending {
            Some(Ending { why, .. }) => Err(why),
            None => Ok(Ended { status, stdout: self.stdout.bytes, stderr: self.stderr.bytes }),
        }
    }

    /// The same for one that is heard.
    pub(super) fn listen_to_end(mut self, interrupt: &Interrupt) -> Result<Heard, ProcessError> {
        let (status, ending) = self.until_end(interrupt)?;
        let out_of_time = match ending {
            Some(Ending { why: why @ ProcessError::Interrupted, .. }) => return Err(why),
            Some(_) => true,
            None => false,
        };
        let left_behind = matches!(Answer::of(&self.answer), Some(Answer::EndedLeaving(_)));
        Ok(Heard { status, out_of_time, left_behind })
    }

    fn until_end(
        &mut self,
        interrupt: &Interrupt,
    ) -> Result<(ExitStatus, Option<Ending>), ProcessError> {
        let deadline = Instant::now() + self.invocation.limit;
        let mut ending: Option<Ending> = None;
        let mut pause = Duration::from_millis(1);
        let status = loop {
            self.listen(if matches!(self.line, Line::None) { pause } else { TICK });
            pause = TICK.min(pause * 2);
            match self.news() {
                News::None => {}
                News::Ended(status) => break status,
                News::NotStarted(error) => {
                    self.dismiss();
                    return Err(no_start(self.invocation, error));
                }
                News::GuardLost => break self.end_orphans(),
            }
            match &mut ending {
                None => ending = self.begin_to_end(deadline, interrupt),
                Some(it) if !it.dumps => self.insist(it.since.elapsed()),
                Some(it) if it.since.elapsed() > DUMP_GRACE || interrupt.is_set() => {
                    (it.since, it.dumps) = (Instant::now(), false);
                    self.stop();
                }
                Some(_) => {}
            }
        };
        self.dismiss();
        // A signal to all of the terminal may have met the guard before it stood apart.
        if ending.is_none() && status.signal().is_some() && interrupt.is_set() {
            return Err(ProcessError::Interrupted);
        }
        let until = Instant::now() + PIPE_GRACE;
        while (ending.is_none() || self.hear.is_some()) && self.is_open() && Instant::now() < until
        {
            self.listen(TICK);
        }
        Ok((status, ending))
    }

    /// Begins to end the program if time or the user says so.
    fn begin_to_end(&mut self, deadline: Instant, interrupt: &Interrupt) -> Option<Ending> {
        let why = self.must_stop(deadline, interrupt)?;
        let dumps = self.hear.is_some() && matches!(why, ProcessError::TooLong { .. });
        if dumps {
            self.dump();
        } else {
            self.stop();
        }
        Some(Ending { since: Instant::now(), dumps, why })
    }

    fn must_stop(&self, deadline: Instant, interrupt: &Interrupt) -> Option<ProcessError> {
        if interrupt.is_set() {
            return Some(ProcessError::Interrupted);
        }
        let Invocation { program, limit, .. } = self.invocation;
        let error = || ProcessError::TooLong { program: program.clone(), limit: *limit };
        (Instant::now() > deadline).then(error)
    }

    fn is_open(&self) -> bool {
        self.stdout.source.is_some() || self.stderr.source.is_some()
    }

    /// Reads what there is to read, and waits for it at most `patience`.
    fn listen(&mut self, patience: Duration) {
        let line = match &self.line {
            Line::Open(line) => Some(line.as_fd()),
            Line::None | Line::Closed => None,
        };
        let [line, out, err] = ready([line, self.stdout.fd(), self.stderr.fd()], patience);
        if out {
            self.stdout.read();
        }
        if let Some(hear) = &mut self.hear
            && !self.stdout.bytes.is_empty()
        {
            hear(&self.stdout.bytes);
            self.stdout.bytes.clear();
        }
        if err {
            self.stderr.read();
        }
        if line && let Line::Open(socket) = &mut self.line {
            let mut bytes = [0; Answer::LENGTH];
            match socket.read(&mut bytes) {
                Ok(read @ 1..) => self.answer.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => self.line = Line::Closed,
            }
        }
    }

    fn news(&mut self) -> News {
        match (Answer::of(&self.answer), &self.line) {
            (Some(Answer::Ended(status) | Answer::EndedLeaving(status)), _) => {
                News::Ended(ExitStatus::from_raw(status))
            }
            (Some(Answer::NotStarted(number)), _) => {
                News::NotStarted(io::Error::from_raw_os_error(number))
            }
            (None, Line::Open(_)) => News::None,
            (None, Line::Closed) => News::GuardLost,
            (None, Line::None) => match self.child.try_wait() {
                Ok(None) => News::None,
                Ok(Some(status)) => News::Ended(status),
                Err(_) => News::Ended(unknown()),
            },
        }
    }

    /// Asks the program to say what it does.
    fn dump(&mut self) {
        match &mut self.line {
            Line::Open(line) => {
                let _ = line.write_all(&[DUMP]);
            }
            Line::None => {
                let _ = kill_process(Pid::from_child(&self.child), Signal::QUIT);
            }
            Line::Closed => {}
        }
    }

    /// Asks the program to end.
    fn stop(&mut self) {
        match &mut self.line {
            Line::Open(line) => {
                let _ = line.write_all(&[STOP]);
            }
            Line::None => {
                let _ = kill_process_group(Pid::from_child(&self.child), Signal::TERM);
            }
            Line::Closed => {}
        }
    }

    /// Sees to it that a program that was asked to end does.
    fn insist(&mut self, since: Duration) {
        match self.line {
            Line::None if since > TERM_GRACE => {
                let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            }
            // Somebody has stopped the guard, it seems. Without it we can do less, but not nothing.
            Line::Open(_) if since > TERM_GRACE + KILL_LIMIT + GUARD_GRACE => {
                self.line = Line::Closed;
            }
            Line::None | Line::Open(_) | Line::Closed => {}
        }
    }

    /// Ends what a guard leaves that was killed, as far as it stayed in the guard's session;
    /// returns how the guard ended.
    fn end_orphans(&mut self) -> ExitStatus {
        let guard = Pid::from_child(&self.child);
        let _ = self.child.kill();
        // While it is not waited for, nobody else gets its number, nor that of its session.
        let until = Instant::now() + KILL_LIMIT;
        loop {
            let mut left = proc_table::of_session(guard);
            left.retain(|it| *it != guard);
            if left.is_empty() || Instant::now() > until {
                return self.child.wait().unwrap_or_else(|_| unknown());
            }
            for pid in left {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes leave of a guard that has answered: it ends by itself, and soon.
    fn dismiss(&mut self) {
        self.line = Line::Closed;
        let until = Instant::now() + GUARD_GRACE;
        let mut pause = Duration::from_micros(200);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            if Instant::now() + GUARD_GRACE / 2 > until {
                let _ = self.child.kill();
            }
            std::thread::sleep(pause);
            pause = TICK.min(pause * 2);
        }
    }
}

impl Stream {
    fn of(source: Option<OwnedFd>, most: usize) -> Self {
        Self { source: source.map(File::from), bytes: Vec::new(), most }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Reads once; what is over the limit is let go.
    fn read(&mut self) {
        let Some(source) = &mut self.source else { return };
        let mut buffer = vec![0; 64 << 10];
        match source.read(&mut buffer) {
            Ok(read @ 1..) => {
                let room = self.most.saturating_sub(self.bytes.len());
                self.bytes.extend_from_slice(&buffer[..read.min(room)]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => self.source = None,
        }
    }
}

/// Waits until one of `fds` can be read or has ended, at most `patience`; tells which.
fn ready<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], patience: Duration) -> [bool; N] {
    let poll_fd = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let mut waits: Vec<_> = fds.iter().flatten().map(|fd| poll_fd(*fd)).collect();
    let patience = Timespec::try_from(patience).ok();
    if poll(&mut waits, patience.as_ref()).is_err() {
        return [false; N];
    }
    let mut answers = waits.iter().map(|it| !it.revents().is_empty());
    fds.map(|it| it.is_some() && answers.next().unwrap_or(false))
}

/// Starts the program, or a guard and tells it what to start.
fn begin(
    invocation: &Invocation,
    guard: Option<&Guard>,
    streams: (Stdio, Stdio),
) -> Result<(Child, Line), ProcessError> {
    let started = match guard {
        None => spawn(invocation, streams).map(|child| (child, Line::None)),
        Some(guard) => spawn_guard(guard, streams).map(|(child, line)| (child, Line::Open(line))),
    };
    let (child, mut line) = started.map_err(|it| no_start(invocation, it))?;
    if let Line::Open(line) = &mut line {
        let Invocation { program, args, env, folder, .. } = invocation.clone();
        // A guard that does not listen is noticed later: it does not answer either.
        let _ = line.write_all(&Request { program, folder, args, env }.to_bytes());
    }
    Ok((child, line))
}

#[expect(clippy::disallowed_methods, reason = "one of the places that spawn")]
fn spawn(invocation: &Invocation, (stdout, stderr): (Stdio, Stdio)) -> io::Result<Child> {
    Command::new(&invocation.program)
        .args(&invocation.args)
        .env_clear()
        .envs(&invocation.env)
        .current_dir(&invocation.folder)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn()
}

/// Starts a guard; its stdin is the line to it, its other streams are to be the program's.
#[expect(clippy::disallowed_methods, reason = "one of the places that spawn")]
fn spawn_guard(guard: &Guard, (stdout, stderr): (Stdio, Stdio)) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    // A guard that somebody has stopped may not hold us.
    ours.set_write_timeout(Some(Duration::from_secs(10)))?;
    let child = Command::new(&guard.0)
        .arg0(NAME)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(stdout)
        .stderr(stderr)
        .spawn()?;
    Ok((child, ours))
}

fn no_start(invocation: &Invocation, source: io::Error) -> ProcessError {
    ProcessError::Spawn { program: invocation.program.clone(), source }
}

/// The status of a child that somebody else has waited for: it failed.
fn unknown() -> ExitStatus {
    ExitStatus::from_raw(0xff00)
}
