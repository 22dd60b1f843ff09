//! Go's compile cache, ours: what the `go` command is given in place of a GOCACHE it would trust.
//!
//! ```text
//! <folder>/v1/blobs, actions, aside   a store: bodies, and which action made them
//! <folder>/v1/pending/<run>           what one run has put and nobody has looked at yet
//! <folder>/v1/pending/<run>.lock      held by that run; dies with its holders
//! <folder>/v1/statistics.json         counters of all runs
//! <folder>/plain                      a GOCACHE, for what Go still wants one for (fuzzing)
//! ```
//!
//! **Get.** Go checks the length of a cached file and nothing else. Here the record is framed and
//! sealed, the body is hashed each time it is handed out, and its file is read-only. What the last
//! run like this one asked for is hashed before it is asked for (`ahead`).
//!
//! **Put.** Go names an object by the sources that it hashed, not by those that the compiler read
//! a moment later. So what a build puts is [`Pending`]: seen by that build alone, promoted once its
//! inputs were looked at again and are the same, and discarded otherwise.
//!
//! **Older Go** (before 1.24) asks no program. Each run has a GOCACHE of its own then, in which
//! each body was hashed when it was put down (`files`); it is taken back or discarded like puts.
//!
//! **Domains.** What was promoted is kept apart by the identity of the toolchain, which Go knows by
//! its version only. What `linkwright cacheprog` keeps without a build around it ([`Shelf::alone`])
//! has a domain of its own, which no build reads: nobody looked at its inputs again.

mod ahead;
mod files;
mod reports;

use crate::effects::compile_cache::ahead::{Ahead, stamp_of};
use crate::effects::compile_cache::files::Files;
use crate::effects::compile_cache::reports::{add_report, count, report_of, statistics_of};
use crate::effects::file;
use crate::effects::stamp::Stamp;
use crate::effects::store::{FORMAT, NewBlob, Store};
use crate::words::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// The variable that names the run's folder to the server.
pub const PENDING: &str = "LINKWRIGHT_GO_PENDING";

/// The variable that names the compile cache.
pub const FOLDER: &str = "LINKWRIGHT_GO_CACHE";

/// What every server that was asked has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Statistics {
    /// Servers that came to their end.
    pub sessions: u64,
    /// Gets that were answered with a file.
    pub hits: u64,
    /// Gets that were not.
    pub misses: u64,
    /// Puts that were kept.
    pub puts: u64,
    /// Records and bodies that were damaged and set aside.
    pub damaged: u64,
    /// Requests that were not answered in time.
    pub late: u64,
    /// Bytes of the files handed out.
    pub bytes_read: u64,
    /// Bytes of the bodies kept.
    pub bytes_written: u64,
}

/// How a run of `go` comes to what was compiled before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It asks this program (`GOCACHEPROG`).
    ByProgram,
    /// It reads a folder of its own, filled for it.
    ByFiles,
    /// It has an empty folder of its own, and nothing that it puts there is kept.
    ByNothing,
}

/// The file of a run's folder that says what kind of run it is.
const HINT: &str = "hint";

/// How long a report may be.
const REPORT_ROOM: usize = 8 << 10;

/// What a server leaves for the build that it worked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// What it counted.
    pub statistics: Statistics,
    /// What went wrong, a sentence each.
    pub troubles: Vec<String>,
}

/// The compile cache as a build sees it.
#[derive(Debug)]
pub struct CompileCache {
    folder: PathBuf,
    program: PathBuf,
    store: Store,
    troubles: Mutex<Vec<String>>,
    swept: AtomicBool,
}

/// What one run has put so far. Promote it, or drop it: then it is discarded.
#[derive(Debug)]
#[must_use = "what is dropped is discarded"]
pub struct Pending<'c> {
    cache: &'c CompileCache,
    folder: PathBuf,
    /// Where the compile cache cannot be written, the folder lies elsewhere and goes with this.
    elsewhere: Option<tempfile::TempDir>,
    lock: Option<(PathBuf, File)>,
    /// The GOCACHE of a Go that asks no program.
    files: Option<Files>,
}

