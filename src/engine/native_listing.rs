//! The package graph of local modules, read without `go list`.
//!
//! Local packages are read as Go reads them. All others are taken from earlier answers of
//! `go list`: of the standard library by the same toolchain and selection, of modules also under
//! the same `go.mod`, `go.sum` and `go.work` of each local module.
//!
//! Go itself is asked, rather than guessed for, wherever something is not known or not plain:
//!
//! | what | because |
//! |---|---|
//! | a path that no answer told of, and no local folder is | where it comes from is Go's to find |
//! | one that a local folder is, and a word of `go.mod` or `go.sum` leads to as well | it may be ambiguous |
//! | the first import of one module by another | `go.mod` may have to name it |
//! | a test file that no answer was given about | `go list -test` parses all of it |
//! | `vendor`, `ignore` in `go.mod`, `default.pgo` | they decide more than is read here |
//! | anything in a local package that is an error to Go, or not understood | the words are Go's |
//!
//! So an answer here is one without errors, and the one that Go would give.

use crate::effects::go_folder;
use crate::effects::go_tool::GoTool;
use crate::effects::store::Store;
use crate::engine::kept_listing::frame_selection;
use crate::engine::listing::ListingKey;
use crate::formats::go_events::plain;
use crate::formats::go_list::{GoModule, GoPackage, KeptPackage};
use crate::plan::fingerprint::Framed;
use crate::plan::go_choice::GoChoice;
use crate::plan::go_compose::{KnownPackage, OF_TEST_MAIN, compose, imported, of_linker};
use crate::plan::origin::Origin;
use crate::words::digest::Digest;
use rayon::Scope;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The most test files that are remembered.
const MOST_TESTS: usize = 50_000;

/// Packages of the standard library, by import path.
type Standard = BTreeMap<String, KeptPackage>;

/// What earlier answers told of modules.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Modules {
    /// The local ones, by their paths.
    local: BTreeMap<String, GoModule>,
    /// Packages of the others.
    packages: BTreeMap<String, KeptPackage>,
    /// Which local module imports packages of which other one.
    imports: BTreeSet<(String, String)>,
    /// The test files that were parsed.
    tests: BTreeSet<Digest>,
}

/// A question to be answered by reading.
#[derive(Debug)]
pub struct NativeListing<'q> {
    go: &'q GoTool,
    question: &'q ListingKey,
    choice: GoChoice,
    of_standard: Digest,
    of_modules: Digest,
    /// Words of the files that choose modules: whatever is a module's path is among them.
    words: BTreeSet<String>,
}

/// Where the package of an import path is.
enum At {
    Standard,
    Module,
    Local { module: String, folder: PathBuf },
}

impl<'q> NativeListing<'q> {
    /// Looks at what decides the question, of local modules at `roots`; `None` if Go is to be
    /// asked whatever the packages are.
    #[must_use]
    pub fn of(go: &'q GoTool, question: &'q ListingKey, roots: &[PathBuf]) -> Option<Self> {
        let choice = GoChoice::new(&question.selection, &go.version).filter(|_| go.is_its_own())?;
        let mut standard = Framed::new("linkwright standard library 3");
        standard.text(env!("CARGO_PKG_VERSION"));
        standard.digest(&question.go);
        standard.bytes(go.root.as_os_str().as_encoded_bytes());
        frame_selection(&mut standard, &question.selection);
        let mut modules = standard.clone();
        modules.texts(go.network());
        let work = question.module.work.as_ref();
        let of_work = work.iter().flat_map(|it| [(*it).clone(), it.with_extension("work.sum")]);
        let of_roots = roots.iter().flat_map(|it| [it.join("go.mod"), it.join("go.sum")]);
        let mut words = BTreeSet::new();
        for file in of_work.chain(of_roots) {
            modules.bytes(file.as_os_str().as_encoded_bytes());
            let text = if file.exists() { fs::read(&file).ok()? } else { Vec::new() };
            modules.bytes(&text);
            let text = String::from_utf8(text).ok()?;
            let ends = |it: char| it.is_whitespace() || matches!(it, '"' | '`' | '(' | ')' | '\'');
            words.extend(text.split(ends).map(str::to_owned));
        }
        let vendors = work.map(|it| it.with_file_name("vendor"));
        let mut vendors = vendors.into_iter().chain([question.module.folder.join("vendor")]);
        if words.contains("ignore") || vendors.any(|it| it.symlink_metadata().is_ok()) {
            return None;
        }
        let (of_standard, of_modules) = (standard.finish(), modules.finish());
        Some(Self { go, question, choice, of_standard, of_modules, words })
    }

