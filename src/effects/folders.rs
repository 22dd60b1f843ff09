//! What folders hold, and all folders below one, looked at by several threads.

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// What [`entries`] says of a regular file.
pub const FILE: u8 = 1;

/// What [`entries`] says of a folder.
pub const FOLDER: u8 = 2;

/// What [`entries`] says of a symbolic link.
pub const LINK: u8 = 3;

/// Returns the names in a folder with the kind of each, in order.
///
/// # Errors
///
/// Returns the system's error.
pub fn entries(folder: &Path) -> io::Result<Vec<(OsString, u8)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.file_name(), kind(entry.file_type()?)));
    }
    entries.sort();
    Ok(entries)
}

/// What becomes of a link to a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// It is no folder.
    Left,
    /// It is one, unless it leads to where it came from.
    Followed,
}

/// What is no folder, with its kind.
pub type Other = (PathBuf, u8);

/// Returns the folders among the `entries` of `folder`, and everything else.
#[must_use]
pub fn parted(
    folder: &Path,
    entries: &[(OsString, u8)],
    links: Links,
) -> (Vec<PathBuf>, Vec<Other>) {
    let leads_on = |link: &Path| {
        let place = link.canonicalize().ok().filter(|it| it.is_dir());
        place.is_some_and(|it| folder.canonicalize().is_ok_and(|here| !here.starts_with(it)))
    };
    let (mut below, mut rest) = (Vec::new(), Vec::new());
    for (name, kind) in entries {
        let path = folder.join(name);
        match *kind {
            FOLDER => below.push(path),
            LINK if links == Links::Followed && leads_on(&path) => below.push(path),
            kind => rest.push((path, kind)),
        }
    }
    (below, rest)
}

/// Returns what `look` saw in the folder `root`, and in every folder into which it led from there.
/// What is above comes first, and what is below one folder before what is below the next.
///
/// Folders that are equally deep are looked at together, so that no tree is too deep for a stack.
pub fn each_below<T: Send>(
    root: &Path,
    look: &(impl Fn(&Path) -> (T, Vec<PathBuf>) + Sync),
) -> Vec<T> {
    // Of each folder what was seen, and which numbers the folders in it have.
    let mut seen: Vec<(Option<T>, Range<usize>)> = Vec::new();
    let mut level = vec![root.to_owned()];
    while !level.is_empty() {
        let looked: Vec<_> =
            std::mem::take(&mut level).into_par_iter().map(|it| look(&it)).collect();
        let mut next = seen.len() + looked.len();
        for (it, below) in looked {
            seen.push((Some(it), next..next + below.len()));
            next += below.len();
            level.extend(below);
        }
    }
    let (mut all, mut open) = (Vec::with_capacity(seen.len()), vec![0]);
    while let Some(at) = open.pop() {
        let (it, below) = &mut seen[at];
        all.extend(it.take());
        open.extend(below.rev());
    }
    all
}

/// Says of which kind something is: [`FILE`], [`FOLDER`], [`LINK`], more for the rest.
#[must_use]
pub fn kind(it: FileType) -> u8 {
    match () {
        () if it.is_file() => FILE,
        () if it.is_dir() => FOLDER,
        () if it.is_symlink() => LINK,
        () if it.is_fifo() => 4,
        () => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path, links: Links) -> Vec<String> {
        let look = |folder: &Path| {
            let (mut below, files) = parted(folder, &entries(folder).unwrap(), links);
            below.retain(|it| !it.ends_with("left out"));
            ((folder.to_owned(), files.len()), below)
        };
        let name = |(folder, files): (PathBuf, usize)| {
            format!("{} {files}", folder.strip_prefix(root).unwrap().display())
        };
        each_below(root, &look).into_iter().map(name).collect()
    }

    #[test]
    fn each_folder_is_looked_at_once_and_a_link_to_one_where_it_counts() {
        let root = tempfile::tempdir().unwrap();
        for name in ["a/b/c", "a/d", "left out/deep"] {
            fs::create_dir_all(root.path().join(name)).unwrap();
        }
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, root.path().join(name)).unwrap();
        };
        link("..", "a/up");
        link("../../left out", "a/b/there");
        link("nowhere", "a/d/gone");
        assert_eq!(names(root.path(), Links::Left), [" 0", "a 1", "a/b 1", "a/b/c 0", "a/d 1"]);
        let followed =
            [" 0", "a 1", "a/b 0", "a/b/c 0", "a/b/there 0", "a/b/there/deep 0", "a/d 1"];
        assert_eq!(names(root.path(), Links::Followed), followed);
    }
}
