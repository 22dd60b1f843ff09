//! The process outside: it makes the namespaces, starts the first process inside, and ends as the
//! program has ended.
//!
//! A plain user first makes a user namespace in which it is root, since only root may make the
//! others. Who is root makes them at once, and becomes nobody inside ([`super::init`]).
//!
//! It is the parent that a guard or a shell sees. A signal that ends other programs does not end
//! it: the program gets its own (from the terminal, or from a guard, which signals all below it),
//! and its end is ours. Where linkwright has become this process (`run --sealed`), SIGTERM, SIGHUP,
//! SIGUSR1 and SIGUSR2 are passed on, since whoever sends them knows this process alone. A guard
//! that asks what the program does sends SIGQUIT to this process alone, and so it is passed on too.

use super::init::{Broken, Step as _, new_user_namespace};
use super::news::News;
use super::words::Order;
use super::{NAME, NOBODY, Network, SETUP_HINT, loopback, raw};
use crate::words::exit_code::ExitCode;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level::{emulate_default_handler, pipe};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How long the network of another run is waited for.
const NETWORK_LIMIT: Duration = Duration::from_mins(1);

/// Whose signals are passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PassedOn {
    /// Whoever's, where linkwright has become this process.
    ForPeople,
    /// A guard's.
    ForGuard,
    /// Nobody's: the program has got it too.
    Never,
}

/// Signals that do not end this process.
const SIGNALS: [(i32, PassedOn); 6] = [
    (SIGTERM, PassedOn::ForPeople),
    (SIGHUP, PassedOn::ForPeople),
    (SIGUSR1, PassedOn::ForPeople),
    (SIGUSR2, PassedOn::ForPeople),
    (SIGINT, PassedOn::Never),
    (SIGQUIT, PassedOn::ForGuard),
];

/// Is the process outside; returns the exit code.
pub(super) fn serve(order: &Order) -> u8 {
    let news = match run(order) {
        Ok(Outcome::Ended(status)) => return end_as(status),
        Ok(Outcome::EndedLeaving(status)) => {
            tell(&News::EndedLeaving(status.into_raw()), order);
            return end_as(status);
        }
        Ok(Outcome::Told(news)) => news,
        Err(Broken(text)) => News::NotSealed(text),
    };
    tell(&news, order);
    ExitCode::MachineLacks.number()
}

enum Outcome {
    Ended(ExitStatus),
    EndedLeaving(ExitStatus),
    Told(News),
}

fn run(order: &Order) -> Result<Outcome, Broken> {
    let is_root = rustix::process::geteuid().is_root();
    let signals = listen().step(|| "cannot catch signals".into())?;
    make_namespaces(order.root.network, is_root)?;
    let (mut line, theirs) = UnixStream::pair().step(|| "cannot make a socket".into())?;
    let user = is_root.then_some(NOBODY);
    let mut child = spawn(&theirs, user, order).step(|| "cannot start its own program".into())?;
    drop(theirs);
    let whose = if order.report.is_none() { PassedOn::ForPeople } else { PassedOn::ForGuard };
    let news = watch(&mut line, &signals, whose);
    let status = wait(&mut child).step(|| "cannot wait for the root's first process".into())?;
    Ok(match news {
        Some(News::Ended(status)) => Outcome::Ended(ExitStatus::from_raw(status)),
        Some(News::EndedLeaving(status)) => Outcome::EndedLeaving(ExitStatus::from_raw(status)),
        Some(news) => Outcome::Told(news),
        // It was killed, and everything in the root with it.
        None => Outcome::Ended(status),
    })
}

/// Makes the namespaces that this process, or its next child, is in.
fn make_namespaces(network: Network, is_root: bool) -> Result<(), Broken> {
    let others = UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    match network {
        Network::Own => {
            if !is_root {
                new_user_namespace(0, 0)?;
            }
            let all = others | UnshareFlags::NEWNET;
            raw::unshare(all).step(|| "cannot make namespaces".into())?;
            loopback::bring_up().step(|| "cannot bring the loopback interface up".into())
        }
        Network::Of(pid) => {
            join(pid, is_root)?;
            raw::unshare(others).step(|| "cannot make namespaces".into())
        }
    }
}

