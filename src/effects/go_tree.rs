//! All that decides what `go list` says of local packages, as one digest: then what it said once
//! holds for every tree with that digest.
//!
//! | what | how it counts | because |
//! |---|---|---|
//! | folders of the module, and of others that `go.mod` and `go.work` name | the names in them, and what each is | a pattern, an import or an embedding may meet any of them |
//! | Go files | up to their first declaration ([`decisive`]) | no more is read of them |
//! | Go's test files, where tests are listed | as a whole | functions are looked for by name |
//! | files of C and its like | as a whole | they may have build constraints |
//! | `go.mod`, `go.sum`, `go.work`, `modules.txt` | as a whole | they choose modules |
//! | other files | by name | they may be embedded, which reads nothing |
//!
//! Paths count relative to their module, so that another clone has the same digest.
//!
//! [`decisive`]: crate::formats::go_header::decisive

use crate::effects::digests::Digests;
use crate::effects::folders::{FILE, FOLDER, LINK, each_below, entries, kind};
use crate::effects::go_tool::GoModuleFolder;
use crate::plan::fingerprint::Framed;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use crate::words::path::OUTPUT_FOLDER;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The files that choose modules.
const CHOOSERS: [&str; 5] = ["go.mod", "go.sum", "go.work", "go.work.sum", "modules.txt"];

/// Files that Go may hand to other compilers. # Source: `goodOSArchFile`'s callers in `go/build`.
const OTHERS: [&str; 19] = [
    "c", "cc", "cpp", "cxx", "m", "h", "hh", "hpp", "hxx", "f", "F", "for", "f90", "s", "S", "sx",
    "swig", "swigcxx", "syso",
];

/// Local modules as they were seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoTree {
    /// The digest of all that counts.
    pub digest: Digest,
    /// The folders of the modules, the one that was asked from first.
    pub roots: Vec<PathBuf>,
    /// Every folder in them.
    pub folders: BTreeSet<PathBuf>,
}

impl GoTree {
    /// Looks at the modules that `module` names, for a listing with or without tests.
    ///
    /// # Errors
    ///
    /// Returns the system's error if something there cannot be read.
    pub fn look(digests: &Digests, module: &GoModuleFolder, tests: bool) -> io::Result<Self> {
        let mut framed = Framed::new("linkwright go tree 2");
        let roots = roots(module);
        let mut folders = BTreeSet::new();
        framed.count(roots.len());
        for root in &roots {
            // Where the others are seen from the first, they are so in each clone.
            framed.bytes(relative(&module.folder, root).as_os_str().as_encoded_bytes());
        }
        let choosers =
            module.work.iter().flat_map(|it| [it.clone(), it.with_extension("work.sum")]);
        let choosers: Vec<_> = choosers.filter(|it| it.is_file()).collect();
        framed.count(choosers.len());
        let contents: io::Result<Vec<_>> =
            choosers.iter().map(|it| content(digests, it, tests)).collect();
        for it in contents? {
            framed.digest(&it);
        }
        for root in &roots {
            let look = |folder: &Path| {
                let seen = Seen::of(digests, folder, tests);
                let below = seen.as_ref().map(|it| it.below(folder)).unwrap_or_default();
                (seen.map(|it| (folder.to_owned(), it)), below)
            };
            for seen in each_below(root, &look) {
                let (folder, seen) = seen?;
                // The name of a clone's own folder does not count.
                let below = folder.strip_prefix(root).unwrap_or(&folder);
                framed.bytes(below.as_os_str().as_encoded_bytes());
                seen.frame(&mut framed);
                folders.insert(folder);
            }
        }
        Ok(Self { digest: framed.finish(), roots, folders })
    }
}

/// What one folder holds.
struct Seen {
    /// The names in it with the [`kind`](crate::effects::folders::kind) of each; ten more for what
    /// a link leads to.
    names: Vec<(OsString, u8)>,
    /// What counts of the files of which more than the name may count.
    contents: Vec<Digest>,
}

impl Seen {
    fn of(digests: &Digests, folder: &Path, tests: bool) -> io::Result<Self> {
        let mut names = entries(folder)?;
        names.retain(|(name, _)| name != ".git" && name != OUTPUT_FOLDER);
        for (name, it) in names.iter_mut().filter(|it| it.1 == LINK) {
            let leads = fs::metadata(folder.join(name));
            *it = leads.map_or(10, |it| 10 + kind(it.file_type()));
        }
        let is_file = |it: &&(OsString, u8)| it.1 == FILE || it.1 == 10 + FILE;
        let files = names.iter().filter(is_file).filter(|it| counts(Path::new(&it.0)));
        let files: Vec<_> = files.map(|it| folder.join(&it.0)).collect();
        let contents = files.par_iter().map(|it| content(digests, it, tests));
        let contents = contents.collect::<io::Result<_>>()?;
        Ok(Self { names, contents })
    }

    fn below(&self, folder: &Path) -> Vec<PathBuf> {
        self.names.iter().filter(|it| it.1 == FOLDER).map(|it| folder.join(&it.0)).collect()
    }

    fn frame(&self, framed: &mut Framed) {
        let Self { names, contents } = self;
        let is_told =
            |it: &&(OsString, u8)| !planted(Defect::ListingWithoutNames) || it.1 == FOLDER;
        framed.count(names.iter().filter(is_told).count());
        for (name, kind) in names.iter().filter(is_told) {
            framed.bytes(name.as_encoded_bytes());
            framed.count(usize::from(*kind));
        }
        framed.count(contents.len());
        for it in contents {
            framed.digest(it);
        }
    }
}

/// Tells whether more than the name of a file may count.
fn counts(path: &Path) -> bool {
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |it| it.1);
    extension == "go" || OTHERS.contains(&extension) || CHOOSERS.contains(&name)
}

