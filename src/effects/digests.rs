//! Content digests of files, with a memory of what was hashed before.
//!
//! A file whose stamp is as remembered is not read again; one whose stamp was racy when it was
//! hashed is never remembered.
//!
//! The memory is one file, written by rename: magic, version, entries, BLAKE3 of all before. One
//! that is damaged, older or newer is as good as none.

use crate::effects::file;
use crate::effects::stamp::Stamp;
use crate::effects::store::digest_of;
use crate::formats::go_header::decisive;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

const MAGIC: &[u8; 12] = b"LWSTAMPS\x02\0\0\0";

/// About how many bytes an entry takes.
const USUAL_ENTRY: usize = 160;

/// Above this many files the memory is begun anew, so that it cannot grow for ever.
const ENTRY_LIMIT: usize = 2_000_000;

/// The longest memory that is read: 1 GiB, more than so many entries take.
const MEMORY_LIMIT: u64 = 1 << 30;

/// The stamps of files at one moment: an edit shows in them even if it was taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    stamp: Stamp,
    digest: Digest,
    /// Of a Go file: the digest of its head, if that was asked for.
    head: Option<Digest>,
    /// Asked for in this run, so kept when the memory is cut.
    used: bool,
}

/// Digests of files, shared by threads.
#[derive(Debug)]
pub struct Digests {
    file: PathBuf,
    paranoid: bool,
    entries: Mutex<Memory>,
    seen: Mutex<HashMap<OsString, (Stamp, Digest)>>,
}

/// What is remembered of files, by paths as they are asked for: to take them apart, as `Path` does
/// when it is hashed, takes longer than all else.
#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<OsString, Entry>,
    /// It is not as it was read.
    is_new: bool,
}

impl Digests {
    /// Opens the memory at `file`, which need not exist. With `paranoid`, nothing is remembered
    /// and every file is read.
    #[must_use]
    pub fn open(file: &Path, paranoid: bool) -> Self {
        let read = || decode(&file::read_own(file, MEMORY_LIMIT).ok()?);
        let entries = if paranoid { None } else { read() };
        // One that cannot be read is written anew.
        let is_new = entries.is_none();
        let entries = Mutex::new(Memory { entries: entries.unwrap_or_default(), is_new });
        Self { file: file.to_owned(), paranoid, entries, seen: Mutex::default() }
    }

    /// Tells whether every file is read, whatever is remembered of it.
    #[must_use]
    pub fn is_paranoid(&self) -> bool {
        self.paranoid
    }

    /// Returns the digest of the regular file at `path`, links followed.
    ///
    /// # Errors
    ///
    /// Returns the system's error, or one that says that it is no regular file.
    pub fn digest(&self, path: &Path) -> io::Result<Digest> {
        let (stamp, digest) = self.look(path)?;
        self.saw(path, stamp, digest);
        Ok(digest)
    }

    /// Returns the digest of the regular file at `path`, links followed, which is no input of what
    /// this run builds: [`Digests::seen`] does not tell of it.
    ///
    /// # Errors
    ///
    /// As [`Digests::digest`].
    pub fn digest_apart(&self, path: &Path) -> io::Result<Digest> {
        Ok(self.look(path)?.1)
    }

