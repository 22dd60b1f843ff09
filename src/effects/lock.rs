//! Locks between processes that die with their holder.
//!
//! A lock is an open file under `flock`: when its holder ends, however it ends, the system lets go
//! of it. So there is nothing to clean up after a crash, and no process id is ever trusted: the
//! holder writes its own and its command line into the file only for the sake of those who wait.
//!
//! | want | while somebody is alone | while some share |
//! |---|---|---|
//! | [`Share::Shared`] | waits | goes on |
//! | [`Share::Alone`] | waits | waits |
//!
//! The file may be removed by whoever holds it alone. One that waited for it then holds a file
//! that nobody can find any more, so after every wait the name is looked up again.

use crate::words::amount::human_time;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one waits without a word.
const SILENCE: Duration = Duration::from_secs(2);

/// How often one tries again.
const TICK: Duration = Duration::from_millis(50);

/// The longest text in a lock file that is read or added to.
const TEXT_LIMIT: u64 = 64 << 10;

/// The most holders that are named.
const MOST_NAMED: usize = 3;

/// A lock that is held until the value goes.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// With whom a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// With others that share it.
    Shared,
    /// With nobody.
    Alone,
}

/// How one waits.
pub struct Patience<'a> {
    /// At most this long.
    pub limit: Duration,
    /// Called once, after two seconds, with the words for those who are waited for.
    pub waiting: &'a dyn Fn(&str),
    /// Tells whether the wait must end at once.
    pub stop: &'a dyn Fn() -> bool,
}

/// The wait was in vain.
#[derive(Debug, thiserror::Error)]
#[error("{holders} still works on `{}`; gave up after {}", .path.display(), human_time(*.limit))]
pub struct Busy {
    /// What the lock is for.
    pub path: PathBuf,
    /// Who holds it, as far as one can tell.
    pub holders: String,
    /// How long one waited.
    pub limit: Duration,
}

/// Why a lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Others hold it.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The run was interrupted.
    #[error("interrupted")]
    Stopped,
    /// The system refuses.
    #[error("cannot lock `{0}`")]
    Io(PathBuf, #[source] io::Error),
}

/// Takes the lock that is the file at `path`, whose folder must be there.
///
/// # Errors
///
/// Returns [`LockError`] if others hold it for too long, or the file cannot be locked at all.
pub fn take(path: &Path, share: Share, patience: &Patience<'_>) -> Result<Lock, LockError> {
    let begun = Instant::now();
    let fault = |error| LockError::Io(path.to_owned(), error);
    let (mut told, mut file) = (false, open(path).map_err(fault)?);
    loop {
        if try_once(&file, share).map_err(fault)? {
            if is_at(&file, path) {
                sign(&file, share);
                return Ok(Lock(file));
            }
            file = open(path).map_err(fault)?;
            continue;
        }
        let waited = begun.elapsed();
        if (patience.stop)() {
            return Err(LockError::Stopped);
        }
        if waited >= patience.limit {
            let folder = path.parent().unwrap_or(path).to_owned();
            let (holders, limit) = (holders(path), patience.limit);
            return Err(Busy { path: folder, holders, limit }.into());
        }
        if waited >= SILENCE && !std::mem::replace(&mut told, true) {
            (patience.waiting)(&holders(path));
        }
        std::thread::sleep(TICK);
    }
}

/// Opens the file for writing, or, where that is not allowed, for reading: that is enough to lock.
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let write = flags | OFlags::RDWR | OFlags::CREATE | OFlags::APPEND;
    // Anybody who may use the store may lock it; the umask decides who that is.
    let mode = Mode::from_raw_mode(0o666);
    let file = rustix::fs::open(path, write, mode)
        .or_else(|error| {
            rustix::fs::open(path, flags | OFlags::RDONLY, Mode::empty()).map_err(|_| error)
        })
        .map(File::from)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn try_once(file: &File, share: Share) -> io::Result<bool> {
    let held = |tried: Result<(), TryLockError>| match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    };
    let alone = held(file.try_lock())?;
    if alone {
        // Whoever is named in it is gone.
        let _ = file.set_len(0);
    }
    match share {
        Share::Alone => Ok(alone),
        Share::Shared => held(file.try_lock_shared()),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(there)) => same(&held, &there),
        _ => false,
    }
}

