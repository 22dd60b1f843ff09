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
use crate::effects::sight::{Folder, Sight};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
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
const PIECE: usize = 1024;

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
    pub sights: BTreeMap<PathBuf, Sight>,
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

#[derive(Serialize, Deserialize)]
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
#[derive(Serialize, Deserialize)]
struct Piece<'a> {
    /// The folder above all of them.
    #[serde(borrow)]
    base: &'a Bytes,
    /// By path below it; `.` is the folder itself.
    sights: Vec<(&'a Bytes, Sight)>,
}

impl<A, T> LastRun<A, T>
where
    A: Serialize + DeserializeOwned,
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
    ///
    /// Where only stamps differ, or have become old enough to be trusted, those of today are kept,
    /// so that nothing is read twice.
    #[must_use]
    pub fn that_holds(
        runs: &LastRuns,
        question: &Digest,
        values: impl Fn(&[String]) -> Digest,
        now: SystemTime,
    ) -> Option<Holds<A, T>> {
        let Opened { file, head, sights: pieces, told } =
            opened::<A>(&place(&runs.folder, question))?;
        let digest = digest_of_told(&head).ok()?;
        let Head { question: asked, names, values: were, drawn, about, .. } = head;
        let others = were != *values(&names).as_bytes();
        if asked != *question.as_bytes() || others && !planted(Defect::LastRunOfOtherVariables) {
            return None;
        }
        let drawn = SystemTime::UNIX_EPOCH.checked_add(drawn)?;
        let look = |it: &Written| look_again(&it.read(&file)?, (drawn, now));
        let read = |it: &Written| postcard::from_bytes::<Vec<T>>(&it.read(&file)?).ok();
        let (newer, told): (Option<Vec<Vec<_>>>, Option<Vec<Vec<T>>>) = rayon::join(
            || pieces.par_iter().map(look).collect(),
            || told.par_iter().map(read).collect(),
        );
        let (newer, told) = (newer?.concat(), told?.into_iter().flatten().collect());
        if newer.is_empty() || !runs.is_written {
            return Some(Holds { about, told, digest });
        }
        let mut sights = BTreeMap::new();
        for piece in pieces {
            let piece = piece.read(&file)?;
            sights.extend(postcard::from_bytes::<Piece<'_>>(&piece).ok()?.by_path());
        }
        sights.extend(newer);
        let variables = (names, Digest::from_bytes(were));
        let this = Self { question: *question, variables, drawn: now, sights, about, told };
        let _ = this.write(&runs.folder);
        Some(Holds { about: this.about, told: this.told, digest })
    }
}

impl<'a> Piece<'a> {
    /// Puts sights under the folder that all of their folders lie in.
    fn of(sights: &[(&'a PathBuf, &Sight)]) -> Self {
        let folder = |path: &'a PathBuf| path.parent().unwrap_or(path);
        let mut base = sights.first().map_or(Path::new("/"), |(path, _)| folder(path));
        for (path, _) in sights {
            while !folder(path).starts_with(base) {
                base = base.parent().unwrap_or(Path::new("/"));
            }
        }
        let below = |path: &'a PathBuf| match path.strip_prefix(base) {
            Ok(it) if it != Path::new("") => it.as_os_str(),
            _ => OsStr::new("."),
        };
        let named = sights.iter().map(|(path, it)| (Bytes::new(below(path).as_bytes()), **it));
        Self { base: Bytes::new(base.as_os_str().as_bytes()), sights: named.collect() }
    }

    fn by_path(&self) -> impl Iterator<Item = (PathBuf, Sight)> {
        let base = Path::new(OsStr::from_bytes(self.base));
        self.sights.iter().map(|(name, sight)| (joined(base, OsStr::from_bytes(name)), *sight))
    }
}

/// The path of what lies below a folder.
fn joined(base: &Path, name: &OsStr) -> PathBuf {
    if name == "." { base.to_owned() } else { base.join(name) }
}

/// Writes sights in pieces, in the order of their paths.
fn pieces(sights: &BTreeMap<PathBuf, Sight>) -> io::Result<Vec<Vec<u8>>> {
    let sights: Vec<_> = sights.iter().collect();
    let written = |it: &[_]| postcard::to_stdvec(&Piece::of(it)).map_err(io::Error::other);
    sights.chunks(PIECE).map(written).collect()
}

/// Where a piece is in its file, and the digest that it must have.
struct Written {
    from: u64,
    length: usize,
    digest: [u8; 32],
}

impl Written {
    /// Reads it, if it is as it was written.
    fn read(&self, file: &File) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        file.read_exact_at(&mut bytes, self.from).ok()?;
        let is_whole = *Digest::of(&bytes).as_bytes() == self.digest;
        (is_whole || planted(Defect::LastRunWithoutSeal)).then_some(bytes)
    }
}

/// A file whose head was read.
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

/// Looks again at all sights of a piece, drawn at the moment `drawn`: `None` if one is not the
/// same; else those that are to be written anew, as they are `now`.
fn look_again(
    piece: &[u8],
    (drawn, now): (SystemTime, SystemTime),
) -> Option<Vec<(PathBuf, Sight)>> {
    let Piece { base, sights } = postcard::from_bytes(piece).ok()?;
    let base = Path::new(OsStr::from_bytes(base));
    let folder = Folder::open(base);
    let mut newer = Vec::new();
    for (name, before) in sights {
        let name = OsStr::from_bytes(name);
        let after = before.again(folder.spot(name), drawn)?;
        let is_same = before == after && (before.is_sure(drawn) || !after.is_sure(now));
        // Too young to be trusted, it stays as it was drawn: then it is read again next time.
        if !is_same {
            newer.push((joined(base, name), if after.is_settled(now) { after } else { before }));
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
                .map(|it| (PathBuf::from(it), Sight::Nothing))
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
        run.sights.insert(PathBuf::from("/"), Sight::Link(2));
        let many = (0..3 * PIECE).map(|it| folder.path().join(format!("d{}/f{it}", it % 7)));
        run.sights.extend(many.map(|it| (it, Sight::Nothing)));
        let pieces = pieces(&run.sights).unwrap();
        assert_eq!(pieces.len(), 4);
        let read = pieces.iter().map(|it| postcard::from_bytes::<Piece<'_>>(it).unwrap());
        let read: BTreeMap<_, _> = read.flat_map(|it| it.by_path().collect::<Vec<_>>()).collect();
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
