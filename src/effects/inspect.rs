//! Opens any file that a user names and inspects it, without running it, hanging on it, or reading
//! more of it than a verdict needs.
//!
//! | what is named | what happens | because |
//! |---|---|---|
//! | a symbolic link | followed | users name links; the verdict is about what is behind |
//! | a folder, pipe, socket, device | refused before it is opened | opening a pipe waits, opening a device can act |
//! | a file swapped for one of these in between | opened without waiting, looked at again, refused | a name can change its meaning |
//! | a file of any size | read in pieces: headers, names, and at most 64 MiB for each search | a sparse file of a terabyte costs nothing to make |
//! | a file that shrinks while it is read | an error | |
//!
//! The verdict is about the bytes at the time of reading. A build, which must say of *which* bytes,
//! inspects the artefact that the store holds under its digest.

use crate::formats::bytes::{Bytes, ReadError};
use crate::formats::inspection::{Inspection, Unjudged, inspect, linkage_of};
use crate::formats::linkage::Linkage;
use rustix::fs::{Mode, OFlags};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The least that is asked of the system at once; most of what a verdict needs lies in the first.
const BLOCK: u64 = 8192;

/// Why a file could not be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is not there, or not to be read.
    #[error("{0}")]
    Open(#[source] io::Error),
    /// It is no plain file.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    /// It begins as ELF, Mach-O or PE, and its linkage cannot be read.
    #[error("{0}")]
    Unjudged(#[from] Unjudged),
}

/// Inspects the file at `path`.
///
/// # Errors
///
/// Returns [`InspectError`] if it cannot be opened, is no plain file, or begins as ELF,
/// Mach-O or PE and is broken. All of these are the file's or the caller's fault.
pub fn inspect_file(path: &Path) -> Result<Inspection, InspectError> {
    Ok(inspect(&open(path)?)?)
}

/// Reads how the file at `path` is linked, and nothing else of it.
///
/// # Errors
///
/// As [`inspect_file`].
pub fn linkage_of_file(path: &Path) -> Result<Linkage, InspectError> {
    Ok(linkage_of(&open(path)?)?)
}

fn open(path: &Path) -> Result<Blocks, InspectError> {
    let named = std::fs::metadata(path).map_err(InspectError::Open)?;
    refuse_all_but_files(named.file_type())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(file.map_err(|it| InspectError::Open(it.into()))?);
    let opened = file.metadata().map_err(InspectError::Open)?;
    refuse_all_but_files(opened.file_type())?;
    Ok(Blocks { file, size: opened.len(), last: RefCell::new((0, Vec::new())) })
}

fn refuse_all_but_files(kind: std::fs::FileType) -> Result<(), InspectError> {
    use std::os::unix::fs::FileTypeExt;
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else {
        "something else"
    };
    Err(InspectError::NotAFile(what))
}

/// An open file with the block that was read last.
struct Blocks {
    file: File,
    size: u64,
    last: RefCell<(u64, Vec<u8>)>,
}

impl Blocks {
    fn fetch(&self, offset: u64, length: u64) -> Result<Vec<u8>, ReadError> {
        let length = usize::try_from(length).map_err(|_| ReadError::Outside)?;
        let mut data = vec![0; length];
        match self.file.read_exact_at(&mut data, offset) {
            Ok(()) => Ok(data),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ReadError::Outside),
            Err(error) => Err(ReadError::Io(error.kind())),
        }
    }
}

impl Bytes for Blocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        let end = offset.checked_add(length).filter(|it| *it <= self.size);
        let end = end.ok_or(ReadError::Outside)?;
        if length >= BLOCK {
            return self.fetch(offset, length).map(Cow::Owned);
        }
        let mut last = self.last.borrow_mut();
        let held = last.0..last.0 + last.1.len() as u64;
        if offset < held.start || end > held.end {
            *last = (offset, self.fetch(offset, BLOCK.min(self.size - offset))?);
        }
        let from = usize::try_from(offset - last.0).map_err(|_| ReadError::Outside)?;
        let to = usize::try_from(end - last.0).map_err(|_| ReadError::Outside)?;
        let data = last.1.get(from..to).ok_or(ReadError::Outside)?;
        Ok(Cow::Owned(data.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_pipe_a_device_and_a_folder_are_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, Mode::RUSR, 0).unwrap();
        for path in [&pipe, folder.path(), Path::new("/dev/zero")] {
            let error = inspect_file(path).unwrap_err();
            assert!(matches!(error, InspectError::NotAFile(_)), "{path:?}: {error}");
        }
        let missing = inspect_file(&folder.path().join("missing"));
        assert!(matches!(missing, Err(InspectError::Open(_))));
    }

    #[test]
    fn a_sparse_terabyte_ends_soon() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        // A program header of a writable segment that claims the whole file.
        let mut image = vec![0_u8; 4096];
        image[..6].copy_from_slice(b"\x7fELF\x02\x01");
        image[16] = 2;
        image[18] = 62;
        image[32] = 64;
        image[54] = 56;
        image[56] = 1;
        image[64] = 1;
        image[68] = 6;
        image[64 + 32 + 5] = 1;
        file.write_all(&image).unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        let inspection = inspect_file(file.path()).unwrap();
        assert_eq!(inspection.linkage.class.as_str(), "static");
        assert_eq!(inspection.build_info, None);
    }

    #[test]
    fn an_open_file_and_a_slice_of_it_show_the_same() {
        let own = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&own).unwrap();
        assert_eq!(inspect_file(&own).unwrap(), inspect(&&bytes[..]).unwrap());
    }
}