    /// Reads the packages, and looks meanwhile at those of the standard library if the toolchain
    /// was not looked at; `None` if Go is to be asked.
    #[must_use]
    pub fn packages(&self, store: &Store) -> Option<BTreeMap<String, GoPackage>> {
        let standard = || store.packed(&self.of_standard);
        let (standard, modules) = rayon::join(standard, || store.packed(&self.of_modules));
        let reading = Reading { of: self, standard: standard?, modules: modules? };
        let known = || reading.standard.keys().map(String::as_str);
        let look = || self.go.holds_for(known(), &self.choice);
        let (holds, packages) = rayon::join(look, || reading.packages());
        packages.filter(|_| holds)
    }

    /// Remembers what `go list` told without errors, of files that did not change meanwhile.
    pub fn learn(&self, store: &Store, packages: &BTreeMap<String, GoPackage>) {
        let mut standard: Standard = store.packed(&self.of_standard).unwrap_or_default();
        let mut modules: Modules = store.packed(&self.of_modules).unwrap_or_default();
        let is_local = |it: &GoPackage| Origin::of(it) == Origin::Local;
        let get = |import: &String| packages.get(import).or_else(|| packages.get(plain(import)));
        for package in packages.values() {
            let (path, bare) =
                (&package.import_path, GoPackage { dep_only: true, ..package.clone() });
            let is_plain = package.for_test.is_empty() && !path.contains(' ');
            if is_local(package) {
                let Some(module) = &package.module else { continue };
                modules.local.insert(module.path.clone(), module.clone());
                let others =
                    package.imports.iter().filter_map(get).filter_map(|it| it.module.as_ref());
                let pairs = others.map(|it| (module.path.clone(), it.path.clone()));
                modules.imports.extend(pairs.filter(|(own, other)| own != other));
            } else if package.imports.iter().filter_map(get).any(is_local) {
                // What hangs on files that are edited is not opaque.
                return;
            } else if is_plain && package.matched.is_empty() {
                let into = if package.standard { &mut standard } else { &mut modules.packages };
                into.extend(KeptPackage::of(bare).map(|it| (path.clone(), it)));
            }
        }
        if self.question.tests {
            let roots = packages.values().filter(|it| !it.dep_only && it.for_test.is_empty());
            let files = roots.flat_map(|it| {
                let files = it.files.test_go_files.iter().chain(&it.files.x_test_go_files);
                files.map(|file| Path::new(&it.dir).join(file))
            });
            let files: Vec<_> = files.collect();
            let texts = files.par_iter().filter_map(|it| Some(Digest::of(&fs::read(it).ok()?)));
            if modules.tests.len() > MOST_TESTS {
                modules.tests.clear();
            }
            modules.tests.extend(texts.collect::<Vec<_>>());
        }
        store.put_packed(&self.of_standard, &standard);
        store.put_packed(&self.of_modules, &modules);
    }
}

/// What a path leads to.
enum Found {
    Package(Box<KnownPackage>),
    /// A folder without Go files that count.
    Nothing,
}

/// What a folder of a module is.
enum Below {
    Here(PathBuf),
    /// There is none, or it belongs to another module.
    Nowhere,
}

/// One reading, with what is known from before.
struct Reading<'r> {
    of: &'r NativeListing<'r>,
    standard: Standard,
    modules: Modules,
}

