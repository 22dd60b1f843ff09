//! What paths are, at the moment: what a test run looked at, to be looked at again.
//!
//! | looked at by | of a file | of a folder | of a link | nothing there |
//! |---|---|---|---|---|
//! | `open` | content, permissions | names and kinds of what is in it | what it leads to | that |
//! | `stat` | size, permissions, modification time | permissions | where it leads, and what that is | that |
//!
//! A run is kept only if all that it looked at is older than the run ([`settled`]): then whenever
//! in the run it was looked at, it was as it is now. For what is not there the folder counts in
//! which it is not. A folder that was only asked what it is counts by its permissions, whatever its
//! age: a working folder gets new files all the time.

use crate::effects::digests::Digests;
use crate::effects::stamp::Stamp;
use crate::formats::test_log::Manner;
use crate::plan::fingerprint::Framed;
use crate::words::digest::Digest;
use std::borrow::Cow;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// Below these stands what changes all the time, and what no run reads twice the same.
const VOLATILE: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Tells whether a look at `path` counts, for a run whose temporary folder is `scratch`.
#[must_use]
pub fn counts(path: &Path, scratch: &Path) -> bool {
    let path = straight(path);
    !path.starts_with(scratch) && !VOLATILE.iter().any(|it| path.starts_with(it))
}

/// Takes `..` out of a path, together with the folder before it; a link there leads elsewhere, and
/// so does what is not there.
fn straight(path: &Path) -> Cow<'_, Path> {
    if !path.components().any(|it| it == Component::ParentDir) {
        return path.into();
    }
    let mut straight = PathBuf::new();
    for component in path.components() {
        if component != Component::ParentDir {
            straight.push(component);
        } else if fs::symlink_metadata(&straight).is_ok_and(|it| it.is_dir()) {
            // What is above the root is the root.
            straight.pop();
        } else {
            return path.into();
        }
    }
    straight.into()
}

/// Digests what `paths` are at the moment.
#[must_use]
pub fn look(paths: &[(PathBuf, Manner)], digests: &Digests) -> Digest {
    let mut framed = Framed::new("linkwright observed 1");
    framed.count(paths.len());
    for (path, manner) in paths {
        framed.bytes(path.as_os_str().as_bytes());
        match manner {
            Manner::Stat => stat(path, &mut framed),
            Manner::Open => open(path, digests, &mut framed),
        }
    }
    framed.finish()
}

fn stat(path: &Path, framed: &mut Framed) {
    framed.text("stat");
    if let Ok(link) = fs::read_link(path) {
        framed.text("link");
        framed.bytes(link.as_os_str().as_bytes());
    }
    match fs::metadata(path) {
        Ok(it) => {
            add_kind(&it, framed);
            if it.is_file() {
                let numbers = [it.size().to_le_bytes(), it.mtime().to_le_bytes()];
                framed.bytes(&numbers.concat());
                framed.bytes(&it.mtime_nsec().to_le_bytes());
            }
        }
        Err(error) => framed.text(&error.kind().to_string()),
    }
}

fn open(path: &Path, digests: &Digests, framed: &mut Framed) {
    framed.text("open");
    let mut read = || -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        add_kind(&metadata, framed);
        if metadata.is_file() {
            framed.digest(&digests.digest_apart(path)?);
        } else if metadata.is_dir() {
            let entries = entries(path)?;
            framed.count(entries.len());
            for (name, kind) in entries {
                framed.bytes(&name);
                framed.count(kind);
            }
        }
        Ok(())
    };
    if let Err(error) = read() {
        framed.text(&error.kind().to_string());
    }
}

fn add_kind(metadata: &Metadata, framed: &mut Framed) {
    framed.count(kind(metadata.file_type()));
    framed.bytes(&(metadata.mode() & 0o7777).to_le_bytes());
}

fn kind(it: fs::FileType) -> usize {
    match () {
        () if it.is_file() => 1,
        () if it.is_dir() => 2,
        () if it.is_symlink() => 3,
        () if it.is_fifo() => 4,
        () => 5,
    }
}

fn entries(folder: &Path) -> io::Result<Vec<(Vec<u8>, usize)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.file_name().as_bytes().to_vec(), kind(entry.file_type()?)));
    }
    entries.sort();
    Ok(entries)
}

/// Tells that all of `paths` were as they are since `began`.
///
/// # Errors
///
/// Returns the first path that may have been something else.
pub fn settled(paths: &[(PathBuf, Manner)], began: SystemTime) -> Result<(), PathBuf> {
    let is_old = |it: &Metadata| !Stamp::of(it).is_racy(began);
    for (path, manner) in paths {
        let link_is_old =
            fs::symlink_metadata(path).is_ok_and(|it| !it.is_symlink() || is_old(&it));
        let old = match fs::metadata(path) {
            Ok(it) if it.is_dir() && *manner == Manner::Stat => true,
            Ok(it) => link_is_old && is_old(&it),
            Err(_) => {
                let mut above = path.ancestors().skip(1);
                above.find_map(|it| fs::metadata(it).ok()).is_some_and(|it| is_old(&it))
            }
        };
        if !old {
            return Err(path.clone());
        }
    }
    Ok(())
}

