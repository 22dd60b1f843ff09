//! The first process inside: pid 1 of the new pid namespace. When it ends, the kernel ends all
//! that is left in there, so nothing needs to be searched for.
//!
//! It makes the root, gives up every right, starts the program as its only child, takes over what
//! the program leaves behind, and ends with the program, or soon after. In this order:
//!
//! | step | because |
//! |---|---|
//! | every descriptor but the three streams closes on start; no stream is a folder | an open folder leads out of any root |
//! | mounts and `pivot_root` ([`super::mounts`]) | |
//! | root becomes uid 65534 | what root owns is not the program's, nor is it exempt from the limit on processes |
//! | a user namespace of its own, with one user and one group | the one before owns mounts and network: the program gets no right over them |
//! | no user namespaces below it (`/proc/sys/user/max_user_namespaces`) | in one it would be root again, as far as the kernel's code holds |
//! | limits, then no capability in any set, then `no_new_privs` | no set-uid file gives a right back |
//! | undumpable again | a program of the same user reads nothing of us in `/proc/1` |
//!
//! # Source
//!
//! `man 7 pid_namespaces`, `man 7 user_namespaces`, `man 7 capabilities`, `man 2 prctl`.

use super::news::News;
use super::words::Order;
use super::{Limits, mounts, raw};
use crate::effects::guard::LEFTOVER_GRACE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions, getegid, geteuid, getrlimit,
    kill_process, set_dumpable_behavior, setrlimit, umask, wait,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::pipe;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// What could not be done, and why.
#[derive(Debug)]
pub(super) struct Broken(pub(super) String);

impl Broken {
    pub(super) fn of(what: String, error: &io::Error) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// Names a step that failed.
pub(super) trait Step<T> {
    fn step(self, what: impl FnOnce() -> String) -> Result<T, Broken>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, what: impl FnOnce() -> String) -> Result<T, Broken> {
        self.map_err(|error| Broken::of(what(), &error.into()))
    }
}

/// Is the first process inside. `control` leads outside; as root it becomes `user`.
pub(super) fn serve(control: RawFd, user: Option<u32>, order: &Order) {
    let mut control = UnixStream::from(raw::inherited(control));
    let news = match enclose(user, order) {
        Err(Broken(text)) => News::NotSealed(text),
        Ok(()) => match start(order) {
            Err(Broken(text)) => News::NotStarted(text),
            Ok((program, children)) => {
                // A person sees the end at once; a run that is judged may end what it began.
                let grace = order.report.as_ref().map_or(Duration::ZERO, |_| LEFTOVER_GRACE);
                match watch((program, grace), children, &mut control) {
                    None => return,
                    Some(news) => news,
                }
            }
        },
    };
    // Who does not listen any more is gone, and ends all this by that.
    let _ = news.write(&mut control);
}

fn enclose(user: Option<u32>, order: &Order) -> Result<(), Broken> {
    raw::close_on_start().step(|| "cannot close what was open".into())?;
    for stream in [io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()] {
        let kind = rustix::fs::fstat(stream).map(|it| it.st_mode & 0o170_000);
        if kind == Ok(0o040_000) {
            return Err(Broken(
                "a standard stream is a folder, which leads out of the root".into(),
            ));
        }
    }
    let name = order.root.host_name.as_bytes();
    rustix::system::sethostname(name).step(|| "cannot set the host's name".into())?;
    umask(Mode::empty());
    // Its own, not the outer process's: `pivot_root` moves all that share one.
    raw::unshare(UnshareFlags::NEWNS).step(|| "cannot make a mount namespace".into())?;
    mounts::enter(&order.root)?;
    umask(Mode::WGRP | Mode::WOTH);
    if let Some(user) = user {
        become_user(user)?;
    }
    own_user_namespace(order.root.user, order.root.group)?;
    limit(&order.root.limits)?;
    give_up_rights()
}

fn become_user(user: u32) -> Result<(), Broken> {
    let what = || format!("cannot become user {user}");
    set_thread_groups(&[]).step(what)?;
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    set_thread_res_gid(gid, gid, gid).step(what)?;
    set_thread_res_uid(uid, uid, uid).step(what)
}

/// Moves into a user namespace in which we are `user` of `group`, and in which there is no other.
fn own_user_namespace(user: u32, group: u32) -> Result<(), Broken> {
    // Who has changed users cannot be looked into, and does not own its own files in `/proc`.
    let dumpable = set_dumpable_behavior(DumpableBehavior::Dumpable);
    dumpable.step(|| "cannot read its own `/proc`".into())?;
    new_user_namespace(user, group)?;
    let most = "/proc/sys/user/max_user_namespaces";
    tell(most, "0").step(|| format!("cannot write `{most}`"))?;
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    dumpable.step(|| "cannot hide its own `/proc`".into())
}

