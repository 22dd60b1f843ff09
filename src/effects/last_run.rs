//! What is kept of the last run that succeeded: what was asked, what it saw, and what it told.
//!
//! One file for each question, `linkwright-out/.last-runs/<question>`: magic, payload (postcard),
//! BLAKE3 of both. One that is damaged, or written by another version, is as good as none; its
//! place among the outputs lets it go with them.

use crate::effects::file;
use crate::effects::scene::{Sight, look_again};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const MAGIC: &[u8; 12] = b"LWLASTRUN\x01\0\0";

/// The longest file that is read: 1 GiB, some millions of sights.
const LIMIT: u64 = 1 << 30;

/// The run.
#[derive(Debug)]
pub struct LastRun<T> {
    /// What was asked, and by which program: equal questions have equal digests.
    pub question: Digest,
    /// Variables that it saw, with the digest of their values.
    pub variables: (Vec<String>, Digest),
    /// When the sights were drawn.
    pub drawn: SystemTime,
    /// What it saw.
    pub sights: BTreeMap<PathBuf, Sight>,
    /// What it told.
    pub told: T,
}

#[derive(Serialize, Deserialize)]
struct Written {
    question: [u8; 32],
    names: Vec<String>,
    values: [u8; 32],
    /// Since 1970.
    drawn: Duration,
    sights: Vec<(ByteBuf, Sight)>,
    told: ByteBuf,
}

impl<T: Serialize + DeserializeOwned> LastRun<T> {
    /// Writes it below the output folder `folder`.
    ///
    /// # Errors
    ///
    /// Returns the system's error; without it the next run only takes longer.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let Self { question, variables: (names, values), drawn, sights, told } = self;
        let bytes = |it: &PathBuf| ByteBuf::from(it.as_os_str().as_bytes());
        let written = Written {
            question: *question.as_bytes(),
            names: names.clone(),
            values: *values.as_bytes(),
            drawn: drawn.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            sights: sights.iter().map(|(path, it)| (bytes(path), *it)).collect(),
            told: ByteBuf::from(serde_json::to_vec(told)?),
        };
        let path = place(folder, question);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut bytes = MAGIC.to_vec();
        bytes = postcard::to_extend(&written, bytes).map_err(io::Error::other)?;
        let seal = Digest::of(&bytes);
        bytes.extend_from_slice(seal.as_bytes());
        file::write_over(&path, &bytes)
    }

    /// Reads the last run with `question` and looks again at all that it saw: `None` if there is
    /// none, or a run at this moment, `now`, would see something else. `values` digests variables
    /// by their names.
    ///
    /// Where only stamps differ, or have become old enough to be trusted, those of today are kept,
    /// so that nothing is read twice.
    #[must_use]
    pub fn that_holds(
        folder: &Path,
        question: &Digest,
        values: impl Fn(&[String]) -> Digest,
        now: SystemTime,
    ) -> Option<T> {
        let path = place(folder, question);
        let length = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
        let bytes = (length <= LIMIT).then(|| fs::read(&path).ok()).flatten()?;
        let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        let payload = body.strip_prefix(MAGIC)?;
        if Digest::of(body).as_bytes() != seal && !planted(Defect::LastRunWithoutSeal) {
            return None;
        }
        let Written { question: asked, names, values: were, drawn, sights, told } =
            postcard::from_bytes(payload).ok()?;
        let others = were != *values(&names).as_bytes();
        if asked != *question.as_bytes() || others && !planted(Defect::LastRunOfOtherVariables) {
            return None;
        }
        let told = serde_json::from_slice(&told).ok()?;
        let path = |it: ByteBuf| PathBuf::from(OsString::from_vec(it.into_vec()));
        let sights: Vec<_> = sights.into_iter().map(|(name, it)| (path(name), it)).collect();
        let drawn = SystemTime::UNIX_EPOCH.checked_add(drawn)?;
        let seen = look_again(&sights, drawn)?;
        let is_same = |((_, before), after): (&(PathBuf, Sight), &Sight)| {
            before == after && (before.is_sure(drawn) || !after.is_sure(now))
        };
        if sights.iter().zip(&seen).all(is_same) {
            return Some(told);
        }
        let newer = |((path, before), after): ((PathBuf, Sight), Sight)| {
            (path, if after.is_settled(now) { after } else { before })
        };
        let sights = sights.into_iter().zip(seen).map(newer).collect();
        let variables = (names, Digest::from_bytes(were));
        let this = Self { question: *question, variables, drawn: now, sights, told };
        let _ = this.write(folder);
        Some(this.told)
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

    fn run() -> LastRun<String> {
        LastRun {
            question: Digest::of(b"what?"),
            variables: (vec!["A".to_owned()], Digest::of(b"A=1")),
            drawn: SystemTime::UNIX_EPOCH,
            sights: BTreeMap::from([(PathBuf::from("/nothing/here"), Sight::Nothing)]),
            told: "this".to_owned(),
        }
    }

    fn told(folder: &Path, question: &[u8], values: &'static [u8]) -> Option<String> {
        let values = |names: &[String]| {
            assert_eq!(names, ["A"]);
            Digest::of(values)
        };
        LastRun::that_holds(folder, &Digest::of(question), values, SystemTime::UNIX_EPOCH)
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
