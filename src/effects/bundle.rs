//! Writes a folder or an archive of files that are known by content: the same bytes for the same
//! files, whoever owns them and whenever they were written.
//!
//! Each file is hashed while it is copied: one that is not what it was said to be ends the writing.

use crate::effects::digests::Digests;
use crate::words::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The permission bits of a folder.
const FOLDER_MODE: u32 = 0o755;

/// What a bundle is made from; paths are relative to it.
#[derive(Debug, Default)]
pub struct Contents {
    /// Folders, besides those that files need.
    pub folders: BTreeSet<String>,
    /// Files.
    pub files: BTreeMap<String, Content>,
}

/// One file of it.
#[derive(Debug, Clone)]
pub struct Content {
    /// Where the bytes are.
    pub from: From,
    /// What they are.
    pub digest: Digest,
    /// The permission bits.
    pub mode: u32,
}

/// Where bytes are.
#[derive(Debug, Clone)]
pub enum From {
    /// In a file.
    File(PathBuf),
    /// Here.
    Text(String),
}

/// Why nothing was written, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A file is not what it was.
    #[error("`{0}` changed meanwhile")]
    Changed(PathBuf),
    /// A file cannot be read.
    #[error("cannot read `{0}`: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// The disk.
    #[error("cannot write `{0}`: {1}")]
    Write(PathBuf, #[source] io::Error),
}

/// A reader that hashes what goes through it.
struct Hashing<R>(R, blake3::Hasher);

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl Contents {
    /// Writes everything below the folder `to`, which is there and empty.
    ///
    /// # Errors
    ///
    /// Returns [`ContentError`]; what is written by then stays.
    pub fn write_folder(&self, to: &Path) -> Result<(), ContentError> {
        for folder in &self.folders {
            let path = to.join(folder);
            fs::create_dir_all(&path).map_err(|it| ContentError::Write(path, it))?;
        }
        for (name, content) in &self.files {
            let path = to.join(name);
            let refused = |it| ContentError::Write(path.clone(), it);
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(refused)?;
            let mut options = File::options();
            let mut file = options.write(true).create_new(true).open(&path).map_err(refused)?;
            content.read(|from, _| io::copy(from, &mut file).map(drop), &path)?;
            let mode = fs::Permissions::from_mode(content.mode);
            fs::set_permissions(&path, mode).map_err(refused)?;
        }
        Ok(())
    }

    /// Writes everything as an archive into the new file `to`, below the folder `name` in it.
    ///
    /// # Errors
    ///
    /// Returns [`ContentError`]; what is written by then stays.
    pub fn write_tar(&self, to: &Path, name: &str) -> Result<(), ContentError> {
        let refused = |it| ContentError::Write(to.to_owned(), it);
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o644).open(to).map_err(refused)?;
        let mut archive = tar::Builder::new(io::BufWriter::with_capacity(256 << 10, file));
        let mut folders = BTreeSet::from([String::new()]);
        let files = self.files.keys().filter_map(|it| Some(it.rsplit_once('/')?.0));
        for folder in self.folders.iter().map(String::as_str).chain(files) {
            let ends = folder.match_indices('/').map(|it| it.0).chain([folder.len()]);
            folders.extend(ends.filter_map(|it| folder.get(..it)).map(str::to_owned));
        }
        let mut all: Vec<(&String, Option<&Content>)> =
            folders.iter().map(|it| (it, None)).collect();
        all.extend(self.files.iter().map(|(name, it)| (name, Some(it))));
        all.sort_by_key(|it| it.0);
        for (path, content) in all {
            let path = format!("{name}/{path}");
            let mut header = tar::Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            let Some(content) = content else {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(FOLDER_MODE);
                header.set_size(0);
                archive.append_data(&mut header, path, io::empty()).map_err(refused)?;
                continue;
            };
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(content.mode);
            let add = |from: &mut dyn Read, size: u64| {
                header.set_size(size);
                // Exactly so many bytes, or the archive would be broken for all that follows.
                archive.append_data(&mut header, &path, from.take(size))
            };
            content.read(add, to)?;
        }
        let written = archive.into_inner().map_err(refused)?;
        written.into_inner().map_err(|it| refused(it.into_error())).map(drop)
    }
}

impl Content {
    /// Hands the bytes and how many they are to `take`, and sees to it that they are what they are
    /// said to be.
    fn read(
        &self,
        take: impl FnOnce(&mut dyn Read, u64) -> io::Result<()>,
        to: &Path,
    ) -> Result<(), ContentError> {
        let (mut from, size, path): (Hashing<Box<dyn Read>>, _, _) = match &self.from {
            From::Text(text) => {
                let bytes: Box<dyn Read> = Box::new(io::Cursor::new(text.clone().into_bytes()));
                (Hashing(bytes, blake3::Hasher::new()), text.len() as u64, to)
            }
            From::File(path) => {
                let unreadable = |it| ContentError::Read(path.clone(), it);
                let file = File::open(path).map_err(unreadable)?;
                let size = file.metadata().map_err(unreadable)?.len();
                (Hashing(Box::new(file), blake3::Hasher::new()), size, path.as_path())
            }
        };
        take(&mut from, size).map_err(|it| ContentError::Write(to.to_owned(), it))?;
        if Digest::from_hasher(&from.1) == self.digest {
            Ok(())
        } else {
            Err(ContentError::Changed(path.to_owned()))
        }
    }
}