impl Reading<'_> {
    fn packages(&self) -> Option<BTreeMap<String, GoPackage>> {
        let mut roots: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut literal = BTreeSet::new();
        for pattern in &self.of.question.patterns {
            let (paths, is_literal) = self.named(pattern)?;
            for path in paths {
                if is_literal {
                    literal.insert(path.clone());
                }
                roots.entry(path).or_default().push(pattern.clone());
            }
        }
        let tests = self.of.question.tests;
        let of_linker = of_linker(&self.of.choice)?;
        let of_tests = OF_TEST_MAIN.iter().chain(&of_linker).filter(|_| tests);
        let starts = roots.keys().cloned().chain(of_tests.map(|it| (*it).to_owned())).collect();
        let mut known = BTreeMap::new();
        let search = Search {
            reading: self,
            is_root: &|it| roots.contains_key(it),
            of_linker: &of_linker,
            seen: Mutex::default(),
            found: Mutex::new(Some(BTreeMap::new())),
        };
        for (path, found) in search.found(starts)? {
            match found {
                Found::Package(it) => drop(known.insert(path, *it)),
                // A pattern passes over folders without Go files for this platform.
                Found::Nothing => {
                    let is_passed = roots.contains_key(&path) && !literal.contains(&path);
                    is_passed.then(|| roots.remove(&path))?;
                }
            }
        }
        let is_well = !roots.is_empty() && known.values().all(|it| self.may_import(it, &known));
        is_well.then(|| compose(known, &roots, &self.of.choice, tests))?
    }

    /// Tells whether each import of another module by a local one is one that Go let pass before,
    /// and none is of what the standard library alone may import.
    fn may_import(&self, from: &KnownPackage, known: &BTreeMap<String, KnownPackage>) -> bool {
        let Some(own) = from.package.module.as_ref().filter(|_| !from.is_opaque) else {
            return true;
        };
        let said = [&from.package.imports, &from.test_imports, &from.x_test_imports];
        said.into_iter().flatten().all(|import| {
            let other = known.get(import).and_then(|it| it.package.module.as_ref());
            let is_well = other.is_none_or(|it| {
                it.path == own.path
                    || self.modules.imports.contains(&(own.path.clone(), it.path.clone()))
            });
            is_well && !import.starts_with("vendor/")
        })
    }

    /// Reads one package.
    fn read(&self, path: &str, is_root: bool) -> Option<Found> {
        let opaque = |package: GoPackage| {
            let (test_imports, x_test_imports) = (Vec::new(), Vec::new());
            let (test_embeds, is_opaque) = (Default::default(), true);
            let it = KnownPackage { package, test_imports, x_test_imports, test_embeds, is_opaque };
            Found::Package(Box::new(it))
        };
        let (module, folder) = match self.locate(path)? {
            At::Local { module, folder } => (module, folder),
            _ if is_root => return None,
            At::Standard => {
                let package = self.standard.get(path)?.package()?;
                // What lies below its folder is not looked at.
                let is_flat = package.files.embedded().all(|it| !it.contains('/'));
                return is_flat.then(|| opaque(package));
            }
            At::Module => {
                let package = self.modules.packages.get(path)?.package()?;
                // Its C code is read here, and must be there.
                let is_there = !package.files.use_cgo() || Path::new(&package.dir).is_dir();
                return is_there.then(|| opaque(package));
            }
        };
        let Some(read) = go_folder::read(&self.of.choice, &folder)? else {
            return Some(Found::Nothing);
        };
        let module = self.modules.local.get(&module)?;
        let tests = is_root && self.of.question.tests;
        if tests && (read.has_mains || !read.tests.iter().all(|it| self.modules.tests.contains(it)))
        {
            return None;
        }
        let is_program = is_root && read.found.name == "main";
        if is_program && folder.join("default.pgo").symlink_metadata().is_ok() {
            return None;
        }
        let of = (path, Some(module.clone()));
        // A path means the same in all modules.
        let resolve = |it: &str| Some(it.to_owned());
        let mut it = go_folder::package(read, &folder, of, (tests, &resolve))?;
        it.package.standard = false;
        Some(Found::Package(Box::new(it)))
    }

    /// Says where an import path leads; `None` where that is not known for sure.
    fn locate(&self, path: &str) -> Option<At> {
        is_plain_path(path).then_some(())?;
        let first = path.split('/').next()?;
        if !first.contains('.') {
            // What was told of the standard library holds as long as the toolchain is the same.
            if self.standard.contains_key(path) {
                return Some(At::Standard);
            }
            if self.of.go.root.join("src").join(path).is_dir() {
                return None;
            }
        }
        let leads = |word: &str| {
            path.strip_prefix(word).is_some_and(|it| it.is_empty() || it.starts_with('/'))
        };
        let mut local = Vec::new();
        for module in self.modules.local.values().filter(|it| leads(&it.path)) {
            let below = path.get(module.path.len()..)?.trim_start_matches('/');
            let top = module.replace.as_ref().map_or(&module.dir, |it| &it.dir);
            if let Below::Here(folder) = folder_of(Path::new(top), below)? {
                local.push(At::Local { module: module.path.clone(), folder });
            }
        }
        let mut words = self.of.words.iter().filter(|it| !it.is_empty() && leads(it));
        let is_foreign = words.any(|it| !self.modules.local.contains_key(it));
        match (local.pop(), self.modules.packages.contains_key(path)) {
            (Some(at), false) if local.is_empty() && !is_foreign => Some(at),
            (None, true) => Some(At::Module),
            _ => None,
        }
    }

    /// Returns the packages that a pattern may name, and whether it names one by itself.
    fn named(&self, pattern: &str) -> Option<(Vec<String>, bool)> {
        let folder = &self.of.question.module.folder;
        let is_here = |it: &&GoModule| it.main && Path::new(&it.dir) == folder;
        let module = self.modules.local.values().find(is_here)?;
        let rest = match pattern.strip_prefix('.') {
            None => {
                let is_special = matches!(pattern, "all" | "std" | "cmd" | "work" | "tool");
                let is_main = |it: &String| self.modules.local.get(it).is_some_and(|it| it.main);
                let is_one = !is_special && is_plain_path(pattern) && !is_go_file(pattern);
                return match self.locate(pattern).filter(|_| is_one)? {
                    At::Local { module, .. } if is_main(&module) => {
                        Some((vec![pattern.to_owned()], true))
                    }
                    _ => None,
                };
            }
            Some("") => "",
            Some(rest) => rest.strip_prefix('/')?,
        };
        let (rest, many) = match rest.strip_suffix("...") {
            Some(rest) => (rest.trim_end_matches('/'), true),
            None => (rest, false),
        };
        let is_whole = !many || pattern.ends_with("/...");
        let is_fit = rest.is_empty() || is_plain_path(rest) && !is_go_file(rest);
        if !is_whole || !is_fit || rest.split('/').any(|it| it == "testdata" && many) {
            return None;
        }
        let Below::Here(top) = folder_of(folder, rest)? else { return None };
        let path = |below: &str| match below {
            "" => module.path.clone(),
            _ => format!("{}/{below}", module.path),
        };
        if !many {
            return Some((vec![path(rest)], true));
        }
        let below = packages_below(&top)?;
        let joined = |it: String| {
            path(&[rest, &it].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("/"))
        };
        Some((below.into_iter().map(joined).collect(), false))
    }
}

