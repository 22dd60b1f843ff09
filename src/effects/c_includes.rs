//! Which files C code may read while it is compiled, found by reading it.
//!
//! The compiler is not asked. Each name that a text holds (`formats::c_text`) is looked for where a
//! compiler may look: beside the text, in the Go package's folder, in the folders of the flags, in
//! the compiler's own. **All** files of that name count, not the first alone, so neither the order
//! of folders nor `#include_next` has to be understood, and a file that appears in any of these
//! places shows, whether it shadows another or answers a `__has_include`. Each walk looks anew:
//! what is absent is remembered nowhere.
//!
//! Where a name is computed, every file of the folders in question counts, and every word of the
//! texts that is the name of a file in one of these places. The words of the C++ library's headers
//! are a hundred thousand: they are held against lists of what the folders hold (`c_folders`).
//!
//! What lies in the compiler's own folders, or in a folder that something else pins, is walked
//! through and not returned: the digest of these folders, or `go.sum`, holds it.

use crate::effects::c_folders::CFolders;
use crate::effects::machine::Machine;
use crate::formats::c_text::{CName, literals, names};
use crate::words::digest::Digest;
use crate::words::path::OUTPUT_FOLDER;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// More files than any program includes, or than belong into one folder of headers.
const LIMIT: usize = 100_000;

/// What every C file names without saying so: the compiler's first header, and what `cgo` writes
/// into the files that it generates.
///
/// # Source
///
/// `cmd/cgo/out.go`: `builtinProlog`, `cPrologGccgo`, `builtinExportProlog`.
const ALWAYS: [&str; 9] = [
    "stdc-predef.h",
    "_cgo_export.h",
    "complex.h",
    "errno.h",
    "stddef.h",
    "stdint.h",
    "stdlib.h",
    "string.h",
    "sys/types.h",
];

/// Where a walk begins, and where it looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CWalk {
    /// The Go package's folder, in which the compiler runs.
    pub own: PathBuf,
    /// Files whose text names others.
    pub sources: Vec<PathBuf>,
    /// Names that flags hold.
    pub mentions: BTreeSet<String>,
    /// Folders of the flags.
    pub folders: Vec<PathBuf>,
    /// The compiler's own folders.
    pub system: Vec<PathBuf>,
    /// Folders whose files count in another way, the compiler's among them.
    pub pinned: Vec<PathBuf>,
}

/// Why a walk did not end.
#[derive(Debug, thiserror::Error)]
pub enum CWalkError {
    /// A file cannot be read.
    #[error("cannot read `{0}`")]
    Unreadable(PathBuf, #[source] io::Error),
    /// A computed name makes every file of a folder count.
    #[error(
        "a macro names a file in an `#include`, so that all files of `{0}` count, and there are too many"
    )]
    TooMany(PathBuf),
}

struct Walk<'a> {
    of: &'a CWalk,
    /// Names that were looked for, with the folder that they were looked for beside.
    asked: HashSet<(Option<PathBuf>, String)>,
    seen: BTreeSet<PathBuf>,
    open: Vec<PathBuf>,
    /// Every word that looks like a file is taken for a name.
    guesses: bool,
    /// Folders of files that hold a computed name.
    computed: BTreeSet<PathBuf>,
    computed_anywhere: bool,
    /// Folders of all paths that were tried.
    looked_in: HashSet<PathBuf>,
    /// What folders hold, for guesses.
    folders: CFolders,
}

impl CWalk {
    /// Digests every file that may be read, by path; folders are named as they really are.
    ///
    /// # Errors
    ///
    /// Returns [`CWalkError`] if a file cannot be read, or too many count.
    pub fn digests(&self, machine: &Machine) -> Result<BTreeMap<PathBuf, Digest>, CWalkError> {
        let mut walk = self.run(false)?;
        if walk.computed_anywhere {
            let named = walk.seen;
            walk = self.run(true)?;
            walk.seen.extend(named);
        }
        machine.looked.in_folders(&walk.looked_in);
        let mut files = walk.seen;
        let is_pinned = |it: &Path| self.pinned.iter().any(|folder| it.starts_with(folder));
        let own = walk.computed.iter().filter(|it| !is_pinned(it));
        if !walk.computed.is_empty() {
            let folders = own.chain(&self.folders).chain([&self.own]);
            for folder in folders.filter_map(|it| it.canonicalize().ok()) {
                if !is_pinned(&folder) {
                    files.extend(all_below(machine, &folder)?);
                }
            }
        }
        let paths: Vec<_> = files.into_iter().filter(|it| !is_pinned(it)).collect();
        let digests = machine.digests.digest_all(&paths);
        let digests = digests.map_err(|(path, error)| CWalkError::Unreadable(path, error))?;
        Ok(paths.into_iter().zip(digests).collect())
    }

