//! What lies in a store, counted without being read.

use crate::effects::limits::Space;
use crate::effects::store::{FORMAT, Store};
use crate::words::digest::Digest;
use schemars::JsonSchema;
use serde::Serialize;
use std::fs;
use std::io;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Some files: how many, and their sizes added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tally {
    /// How many.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What lies in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Survey {
    /// The store's folder.
    pub store: String,
    /// The format that this linkwright reads and writes.
    pub format: String,
    /// What keys made.
    pub records: Tally,
    /// The bytes of what they made.
    pub blobs: Tally,
    /// Go toolchains, and the bytes of their files.
    pub toolchains: Tally,
    /// Damaged files that were set aside.
    pub aside: Tally,
    /// Files that were begun and not finished: by builds that run, or were killed.
    pub unfinished: Tally,
    /// Bytes that may still be written to the file system.
    pub free: Option<u64>,
}

/// A file, or what stands where one should be.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Where.
    pub(super) path: PathBuf,
    /// Its name, if it is a regular file with a name that belongs there.
    pub(super) name: Option<Digest>,
    /// Bytes.
    pub(super) size: u64,
    /// When it was written, or, for a record, used.
    pub(super) time: SystemTime,
}

impl AddAssign<u64> for Tally {
    /// Adds one file of so many bytes.
    fn add_assign(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

impl Tally {
    pub(super) fn of(found: &[Found]) -> Self {
        let mut tally = Self::default();
        for it in found {
            tally += it.size;
        }
        tally
    }
}

impl Store {
    /// Counts what is there.
    ///
    /// # Errors
    ///
    /// Returns the first folder that cannot be read.
    pub fn survey(&self) -> Result<Survey, (PathBuf, io::Error)> {
        Ok(Survey {
            store: self.root.parent().unwrap_or(&self.root).display().to_string(),
            format: FORMAT.to_owned(),
            records: Tally::of(&self.room("actions")?),
            blobs: Tally::of(&self.room("blobs")?),
            toolchains: Tally::of(&self.toolchains()?.0),
            aside: Tally::of(&self.folder("aside")?),
            unfinished: Tally::of(&self.folder("tmp")?),
            free: Space::at(&self.root).map(|it| it.free),
        })
    }

    /// Lists `blobs` or `actions`, in the order of their names.
    pub(super) fn room(&self, room: &str) -> Result<Vec<Found>, (PathBuf, io::Error)> {
        let mut all = Vec::new();
        for shelf in list(&self.root.join(room))? {
            if !shelf.file_type().is_ok_and(|it| it.is_dir()) {
                all.extend(found(&shelf, None));
                continue;
            }
            let shelf_name = shelf.file_name();
            for entry in list(&shelf.path())? {
                let name = entry.file_name().to_str().and_then(|it| it.parse::<Digest>().ok());
                let belongs =
                    |it: &Digest| shelf_name.to_str().is_some_and(|s| s == &it.to_string()[..2]);
                all.extend(found(&entry, name.filter(belongs)));
            }
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// Lists Go toolchains, each as one with the time of its last use and all its bytes; and what
    /// is left of others, damaged or never finished.
    pub(super) fn toolchains(&self) -> Result<(Vec<Found>, Vec<Found>), (PathBuf, io::Error)> {
        let (mut whole, mut left) = (Vec::new(), Vec::new());
        for entry in list(&self.root.join("sdk"))? {
            let path = entry.path();
            let is_left = path.extension().is_some_and(|it| it == "damaged" || it == "partial");
            let Some(mut found) = found(&entry, None).filter(|_| path.is_dir()) else { continue };
            let files = walkdir::WalkDir::new(&path).into_iter().filter_map(Result::ok);
            let sizes = files.filter_map(|it| it.metadata().ok().filter(fs::Metadata::is_file));
            found.size = sizes.map(|it| it.len()).sum();
            if is_left {
                left.push(found);
                continue;
            }
            let used = fs::metadata(path.join("kept")).and_then(|it| it.modified());
            found.time = used.unwrap_or(found.time);
            whole.push(found);
        }
        Ok((whole, left))
    }

    /// Lists a folder whose names mean nothing.
    pub(super) fn folder(&self, name: &str) -> Result<Vec<Found>, (PathBuf, io::Error)> {
        let entries = list(&self.root.join(name))?;
        Ok(entries.iter().filter_map(|it| found(it, None)).collect())
    }
}

/// Lists a folder; one that is not there is empty.
fn list(folder: &Path) -> Result<Vec<fs::DirEntry>, (PathBuf, io::Error)> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.and_then(Iterator::collect),
    };
    entries.map_err(|error| (folder.to_owned(), error))
}

/// Describes an entry; `None` if it is gone meanwhile.
fn found(entry: &fs::DirEntry, name: Option<Digest>) -> Option<Found> {
    let metadata = entry.metadata().ok()?;
    Some(Found {
        path: entry.path(),
        name: name.filter(|_| metadata.is_file()),
        size: if metadata.is_dir() { 0 } else { metadata.len() },
        time: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    })
}
