//! Where a run looked for programs and files, found or not, so that the next run can tell whether
//! something has appeared there.
//!
//! A file that is looked for in vain is noted by the folder that would hold it: its names show
//! whether it is still absent, and thousands of names share a few folders.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What was looked for so far.
#[derive(Debug, Default)]
pub struct Looked {
    programs: Mutex<BTreeSet<String>>,
    folders: Mutex<HashMap<PathBuf, Found>>,
    /// What [`Looked::once`] found.
    once: Mutex<BTreeMap<String, Option<PathBuf>>>,
}

/// What was there when something was looked for in a folder.
#[derive(Debug, Clone)]
enum Found {
    /// The folder.
    Folder,
    /// Nothing: of the way to it, this is the first that was absent.
    Nothing(PathBuf),
    /// A file in its way, as in `<set/x.h>` beside a header `set`; this folder holds it, and tells
    /// by its names whether it still does.
    FileIn(PathBuf),
}

impl Looked {
    /// Notes a program that is looked for on PATH.
    pub fn for_program(&self, name: &str) {
        if let Ok(mut programs) = self.programs.lock() {
            programs.insert(name.to_owned());
        }
    }

    /// Returns what `look` finds for a program, asking it no second time.
    pub fn once(&self, name: &str, look: impl Fn() -> Option<PathBuf>) -> Option<PathBuf> {
        let known = self.once.lock().ok().and_then(|it| it.get(name).cloned());
        known.unwrap_or_else(|| {
            let found = look();
            if let Ok(mut known) = self.once.lock() {
                known.insert(name.to_owned(), found.clone());
            }
            found
        })
    }

    /// Notes a file that is looked for.
    pub fn for_file(&self, path: &Path) {
        if let Some(folder) = path.parent() {
            self.in_folders([folder]);
        }
    }

    /// Notes folders in which something is looked for, whether they are there or not.
    pub fn in_folders<P: AsRef<Path>>(&self, folders: impl IntoIterator<Item = P>) {
        let Ok(mut known) = self.folders.lock() else { return };
        for folder in folders {
            let folder = folder.as_ref();
            // A relative path begins in the folder of a process, which none of ours has.
            if folder.is_absolute() && !known.contains_key(folder) {
                known.insert(folder.to_owned(), Found::at(folder));
            }
        }
    }

    /// Returns the names of the programs.
    #[must_use]
    pub fn programs(&self) -> BTreeSet<String> {
        self.programs.lock().map(|it| it.clone()).unwrap_or_default()
    }

    /// Returns the folders that were there, and of each that was not, the first path on the way to
    /// it that was absent.
    #[must_use]
    pub fn folders(&self) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let Ok(known) = self.folders.lock() else { return Default::default() };
        let (mut there, mut absent) = (BTreeSet::new(), BTreeSet::new());
        for (folder, found) in known.iter() {
            match found {
                Found::Folder => there.insert(folder.clone()),
                Found::FileIn(holder) => there.insert(holder.clone()),
                Found::Nothing(first) => absent.insert(first.clone()),
            };
        }
        (there, absent)
    }
}

impl Found {
    /// Says now, not later, what there is: more may appear while the run goes on.
    fn at(folder: &Path) -> Self {
        let first = folder.ancestors().take_while(|it| !it.is_dir()).last();
        match first {
            None => Self::Folder,
            Some(first) => match first.parent() {
                Some(holder) if first.symlink_metadata().is_ok() => Self::FileIn(holder.to_owned()),
                _ => Self::Nothing(first.to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_once_is_not_looked_for_again() {
        let (looked, count) = (Looked::default(), std::cell::Cell::new(0));
        for (name, found) in [("go", Some(PathBuf::from("/go"))), ("none", None)] {
            for _ in 0..3 {
                let look = || {
                    count.set(count.get() + 1);
                    found.clone()
                };
                assert_eq!(looked.once(name, look), found);
            }
        }
        assert_eq!(count.get(), 2);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_by_the_first_that_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("there")).unwrap();
        let looked = Looked::default();
        looked.for_file(&root.join("there/a.h"));
        looked.for_file(&root.join("there/not/deep/b.h"));
        looked.for_file(&root.join("not/c.h"));
        looked.for_file(Path::new("relative/d.h"));
        std::fs::create_dir(root.join("not")).unwrap();
        let (there, absent) = looked.folders();
        assert_eq!(there, BTreeSet::from([root.join("there")]));
        assert_eq!(absent, BTreeSet::from([root.join("not"), root.join("there/not")]));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test lays out the files it needs")]
    fn what_lies_behind_a_file_is_told_by_the_folder_that_holds_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("set"), "").unwrap();
        let looked = Looked::default();
        looked.for_file(&root.join("set/detail/x.h"));
        looked.for_file(&root.join("set/y.h"));
        assert_eq!(looked.folders(), (BTreeSet::from([root.to_owned()]), BTreeSet::new()));
    }
}