impl CompileCache {
    /// Opens the compile cache in `folder`, which need not exist; `program` is linkwright itself,
    /// which the `go` command starts as its server.
    #[must_use]
    pub fn new(folder: &Path, program: PathBuf) -> Self {
        Self {
            folder: folder.to_owned(),
            program,
            store: Store::new(folder),
            troubles: Mutex::default(),
            swept: AtomicBool::new(false),
        }
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the store in which promoted objects lie.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Returns what went wrong so far, a sentence each, and forgets it.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let own = self.troubles.lock().map(|mut it| std::mem::take(&mut *it));
        let own = own.unwrap_or_default().into_iter().chain(self.store.troubles());
        own.map(|it| format!("Go's compile cache: {it}")).collect()
    }

    /// Returns the counters of all servers so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        statistics_of(self.store.root())
    }

    /// Begins a run of `go` processes of the toolchain `toolchain`.
    ///
    /// # Errors
    ///
    /// Returns the system's error if there is no place at all for what they put, neither in the
    /// compile cache nor in the folder for temporary files.
    pub fn begin(&self, toolchain: &Digest, served: Served) -> io::Result<Pending<'_>> {
        if !self.swept.swap(true, Ordering::Relaxed) {
            sweep(&self.pending());
        }
        let mut pending = match self.begin_here(toolchain) {
            Ok(pending) => pending,
            Err(error) => {
                let place = self.pending();
                self.trouble(format!("cannot write `{}`: {error}", place.display()));
                let elsewhere = tempfile::Builder::new().prefix("linkwright-go-").tempdir()?;
                let folder = elsewhere.path().to_owned();
                describe(&folder, toolchain)?;
                Pending { cache: self, folder, elsewhere: Some(elsewhere), lock: None, files: None }
            }
        };
        let place = pending.folder.join("gocache");
        pending.files = match served {
            Served::ByProgram => None,
            Served::ByFiles => Some(Files::filled(&self.folder, *toolchain, place)?),
            Served::ByNothing => Some(Files::empty(&self.folder, *toolchain, place)?),
        };
        Ok(pending)
    }

    fn begin_here(&self, toolchain: &Digest) -> io::Result<Pending<'_>> {
        if !self.store.is_usable() {
            return Err(io::Error::other("it is of another format"));
        }
        let parent = self.pending();
        fs::create_dir_all(&parent)?;
        fs::create_dir_all(self.folder.join("plain"))?;
        let (path, lock) = new_lock(&parent)?;
        let folder = path.with_extension("");
        let lock = Some((path, lock));
        let pending = Pending { cache: self, folder, elsewhere: None, lock, files: None };
        fs::create_dir(&pending.folder)?;
        describe(&pending.folder, toolchain)?;
        Ok(pending)
    }

    fn pending(&self) -> PathBuf {
        self.store.root().join("pending")
    }

    fn trouble(&self, what: String) {
        if let Ok(mut troubles) = self.troubles.lock()
            && !troubles.contains(&what)
        {
            troubles.push(what);
        }
    }
}

