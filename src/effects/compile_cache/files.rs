//! A GOCACHE for a Go that asks no program: filled for one run, and taken back after it.
//!
//! ```text
//! ab/<64 hex>-a   "v1 <action> <output> <bytes> <time>\n": what the action in the name made
//! ab/<64 hex>-d   the body of which the name is the SHA-256
//! ```
//!
//! Go reads these files and believes them. So the folder belongs to one run, each body in it was
//! hashed when it was put there, and what the run added is hashed again before it is kept. A list
//! of the actions stands in the store; one that no run has used for [`PATIENCE`] runs leaves it.
//!
//! # Source
//!
//! `cmd/go/internal/cache/cache.go` of Go 1.19 to 1.23: `get`, `used` (which touches a file that
//! has not been touched for an hour), `Trim` (which removes what has not been for five days).

use crate::effects::compile_cache::{
    Body, Entry, Kind, PutError, Report, Shelf, Statistics, bytes_of,
};
use crate::effects::file::write_new;
use crate::effects::store::Store;
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// After how many runs that did not use it an object is no longer put down for one.
const PATIENCE: u32 = 50;

/// How long ago what is put down was used, as it seems to Go: it notes a use, and trims nothing.
const BEFORE: Duration = Duration::from_hours(48);

/// The longest `-a` file that is read.
const LINE_LIMIT: u64 = 1 << 10;

/// The actions that are kept for a toolchain, in hexadecimal, and how many runs did without each.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept(BTreeMap<String, u32>);

/// The folder of one run, and where its objects come from and go to.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    shelf: Shelf,
    touched: SystemTime,
    /// Whether anything of it is kept.
    keeps: bool,
}

impl Files {
    /// Makes the folder and puts down what is kept for the toolchain `domain`.
    ///
    /// # Errors
    ///
    /// Returns the system's error; an object that is not here any more, or is damaged, is none.
    pub(super) fn filled(settled: &Path, domain: Digest, folder: PathBuf) -> io::Result<Self> {
        let this = Self { keeps: true, ..Self::empty(settled, domain, folder)? };
        let kept: Kept = this.store().action(&this.list()).unwrap_or_default();
        let actions: Vec<_> = kept.0.keys().collect();
        actions.par_iter().try_for_each(|it| this.put_down(it))?;
        Ok(this)
    }

