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
//! Files in the compiler's own folders are told apart from others. Where a name is computed, any of
//! them may be read, and all count. What lies in a folder that something else pins, `go.sum` or the
//! identity of the C tools, is walked through and not returned.
//!
//! What a text names is kept by its digest while the program runs (`c_names`).

use crate::effects::c_folders::CFolders;
use crate::effects::machine::Machine;
use crate::formats::c_text::{CName, CNames, literals};
use crate::words::digest::Digest;
use crate::words::path::OUTPUT_FOLDER;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// Folders whose files count in another way.
    pub pinned: Vec<PathBuf>,
}

/// What compiling C may read, by path; folders are named as they really are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CRead {
    /// Files outside of the compiler's own folders.
    pub files: BTreeMap<PathBuf, Digest>,
    /// Files in the compiler's own folders, where not all of them may be read.
    pub headers: BTreeMap<PathBuf, Digest>,
    /// Any file in the compiler's own folders may be read.
    pub any_header: bool,
}

impl CRead {
    /// Names what counts of the compiler's own folders: files, or the folders by what `all` says of
    /// them; not those that something else pins.
    pub fn named_headers(
        &self,
        walk: &CWalk,
        all: impl FnOnce(&[PathBuf]) -> Option<Digest>,
    ) -> BTreeMap<String, Digest> {
        let name = |it: &PathBuf| it.to_string_lossy().into_owned();
        let mut named: BTreeMap<_, _> = self.headers.iter().map(|it| (name(it.0), *it.1)).collect();
        if self.any_header {
            let folders = walk.system.iter().filter(|it| !walk.is_pinned(it));
            let folders: Vec<_> = folders.cloned().collect();
            let names: Vec<_> = folders.iter().map(name).collect();
            named.extend(all(&folders).map(|it| (names.join(" "), it)));
        }
        named
    }
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
    machine: &'a Machine,
    /// Names that were looked for, with the folder that they were looked for beside.
    asked: HashSet<(Option<PathBuf>, String)>,
    seen: BTreeSet<PathBuf>,
    open: Vec<PathBuf>,
    /// Files of which the words were not looked for.
    read: Vec<PathBuf>,
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
    /// Digests every file that may be read.
    ///
    /// # Errors
    ///
    /// Returns [`CWalkError`] if a file cannot be read, or too many count.
    pub fn digests(&self, machine: &Machine) -> Result<CRead, CWalkError> {
        let walk = self.run(machine)?;
        machine.looked.in_folders(&walk.looked_in);
        let any_header = walk.computed_anywhere;
        let is_left_out = |it: &Path| self.is_pinned(it) || any_header && self.is_system(it);
        let mut files = walk.seen;
        let own = walk.computed.iter().filter(|it| !is_left_out(it));
        if !walk.computed.is_empty() {
            let folders = own.chain(&self.folders).chain([&self.own]);
            for folder in folders.filter_map(|it| it.canonicalize().ok()) {
                if !is_left_out(&folder) {
                    files.extend(all_below(machine, &folder)?);
                }
            }
        }
        let paths: Vec<_> = files.into_iter().filter(|it| !is_left_out(it)).collect();
        let digests = machine.digests.digest_all(&paths);
        let digests = digests.map_err(|(path, error)| CWalkError::Unreadable(path, error))?;
        let all = paths.into_iter().zip(digests);
        let (headers, files) = all.partition(|(path, _)| self.is_system(path));
        Ok(CRead { files, headers, any_header })
    }

    fn is_pinned(&self, path: &Path) -> bool {
        self.pinned.iter().any(|it| path.starts_with(it))
    }

    fn is_system(&self, path: &Path) -> bool {
        self.system.iter().any(|it| path.starts_with(it))
    }

    fn run<'a>(&'a self, machine: &'a Machine) -> Result<Walk<'a>, CWalkError> {
        let mut walk = Walk {
            of: self,
            machine,
            asked: HashSet::new(),
            seen: BTreeSet::new(),
            open: self.sources.clone(),
            read: Vec::new(),
            guesses: false,
            computed: BTreeSet::new(),
            computed_anywhere: false,
            looked_in: HashSet::new(),
            folders: CFolders::default(),
        };
        let given = ALWAYS.iter().map(|it| (*it).to_owned()).chain(self.mentions.iter().cloned());
        for name in given {
            walk.look_for(&CName { name, quoted: false }, &self.own);
        }
        walk.read_all()?;
        if walk.computed_anywhere {
            walk.guess()?;
        }
        Ok(walk)
    }
}

