//! What a file's inode says of it, to tell without reading whether it may have changed.
//!
//! Equal stamps mean unchanged content, **racy** ones apart: a file that was written just before
//! it was looked at may be written again in the same tick of the file system's clock and keep its
//! stamp (git's "racy index" rule). The change time cannot be set by a program, so restoring a
//! modification time does not fool it.
//!
//! How long a tick is, the change time itself says: one with a part of a second comes from a clock
//! of ten milliseconds or finer (`CONFIG_HZ`, `current_time()` in Linux's `fs/inode.c`), while one
//! without may come from a file system that keeps seconds, or pairs of them.

use crate::words::defect::{Defect, planted};
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// How old a stamp of whole seconds must be to be trusted: the coarsest tick of a file system.
pub const COARSE: Duration = Duration::from_secs(2);

/// How old any other stamp must be: ten ticks of the coarsest clock of a kernel.
pub const FINE: Duration = Duration::from_millis(100);

/// How many bytes a stamp is written in: seven numbers of eight, little-endian.
pub const BYTES: usize = 56;

/// What a file's inode says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ByteArray<BYTES>", into = "ByteArray<BYTES>")]
pub struct Stamp {
    /// The device.
    pub device: u64,
    /// The inode on it.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time: seconds since 1970, and nanoseconds.
    pub modified: (i64, i64),
    /// Change time: seconds since 1970, and nanoseconds.
    pub changed: (i64, i64),
}

impl From<Stamp> for ByteArray<BYTES> {
    fn from(stamp: Stamp) -> Self {
        Self::new(stamp.to_bytes())
    }
}

impl From<ByteArray<BYTES>> for Stamp {
    fn from(bytes: ByteArray<BYTES>) -> Self {
        Self::from_bytes(&bytes)
    }
}

impl From<&Stat> for Stamp {
    fn from(stat: &Stat) -> Self {
        // What the kernel never says, a negative size or a billion nanoseconds, equals nothing.
        let nanoseconds = |it| i64::try_from(it).unwrap_or(i64::MAX);
        let changed = (stat.st_ctime, nanoseconds(stat.st_ctime_nsec));
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(u64::MAX),
            modified: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
            changed: if planted(Defect::StampWithoutChangeTime) { (0, 0) } else { changed },
        }
    }
}

impl Stamp {
    /// Writes it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; BYTES] {
        let Self { device, inode, size, modified, changed } = self;
        let [m, n, c, d] = [modified.0, modified.1, changed.0, changed.1].map(i64::cast_unsigned);
        let numbers = [device, inode, size, m, n, c, d];
        let mut bytes = [0; BYTES];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Stamp::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let (numbers, _) = bytes.as_chunks::<8>();
        let number = |at: usize| u64::from_le_bytes(numbers[at]);
        let signed = |at: usize| number(at).cast_signed();
        Self {
            device: number(0),
            inode: number(1),
            size: number(2),
            modified: (signed(3), signed(4)),
            changed: (signed(5), signed(6)),
        }
    }

    /// Takes it from what `stat` says.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        let planted = planted(Defect::StampWithoutChangeTime);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: if planted { (0, 0) } else { (metadata.ctime(), metadata.ctime_nsec()) },
        }
    }

    /// Tells whether it is too young at `moment` to be trusted.
    #[must_use]
    pub fn is_racy(self, moment: SystemTime) -> bool {
        let whole = |it: (i64, i64)| it.1 == 0;
        let tick = if whole(self.changed) { COARSE } else { FINE };
        let newest = since_1970(self.modified.max(self.changed));
        let moment = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        !planted(Defect::NoRacyRule) && newest.saturating_add(tick) >= moment
    }

    /// Tells whether the inode may have been changed at `moment` or after it: as exactly as its
    /// clock can say.
    #[must_use]
    pub fn is_changed_since(self, moment: SystemTime) -> bool {
        let (changed, whole) = (since_1970(self.changed), self.changed.1 == 0);
        let moment = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let moment = if whole { Duration::from_secs(moment.as_secs()) } else { moment };
        changed.saturating_add(if whole { Duration::ZERO } else { FINE }) >= moment
    }
}

/// Turns seconds and nanoseconds into a time since 1970; what is before it is at its beginning.
fn since_1970((seconds, rest): (i64, i64)) -> Duration {
    let parts = u64::try_from(seconds).ok().zip(u32::try_from(rest).ok());
    parts.map_or(Duration::ZERO, |(seconds, rest)| Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file last written at `changed`, seconds and nanoseconds, looked at `after` that second.
    #[track_caller]
    fn check(changed: (i64, i64), after: Duration, racy: bool) {
        let stamp = Stamp { device: 1, inode: 1, size: 1, modified: (5, 0), changed };
        let second = Duration::from_secs(changed.0.unsigned_abs());
        let moment = SystemTime::UNIX_EPOCH + second + after;
        assert_eq!(stamp.is_racy(moment), racy, "{changed:?} {after:?}");
    }

    #[test]
    fn both_ways_to_ask_the_system_give_one_stamp() {
        for path in ["/", "/proc/self/exe", "/dev/null"] {
            let stat = rustix::fs::stat(path).unwrap();
            assert_eq!(Stamp::from(&stat), Stamp::of(&std::fs::metadata(path).unwrap()), "{path}");
        }
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp { device: 1, inode: 2, size: 3, modified: (-4, 5), changed: (6, -7) };
        assert_eq!(Stamp::from_bytes(&stamp.to_bytes()), stamp);
        let written = postcard::to_stdvec(&stamp).unwrap();
        assert_eq!(postcard::from_bytes::<Stamp>(&written).unwrap(), stamp);
        assert!(postcard::from_bytes::<Stamp>(&written[1..]).is_err());
    }

    #[test]
    fn a_stamp_is_trusted_once_it_is_older_than_its_clocks_tick() {
        let millis = Duration::from_millis;
        check((100, 500_000_000), millis(510), true);
        check((100, 500_000_000), millis(600), true);
        check((100, 500_000_000), millis(601), false);
        check((100, 0), millis(601), true);
        check((100, 0), millis(2000), true);
        check((100, 0), millis(2001), false);
        check((100, 1), Duration::ZERO, true);
    }

    #[test]
    fn a_change_counts_as_later_where_the_clock_cannot_tell() {
        let check = |changed, seconds, millis, since: bool| {
            let stamp = Stamp { device: 1, inode: 1, size: 1, modified: (1 << 40, 1), changed };
            let moment = Duration::from_secs(seconds) + Duration::from_millis(millis);
            let moment = SystemTime::UNIX_EPOCH + moment;
            assert_eq!(stamp.is_changed_since(moment), since, "{changed:?} {seconds} {millis}");
        };
        check((100, 500_000_000), 100, 400, true);
        check((100, 500_000_000), 100, 600, true);
        check((100, 500_000_000), 100, 601, false);
        check((100, 0), 100, 999, true);
        check((100, 0), 101, 0, false);
    }

    #[test]
    fn a_stamp_from_the_future_is_racy() {
        check((1 << 40, 1), Duration::ZERO, true);
        let stamp = Stamp { device: 1, inode: 1, size: 1, modified: (1 << 40, 1), changed: (5, 5) };
        assert!(stamp.is_racy(SystemTime::UNIX_EPOCH + Duration::from_secs(50)));
    }
}
