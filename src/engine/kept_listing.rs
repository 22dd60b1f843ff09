//! Answers of `go list` that are kept in the store, to be used as long as all that decides them is
//! the same.
//!
//! The key holds the toolchain, the question, the user's settings of modules, the digest of the
//! local modules ([`GoTree`]), and the test files of packages of the standard library that a
//! pattern names. What other modules are is pinned by `go.sum`.
//!
//! | not kept | because |
//! |---|---|
//! | an answer with errors | what is wrong may lie outside of the tree: the network, a folder |
//! | one with a local package outside of the folders that were looked at | its files do not count |
//! | one with Go's own commands | the toolchain's digest leaves them out |
//! | one with parts of the standard library under test that no pattern names alone, or that embed `testdata` | the toolchain's digest leaves that out |
//! | one during which the tree changed | it may be of either state |
//! | one that names its folder in flags | it would be another in another clone |
//!
//! One that is used names packages of modules that need not be unpacked any more: then Go unpacks
//! them when it compiles. Those whose C code is read here must be there.

use crate::effects::digests::Digests;
use crate::effects::folders::entries;
use crate::effects::go_root::is_test_file;
use crate::effects::go_tool::GoTool;
use crate::effects::go_tree::GoTree;
use crate::effects::store::Store;
use crate::engine::listing::ListingKey;
use crate::formats::go_list::{GoModule, GoPackage, PackedPackage};
use crate::plan::configuration::{GoPlatform, Selection};
use crate::plan::fingerprint::Framed;
use crate::plan::origin::{Origin, is_command, is_of_commands};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The most packages of an answer that is kept.
const MOST_PACKAGES: usize = 20_000;

/// The place in the store for an answer to one question about a tree.
#[derive(Debug)]
pub struct Place {
    key: Digest,
    tree: GoTree,
    /// The folder of the standard library's sources.
    library: PathBuf,
    /// The folders in it whose tests are asked for.
    tested: BTreeSet<PathBuf>,
    /// Whether a pattern names Go's own commands.
    names_commands: bool,
}

/// An answer, and where it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    roots: Vec<PathBuf>,
    packages: Vec<PackedPackage>,
}

impl Place {
    /// Looks at the tree that a question is about; `None` if it cannot be read.
    #[must_use]
    pub fn of(digests: &Digests, go: &GoTool, question: &ListingKey) -> Option<Self> {
        let tree = GoTree::look(digests, &question.module, question.tests).ok()?;
        let mut framed = Framed::new("linkwright kept listing 4");
        framed.text(env!("CARGO_PKG_VERSION"));
        let ListingKey { go: identity, module, selection, patterns, tests, written: _ } = question;
        framed.digest(identity);
        framed.bytes(go.root.as_os_str().as_encoded_bytes());
        framed.texts(go.network());
        frame_selection(&mut framed, selection);
        framed.count(usize::from(*tests));
        framed.count(usize::from(module.work.is_some()));
        framed.list(&patterns.iter().cloned().collect::<Vec<_>>());
        framed.digest(&tree.digest);
        let library = go.root.join("src");
        let named = patterns.iter().filter(|it| *tests && !it.starts_with('.'));
        let tested: BTreeSet<_> =
            named.map(|it| library.join(it)).filter(|it| it.is_dir()).collect();
        let files = test_files(&tested).ok()?;
        for (path, digest) in files.iter().zip(digests.digest_all(&files).ok()?) {
            framed.bytes(path.as_os_str().as_encoded_bytes());
            framed.digest(&digest);
        }
        let names_commands = patterns.iter().any(|it| is_of_commands(it));
        Some(Self { key: framed.finish(), tree, library, tested, names_commands })
    }

    /// Returns the packages that `go list` would tell of, if it told of them before.
    #[must_use]
    pub fn packages(&self, store: &Store) -> Option<BTreeMap<String, GoPackage>> {
        let Kept { roots, packages } = store.packed(&self.key)?;
        let moved = Moved { from: &roots, to: &self.tree.roots };
        let mut here = BTreeMap::new();
        for PackedPackage(mut package) in packages {
            moved.package(&mut package)?;
            let is_read =
                package.files.use_cgo() && matches!(Origin::of(&package), Origin::Module(..));
            if is_read && !Path::new(&package.dir).is_dir() {
                return None;
            }
            here.insert(package.import_path.clone(), package);
        }
        Some(here)
    }

    /// Returns the tree.
    #[must_use]
    pub fn tree(&self) -> &GoTree {
        &self.tree
    }

    /// Keeps what `go list` told of a tree, if it can be told from the tree; `now` is the same
    /// place, looked at after it answered. Returns whether the answer was well: without errors, and
    /// of a tree that did not change.
    pub fn keep(&self, now: &Self, store: &Store, packages: &BTreeMap<String, GoPackage>) -> bool {
        let is_local = |it: &&GoPackage| Origin::of(it) == Origin::Local;
        let is_seen = |it: &GoPackage| {
            let dir = Path::new(&it.dir);
            if it.module.is_some() {
                return self.tree.folders.contains(dir) || it.dir.is_empty();
            }
            let is_here = dir.starts_with(&self.library) && !is_command(it);
            is_here && (self.tested.contains(dir) || !compiles_tests(it)) && !embeds_testdata(it)
        };
        let is_well = |it: &GoPackage| it.error.is_none() && it.deps_errors.is_empty();
        let names_folder = |it: &GoPackage| {
            let mut words = it.cgo_ldflags.iter().chain(it.c_words());
            words.any(|it| self.tree.roots.iter().any(|root| it.contains(&*root.to_string_lossy())))
        };
        let is_well = self.key == now.key
            && !self.names_commands
            && self.tree == now.tree
            && packages.len() <= MOST_PACKAGES
            && packages.values().all(is_well)
            && packages.values().filter(is_local).all(is_seen);
        if is_well && !packages.values().any(names_folder) {
            let packages = packages.values().cloned().map(PackedPackage).collect();
            store.put_packed(&self.key, &Kept { roots: self.tree.roots.clone(), packages });
        }
        is_well
    }
}

