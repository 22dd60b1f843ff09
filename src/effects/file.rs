//! Whole files, written so that a reader sees all of one or nothing: a temporary file beside the
//! target, synced, then renamed.

use std::io::{self, Write};
use std::path::Path;
use tempfile::{Builder, NamedTempFile};

/// Writes a file that must not exist yet.
///
/// # Errors
///
/// Returns `AlreadyExists` if something has that name, else what the system says.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = filled(path, bytes)?;
    file.persist_noclobber(path).map(drop).map_err(|it| it.error)
}

/// Writes a file, in place of the one that has its name.
///
/// # Errors
///
/// Returns what the system says.
pub fn write_over(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = filled(path, bytes)?;
    file.persist(path).map(drop).map_err(|it| it.error)
}

/// Makes a folder, and those above it, unless they are there.
///
/// # Errors
///
/// Returns what the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Tells whether files can be made in a folder, which is made if it is not there.
#[must_use]
pub fn can_write_into(folder: &Path) -> bool {
    make_folder(folder).and_then(|()| tempfile::tempfile_in(folder)).is_ok()
}

fn filled(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = Builder::new();
    // As any other program would make it: the caller's umask decides.
    builder.prefix(".linkwright-").permissions(std::fs::Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("BUILD.ron");
        write_new(&path, b"one").unwrap();
        let error = write_new(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_over(&path, b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
