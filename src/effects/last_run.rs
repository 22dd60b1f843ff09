//! What is kept of the last run that succeeded: what was asked, what it saw, and what it told.
//!
//! One file for each question, `linkwright-out/.last-runs/<question>`. One that is damaged, or
//! written by another version, is as good as none; its place among the outputs lets it go with
//! them. Of more than [`MOST_RUNS`] those that were written last stay.
//!
//! | part | is |
//! |---|---|
//! | magic | twelve bytes, the version among them |
//! | length | of the head, eight bytes, little-endian |
//! | head | postcard: the question, and of each piece its length and BLAKE3 |
//! | seal | BLAKE3 of all before |
//! | pieces | postcard: sights near each other, then what was told; each is read and checked by itself, on any thread |

use crate::effects::file;
use crate::effects::sight::{Folder, Sight, Sights};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const MAGIC: &[u8; 12] = b"LWLASTRUN\x05\0\0";

/// The longest file that is read: 1 GiB, some millions of sights.
const LIMIT: u64 = 1 << 30;

/// How many runs are kept: each question and each toolchain has one.
const MOST_RUNS: usize = 64;

/// How many bytes a digest has.
const SEAL: usize = 32;

/// How many sights a piece has, or things told: one look takes about a microsecond.
const PIECE: usize = 256;

/// The run, of which `A` is known besides `T` for each thing that it told.
#[derive(Debug)]
pub struct LastRun<A, T> {
    /// What was asked, and by which program: equal questions have equal digests.
    pub question: Digest,
    /// Variables that it saw, with the digest of their values.
    pub variables: (Vec<String>, Digest),
    /// When the sights were drawn.
    pub drawn: SystemTime,
    /// What it saw.
    pub sights: Sights,
    /// What is known of it.
    pub about: A,
    /// What it told.
    pub told: Vec<T>,
}

/// Where what runs saw is kept.
#[derive(Debug, Clone)]
pub struct LastRuns {
    /// The folder of outputs.
    pub folder: PathBuf,
    /// Whether this run writes into it.
    pub is_written: bool,
}

/// What a run told, if that holds.
#[derive(Debug)]
pub struct Holds<A, T> {
    /// What is known of it.
    pub about: A,
    /// What it told.
    pub told: Vec<T>,
    /// The digest of both, whenever they were seen to hold.
    pub digest: Digest,
}

/// A run as it is kept, before anything that it saw is looked at again.
#[derive(Debug)]
pub struct Kept<A, T> {
    runs: LastRuns,
    opened: Opened<A>,
    told: PhantomData<T>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head<A> {
    question: [u8; 32],
    names: Vec<String>,
    values: [u8; 32],
    /// Since 1970.
    drawn: Duration,
    about: A,
    sights: Vec<Mark>,
    told: Vec<Mark>,
}

/// The length of a piece, and its digest.
type Mark = (u64, [u8; 32]);

/// Sights that lie near each other.
#[derive(Serialize)]
struct Piece<'a> {
    /// The folder above all of them.
    base: &'a Bytes,
    /// By path below it; `.` is the folder itself.
    sights: Vec<(&'a Bytes, Sight)>,
}

/// A piece that is read, one sight after the other.
struct ReadPiece<'a> {
    base: &'a Path,
    /// How many are left, and their bytes.
    count: usize,
    rest: &'a [u8],
}