/// Makes a user namespace for this process, whose user and group it calls `user` and `group`.
pub(super) fn new_user_namespace(user: u32, group: u32) -> Result<(), Broken> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    raw::unshare(UnshareFlags::NEWUSER).step(|| "cannot make a user namespace".into())?;
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{user} {uid} 1")),
        ("gid_map", format!("{group} {gid} 1")),
    ];
    for (file, text) in maps {
        let path = format!("/proc/self/{file}");
        tell(&path, &text).step(|| format!("cannot write `{path}`"))?;
    }
    Ok(())
}

/// Writes to a file of the kernel's, in one call.
fn tell(path: &str, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn limit(limits: &Limits) -> Result<(), Broken> {
    let Limits { address_space, processes, open_files, file_size, cpu_seconds } = *limits;
    let all = [
        (Resource::As, address_space),
        (Resource::Nproc, processes),
        (Resource::Nofile, open_files),
        (Resource::Fsize, file_size),
        (Resource::Cpu, cpu_seconds),
        // A program's last image would be written where nobody finds it.
        (Resource::Core, Some(0)),
    ];
    for (resource, limit) in all {
        let Some(limit) = limit else { continue };
        // Nobody here may raise a limit that the caller was given.
        let most = getrlimit(resource).maximum.map_or(limit, |it| it.min(limit));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).step(|| format!("cannot set the limit {resource:?}"))?;
    }
    Ok(())
}

fn give_up_rights() -> Result<(), Broken> {
    let what = || "cannot give up capabilities".to_owned();
    clear_ambient_capability_set().step(what)?;
    for right in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(right) {
            // A kernel that does not know it cannot give it.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(Broken::of(what(), &error.into())),
        }
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).step(what)?;
    set_no_new_privs(true).step(|| "cannot refuse new rights (no_new_privs)".into())
}

#[expect(clippy::disallowed_methods, reason = "one of the places that spawn")]
fn start(order: &Order) -> Result<(Pid, UnixStream), Broken> {
    let Order { program, args, env, folder, .. } = order;
    let (children, writer) = UnixStream::pair().step(|| "cannot make a socket".into())?;
    children.set_nonblocking(true).step(|| "cannot make a socket".into())?;
    pipe::register(SIGCHLD, writer).step(|| "cannot wait for children".into())?;
    if !folder.is_dir() {
        return Err(Broken(format!("its folder `{}` is not in the sealed root", folder.display())));
    }
    let mut command = std::process::Command::new(program);
    let started =
        command.args(args).env_clear().envs(env).env("TMPDIR", "/tmp").current_dir(folder);
    let started = started.spawn().map_err(|error| no_start(program, &error))?;
    Ok((Pid::from_child(&started), children))
}

fn no_start(program: &Path, error: &io::Error) -> Broken {
    let because = match error.kind() {
        io::ErrorKind::NotFound if program.is_file() => {
            "it asks for a loader or interpreter that is not in the sealed root"
        }
        io::ErrorKind::PermissionDenied => {
            "a run that root starts is of user 65534, who must be allowed to read and run it"
        }
        _ => return Broken(error.to_string()),
    };
    Broken(format!("{error}: {because}"))
}

/// Waits for the program's end, and then with patience for that of what it leaves behind; `None`
/// if the one outside is gone.
fn watch(
    (program, grace): (Pid, Duration),
    mut children: UnixStream,
    control: &mut UnixStream,
) -> Option<News> {
    let mut ended: Option<(i32, Instant)> = None;
    loop {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == program => {
                    ended = Some((status.as_raw(), Instant::now() + grace));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                // There is no child any more.
                Err(_) => return ended.map(|it| News::Ended(it.0)),
            }
        }
        let patience = ended.map(|it| it.1.saturating_duration_since(Instant::now()));
        if let (Some((status, _)), Some(Duration::ZERO)) = (ended, patience) {
            return Some(News::EndedLeaving(status));
        }
        let flags = PollFlags::IN;
        let mut waits = [PollFd::new(&children, flags), PollFd::new(&*control, flags)];
        let patience = patience.and_then(|it| Timespec::try_from(it).ok());
        let _ = poll(&mut waits, patience.as_ref());
        let is_told = !waits[1].revents().is_empty();
        while matches!(children.read(&mut [0; 64]), Ok(1..)) {}
        if is_told {
            let mut number = [0];
            match control.read(&mut number) {
                Ok(1..) => {
                    let signal = Signal::from_named_raw(i32::from(number[0]));
                    let _ = signal.map(|it| kill_process(program, it));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return None,
            }
        }
    }
}
