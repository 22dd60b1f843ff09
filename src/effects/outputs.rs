//! Writing into `linkwright-out/`: programs, the ledger, and scratch folders beside them.
//!
//! ```text
//! linkwright-out/.linkwright     the marker: we made this folder
//! linkwright-out/.gitignore      `*`: never committed
//! linkwright-out/.lock           held while a build writes; dies with its holder
//! linkwright-out/bin/…           outputs, mode 0555
//! linkwright-out/bundle/…        bundles: folders and archives
//! linkwright-out/tmp/…           scratch of the running build
//! linkwright-out/ledger.json
//! ```
//!
//! An output appears by rename, whole or not at all; what a failed build does not replace stays.

use crate::effects::digests::Digests;
use crate::effects::file;
use crate::effects::limits::Space;
use crate::effects::lock::{self, Busy, Lock, LockError, Patience, Share};
use crate::effects::out_folder::{LOCK, MARKER};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use crate::words::path::{OUTPUT_FOLDER, RelPath};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The permission bits of an output: everybody may start it, nobody edits it in place.
const MODE: u32 = 0o555;

/// How a system says that nothing is at a path.
const NOT_THERE: [io::ErrorKind; 2] = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];

/// The longest ledger that is read: 4 GiB.
const LEDGER_LIMIT: u64 = 4 << 30;

/// How often a folder that goes while we wait for it is made again.
const MOST_TRIES: usize = 5;

/// The output folder of a workspace, locked for this process.
#[derive(Debug)]
pub struct Outputs {
    present: Present,
    _lock: Lock,
}

/// The output folder of a workspace as it is: to be read, whether it is there or not.
#[derive(Debug)]
pub struct Present {
    folder: PathBuf,
}