impl<A, T> LastRun<A, T>
where
    A: Clone + Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned + Send + Sync,
{
    /// Writes it below the output folder `folder`; returns the digest of what it told.
    ///
    /// # Errors
    ///
    /// Returns the system's error; without it the next run only takes longer.
    pub fn write(&self, folder: &Path) -> io::Result<Digest> {
        let Self { question, variables: (names, values), drawn, sights, about, told } = self;
        let written = |it: &[T]| postcard::to_stdvec(it).map_err(io::Error::other);
        let told = told.par_chunks(PIECE).map(written).collect::<io::Result<Vec<_>>>()?;
        let sights = pieces(sights)?;
        let marks = |it: &[Vec<u8>]| it.iter().map(|it| mark(it)).collect();
        let head = Head {
            question: *question.as_bytes(),
            names: names.clone(),
            values: *values.as_bytes(),
            drawn: drawn.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            about,
            sights: marks(&sights),
            told: marks(&told),
        };
        let digest = digest_of_told(&head)?;
        let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
        let mut bytes = [&MAGIC[..], &(head.len() as u64).to_le_bytes(), &head].concat();
        let seal = Digest::of(&bytes);
        bytes.extend_from_slice(seal.as_bytes());
        bytes.extend(sights.concat());
        bytes.extend(told.concat());
        let path = place(folder, question);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        file::write_over_unsynced(&path, &bytes)?;
        forget_old(path.parent().unwrap_or(folder));
        Ok(digest)
    }

    /// Reads the last run with `question` and looks again at all that it saw: `None` if there is
    /// none, or a run at this moment, `now`, would see something else. `values` digests variables
    /// by their names.
    #[must_use]
    pub fn that_holds(
        runs: &LastRuns,
        question: &Digest,
        values: impl Fn(&[String]) -> Digest,
        now: SystemTime,
    ) -> Option<Holds<A, T>> {
        Self::kept(runs, question, values)?.holds(now)
    }

    /// Reads the head of the last run with `question`, and looks at nothing that it saw.
    #[must_use]
    pub fn kept(
        runs: &LastRuns,
        question: &Digest,
        values: impl Fn(&[String]) -> Digest,
    ) -> Option<Kept<A, T>> {
        let opened = opened::<A>(&place(&runs.folder, question))?;
        let Head { question: asked, names, values: were, .. } = &opened.head;
        let others = *were != *values(names).as_bytes();
        if asked != question.as_bytes() || others && !planted(Defect::LastRunOfOtherVariables) {
            return None;
        }
        Some(Kept { runs: runs.clone(), opened, told: PhantomData })
    }

    /// Returns what the last run with `question` saw, be it so today or not; nothing if there is
    /// none.
    #[must_use]
    pub fn sights(folder: &Path, question: &Digest) -> Sights {
        let opened = opened::<A>(&place(folder, question));
        opened.and_then(|it| all_sights(&it.file, &it.sights)).unwrap_or_default()
    }
}

impl<A, T> Kept<A, T>
where
    A: Clone + Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned + Send + Sync,
{
    /// Returns what is known of the run, be it so today or not.
    #[must_use]
    pub fn about(&self) -> &A {
        &self.opened.head.about
    }

    /// Looks again at all that the run saw: `None` if one at this moment, `now`, would see
    /// something else.
    ///
    /// Where only stamps differ, or have become old enough to be trusted, those of today are kept,
    /// so that nothing is read twice.
    #[must_use]
    pub fn holds(&self, now: SystemTime) -> Option<Holds<A, T>> {
        let Opened { file, head, sights: pieces, told } = &self.opened;
        let digest = digest_of_told(head).ok()?;
        let Head { question, names, values, drawn, about, .. } = head;
        let (about, drawn) = (about.clone(), SystemTime::UNIX_EPOCH.checked_add(*drawn)?);
        // Each thread reads piece after piece into the same place.
        let look = |space: &mut Vec<u8>, it: &Written| {
            look_again(it.read(file, space)?, |_, _, _| true, (drawn, now))
        };
        let read = |space: &mut Vec<u8>, it: &Written| {
            postcard::from_bytes::<Vec<T>>(it.read(file, space)?).ok()
        };
        let (newer, told): (Option<Vec<Vec<_>>>, Option<Vec<Vec<T>>>) = rayon::join(
            || pieces.par_iter().map_init(Vec::new, look).collect(),
            || told.par_iter().map_init(Vec::new, read).collect(),
        );
        let (newer, told) = (newer?.concat(), told?.into_iter().flatten().collect());
        if newer.is_empty() || !self.runs.is_written {
            return Some(Holds { about, told, digest });
        }
        let mut sights = all_sights(file, pieces)?;
        sights.extend(newer);
        let question = Digest::from_bytes(*question);
        let variables = (names.clone(), Digest::from_bytes(*values));
        let this = LastRun { question, variables, drawn: now, sights, about, told };
        let _ = this.write(&self.runs.folder);
        Some(Holds { about: this.about, told: this.told, digest })
    }

    /// Looks again at the sights that `counts`, each at a folder and a path below it, of which
    /// `.` is the folder: tells whether a run at this moment, `now`, would see the same there.
    /// Keeps nothing.
    #[must_use]
    pub fn holds_where(
        &self,
        counts: impl Fn(&Path, &OsStr, &Sight) -> bool + Sync,
        now: SystemTime,
    ) -> bool {
        let Opened { file, head, sights, .. } = &self.opened;
        let Some(drawn) = SystemTime::UNIX_EPOCH.checked_add(head.drawn) else { return false };
        let same = |space: &mut Vec<u8>, it: &Written| {
            it.read(file, space).is_some_and(|it| look_again(it, &counts, (drawn, now)).is_some())
        };
        sights.par_iter().map_init(Vec::new, same).all(|it| it)
    }
}

