//! A Go module as a value: it knows its files, and what its programs must say.
//!
//! Each package prints its own name, the constants of the files that take part, its embedded files,
//! and in brackets what the packages say that it imports; a package that was told of already only
//! its name. So a stale part of a program shows in its words. Everything here is computed from the
//! value alone, without compiler or cache.

mod c_side;
mod layout;
mod render;
mod state;

use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};

pub use c_side::CSide;
pub use layout::Sibling;

/// The path of the main module.
pub const MODULE: &str = "example.com/m";

/// A whole workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// By folder: `p3`, `cmd/a`.
    pub packages: BTreeMap<String, Package>,
    /// By name.
    pub targets: BTreeMap<String, Target>,
    /// The `go` line of `go.mod`.
    pub go_line: String,
    /// A comment in `go.mod`.
    pub go_mod_note: String,
    /// The stand-in's VERSION.
    pub toolchain: String,
    /// Whether the workspace's own strategy strips symbols.
    pub own_strips: bool,
    /// The C side, where there is one.
    pub c_side: Option<CSide>,
    /// A second module, where there is one.
    pub sibling: Option<Sibling>,
}

/// One Go package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// It imports packages of higher layers only.
    pub layer: usize,
    /// By name.
    pub files: BTreeMap<String, File>,
    /// Embedded files by name below `data/`; one that is there is embedded.
    pub data: BTreeMap<String, String>,
}

/// One source file; its kind is in its name (`_test.go`, `_linux_amd64.go`, `_windows.go`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// The name of its constant, unique in the module.
    pub id: usize,
    /// The constant's value.
    pub value: String,
    /// Folders of packages that it imports.
    pub imports: BTreeSet<String>,
    /// `ta` or `!ta`.
    pub constraint: Option<String>,
    /// A comment.
    pub note: String,
    /// Does not compile.
    pub is_broken: bool,
}

/// A target that links one program, or the test binaries of all packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// The program's folder; none for tests.
    pub package: Option<String>,
    /// Build tags.
    pub tags: BTreeSet<String>,
    /// The value of `main.version`.
    pub version: Option<String>,
    /// GOAMD64.
    pub level: Option<String>,
    /// Links with `-s`.
    pub is_stripped: bool,
    /// The strategy: `pure`, `netgo`, `own`, or for C `static_glibc`.
    pub link: String,
}

/// One file that must come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What it says; none if it does not compile.
    pub state: Option<String>,
    /// Digest of all that it is made of; the same inputs must not be linked twice.
    pub inputs: u64,
    /// The stand-in's bytes.
    pub bytes: Vec<u8>,
    /// Whether it is a test binary.
    pub is_test: bool,
}

/// How large, and with what in it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The most packages besides programs.
    pub packages: usize,
    /// Whether the real Go builds it, so that C and second modules may be in it.
    pub is_real: bool,
}

impl Model {
    /// Makes a random one.
    #[must_use]
    pub fn random(random: &mut Random, size: Size) -> Self {
        let mut this = Self {
            packages: BTreeMap::new(),
            targets: BTreeMap::new(),
            go_line: "1.24".to_owned(),
            go_mod_note: "one".to_owned(),
            toolchain: "go1.99.0".to_owned(),
            own_strips: false,
            c_side: None,
            sibling: None,
        };
        let count = 1 + random.below(size.packages);
        for number in 0..count {
            this.add_package(random, format!("p{number}"), 1 + number % 5);
        }
        for name in ["a", "b"] {
            this.add_package(random, format!("cmd/{name}"), 0);
            let package = Some(format!("cmd/{name}"));
            let link = (*random.one(&["pure", "netgo", "own"]).unwrap_or(&"pure")).to_owned();
            this.targets.insert(name.to_owned(), Target { package, link, ..Target::default() });
        }
        if random.once_in(2) {
            let tests = Target { link: "pure".to_owned(), ..Target::default() };
            this.targets.insert("t".to_owned(), tests);
            this.add_file(random, "p0", "_test.go");
        }
        if size.is_real {
            this.c_side = random.once_in(2).then(CSide::default);
            this.sibling = Sibling::random(random);
        }
        this
    }

    fn add_package(&mut self, random: &mut Random, folder: String, layer: usize) {
        let package = Package { layer, ..Package::default() };
        self.packages.insert(folder.clone(), package);
        for _ in 0..=random.below(3) {
            self.add_file(random, &folder, ".go");
        }
        if random.once_in(3) {
            let package = self.packages.get_mut(&folder);
            package.map(|it| it.data.insert("one.txt".to_owned(), random.below(1000).to_string()));
        }
        let below: Vec<_> = self.importable(layer);
        let file = self.packages.get_mut(&folder).and_then(|it| it.files.values_mut().next());
        if let (Some(file), Some(import)) = (file, random.one(&below)) {
            file.imports.insert(import.clone());
            file.imports.extend(random.one(&below).cloned());
        }
    }

    /// Returns the packages that one of `layer` may import.
    #[must_use]
    pub fn importable(&self, layer: usize) -> Vec<String> {
        // Packages are made in no order of layers, so there are some above and some below.
        let above = self.packages.iter().filter(|(_, it)| it.layer > layer);
        above.map(|(folder, _)| folder.clone()).collect()
    }

    /// Adds a file whose name ends in `ending` to a package.
    pub fn add_file(&mut self, random: &mut Random, folder: &str, ending: &str) {
        let files = self.packages.values().flat_map(|it| it.files.values());
        let id = 1 + files.map(|it| it.id).max().unwrap_or(0);
        let value = format!("v{:03}", random.below(1000));
        if let Some(package) = self.packages.get_mut(folder) {
            package.files.insert(format!("f{id}{ending}"), File { id, value, ..File::default() });
        }
    }

    /// Returns every file of every package: its package's folder and its name.
    #[must_use]
    pub fn sources(&self) -> Vec<(String, String)> {
        let one = |(folder, package): (&String, &Package)| {
            package.files.keys().map(|it| (folder.clone(), it.clone())).collect::<Vec<_>>()
        };
        self.packages.iter().flat_map(one).collect()
    }

    /// Returns a file.
    pub fn file(&mut self, (folder, name): &(String, String)) -> Option<&mut File> {
        self.packages.get_mut(folder)?.files.get_mut(name)
    }
}
