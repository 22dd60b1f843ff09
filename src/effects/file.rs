//! Whole files, written so that a reader sees all of one or nothing: a temporary file beside the
//! target, synced, then renamed.

use std::fs::File;
use std::io::{self, Read, Write};
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

/// Writes a file as [`write_over`] does, without waiting for the disk: after a crash of the machine
/// it may hold anything, so it must be one whose damage its readers see.
///
/// # Errors
///
/// Returns what the system says.
pub fn write_over_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    written(path, bytes)?.persist(path).map(drop).map_err(|it| it.error)
}

/// Tells whether [`write_over`] could write there now: a file can be made beside it, and it is one
/// itself, if it is there.
///
/// # Errors
///
/// Returns what the system says, or that something else than a file has its name.
pub fn can_write_over(path: &Path) -> io::Result<()> {
    // A rename would put a file in the place of a device, or of the link to it.
    if path.metadata().is_ok_and(|it| !it.is_file()) {
        return Err(io::Error::other("it is no regular file"));
    }
    filled(path, b"").map(drop)
}

/// Makes a folder, and those above it, unless they are there.
///
/// # Errors
///
/// Returns what the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Reads a file that we wrote. What has its name by now may be anything: no link is followed, a
/// FIFO or a device is not waited for, and what is longer than `limit` is refused.
///
/// # Errors
///
/// Returns what the system says, or that it is no regular file, or too long.
pub fn read_own(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    if file.take(limit + 1).read_to_end(&mut bytes)? as u64 > limit {
        return Err(io::Error::other("too long"));
    }
    Ok(bytes)
}

fn filled(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let file = written(path, bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a file beside `path`, which the disk need not have yet.
fn written(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = Builder::new();
    // As any other program would make it: the caller's umask decides.
    builder.prefix(".linkwright-").permissions(std::fs::Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        write_new(&path, b"bytes").unwrap();
        assert_eq!(read_own(&path, 5).unwrap(), b"bytes");
        assert!(read_own(&path, 4).is_err());
        std::fs::remove_file(&path).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        for path in [&path, folder.path(), Path::new("/dev/zero")] {
            assert!(read_own(path, 5).is_err(), "{path:?}");
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(read_own(&link, 1 << 20).is_err());
    }

    #[test]
    fn a_new_file_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("BUILD.ron");
        write_new(&path, b"one").unwrap();
        let error = write_new(&path, b"two").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_over_unsynced(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        write_over(&path, b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        can_write_over(&path).unwrap();
        can_write_over(&folder.path().join("new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        let none = folder.path().join("none/new");
        for path in [folder.path(), Path::new("/dev/null"), &none] {
            assert!(can_write_over(path).is_err(), "{path:?}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
