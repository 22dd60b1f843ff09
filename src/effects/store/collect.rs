//! Makes room in a store: what was not used for the longest time goes first.
//!
//! The caller holds the store's lock alone, so no build that could lock it is running. In this
//! order, so that a record never names a blob that is gone, whenever it ends:
//!
//! 1. records and Go toolchains that are too old, then the least recently used until the rest fits
//!    the budget;
//! 2. the blobs that only these records named;
//! 3. blobs that no record names and files that were begun and not finished, both only when they
//!    are older than [`GRACE`], since a build on a machine that cannot lock may be writing them;
//! 4. what was set aside.
//!
//! A time in the future counts as this moment: a clock that was wrong loses nothing.

use crate::effects::store::frame::Frame;
use crate::effects::store::survey::{Found, Tally};
use crate::effects::store::{RECORD_LIMIT, Store, is_absence, open_regular, read_all};
use crate::words::digest::Digest;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How old a file must be before it is taken for left over.
pub const GRACE: Duration = Duration::from_hours(1);

/// What may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// At most this many bytes of records, their blobs, and Go toolchains.
    pub size: u64,
    /// What was used within this time.
    pub age: Duration,
}

/// What went, and what stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Collected {
    /// Records that went.
    pub records: Tally,
    /// Blobs that went.
    pub blobs: Tally,
    /// Go toolchains that went.
    pub toolchains: Tally,
    /// Damaged files that had been set aside, and unfinished ones.
    pub left_over: Tally,
    /// Records, blobs and toolchains that stay.
    pub kept: Tally,
    /// Whether it was interrupted; then less went than should, and the rest is sound.
    pub stopped: bool,
}

/// How a collection is done.
pub struct Manner<'a> {
    /// Whether anything is removed; else it is only counted.
    pub dry_run: bool,
    /// Tells whether to stop.
    pub stop: &'a dyn Fn() -> bool,
}

struct Record {
    found: Found,
    blobs: Vec<(Digest, u64)>,
    is_toolchain: bool,
}

/// Removes files one after the other, until told to stop.
struct Broom<'a> {
    manner: &'a Manner<'a>,
    stopped: bool,
}

impl Store {
    /// Makes room.
    ///
    /// # Errors
    ///
    /// Returns the first folder that cannot be read, or file that cannot be removed; what is there
    /// is sound all the same.
    #[expect(clippy::disallowed_methods, reason = "ages are measured from this moment")]
    pub fn collect(
        &self,
        budget: Budget,
        manner: &Manner<'_>,
    ) -> Result<Collected, (PathBuf, io::Error)> {
        let now = SystemTime::now();
        let (mut records, broken) = self.records()?;
        let (toolchains, remains) = self.toolchains()?;
        // One names no blobs: its size is that of all its files.
        let whole = |found: Found| Record { found, blobs: Vec::new(), is_toolchain: true };
        records.extend(toolchains.into_iter().map(whole));
        let blobs = self.room("blobs")?;
        let mut uses: HashMap<Digest, u64> = HashMap::new();
        for digest in records.iter().flat_map(|it| &it.blobs).map(|it| it.0) {
            *uses.entry(digest).or_default() += 1;
        }
        let (leaves, stays) = sort(records, &blobs, &mut uses, (budget, now));
        let (mut done, mut broom) = (Collected::default(), Broom { manner, stopped: false });
        for Record { found, is_toolchain, .. } in &leaves {
            let tally = if *is_toolchain { &mut done.toolchains } else { &mut done.records };
            broom.sweep(found, tally)?;
        }
        for found in &broken {
            broom.sweep(found, &mut done.records)?;
        }
        let was_named: std::collections::HashSet<_> =
            leaves.iter().flat_map(|it| &it.blobs).map(|it| it.0).collect();
        done.kept = Tally::of(&stays.into_iter().map(|it| it.found).collect::<Vec<_>>());
        for blob in &blobs {
            let is_used = blob.name.is_some_and(|it| uses.contains_key(&it));
            let was_used = blob.name.is_some_and(|it| was_named.contains(&it));
            if is_used || !was_used && age(blob, now) < GRACE {
                done.kept += blob.size;
            } else {
                broom.sweep(blob, &mut done.blobs)?;
            }
        }
        let mut unfinished = self.folder("tmp")?;
        // The memory of digests is written beside the rooms.
        unfinished.extend(self.folder("")?.into_iter().filter(is_unfinished_memory));
        unfinished.extend(remains);
        unfinished.retain(|it| age(it, now) >= GRACE);
        for found in unfinished.into_iter().chain(self.folder("aside")?) {
            broom.sweep(&found, &mut done.left_over)?;
        }
        done.stopped = broom.stopped;
        Ok(done)
    }

