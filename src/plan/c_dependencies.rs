//! What C libraries that are targets bring into one link: what is compiled, by which words, under
//! which keys.
//!
//! | key | of | holds |
//! |---|---|---|
//! | [`ObjectInputs`] | one object | the C tools and their headers, the words, the source and all that it may include, by content |
//! | [`ArchiveInputs`] | an archive | the program that makes it, its objects by name and key |
//!
//! Left out: the path of the workspace. The compiler runs in the library's folder with relative
//! words, and what it would write of the path is mapped to [`MAPPED`]. `-o` and the folder of the
//! object are left out as well: neither gets into it.

use crate::plan::fingerprint::Framed;
use crate::words::digest::Digest;
use crate::words::label::Label;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What stands for the root of the workspace in what compilers write of paths.
pub const MAPPED: &str = "/_linkwright";

/// Every input of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInputs {
    /// The C tools' digest.
    pub tools: Digest,
    /// The digest of what it may read in the compiler's own folders.
    pub headers: Digest,
    /// The folder it is compiled in, relative to the root.
    pub folder: String,
    /// The source, relative to that folder.
    pub source: String,
    /// The words of the compiler, in order.
    pub words: Vec<String>,
    /// The source and what compiling it may read, by path.
    pub files: BTreeMap<String, Digest>,
}

impl ObjectInputs {
    /// Returns the key: equal exactly when all inputs are equal.
    #[must_use]
    pub fn key(&self) -> Digest {
        let Self { tools, headers, folder, source, words, files } = self;
        let mut framed = Framed::new("linkwright c object 3");
        framed.digest(tools);
        framed.digest(headers);
        framed.text(folder);
        framed.text(source);
        framed.list(words);
        framed.digests(files);
        framed.finish()
    }
}

/// Every input of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveInputs {
    /// The digest of the program that makes it.
    pub archiver: Digest,
    /// Names of its members with their keys, in order.
    pub members: Vec<(String, Digest)>,
}

impl ArchiveInputs {
    /// Returns the key: equal exactly when all inputs are equal.
    #[must_use]
    pub fn key(&self) -> Digest {
        let Self { archiver, members } = self;
        let mut framed = Framed::new("linkwright c archive 1");
        framed.digest(archiver);
        framed.count(members.len());
        for (name, key) in members {
            framed.text(name);
            framed.digest(key);
        }
        framed.finish()
    }
}

/// A program with words that stand before all others, and variables that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CProgram {
    /// Its absolute path.
    pub program: PathBuf,
    /// The words.
    pub words: Vec<String>,
    /// The variables.
    pub variables: BTreeMap<String, String>,
}

/// One object to compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedObject {
    /// The key.
    pub key: Digest,
    /// Its name in the archive.
    pub member: String,
    /// The source as it is told, relative to the root.
    pub shown: String,
    /// The source as the compiler is given it.
    pub source: String,
    /// The compiler.
    pub compiler: CProgram,
    /// The words, without what the key leaves out.
    pub words: Vec<String>,
    /// Words that the key leaves out: they hold the path of the workspace.
    pub maps: Vec<String>,
}

/// One archive to make of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedLibrary {
    /// The target.
    pub label: Label,
    /// The archive's key.
    pub key: Digest,
    /// Where the linker looks for it.
    pub place: PathBuf,
    /// Where its compilers run.
    pub folder: PathBuf,
    /// Its objects.
    pub objects: Vec<PlannedObject>,
    /// What makes an archive of them.
    pub archiver: CProgram,
    /// The compiler, for people.
    pub by: String,
}

/// What the C libraries of one target bring into one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CDependencies {
    /// Words for each C compiler that Go runs.
    pub compile: Vec<String>,
    /// Words for the linker: a library stands before those that it uses.
    pub link: Vec<String>,
    /// Those of `link` that are archives to be made.
    pub made: BTreeSet<String>,
    /// What has to be made.
    pub libraries: Vec<PlannedLibrary>,
    /// The inputs, by label and file.
    pub inputs: BTreeMap<String, Digest>,
    /// pkg-config's answers, by label and question.
    pub pkg_config: BTreeMap<String, String>,
    /// The files among the inputs.
    pub paths: Vec<PathBuf>,
    /// Those of them that no compiler of Go's reads unless a text names them: sources, archives.
    pub sources: BTreeSet<PathBuf>,
}