impl<'a> Piece<'a> {
    /// Puts sights under the folder that all of their folders lie in.
    fn of(sights: &[(&'a OsString, &Sight)]) -> Self {
        let mut base = sights.first().map_or(&b"/"[..], |(path, _)| folder_of(path.as_bytes()));
        for (path, _) in sights {
            while below(folder_of(path.as_bytes()), base).is_none() {
                base = folder_of(base);
            }
        }
        let name = |path: &'a OsString| match below(path.as_bytes(), base) {
            Some(name) if !name.is_empty() => name,
            _ => b".",
        };
        let named = sights.iter().map(|(path, it)| (Bytes::new(name(path)), **it));
        Self { base: Bytes::new(base), sights: named.collect() }
    }
}

impl<'a> ReadPiece<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (base, rest): (&Bytes, _) = postcard::take_from_bytes(bytes).ok()?;
        let (count, rest) = postcard::take_from_bytes(rest).ok()?;
        Some(Self { base: Path::new(OsStr::from_bytes(base)), count, rest })
    }

    /// Returns the next sight and its path below the folder; `Some(None)` at the end, `None` where
    /// there should be one and is not.
    #[expect(clippy::option_option, reason = "an end is not damage")]
    fn next(&mut self) -> Option<Option<(&'a OsStr, Sight)>> {
        let Some(count) = self.count.checked_sub(1) else {
            return self.rest.is_empty().then_some(None);
        };
        let ((name, sight), rest): ((&Bytes, Sight), _) =
            postcard::take_from_bytes(self.rest).ok()?;
        (self.count, self.rest) = (count, rest);
        Some(Some((OsStr::from_bytes(name), sight)))
    }

    /// Adds all that are left to `sights`.
    fn add_to(mut self, sights: &mut Sights) -> Option<()> {
        while let Some((name, sight)) = self.next()? {
            sights.insert(joined(self.base, name), sight);
        }
        Some(())
    }
}

/// Returns the folder that something lies in; the root lies in itself.
fn folder_of(path: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', path) {
        Some(0) | None => b"/",
        Some(at) => &path[..at],
    }
}

/// Returns what of a path is below a folder, which may be the path itself; `None` if it is not
/// there.
fn below<'p>(path: &'p [u8], folder: &[u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() || folder.ends_with(b"/") { Some(rest) } else { rest.strip_prefix(b"/") }
}

/// The path of what lies below a folder.
fn joined(base: &Path, name: &OsStr) -> OsString {
    if name == "." { base.as_os_str().to_owned() } else { base.join(name).into_os_string() }
}

/// Writes sights in pieces, in the order of their paths.
fn pieces(sights: &Sights) -> io::Result<Vec<Vec<u8>>> {
    let sights: Vec<_> = sights.iter().collect();
    let written = |it: &[_]| postcard::to_stdvec(&Piece::of(it)).map_err(io::Error::other);
    sights.par_chunks(PIECE).map(written).collect()
}

/// Where a piece is in its file, and the digest that it must have.
#[derive(Debug)]
struct Written {
    from: u64,
    length: usize,
    digest: [u8; 32],
}

impl Written {
    /// Reads it into `space`, if it is as it was written.
    fn read<'s>(&self, file: &File, space: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        space.clear();
        space.reserve_exact(self.length);
        while space.len() < self.length {
            let from = self.from.checked_add(space.len() as u64)?;
            match pread(file, spare_capacity(space), from) {
                Err(Errno::INTR) => continue,
                other => other.ok().filter(|it| *it > 0)?,
            };
            // There may be more room than it is long.
            space.truncate(self.length);
        }
        let is_whole = *Digest::of(space).as_bytes() == self.digest;
        (is_whole || planted(Defect::LastRunWithoutSeal)).then_some(space)
    }
}

/// Reads the sights of all pieces.
fn all_sights(file: &File, pieces: &[Written]) -> Option<Sights> {
    let (mut sights, mut space) = (Sights::new(), Vec::new());
    for piece in pieces {
        ReadPiece::of(piece.read(file, &mut space)?)?.add_to(&mut sights)?;
    }
    Some(sights)
}

/// A file whose head was read.
#[derive(Debug)]
struct Opened<A> {
    file: File,
    head: Head<A>,
    sights: Vec<Written>,
    told: Vec<Written>,
}

