//! The trivial part of Go that the stand-in reads.

use super::Call;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The main module, every package of it.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) path: String,
    pub(super) go_line: String,
    pub(super) folder: PathBuf,
    /// By import path.
    pub(super) packages: BTreeMap<String, Package>,
    /// `-X` values by full name.
    defines: BTreeMap<String, String>,
}

/// The files of one folder that take part.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) files: Vec<File>,
    pub(super) tests: Vec<File>,
    /// Embedded files, below the folder.
    pub(super) embeds: BTreeSet<String>,
}

/// One file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) imports: Vec<String>,
    constants: Vec<(String, String)>,
    embeds: Vec<String>,
    package: String,
    constraint: Option<String>,
    is_broken: bool,
}

impl Module {
    /// Reads the module in the call's folder.
    pub(super) fn read(call: &Call) -> Self {
        let text = fs::read_to_string(call.folder.join("go.mod")).unwrap_or_default();
        let line = |it: &str| text.lines().find_map(|line| Some(line.strip_prefix(it)?.to_owned()));
        let mut this = Self {
            path: line("module ").unwrap_or_default(),
            go_line: line("go ").unwrap_or_default(),
            folder: call.folder.clone(),
            ..Self::default()
        };
        let words: Vec<_> = call.linker_words().collect();
        let pairs = words.windows(2).filter(|it| it[0] == "-X");
        let defines = pairs.filter_map(|it| it[1].split_once('='));
        this.defines.extend(defines.map(|it| (it.0.to_owned(), it.1.to_owned())));
        let mut open = vec![call.folder.clone()];
        while let Some(folder) = open.pop() {
            let mut package = Package { folder: folder.clone(), ..Package::default() };
            for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type().is_ok_and(|it| it.is_dir()) {
                    if !name.starts_with('.') && name != "linkwright-out" && name != "rules" {
                        open.push(entry.path());
                    }
                } else if name.ends_with(".go") && fits_platform(&name) {
                    package.add(&entry.path(), name, call);
                }
            }
            if !package.files.is_empty() || !package.tests.is_empty() {
                let below = folder.strip_prefix(&call.folder).unwrap_or(Path::new(""));
                package.finish();
                let below = below.to_string_lossy();
                let slash = if below.is_empty() { "" } else { "/" };
                this.packages.insert(format!("{}{slash}{below}", this.path), package);
            }
        }
        this
    }

    /// Returns the packages that `root` is made of, itself first.
    pub(super) fn closure(&self, root: &str, tests: bool) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![root.to_owned()];
        while let Some(path) = open.pop() {
            let Some(package) = self.packages.get(&path) else { continue };
            if reached.insert(path.clone()) {
                open.extend(package.imports(tests && path == root));
            }
        }
        reached
    }

    /// Returns what the program `root` says of itself, or the package that does not compile.
    pub(super) fn state(&self, root: &str, tests: bool) -> Result<String, (String, String)> {
        for path in self.closure(root, tests) {
            let package = &self.packages[&path];
            let tested = package.tests.iter().filter(|_| tests && path == root);
            if let Some(file) = package.files.iter().chain(tested).find(|it| it.is_broken) {
                return Err((path, format!("./{}:3:24: cannot use 1 as string", file.name)));
            }
        }
        let mut seen = BTreeSet::new();
        let state = self.state_of(root, tests, &mut seen);
        let version = self.defines.get("main.version").cloned().unwrap_or_default();
        Ok(if tests { state } else { format!("{state} {version}") })
    }

    fn state_of(&self, path: &str, tests: bool, seen: &mut BTreeSet<String>) -> String {
        let short = path.strip_prefix(&format!("{}/", self.path)).unwrap_or(path).to_owned();
        let Some(package) = self.packages.get(path) else { return short };
        if !seen.insert(path.to_owned()) {
            return short;
        }
        let mut parts: Vec<String> = package.constants(tests);
        parts.sort();
        let children: Vec<_> = package.imports(tests).into_iter().collect();
        let children = children.iter().filter(|it| self.packages.contains_key(*it));
        let children: Vec<_> = children.map(|it| self.state_of(it, false, seen)).collect();
        format!("{short}:{}({})", parts.join(","), children.join(" "))
    }

    /// Returns the names of all source files, `package/file`.
    pub(super) fn files(&self, root: &str, tests: bool) -> Vec<String> {
        let mut names = Vec::new();
        for path in self.closure(root, tests) {
            let package = &self.packages[&path];
            let tested = package.tests.iter().filter(|_| tests && path == root);
            let files = package.files.iter().chain(tested);
            names.extend(files.map(|it| format!("{path}/{}", it.name)));
        }
        names.sort();
        names
    }
}