    fn look(&self, path: &Path) -> io::Result<(Stamp, Digest)> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let stamp = Stamp::of(&metadata);
        if let Some(Entry { digest, .. }) = self.remembered(path, stamp) {
            return Ok((stamp, digest));
        }
        let copied = digest_of(&mut File::open(path)?, &mut io::sink())?;
        let after = Stamp::of(&fs::metadata(path)?);
        if after == stamp && !self.paranoid && !stamp.is_racy(now()) {
            self.remember(path, Entry { stamp, digest: copied.digest, head: None, used: true });
        }
        Ok((after, copied.digest))
    }

    /// Returns the digest of what decides what the Go file at `path` is to `go list`.
    ///
    /// # Errors
    ///
    /// Returns the system's error, or one that says that it is no regular file.
    pub fn head(&self, path: &Path) -> io::Result<Digest> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let stamp = Stamp::of(&metadata);
        if let Some(Entry { digest, head: Some(head), .. }) = self.remembered(path, stamp) {
            self.saw(path, stamp, digest);
            return Ok(head);
        }
        let text = fs::read(path)?;
        let (digest, head) = (Digest::of(&text), Digest::of(decisive(&text)));
        let after = Stamp::of(&fs::metadata(path)?);
        self.saw(path, after, digest);
        if after == stamp && !self.paranoid && !stamp.is_racy(now()) {
            self.remember(path, Entry { stamp, digest, head: Some(head), used: true });
        }
        Ok(head)
    }

    /// Returns the digests of `paths`, in their order, read in parallel.
    ///
    /// # Errors
    ///
    /// Returns the first path (in order) that cannot be read, with the system's error.
    pub fn digest_all(&self, paths: &[PathBuf]) -> Result<Vec<Digest>, (PathBuf, io::Error)> {
        all_of(paths, |it| self.digest(it))
    }

    /// Returns the digests of `paths` as [`Digests::digest_all`] does, of files that are no inputs
    /// of what this run builds.
    ///
    /// # Errors
    ///
    /// As [`Digests::digest_all`].
    pub fn digest_all_apart(&self, paths: &[PathBuf]) -> Result<Vec<Digest>, (PathBuf, io::Error)> {
        all_of(paths, |it| self.digest_apart(it))
    }

    /// Remembers that the file at `path`, just made by us, holds `digest`.
    ///
    /// Only for a file that nobody else writes: the racy rule is passed over, since the bytes were
    /// hashed as they were written under a private name.
    pub fn learn(&self, path: &Path, digest: Digest) {
        if let Ok(metadata) = fs::metadata(path) {
            let stamp = Stamp::of(&metadata);
            self.remember(path, Entry { stamp, digest, head: None, used: true });
        }
    }

    /// Writes the memory down, if there is anything new in it.
    ///
    /// # Errors
    ///
    /// Returns the system's error; without the memory everything is only slower.
    pub fn save(&self) -> io::Result<()> {
        let Ok(mut memory) = self.entries.lock() else { return Ok(()) };
        if self.paranoid || !memory.is_new {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".stamps-").tempfile_in(folder)?;
        file.write_all(&encode(&memory.entries))?;
        file.persist(&self.file).map_err(|it| it.error)?;
        memory.is_new = false;
        Ok(())
    }

    /// Returns every file that was asked for so far, as it was when it was last asked for.
    #[must_use]
    pub fn seen(&self) -> Vec<(PathBuf, (Stamp, Digest))> {
        let Ok(seen) = self.seen.lock() else { return Vec::new() };
        seen.iter().map(|(path, it)| (PathBuf::from(path), *it)).collect()
    }

    /// Forgets a file that we removed, so that nobody looks for it again.
    pub fn forget(&self, path: &Path) {
        if let Ok(mut memory) = self.entries.lock()
            && memory.entries.remove(path.as_os_str()).is_some()
        {
            memory.is_new = true;
        }
        if let Ok(mut seen) = self.seen.lock() {
            seen.remove(path.as_os_str());
        }
    }

    fn saw(&self, path: &Path, stamp: Stamp, digest: Digest) {
        if let Ok(mut seen) = self.seen.lock() {
            seen.insert(path.as_os_str().to_owned(), (stamp, digest));
        }
    }

    fn remember(&self, path: &Path, entry: Entry) {
        if let Ok(mut memory) = self.entries.lock() {
            memory.entries.insert(path.as_os_str().to_owned(), entry);
            memory.is_new = true;
        }
    }

    fn remembered(&self, path: &Path, stamp: Stamp) -> Option<Entry> {
        let mut memory = self.entries.lock().ok()?;
        let entry = memory.entries.get_mut(path.as_os_str()).filter(|it| it.stamp == stamp)?;
        entry.used = true;
        Some(*entry)
    }
}

fn all_of(
    paths: &[PathBuf],
    digest: impl Fn(&Path) -> io::Result<Digest> + Sync,
) -> Result<Vec<Digest>, (PathBuf, io::Error)> {
    let digests: Vec<_> = paths.par_iter().map(|it| digest(it)).collect();
    let named = paths.iter().zip(digests);
    named.map(|(path, it)| it.map_err(|error| (path.clone(), error))).collect()
}

impl Stamps {
    /// Reads the stamps of `paths`, links followed.
    #[must_use]
    pub fn of(paths: &[PathBuf]) -> Self {
        let stamp = |it: &PathBuf| fs::metadata(it).ok().map(|it| Stamp::of(&it));
        Self(paths.par_iter().map(stamp).collect())
    }