/// Opens a file and reads its head; `None` if that, or the file's length, is not as it was written.
fn opened<A: DeserializeOwned>(path: &Path) -> Option<Opened<A>> {
    // Whatever else has the name is not waited for.
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let file = File::open(path).ok()?;
    let all = file.metadata().ok().map(|it| it.len()).filter(|it| *it <= LIMIT)?;
    let mut start = [0; MAGIC.len() + 8];
    file.read_exact_at(&mut start, 0).ok()?;
    let length = u64::from_le_bytes(*start.strip_prefix(MAGIC)?.first_chunk()?);
    let end = u64::checked_add((start.len() + SEAL) as u64, length).filter(|it| *it <= all)?;
    let mut bytes = vec![0; usize::try_from(end).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let (sealed, seal) = bytes.split_last_chunk::<SEAL>()?;
    if Digest::of(sealed).as_bytes() != seal && !planted(Defect::LastRunWithoutSeal) {
        return None;
    }
    let head: Head<A> = postcard::from_bytes(sealed.get(start.len()..)?).ok()?;
    let mut from = end;
    let sights = taken(&mut from, &head.sights)?;
    let told = taken(&mut from, &head.told)?;
    (from == all).then_some(Opened { file, head, sights, told })
}

/// Says where pieces are that begin at `from`.
fn taken(from: &mut u64, marks: &[Mark]) -> Option<Vec<Written>> {
    let written = |(length, digest): &Mark| {
        let piece =
            Written { from: *from, length: usize::try_from(*length).ok()?, digest: *digest };
        *from = from.checked_add(*length)?;
        Some(piece)
    };
    marks.iter().map(written).collect()
}

fn mark(piece: &[u8]) -> Mark {
    (piece.len() as u64, *Digest::of(piece).as_bytes())
}

/// Digests what is known of a run and what it told, and nothing of when and where that was seen.
fn digest_of_told<A: Serialize>(Head { about, told, .. }: &Head<A>) -> io::Result<Digest> {
    let bytes = postcard::to_stdvec(&(about, told)).map_err(io::Error::other)?;
    Ok(Digest::of(&bytes))
}

/// Looks again at the sights of a piece that count, drawn at the moment `drawn`: `None` if one is
/// not the same; else those that are to be written anew, as they are `now`.
fn look_again(
    piece: &[u8],
    counts: impl Fn(&Path, &OsStr, &Sight) -> bool,
    (drawn, now): (SystemTime, SystemTime),
) -> Option<Vec<(OsString, Sight)>> {
    let mut piece = ReadPiece::of(piece)?;
    let folder = Folder::open(piece.base);
    let mut newer = Vec::new();
    while let Some((name, before)) = piece.next()? {
        if !counts(piece.base, name, &before) {
            continue;
        }
        let after = before.again(folder.spot(name), drawn)?;
        let is_same = before == after && (before.is_sure(drawn) || !after.is_sure(now));
        // Too young to be trusted, it stays as it was drawn: then it is read again next time.
        if !is_same {
            let kept = if after.is_settled(now) { after } else { before };
            newer.push((joined(piece.base, name), kept));
        }
    }
    Some(newer)
}

/// Removes the runs that were written first, where there are too many. One that cannot be removed
/// stays.
fn forget_old(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut runs: Vec<_> = entries.map(|it| it.path()).collect();
    if runs.len() > MOST_RUNS {
        runs.sort_by_cached_key(|it| fs::metadata(it).and_then(|it| it.modified()).ok());
        for path in runs.iter().take(runs.len() - MOST_RUNS) {
            let _ = fs::remove_file(path);
        }
    }
}

fn place(folder: &Path, question: &Digest) -> PathBuf {
    let name = question.to_string();
    folder.join(".last-runs").join(&name[..32])
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage files")]
mod tests {
    use super::*;
    use crate::effects::testing::later;

    fn run() -> LastRun<(), String> {
        LastRun {
            question: Digest::of(b"what?"),
            variables: (vec!["A".to_owned()], Digest::of(b"A=1")),
            drawn: SystemTime::UNIX_EPOCH,
            sights: ["/nothing", "/nothing/here", "/nothing/there"]
                .map(|it| (OsString::from(it), Sight::Nothing))
                .into(),
            about: (),
            told: vec!["this".to_owned()],
        }
    }

    fn written(folder: &Path) -> LastRuns {
        LastRuns { folder: folder.to_owned(), is_written: true }
    }

    fn told(folder: &Path, question: &[u8], values: &'static [u8]) -> Option<String> {
        let values = |names: &[String]| {
            assert_eq!(names, ["A"]);
            Digest::of(values)
        };
        let (runs, question) = (written(folder), Digest::of(question));
        let holds =
            LastRun::<(), String>::that_holds(&runs, &question, values, SystemTime::UNIX_EPOCH)?;
        Some(holds.told.concat())
    }

    #[test]
    fn a_run_is_told_again_to_the_same_question_under_the_same_variables_alone() {
        let folder = tempfile::tempdir().unwrap();
        run().write(folder.path()).unwrap();
        assert_eq!(told(folder.path(), b"what?", b"A=1").as_deref(), Some("this"));
        assert_eq!(told(folder.path(), b"what else?", b"A=1"), None);
        assert_eq!(told(folder.path(), b"what?", b"A=2"), None);
    }

    #[test]
    fn sights_are_in_pieces_and_all_of_them_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = run();
        run.sights.insert(OsString::from("/"), Sight::Link(2));
        let many = (0..3 * PIECE).map(|it| folder.path().join(format!("d{}/f{it}", it % 7)));
        run.sights.extend(many.map(|it| (it.into_os_string(), Sight::Nothing)));
        let pieces = pieces(&run.sights).unwrap();
        assert_eq!(pieces.len(), 4);
        let mut read = Sights::new();
        for piece in &pieces {
            ReadPiece::of(piece).unwrap().add_to(&mut read).unwrap();
            for length in 0..piece.len().min(200) {
                let all = |it: ReadPiece<'_>| it.add_to(&mut Sights::new());
                assert_eq!(ReadPiece::of(&piece[..length]).and_then(all), None, "{length}");
            }
        }
        assert_eq!(read, run.sights);
        run.write(folder.path()).unwrap();
        assert_eq!(told(folder.path(), b"what?", b"A=1").as_deref(), Some("this"));
        fs::create_dir(folder.path().join("d3")).unwrap();
        assert_eq!(told(folder.path(), b"what?", b"A=1").as_deref(), Some("this"));
        fs::write(folder.path().join("d3/f3"), "").unwrap();
        assert_eq!(told(folder.path(), b"what?", b"A=1"), None);
    }

    #[test]
    fn what_has_a_new_stamp_alone_is_written_anew_once_that_can_be_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "1").unwrap();
        let digests = crate::effects::digests::Digests::open(&folder.path().join("none"), true);
        let mut scene = crate::effects::scene::Scene::new(later(), &digests, |_| false);
        scene.file(&file, &digests);
        let mut run = run();
        run.sights.extend(scene.clear().unwrap());
        run.write(folder.path()).unwrap();
        let kept = || fs::read(place(folder.path(), &run.question)).unwrap();
        let first = kept();
        fs::write(&file, "1").unwrap();
        let look = |is_written| {
            let runs = LastRuns { is_written, ..written(folder.path()) };
            let values = |_: &[String]| Digest::of(b"A=1");
            LastRun::<(), String>::that_holds(&runs, &run.question, values, later())
        };
        assert!(look(false).is_some());
        assert_eq!(first, kept(), "this run writes nothing");
        assert!(look(true).is_some());
        let second = kept();
        assert_ne!(first, second);
        assert!(look(true).is_some());
        assert_eq!(second, kept(), "nothing is new");
    }

    #[test]
    fn of_many_runs_those_that_were_written_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let question = |at: usize| Digest::of(format!("{at}?").as_bytes());
        for at in 0..MOST_RUNS + 3 {
            let (question, now) = (question(at), later());
            LastRun { question, ..run() }.write(folder.path()).unwrap();
            let file = File::options().append(true).open(place(folder.path(), &question)).unwrap();
            let age = Duration::from_secs((2 * MOST_RUNS - at) as u64);
            file.set_modified(now - age).unwrap();
        }
        let kept = |at: &usize| place(folder.path(), &question(*at)).exists();
        let kept: Vec<_> = (0..MOST_RUNS + 3).filter(kept).collect();
        assert_eq!(kept, (3..MOST_RUNS + 3).collect::<Vec<_>>());
    }

    #[test]
    fn every_damage_of_what_is_kept_is_as_good_as_nothing_kept() {
        let folder = tempfile::tempdir().unwrap();
        run().write(folder.path()).unwrap();
        let path = place(folder.path(), &run().question);
        let whole = fs::read(&path).unwrap();
        let check = |bytes: &[u8], what: &str| {
            fs::write(&path, bytes).unwrap();
            assert_eq!(told(folder.path(), b"what?", b"A=1"), None, "{what}");
        };
        for at in 0..whole.len() {
            check(&whole[..at], &format!("cut at {at}"));
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            check(&bytes, &format!("a bit of byte {at}"));
        }
        check(&[&whole[..], b"x"].concat(), "a byte more");
    }
}
