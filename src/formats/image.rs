//! What the readers of Mach-O and PE share: pieces of a file, numbers and names in them, and why a
//! file is refused.
//!
//! **Invariant:** every offset is checked against the piece or the file that it points into.

use crate::formats::bytes::{Bytes, ReadError};
use std::borrow::Cow;
use std::io;

/// The most names that are read from one file.
pub(super) const MAX_NAMES: usize = 4096;

/// Why a Mach-O or PE file's linkage cannot be read, and where.
///
/// A file that gives one is not judged at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (at byte {offset:#x})")]
pub struct ImageError {
    /// What is wrong.
    pub kind: ImageErrorKind,
    /// The offset in the file, or in the part of a universal file, of what is wrong; where the
    /// format gives an address instead, that.
    pub offset: u64,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageErrorKind {
    /// Something that a header names lies outside the file.
    #[error("the file ends before what its headers name")]
    Truncated,
    /// The system could not read the file.
    #[error("the file could not be read: {0}")]
    Unreadable(io::ErrorKind),
    /// A header has a size or a mark that its format does not have.
    #[error("a header is not as its format demands")]
    Header,
    /// A load command is shorter than its kind, not aligned, or ends behind the commands.
    #[error("a load command has a size that it cannot have")]
    CommandSize,
    /// Something that may occur once occurs twice; readers disagree about which one counts.
    #[error("what may be said once is said twice")]
    Twice,
    /// The parts of a universal file overlap, or one is not what the list of them says.
    #[error("the parts of the universal file are not as its list says")]
    Parts,
    /// An address that no section holds.
    #[error("an address lies in no section")]
    Unmapped,
    /// An entry that some readers take for the end of its list and others do not.
    #[error("a list ends for some readers and goes on for others")]
    Ambiguous,
    /// A name that lies outside its place or has no end in it.
    #[error("a name lies outside its place or has no end")]
    Name,
    /// More names than any linker writes.
    #[error("it names more libraries than linkwright reads")]
    TooMuch,
}

impl ImageErrorKind {
    /// Says where.
    #[must_use]
    pub fn at(self, offset: u64) -> ImageError {
        ImageError { kind: self, offset }
    }
}

/// Reads exactly `length` bytes from `offset`.
pub(super) fn read(
    bytes: &dyn Bytes,
    offset: u64,
    length: u64,
) -> Result<Cow<'_, [u8]>, ImageError> {
    bytes.read(offset, length).map_err(|error| match error {
        ReadError::Outside => ImageErrorKind::Truncated.at(offset),
        ReadError::Io(kind) => ImageErrorKind::Unreadable(kind).at(offset),
    })
}

/// Numbers in a piece of a file, in one byte order; bytes that are not there count as none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) data: &'a [u8],
    pub(super) big: bool,
}

impl Numbers<'_> {
    /// The number of `size` bytes at `at`.
    pub(super) fn number(self, at: usize, size: usize) -> u64 {
        let bytes = self.data.iter().skip(at).take(size);
        let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.big { bytes.fold(0, join) } else { bytes.rev().fold(0, join) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number has two bytes")]
    pub(super) fn half(self, at: usize) -> u16 {
        self.number(at, 2) as u16
    }

    #[expect(clippy::cast_possible_truncation, reason = "the number has four bytes")]
    pub(super) fn word(self, at: usize) -> u32 {
        self.number(at, 4) as u32
    }
}

/// Reads the name at the start of `data`, up to the NUL that must be in it.
pub(super) fn name(data: &[u8], offset: u64) -> Result<String, ImageError> {
    match memchr::memchr(0, data) {
        Some(end) if end > 0 => Ok(String::from_utf8_lossy(&data[..end]).into_owned()),
        _ => Err(ImageErrorKind::Name.at(offset)),
    }
}
