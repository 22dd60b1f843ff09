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
    Ok(Blocks { file, size: opened.len(), held: RefCell::default() })
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

/// An open file with the first block, to which readers come back, and the one that was read last.
struct Blocks {
    file: File,
    size: u64,
    held: RefCell<[Block; 2]>,
}

/// A part of a file as it was read.
#[derive(Default)]
struct Block {
    offset: u64,
    data: Vec<u8>,
}

impl Block {
    /// Returns what it holds of a range, if that is all of it.
    fn part(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.data.get(from..from.checked_add(usize::try_from(length).ok()?)?)
    }
}

impl Blocks {
    /// Reads all of `data`.
    fn fill(&self, data: &mut [u8], offset: u64) -> Result<(), ReadError> {
        match self.file.read_exact_at(data, offset) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ReadError::Outside),
            Err(error) => Err(ReadError::Io(error.kind())),
        }
    }
}

/// Returns a length as one of memory.
fn size_of(length: u64) -> Result<usize, ReadError> {
    usize::try_from(length).map_err(|_| ReadError::Outside)
}

impl Bytes for Blocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(ReadError::Outside);
        }
        if length >= BLOCK {
            let mut data = vec![0; size_of(length)?];
            self.fill(&mut data, offset)?;
            return Ok(Cow::Owned(data));
        }
        let mut held = self.held.borrow_mut();
        if let Some(part) = held.iter().find_map(|it| it.part(offset, length)) {
            return Ok(Cow::Owned(part.to_vec()));
        }
        let block = &mut held[usize::from(offset > 0)];
        // Its place in memory is used again.
        block.data.resize(size_of(BLOCK.min(self.size - offset))?, 0);
        block.offset = offset;
        if let Err(error) = self.fill(&mut block.data, offset) {
            // Nothing of it was read.
            block.data.clear();
            return Err(error);
        }
        let part = block.part(offset, length).ok_or(ReadError::Outside)?;
        Ok(Cow::Owned(part.to_vec()))
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
    fn any_part_of_an_open_file_is_read_in_any_order() {
        let text: Vec<u8> = (0..3 * BLOCK).map(|it| (it % 251) as u8).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&text).unwrap();
        let (open, slice) = (open(file.path()).unwrap(), &text[..]);
        let ends = [0, 1, 64, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK - 1, 3 * BLOCK];
        for offset in ends.into_iter().chain(ends.into_iter().rev()).chain([4 * BLOCK]) {
            for length in ends.into_iter().chain([0, 64]) {
                assert_eq!(
                    open.read(offset, length),
                    slice.read(offset, length),
                    "{offset} {length}"
                );
            }
        }
        // What cannot be read is not taken for what was read before.
        file.as_file().set_len(BLOCK / 2).unwrap();
        assert_eq!(open.read(2 * BLOCK + 7, 9), Err(ReadError::Outside));
        assert_eq!(open.read(2 * BLOCK + 7, 9), Err(ReadError::Outside));
    }

    #[test]
    fn an_open_file_and_a_slice_of_it_show_the_same() {
        let own = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&own).unwrap();
        assert_eq!(inspect_file(&own).unwrap(), inspect(&&bytes[..]).unwrap());
    }
}
