//! The store: content-addressed artefacts, and the action cache that says which key made them.
//!
//! ```text
//! <store>/format                   the marker: which layout and which frames are below
//! <store>/v1/blobs/ab/<64 hex>     bytes whose BLAKE3 is the name, mode 0444
//! <store>/v1/actions/ab/<64 hex>   framed record: what the key in the name made; its time is the
//!                                  time of its last use, to the hour
//! <store>/v1/sdk/                  Go toolchains, each a folder (`effects::go_sdk`)
//! <store>/v1/tmp/                  files that are being written
//! <store>/v1/aside/                damaged files, kept for inspection, never read
//! <store>/v1/lock                  shared by builds; whoever cleans up is alone
//! ```
//!
//! **Commit.** A blob is written to a temporary name on the same file system, hashed on the way,
//! made read-only and renamed; the record follows, strictly after its blobs, and only if all of
//! them were kept. So whatever is interrupted, a record never names a blob that was not whole.
//! Nothing is synced: what a power loss takes is found missing or damaged on the next read, and
//! made again.
//!
//! **Read.** Integrity does not rest on the file system: a record carries its own key, its length
//! and a digest, a blob is hashed as it is copied out, or after it was cloned. What does not agree
//! is moved aside and is a miss. Putting the same bytes again heals whatever has the blob's name.
//!
//! **Formats.** A store whose marker names another format is neither read nor written.
//!
//! The store is an optimisation: every trouble with it is a miss and a word in [`Store::troubles`],
//! never a failed build. Bytes leave it and come into it as copies or clones, never as hard links:
//! what is done to an output is not done to the store.

mod blobs;
pub mod check;
pub mod collect;
mod frame;
pub mod survey;
mod troubles;

pub use blobs::NewBlob;

use crate::effects::file;
use crate::effects::limits::{Space, is_shortage};
use crate::effects::lock::{self, Lock, LockError, Patience, Share};
use crate::effects::store::frame::{Frame, Unsound, digests_in};
use crate::effects::store::troubles::Troubles;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// What the marker says; raised when another linkwright could misread what is there.
pub const FORMAT: &str = "linkwright-store/1";

/// The folder of this format.
const FOLDER: &str = "v1";

/// The longest record that is read: 64 MiB.
const RECORD_LIMIT: u64 = 64 << 20;

/// How exactly the time of a record's last use is kept.
const USE_GRAIN: Duration = Duration::from_hours(1);

/// A store in one folder; shared by threads and by processes.
#[derive(Debug)]
pub struct Store {
    /// The folder with the format's version.
    root: PathBuf,
    /// Files lie in folders of two letters, and not side by side.
    is_wide: bool,
    marker: PathBuf,
    /// Whether the marker allows us to read and write.
    usable: bool,
    marked: AtomicBool,
    troubles: Mutex<Troubles>,
    /// Blobs that were to be kept and are not: no record may name them.
    lost: Mutex<HashSet<Digest>>,
    serial: AtomicU64,
}

/// What a finished copy out of the store, or into it, was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The digest of the bytes that were copied.
    pub digest: Digest,
    /// How many.
    pub size: u64,
}

