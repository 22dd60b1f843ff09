//! The folder of a workspace's outputs, and its removal.
//!
//! | there is | then |
//! |---|---|
//! | nothing | nothing is done |
//! | a folder with our marker | it is removed, the marker last but for the lock, so that a killed removal can be repeated |
//! | a folder without it, a link, a file | it is left alone, because it may be someone's work |
//!
//! The folder is locked meanwhile, as it is while a build writes into it.
//!
//! **Invariant:** no link is followed, so nothing outside the folder is touched.

use crate::effects::lock::{self, Busy, LockError, Patience, Share};
use crate::words::path::OUTPUT_FOLDER;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The file in it that says who made it.
pub const MARKER: &str = ".linkwright";

/// The file in it that is locked while somebody writes there.
pub const LOCK: &str = ".lock";

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Files and links.
    pub files: usize,
    /// Their sizes, added up.
    pub bytes: u64,
}

/// Why the folder stays.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// It is a link or a file; the user made it.
    #[error("`{0}` is not a folder")]
    NotAFolder(PathBuf),
    /// It has no marker; the user made it.
    #[error("`{0}` was not made by linkwright: it holds no `{MARKER}`")]
    NotOurs(PathBuf),
    /// A build writes there, and did not end in time.
    #[error(transparent)]
    Locked(Busy),
    /// The run was interrupted while it waited.
    #[error("interrupted")]
    Interrupted,
    /// The system refuses.
    #[error("cannot remove `{0}`")]
    Io(PathBuf, #[source] io::Error),
}

/// Removes the output folder of the workspace at `root`, with `patience` for a build that works on
/// it; `None` if there is none.
///
/// # Errors
///
/// Returns [`RemoveError`]; all but the last change nothing.
pub fn remove(root: &Path, patience: &Patience<'_>) -> Result<Option<Removed>, RemoveError> {
    let folder = root.join(OUTPUT_FOLDER);
    let fault = |path: &Path| {
        let path = path.to_path_buf();
        |error| RemoveError::Io(path, error)
    };
    match fs::symlink_metadata(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RemoveError::Io(folder, error)),
        Ok(it) if !it.is_dir() => return Err(RemoveError::NotAFolder(folder)),
        Ok(_) => {}
    }
    let (marker, lock) = (folder.join(MARKER), folder.join(LOCK));
    if !fs::symlink_metadata(&marker).is_ok_and(|it| it.is_file()) && !holds_only(&folder, LOCK) {
        return Err(RemoveError::NotOurs(folder));
    }
    let removed = measure(&folder);
    let held = lock::take(&lock, Share::Alone, patience).map_err(|error| match error {
        LockError::Busy(busy) => RemoveError::Locked(busy),
        LockError::Stopped => RemoveError::Interrupted,
        LockError::Io(path, error) => RemoveError::Io(path, error),
    })?;
    for entry in fs::read_dir(&folder).map_err(fault(&folder))? {
        let entry = entry.map_err(fault(&folder))?;
        let path = entry.path();
        let is_folder = entry.file_type().map_err(fault(&path))?.is_dir();
        match is_folder {
            true => fs::remove_dir_all(&path).map_err(fault(&path))?,
            false if path == marker || path == lock => {}
            false => fs::remove_file(&path).map_err(fault(&path))?,
        }
    }
    for path in [&marker, &lock] {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(fault(path))?,
        }
    }
    drop(held);
    match fs::remove_dir(&folder) {
        // A build that waited for us has begun.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        other => other.map_err(fault(&folder))?,
    }
    Ok(Some(removed))
}

/// Tells whether the folder holds one file of this name and nothing else.
fn holds_only(folder: &Path, name: &str) -> bool {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.file_name());
    names.collect::<Vec<_>>() == [name]
}

/// Counts without following links; what cannot be read counts nothing.
fn measure(folder: &Path) -> Removed {
    let files = WalkDir::new(folder).into_iter().flatten().filter(|it| !it.file_type().is_dir());
    let sizes = files.map(|it| it.metadata().map_or(0, |it| it.len()));
    sizes.fold(Removed::default(), |sum, size| Removed {
        files: sum.files + 1,
        bytes: sum.bytes + size,
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test makes the folders that it removes")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    fn removed(root: &Path) -> Result<Option<Removed>, RemoveError> {
        let (limit, waiting, stop) = (Duration::ZERO, &|_: &str| {}, &|| false);
        remove(root, &Patience { limit, waiting, stop })
    }

    #[test]
    fn our_folder_goes_and_what_it_links_to_stays() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("precious");
        fs::create_dir_all(outside.join("sub")).unwrap();
        fs::write(outside.join("file"), "mine").unwrap();
        let folder = root.path().join(OUTPUT_FOLDER);
        fs::create_dir_all(folder.join("bin/cmd")).unwrap();
        fs::write(folder.join("bin/cmd/x"), "12345").unwrap();
        symlink(&outside, folder.join("bin/link")).unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        fs::write(folder.join(MARKER), "").unwrap();
        assert_eq!(removed(root.path()).unwrap().unwrap().files, 4);
        assert!(!folder.exists());
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"mine");
        assert_eq!(removed(root.path()).unwrap(), None);
    }

    #[test]
    fn what_we_did_not_make_stays() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(OUTPUT_FOLDER);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("thesis.txt"), "mine").unwrap();
        assert!(matches!(removed(root.path()), Err(RemoveError::NotOurs(_))));
        assert!(folder.join("thesis.txt").exists());
        let other = root.path().join("other");
        fs::rename(&folder, &other).unwrap();
        fs::write(other.join(MARKER), "").unwrap();
        symlink(&other, &folder).unwrap();
        assert!(matches!(removed(root.path()), Err(RemoveError::NotAFolder(_))));
        assert!(other.join("thesis.txt").exists());
    }
}