impl CDependencies {
    /// Returns the words for the linker that name what is there already.
    pub fn found(&self) -> impl Iterator<Item = &String> {
        self.link.iter().filter(|it| !self.made.contains(*it))
    }
}

/// Returns the path of `to` as seen from the folder `from`, both relative to the root.
#[must_use]
pub fn seen_from(from: &str, to: &str) -> String {
    let parts = |it: &str| -> Vec<String> {
        it.split('/').filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let (from, to) = (parts(from), parts(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    let path: Vec<_> = up.chain(to.into_iter().skip(shared)).collect();
    if path.is_empty() { ".".to_owned() } else { path.join("/") }
}

/// Names the members of an archive after their sources, each once.
#[must_use]
pub fn members(sources: &[String]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let name = |(index, source): (usize, &String)| {
        let plain = format!("{}.o", source.replace('/', "_"));
        let name = if taken.insert(plain.clone()) { plain } else { format!("{index}_{plain}") };
        taken.insert(name.clone());
        name
    };
    sources.iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectInputs {
        ObjectInputs {
            tools: Digest::of(b"gcc"),
            headers: Digest::of(b"stdio.h"),
            folder: "lib".into(),
            source: "a.c".into(),
            words: vec!["-O2".into(), "-g".into()],
            files: BTreeMap::from([("lib/a.c".into(), Digest::of(b"a"))]),
        }
    }

    #[test]
    fn each_input_of_an_object_alone_changes_its_key() {
        let changes: [fn(&mut ObjectInputs); 8] = [
            |it| it.tools = Digest::of(b"clang"),
            |it| it.headers = Digest::of(b"other"),
            |it| it.folder = "lib2".into(),
            |it| it.source = "b.c".into(),
            |it| it.words.push("-w".into()),
            |it| it.words.reverse(),
            |it| it.files.extend([("lib/a.c".into(), Digest::of(b"b"))]),
            |it| it.files.extend([("lib/a.h".into(), Digest::of(b"a"))]),
        ];
        let mut keys = BTreeSet::from([object().key()]);
        for (index, change) in changes.iter().enumerate() {
            let mut altered = object();
            change(&mut altered);
            assert!(keys.insert(altered.key()), "change {index} does not show");
        }
        let archive = |names: &[&str], archiver: &[u8]| {
            let members = names.iter().map(|it| ((*it).to_owned(), object().key())).collect();
            ArchiveInputs { archiver: Digest::of(archiver), members }.key()
        };
        for key in [
            archive(&["a.o"], b"ar"),
            archive(&["b.o"], b"ar"),
            archive(&["a.o", "b.o"], b"ar"),
            archive(&["b.o", "a.o"], b"ar"),
            archive(&["a.o"], b"other"),
        ] {
            assert!(keys.insert(key));
        }
    }

    #[test]
    fn a_path_is_seen_from_a_folder() {
        for (from, to, seen) in [
            ("", "", "."),
            ("lib", "lib", "."),
            ("", "lib/include", "lib/include"),
            ("lib", "lib/include", "include"),
            ("a/b", "a/c", "../c"),
            ("a/b", "", "../.."),
            ("ab", "a", "../a"),
        ] {
            assert_eq!(seen_from(from, to), seen, "{to} from {from}");
        }
    }

    #[test]
    fn members_have_names_of_their_own() {
        let names =
            |it: &[&str]| members(&it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["a.c", "a.cc", "b/a.c"]), ["a.c.o", "a.cc.o", "b_a.c.o"]);
        assert_eq!(names(&["b/a.c", "b_a.c"]), ["b_a.c.o", "1_b_a.c.o"]);
    }
}