impl Pending<'_> {
    /// Returns the variables by which a `go` process finds this compile cache and no other.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<OsString, OsString> {
        if let Some(files) = &self.files {
            return BTreeMap::from([("GOCACHE".into(), files.folder().into())]);
        }
        let plain = match &self.elsewhere {
            Some(elsewhere) => elsewhere.path().join("plain"),
            None => self.cache.folder.join("plain"),
        };
        BTreeMap::from([
            ("GOCACHE".into(), plain.into()),
            ("GOCACHEPROG".into(), command(&self.cache.program)),
            (FOLDER.into(), self.cache.folder.clone().into()),
            (PENDING.into(), self.folder.clone().into()),
        ])
    }

    /// Tells the servers what kind of run this is: what the last one with this `hint` asked for is
    /// made ready.
    pub fn expect(&self, hint: &Digest) {
        // Without it, each object is only looked for when it is asked for.
        let _ = file::write_over_unsynced(&self.folder.join(HINT), hint.to_string().as_bytes());
    }

    /// Keeps what the run has put: its inputs were the same before and after. Where the compile
    /// cache cannot be written, which was told when the run began, there is nothing to be done.
    pub fn promote(self) {
        match &self.files {
            _ if self.elsewhere.is_some() => {}
            Some(files) => drop(add_report(&self.folder, &files.take())),
            None => self.cache.store.take_over(&Store::narrow(&self.folder)),
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let report = report_of(&self.folder);
        count(self.cache.store.root(), &report);
        report.troubles.into_iter().for_each(|it| self.cache.trouble(it));
        if let Some((path, _lock)) = &self.lock {
            let _ = fs::remove_dir_all(&self.folder);
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns the words of GOCACHEPROG that start `program` as a server.
///
/// Go splits them at blanks and knows quotes, yet no way to write both kinds in one word. A path
/// with both is reached through this process, which outlives its children.
fn command(program: &Path) -> OsString {
    let bytes = program.as_os_str().as_encoded_bytes();
    let quote = match (bytes.contains(&b'\''), bytes.contains(&b'"')) {
        (false, _) => "'",
        (true, false) => "\"",
        (true, true) => return format!("/proc/{}/exe cacheprog", std::process::id()).into(),
    };
    let mut command = OsString::from(quote);
    command.push(program);
    command.push(quote);
    command.push(" cacheprog");
    command
}

/// Writes what the server needs to know, and room for its report: once the disk is full, the
/// report that says so could not be written any more. The mark of a store goes with the run, so
/// nobody waits for the disk to have it.
fn describe(folder: &Path, toolchain: &Digest) -> io::Result<()> {
    use std::io::Write as _;
    File::create_new(folder.join("format"))?.write_all(format!("{FORMAT}\n").as_bytes())?;
    File::create_new(folder.join("report"))?.write_all(&[0; REPORT_ROOM])?;
    File::create_new(folder.join("toolchain"))?.write_all(toolchain.to_string().as_bytes())
}

/// Makes a lock file of a new name in `parent` and holds it.
fn new_lock(parent: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let made = tempfile::Builder::new().prefix("run-").suffix(".lock").tempfile_in(parent)?;
        let (lock, path) = made.keep().map_err(|it| it.error)?;
        lock.try_lock_shared().map_err(io::Error::from)?;
        // Somebody who swept may have held it, and removed it, before we did.
        if lock.metadata()?.nlink() > 0 {
            return Ok((path, lock));
        }
    }
}

/// Removes what runs left behind that were killed: their locks are free.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.extension().is_some_and(|it| it == "lock") {
            let lock = File::open(&path);
            if lock.is_ok_and(|it| it.try_lock().is_ok()) {
                let _ = fs::remove_dir_all(path.with_extension(""));
                let _ = fs::remove_file(&path);
            }
        } else if !path.with_extension("lock").exists() {
            // The lock is made before the folder, so this one is nobody's.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// What the store keeps under an action of Go's.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Go's name of the body, in hexadecimal: its SHA-256.
    output: String,
    size: u64,
    blake3: Digest,
    /// Nanoseconds since 1970. Go holds it against `go clean -testcache`.
    time: u64,
}

/// What an action made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Go's name of the body.
    pub output: Vec<u8>,
    /// Its length.
    pub size: u64,
    /// When it was put, in nanoseconds since 1970.
    pub time: u64,
    /// The file that holds it.
    pub path: PathBuf,
}

/// A body on its way onto the shelf.
#[derive(Debug)]
pub struct Body {
    blob: NewBlob,
    sha256: Sha256,
}