/// Returns the test files in `folders`, sorted.
fn test_files(folders: &BTreeSet<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders.iter().filter(|_| !planted(Defect::ListingWithoutStandardTests)) {
        let names = entries(folder)?.into_iter().map(|(name, _)| folder.join(name));
        files.extend(names.filter(|it| is_test_file(it)));
    }
    Ok(files)
}

/// Tells whether test files go into a package: others are compiled anew for a test, too.
fn compiles_tests(package: &GoPackage) -> bool {
    package.files.compiled_go().any(|it| is_test_file(Path::new(it)))
}

/// Tells whether a package embeds files that the digest of a toolchain leaves out.
fn embeds_testdata(package: &GoPackage) -> bool {
    package.files.embedded().any(|it| it.split('/').any(|part| part == "testdata"))
}

/// Adds all that a selection says.
pub fn frame_selection(framed: &mut Framed, selection: &Selection) {
    let Selection { platform, cgo, tags, race, env } = selection;
    let GoPlatform { goos, goarch, level } = platform;
    framed.text(goos);
    framed.text(goarch);
    framed.optional(level.as_ref(), |framed, (name, value)| {
        framed.text(name);
        framed.text(value);
    });
    framed.count(usize::from(*cgo));
    framed.count(usize::from(*race));
    framed.list(tags);
    framed.texts(env);
}

/// Where modules were when they were listed, and where they are.
struct Moved<'m> {
    from: &'m [PathBuf],
    to: &'m [PathBuf],
}

impl Moved<'_> {
    fn package(&self, package: &mut GoPackage) -> Option<()> {
        package.dir = self.folder(&package.dir)?;
        match &mut package.module {
            Some(module) => self.module(module),
            None => Some(()),
        }
    }

    /// A replacement is replaced by nothing, so this goes one step deep.
    fn module(&self, module: &mut GoModule) -> Option<()> {
        module.dir = self.folder(&module.dir)?;
        if let Some(replace) = &mut module.replace {
            replace.dir = self.folder(&replace.dir)?;
            // Written in `go.mod`, unless it is a folder that is named as it is.
            if Path::new(&replace.path).is_absolute() {
                replace.path = self.folder(&replace.path)?;
            }
        }
        Some(())
    }

    /// Says where a folder is: in the module that lies deepest around it, or where it was.
    fn folder(&self, folder: &str) -> Option<String> {
        let pairs = self.from.iter().zip(self.to);
        let around = pairs.filter(|(from, _)| Path::new(folder).starts_with(from));
        let Some((from, to)) = around.max_by_key(|(from, _)| from.components().count()) else {
            return Some(folder.to_owned());
        };
        let rest = Path::new(folder).strip_prefix(from).ok()?;
        let moved = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
        moved.into_os_string().into_string().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::go_list::parse;

    #[test]
    fn folders_move_with_the_module_that_lies_deepest_around_them() {
        let from = ["/a/m", "/a/m/lib"].map(PathBuf::from);
        let to = ["/b", "/c/lib"].map(PathBuf::from);
        let moved = Moved { from: &from, to: &to };
        for (folder, expected) in [
            ("/a/m", "/b"),
            ("/a/m/x/y", "/b/x/y"),
            ("/a/m/lib/z", "/c/lib/z"),
            ("/a/mx", "/a/mx"),
            ("", ""),
        ] {
            assert_eq!(moved.folder(folder).unwrap(), expected);
        }
    }

    #[test]
    fn what_a_toolchains_digest_leaves_out_is_told_by_its_name() {
        let embeds = |name: &str| {
            let text = format!(
                r#"{{"ImportPath": "a [a.test]", "ForTest": "a", "TestEmbedFiles": [{name:?}]}}"#
            );
            embeds_testdata(parse(text.as_bytes()).unwrap().values().next().unwrap())
        };
        assert!(embeds("testdata/x") && embeds("a/testdata/x"));
        assert!(!embeds("data/x") && !embeds("testdata.txt"));
    }

    #[test]
    fn a_package_survives_being_kept() {
        let text = r#"{"ImportPath": "m", "Dir": "/a/m", "Name": "main", "Match": ["."], "CgoFiles": ["c.go"],
            "CXXFiles": ["x.cc"], "CgoLDFLAGS": ["-lm"], "XTestGoFiles": ["x_test.go"], "EmbedFiles": ["e"],
            "Module": {"Path": "m", "Main": true, "Dir": "/a/m", "Replace": {"Path": "./r", "Dir": "/a/m/r"}}}"#;
        let packages = parse(text.as_bytes()).unwrap().into_values().map(PackedPackage);
        let kept = Kept { roots: vec!["/a/m".into()], packages: packages.collect() };
        let packed = postcard::to_stdvec(&kept).unwrap();
        assert_eq!(postcard::from_bytes::<Kept>(&packed).unwrap(), kept);
        for length in 0..packed.len() {
            assert!(postcard::from_bytes::<Kept>(&packed[..length]).is_err());
        }
    }
}