    fn run(&self, guesses: bool) -> Result<Walk<'_>, CWalkError> {
        let mut walk = Walk {
            of: self,
            asked: HashSet::new(),
            seen: BTreeSet::new(),
            open: Vec::new(),
            guesses,
            computed: BTreeSet::new(),
            computed_anywhere: false,
            looked_in: HashSet::new(),
            folders: CFolders::default(),
        };
        for source in &self.sources {
            walk.read(source)?;
        }
        let given = ALWAYS.iter().map(|it| (*it).to_owned()).chain(self.mentions.iter().cloned());
        for name in given {
            walk.look_for(&CName { name, quoted: false }, &self.own);
        }
        while let Some(path) = walk.open.pop() {
            walk.read(&path)?;
        }
        Ok(walk)
    }
}

impl Walk<'_> {
    /// Reads a text and looks for all that it names.
    fn read(&mut self, path: &Path) -> Result<(), CWalkError> {
        let text = std::fs::read(path).map_err(|it| CWalkError::Unreadable(path.to_owned(), it))?;
        let beside = path.parent().unwrap_or(Path::new("/"));
        let found = names(&text);
        let is_system = self.of.system.iter().any(|it| path.starts_with(it));
        self.computed_anywhere |= found.computed;
        if found.computed && !is_system {
            self.computed.insert(beside.to_owned());
        }
        for name in &found.names {
            self.look_for(name, beside);
        }
        if self.guesses {
            for name in literals(&text, is_system) {
                self.look_for(&CName { name, quoted: true }, beside);
            }
        }
        Ok(())
    }

    /// Notes every file of a name, and the precompiled ones beside it.
    fn look_for(&mut self, CName { name, quoted }: &CName, beside: &Path) {
        let of = self.of;
        if quoted_is_new(&mut self.asked, *quoted, beside, name) {
            self.take_all(beside, name);
        }
        if self.asked.insert((None, name.clone())) {
            for folder in std::iter::once(&of.own).chain(&of.folders) {
                self.take_all(folder, name);
            }
            // What is precompiled there is held by the digest of these folders.
            for folder in &of.system {
                if self.may_hold(folder, name) {
                    self.take(&folder.join(name));
                }
            }
        }
    }

    fn take_all(&mut self, folder: &Path, name: &str) {
        if self.may_hold(folder, name) {
            self.take(&folder.join(name));
            self.take_precompiled(&folder.join(name));
        }
    }

    /// Tells whether it is worth while to ask for `name` in `folder`. What appears there later
    /// changes the folder itself, which is looked at from now on.
    fn may_hold(&mut self, folder: &Path, name: &str) -> bool {
        if !self.guesses {
            return true;
        }
        if self.folders.list(folder) {
            self.looked_in.insert(folder.to_owned());
        }
        self.folders.may_hold(folder, name)
    }

    fn take(&mut self, path: &Path) {
        if let Some(folder) = path.parent().filter(|it| !self.looked_in.contains(*it)) {
            self.looked_in.insert(folder.to_owned());
        }
        // Most places hold no such file, and asking whether it is there costs the least.
        if path.is_file()
            && let Some(path) = real(path)
            && self.seen.len() < LIMIT
            && self.seen.insert(path.clone())
        {
            self.open.push(path);
        }
    }

    fn take_precompiled(&mut self, path: &Path) {
        let mut precompiled = path.as_os_str().to_owned();
        precompiled.push(".gch");
        let Ok(metadata) = std::fs::metadata(&precompiled) else { return };
        let Some(precompiled) = real(Path::new(&precompiled)) else { return };
        if metadata.is_file() {
            self.seen.insert(precompiled);
        } else if let Ok(entries) = std::fs::read_dir(&precompiled) {
            // A folder of that name holds several, of which the compiler takes the one that fits.
            self.looked_in.insert(precompiled.clone());
            let files = entries.filter_map(Result::ok).map(|it| it.path());
            self.seen.extend(files.filter(|it| it.is_file()));
        }
    }
}

fn quoted_is_new(
    asked: &mut HashSet<(Option<PathBuf>, String)>,
    quoted: bool,
    beside: &Path,
    name: &str,
) -> bool {
    quoted && asked.insert((Some(beside.to_owned()), name.to_owned()))
}

/// Gives a file one name, by the real name of its folder. A file that is a link keeps its own: what
/// it includes is looked for beside the link.
fn real(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    Some(path.parent()?.canonicalize().ok()?.join(name))
}