/// Why a put was not done.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// What came is not what was announced.
    #[error("the body is not what was announced: {0}")]
    Other(&'static str),
    /// It could not be kept.
    #[error("cannot keep an object: {0}")]
    Kept(#[from] io::Error),
}

/// The compile cache as a server sees it: where it looks, and where it puts.
#[derive(Debug)]
pub struct Shelf {
    settled: Store,
    pending: Option<(Store, File)>,
    folder: PathBuf,
    domain: Digest,
    kind: Kind,
    ahead: Option<Ahead>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Puts wait for the build around it.
    Pending,
    /// Puts count at once.
    Alone,
    /// The build is gone: nobody would look at what is put.
    Orphan,
}

impl Shelf {
    /// Opens the compile cache in `folder` without a build around it.
    #[must_use]
    pub fn alone(folder: &Path) -> Self {
        let domain = Digest::of(b"linkwright cacheprog alone");
        let settled = Store::new(folder);
        let folder = folder.to_owned();
        Self { settled, pending: None, folder, domain, kind: Kind::Alone, ahead: None }
    }

    /// Opens the compile cache in `folder` for the run whose folder is `pending`.
    #[must_use]
    pub fn pending(folder: &Path, pending: &Path) -> Self {
        let settled = Store::new(folder);
        let toolchain = fs::read_to_string(pending.join("toolchain"));
        let domain = toolchain.ok().and_then(|it| it.parse().ok());
        let hint = fs::read_to_string(pending.join(HINT)).ok().and_then(|it| it.parse().ok());
        // Held together with the build, so that nobody sweeps while either of them lives.
        let lock = File::open(pending.with_extension("lock")).or_else(|_| File::open(pending));
        let lock = lock.and_then(|it| it.try_lock_shared().map(|()| it).map_err(io::Error::from));
        let folder = pending.to_owned();
        if let Some((domain, lock)) = domain.zip(lock.ok()) {
            let pending = Some((Store::narrow(pending), lock));
            let ahead = hint.map(|it| Ahead::of(&settled, &domain, &it));
            Self { settled, pending, folder, domain, kind: Kind::Pending, ahead }
        } else {
            let domain = Digest::of(b"nobody's");
            Self { settled, pending: None, folder, domain, kind: Kind::Orphan, ahead: None }
        }
    }

    fn key(&self, action: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("linkwright compile cache 1");
        hasher.update(self.domain.as_bytes()).update(action);
        Digest::from_hasher(&hasher)
    }

    fn stores(&self) -> impl Iterator<Item = &Store> {
        self.pending.iter().map(|(it, _)| it).chain([&self.settled])
    }

    /// Finds what `action` made, its bytes checked.
    #[must_use]
    pub fn get(&self, action: &[u8]) -> Option<Found> {
        let key = self.key(action);
        let ready = self.ahead.as_ref().and_then(|it| it.take(&key));
        ready.or_else(|| self.stores().find_map(|it| found_in(it, &key)).map(|it| it.0))
    }

    /// Finds and hashes what the run is expected to ask for, before it does.
    pub fn look_ahead(&self) {
        if let Some(ahead) = &self.ahead {
            ahead.look(|key| found_in(&self.settled, key));
        }
    }

    /// Begins to put a body.
    ///
    /// # Errors
    ///
    /// Returns [`PutError::Kept`] if there is no place for it.
    pub fn begin(&self) -> Result<Body, PutError> {
        let store = self.place()?;
        Ok(Body { blob: store.begin_blob()?, sha256: Sha256::new() })
    }

    /// Keeps a body that is `size` bytes long and that Go calls `output`, as what `action` made;
    /// returns its file.
    ///
    /// # Errors
    ///
    /// Returns [`PutError`] if it is something else, or cannot be kept.
    pub fn finish(
        &self,
        action: &[u8],
        (output, size): (&[u8], u64),
        body: Body,
    ) -> Result<PathBuf, PutError> {
        let store = self.place()?;
        let Body { blob, sha256 } = body;
        if blob.size() != size {
            return Err(PutError::Other("its length differs"));
        }
        if sha256.finalize().as_slice() != output {
            return Err(PutError::Other("its digest differs"));
        }
        let (copied, path) = store.finish_blob(blob)?;
        let entry = Entry { output: hex(output), size, blake3: copied.digest, time: now() };
        store.put_action(&self.key(action), &entry);
        Ok(path)
    }

    fn place(&self) -> io::Result<&Store> {
        match (&self.pending, self.kind) {
            (Some((pending, _)), _) => Ok(pending),
            (None, Kind::Alone) => Ok(&self.settled),
            (None, _) => Err(io::Error::other("the build that began this has ended")),
        }
    }

    /// Returns a path at which there is nothing: the answer to a put that was not kept. `go` would
    /// not go on without an answer, and must not find other bytes.
    #[must_use]
    pub fn nowhere(&self) -> PathBuf {
        self.folder.join("not-kept")
    }

    /// Returns what went wrong so far, a sentence each, and how much of it was damage.
    #[must_use]
    pub fn troubles(&self) -> (Vec<String>, u64) {
        let mut troubles: Vec<_> = self.stores().flat_map(Store::troubles).collect();
        let damaged = troubles.iter().filter(|it| it.contains("set aside")).count() as u64;
        troubles.dedup();
        (troubles, damaged)
    }

    /// Writes down what a server leaves: for the build around it, or into the counters.
    pub fn leave(&self, report: &Report) {
        match self.kind {
            Kind::Alone => {
                let _ = fs::create_dir_all(self.settled.root());
                count(self.settled.root(), report);
            }
            Kind::Pending => {
                let _ = add_report(&self.folder, report);
                self.ahead.iter().for_each(|it| it.keep(&self.settled));
            }
            Kind::Orphan => {}
        }
    }

    /// Tells whether there is no build around it that would pass on what went wrong.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.kind == Kind::Alone
    }
}

