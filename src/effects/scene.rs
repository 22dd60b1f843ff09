//! What a run saw of the machine, so that the next one can tell in one look that it would see the
//! same.
//!
//! | sight | holds as long as | because |
//! |---|---|---|
//! | a file | its stamp is the same, or its bytes have the same digest | a touched file is the same file |
//! | a folder | its stamp is the same, or it holds the same names | what is new there might be read |
//! | nothing | nothing is there | a file found earlier in a search would be taken |
//! | a link in a folder | it leads to something of the same kind | what it leads to may appear without it |
//! | a program on PATH | its stamp is the same | its content counts elsewhere; here only that it is the one found |
//! | an output | its stamp is the same and not racy, or its bytes have the same digest, and it is a file that may be started, if it was one | somebody may have edited or removed it |
//!
//! **Invariant:** a scene is clear only if everything in it but the outputs is older than the run
//! that drew it. So whenever in the run something was looked at, it was as it is drawn, and no two
//! looks differ. What is too young makes the scene unclear, and the next run looks for itself.

use crate::effects::digests::Digests;
use crate::effects::stamp::Stamp;
use crate::effects::store::digest_of;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use walkdir::{DirEntry, WalkDir};

/// A digest as the file that holds scenes has it.
type Bytes = [u8; 32];

/// One thing that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// A file that was read.
    File(Stamp, Bytes),
    /// A folder that was listed; the digest is of its names and what they are.
    Folder(Stamp, Bytes),
    /// Nothing is there.
    Nothing,
    /// What a link in a folder leads to: a file, a folder, or nothing.
    Link(u8),
    /// A program that a search of PATH found.
    Program(Stamp),
    /// A file that we made; whether it may be started.
    Output(Stamp, Bytes, bool),
}

/// Sights by path; nothing is looked at twice.
#[derive(Debug)]
pub struct Scene {
    began: SystemTime,
    sights: BTreeMap<PathBuf, Sight>,
    unclear: Option<PathBuf>,
}

impl Scene {
    /// Begins the scene of a run that began at `began`, with every file that it read.
    #[must_use]
    pub fn new(began: SystemTime, digests: &Digests) -> Self {
        let mut this = Self { began, sights: BTreeMap::new(), unclear: None };
        for (path, (stamp, digest)) in digests.seen() {
            this.sights.insert(path, Sight::File(stamp, *digest.as_bytes()));
        }
        this
    }

    /// Adds a file, by its content.
    pub fn file(&mut self, path: &Path, digests: &Digests) {
        if self.sights.contains_key(path) {
            return;
        }
        match fs::metadata(path).and_then(|it| Ok((Stamp::of(&it), digests.digest(path)?))) {
            Ok((stamp, digest)) => self.add(path, Sight::File(stamp, *digest.as_bytes())),
            Err(_) => self.unclear(path),
        }
    }

    /// Adds a file, or that there is none.
    pub fn perhaps(&mut self, path: &Path, digests: &Digests) {
        if path.is_file() { self.file(path, digests) } else { self.nothing(path) }
    }

    /// Adds a folder, by the names in it.
    pub fn folder(&mut self, path: &Path) {
        if self.sights.contains_key(path) {
            return;
        }
        match fs::metadata(path).and_then(|it| Ok((Stamp::of(&it), entries(path)?))) {
            Ok((stamp, entries)) => {
                let links = entries.iter().filter(|(_, kind)| *kind == LINK);
                for link in links.map(|(name, _)| path.join(name)) {
                    let leads_to = leads_to(&link);
                    self.sights.entry(link).or_insert(Sight::Link(leads_to));
                }
                match digest_of_names(path, &entries) {
                    Ok(names) => self.add(path, Sight::Folder(stamp, names)),
                    Err(_) => self.unclear(path),
                }
            }
            Err(_) => self.unclear(path),
        }
    }

    /// Adds every folder at and below `root` that `enter` lets in, and of the files there those
    /// that `reads` names. Links are not followed, except that `root` may be one.
    pub fn tree(
        &mut self,
        root: &Path,
        digests: &Digests,
        enter: impl Fn(&DirEntry) -> bool,
        reads: impl Fn(&Path) -> bool,
    ) {
        let walk = WalkDir::new(root).follow_root_links(true);
        // What `enter` says of files does not count: all of a folder's own may be read.
        let lets_in = |it: &DirEntry| it.depth() == 0 || !it.file_type().is_dir() || enter(it);
        for entry in walk.into_iter().filter_entry(lets_in) {
            match entry {
                Ok(it) if it.file_type().is_dir() => self.folder(it.path()),
                Ok(it) if reads(it.path()) && it.path().is_file() => self.file(it.path(), digests),
                Ok(_) => {}
                Err(error) => self.unclear(error.path().unwrap_or(root)),
            }
        }
    }

    /// Adds that nothing is at `path`.
    pub fn nothing(&mut self, path: &Path) {
        if is_nothing(path) {
            self.add(path, Sight::Nothing);
        } else {
            self.unclear(path);
        }
    }

    /// Adds a search for a program in the folders of PATH: where it is not, and where it is.
    pub fn search(&mut self, folders: &[PathBuf], name: &str) {
        for path in folders.iter().map(|it| it.join(name)) {
            match fs::metadata(&path) {
                Ok(it) => {
                    self.programs(&path, Stamp::of(&it));
                    if it.is_file() && it.permissions().mode() & 0o111 != 0 {
                        return;
                    }
                }
                Err(_) => self.nothing(&path),
            }
        }
    }

    fn programs(&mut self, path: &Path, stamp: Stamp) {
        // One that was read, too, is held to its content; that it is the same file is enough here.
        if !self.sights.contains_key(path) {
            self.add(path, Sight::Program(stamp));
        }
    }