/// Writes down who we are, for those who will wait. It is only a courtesy, so it may fail.
fn sign(mut file: &File, share: Share) {
    let long = file.metadata().is_ok_and(|it| it.len() > TEXT_LIMIT);
    if share == Share::Shared && long {
        return;
    }
    let mut words = std::env::args_os();
    let program = words.next().map(PathBuf::from).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words: Vec<_> =
        std::iter::once(name).chain(words.map(|it| it.to_string_lossy().into_owned())).collect();
    let command: String = words.join(" ").chars().filter(|it| !it.is_control()).take(120).collect();
    let _ = file.write_all(format!("{} {command}\n", std::process::id()).as_bytes());
}

/// Returns the words for those who seem to hold the lock at `path`.
fn holders(path: &Path) -> String {
    let mut text = Vec::new();
    let _ = open(path).map(|it| it.take(TEXT_LIMIT).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let mut named = Vec::new();
    for line in text.lines() {
        let Some((pid, command)) = line.split_once(' ') else { continue };
        let Ok(pid) = pid.parse::<u32>() else { continue };
        // A name that is there again belongs to somebody else, but nothing hangs on it.
        let lives = pid != std::process::id() && Path::new(&format!("/proc/{pid}")).exists();
        let shown = format!("`{command}` (pid {pid})");
        if lives && !named.contains(&shown) {
            named.push(shown);
        }
    }
    match named.len() {
        0 => "another linkwright".to_owned(),
        1..=MOST_NAMED => named.join(" and "),
        more => format!("{} and {} more", named[..MOST_NAMED].join(", "), more - MOST_NAMED),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;

    fn at_once(path: &Path, share: Share) -> Result<Lock, LockError> {
        take(path, share, &Patience { limit: Duration::ZERO, waiting: &|_| {}, stop: &|| false })
    }

    #[test]
    fn some_share_and_one_is_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let one = at_once(&path, Share::Shared).unwrap();
        let two = at_once(&path, Share::Shared).unwrap();
        assert!(matches!(at_once(&path, Share::Alone), Err(LockError::Busy(_))));
        drop((one, two));
        let alone = at_once(&path, Share::Alone).unwrap();
        assert!(matches!(at_once(&path, Share::Shared), Err(LockError::Busy(_))));
        assert!(matches!(at_once(&path, Share::Alone), Err(LockError::Busy(_))));
        drop(alone);
        at_once(&path, Share::Shared).unwrap();
    }

    #[test]
    fn the_text_of_a_lock_does_not_grow_for_ever_and_is_never_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for share in [Share::Alone, Share::Shared, Share::Shared] {
            drop(at_once(&path, share).unwrap());
            assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        }
        // Says that this machine's first process holds it; nobody does.
        fs::write(&path, "1 init\n").unwrap();
        assert_eq!(holders(&path), "`init` (pid 1)");
        at_once(&path, Share::Alone).unwrap();
        for odd in ["", "x", "-1 a\n", "99999999999 a\n", "4194304999 a\n", "\0\u{1b}\n1\n"] {
            fs::write(&path, odd).unwrap();
            assert_eq!(holders(&path), "another linkwright", "{odd:?}");
        }
    }

    #[test]
    fn a_lock_that_was_removed_by_its_holder_is_taken_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = at_once(&path, Share::Alone).unwrap();
        let (began, other) = (std::sync::mpsc::channel(), path.clone());
        let waiter = std::thread::spawn(move || {
            let stop = || {
                let _ = began.0.send(());
                false
            };
            let limit = Duration::from_mins(1);
            take(&other, Share::Alone, &Patience { limit, waiting: &|_| {}, stop: &stop })
        });
        began.1.recv().unwrap();
        fs::remove_file(&path).unwrap();
        drop(first);
        let second = waiter.join().unwrap().unwrap();
        assert!(matches!(at_once(&path, Share::Alone), Err(LockError::Busy(_))));
        drop(second);
    }

    #[test]
    fn a_wait_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _held = at_once(&path, Share::Alone).unwrap();
        let limit = Duration::from_mins(10);
        let patience = Patience { limit, waiting: &|_| {}, stop: &|| true };
        assert!(matches!(take(&path, Share::Shared, &patience), Err(LockError::Stopped)));
    }

    #[test]
    fn what_is_no_file_cannot_be_locked_and_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        fs::create_dir(&path).unwrap();
        assert!(matches!(at_once(&path, Share::Alone), Err(LockError::Io(..))));
        let nowhere = folder.path().join("no/lock");
        assert!(matches!(at_once(&nowhere, Share::Shared), Err(LockError::Io(..))));
    }
}
