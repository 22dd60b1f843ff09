//! Where a run looked for programs and files, found or not, so that the next run can tell whether
//! something has appeared there.
//!
//! A file that is looked for in vain is noted by the folder that would hold it: its names show
//! whether it is still absent, and thousands of names share a few folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What was looked for so far.
#[derive(Debug, Default)]
pub struct Looked {
    programs: Mutex<BTreeSet<String>>,
    folders: Mutex<BTreeMap<PathBuf, Option<PathBuf>>>,
}

impl Looked {
    /// Notes a program that is looked for on PATH.
    pub fn for_program(&self, name: &str) {
        if let Ok(mut programs) = self.programs.lock() {
            programs.insert(name.to_owned());
        }
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
                known.insert(folder.to_owned(), first_absent(folder));
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
        let there = known.iter().filter(|it| it.1.is_none()).map(|it| it.0.clone());
        (there.collect(), known.values().flatten().cloned().collect())
    }
}

/// Says now, not later, what is absent: it may appear while the run goes on.
fn first_absent(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().take_while(|it| !it.is_dir()).last().map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
