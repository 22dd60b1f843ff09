//! Content digests of files, with a memory of what was hashed before.
//!
//! A file whose stamp is as remembered is not read again; one whose stamp was racy when it was
//! hashed is never remembered.
//!
//! The memory is one file, written by rename: magic, version, entries sorted by path, BLAKE3 of all
//! before. One that is damaged, older or newer is as good as none. It is kept as it was read, and
//! an entry is looked up where it lies: most runs ask for a few of many. It is written where that
//! takes less time than to read once more what is new in it.

use crate::effects::file;
use crate::effects::stamp::Stamp;
use crate::effects::store::digest_of;
use crate::formats::go_header::decisive;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

const MAGIC: &[u8; 12] = b"LWSTAMPS\x02\0\0\0";

/// About how many bytes an entry takes.
const USUAL_ENTRY: usize = 160;

/// Above this many files the memory is begun anew, so that it cannot grow for ever.
const ENTRY_LIMIT: usize = 2_000_000;

/// A memory of so few bytes is written whenever anything is new in it.
const SMALL_MEMORY: u64 = 64 << 10;

/// To open a file that is new takes about as long as to write so many bytes of the memory.
const FEW: u64 = 4 << 10;

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
    /// What was read.
    kept: Kept,
    /// What is other than that, by path; `None` is forgotten.
    new: HashMap<OsString, Option<Entry>>,
    /// It is not as it was read.
    is_new: bool,
}

/// A memory as it was read.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Where its entries begin, and whether each was asked for in this run.
    entries: Vec<(usize, bool)>,
}

impl Digests {
    /// Opens the memory at `file`, which need not exist. With `paranoid`, nothing is remembered
    /// and every file is read.
    #[must_use]
    pub fn open(file: &Path, paranoid: bool) -> Self {
        let read = || Kept::of(file::read_own(file, MEMORY_LIMIT).ok()?);
        let kept = if paranoid { None } else { read() };
        // One that cannot be read is written anew.
        let is_new = kept.is_none();
        let kept = kept.unwrap_or_default();
        let entries = Mutex::new(Memory { kept, new: HashMap::new(), is_new });
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
            self.remember(path, Entry { stamp, digest: copied.digest, head: None });
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
            self.remember(path, Entry { stamp, digest, head: Some(head) });
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
            self.remember(path, Entry { stamp, digest, head: None });
        }
    }

    /// Writes the memory down, if there is anything new in it.
    ///
    /// # Errors
    ///
    /// Returns the system's error; without the memory everything is only slower.
    pub fn save(&self) -> io::Result<()> {
        let Ok(mut memory) = self.entries.lock() else { return Ok(()) };
        if self.paranoid || !memory.is_new || !memory.is_worth_writing() {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".stamps-").tempfile_in(folder)?;
        file.write_all(&encode(&memory.all()))?;
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
            && memory.entry(path.as_os_str()).is_some()
        {
            memory.put(path.as_os_str(), None);
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
            memory.put(path.as_os_str(), Some(entry));
        }
    }

    fn remembered(&self, path: &Path, stamp: Stamp) -> Option<Entry> {
        let mut memory = self.entries.lock().ok()?;
        memory.entry(path.as_os_str()).filter(|it| it.stamp == stamp)
    }
}

impl Memory {
    /// Returns what is remembered of a file, which is asked for.
    fn entry(&mut self, path: &OsStr) -> Option<Entry> {
        if let Some(entry) = self.new.get(path) {
            return *entry;
        }
        let at = self.kept.place(path)?;
        self.kept.entries[at].1 = true;
        Some(self.kept.at(at)?.1)
    }

    fn put(&mut self, path: &OsStr, entry: Option<Entry>) {
        self.new.insert(path.to_owned(), entry);
        self.is_new = true;
    }

    /// Tells whether to write it takes less time than to read what is new in it once more.
    fn is_worth_writing(&self) -> bool {
        let new: u64 = self.new.values().flatten().map(|it| it.stamp.size).sum();
        let kept = self.kept.bytes.len() as u64;
        kept < SMALL_MEMORY || new > kept / 2 || self.new.len() as u64 * FEW > kept
    }

    /// Returns all that is remembered, by path; where that is too much, what was asked for.
    fn all(&self) -> Vec<(&OsStr, Entry)> {
        let cut = self.kept.entries.len() + self.new.len() > ENTRY_LIMIT;
        let asked = |at: &usize| !cut || self.kept.entries[*at].1;
        let kept = (0..self.kept.entries.len()).filter(asked).filter_map(|it| self.kept.at(it));
        let kept = kept.filter(|(path, _)| !self.new.contains_key(*path));
        let new = self.new.iter().filter_map(|(path, it)| Some((path.as_os_str(), (*it)?)));
        let mut all: Vec<_> = kept.chain(new).collect();
        // What was kept is in order.
        all.sort_by_key(|(path, _)| *path);
        all
    }
}

impl Kept {
    /// Takes a memory that is whole, and notes where its entries are.
    fn of(bytes: Vec<u8>) -> Option<Self> {
        let body = bytes.split_last_chunk::<32>().filter(|(body, seal)| {
            Digest::of(body).as_bytes() == *seal || planted(Defect::MemoryWithoutSeal)
        });
        let (body, _) = body?;
        let mut rest = body.strip_prefix(MAGIC)?;
        let mut entries = Vec::with_capacity(rest.len() / USUAL_ENTRY);
        while !rest.is_empty() {
            entries.push((body.len() - rest.len(), false));
            read_entry(&mut rest)?;
        }
        Some(Self { bytes, entries })
    }

