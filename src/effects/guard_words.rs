//! What linkwright and a guard say to each other, over the socket that is the guard's stdin.
//!
//! ```text
//! linkwright ▶ guard    the request: MAGIC, then counts and strings, each with its length
//! linkwright ▶ guard    DUMP: SIGQUIT to the program alone, whose Go prints what its goroutines do
//! linkwright ▶ guard    STOP: end the program, with a grace
//! linkwright ▶ guard    nothing any more: linkwright is gone, or wants the end at once
//! guard ▶ linkwright    the answer, once: how the program ended, or why it never began
//! ```
//!
//! Both ends are one program, so there are no versions. Numbers are little-endian.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What a guard is called: linkwright, started by this name, is one.
pub const NAME: &str = "lw-guard";

/// Asks for the end of the program.
pub const STOP: u8 = b'T';

/// Asks the program to say what it does, and to end.
pub const DUMP: u8 = b'Q';

/// The first bytes of a request.
const MAGIC: &[u8; 8] = b"lwguard1";

/// Neither a word of a command line nor the number of words is larger: more than a kernel takes.
const MOST: usize = 64 << 20;

/// The program that a guard is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The program's path.
    pub program: PathBuf,
    /// Its working folder.
    pub folder: PathBuf,
    /// Its arguments, the program's own name not included.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<OsString, OsString>,
}

/// What became of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It could not be started; the system's error number.
    NotStarted(i32),
    /// It ended, and so did all that it left behind; the status, as `wait` gives it.
    Ended(i32),
    /// It ended, and what it left behind was killed; the status, as `wait` gives it.
    EndedLeaving(i32),
}

impl Request {
    /// Returns the request as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { program, folder, args, env } = self;
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, program.as_os_str());
        put(&mut bytes, folder.as_os_str());
        bytes.extend((args.len() as u64).to_le_bytes());
        for arg in args {
            put(&mut bytes, arg);
        }
        bytes.extend((env.len() as u64).to_le_bytes());
        for (name, value) in env {
            put(&mut bytes, name);
            put(&mut bytes, value);
        }
        bytes
    }

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// Returns the reader's error, or `InvalidData` if what comes is no request.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let program = take(from)?.into();
        let folder = take(from)?.into();
        let args = (0..count(from)?).map(|_| take(from)).collect::<io::Result<_>>()?;
        let pairs = (0..count(from)?).map(|_| Ok((take(from)?, take(from)?)));
        Ok(Self { program, folder, args, env: pairs.collect::<io::Result<_>>()? })
    }
}

impl Answer {
    /// The length of an answer.
    pub const LENGTH: usize = 5;

    /// Returns the answer as bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let (kind, number) = match self {
            Self::NotStarted(number) => (0, number),
            Self::Ended(number) => (1, number),
            Self::EndedLeaving(number) => (2, number),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d]
    }

    /// Reads an answer; `None` if it is none, or not the whole of one.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let [kind, a, b, c, d] = *bytes else { return None };
        let number = i32::from_le_bytes([a, b, c, d]);
        match kind {
            0 => Some(Self::NotStarted(number)),
            1 => Some(Self::Ended(number)),
            2 => Some(Self::EndedLeaving(number)),
            _ => None,
        }
    }
}

fn put(bytes: &mut Vec<u8>, word: &OsStr) {
    bytes.extend((word.len() as u64).to_le_bytes());
    bytes.extend(word.as_bytes());
}

fn count(from: &mut impl Read) -> io::Result<usize> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    let count = usize::try_from(u64::from_le_bytes(bytes)).ok().filter(|it| *it <= MOST);
    count.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn take(from: &mut impl Read) -> io::Result<OsString> {
    let mut bytes = vec![0; count(from)?];
    from.read_exact(&mut bytes)?;
    Ok(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Request {
        Request {
            program: "/bin/a b".into(),
            folder: "/".into(),
            args: vec!["".into(), OsString::from_vec(vec![0xff, b'\n'])],
            env: BTreeMap::from([("A".into(), "=1".into()), ("B".into(), "".into())]),
        }
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let bytes = sample().to_bytes();
        assert_eq!(Request::read(&mut bytes.as_slice()).unwrap(), sample());
        let answers = [
            Answer::NotStarted(2),
            Answer::Ended(0x0300),
            Answer::Ended(9),
            Answer::EndedLeaving(0),
        ];
        for answer in answers {
            assert_eq!(Answer::of(&answer.to_bytes()), Some(answer));
        }
    }

    #[test]
    fn half_a_request_starts_nothing() {
        let bytes = sample().to_bytes();
        for length in 0..bytes.len() {
            assert!(Request::read(&mut &bytes[..length]).is_err(), "{length} bytes");
        }
        let mut other = bytes.clone();
        other[0] ^= 1;
        assert!(Request::read(&mut other.as_slice()).is_err());
        let huge = [MAGIC.as_slice(), &u64::MAX.to_le_bytes()].concat();
        assert!(Request::read(&mut huge.as_slice()).is_err());
        assert_eq!(Answer::of(&[1, 0, 0]), None);
        assert_eq!(Answer::of(&[7, 0, 0, 0, 0]), None);
    }
}
