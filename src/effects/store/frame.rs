//! The frame of a record: what makes a file of the action cache proof against damage.
//!
//! ```text
//! LWACTION │ version u32 │ own key 32 │ blobs u32 │ (digest 32, size u64)… │ length u64 │ payload │ BLAKE3 32
//! ```
//!
//! Numbers are little-endian. The digest is of all before it, so that no byte can change unseen;
//! the key is in it, so that a record under another name is none; the blobs are in it, so that
//! keeping house needs to understand no payload.

use crate::words::digest::Digest;

const MAGIC: &[u8; 8] = b"LWACTION";

/// Raised when the frame or the meaning of a payload changes.
const VERSION: u32 = 2;

/// A record, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// What made it.
    pub(super) key: Digest,
    /// The blobs that it names, with their sizes.
    pub(super) blobs: Vec<(Digest, u64)>,
    /// What it says.
    pub(super) payload: &'a [u8],
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsound {
    /// They are not what was written.
    Damaged,
    /// Another linkwright wrote them, and they are as it did.
    OtherVersion,
}

impl<'a> Frame<'a> {
    /// Returns the bytes of a file.
    pub(super) fn seal(&self) -> Vec<u8> {
        let Self { key, blobs, payload } = self;
        let mut bytes = Vec::with_capacity(payload.len() + blobs.len() * 40 + 96);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(key.as_bytes());
        let count = u32::try_from(blobs.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        for (digest, size) in blobs {
            bytes.extend_from_slice(digest.as_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
        }
        bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        bytes.extend_from_slice(payload);
        let seal = Digest::of(&bytes);
        bytes.extend_from_slice(seal.as_bytes());
        bytes
    }

    /// Takes the bytes of a file apart.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Unsound> {
        let seal_at = bytes.len().checked_sub(32).ok_or(Unsound::Damaged)?;
        let (body, seal) = bytes.split_at_checked(seal_at).ok_or(Unsound::Damaged)?;
        if Digest::of(body).as_bytes() != seal {
            return Err(Unsound::Damaged);
        }
        let rest = body.strip_prefix(MAGIC).ok_or(Unsound::Damaged)?;
        match rest.split_first_chunk::<4>() {
            Some((version, rest)) if u32::from_le_bytes(*version) == VERSION => {
                Self::parts(rest).ok_or(Unsound::Damaged)
            }
            Some(_) => Err(Unsound::OtherVersion),
            None => Err(Unsound::Damaged),
        }
    }

    fn parts(rest: &'a [u8]) -> Option<Self> {
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut blobs = Vec::new();
        for _ in 0..u32::from_le_bytes(*count) {
            let (digest, after) = rest.split_first_chunk::<32>()?;
            let (size, after) = after.split_first_chunk::<8>()?;
            blobs.push((Digest::from_bytes(*digest), u64::from_le_bytes(*size)));
            rest = after;
        }
        let (length, payload) = rest.split_first_chunk::<8>()?;
        let whole = u64::from_le_bytes(*length) == payload.len() as u64;
        whole.then_some(Self { key: Digest::from_bytes(*key), blobs, payload })
    }
}

/// Finds the digests in a JSON text: strings of 64 hexadecimal digits.
pub(super) fn digests_in(json: &[u8]) -> Vec<Digest> {
    let mut found = Vec::new();
    for word in json.split(|it| *it == b'"').filter(|it| it.len() == 64) {
        found.extend(std::str::from_utf8(word).ok().and_then(|it| it.parse::<Digest>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened() {
        let blobs = vec![(Digest::of(b"a"), 1), (Digest::of(b"b"), 1 << 40)];
        let frame = Frame { key: Digest::of(b"key"), blobs, payload: b"{}" };
        assert_eq!(Frame::open(&frame.seal()), Ok(frame));
    }

    /// Flips each bit, cuts at each length, adds a byte: none of it is ever a record.
    #[test]
    fn every_damage_is_seen() {
        let blobs = vec![(Digest::of(b"a"), 1)];
        let whole = Frame { key: Digest::of(b"key"), blobs, payload: b"\"made\"" }.seal();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Frame::open(&bytes), Err(Unsound::Damaged), "bit {bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(Frame::open(&whole[..length]), Err(Unsound::Damaged), "length {length}");
        }
        assert_eq!(Frame::open(&[&whole[..], b"x"].concat()), Err(Unsound::Damaged));
    }

    /// Sealed as they should be, yet of no sense: what a program with a mistake would write.
    #[test]
    fn a_sealed_lie_is_refused() {
        let sealed = |body: &[u8]| [body, Digest::of(body).as_bytes().as_slice()].concat();
        let good = Frame { key: Digest::of(b"key"), blobs: Vec::new(), payload: b"{}" }.seal();
        let body = &good[..good.len() - 32];
        assert!(Frame::open(&sealed(body)).is_ok());
        let with = |at: usize, byte: u8| {
            let mut body = body.to_vec();
            body[at] = byte;
            sealed(&body)
        };
        assert_eq!(Frame::open(&with(0, b'X')), Err(Unsound::Damaged), "magic");
        assert_eq!(Frame::open(&with(8, 9)), Err(Unsound::OtherVersion), "version");
        assert_eq!(Frame::open(&with(44, 1)), Err(Unsound::Damaged), "a blob too many");
        assert_eq!(Frame::open(&with(47, 0xff)), Err(Unsound::Damaged), "billions of blobs");
        assert_eq!(Frame::open(&with(48, 3)), Err(Unsound::Damaged), "a byte too many");
        assert_eq!(Frame::open(&sealed(b"")), Err(Unsound::Damaged), "nothing");
    }

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let json = format!(r#"{{"x":"{a}","{b}":["{a}",7,"{a}0","no"]}}"#);
        let mut both = [a, b];
        both.sort_unstable();
        assert_eq!(digests_in(json.as_bytes()), both);
    }
}