    fn at(&self, at: usize) -> Option<(&OsStr, Entry)> {
        read_entry(&mut self.bytes.get(self.entries.get(at)?.0..)?)
    }

    fn place(&self, path: &OsStr) -> Option<usize> {
        let path = path.as_bytes();
        let name = |(from, _): &(usize, bool)| read_name(&mut &self.bytes[*from..]);
        self.entries.binary_search_by(|it| name(it).cmp(&Some(path))).ok()
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

fn encode(entries: &[(&OsStr, Entry)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * USUAL_ENTRY);
    bytes.extend_from_slice(MAGIC);
    for (path, Entry { stamp, digest, head }) in entries {
        let path = path.as_bytes();
        bytes.extend_from_slice(&(path.len() as u64).to_le_bytes());
        bytes.extend_from_slice(path);
        bytes.extend_from_slice(&stamp.to_bytes());
        bytes.extend_from_slice(digest.as_bytes());
        bytes.push(u8::from(head.is_some()));
        bytes.extend(head.iter().flat_map(Digest::as_bytes));
    }
    let seal = Digest::of(&bytes);
    bytes.extend_from_slice(seal.as_bytes());
    bytes
}

fn read_name<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u64::from_le_bytes(*take_chunk(rest)?);
    take(rest, usize::try_from(length).ok()?)
}

fn read_entry<'a>(rest: &mut &'a [u8]) -> Option<(&'a OsStr, Entry)> {
    let path = OsStr::from_bytes(read_name(rest)?);
    let stamp = Stamp::from_bytes(take_chunk(rest)?);
    let digest = Digest::from_bytes(*take_chunk(rest)?);
    let has_head = take_chunk(rest)? == &[1];
    let head = if has_head { Some(Digest::from_bytes(*take_chunk(rest)?)) } else { None };
    Some((path, Entry { stamp, digest, head }))
}

fn take_chunk<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
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
        assert!(digests.entries.lock().unwrap().all().is_empty(), "its change time is now");
    }

    #[test]
    fn the_memory_survives_and_a_changed_file_is_read_again() {
        let (_dir, file, memory, _) = remembered();
        let again = Digests::open(&memory, false);
        assert_eq!(again.entries.lock().unwrap().all().len(), 1);
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
        assert!(Kept::of(fs::read(&memory).unwrap()).unwrap().entries.is_empty());
        fs::write(&memory, "damaged").unwrap();
        Digests::open(&memory, false).save().unwrap();
        assert!(Kept::of(fs::read(&memory).unwrap()).is_some());
    }

    #[test]
    fn a_large_memory_is_written_where_that_takes_less_time_than_to_read_again_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("stamps");
        let file = |name: &str, bytes: usize| {
            let path = dir.path().join(name);
            fs::write(&path, vec![b'x'; bytes]).unwrap();
            path
        };
        let digests = Digests::open(&memory, false);
        for at in 0..2000 {
            digests.learn(&file(&format!("f{at}"), 1), Digest::of(b"x"));
        }
        digests.save().unwrap();
        let grown = |files: &[&Path]| {
            let before = fs::metadata(&memory).unwrap().len();
            let digests = Digests::open(&memory, false);
            for file in files {
                digests.learn(file, Digest::of(b"new"));
            }
            digests.save().unwrap();
            assert!(before > SMALL_MEMORY);
            fs::metadata(&memory).unwrap().len() > before
        };
        let small = [file("small", 100), file("other", 100)];
        assert!(!grown(&[&small[0], &small[1]]), "two small files");
        assert!(grown(&[&file("large", 1 << 20)]), "a large one");
        let many: Vec<_> = (0..1000).map(|it| file(&format!("n{it}"), 1)).collect();
        assert!(grown(&many.iter().map(PathBuf::as_path).collect::<Vec<_>>()), "many small ones");
    }

    #[test]
    fn what_is_new_stands_before_what_was_kept_and_all_is_written_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let memory = dir.path().join("stamps");
        let paths: Vec<_> = (0..50).map(|it| dir.path().join(format!("f{it}"))).collect();
        let digest = |it: usize, turn: &str| Digest::of(format!("{it} {turn}").as_bytes());
        let after = |changed: &dyn Fn(usize) -> Option<Option<Digest>>| -> Vec<_> {
            let digests = Digests::open(&memory, false);
            for (at, path) in paths.iter().enumerate() {
                match changed(at) {
                    Some(Some(digest)) => digests.learn(path, digest),
                    Some(None) => digests.forget(path),
                    None => {}
                }
            }
            digests.save().unwrap();
            let again = Digests::open(&memory, false);
            let mut found = again.entries.lock().unwrap();
            paths.iter().map(|it| Some(found.entry(it.as_os_str())?.digest)).collect()
        };
        for path in &paths {
            fs::write(path, "x").unwrap();
        }
        let all = |it: usize| Some(Some(digest(it, "first")));
        let first = after(&all);
        assert_eq!(first, (0..50).map(|it| Some(digest(it, "first"))).collect::<Vec<_>>());
        let some = |it: usize| match it % 3 {
            0 => None,
            1 => Some(None),
            _ => Some(Some(digest(it, "second"))),
        };
        let second = after(&some);
        let expected = (0..50).map(|it| some(it).unwrap_or(Some(digest(it, "first"))));
        assert_eq!(second, expected.collect::<Vec<_>>());
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
            assert!(Kept::of(bytes).is_none(), "byte {byte}");
            assert!(Kept::of(whole[..byte].to_vec()).is_none(), "length {byte}");
        }
    }
}
