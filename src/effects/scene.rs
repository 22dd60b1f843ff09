//! What a run saw of the machine, so that the next one can tell in one look that it would see the
//! same.
//!
//! What a sight is, and how long it holds, `effects::sight` says.
//!
//! **Invariant:** a scene is clear only if everything in it but the outputs is older than the run
//! that drew it. So whenever in the run something was looked at, it was as it is drawn, and no two
//! looks differ. What is too young makes the scene unclear, and the next run looks for itself.

use crate::effects::digests::Digests;
use crate::effects::sight::{LINK, Sight, digest_of_names, entries, leads_to};
use crate::effects::stamp::Stamp;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use walkdir::{DirEntry, WalkDir};

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

    /// Adds a file that this run made or found in place, whatever it holds.
    pub fn output_as_found(&mut self, path: &Path, digests: &Digests) {
        match digests.digest(path) {
            Ok(digest) => self.output(path, digests, &digest),
            Err(_) => self.unclear(path),
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

/// Tells whether no file, folder or link has this path.
fn is_nothing(path: &Path) -> bool {
    let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    fs::symlink_metadata(path).is_err_and(|it| absent.contains(&it.kind()))
}

fn is_program(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