/// Why an output could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store does not hold the bytes, or held damaged ones that are now set aside.
    #[error("the store does not hold {0}")]
    Missing(Digest),
    /// The output's own folder refused.
    #[error("cannot write `{path}`")]
    Output {
        /// The output.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl Store {
    /// Opens the store below `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let mut troubles = Troubles::default();
        let marker = root.join("format");
        let found = read_marker(&marker);
        let usable = match &found {
            Ok(None) => true,
            Ok(Some(format)) if format == FORMAT => true,
            Ok(Some(format)) if !names_a_format(format) => {
                // Damage, and no other linkwright: it is written again with the first file.
                troubles.note(format!("the marker `{}` is damaged", marker.display()));
                true
            }
            Ok(Some(format)) => {
                troubles.note(format!(
                    "the store `{}` has the format `{format}`, and this linkwright knows \
                     `{FORMAT}` alone; nothing is read from it and nothing kept in it",
                    root.display()
                ));
                false
            }
            Err(error) => {
                troubles.note(format!("the store is not used: `{}`: {error}", marker.display()));
                false
            }
        };
        Self {
            root: root.join(FOLDER),
            is_wide: true,
            marker,
            usable,
            marked: AtomicBool::new(matches!(&found, Ok(Some(it)) if it == FORMAT)),
            troubles: Mutex::new(troubles),
            lost: Mutex::default(),
            serial: AtomicU64::new(0),
        }
    }

    /// Opens a store below `root` that holds what one run makes and another store takes over: few
    /// files, for which it makes no folders.
    #[must_use]
    pub fn narrow(root: &Path) -> Self {
        Self { is_wide: false, ..Self::new(root) }
    }

    /// Returns the folder with the format's version.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Tells whether the store is of a format that we read and write.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Returns what went wrong with the store so far, a sentence each, and forgets it.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.troubles.lock().map(|mut it| it.take()).unwrap_or_default()
    }

    /// Keeps whoever cleans up away, or, alone, everybody; `None` where the store cannot be
    /// locked, which is no trouble for those who only share it: they believe no file unread.
    ///
    /// # Errors
    ///
    /// Returns [`LockError`] if others hold it for too long, or if the lock cannot be had and
    /// `share` is [`Share::Alone`].
    pub fn lock(&self, share: Share, patience: &Patience<'_>) -> Result<Option<Lock>, LockError> {
        if !self.usable {
            return Ok(None);
        }
        // Fails on a read-only store, where an old lock file may still serve.
        let _ = fs::create_dir_all(&self.root);
        match lock::take(&self.root.join("lock"), share, patience) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Io(..)) if share == Share::Shared => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns what `key` made, if a whole record of it is here.
    #[must_use]
    pub fn action<T: DeserializeOwned>(&self, key: &Digest) -> Option<T> {
        self.record(key, |payload| serde_json::from_slice(payload).ok())
    }

    /// Returns what was kept by [`Store::put_packed`] under `key`, if a whole record of it is here.
    #[must_use]
    pub fn packed<T: DeserializeOwned>(&self, key: &Digest) -> Option<T> {
        self.record(key, |payload| postcard::from_bytes(payload).ok())
    }

    fn record<T>(&self, key: &Digest, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        if !self.usable {
            return None;
        }
        let path = self.path("actions", key);
        let file = self.sound(&path, open_regular(&path))?;
        let bytes = self.sound(&path, read_all(&file, RECORD_LIMIT))?;
        match Frame::open(&bytes) {
            Ok(frame) if frame.key == *key || planted(Defect::AcceptAnyRecord) => {
                mark_used(&file);
                // A sound record of another shape is another program's, and no damage.
                read(frame.payload)
            }
            Err(Unsound::OtherVersion) => None,
            Ok(_) | Err(Unsound::Damaged) => {
                let what = format!("the record `{}` is damaged", path.display());
                self.set_aside(&path, &what);
                None
            }
        }
    }

    /// Keeps what `key` made. Its blobs must have been put before: every digest in it that is the
    /// name of a blob here is one that it needs. If one of them could not be kept, neither is this.
    pub fn put_action<T: Serialize>(&self, key: &Digest, made: &T) {
        self.put_record(key, || {
            let payload = serde_json::to_vec(made)?;
            let named = digests_in(&payload);
            Ok((payload, named))
        });
    }

    /// Keeps something large that names no blob and is read often, without the names of fields.
    pub fn put_packed<T: Serialize>(&self, key: &Digest, made: &T) {
        self.put_record(key, || {
            let payload = postcard::to_stdvec(made).map_err(io::Error::other)?;
            Ok((payload, Vec::new()))
        });
    }

    /// Writes a record: what it holds, and the digests that may be names of blobs.
    fn put_record(&self, key: &Digest, made: impl FnOnce() -> io::Result<(Vec<u8>, Vec<Digest>)>) {
        if !self.usable {
            return;
        }
        let path = self.path("actions", key);
        let put = || -> io::Result<()> {
            let (payload, named) = made()?;
            if self.lost.lock().is_ok_and(|lost| named.iter().any(|it| lost.contains(it))) {
                return Ok(());
            }
            let size = |it: &Digest| {
                let metadata = fs::symlink_metadata(self.path("blobs", it)).ok()?;
                metadata.is_file().then_some((*it, metadata.len()))
            };
            let blobs = named.iter().filter_map(size).collect();
            let mut file = self.fresh()?;
            file.write_all(&Frame { key: *key, blobs, payload: &payload }.seal())?;
            self.commit(file, &path)
        };
        if let Err(error) = put() {
            self.unkept(&path, &error);
        }
    }

    /// Keeps a copy of the file at `from`, read once. What could not be kept is no error: then
    /// only the digest comes back, and no record will name it.
    ///
    /// # Errors
    ///
    /// Returns the error of reading `from`; trouble with the store itself is no error.
    pub fn put_file(&self, from: &Path) -> io::Result<Copied> {
        let mut source = File::open(from)?;
        if !self.usable {
            return digest_of(&mut source, &mut io::sink());
        }
        let mut kept = Draft::new(self.fresh());
        let copied = match kept.clone_of(&source) {
            Some(copied) => copied,
            None => digest_of(&mut source, &mut kept)?,
        };
        let path = self.path("blobs", &copied.digest);
        if planted(Defect::NoHealing) && path.exists() {
            return Ok(copied);
        }
        if let Err(error) = kept.file.and_then(|it| self.commit(it, &path)) {
            self.unkept(&path, &error);
            if let Ok(mut lost) = self.lost.lock() {
                lost.insert(copied.digest);
            }
        } else if let Ok(mut lost) = self.lost.lock() {
            lost.remove(&copied.digest);
        }
        Ok(copied)
    }

    /// Copies the blob `digest` to `to`, which becomes a new file with permission bits `mode`.
    ///
    /// The bytes are hashed on the way, and `to` appears only when they agree.
    ///
    /// # Errors
    ///
    /// Returns [`RestoreError::Missing`] for anything wrong on the store's side, and
    /// [`RestoreError::Output`] for anything wrong on the output's.
    pub fn restore(&self, digest: &Digest, to: &Path, mode: u32) -> Result<u64, RestoreError> {
        let path = self.path("blobs", digest);
        let missing = || RestoreError::Missing(*digest);
        let output = |source| RestoreError::Output { path: to.to_owned(), source };
        if !self.usable {
            return Err(missing());
        }
        let mut blob = self.sound(&path, open_regular(&path)).ok_or_else(missing)?;
        let folder = to.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(output)?;
        if planted(Defect::HardLinkOutputs) && fs::hard_link(&path, to).is_ok() {
            return Ok(0);
        }
        let file = tempfile::Builder::new().prefix(".linkwright-").tempfile_in(folder);
        let mut copy = Draft::new(Ok(file.map_err(output)?));
        let copied = if let Some(copied) = copy.clone_of(&blob) {
            copied
        } else {
            let read = digest_of(&mut blob, &mut copy);
            self.sound(&path, read).ok_or_else(missing)?
        };
        let file = copy.file.map_err(output)?;
        if copied.digest != *digest && !planted(Defect::NoVerifyOnRead) {
            self.set_aside(&path, &format!("the blob `{}` is damaged", path.display()));
            return Err(missing());
        }
        file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(output)?;
        file.persist(to).map_err(|it| output(it.error))?;
        Ok(copied.size)
    }

    fn path(&self, room: &str, digest: &Digest) -> PathBuf {
        let (name, room) = (digest.to_string(), self.root.join(room));
        if self.is_wide { room.join(&name[..2]).join(name) } else { room.join(name) }
    }

    /// Takes what was read; if it could not be, that is told and `None`, and what cannot be read
    /// is out of the way afterwards.
    fn sound<T>(&self, path: &Path, read: io::Result<T>) -> Option<T> {
        match read {
            Ok(it) => Some(it),
            Err(error) if is_absence(&error) => None,
            Err(error) => {
                let what = format!("cannot read `{}`: {error}", path.display());
                if is_shortage(&error) {
                    self.note(what);
                } else {
                    self.set_aside(path, &what);
                }
                None
            }
        }
    }

    /// Tells of something among the troubles.
    pub fn note(&self, what: String) {
        if let Ok(mut troubles) = self.troubles.lock() {
            troubles.note(what);
        }
    }

    fn unkept(&self, path: &Path, error: &io::Error) {
        if let Ok(mut troubles) = self.troubles.lock() {
            let place = Space::note(path);
            troubles.unkept(format!("cannot write `{}`: {error}{place}", path.display()));
        }
    }

    /// Moves what cannot be right out of the way, and tells of it: `what` is the first half.
    fn set_aside(&self, path: &Path, what: &str) {
        match self.move_aside(path) {
            Ok(()) => self.note(format!("{what}; it was set aside")),
            Err(error) => self.note(format!("{what}, and cannot be set aside: {error}")),
        }
    }

    fn move_aside(&self, path: &Path) -> io::Result<()> {
        let aside = self.root.join("aside");
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to = aside.join(format!("{name}.{}.{serial}", std::process::id()));
        fs::create_dir_all(&aside).and_then(|()| rename(path, &to))
    }

    /// Makes a file that is to become a blob or a record.
    fn fresh(&self) -> io::Result<NamedTempFile> {
        let folder = self.root.join("tmp");
        fs::create_dir_all(&folder)?;
        if !self.marked.load(Ordering::Relaxed) {
            file::write_over(&self.marker, format!("{FORMAT}\n").as_bytes())?;
            self.marked.store(true, Ordering::Relaxed);
        }
        tempfile::Builder::new().prefix("new-").tempfile_in(folder)
    }

    /// Gives a finished file its name. What has it is replaced, so that the same bytes put again
    /// heal it, whatever became of it.
    fn commit(&self, file: NamedTempFile, path: &Path) -> io::Result<()> {
        file.as_file().set_permissions(fs::Permissions::from_mode(0o444))?;
        fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        let Err(refused) = file.persist(path) else { return Ok(()) };
        if refused.error.kind() != io::ErrorKind::IsADirectory {
            return Err(refused.error);
        }
        self.move_aside(path)?;
        refused.file.persist(path).map(drop).map_err(|it| it.error)
    }
}