/// Tells whether the folder `place`, or the file, holds exactly `files`: by path below it (of a
/// file none), the digest and, where it is known, the permission bits.
#[must_use]
pub fn holds(
    digests: &Digests,
    place: &Path,
    files: &BTreeMap<String, (Digest, Option<u32>)>,
) -> bool {
    let is_there = |(name, (digest, mode)): (&String, &(Digest, Option<u32>))| {
        let path = if name.is_empty() { place.to_owned() } else { place.join(name) };
        let found = fs::symlink_metadata(&path);
        let fits = |it: fs::Metadata| {
            it.is_file() && mode.is_none_or(|mode| it.permissions().mode() & 0o777 == mode)
        };
        found.is_ok_and(fits) && digests.digest(&path).is_ok_and(|it| it == *digest)
    };
    let others = walkdir::WalkDir::new(place).into_iter().filter(|it| {
        // What cannot be read is something else, too.
        it.as_ref().map_or(true, |it| !it.file_type().is_dir())
    });
    files.iter().all(is_there) && others.count() == files.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(folder: &Path) -> Contents {
        let long = format!("src/{}/x", "long".repeat(60));
        let text = |text: &str, mode| Content {
            from: From::Text(text.to_owned()),
            digest: Digest::of(text.as_bytes()),
            mode,
        };
        let file = Content { from: From::File(folder.join("f")), ..text("file", 0o755) };
        Contents {
            folders: BTreeSet::from(["src/a".to_owned()]),
            files: BTreeMap::from([
                ("bin/f".to_owned(), file),
                ("run.sh".to_owned(), text("run", 0o644)),
                (long, text("", 0o644)),
            ]),
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes what is bundled")]
    fn an_archive_has_the_same_bytes_whenever_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("f"), "file").unwrap();
        let contents = contents(folder.path());
        contents.write_tar(&at("1.tar"), "fleet").unwrap();
        fs::set_permissions(at("f"), fs::Permissions::from_mode(0o600)).unwrap();
        contents.write_tar(&at("2.tar"), "fleet").unwrap();
        assert_eq!(fs::read(at("1.tar")).unwrap(), fs::read(at("2.tar")).unwrap());
        let mut archive = tar::Archive::new(File::open(at("1.tar")).unwrap());
        let mut told = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
            let path = entry.path().unwrap().to_string_lossy().replace(&"long".repeat(60), "long");
            told.push(format!("{path} {:o} {}", header.mode().unwrap(), header.size().unwrap()));
        }
        let expected = [
            "fleet/ 755 0",
            "fleet/bin 755 0",
            "fleet/bin/f 755 4",
            "fleet/run.sh 644 3",
            "fleet/src 755 0",
            "fleet/src/a 755 0",
            "fleet/src/long 755 0",
            "fleet/src/long/x 644 0",
        ];
        assert_eq!(told, expected);
        fs::write(at("f"), "fil").unwrap();
        let changed = contents.write_tar(&at("3.tar"), "fleet");
        assert!(changed.is_err(), "{changed:?}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes what is bundled")]
    fn a_folder_is_in_place_with_exactly_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("f"), "file").unwrap();
        let (contents, made) = (contents(folder.path()), at("made"));
        fs::create_dir(&made).unwrap();
        contents.write_folder(&made).unwrap();
        assert!(made.join("src/a").is_dir());
        let files = contents.files.iter();
        let files = files.map(|(name, it)| (name.clone(), (it.digest, Some(it.mode)))).collect();
        let digests = Digests::open(&at("no-memory"), true);
        let in_place = || holds(&digests, &made, &files);
        assert!(in_place());
        fs::write(made.join("more"), "").unwrap();
        assert!(!in_place());
        fs::remove_file(made.join("more")).unwrap();
        fs::set_permissions(made.join("bin/f"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!in_place());
        fs::set_permissions(made.join("bin/f"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(in_place());
        fs::write(made.join("run.sh"), "ruN").unwrap();
        assert!(!in_place());
        fs::write(at("f"), "flie").unwrap();
        fs::create_dir(at("other")).unwrap();
        let changed = contents.write_folder(&at("other"));
        assert!(matches!(changed, Err(ContentError::Changed(_))), "{changed:?}");
    }
}