/// Why the output folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// It leads elsewhere.
    #[error("`{0}` is a link or a file; outputs are only written into a folder of their own")]
    NotAFolder(PathBuf),
    /// Another build writes there, and did not end in time.
    #[error(transparent)]
    Locked(Busy),
    /// The run was interrupted while it waited for another one.
    #[error("interrupted")]
    Interrupted,
    /// The system refuses.
    #[error("cannot write `{0}`{note}", note = Space::note(.0))]
    Write(PathBuf, #[source] io::Error),
    /// The system does not let us remove what nothing makes any more.
    #[error("cannot remove `{0}`, which no target makes any more")]
    Remove(PathBuf, #[source] io::Error),
    /// The system does not let us read what we wrote.
    #[error("cannot read `{0}`")]
    Read(PathBuf, #[source] io::Error),
}

impl Outputs {
    /// Makes the folder of the workspace `root` ready and takes its lock, with `patience` for
    /// another build.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError`] if the folder is not ours to write, or the wait was in vain.
    pub fn open(root: &Path, patience: &Patience<'_>) -> Result<Self, OutputError> {
        let folder = root.join(OUTPUT_FOLDER);
        let path = folder.join(LOCK);
        let mut tries = 0;
        let lock = loop {
            make(&folder)?;
            match lock::take(&path, Share::Alone, patience) {
                Ok(lock) => break lock,
                Err(LockError::Busy(it)) => return Err(OutputError::Locked(it)),
                Err(LockError::Stopped) => return Err(OutputError::Interrupted),
                // Whoever cleaned up took the folder away while we waited.
                Err(LockError::Io(_, error))
                    if error.kind() == io::ErrorKind::NotFound && tries < MOST_TRIES =>
                {
                    tries += 1;
                }
                Err(LockError::Io(path, error)) => return Err(OutputError::Write(path, error)),
            }
        };
        // What was cleaned up up to now is made again; from now on nobody else does.
        make(&folder)?;
        // Whatever a killed build left here is nobody's.
        let _ = fs::remove_dir_all(folder.join("tmp"));
        Ok(Self { present: Present { folder }, _lock: lock })
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.present.folder
    }

    /// Returns the folder as it is.
    #[must_use]
    pub fn present(&self) -> &Present {
        &self.present
    }

    /// Makes an empty folder on the same file system as the outputs; it goes with the value.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError::Write`] if the system refuses.
    pub fn scratch(&self) -> Result<tempfile::TempDir, OutputError> {
        let parent = self.folder().join("tmp");
        let scratch = fs::create_dir_all(&parent).and_then(|()| tempfile::tempdir_in(&parent));
        scratch.map_err(|error| OutputError::Write(parent, error))
    }

    /// Moves the finished file `made` to the output `path`.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError::Write`] if the system refuses; the old output is then as it was.
    #[expect(clippy::disallowed_methods, reason = "outputs are placed by rename, here alone")]
    pub fn place(&self, made: &Path, path: &RelPath) -> Result<PathBuf, OutputError> {
        let to = path.below(self.folder());
        if let Some(link) = self.present.link_above(path) {
            return Err(OutputError::NotAFolder(link));
        }
        let placed = fs::set_permissions(made, fs::Permissions::from_mode(MODE))
            .and_then(|()| make_folder_of(&to))
            .and_then(|()| {
                if planted(Defect::OverwriteOutputs) {
                    return fs::copy(made, &to).map(drop);
                }
                fs::rename(made, &to)
            });
        match placed {
            Ok(()) => Ok(to),
            Err(error) => Err(OutputError::Write(to, error)),
        }
    }

    /// Moves the finished folder or file `made`, which lies in a scratch folder, to the output
    /// `path`; what was there goes.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError::Write`] if the system refuses.
    #[expect(clippy::disallowed_methods, reason = "outputs are placed by rename, here alone")]
    pub fn place_all(&self, made: &Path, path: &RelPath) -> Result<(), OutputError> {
        let to = path.below(self.folder());
        if let Some(link) = self.present.link_above(path) {
            return Err(OutputError::NotAFolder(link));
        }
        // Nothing is renamed over a folder that holds something, nor a folder over a file.
        let scratch = self.scratch()?;
        let old = scratch.path().join("old");
        let gone = match fs::rename(&to, &old) {
            Err(error) if !NOT_THERE.contains(&error.kind()) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
        let placed = gone.and_then(|()| make_folder_of(&to)).and_then(|()| fs::rename(made, &to));
        placed.map_err(|error| {
            let _ = fs::rename(&old, &to);
            OutputError::Write(to, error)
        })
    }

    /// Removes an output that is a folder or a file, and that no target makes any more.
    ///
    /// # Errors
    ///
    /// Returns the system's refusal. That it is gone already is none.
    pub fn remove_all(&self, path: &RelPath) -> Result<(), OutputError> {
        let place = path.below(self.folder());
        if fs::symlink_metadata(&place).is_ok_and(|it| it.is_dir()) {
            return fs::remove_dir_all(&place).map_err(|it| OutputError::Remove(place, it));
        }
        self.remove(path)
    }

    /// Writes the ledger, if its bytes are other than those on disk.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError::Write`] if the system refuses.
    pub fn write_ledger(&self, text: &str) -> Result<(), OutputError> {
        let path = self.folder().join("ledger.json");
        if file::read_own(&path, LEDGER_LIMIT).is_ok_and(|it| it == text.as_bytes()) {
            return Ok(());
        }
        if fs::symlink_metadata(&path).is_ok_and(|it| it.is_dir()) {
            // Nothing is renamed over a folder.
            let _ = fs::remove_dir_all(&path);
        }
        file::write_over(&path, text.as_bytes()).map_err(|error| OutputError::Write(path, error))
    }

    /// Removes an output that no target makes any more.
    ///
    /// # Errors
    ///
    /// Returns the system's refusal. That it is gone already is none.
    pub fn remove(&self, path: &RelPath) -> Result<(), OutputError> {
        let place = path.below(self.folder());
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OutputError::Remove(place, error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut parent = path.as_str();
        while let Some((folder, _)) = parent.rsplit_once('/') {
            // Fails, and so ends, at the first folder that still holds something.
            if fs::remove_dir(self.folder().join(folder)).is_err() {
                break;
            }
            parent = folder;
        }
        Ok(())
    }
}

impl Present {
    /// Looks at the output folder of the workspace `root`.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self { folder: root.join(OUTPUT_FOLDER) }
    }

    /// Returns where the output `path` is, if it is there.
    #[must_use]
    pub fn place(&self, path: &RelPath) -> PathBuf {
        path.below(&self.folder)
    }

    /// Tells whether the output `path` is in place, startable, with the bytes `digest`.
    #[must_use]
    pub fn holds(&self, digests: &Digests, path: &RelPath, digest: &Digest) -> bool {
        let to = path.below(&self.folder);
        let metadata = fs::symlink_metadata(&to);
        self.link_above(path).is_none()
            && metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
            && (planted(Defect::BelieveOutputs)
                || digests.digest(&to).is_ok_and(|it| it == *digest))
    }

    /// Finds a folder on the way to `path` that is a link, and so leads out of the output folder.
    fn link_above(&self, path: &RelPath) -> Option<PathBuf> {
        let to = path.below(&self.folder);
        let folders = to.ancestors().skip(1).take_while(|it| **it != self.folder);
        folders.filter(|it| it.is_symlink()).last().map(Path::to_owned)
    }

    /// Reads the ledger of the last build, if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError::Read`] if it is there and the system does not let us read it: as if
    /// there were none, the outputs that it names would be forgotten, and never removed.
    pub fn read_ledger(&self) -> Result<Option<Vec<u8>>, OutputError> {
        let path = self.folder.join("ledger.json");
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // It is none of ours, and is replaced.
            Ok(it) if !it.is_file() => Ok(None),
            Ok(_) => file::read_own(&path, LEDGER_LIMIT).map(Some),
            Err(error) => Err(error),
        }
        .map_err(|error| OutputError::Read(path, error))
    }
}

/// Makes the output folder with what marks it as ours.
fn make(folder: &Path) -> Result<(), OutputError> {
    let write = |path: &Path| {
        let path = path.to_owned();
        move |error| OutputError::Write(path, error)
    };
    match fs::symlink_metadata(folder) {
        Ok(it) if !it.is_dir() => return Err(OutputError::NotAFolder(folder.to_owned())),
        _ => fs::create_dir_all(folder).map_err(write(folder))?,
    }
    for (name, text) in [(MARKER, "outputs of linkwright; safe to delete\n"), (".gitignore", "*\n")]
    {
        let path = folder.join(name);
        if !path.exists() {
            file::write_over(&path, text.as_bytes()).map_err(write(&path))?;
        }
    }
    Ok(())
}

/// Makes the folders above `to`. Where a file stands in the way that was once an output (a target
/// `a` gave way to a package `a`), it goes.
fn make_folder_of(to: &Path) -> io::Result<()> {
    let Some(folder) = to.parent() else { return Ok(()) };
    if to.is_dir() {
        fs::remove_dir(to)?;
    }
    match fs::create_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            if let Some(file) = folder.ancestors().find(|it| it.is_file()) {
                fs::remove_file(file)?;
            }
            fs::create_dir_all(folder)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_file() => {
            fs::remove_file(folder)?;
            fs::create_dir_all(folder)
        }
        other => other,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;
    use std::time::Duration;

    fn open(root: &Path) -> Result<Outputs, OutputError> {
        let (limit, waiting, stop) = (Duration::ZERO, &|_: &str| {}, &|| false);
        Outputs::open(root, &Patience { limit, waiting, stop })
    }

    #[test]
    fn two_builds_do_not_write_at_the_same_time() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path()).unwrap();
        assert!(matches!(open(root.path()), Err(OutputError::Locked(_))));
        drop(first);
        open(root.path()).unwrap();
    }

    #[test]
    fn an_output_folder_that_is_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join(OUTPUT_FOLDER)).unwrap();
        assert!(matches!(open(root.path()), Err(OutputError::NotAFolder(_))));
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_output_that_was_edited_is_not_held() {
        let root = tempfile::tempdir().unwrap();
        let outputs = open(root.path()).unwrap();
        let digests = Digests::open(&root.path().join("stamps"), false);
        let (made, path) = (root.path().join("made"), RelPath::parse("bin/a/b").unwrap());
        fs::write(&made, "program").unwrap();
        let to = outputs.place(&made, &path).unwrap();
        let holds = || outputs.present().holds(&digests, &path, &Digest::of(b"program"));
        assert!(holds());
        fs::remove_file(&to).unwrap();
        fs::write(&to, "progrum").unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o555)).unwrap();
        assert!(!holds());
        outputs.remove(&path).unwrap();
        assert!(!outputs.folder().join("bin").exists());
    }

    #[test]
    fn a_file_gives_way_to_a_folder_of_its_name() {
        let root = tempfile::tempdir().unwrap();
        let outputs = open(root.path()).unwrap();
        for name in ["bin/a", "bin/a/b", "bin/a/b/c"] {
            let made = root.path().join("made");
            fs::write(&made, name).unwrap();
            let to = outputs.place(&made, &RelPath::parse(name).unwrap()).unwrap();
            assert_eq!(fs::read(to).unwrap(), name.as_bytes());
        }
    }
}
