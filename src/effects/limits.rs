//! What a machine runs out of: space, inodes, open files, processes.
//!
//! | trouble | is |
//! |---|---|
//! | `ENOSPC`, `EDQUOT`, `EFBIG`, `EROFS`, `EIO` | the disk's |
//! | `EMFILE`, `ENFILE`, `EAGAIN`, `ENOMEM` | a limit's: nothing is wrong with the file that was opened |
//!
//! None of them says anything about a target, so what fails by one is neither kept as a result
//! nor a reason to try the next strategy.

use crate::words::amount::human_size;
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::path::Path;

/// What is left of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that we may still write.
    pub free: u64,
    /// Bytes in all.
    pub size: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub free_files: Option<u64>,
}

impl Space {
    /// Asks the file system that `path`, or the nearest folder above it that exists, lies on.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        let there = path.ancestors().find_map(|it| rustix::fs::statvfs(it).ok())?;
        Some(Self {
            free: there.f_bavail.saturating_mul(there.f_frsize),
            size: there.f_blocks.saturating_mul(there.f_frsize),
            free_files: (there.f_files > 0).then_some(there.f_favail),
        })
    }

    /// Returns ` (4.0 KiB free of 1.0 MiB there)` for the file system of `path`; nothing where that
    /// is unknown.
    #[must_use]
    pub fn note(path: &Path) -> String {
        Self::at(path).map(|it| format!(" ({it} there)")).unwrap_or_default()
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free of {}", human_size(self.free), human_size(self.size))?;
        match self.free_files {
            // More than this is never what is missing.
            Some(files) if files < 100 => write!(f, ", room for {files} files"),
            _ => Ok(()),
        }
    }
}

/// Tells whether the machine, and not the thing that was asked for, is at fault.
#[must_use]
pub fn is_machines(error: &io::Error) -> bool {
    const DISK: [Errno; 5] = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG, Errno::ROFS, Errno::IO];
    Errno::from_io_error(error).is_some_and(|it| DISK.contains(&it)) || is_shortage(error)
}

/// Tells whether we ran into a limit that has nothing to do with the file in question.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    const LIMITS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|it| LIMITS.contains(&it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_errors_are_told_from_the_files() {
        let of = |it: Errno| io::Error::from(it);
        assert!(is_machines(&of(Errno::NOSPC)) && !is_shortage(&of(Errno::NOSPC)));
        assert!(is_machines(&of(Errno::MFILE)) && is_shortage(&of(Errno::MFILE)));
        assert!(!is_machines(&of(Errno::NOENT)) && !is_machines(&of(Errno::ACCESS)));
        assert!(!is_machines(&io::Error::other("no number")));
    }

    #[test]
    fn space_is_that_of_the_nearest_folder() {
        let there = Space::at(Path::new("/no/such/folder")).unwrap();
        assert_eq!(there.size, Space::at(Path::new("/")).unwrap().size);
        let shown = Space { free: 0, size: 1 << 20, free_files: Some(0) }.to_string();
        assert_eq!(shown, "0 B free of 1.0 MiB, room for 0 files");
        assert_eq!(Space { free_files: None, ..there }.to_string().matches("files").count(), 0);
    }
}
