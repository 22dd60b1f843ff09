//! Which files the linker may read because words name them, and what these lead to.
//!
//! | what is named | what counts | because |
//! |---|---|---|
//! | `-lNAME`, `-l:FILE` | each file of that name in the `-L` folders and the linker's own | `-L` stands for every `-l`, before it or behind it |
//! | nothing: `-lc`, `-lgcc`, … | the same | the compiler asks for them in the same folders |
//! | a path, also in `-Wl,-T,…` and after `=` | the file | objects, scripts, lists of symbols |
//! | a thin archive | its members | it holds their names only |
//! | a text | each word of it that is the name of a file, or `-lNAME` | a linker script: `INPUT`, `GROUP`, `INCLUDE` |
//! | a shared library | those that it needs | the linker looks into them for symbols and versions |
//!
//! What is nowhere is left out: the linker will say so, and each walk looks anew.

use crate::effects::inspect::linkage_of_file;
use crate::effects::machine::Machine;
use crate::formats::c_words::CWords;
use crate::formats::linkage::Linkage;
use crate::formats::linker_text::{LinkerFile, linker_file};
use crate::words::digest::Digest;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Libraries that compilers link without being told, and those that their switches bring.
const IMPLICIT: [&str; 24] = [
    "asan",
    "atomic",
    "c",
    "c_nonshared",
    "dl",
    "gcc",
    "gcc_eh",
    "gcc_s",
    "gomp",
    "hwasan",
    "itm",
    "lsan",
    "m",
    "mvec",
    "pthread",
    "quadmath",
    "resolv",
    "rt",
    "ssp",
    "ssp_nonshared",
    "stdc++",
    "supc++",
    "tsan",
    "ubsan",
];

/// A larger file is read for what it names only if it is an archive of names.
const LARGEST_TEXT: u64 = 64 << 20;

/// Returns the files that a library's name may stand for.
fn names_of(library: &str) -> Vec<String> {
    if let Some(file) = library.strip_prefix(':') {
        return vec![file.to_owned()];
    }
    let forms =
        ["lib{}.a", "lib{}.so", "lib{}.dll.a", "lib{}.dylib", "lib{}.tbd", "{}.lib", "{}.dll"];
    forms.iter().map(|it| it.replace("{}", library)).collect()
}

/// Digests every file that a link with these words may read, by path.
///
/// Relative names are looked for in `bases`, where the linker may be run. `own` are the linker's
/// own folders.
#[must_use]
pub fn linked(
    machine: &Machine,
    words: &CWords,
    bases: &[PathBuf],
    own: &[PathBuf],
) -> BTreeMap<PathBuf, Digest> {
    let said =
        words.library_folders.iter().flat_map(|it| bases.iter().map(move |base| base.join(it)));
    let said: Vec<_> = said.collect();
    machine.looked.in_folders(&said);
    let said: Vec<_> = said.into_iter().filter(|it| it.is_dir()).collect();
    let mut walk = LinkWalk { said: &said, own, bases, asked: HashSet::new(), open: Vec::new() };
    for mention in &words.mentions {
        walk.look_for(mention, None);
    }
    for library in &words.libraries {
        walk.library(library);
    }
    for library in IMPLICIT {
        walk.library(library);
    }
    let (mut found, mut looked) = (BTreeMap::new(), HashSet::new());
    while let Some(path) = walk.open.pop() {
        if !looked.insert(path.clone()) {
            continue;
        }
        machine.looked.for_file(&path);
        if !path.is_file() {
            continue;
        }
        // A file that is not to be read here is not to be read by the linker either.
        let Ok(digest) = machine.digests.digest(&path) else { continue };
        found.insert(path.clone(), digest);
        walk.follow(&path);
    }
    // One file has one name.
    let real = |it: PathBuf| it.canonicalize().unwrap_or(it);
    found.into_iter().map(|(path, digest)| (real(path), digest)).collect()
}

struct LinkWalk<'a> {
    said: &'a [PathBuf],
    own: &'a [PathBuf],
    bases: &'a [PathBuf],
    asked: HashSet<(String, Option<PathBuf>)>,
    open: Vec<PathBuf>,
}

impl LinkWalk<'_> {
    fn library(&mut self, name: &str) {
        for name in names_of(name) {
            for folder in self.said.iter().chain(self.own) {
                self.open.push(folder.join(&name));
            }
        }
    }

    /// Looks for a file beside the one that names it, where the linker runs, and in the folders.
    fn look_for(&mut self, name: &str, beside: Option<&Path>) {
        if self.asked.insert((name.to_owned(), beside.map(Path::to_owned))) {
            let folders = self.bases.iter().chain(self.said).map(PathBuf::as_path).chain(beside);
            self.open.extend(folders.map(|it| it.join(name)));
        }
    }

    /// Adds what a file leads to.
    fn follow(&mut self, path: &Path) {
        let beside = path.parent();
        let Some(bytes) = beginning(path) else { return };
        match linker_file(&bytes) {
            LinkerFile::Thin(members) => {
                for member in members {
                    self.open.extend(beside.map(|it| it.join(member)));
                }
            }
            LinkerFile::Text(words) => {
                for word in words {
                    match word.strip_prefix("-l") {
                        Some(library) => self.library(library),
                        None => self.look_for(&word, beside),
                    }
                }
            }
            LinkerFile::Whole if bytes.starts_with(b"\x7fELF") => {
                let Ok(linkage) = linkage_of_file(path) else { return };
                for name in &linkage.needed {
                    self.look_for(name, beside);
                    self.open.extend(self.own.iter().map(|it| it.join(name)));
                    self.open.extend(run_path(&linkage, path).map(|it| it.join(name)));
                }
            }
            LinkerFile::Whole => {}
        }
    }
}