/// Moves into the network of the sealed run whose process outside is `pid`.
fn join(pid: u32, is_root: bool) -> Result<(), Broken> {
    let own = std::fs::read_link("/proc/self/ns/net").step(|| "cannot look at a network".into())?;
    let until = Instant::now() + NETWORK_LIMIT;
    let path = |kind: &str| PathBuf::from(format!("/proc/{pid}/ns/{kind}"));
    loop {
        let what = || format!("cannot look at the network of process {pid}");
        if std::fs::read_link(path("net")).step(what)? != own {
            break;
        }
        if Instant::now() > until {
            return Err(Broken(format!(
                "process {pid} is no sealed run with a network of its own"
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let open = |kind| File::open(path(kind)).step(|| format!("cannot open a namespace of {pid}"));
    let (user, net) = (open("user")?, open("net")?);
    let what = || format!("cannot enter the network of process {pid}");
    if !is_root {
        move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User)).step(what)?;
    }
    move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network)).step(what)
}

/// Starts the first process inside; `line` stays open for it.
#[expect(clippy::disallowed_methods, reason = "one of the places that spawn")]
fn spawn(line: &UnixStream, user: Option<u32>, order: &Order) -> io::Result<Child> {
    fcntl_setfd(line, FdFlags::empty())?;
    let user = user.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let mut words: Vec<OsString> = vec![NAME.into(), "init".into()];
    let (_open, file) = raw::handed_on(&order.to_bytes())?;
    words.extend([line.as_raw_fd().to_string().into(), user.into(), file.into()]);
    std::process::Command::new("/proc/self/exe").args(words).env_clear().spawn()
}

/// Returns a stream for each of [`SIGNALS`], which can be read once it has come.
fn listen() -> io::Result<Vec<UnixStream>> {
    let listen = |(signal, _): &(i32, PassedOn)| {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        pipe::register(*signal, writer)?;
        Ok(reader)
    };
    SIGNALS.iter().map(listen).collect()
}

/// Waits for news from inside; `None` if there is none and never will be.
fn watch(line: &mut UnixStream, signals: &[UnixStream], whose: PassedOn) -> Option<News> {
    loop {
        let mut waits: Vec<_> = signals.iter().map(|it| PollFd::new(it, PollFlags::IN)).collect();
        waits.push(PollFd::new(&*line, PollFlags::IN));
        if poll(&mut waits, None).is_err() {
            continue;
        }
        let ready: Vec<bool> = waits.iter().map(|it| !it.revents().is_empty()).collect();
        for ((mut signal, (number, passed)), ready) in signals.iter().zip(SIGNALS).zip(&ready) {
            if !*ready {
                continue;
            }
            while matches!(signal.read(&mut [0; 64]), Ok(1..)) {}
            if let (true, Ok(number)) = (passed == whose, u8::try_from(number)) {
                let _ = line.write_all(&[number]);
            }
        }
        if ready.last() == Some(&true) {
            return News::read(line);
        }
    }
}

fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        match child.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Ends as `status` says: with its code, or by its signal.
fn end_as(status: ExitStatus) -> u8 {
    if let Some(signal) = status.signal() {
        // The last image that counts is the program's, not this one's.
        let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
        let _ = setrlimit(Resource::Core, none);
        let pid = rustix::process::getpid();
        let _ = emulate_default_handler(signal);
        let _ = rustix::process::Signal::from_named_raw(signal)
            .map(|it| rustix::process::kill_process(pid, it));
        return u8::try_from(signal).map_or(u8::MAX, |it| it.saturating_add(128));
    }
    status.code().and_then(|it| u8::try_from(it).ok()).unwrap_or(u8::MAX)
}

/// Tells why there was no run: linkwright by a file, a person on stderr.
fn tell(news: &News, order: &Order) {
    if let Some(path) = &order.report {
        let _ = File::create(path).and_then(|mut it| news.write(&mut it));
        return;
    }
    let program = order.program.display();
    let text = match news {
        News::NotSealed(text) => format!(
            "error: `{program}` was not started: no sealed root can be made here\n  because: {text}\n  hint: {SETUP_HINT}\n"
        ),
        News::NotStarted(text) => {
            format!("error: cannot start `{program}` in a sealed root\n  because: {text}\n")
        }
        News::Ended(_) | News::EndedLeaving(_) => return,
    };
    let _ = io::stderr().write_all(text.as_bytes());
}