/// Tells whether a marker is one that some linkwright writes: `linkwright-store/` and a number.
fn names_a_format(marker: &str) -> bool {
    let number = marker.strip_prefix("linkwright-store/");
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

/// A file on its way: an error of writing it is kept for later, so that what is read meanwhile is
/// read to its end.
struct Draft {
    file: io::Result<NamedTempFile>,
}

impl Draft {
    fn new(file: io::Result<NamedTempFile>) -> Self {
        Self { file }
    }

    /// Lets the file share the bytes of `source`, where the file system can, and reads them from
    /// there: what is verified is what is kept.
    fn clone_of(&mut self, source: &File) -> Option<Copied> {
        let file = self.file.as_mut().ok()?.as_file_mut();
        rustix::fs::ioctl_ficlone(&*file, source).ok()?;
        let read = digest_of(file, &mut io::sink());
        if read.is_err() {
            // Then it is copied, over what the clone left.
            let _ = file.rewind().and_then(|()| file.set_len(0));
        }
        read.ok()
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Ok(file) = &mut self.file
            && let Err(error) = file.as_file_mut().write_all(bytes)
        {
            self.file = Err(error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Copies `from` to `to` and returns the digest and length of what went by.
///
/// # Errors
///
/// Returns the first error of either side.
pub fn digest_of(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Copied> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        size += read as u64;
    }
    Ok(Copied { digest: Digest::from_hasher(&hasher), size })
}

/// Reads the marker: `None` if there is none, or an empty one, which says nothing.
fn read_marker(path: &Path) -> io::Result<Option<String>> {
    let bytes = match open_regular(path).and_then(|it| read_all(&it, 4096)) {
        Err(error) if is_absence(&error) => return Ok(None),
        read => read?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default().trim();
    Ok((!line.is_empty()).then(|| line.chars().take(80).collect()))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[expect(clippy::disallowed_methods, reason = "the store is a room that writes")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Notes that a record, or what stands for a toolchain, was of use. To the hour is enough, and
/// writes little.
#[expect(clippy::disallowed_methods, reason = "decides what is cleaned up, never what is built")]
pub(crate) fn mark_used(record: &File) {
    let now = SystemTime::now();
    let age = record.metadata().and_then(|it| it.modified()).map(|it| now.duration_since(it));
    // One that was used in the future is as new as can be.
    if matches!(age, Ok(Ok(age)) if age >= USE_GRAIN) {
        let _ = record.set_modified(now);
    }
}

/// Opens a regular file without following a link and without hanging on a FIFO.
fn open_regular(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn read_all(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.take(limit + 1).read_to_end(&mut bytes)? as u64 > limit {
        return Err(io::Error::other("too long for a record"));
    }
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage files on purpose")]
mod tests;
