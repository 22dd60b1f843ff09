//! One thing that a run saw, and a second look at it.
//!
//! | sight | holds as long as | because |
//! |---|---|---|
//! | a file | its stamp is the same, or its bytes have the same digest | a touched file is the same file |
//! | a folder | its stamp is the same, or it holds the same names | what is new there might be read |
//! | nothing | nothing is there | a file found earlier in a search would be taken |
//! | a link in a folder that leads out of it | it leads to something of the same kind | what it leads to may appear without it; inside, the folder tells |
//! | a program on PATH | its stamp is the same | its content counts elsewhere; here only that it is the one found |
//! | what a test looked at | its stamp is the same, and of a link the link's own | what of it the test saw is not known here: a longer look decides |
//! | a folder of which a test asked what it is | its kind and permissions are the same | new files in a working folder are no news |
//! | an output | its stamp is the same and not racy, or its bytes have the same digest, and it is a file that may be started, if it was one | somebody may have edited or removed it |
//!
//! Sights that lie near each other are looked up from a folder above all of them, opened once,
//! which spares the system the way from the root for each.

use crate::effects::folders::{LINK, entries, kind};
use crate::effects::stamp::Stamp;
use crate::effects::store::digest_of;
use crate::words::defect::{Defect, planted};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType as Kind, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A digest as the file that holds sights has it.
pub type Bytes = [u8; 32];

/// Sights by path, in the order of their bytes: to compare many paths part by part takes longer
/// than to look at what is there.
pub type Sights = BTreeMap<OsString, Sight>;

/// One thing that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// A file that was read.
    File(Stamp, #[serde(with = "serde_bytes")] Bytes),
    /// A folder that was listed; the digest is of its names and what they are.
    Folder(Stamp, #[serde(with = "serde_bytes")] Bytes),
    /// Nothing is there.
    Nothing,
    /// What a link in a folder leads to: a file, a folder, or nothing.
    Link(u8),
    /// A program that a search of PATH found.
    Program(Stamp),
    /// A file that we made; whether it may be started.
    Output(Stamp, #[serde(with = "serde_bytes")] Bytes, bool),
    /// What a test looked at, links followed; and the link itself, if it is one.
    Looked(Stamp, Option<Stamp>),
    /// The kind and permissions of a folder of which a test asked what it is.
    Mode(u32),
}

/// A folder from which paths are looked up, opened if it is there.
#[derive(Debug)]
pub struct Folder<'a> {
    path: &'a Path,
    opened: Result<OwnedFd, Errno>,
}

/// A path below a folder: where a sight is.
#[derive(Debug, Clone, Copy)]
pub struct Spot<'a> {
    folder: &'a Folder<'a>,
    name: &'a OsStr,
}

impl<'a> Folder<'a> {
    /// Opens the folder at an absolute path.
    #[must_use]
    pub fn open(path: &'a Path) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self { path, opened: openat(CWD, path, flags, Mode::empty()) }
    }

    /// Returns the place of `name`, a path below it; `.` is the folder itself.
    #[must_use]
    pub fn spot(&'a self, name: &'a OsStr) -> Spot<'a> {
        Spot { folder: self, name }
    }
}

impl Spot<'_> {
    fn path(self) -> PathBuf {
        self.folder.path.join(self.name)
    }

    fn stat(self, flags: AtFlags) -> Result<Stat, Errno> {
        let folder: BorrowedFd<'_> = self.folder.opened.as_ref().map_err(|it| *it)?.as_fd();
        statat(folder, self.name, flags)
    }

    /// What is there, links followed.
    fn is(self) -> Option<Stat> {
        self.stat(AtFlags::empty()).ok()
    }

    fn is_nothing(self) -> bool {
        matches!(self.stat(AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT | Errno::NOTDIR))
    }
}

impl Sight {
    /// Tells whether its stamp can be trusted at the moment `now` and after; that of an output is
    /// weighed each time it is looked at.
    #[must_use]
    pub fn is_settled(self, now: SystemTime) -> bool {
        match self {
            Self::File(stamp, _) | Self::Folder(stamp, _) | Self::Program(stamp) => {
                !stamp.is_racy(now)
            }
            Self::Looked(stamp, link) => {
                !stamp.is_racy(now) && !link.is_some_and(|it| it.is_racy(now))
            }
            Self::Nothing | Self::Link(_) | Self::Output(..) | Self::Mode(_) => true,
        }
    }