fn content(digests: &Digests, path: &Path, tests: bool) -> io::Result<Digest> {
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let is_go = path.extension().is_some_and(|it| it == "go");
    if is_go && planted(Defect::ListingWithoutHeads) {
        return Ok(Digest::of(b""));
    }
    if is_go && !(tests && name.ends_with("_test.go")) {
        digests.head(path)
    } else {
        digests.digest(path)
    }
}

/// Returns the folders of local modules: that of `module`, and every folder with a `go.mod` that a
/// word of `go.mod` or `go.work` names, and so on. A word that is no path names none.
#[must_use]
pub fn roots(module: &GoModuleFolder) -> Vec<PathBuf> {
    let mut roots = vec![module.folder.clone()];
    let mut open: Vec<_> = module.work.iter().cloned().collect();
    open.push(module.folder.join("go.mod"));
    while let Some(file) = open.pop() {
        let text = fs::read(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let base = file.parent().unwrap_or(Path::new("/"));
        let ends = |it: char| it.is_whitespace() || matches!(it, '"' | '`' | '(' | ')' | '\'');
        for word in text.split(ends).filter(|it| !it.is_empty()) {
            let folder = clean(&base.join(word));
            let go_mod = folder.join("go.mod");
            if !roots.contains(&folder) && go_mod.is_file() {
                roots.push(folder);
                open.push(go_mod);
            }
        }
    }
    roots
}

/// Takes `.` and `..` out of a path, as Go does: by its words alone.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            _ => clean.push(part),
        }
    }
    clean
}

/// Returns `to` as seen from `from`.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    up.chain(to.components().skip(common)).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;

    /// A module in `m` that is replaced by one in `lib`, below `home`.
    fn module(home: &Path) -> GoModuleFolder {
        for (name, text) in [
            ("m/go.mod", "module m\n\nreplace \"x.org/lib\" => ../lib\n"),
            ("m/a.go", "package m\n\nimport \"x.org/lib\"\n\nvar V = lib.V\n"),
            ("m/a_test.go", "package m\n\nfunc TestA() {}\n"),
            ("m/c/c.h", "#define C 1\n"),
            ("m/data/x.txt", "x"),
            ("lib/go.mod", "module x.org/lib\n"),
            ("lib/lib.go", "package lib\n\nvar V = 1\n"),
        ] {
            let path = home.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        GoModuleFolder { folder: home.join("m"), work: None }
    }

    fn look(home: &Path, tests: bool) -> Digest {
        let digests = Digests::open(&home.join("stamps"), false);
        let module = GoModuleFolder { folder: home.join("m"), work: None };
        GoTree::look(&digests, &module, tests).unwrap().digest
    }

    #[test]
    fn what_go_list_reads_counts_and_nothing_else_does() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        module(home);
        let check = |name: &str, text: &str, counts: bool, counts_in_tests: bool| {
            let path = home.join(name);
            let old = fs::read(&path).ok();
            let before = (look(home, false), look(home, true));
            fs::write(&path, text).unwrap();
            let after = (look(home, false), look(home, true));
            let changed = (before.0 != after.0, before.1 != after.1);
            assert_eq!(changed, (counts, counts_in_tests), "{name}: {text}");
            match old {
                Some(old) => fs::write(&path, old).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            assert_eq!((look(home, false), look(home, true)), before, "{name}: the way back");
        };
        check("m/a.go", "package m\n\nimport \"x.org/lib\"\n\nvar V = 2\n", false, false);
        check("m/a.go", "package m\n\nimport \"x.org/more\"\n\nvar V = 2\n", true, true);
        check("m/a.go", "//go:build x\n\npackage m\n", true, true);
        check("m/a_test.go", "package m\n\nfunc TestB() {}\n", false, true);
        check("m/a_test.go", "package m_test\n", true, true);
        check("m/b.go", "package m\n", true, true);
        check("m/c/c.h", "//go:build x\n", true, true);
        check("m/data/x.txt", "other", false, false);
        check("m/data/y.txt", "x", true, true);
        check("m/go.mod", "module m\n", true, true);
        check("m/go.sum", "x.org/lib v1.0.0 h1:\n", true, true);
        check("lib/lib.go", "package lib\n\nvar V = 3\n", false, false);
        check("lib/lib.go", "package other\n", true, true);
        check("lib/new.go", "package lib\n", true, true);
        check("m/data/go.mod", "module data\n", true, true);
        check("other.go", "package other\n", false, false);
    }

    #[test]
    fn another_clone_has_the_same_digest() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let deep = two.path().join("deep/er");
        let digests = Digests::open(&one.path().join("stamps"), false);
        let one = GoTree::look(&digests, &module(one.path()), true).unwrap();
        let GoModuleFolder { folder, work } = module(&deep);
        // Under another name, too.
        fs::rename(folder, deep.join("other")).unwrap();
        let two = GoModuleFolder { folder: deep.join("other"), work };
        let two = GoTree::look(&digests, &two, true).unwrap();
        assert_eq!(one.digest, two.digest);
        assert_eq!(two.roots, [deep.join("other"), deep.join("lib")]);
        assert!(two.folders.contains(&deep.join("other/data")));
    }

    #[test]
    fn a_link_counts_by_what_it_leads_to() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        module(home);
        std::os::unix::fs::symlink(home.join("away.go"), home.join("m/link.go")).unwrap();
        let dangling = look(home, false);
        fs::write(home.join("away.go"), "package m\n").unwrap();
        let there = look(home, false);
        fs::write(home.join("away.go"), "package n\n").unwrap();
        assert!(dangling != there && there != look(home, false));
    }
}