/// Finds what a store holds under `key`, its bytes checked, with the stamp that the file had before
/// that.
fn found_in(store: &Store, key: &Digest) -> Option<(Found, Stamp)> {
    let Entry { output, size, blake3, time } = store.action(key)?;
    let stamp = stamp_of(&store.place_of(&blake3))?;
    let (path, found) = store.blob(&blake3)?;
    let output = bytes_of(&output).filter(|_| found == size)?;
    Some((Found { output, size, time, path }, stamp))
}

impl Body {
    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// Returns [`PutError::Kept`] if there is no place for them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PutError> {
        self.sha256.update(bytes);
        Ok(self.blob.write(bytes)?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a put, which Go asks for")]
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, it| {
        let _ = write!(text, "{it:02x}");
        text
    })
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTION: &[u8] = b"an action";

    struct Place {
        _folder: tempfile::TempDir,
        cache: CompileCache,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompileCache::new(&folder.path().join("cache"), "/bin/linkwright".into());
        Place { _folder: folder, cache }
    }

    impl Place {
        fn begin(&self) -> Pending<'_> {
            self.cache.begin(&Digest::of(b"toolchain"), Served::ByProgram).unwrap()
        }
    }

    fn server_of(pending: &Pending<'_>) -> Shelf {
        let env = pending.environment();
        let path = |it: &str| PathBuf::from(&env[&OsString::from(it)]);
        Shelf::pending(&path(FOLDER), &path(PENDING))
    }

    fn put(shelf: &Shelf, bytes: &[u8]) -> Result<PathBuf, PutError> {
        let mut body = shelf.begin()?;
        body.write(bytes)?;
        let output = Sha256::digest(bytes);
        shelf.finish(ACTION, (&output, bytes.len() as u64), body)
    }

    fn holds(shelf: &Shelf) -> Option<Vec<u8>> {
        let found = shelf.get(ACTION)?;
        let bytes = fs::read(&found.path).unwrap();
        assert_eq!(found.size, bytes.len() as u64);
        assert_eq!(found.output, Sha256::digest(&bytes).to_vec());
        Some(bytes)
    }

    #[test]
    fn what_is_put_is_seen_by_its_own_run_and_by_others_once_promoted() {
        let it = place();
        let (one, other) = (it.begin(), it.begin());
        put(&server_of(&one), b"bytes").unwrap();
        assert_eq!(holds(&server_of(&one)).as_deref(), Some(&b"bytes"[..]));
        assert_eq!(holds(&server_of(&other)), None);
        one.promote();
        assert_eq!(holds(&server_of(&other)).as_deref(), Some(&b"bytes"[..]));
        let stranger =
            it.cache.begin(&Digest::of(b"another toolchain"), Served::ByProgram).unwrap();
        assert_eq!(holds(&server_of(&stranger)), None);
        assert_eq!(holds(&Shelf::alone(it.cache.folder())), None);
        drop((other, stranger));
        assert_eq!(fs::read_dir(it.cache.pending()).unwrap().count(), 0);
        assert_eq!(it.cache.troubles(), [""; 0]);
    }

    #[test]
    fn what_is_dropped_is_discarded() {
        let it = place();
        let one = it.begin();
        let shelf = server_of(&one);
        put(&shelf, b"bytes").unwrap();
        drop(one);
        assert_eq!(holds(&server_of(&it.begin())), None);
        // A server that outlives its build keeps nothing that anybody will look for.
        let _ = put(&shelf, b"later");
        assert_eq!(holds(&server_of(&it.begin())), None);
    }

    #[test]
    fn a_server_without_its_build_keeps_nothing() {
        let it = place();
        let one = it.begin();
        put(&server_of(&one), b"bytes").unwrap();
        one.promote();
        let gone = Shelf::pending(it.cache.folder(), &it.cache.pending().join("run-gone"));
        assert!(put(&gone, b"bytes").is_err());
        assert_eq!(holds(&gone), None);
        assert!(!gone.nowhere().exists());
    }

    #[test]
    fn a_body_that_is_not_what_was_announced_is_refused() {
        let it = place();
        let shelf = Shelf::alone(it.cache.folder());
        let output = Sha256::digest(b"bytes");
        for (said, size) in [(&b"bytez"[..], 5), (b"bytes", 4), (b"bytes", 6), (b"", 5)] {
            let mut body = shelf.begin().unwrap();
            body.write(said).unwrap();
            let refused = shelf.finish(ACTION, (&output, size), body);
            assert!(matches!(refused, Err(PutError::Other(_))), "{refused:?}");
        }
        assert_eq!(holds(&shelf), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "damages files on purpose")]
    fn damage_is_a_miss_and_heals_when_put_again() {
        let it = place();
        let shelf = Shelf::alone(it.cache.folder());
        let path = put(&shelf, b"bytes").unwrap();
        let entries = it.cache.store.root().join("actions");
        let record = walkdir::WalkDir::new(entries).into_iter().filter_map(Result::ok);
        let record = record.filter(|it| it.file_type().is_file()).last().unwrap().into_path();
        for file in [path, record] {
            let mut bytes = fs::read(&file).unwrap();
            bytes[0] ^= 1;
            fs::remove_file(&file).unwrap();
            fs::write(&file, bytes).unwrap();
            assert_eq!(holds(&shelf), None);
            let (troubles, damaged) = shelf.troubles();
            assert_eq!((troubles.len(), damaged), (1, 1), "{troubles:?}");
            put(&shelf, b"bytes").unwrap();
            assert_eq!(holds(&shelf).as_deref(), Some(&b"bytes"[..]));
        }
    }

    /// Two runs of one kind, the second of which looks ahead.
    fn looked_ahead(it: &Place) -> (Pending<'_>, Shelf) {
        let begin = || {
            let pending = it.begin();
            pending.expect(&Digest::of(b"kind"));
            pending
        };
        let first = begin();
        let shelf = server_of(&first);
        assert_eq!(holds(&shelf), None);
        put(&shelf, b"bytes").unwrap();
        shelf.leave(&Report::default());
        first.promote();
        let second = begin();
        let shelf = server_of(&second);
        shelf.look_ahead();
        (second, shelf)
    }

    #[test]
    fn what_the_last_run_asked_for_is_ready_once() {
        let it = place();
        let (_pending, shelf) = looked_ahead(&it);
        // What is ready needs its record no more, unlike what is asked for again.
        fs::remove_dir_all(it.cache.store.root().join("actions")).unwrap();
        assert_eq!(holds(&shelf).as_deref(), Some(&b"bytes"[..]));
        assert_eq!(holds(&shelf), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "damages files on purpose")]
    fn what_is_damaged_after_it_was_made_ready_is_not_handed_out() {
        let it = place();
        let (_pending, shelf) = looked_ahead(&it);
        let path = it.cache.store.place_of(&Digest::of(b"bytes"));
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"bytez").unwrap();
        assert_eq!(holds(&shelf), None);
        assert_eq!(shelf.troubles().1, 1);
    }

    #[test]
    fn runs_of_another_kind_or_toolchain_expect_nothing() {
        let it = place();
        let (_pending, same) = looked_ahead(&it);
        let other = |toolchain: &[u8], kind: &[u8]| {
            let begun = it.cache.begin(&Digest::of(toolchain), Served::ByProgram).unwrap();
            begun.expect(&Digest::of(kind));
            let shelf = server_of(&begun);
            shelf.look_ahead();
            (begun, shelf)
        };
        let others = [other(b"toolchain", b"other kind"), other(b"other", b"kind")];
        fs::remove_dir_all(it.cache.store.root().join("actions")).unwrap();
        assert!(others.iter().all(|(_, shelf)| holds(shelf).is_none()));
        assert!(holds(&same).is_some());
    }

    #[test]
    fn what_killed_runs_left_is_swept_and_what_runs_have_is_not() {
        let it = place();
        let live = it.begin();
        let pending = it.cache.pending();
        fs::create_dir(pending.join("run-dead")).unwrap();
        File::create(pending.join("run-dead.lock")).unwrap();
        fs::create_dir(pending.join("run-without-a-lock")).unwrap();
        sweep(&pending);
        assert_eq!(fs::read_dir(&pending).unwrap().count(), 2);
        put(&server_of(&live), b"bytes").unwrap();
        live.promote();
        assert_eq!(fs::read_dir(&pending).unwrap().count(), 0);
    }

    #[test]
    fn a_server_counts_for_itself_through_what_it_leaves() {
        let it = place();
        let one = it.begin();
        let statistics =
            Statistics { sessions: 1, hits: 2, bytes_read: 30, ..Statistics::default() };
        let troubles = (0..1000).map(|it| format!("trouble {it}")).collect();
        for _ in 0..2 {
            server_of(&one).leave(&Report { statistics, troubles: Vec::clone(&troubles) });
        }
        drop(one);
        Shelf::alone(it.cache.folder()).leave(&Report { statistics, troubles: Vec::new() });
        let sum = Statistics { sessions: 3, hits: 6, bytes_read: 90, ..Statistics::default() };
        assert_eq!(it.cache.statistics(), sum);
        let told = it.cache.troubles();
        assert_eq!(told[0], "Go's compile cache: trouble 0");
        assert!((100..1000).contains(&told.len()), "{}", told.len());
    }

    #[test]
    fn where_the_cache_cannot_be_written_its_run_works_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        File::create(&file).unwrap();
        let cache = CompileCache::new(&file.join("cache"), "/bin/linkwright".into());
        let pending = cache.begin(&Digest::of(b"toolchain"), Served::ByProgram).unwrap();
        put(&server_of(&pending), b"bytes").unwrap();
        assert_eq!(holds(&server_of(&pending)).as_deref(), Some(&b"bytes"[..]));
        let elsewhere = pending.folder.clone();
        pending.promote();
        assert!(!elsewhere.exists());
        assert_eq!(cache.troubles().len(), 1);
    }

    #[test]
    fn go_is_told_a_program_with_any_name() {
        assert_eq!(command(Path::new("/a b/linkwright")), "'/a b/linkwright' cacheprog");
        assert_eq!(command(Path::new("/it's/linkwright")), "\"/it's/linkwright\" cacheprog");
        let both = command(Path::new("/it's \"it\"/linkwright"));
        assert_eq!(both, format!("/proc/{}/exe cacheprog", std::process::id()).as_str());
    }

    #[test]
    fn names_survive_their_writing() {
        for bytes in [vec![], vec![0], vec![0xab, 0x01, 0xff]] {
            assert_eq!(bytes_of(&hex(&bytes)), Some(bytes));
        }
        assert_eq!(bytes_of("zz"), None);
    }
}