impl Package {
    fn add(&mut self, path: &Path, name: String, call: &Call) {
        let file = File::parse(name, &fs::read_to_string(path).unwrap_or_default());
        let has = |it: &str| call.tags.contains(it) || matches!(it, "linux" | "amd64");
        let fits = file.constraint.as_deref().is_none_or(|it| match it.strip_prefix('!') {
            Some(it) => !has(it),
            None => has(it),
        });
        if !fits {
            return;
        }
        if file.name.ends_with("_test.go") {
            self.tests.push(file);
        } else {
            self.files.push(file);
        }
    }

    fn finish(&mut self) {
        self.files.sort_by(|one, two| one.name.cmp(&two.name));
        self.tests.sort_by(|one, two| one.name.cmp(&two.name));
        let first = self.files.iter().chain(&self.tests).next();
        self.name = first.map(|it| it.package.clone()).unwrap_or_default();
        let globs: Vec<_> = self.files.iter().flat_map(|it| it.embeds.clone()).collect();
        for glob in globs {
            let (folder, ending) = glob.split_once("/*").unwrap_or((&glob, ""));
            let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten();
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(ending) {
                    self.embeds.insert(format!("{folder}/{name}"));
                }
            }
        }
    }

    pub(super) fn imports(&self, tests: bool) -> BTreeSet<String> {
        let tested = self.tests.iter().filter(|_| tests);
        self.files.iter().chain(tested).flat_map(|it| it.imports.iter().cloned()).collect()
    }

    fn constants(&self, tests: bool) -> Vec<String> {
        let tested = self.tests.iter().filter(|_| tests);
        let files = self.files.iter().chain(tested).flat_map(|it| &it.constants);
        let mut parts: Vec<_> = files.map(|(name, value)| format!("{name}={value}")).collect();
        for name in &self.embeds {
            let text = fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            parts.push(format!("{name}={text}"));
        }
        parts
    }
}

impl File {
    fn parse(name: String, text: &str) -> Self {
        let mut this = Self { name, ..Self::default() };
        for line in text.lines() {
            if let Some(it) = line.strip_prefix("//go:build ") {
                this.constraint = Some(it.to_owned());
            } else if let Some(it) = line.strip_prefix("//go:embed ") {
                this.embeds.push(it.to_owned());
            } else if let Some(it) = line.strip_prefix("package ") {
                it.clone_into(&mut this.package);
            } else if line.starts_with("import ") {
                this.imports.extend(line.split('"').nth(1).map(str::to_owned));
            } else if let Some((name, value)) =
                line.strip_prefix("const ").and_then(|it| it.split_once(" = "))
            {
                this.is_broken |= name.ends_with(" string");
                this.constants.push((name.to_owned(), value.trim_matches('"').to_owned()));
            }
        }
        this
    }
}

/// Tells whether the end of the name lets it take part on Linux on x86-64.
fn fits_platform(name: &str) -> bool {
    let stem = name.trim_end_matches(".go").trim_end_matches("_test");
    let mut words = stem.rsplit('_');
    let other = |it: &str| matches!(it, "windows" | "darwin" | "arm64");
    !words.next().is_some_and(other) && !words.next().is_some_and(other)
}
