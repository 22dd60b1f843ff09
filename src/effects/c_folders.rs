//! What folders hold, so that thousands of words can be held against it without asking the system
//! for each.
//!
//! It can only say that a file is surely not there: a folder that cannot be listed, or that finds
//! names by other spellings than their own, may hold anything.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The names in folders, as each was when it was listed.
#[derive(Debug, Default)]
pub(crate) struct CFolders {
    /// `None` for a folder of which nothing is sure.
    /// By the folder's spelling, which is hashed faster than a path is.
    listed: HashMap<OsString, Option<HashSet<OsString>>>,
    /// The names in all of them, and how long the longest is.
    anywhere: (HashSet<Vec<u8>>, usize),
    /// There is one of which nothing is sure.
    any_unsure: bool,
}

impl CFolders {
    /// Lists a folder, if it was not yet, and tells whether that happened.
    pub(crate) fn list(&mut self, folder: &Path) -> bool {
        if self.listed.contains_key(folder.as_os_str()) {
            return false;
        }
        let names = match names_in(folder) {
            Ok(names) => Some(names).filter(|it| finds_by_own_name(folder, it)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(HashSet::new()),
            Err(_) => None,
        };
        // A word may be there as what was precompiled for it, and as nothing else.
        let names = names.map(|mut names| {
            let text = names.iter().filter_map(|it| it.to_str()?.strip_suffix(".gch"));
            let precompiled: Vec<_> = text.map(OsString::from).collect();
            names.extend(precompiled);
            names
        });
        self.any_unsure |= names.is_none();
        let (anywhere, longest) = &mut self.anywhere;
        for name in names.iter().flatten() {
            *longest = name.len().max(*longest);
            anywhere.insert(name.as_encoded_bytes().to_owned());
        }
        self.listed.insert(folder.as_os_str().to_owned(), names);
        true
    }

    /// Tells whether a word may be the name of a file, or of one precompiled for it, in any of the
    /// listed folders or deeper; of one that begins at the root, if that is listed.
    pub(crate) fn any_may_hold(&self, word: &[u8]) -> bool {
        let depth = word.iter().take_while(|it| **it == b'/').count();
        let (rooted, name) = (depth > 0, &word[depth..]);
        let first = first_part(name);
        if rooted {
            // Most of them are the signs of a comment.
            let names = self.listed.get(OsStr::new("/")).and_then(Option::as_ref);
            let is_there = names.is_none_or(|it| it.contains(OsStr::from_bytes(first)));
            return !name.is_empty() && (cannot_be_told(first, name) || is_there);
        }
        let (anywhere, longest) = &self.anywhere;
        self.any_unsure
            || cannot_be_told(first, name)
            || first.len() <= *longest && anywhere.contains(first)
    }

    /// Tells whether a file `name`, which may lie deeper, or one precompiled for it may be in a
    /// folder.
    pub(crate) fn may_hold(&self, folder: &Path, name: &str) -> bool {
        let first = first_part(name.as_bytes());
        if cannot_be_told(first, name.as_bytes()) {
            return true;
        }
        let names = self.listed.get(folder.as_os_str()).and_then(Option::as_ref);
        names.is_none_or(|it| it.contains(OsStr::from_bytes(first)))
    }
}

fn first_part(name: &[u8]) -> &[u8] {
    &name[..memchr::memchr(b'/', name).unwrap_or(name.len())]
}

/// Tells whether a list of names does not say if `name` is there.
fn cannot_be_told(first: &[u8], name: &[u8]) -> bool {
    // Other letters can be written in several ways, which a file system may take for one.
    matches!(first, b"" | b"." | b"..") || !name.is_ascii()
}

fn names_in(folder: &Path) -> io::Result<HashSet<OsString>> {
    std::fs::read_dir(folder)?.map(|it| Ok(it?.file_name())).collect()
}

/// Tells whether a folder finds its files by their names alone, and not by other capitals too.
fn finds_by_own_name(folder: &Path, names: &HashSet<OsString>) -> bool {
    let has_letter = |it: &&str| it.bytes().any(|it| it.is_ascii_alphabetic());
    let Some(name) = names.iter().filter_map(|it| it.to_str()).find(has_letter) else {
        return names.iter().all(|it| it.as_encoded_bytes().is_ascii());
    };
    let flip = |it: char| {
        if it.is_ascii_uppercase() { it.to_ascii_lowercase() } else { it.to_ascii_uppercase() }
    };
    let other: String = name.chars().map(flip).collect();
    names.contains(OsStr::new(&other))
        || folder
            .join(other)
            .symlink_metadata()
            .is_err_and(|it| it.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_what_is_surely_absent_is_not_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a.h", "b.h.gch"] {
            fs::write(root.join(name), "").unwrap();
        }
        fs::create_dir(root.join("sys")).unwrap();
        let mut folders = CFolders::default();
        assert!(!folders.any_may_hold(b"a.h"));
        assert!(folders.list(root) && !folders.list(root));
        folders.list(&root.join("absent"));
        for name in ["a.h", "b.h", "sys/any.h", "./x", "../x", "/x", "//x/y", "", "\u{e4}.h"] {
            assert!(folders.may_hold(root, name), "{name}");
            assert!(folders.any_may_hold(name.as_bytes()), "{name}");
        }
        for name in ["A.h", "c.h", "other/a.h", "# define X 1"] {
            assert!(!folders.may_hold(root, name), "{name}");
            assert!(!folders.any_may_hold(name.as_bytes()), "{name}");
        }
        assert!(!folders.may_hold(&root.join("absent"), "a.h"));
        // A file is no folder, and what was never listed is not known.
        folders.list(&root.join("a.h"));
        assert!(folders.any_may_hold(b"A.h"));
        assert!(folders.may_hold(&root.join("a.h"), "x"));
        assert!(folders.may_hold(&root.join("sys"), "x"));
    }

    #[test]
    fn a_path_from_the_root_is_held_against_the_root() {
        let mut folders = CFolders::default();
        folders.list(Path::new("/"));
        for word in ["/proc", "//proc/version", "/../proc"] {
            assert!(folders.any_may_hold(word.as_bytes()), "{word}");
        }
        for word in ["/", "//", "// what follows", "/* why */", "proc\n"] {
            assert!(!folders.any_may_hold(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn a_folder_that_finds_other_capitals_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let listed = HashSet::from([OsString::from("a.h")]);
        assert!(finds_by_own_name(folder.path(), &listed));
        // As if the file system had found `a.h` by this name.
        fs::write(folder.path().join("A.H"), "").unwrap();
        assert!(!finds_by_own_name(folder.path(), &listed));
        let both = HashSet::from(["a.h", "A.H"].map(OsString::from));
        assert!(finds_by_own_name(folder.path(), &both));
    }
}