    /// Returns which of `paths`, whose stamps these are, have another one now.
    #[must_use]
    pub fn touched<'p>(&self, paths: &'p [PathBuf]) -> Vec<&'p Path> {
        let now = Self::of(paths).0;
        let pairs = paths.iter().zip(now).enumerate();
        let touched = pairs.filter(|(at, (_, now))| self.0.get(*at) != Some(now));
        touched.map(|(_, (path, _))| path.as_path()).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "only decides whether to hash again")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn encode(entries: &HashMap<OsString, Entry>) -> Vec<u8> {
    let cut = entries.len() > ENTRY_LIMIT;
    let mut sorted: Vec<_> = entries.iter().filter(|(_, it)| it.used || !cut).collect();
    sorted.sort_unstable_by_key(|(path, _)| *path);
    let mut bytes = Vec::with_capacity(sorted.len() * USUAL_ENTRY);
    bytes.extend_from_slice(MAGIC);
    for (path, Entry { stamp, digest, head, used: _ }) in sorted {
        let Stamp { device, inode, size, modified, changed } = stamp;
        let path = path.as_bytes();
        bytes.extend_from_slice(&(path.len() as u64).to_le_bytes());
        bytes.extend_from_slice(path);
        for number in [device, inode, size] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [modified.0, modified.1, changed.0, changed.1] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(digest.as_bytes());
        bytes.push(u8::from(head.is_some()));
        bytes.extend(head.iter().flat_map(Digest::as_bytes));
    }
    let seal = Digest::of(&bytes);
    bytes.extend_from_slice(seal.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<HashMap<OsString, Entry>> {
    let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    let mut rest = body.strip_prefix(MAGIC)?;
    if Digest::of(body).as_bytes() != seal && !planted(Defect::MemoryWithoutSeal) {
        return None;
    }
    let mut entries = HashMap::with_capacity(rest.len() / USUAL_ENTRY);
    while !rest.is_empty() {
        let length = usize::try_from(number(&mut rest)?).ok()?;
        let path = OsString::from_vec(take(&mut rest, length)?.to_vec());
        let [device, inode, size] = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        let mut signed = || number(&mut rest).map(u64::cast_signed);
        let (modified, changed) = ((signed()?, signed()?), (signed()?, signed()?));
        let digest = Digest::from_bytes(take(&mut rest, 32)?.try_into().ok()?);
        let stamp = Stamp { device, inode, size, modified, changed };
        let has_head = take(&mut rest, 1)? == [1];
        let head = if has_head { Some(take(&mut rest, 32)?.try_into().ok()?) } else { None };
        let head = head.map(Digest::from_bytes);
        entries.insert(path, Entry { stamp, digest, head, used: false });
    }
    Some(entries)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    /// Makes the file look older than the racy window, in its modification time; its change time
    /// stays now, so it is still racy.
    fn age(path: &Path) {
        let old = SystemTime::now() - Duration::from_hours(1);
        File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }

    /// A file that was learnt, and the memory of it, which is written.
    fn remembered() -> (tempfile::TempDir, PathBuf, PathBuf, Digests) {
        let dir = tempfile::tempdir().unwrap();
        let (file, memory) = (dir.path().join("a"), dir.path().join("stamps"));
        fs::write(&file, "one").unwrap();
        let digests = Digests::open(&memory, false);
        digests.learn(&file, Digest::of(b"one"));
        digests.save().unwrap();
        (dir, file, memory, digests)
    }

    #[test]
    fn a_fresh_file_is_never_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "one").unwrap();
        age(&file);
        let digests = Digests::open(&dir.path().join("stamps"), false);
        digests.digest(&file).unwrap();
        assert!(digests.entries.lock().unwrap().entries.is_empty(), "its change time is now");
    }

    #[test]
    fn the_memory_survives_and_a_changed_file_is_read_again() {
        let (_dir, file, memory, _) = remembered();
        let again = Digests::open(&memory, false);
        assert_eq!(again.entries.lock().unwrap().entries.len(), 1);
        assert_eq!(again.digest(&file).unwrap(), Digest::of(b"one"));
        fs::write(&file, "two").unwrap();
        age(&file);
        assert_eq!(again.digest(&file).unwrap(), Digest::of(b"two"));
    }

    /// The modification time is put back, as an editor or `cp -p` may; the change time cannot be.
    #[test]
    fn an_edit_that_was_taken_back_shows_in_the_stamps() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|it| dir.path().join(it));
        for path in &paths {
            fs::write(path, "one").unwrap();
        }
        let stamps = Stamps::of(&paths);
        assert!(stamps.touched(&paths).is_empty());
        // File systems stamp by a clock that ticks up to every ten milliseconds.
        std::thread::sleep(Duration::from_millis(30));
        let modified = fs::metadata(&paths[1]).unwrap().modified().unwrap();
        fs::write(&paths[1], "two").unwrap();
        fs::write(&paths[1], "one").unwrap();
        File::options().write(true).open(&paths[1]).unwrap().set_modified(modified).unwrap();
        fs::remove_file(&paths[2]).unwrap();
        assert_eq!(stamps.touched(&paths), [&paths[1], &paths[2]]);
    }

    #[test]
    fn a_memory_is_written_again_where_it_changed_or_was_damaged() {
        let (_dir, file, memory, digests) = remembered();
        let written = || fs::metadata(&memory).unwrap().ino();
        let first = written();
        digests.save().unwrap();
        let again = Digests::open(&memory, false);
        again.digest(&file).unwrap();
        again.save().unwrap();
        assert_eq!(written(), first, "nothing is new");
        again.forget(&file);
        again.save().unwrap();
        assert!(decode(&fs::read(&memory).unwrap()).unwrap().is_empty());
        fs::write(&memory, "damaged").unwrap();
        Digests::open(&memory, false).save().unwrap();
        assert!(decode(&fs::read(&memory).unwrap()).is_some());
    }

    #[test]
    fn a_damaged_memory_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let (file, memory) = (dir.path().join("a"), dir.path().join("stamps"));
        fs::write(&file, "one").unwrap();
        let digests = Digests::open(&memory, false);
        digests.learn(&file, Digest::of(b"a lie that the damage must not keep"));
        digests.save().unwrap();
        let whole = fs::read(&memory).unwrap();
        for byte in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[byte] ^= 0x10;
            assert!(decode(&bytes).is_none(), "byte {byte}");
            assert!(decode(&whole[..byte]).is_none(), "length {byte}");
        }
    }
}