/// Lists every file below a folder, hidden folders and outputs apart.
fn all_below(machine: &Machine, folder: &Path) -> Result<Vec<PathBuf>, CWalkError> {
    let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    let entered = walk.filter_entry(|it| {
        let name = it.file_name();
        it.depth() == 0 || !(name == OUTPUT_FOLDER || name.as_encoded_bytes().starts_with(b"."))
    });
    let entries = entered.filter_map(Result::ok).inspect(|it| {
        if it.file_type().is_dir() {
            machine.looked.in_folders([it.path()]);
        }
    });
    let files = entries.filter(|it| it.file_type().is_file());
    let files: Vec<_> = files.map(walkdir::DirEntry::into_path).take(LIMIT).collect();
    if files.len() < LIMIT { Ok(files) } else { Err(CWalkError::TooMany(folder.to_owned())) }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;
    use crate::effects::testing::machine;
    use std::fs;

    /// A tree of files, and the names of those that a walk from `main.c` finds in it.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let this = Self(tempfile::tempdir().unwrap());
            for (name, text) in files {
                this.file(name, text);
            }
            this
        }

        fn file(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn walk(&self) -> CWalk {
            let root = self.0.path().canonicalize().unwrap();
            CWalk {
                own: root.join("own"),
                sources: vec![root.join("own/main.c")],
                folders: vec![root.join("a"), root.join("b")],
                system: vec![root.join("system")],
                pinned: vec![root.join("system")],
                ..CWalk::default()
            }
        }

        fn found(&self, walk: &CWalk) -> String {
            let root = self.0.path().canonicalize().unwrap();
            let machine = machine(self.0.path());
            let found = walk.digests(&machine).unwrap();
            let name = |it: &PathBuf| it.strip_prefix(&root).unwrap().display().to_string();
            found.keys().map(name).collect::<Vec<_>>().join(" ")
        }
    }

    #[test]
    fn every_file_of_a_name_counts_wherever_it_may_be_found() {
        let tree = Tree::new(&[
            ("own/main.c", "#include <x.h>\n"),
            ("own/x.h", ""),
            ("a/x.h", "#include \"beside.h\"\n"),
            ("a/beside.h", "#include \"../c/up.h\"\n"),
            ("b/x.h", ""),
            ("c/up.h", "#include \"../c/up.h\"\n#include \"../a/../c/up.h\"\n"),
            ("b/other.h", ""),
        ]);
        let found = tree.found(&tree.walk());
        assert_eq!(found, "a/beside.h a/x.h b/x.h c/up.h own/x.h");
    }

    #[test]
    fn a_file_that_appears_before_a_header_of_the_system_counts() {
        let tree = Tree::new(&[
            ("own/main.c", "#include <system.h>\n#if __has_include(<extra.h>)\n#endif\n"),
            ("system/system.h", "#include <bits/types.h>\n"),
            ("system/bits/types.h", ""),
        ]);
        assert_eq!(tree.found(&tree.walk()), "");
        tree.file("a/bits/types.h", "");
        tree.file("b/extra.h", "");
        tree.file("b/stdc-predef.h", "");
        tree.file("own/system.h.gch/one", "");
        let found = tree.found(&tree.walk());
        assert_eq!(found, "a/bits/types.h b/extra.h b/stdc-predef.h own/system.h.gch/one");
    }

    #[test]
    fn a_computed_name_makes_the_folders_and_what_the_text_names_count() {
        let tree = Tree::new(&[
            ("own/main.c", "#define X STR(../c/hidden.data)\n#include X\n"),
            ("own/.git/x", ""),
            ("a/deep/any.data", ""),
            ("c/hidden.data", "#include \"more.h\"\n"),
            ("c/more.h", ""),
            ("c/not.h", ""),
        ]);
        let found = tree.found(&tree.walk());
        assert_eq!(found, "a/deep/any.data c/hidden.data c/more.h own/main.c");
    }

    #[test]
    fn names_in_flags_count() {
        let tree = Tree::new(&[("own/main.c", ""), ("a/forced.h", ""), ("own/x.data", "")]);
        let mentions = ["forced.h", "x.data", "absent.h"].map(str::to_owned);
        let walk = CWalk { mentions: mentions.into(), ..tree.walk() };
        assert_eq!(tree.found(&walk), "a/forced.h own/x.data");
    }

    #[test]
    fn a_folder_behind_a_link_is_the_folder_itself() {
        let tree = Tree::new(&[
            ("own/main.c", "#include \"link/../x.h\"\n"),
            ("c/far/y.h", ""),
            ("c/x.h", ""),
        ]);
        let root = tree.0.path();
        std::os::unix::fs::symlink(root.join("c/far"), root.join("own/link")).unwrap();
        assert_eq!(tree.found(&tree.walk()), "c/x.h");
    }
}