    /// Tells whether its stamp alone will do, if it was drawn at the moment `then`.
    #[must_use]
    pub fn is_sure(self, then: SystemTime) -> bool {
        !matches!(self, Self::Output(stamp, ..) if stamp.is_racy(then))
    }

    /// Looks again at its `spot`, drawn at the moment `then`: `None` if it would not be seen the
    /// same, else the sight with the stamp of today.
    #[must_use]
    pub fn again(self, spot: Spot<'_>, then: SystemTime) -> Option<Self> {
        match self {
            Self::Nothing if planted(Defect::SceneWithoutAbsent) => Some(self),
            Self::Folder(..) if planted(Defect::SceneWithoutFolders) => Some(self),
            Self::Output(..) if planted(Defect::SceneBelievesOutputs) => Some(self),
            Self::Nothing => spot.is_nothing().then_some(self),
            Self::Link(kind) => (leads_to(&spot.path()) == kind).then_some(self),
            Self::Program(stamp) => (Stamp::from(&spot.is()?) == stamp).then_some(self),
            Self::Looked(stamp, link) => {
                let own = spot.stat(AtFlags::SYMLINK_NOFOLLOW).ok()?;
                let same = match link {
                    None => Stamp::from(&own) == stamp,
                    Some(link) => Stamp::from(&own) == link && Stamp::from(&spot.is()?) == stamp,
                };
                same.then_some(self)
            }
            Self::Mode(mode) => {
                let own = spot.stat(AtFlags::SYMLINK_NOFOLLOW).ok()?;
                (own.st_mode == mode).then_some(self)
            }
            Self::File(stamp, digest) => {
                let now = spot.is()?;
                let new = Stamp::from(&now);
                let same = new == stamp || is_file(&now) && digest_at(&spot.path()).ok()? == digest;
                same.then_some(Self::File(new, digest))
            }
            Self::Folder(stamp, digest) => {
                let new = Stamp::from(&spot.is()?);
                let names = |path: &Path| digest_of_names((path, None), &entries(path)?);
                let same = new == stamp || names(&spot.path()).ok()? == digest;
                same.then_some(Self::Folder(new, digest))
            }
            Self::Output(stamp, digest, program) => {
                let now = spot.stat(AtFlags::SYMLINK_NOFOLLOW).ok()?;
                let new = Stamp::from(&now);
                let untouched = new == stamp && self.is_sure(then);
                let right = || is_file(&now) && (now.st_mode & 0o111 != 0) == program;
                let same = untouched || right() && digest_at(&spot.path()).ok()? == digest;
                same.then_some(Self::Output(new, digest, program))
            }
        }
    }
}

fn is_file(stat: &Stat) -> bool {
    Kind::from_raw_mode(stat.st_mode) == Kind::RegularFile
}

fn digest_at(path: &Path) -> io::Result<Bytes> {
    Ok(*digest_of(&mut File::open(path)?, &mut io::sink())?.digest.as_bytes())
}

/// Digests the names in a folder, what each is, and what its links lead to; and where it really
/// is: a link on the way to it may lead to another folder with the same names.
///
/// The system is asked where it is if `place` does not say so.
///
/// # Errors
///
/// Returns the system's error.
pub fn digest_of_names(
    (folder, place): (&Path, Option<PathBuf>),
    entries: &[(OsString, u8)],
) -> io::Result<Bytes> {
    let mut hasher = blake3::Hasher::new_derive_key("linkwright folder 3");
    let place = place.map_or_else(|| folder.canonicalize(), Ok)?;
    let place = (place.as_os_str().as_bytes(), &0);
    let names = entries.iter().map(|(name, kind)| (name.as_bytes(), kind));
    for (name, kind) in std::iter::once(place).chain(names) {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(&[*kind]);
        if *kind == LINK {
            hasher.update(&[leads_to(&folder.join(OsStr::from_bytes(name)))]);
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Says what a link leads to: 0 for nothing, or for something that cannot be looked at.
#[must_use]
pub fn leads_to(link: &Path) -> u8 {
    fs::metadata(link).map_or(0, |it| kind(it.file_type()))
}