/// Returns the programs and plugins `files` with the loader and all libraries that it loads for
/// them: those are their code as well.
#[must_use]
pub fn with_libraries(
    machine: &Machine,
    files: BTreeSet<PathBuf>,
    folders: &[PathBuf],
) -> BTreeSet<PathBuf> {
    // Most of them need the same few, each of which may be in any of the folders.
    let (mut all, mut looked) = (BTreeSet::new(), HashSet::new());
    let mut open: Vec<_> = files.into_iter().collect();
    while let Some(path) = open.pop() {
        if !looked.insert(path.clone()) {
            continue;
        }
        machine.looked.for_file(&path);
        if !path.is_file() {
            continue;
        }
        all.insert(path.clone());
        let Ok(linkage) = linkage_of_file(&path) else { continue };
        open.extend(linkage.interpreter.iter().map(PathBuf::from));
        for name in &linkage.needed {
            open.extend(folders.iter().map(|it| it.join(name)));
            open.extend(run_path(&linkage, &path).map(|it| it.join(name)));
        }
    }
    all
}

/// Returns the folders that a file itself names for its libraries.
fn run_path<'a>(linkage: &'a Linkage, path: &'a Path) -> impl Iterator<Item = PathBuf> + 'a {
    let origin = path.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let entries = linkage.rpath.iter().flat_map(|it| it.split(':'));
    entries.map(move |it| it.replace("$ORIGIN", &origin).replace("${ORIGIN}", &origin).into())
}

/// Reads the whole of a text and of an archive of names, and the first bytes of anything else.
fn beginning(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let mut bytes = Vec::new();
    (&file).take(8).read_to_end(&mut bytes).ok()?;
    if !bytes.starts_with(b"\x7fELF") && !bytes.starts_with(b"!<arch>\n") {
        (&file).take(LARGEST_TEXT).read_to_end(&mut bytes).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;
    use crate::effects::testing::machine;
    use std::fs;

    #[track_caller]
    fn check(files: &[(&str, &str)], words: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let words = CWords::read(words.split(' '));
        let found = linked(&machine(&root), &words, &[root.join("w")], &[root.join("system")]);
        let name = |it: &PathBuf| it.strip_prefix(&root).unwrap().display().to_string();
        let found: Vec<_> = found.keys().map(name).collect();
        assert_eq!(found.join(" "), expected, "{words:?}");
    }

    #[test]
    fn a_library_counts_in_every_folder() {
        let files = [("w/a/libx.a", "\0"), ("w/b/libx.so", "\0"), ("system/libx.a", "\0")];
        check(&files, "-lx -La -L b", "system/libx.a w/a/libx.a w/b/libx.so");
        check(&files, "-l:libx.so -Lb", "w/b/libx.so");
        check(&files, "-Lnowhere", "");
    }

    #[test]
    fn a_library_that_shadows_one_of_the_compiler_counts() {
        let script = "GROUP ( libgcc_s.so.1 -lgcc )";
        let files = [
            ("w/a/libc.a", "\0"),
            ("w/a/libother.a", "\0"),
            ("system/libc.a", "\0"),
            ("system/libgcc_s.so", script),
            ("w/libgcc_s.so.1", "\0"),
        ];
        check(&files, "-La", "system/libc.a system/libgcc_s.so w/a/libc.a w/libgcc_s.so.1");
    }

    #[test]
    fn scripts_lead_on() {
        let script = "INPUT(far/x.o) GROUP ( -ly AS_NEEDED ( libz.so.1 ) ) INCLUDE more.ld";
        let files = [
            ("w/a/libx.so", script),
            ("w/a/far/x.o", "\0"),
            ("system/liby.a", "\0"),
            ("w/a/libz.so.1", "\0"),
            ("w/more.ld", "INPUT(last.o)"),
            ("w/last.o", "\0"),
            ("w/other.o", "\0"),
        ];
        let expected = "system/liby.a w/a/far/x.o w/a/libx.so w/a/libz.so.1 w/last.o w/more.ld";
        check(&files, "-lx -La", expected);
        check(&files, "-Wl,-T,more.ld", "w/last.o w/more.ld");
        check(&files, "-Wl,--version-script=more.ld", "w/last.o w/more.ld");
    }

    #[test]
    fn members_of_a_thin_archive_count() {
        let member = format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "m.o/", 0, 0, 0, 644, 9);
        let archive = format!("!<thin>\n{member}");
        let files = [("w/a/libx.a", archive.as_str()), ("w/a/m.o", "\0"), ("w/m.o", "\0")];
        check(&files, "-lx -La", "w/a/libx.a w/a/m.o");
    }
}
