//! The store: content-addressed artefacts, and the action cache that says which key made them.
//!
//! ```text
//! <store>/v1/blobs/ab/<64 hex>     bytes whose BLAKE3 is the name, mode 0444
//! <store>/v1/actions/ab/<64 hex>   framed record: what the key in the name made
//! <store>/v1/aside/                damaged files, kept for inspection, never read
//! ```
//!
//! **Commit.** A blob is written to a temporary name beside its final one, hashed on the way, made
//! read-only and renamed; the record follows, strictly after its blobs. So whatever is interrupted,
//! a record never names a blob that was not whole.
//!
//! **Read.** Integrity does not rest on the file system: a record carries its own key, its length
//! and a digest, a blob is hashed while it is copied out. What does not agree is moved aside and is
//! a miss. Putting the same bytes again heals a damaged blob.
//!
//! The store is an optimisation: every trouble with it is a miss and a word in [`Store::troubles`],
//! never a failed build.

use crate::words::digest::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const MAGIC: &[u8; 8] = b"LWACTION";

/// Raised when the meaning of a record changes; an older or newer record is a miss.
const VERSION: u32 = 1;

/// The longest record that is read: 64 MiB.
const RECORD_LIMIT: u64 = 64 << 20;

/// A store in one folder; shared by threads and by processes.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    troubles: Mutex<Vec<String>>,
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
        let root = root.join(format!("v{VERSION}"));
        Self { root, troubles: Mutex::default(), serial: AtomicU64::new(0) }
    }

    /// Returns the folder with the format's version.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns what went wrong with the store so far, a sentence each, and forgets it.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.troubles.lock().map(|mut it| std::mem::take(&mut *it)).unwrap_or_default()
    }

    /// Returns what `key` made, if a whole record of it is here.
    #[must_use]
    pub fn action<T: DeserializeOwned>(&self, key: &Digest) -> Option<T> {
        let path = self.path("actions", key);
        let bytes = match read_regular(&path, RECORD_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.trouble(format!("cannot read `{}`: {error}", path.display()));
                self.set_aside(&path);
                return None;
            }
        };
        let payload = unframe(&bytes, key).and_then(|it| serde_json::from_slice(it).ok());
        if payload.is_none() {
            self.trouble(format!("the record `{}` is damaged; it was set aside", path.display()));
            self.set_aside(&path);
        }
        payload
    }

    /// Keeps what `key` made. Its blobs must have been put before.
    pub fn put_action<T: Serialize>(&self, key: &Digest, made: &T) {
        let path = self.path("actions", key);
        let written = serde_json::to_vec(made)
            .map_err(io::Error::other)
            .and_then(|payload| self.write_new(&path, &mut frame(key, &payload).as_slice()));
        if let Err(error) = written {
            self.trouble(format!("cannot write `{}`: {error}", path.display()));
        }
    }

    /// Keeps a copy of the file at `from`; `None` if it could not be kept.
    ///
    /// # Errors
    ///
    /// Returns the error of reading `from`; trouble with the store itself is no error.
    pub fn put_file(&self, from: &Path) -> io::Result<Copied> {
        let copied = digest_of(&mut File::open(from)?, &mut io::sink())?;
        let path = self.path("blobs", &copied.digest);
        let whole = open_regular(&path).and_then(|mut it| digest_of(&mut it, &mut io::sink()));
        if whole.is_ok_and(|it| it == copied) {
            return Ok(copied);
        }
        let mut source = File::open(from)?;
        match self.write_new(&path, &mut source) {
            Ok(()) => {}
            Err(error) => self.trouble(format!("cannot write `{}`: {error}", path.display())),
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
        let mut blob = match open_regular(&path) {
            Ok(blob) => blob,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.trouble(format!("cannot read `{}`: {error}", path.display()));
                    self.set_aside(&path);
                }
                return Err(missing());
            }
        };
        let folder = to.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(output)?;
        let mut file =
            tempfile::Builder::new().prefix(".linkwright-").tempfile_in(folder).map_err(output)?;
        let copied = digest_of(&mut blob, file.as_file_mut()).map_err(output)?;
        if copied.digest != *digest {
            self.trouble(format!("the blob `{}` is damaged; it was set aside", path.display()));
            self.set_aside(&path);
            return Err(missing());
        }
        let mode = fs::Permissions::from_mode(mode);
        file.as_file().set_permissions(mode).map_err(output)?;
        file.persist(to).map_err(|it| output(it.error))?;
        Ok(copied.size)
    }

    fn path(&self, room: &str, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(room).join(&name[..2]).join(name)
    }

    fn trouble(&self, what: String) {
        if let Ok(mut troubles) = self.troubles.lock() {
            troubles.push(what);
        }
    }

    fn set_aside(&self, path: &Path) {
        let aside = self.root.join("aside");
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to = aside.join(format!("{name}.{}.{serial}", std::process::id()));
        let _ = fs::create_dir_all(&aside).and_then(|()| rename(path, &to));
    }

    fn write_new(&self, path: &Path, from: &mut dyn Read) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        io::copy(from, file.as_file_mut())?;
        file.as_file_mut().flush()?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o444))?;
        file.persist(path).map_err(|it| it.error)?;
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

