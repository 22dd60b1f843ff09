//! A file as bytes that are read piece by piece.
//!
//! A verdict needs a few kilobytes of a file that may hold many megabytes, so the readers of this
//! layer ask for ranges. A slice answers from memory; `effects::inspect` answers from an open file.
//!
//! **Invariant:** no answer is longer than the file, so no reader allocates more than the file's
//! size, whatever lengths the file claims.

use memchr::memmem::Finder;
use std::borrow::Cow;
use std::io;

/// The most bytes that a search through a file looks at, whatever the file's size: 64 MiB.
///
/// A sparse file of a terabyte costs its maker nothing; reading it would never end.
pub const SEARCH_LIMIT: u64 = 64 << 20;

/// How much a search holds in memory at a time.
const CHUNK: u64 = 64 << 10;

/// How much it looks at first: what is searched for often lies where the search begins.
const FIRST: u64 = 4 << 10;

/// Something with bytes in it.
pub trait Bytes {
    /// Returns how many bytes there are.
    fn size(&self) -> u64;

    /// Returns exactly `length` bytes from `offset`.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError`] if the range does not lie inside, or the reading itself fails.
    fn read(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ReadError>;
}

/// Why a range could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The range does not lie inside the file.
    #[error("the file ends before it")]
    Outside,
    /// The system could not read it.
    #[error("it could not be read: {0}")]
    Io(io::ErrorKind),
}

impl Bytes for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, length: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        let end = offset.checked_add(length).ok_or(ReadError::Outside)?;
        let from = usize::try_from(offset).map_err(|_| ReadError::Outside)?;
        let to = usize::try_from(end).map_err(|_| ReadError::Outside)?;
        self.get(from..to).map(Cow::Borrowed).ok_or(ReadError::Outside)
    }
}

/// Finds the first place of `needle` in the range that `fits`, as an offset in the file.
///
/// Reads in pieces, looks at no more than [`SEARCH_LIMIT`] bytes, and treats what lies outside the
/// file as absent.
///
/// # Errors
///
/// Returns [`ReadError::Io`] if the system could not read.
pub fn find(
    bytes: &dyn Bytes,
    range: std::ops::Range<u64>,
    needle: &[u8],
    fits: impl Fn(u64) -> bool,
) -> Result<Option<u64>, ReadError> {
    let finder = Finder::new(needle);
    let overlap = (needle.len() as u64).saturating_sub(1);
    let end = range.end.min(bytes.size()).min(range.start.saturating_add(SEARCH_LIMIT));
    let (mut start, mut chunk) = (range.start, FIRST);
    while start < end {
        let length = (chunk + overlap).min(end - start);
        let piece = bytes.read(start, length)?;
        let mut places = finder.find_iter(&piece).map(|it| start + it as u64);
        if let Some(at) = places.find(|it| fits(*it)) {
            return Ok(Some(at));
        }
        start += chunk;
        chunk = CHUNK;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_outside_is_an_error_and_not_a_panic() {
        let bytes: &[u8] = b"abc";
        assert_eq!(bytes.read(1, 2).unwrap(), Cow::Borrowed(b"bc"));
        for (offset, length) in [(1, 3), (4, 0), (u64::MAX, 2), (2, u64::MAX)] {
            assert_eq!(bytes.read(offset, length), Err(ReadError::Outside));
        }
    }

    #[test]
    fn a_search_sees_what_lies_across_two_pieces() {
        let mut text = vec![b'.'; 3 * 65536];
        // Across the first two, the next two, and at either end.
        for at in [0, 4096 - 3, 4096 + 65536 - 3, 3 * 65536 - 6] {
            text.fill(b'.');
            text[at..at + 6].copy_from_slice(b"needle");
            let bytes: &[u8] = &text;
            assert_eq!(find(&bytes, 0..u64::MAX, b"needle", |_| true), Ok(Some(at as u64)));
            assert_eq!(find(&bytes, 0..u64::MAX, b"needle", |it| it != at as u64), Ok(None));
            assert_eq!(find(&bytes, at as u64 + 1..u64::MAX, b"needle", |_| true), Ok(None));
            assert_eq!(find(&bytes, u64::MAX..u64::MAX, b"needle", |_| true), Ok(None));
        }
    }
}
