//! Reads everything in a store and says what is wrong.
//!
//! | found | is | mended by |
//! |---|---|---|
//! | bytes that do not have the digest in their name | damage | setting them aside |
//! | a record that does not open, or under another name | damage | setting it aside |
//! | a name that is no digest, a folder, link or pipe where a file belongs | damage | setting it aside |
//! | a record whose blob is missing, or of another size | damage | removing the record |
//! | a blob that no record names | no damage: a killed build left it | nothing; `gc` removes it |
//!
//! Records are listed before blobs, so that what a build adds meanwhile is not taken for damage.

use crate::effects::store::frame::{Frame, Unsound};
use crate::effects::store::survey::{Found, Tally};
use crate::effects::store::{RECORD_LIMIT, Store, digest_of, is_absence, open_regular, read_all};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a check of the whole store came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// The records that were read.
    pub records: Tally,
    /// The blobs that were read.
    pub blobs: Tally,
    /// What is wrong, by path.
    pub damaged: Vec<Damage>,
    /// Blobs that no record names. They are no damage.
    pub orphans: Tally,
    /// Whether it was interrupted before all was read.
    pub stopped: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Damage {
    /// Its path below the store's folder.
    pub path: String,
    /// What is wrong with it, a clause.
    pub what: String,
    /// What was done about it; `null` if nothing was.
    pub mended: Option<String>,
}

/// What may interrupt a check, and who hears how far it is.
pub struct Watch<'a> {
    /// Takes the bytes that were read so far, and those that are to be read in all.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Tells whether to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// What is wrong with a file, before anything was done.
struct Wrong {
    path: PathBuf,
    what: String,
    /// A record that is sound itself is removed; all else is set aside.
    sound: bool,
}

/// A record that opened: its path and the blobs it names.
type Opened = (PathBuf, Vec<(Digest, u64)>);

impl Store {
    /// Reads every record and every blob, on all threads of the current pool; with `mend`, moves
    /// what is wrong out of the way, which needs the store's lock alone.
    ///
    /// # Errors
    ///
    /// Returns the first folder that cannot be read, or file that cannot be moved.
    pub fn check(&self, mend: bool, watch: &Watch<'_>) -> Result<Check, (PathBuf, io::Error)> {
        let records = self.room("actions")?;
        let blobs = self.room("blobs")?;
        let mut check =
            Check { records: Tally::of(&records), blobs: Tally::of(&blobs), ..Check::default() };
        let total = check.records.bytes + check.blobs.bytes;
        let read = AtomicU64::new(0);
        let ended = |size: u64| {
            (watch.progress)(read.fetch_add(size, Ordering::Relaxed) + size, total);
        };
        let one = |it: &Found| {
            let opened = if (watch.stop)() { None } else { Some(open_record(it)) };
            ended(it.size);
            opened
        };
        let opened: Vec<_> = records.par_iter().filter_map(one).collect();
        let one = |it: &Found| {
            let wrong = if (watch.stop)() { None } else { wrong_blob(it) };
            ended(it.size);
            wrong
        };
        let mut wrong: Vec<Wrong> = blobs.par_iter().filter_map(one).collect();
        check.stopped = (watch.stop)();
        if check.stopped {
            return Ok(check);
        }
        let bad: HashSet<_> = wrong.iter().map(|it| it.path.clone()).collect();
        let there: HashMap<_, _> = blobs
            .iter()
            .filter(|it| !bad.contains(&it.path))
            .filter_map(|it| Some((it.name?, it.size)))
            .collect();
        let mut named = HashSet::new();
        for record in opened {
            match record {
                Ok(None) => {}
                Ok(Some((path, needs))) => {
                    named.extend(needs.iter().map(|it| it.0));
                    wrong.extend(dangling(path, &needs, &there));
                }
                Err(it) => wrong.push(it),
            }
        }
        for (_, size) in there.iter().filter(|(it, _)| !named.contains(it)) {
            check.orphans += *size;
        }
        wrong.sort_by(|a, b| a.path.cmp(&b.path));
        for it in wrong {
            check.damaged.push(self.settle(it, mend)?);
        }
        Ok(check)
    }

    fn settle(&self, wrong: Wrong, mend: bool) -> Result<Damage, (PathBuf, io::Error)> {
        let Wrong { path, what, sound } = wrong;
        let fault = |error| (path.clone(), error);
        let mended = match (mend, sound) {
            (false, _) => None,
            (true, true) => {
                fs::remove_file(&path).map_err(fault)?;
                Some("removed".to_owned())
            }
            (true, false) => {
                self.move_aside(&path).map_err(fault)?;
                Some("set aside".to_owned())
            }
        };
        Ok(Damage { path: self.below(&path), what, mended })
    }

    fn below(&self, path: &Path) -> String {
        let folder = self.root.parent().unwrap_or(&self.root);
        path.strip_prefix(folder).unwrap_or(path).display().to_string()
    }
}

fn wrong(found: &Found, what: impl Into<String>) -> Wrong {
    Wrong { path: found.path.clone(), what: what.into(), sound: false }
}

/// Opens a record; `Ok(None)` if it is gone, or another version's.
fn open_record(found: &Found) -> Result<Option<Opened>, Wrong> {
    let Some(name) = found.name else {
        return Err(wrong(found, "does not belong among the records"));
    };
    let bytes = match open_regular(&found.path).and_then(|it| read_all(&it, RECORD_LIMIT)) {
        Err(error) if is_absence(&error) => return Ok(None),
        read => read.map_err(|error| wrong(found, format!("cannot be read: {error}")))?,
    };
    match Frame::open(&bytes) {
        Ok(frame) if frame.key == name => Ok(Some((found.path.clone(), frame.blobs))),
        Ok(_) => Err(wrong(found, "is the record of another key")),
        Err(Unsound::OtherVersion) => Ok(None),
        Err(Unsound::Damaged) => Err(wrong(found, "is damaged")),
    }
}

fn wrong_blob(found: &Found) -> Option<Wrong> {
    let Some(name) = found.name else {
        return Some(wrong(found, "does not belong among the blobs"));
    };
    let read = open_regular(&found.path).and_then(|mut it| digest_of(&mut it, &mut io::sink()));
    match read {
        Ok(it) if it.digest == name => None,
        Ok(_) => Some(wrong(found, "does not hold the bytes that its name says")),
        Err(error) if is_absence(&error) => None,
        Err(error) => Some(wrong(found, format!("cannot be read: {error}"))),
    }
}

fn dangling(path: PathBuf, needs: &[(Digest, u64)], there: &HashMap<Digest, u64>) -> Option<Wrong> {
    let bad = needs.iter().find(|(digest, size)| there.get(digest) != Some(size))?;
    let what = match there.get(&bad.0) {
        None => format!("names the blob {}, which is not there", bad.0),
        Some(size) => format!("names the blob {} with {} bytes; it has {size}", bad.0, bad.1),
    };
    Some(Wrong { path, what, sound: true })
}