impl Walk<'_> {
    /// Reads the files that were found, and those that they name.
    fn read_all(&mut self) -> Result<(), CWalkError> {
        while let Some(path) = self.open.pop() {
            let beside = beside(&path);
            let found = self.names_in(&path)?;
            self.computed_anywhere |= found.computed;
            if found.computed && !self.of.is_system(&path) {
                self.computed.insert(beside.to_owned());
            }
            for name in &found.names {
                self.look_for(name, beside);
            }
            if self.guesses {
                self.look_for_words(&path)?;
            } else {
                self.read.push(path);
            }
        }
        Ok(())
    }

    fn names_in(&self, path: &Path) -> Result<Arc<CNames>, CWalkError> {
        let (of, machine) = (self.of, self.machine);
        let is_go = path.extension().is_some_and(|it| it == "go");
        let digest = if of.is_pinned(path) {
            machine.digests.digest_apart(path)
        } else {
            machine.digests.digest(path)
        };
        let known = machine.c_names.of(digest.map_err(|it| unreadable(path, it))?, is_go);
        known.map_or_else(|| Ok(machine.c_names.learn(&read(path)?, is_go)), Ok)
    }

    /// Looks for every word of the files that were read, and goes on from what that finds.
    fn guess(&mut self) -> Result<(), CWalkError> {
        self.guesses = true;
        let of = self.of;
        self.list(Path::new("/"));
        for folder in std::iter::once(&of.own).chain(&of.folders).chain(&of.system) {
            self.list(folder);
        }
        for path in std::mem::take(&mut self.read) {
            self.look_for_words(&path)?;
        }
        self.read_all()
    }

    fn look_for_words(&mut self, path: &Path) -> Result<(), CWalkError> {
        let text = read(path)?;
        let beside = beside(path);
        self.list(beside);
        for word in literals(&text, self.of.is_system(path)) {
            // All but a few of many thousands are the name of nothing.
            if self.folders.any_may_hold(word) {
                let name = String::from_utf8_lossy(word).into_owned();
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
            for folder in std::iter::once(&of.own).chain(&of.folders).chain(&of.system) {
                self.take_all(folder, name);
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
        self.list(folder);
        self.folders.may_hold(folder, name)
    }

    fn list(&mut self, folder: &Path) {
        if self.folders.list(folder) {
            self.looked_in.insert(folder.to_owned());
        }
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

fn read(path: &Path) -> Result<Vec<u8>, CWalkError> {
    std::fs::read(path).map_err(|it| unreadable(path, it))
}

fn unreadable(path: &Path, error: io::Error) -> CWalkError {
    CWalkError::Unreadable(path.to_owned(), error)
}

/// The folder in which the names of a file are looked for first.
fn beside(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
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
                pinned: vec![root.join("pinned")],
                ..CWalk::default()
            }
        }

        fn found(&self, walk: &CWalk) -> String {
            let root = self.0.path().canonicalize().unwrap();
            let machine = machine(self.0.path());
            let found = walk.digests(&machine).unwrap();
            let name = |it: &PathBuf| it.strip_prefix(&root).unwrap().display().to_string();
            let paths = found.files.keys().chain(found.headers.keys());
            let all = found.any_header.then(|| "system/**".to_owned());
            paths.map(name).chain(all).collect::<Vec<_>>().join(" ")
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
    fn headers_of_the_system_count_where_they_are_named_and_so_does_what_appears_before_them() {
        let tree = Tree::new(&[
            ("own/main.c", "#include <system.h>\n#if __has_include(<extra.h>)\n#endif\n"),
            ("system/system.h", "#include <bits/types.h>\n"),
            ("system/bits/types.h", ""),
            ("system/unnamed.h", ""),
        ]);
        assert_eq!(tree.found(&tree.walk()), "system/bits/types.h system/system.h");
        tree.file("a/bits/types.h", "");
        tree.file("b/extra.h", "");
        tree.file("b/stdc-predef.h", "");
        tree.file("own/system.h.gch/one", "");
        tree.file("system/extra.h", "");
        tree.file("system/extra.h.gch", "");
        let found = tree.found(&tree.walk());
        let others = "a/bits/types.h b/extra.h b/stdc-predef.h own/system.h.gch/one";
        let headers = "system/bits/types.h system/extra.h system/extra.h.gch system/system.h";
        assert_eq!(found, format!("{others} {headers}"));
        // What is pinned is walked through, and not told of.
        let pinned = CWalk { pinned: tree.walk().system, ..tree.walk() };
        assert_eq!(tree.found(&pinned), others);
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
        assert_eq!(found, "a/deep/any.data c/hidden.data c/more.h own/main.c system/**");
    }

    #[test]
    fn a_name_that_a_header_of_the_system_computes_makes_all_of_them_count() {
        let tree = Tree::new(&[
            ("own/main.c", "#include <system.h>\n"),
            ("a/any.h", ""),
            ("system/system.h", "#define H <other.h>\n#include H\n"),
            ("b/other.h", ""),
            ("system/other.h", ""),
        ]);
        let walk = tree.walk();
        assert_eq!(tree.found(&walk), "b/other.h system/**");
        let root = tree.0.path().canonicalize().unwrap();
        let read = walk.digests(&machine(&root)).unwrap();
        let digest = Digest::of(b"all");
        let named = read.named_headers(&walk, |folders| {
            assert_eq!(folders, [root.join("system")]);
            Some(digest)
        });
        assert_eq!(named.into_values().collect::<Vec<_>>(), [digest]);
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