/// A search for all packages that others lead to, each read as soon as one that imports it was.
struct Search<'s> {
    reading: &'s Reading<'s>,
    is_root: &'s (dyn Fn(&str) -> bool + Sync),
    of_linker: &'s [&'static str],
    seen: Mutex<BTreeSet<String>>,
    /// `None` once Go is to be asked.
    found: Mutex<Option<BTreeMap<String, Found>>>,
}

impl Search<'_> {
    /// Returns what the paths of `starts`, and all that they import, lead to.
    fn found(self, starts: BTreeSet<String>) -> Option<BTreeMap<String, Found>> {
        rayon::scope(|scope| self.visit_new(scope, starts));
        self.found.into_inner().ok()?
    }

    fn visit_new<'v>(&'v self, scope: &Scope<'v>, paths: BTreeSet<String>) {
        let Ok(mut seen) = self.seen.lock() else { return };
        for path in paths {
            if seen.insert(path.clone()) {
                scope.spawn(move |scope| self.visit(scope, path));
            }
        }
    }

    fn visit<'v>(&'v self, scope: &Scope<'v>, path: String) {
        if self.found.lock().is_ok_and(|it| it.is_none()) {
            return;
        }
        let read = self.reading.read(&path, (self.is_root)(&path));
        if let Some(Found::Package(it)) = &read {
            let of_tests = it.test_imports.iter().chain(&it.x_test_imports).map(String::as_str);
            let of_tests = of_tests.filter(|it| *it != "C");
            let imports = imported(&it.package, self.of_linker).into_iter().chain(of_tests);
            self.visit_new(scope, imports.map(str::to_owned).collect());
        }
        let Ok(mut found) = self.found.lock() else { return };
        match (found.as_mut(), read) {
            (Some(found), Some(read)) => drop(found.insert(path, read)),
            _ => *found = None,
        }
    }
}

/// Returns the folder `below` a module's; `None` if a link leads there.
fn folder_of(top: &Path, below: &str) -> Option<Below> {
    let mut folder = top.to_owned();
    for part in below.split('/').filter(|it| !it.is_empty()) {
        folder.push(part);
        match folder.symlink_metadata() {
            Ok(it) if it.is_symlink() => return None,
            Ok(it) if it.is_dir() && !folder.join("go.mod").exists() => {}
            _ => return Some(Below::Nowhere),
        }
    }
    Some(Below::Here(folder))
}

/// Tells whether a name ends as that of a Go file does.
fn is_go_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == "go")
}

/// Returns the folders with Go files that `...` means, relative to `top`.
fn packages_below(top: &Path) -> Option<Vec<String>> {
    let (mut found, mut open) = (Vec::new(), vec![String::new()]);
    while let Some(below) = open.pop() {
        let mut holds = false;
        for entry in fs::read_dir(top.join(&below)).ok()? {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            if !entry.file_type().ok()?.is_dir() {
                holds |= is_go_file(&name);
                continue;
            }
            if name.starts_with(['.', '_'])
                || name == "testdata"
                || entry.path().join("go.mod").is_file()
            {
                continue;
            }
            // Patterns have rules of their own for it.
            if name == "vendor" {
                return None;
            }
            open.push(if below.is_empty() { name } else { format!("{below}/{name}") });
        }
        if holds {
            found.push(below);
        }
    }
    Some(found)
}

/// Tells whether an import path is one that Go takes wherever it stands.
fn is_plain_path(path: &str) -> bool {
    let is_fit = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    path.split('/').all(|part| {
        let stem = part.split('.').next().unwrap_or_default().to_ascii_lowercase();
        let is_device = matches!(stem.as_str(), "con" | "aux" | "nul" | "prn")
            || stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
        let is_begun = part.starts_with(|it: char| it.is_ascii_alphanumeric());
        is_begun && !is_device && !part.ends_with('.') && part.chars().all(is_fit)
    })
}