    /// Makes the folder, with nothing in it, and for nothing to be kept of it.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub(super) fn empty(settled: &Path, domain: Digest, folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let store = Store::new(settled);
        let shelf = Shelf {
            settled: store,
            pending: None,
            folder: folder.clone(),
            domain,
            kind: Kind::Alone,
            ahead: None,
        };
        // What the file system calls the time, which is what `modified` tells.
        let touched = fs::metadata(&folder)?.modified()?;
        let touched = touched.checked_sub(BEFORE).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Self { folder, shelf, touched, keeps: false })
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps what the run has made; returns what there is to count, and what went wrong.
    pub(super) fn take(&self) -> Report {
        let mut statistics = Statistics::default();
        if !self.keeps {
            return Report::default();
        }
        let mut kept: Kept = self.store().action(&self.list()).unwrap_or_default();
        let walk = walkdir::WalkDir::new(&self.folder).min_depth(2).max_depth(2);
        for found in walk.into_iter().filter_map(Result::ok) {
            let name = found.file_name().to_string_lossy().into_owned();
            let Some(action) = name.strip_suffix("-a") else { continue };
            let modified = found.metadata().ok().and_then(|it| it.modified().ok());
            if modified == Some(self.touched) {
                let idle = kept.0.entry(action.to_owned()).or_default();
                *idle = idle.saturating_add(1);
                continue;
            }
            match self.keep(action, found.path()) {
                Ok(Some(bytes)) => {
                    statistics.puts += 1;
                    statistics.bytes_written += bytes;
                }
                Ok(None) => statistics.hits += 1,
                Err(_) => continue,
            }
            kept.0.insert(action.to_owned(), 0);
        }
        kept.0.retain(|_, idle| *idle < PATIENCE);
        self.store().put_action(&self.list(), &kept);
        Report { statistics, troubles: self.shelf.troubles().0 }
    }

    fn store(&self) -> &Store {
        &self.shelf.settled
    }

    /// The key of the list of actions.
    fn list(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("linkwright compile cache: actions 1");
        hasher.update(self.shelf.domain.as_bytes());
        Digest::from_hasher(&hasher)
    }

    /// Puts down what an action made, hashed on the way.
    fn put_down(&self, action: &str) -> io::Result<()> {
        let Some(name) = bytes_of(action) else { return Ok(()) };
        let entry: Option<Entry> = self.store().action(&self.shelf.key(&name));
        let Some(Entry { output, size, blake3, time }) = entry else { return Ok(()) };
        let body = self.place(&output, "-d");
        // Two actions may have made the same.
        let is_whole = self.store().restore(&blake3, &body, 0o644).is_ok_and(|it| it == size);
        if !is_whole {
            let _ = fs::remove_file(body);
            return Ok(());
        }
        let line = format!("v1 {action} {output} {size:20} {time:20}\n");
        let path = self.place(action, "-a");
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        write_new(&path, line.as_bytes())?;
        File::options().write(true).open(&path)?.set_modified(self.touched)
    }

    /// Keeps what an action made, if its body is what it is called; returns its length, or `None`
    /// if it was kept before.
    fn keep(&self, action: &str, file: &Path) -> Result<Option<u64>, PutError> {
        let mut line = String::new();
        File::open(file)?.take(LINE_LIMIT).read_to_string(&mut line)?;
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let odd = || PutError::Other("its entry is odd");
        let ["v1", named, output, size, _time] = words.as_slice() else { return Err(odd()) };
        let name = bytes_of(action).filter(|_| *named == action).ok_or_else(odd)?;
        let size: u64 = size.parse().map_err(|_| odd())?;
        let of = |it: &Entry| it.output == **output && it.size == size;
        if self.store().action(&self.shelf.key(&name)).as_ref().is_some_and(of) {
            return Ok(None);
        }
        let mut source = File::open(self.place(output, "-d"))?;
        let mut body: Body = self.shelf.begin()?;
        let mut piece = vec![0; 1 << 16];
        loop {
            match source.read(&mut piece)? {
                0 => break,
                read => body.write(&piece[..read])?,
            }
        }
        let output = bytes_of(output).ok_or_else(odd)?;
        self.shelf.finish(&name, (&output, size), body)?;
        Ok(Some(size))
    }

    fn place(&self, name: &str, suffix: &str) -> PathBuf {
        self.folder.join(name.get(..2).unwrap_or_default()).join(format!("{name}{suffix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::compile_cache::hex;
    use sha2::{Digest as _, Sha256};

    fn files(at: &Path, run: &str) -> Files {
        Files::filled(&at.join("cache"), Digest::of(b"go"), at.join(run)).unwrap()
    }

    /// What Go does when it has compiled something.
    fn compile(files: &Files, action: &[u8], bytes: &[u8], called: &[u8]) {
        let (action, output) = (hex(&Sha256::digest(action)), hex(&Sha256::digest(called)));
        let line = format!("v1 {action} {output} {:20} {:20}\n", bytes.len(), 7);
        for (path, bytes) in
            [(files.place(&action, "-a"), line.as_bytes()), (files.place(&output, "-d"), bytes)]
        {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&path);
            write_new(&path, bytes).unwrap();
        }
    }

    fn holds(files: &Files, action: &[u8]) -> Option<Vec<u8>> {
        let line = fs::read_to_string(files.place(&hex(&Sha256::digest(action)), "-a")).ok()?;
        let output = line.split(' ').nth(2).unwrap();
        Some(fs::read(files.place(output, "-d")).unwrap())
    }

    #[test]
    fn what_a_run_made_is_there_for_the_next_one_once_it_was_taken() {
        let folder = tempfile::tempdir().unwrap();
        let one = files(folder.path(), "one");
        compile(&one, b"a", b"object", b"object");
        compile(&one, b"same", b"object", b"object");
        assert_eq!(holds(&files(folder.path(), "early"), b"a"), None);
        assert_eq!(one.take().statistics.puts, 2);
        let two = files(folder.path(), "two");
        assert_eq!(holds(&two, b"a").as_deref(), Some(&b"object"[..]));
        assert_eq!(holds(&two, b"same").as_deref(), Some(&b"object"[..]));
        let other = Files::filled(
            &folder.path().join("cache"),
            Digest::of(b"another go"),
            folder.path().join("other"),
        );
        assert_eq!(holds(&other.unwrap(), b"a"), None);
        let report = two.take();
        assert_eq!((report.statistics, report.troubles), (Statistics::default(), Vec::new()));
    }

    #[test]
    fn what_is_not_what_it_is_called_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let one = files(folder.path(), "one");
        compile(&one, b"a", b"objecT", b"object");
        assert_eq!(one.take().statistics.puts, 0);
        assert_eq!(holds(&files(folder.path(), "two"), b"a"), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "damages files on purpose")]
    fn what_was_damaged_since_is_not_put_down() {
        let folder = tempfile::tempdir().unwrap();
        let one = files(folder.path(), "one");
        compile(&one, b"a", b"object", b"object");
        compile(&one, b"b", b"another", b"another");
        one.take();
        let blobs = walkdir::WalkDir::new(one.store().root().join("blobs"));
        let blob = blobs
            .into_iter()
            .filter_map(Result::ok)
            .find(|it| it.file_type().is_file() && fs::read(it.path()).unwrap() == b"object");
        let blob = blob.unwrap().into_path();
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, b"objecT").unwrap();
        let two = files(folder.path(), "two");
        assert_eq!(holds(&two, b"a"), None);
        assert_eq!(holds(&two, b"b").as_deref(), Some(&b"another"[..]));
        let troubles = two.take().troubles;
        assert!(troubles[0].contains("is damaged"), "{troubles:?}");
    }

    #[test]
    fn what_no_run_uses_leaves_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let one = files(folder.path(), "run");
        compile(&one, b"a", b"object", b"object");
        one.take();
        for run in 0..PATIENCE {
            let next = files(folder.path(), &format!("run{run}"));
            assert!(holds(&next, b"a").is_some(), "{run}");
            next.take();
        }
        assert_eq!(holds(&files(folder.path(), "last"), b"a"), None);
    }
}
