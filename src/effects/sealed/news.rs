//! What the first process of a sealed root tells the one outside, over a socket between them; and
//! the file in which linkwright is told.

use std::io::{self, Read, Write};

/// The longest text.
const MOST: usize = 64 << 10;

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// The root could not be made: this machine does not allow it, or a declared file is not there.
    NotSealed(String),
    /// The root was made, and the program could not be started in it.
    NotStarted(String),
    /// The program has ended; its status, as `wait` gives it.
    Ended(i32),
    /// The same, and what it left behind was killed.
    EndedLeaving(i32),
}

impl News {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (kind, text) = match self {
            Self::NotSealed(text) => (b'S', text.clone()),
            Self::NotStarted(text) => (b'N', text.clone()),
            Self::Ended(status) => (b'E', status.to_string()),
            Self::EndedLeaving(status) => (b'L', status.to_string()),
        };
        to.write_all(&[&[kind], text.as_bytes()].concat())
    }

    /// Reads all that comes until the end; `None` if it is no news.
    pub(super) fn read(from: &mut impl Read) -> Option<Self> {
        let mut bytes = Vec::new();
        from.take(MOST as u64).read_to_end(&mut bytes).ok()?;
        Self::of(&bytes)
    }

    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let (kind, text) = bytes.split_first()?;
        let text = String::from_utf8_lossy(text).into_owned();
        match kind {
            b'S' => Some(Self::NotSealed(text)),
            b'N' => Some(Self::NotStarted(text)),
            b'E' => Some(Self::Ended(text.parse().ok()?)),
            b'L' => Some(Self::EndedLeaving(text.parse().ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for news in [
            News::NotSealed("a: b".into()),
            News::NotStarted(String::new()),
            News::Ended(0x8b),
            News::EndedLeaving(0),
        ] {
            let mut bytes = Vec::new();
            news.write(&mut bytes).unwrap();
            assert_eq!(News::read(&mut bytes.as_slice()), Some(news));
        }
        assert_eq!(News::of(b""), None);
        assert_eq!(News::of(b"Ex"), None);
    }
}