#[expect(clippy::disallowed_methods, reason = "the store is a room that writes")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Opens a regular file without following a link and without hanging on a FIFO.
fn open_regular(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    if file.take(limit + 1).read_to_end(&mut bytes)? as u64 > limit {
        return Err(io::Error::other("too long for a record"));
    }
    Ok(bytes)
}

/// Frames a record: magic, version, own key, payload length, payload, digest of all before.
fn frame(key: &Digest, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 84);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let seal = Digest::of(&bytes);
    bytes.extend_from_slice(seal.as_bytes());
    bytes
}

fn unframe<'a>(bytes: &'a [u8], key: &Digest) -> Option<&'a [u8]> {
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    let header = frame(key, &[]);
    let (fixed, rest) = body.split_at_checked(MAGIC.len() + 4 + 32)?;
    let (length, payload) = rest.split_at_checked(8)?;
    let sound = Digest::of(body).as_bytes() == seal
        && fixed == header.get(..fixed.len())?
        && u64::from_le_bytes(length.try_into().ok()?) == payload.len() as u64;
    sound.then_some(payload)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage files on purpose")]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        (dir, store)
    }

    fn put(store: &Store, dir: &Path, bytes: &[u8]) -> Digest {
        let from = dir.join("made");
        fs::write(&from, bytes).unwrap();
        store.put_file(&from).unwrap().digest
    }

    #[test]
    fn what_was_put_is_restored() {
        let (dir, store) = store();
        let digest = put(&store, dir.path(), b"bytes");
        let to = dir.path().join("deep/er/out");
        assert_eq!(store.restore(&digest, &to, 0o555).unwrap(), 5);
        assert_eq!(fs::read(&to).unwrap(), b"bytes");
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o555);
        assert!(store.troubles().is_empty());
    }

    /// Flips each bit and cuts at each length: none of it is ever taken for the record.
    #[test]
    fn a_damaged_record_is_a_miss_and_is_set_aside() {
        let (_dir, store) = store();
        let key = Digest::of(b"key");
        store.put_action(&key, &"made");
        let path = store.path("actions", &key);
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unframe(&bytes, &key), None, "bit {bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(unframe(&whole[..length], &key), None, "length {length}");
        }
        assert_eq!(unframe(&[&whole[..], b"x"].concat(), &key), None, "one byte more");
        assert_eq!(unframe(&whole, &Digest::of(b"other")), None, "another key's record");
        fs::remove_file(&path).unwrap();
        fs::write(&path, &whole[..10]).unwrap();
        assert_eq!(store.action::<String>(&key), None);
        assert_eq!(store.troubles().len(), 1);
        assert!(!path.exists(), "it was set aside");
        store.put_action(&key, &"made");
        assert_eq!(store.action::<String>(&key).as_deref(), Some("made"));
    }

    #[test]
    fn a_damaged_blob_is_missing_and_heals_when_put_again() {
        let (dir, store) = store();
        let digest = put(&store, dir.path(), b"bytes");
        let path = store.path("blobs", &digest);
        let to = dir.path().join("out");
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"bytez").unwrap();
        assert!(matches!(store.restore(&digest, &to, 0o555), Err(RestoreError::Missing(_))));
        assert!(!to.exists());
        fs::write(&path, b"bytez").unwrap();
        put(&store, dir.path(), b"bytes");
        assert_eq!(store.restore(&digest, &to, 0o555).unwrap(), 5);
    }

    #[test]
    fn what_is_no_regular_file_is_a_miss() {
        let (dir, store) = store();
        let digest = put(&store, dir.path(), b"bytes");
        let path = store.path("blobs", &digest);
        let to = dir.path().join("out");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(store.restore(&digest, &to, 0o555).is_err());
        fs::create_dir(&path).unwrap();
        assert!(store.restore(&digest, &to, 0o555).is_err());
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
        assert!(store.restore(&digest, &to, 0o555).is_err());
    }

    #[test]
    fn a_store_that_cannot_be_written_is_a_trouble_and_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("blocked");
        fs::write(&blocked, "a file where the store should be").unwrap();
        let store = Store::new(&blocked);
        let digest = put(&store, dir.path(), b"bytes");
        store.put_action(&digest, &"made");
        assert_eq!(store.action::<String>(&digest), None);
        assert!(!store.troubles().is_empty());
    }
}