    /// Reads what every record names; those that do not open can never be of use again.
    fn records(&self) -> Result<(Vec<Record>, Vec<Found>), (PathBuf, io::Error)> {
        let (mut sound, mut broken) = (Vec::new(), Vec::new());
        for found in self.room("actions")? {
            let Some(name) = found.name else {
                broken.push(found);
                continue;
            };
            let bytes = match open_regular(&found.path).and_then(|it| read_all(&it, RECORD_LIMIT)) {
                Err(error) if is_absence(&error) => continue,
                read => read.map_err(|error| (found.path.clone(), error))?,
            };
            match Frame::open(&bytes) {
                Ok(frame) if frame.key == name => {
                    let blobs = frame.blobs;
                    sound.push(Record { found, blobs, is_toolchain: false });
                }
                _ => broken.push(found),
            }
        }
        Ok((sound, broken))
    }
}

/// Sorts records into those that leave and those that stay; afterwards `uses` holds the blobs that
/// stay alone.
fn sort(
    mut records: Vec<Record>,
    blobs: &[Found],
    uses: &mut HashMap<Digest, u64>,
    (budget, now): (Budget, SystemTime),
) -> (Vec<Record>, Vec<Record>) {
    let sizes: HashMap<_, _> = blobs.iter().filter_map(|it| Some((it.name?, it.size))).collect();
    let size = |it: &Digest| sizes.get(it).copied().unwrap_or(0);
    let mut total: u64 = uses.keys().map(size).sum();
    total += records.iter().map(|it| it.found.size).sum::<u64>();
    // The oldest first; among equals the order of names decides, so that it is always the same.
    records.sort_by(|a, b| (a.found.time, &a.found.path).cmp(&(b.found.time, &b.found.path)));
    let (mut leaves, mut stays) = (Vec::new(), Vec::new());
    for record in records {
        if total <= budget.size && age(&record.found, now) <= budget.age {
            stays.push(record);
            continue;
        }
        total -= record.found.size;
        for (digest, _) in &record.blobs {
            if let Some(count) = uses.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    uses.remove(digest);
                    total -= size(digest);
                }
            }
        }
        leaves.push(record);
    }
    (leaves, stays)
}

fn is_unfinished_memory(found: &Found) -> bool {
    let name = found.path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".stamps-")
}

fn age(found: &Found, now: SystemTime) -> Duration {
    now.duration_since(found.time).unwrap_or_default()
}

impl Broom<'_> {
    fn sweep(&mut self, found: &Found, tally: &mut Tally) -> Result<(), (PathBuf, io::Error)> {
        self.stopped |= (self.manner.stop)();
        if self.stopped {
            return Ok(());
        }
        if !self.manner.dry_run {
            remove(found).map_err(|error| (found.path.clone(), error))?;
        }
        *tally += found.size;
        Ok(())
    }
}

/// Removes what has a name in the store, whatever it is; no link is followed.
fn remove(found: &Found) -> io::Result<()> {
    let gone = match fs::remove_file(&found.path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            fs::remove_dir_all(&found.path)
        }
        other => other,
    };
    match gone {
        Err(error) if is_absence(&error) => Ok(()),
        other => other,
    }
}