    /// Adds a file that this run made or found in place, which must hold `digest`.
    pub fn output(&mut self, path: &Path, digests: &Digests, digest: &Digest) {
        let metadata = fs::symlink_metadata(path);
        match metadata.and_then(|it| Ok((it, digests.digest(path)?))) {
            Ok((it, found)) if it.is_file() && found == *digest => {
                let sight = Sight::Output(Stamp::of(&it), *digest.as_bytes(), is_program(&it));
                self.sights.insert(path.to_owned(), sight);
            }
            _ => self.unclear(path),
        }
    }

    /// Makes the scene unclear: something at `path` cannot be told by looking.
    pub fn unclear(&mut self, path: &Path) {
        self.unclear.get_or_insert_with(|| path.to_owned());
    }

    /// Returns the sights, if they are all that the run saw.
    ///
    /// # Errors
    ///
    /// Returns the path of one that is too young, or could not be looked at.
    pub fn clear(self) -> Result<BTreeMap<PathBuf, Sight>, PathBuf> {
        if let Some(path) = self.unclear {
            return Err(path);
        }
        match self.sights.iter().find(|(_, it)| !it.is_settled(self.began)) {
            Some((path, _)) if !planted(Defect::SceneOfYoungFiles) => Err(path.clone()),
            _ => Ok(self.sights),
        }
    }

    fn add(&mut self, path: &Path, sight: Sight) {
        self.sights.insert(path.to_owned(), sight);
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
            Self::Nothing | Self::Link(_) | Self::Output(..) => true,
        }
    }

    /// Tells whether its stamp alone will do, if it was drawn at the moment `then`.
    #[must_use]
    pub fn is_sure(self, then: SystemTime) -> bool {
        !matches!(self, Self::Output(stamp, ..) if stamp.is_racy(then))
    }

    /// Looks again at `path`, drawn at the moment `then`: `None` if it would not be seen the same,
    /// else the sight with the stamp of today.
    #[must_use]
    pub fn again(self, path: &Path, then: SystemTime) -> Option<Self> {
        match self {
            Self::Nothing if planted(Defect::SceneWithoutAbsent) => Some(self),
            Self::Folder(..) if planted(Defect::SceneWithoutFolders) => Some(self),
            Self::Output(..) if planted(Defect::SceneBelievesOutputs) => Some(self),
            Self::Nothing => is_nothing(path).then_some(self),
            Self::Link(kind) => (leads_to(path) == kind).then_some(self),
            Self::Program(stamp) => (Stamp::of(&fs::metadata(path).ok()?) == stamp).then_some(self),
            Self::File(stamp, digest) => {
                let now = fs::metadata(path).ok()?;
                let new = Stamp::of(&now);
                let same = new == stamp || now.is_file() && digest_at(path).ok()? == digest;
                same.then_some(Self::File(new, digest))
            }
            Self::Folder(stamp, digest) => {
                let new = Stamp::of(&fs::metadata(path).ok()?);
                let same =
                    new == stamp || digest_of_names(path, &entries(path).ok()?).ok()? == digest;
                same.then_some(Self::Folder(new, digest))
            }
            Self::Output(stamp, digest, program) => {
                let now = fs::symlink_metadata(path).ok()?;
                let new = Stamp::of(&now);
                let untouched = new == stamp && self.is_sure(then);
                let right = || now.is_file() && is_program(&now) == program;
                let same = untouched || right() && digest_at(path).ok()? == digest;
                same.then_some(Self::Output(new, digest, program))
            }
        }
    }
}

/// Looks again at all of `sights`, drawn at the moment `then`, in parallel: `None` if one is not
/// the same, else all of them as they are now.
#[must_use]
pub fn look_again(sights: &[(PathBuf, Sight)], then: SystemTime) -> Option<Vec<Sight>> {
    // Few and large pieces: one look takes about a microsecond.
    let pieces: Option<Vec<Vec<_>>> = sights
        .par_chunks(512)
        .map(|piece| piece.iter().map(|(path, sight)| sight.again(path, then)).collect())
        .collect();
    Some(pieces?.concat())
}

/// Tells whether no file, folder or link has this path.
fn is_nothing(path: &Path) -> bool {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    fs::symlink_metadata(path).is_err_and(|it| absent.contains(&it.kind()))
}

fn is_program(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o111 != 0
}

fn digest_at(path: &Path) -> io::Result<Bytes> {
    Ok(*digest_of(&mut File::open(path)?, &mut io::sink())?.digest.as_bytes())
}

/// Returns the names in a folder with the kind of each, in order.
fn entries(folder: &Path) -> io::Result<Vec<(OsString, u8)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.file_name(), kind(entry.file_type()?)));
    }
    entries.sort();
    Ok(entries)
}

/// Digests the names in a folder, and where it really is: a link on the way to it may lead to
/// another folder with the same names.
fn digest_of_names(folder: &Path, entries: &[(OsString, u8)]) -> io::Result<Bytes> {
    let mut hasher = blake3::Hasher::new_derive_key("linkwright folder 2");
    let place = folder.canonicalize()?;
    let place = (place.as_os_str().as_bytes(), &0);
    let names = entries.iter().map(|(name, kind)| (name.as_bytes(), kind));
    for (name, kind) in std::iter::once(place).chain(names) {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(&[*kind]);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Says what a link leads to: 0 for nothing, or for something that cannot be looked at.
fn leads_to(link: &Path) -> u8 {
    fs::metadata(link).map_or(0, |it| kind(it.file_type()))
}

const LINK: u8 = 3;

fn kind(it: FileType) -> u8 {
    match () {
        () if it.is_file() => 1,
        () if it.is_dir() => 2,
        () if it.is_symlink() => LINK,
        () if it.is_fifo() => 4,
        () => 5,
    }
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