/// Returns `folder`, whether it is there or not, and all that lies below it, links followed.
#[must_use]
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(folder).min_depth(1).follow_links(true);
    let mut all: Vec<_> = all.into_iter().flatten().map(walkdir::DirEntry::into_path).collect();
    all.push(folder.to_owned());
    all.sort();
    all
}

/// Returns what lies in `folder` itself, and all below its `testdata`, with what each inode says:
/// whatever a run changes there shows in it.
#[must_use]
pub fn sources(folder: &Path) -> Vec<(PathBuf, Option<Stamp>)> {
    let testdata = folder.join("testdata");
    let here = walkdir::WalkDir::new(folder).min_depth(1).max_depth(1);
    let below = walkdir::WalkDir::new(testdata).min_depth(1);
    let all = here.into_iter().chain(below).flatten();
    let mut all: Vec<_> = all
        .map(|it| {
            let stamp = it.metadata().ok().filter(|it| !it.is_dir()).map(|it| Stamp::of(&it));
            (it.into_path(), stamp)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::Duration;

    fn paths(folder: &Path, names: &[(&str, Manner)]) -> Vec<(PathBuf, Manner)> {
        names.iter().map(|(name, manner)| (folder.join(name), *manner)).collect()
    }

    #[test]
    fn a_way_up_and_down_into_the_scratch_folder_is_one_into_it_unless_a_link_is_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["scratch", "other", "elsewhere", "elsewhere/folder"] {
            fs::create_dir(at(name)).unwrap();
        }
        symlink("elsewhere/folder", at("link")).unwrap();
        let does_count = |name: &str| counts(&at(name), &at("scratch"));
        assert!(!does_count("scratch/file"));
        assert!(!does_count("other/../scratch/file"));
        assert!(does_count("link/../scratch/file"), "that is `elsewhere/scratch/file`");
        assert!(does_count("absent/../scratch/file"), "that is nowhere");
        assert!(does_count("scratch/../other/file"));
        assert!(!counts(Path::new("/../../proc/self"), Path::new("/none")));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes what it looks at")]
    fn whatever_a_look_could_show_changes_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let digests = Digests::open(&at("../no-such-memory"), true);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("f"), "one").unwrap();
        symlink("f", at("link")).unwrap();
        let names = [
            ("f", Manner::Open),
            ("d", Manner::Open),
            ("none", Manner::Stat),
            ("link", Manner::Stat),
        ];
        let paths = paths(folder.path(), &names);
        let mut seen = vec![look(&paths, &digests)];
        let mut look_after = |change: &dyn Fn()| {
            change();
            let now = look(&paths, &digests);
            assert!(!seen.contains(&now), "change {} does not show", seen.len());
            seen.push(now);
        };
        look_after(&|| fs::write(at("f"), "two").unwrap());
        look_after(&|| fs::write(at("d/new"), "").unwrap());
        look_after(&|| fs::set_permissions(at("f"), fs::Permissions::from_mode(0o600)).unwrap());
        look_after(&|| fs::write(at("none"), "").unwrap());
        look_after(&|| {
            fs::remove_file(at("link")).unwrap();
            symlink("d", at("link")).unwrap();
        });
        look_after(&|| fs::remove_file(at("f")).unwrap());
        fs::write(at("unseen"), "").unwrap();
        assert_eq!(look(&paths, &digests), *seen.last().unwrap());
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a test writes what it looks at, and has a clock"
    )]
    fn what_is_younger_than_the_run_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f"), "").unwrap();
        let began = SystemTime::now() + Duration::from_secs(5);
        let file = paths(folder.path(), &[("f", Manner::Open)]);
        let none = paths(folder.path(), &[("a/b", Manner::Stat)]);
        let itself = paths(folder.path(), &[("", Manner::Stat)]);
        assert!(settled(&file, began).is_ok() && settled(&none, began).is_ok());
        let before = SystemTime::now() - Duration::from_secs(5);
        assert_eq!(settled(&file, before).unwrap_err(), file[0].0);
        assert_eq!(settled(&none, before).unwrap_err(), none[0].0);
        assert!(settled(&itself, before).is_ok());
        assert!(!counts(Path::new("/proc/self/stat"), Path::new("/tmp/x")));
        assert!(!counts(Path::new("/tmp/x/a"), Path::new("/tmp/x")));
        assert!(counts(Path::new("/tmp/xa"), Path::new("/tmp/x")));
    }
}
