//! The C side of a link: what compilers, assembler and linker may read that Go does not see.
//!
//! | what | holds |
//! |---|---|
//! | `tools` | the C tools by content, and the headers in their own folders |
//! | `files` | C files of the modules whose cgo code is local, and whatever cgo code of any module may read outside the folders that something else pins |
//! | `libraries` | what words for the linker name, and what that leads to |
//! | `pkg_config` | answers, which become flags |
//!
//! All of it is found by looking, each time anew, before anything is built; a superset of what the
//! tools read, since what is looked for counts in every place where it may be found.

use crate::effects::c_files::{CFilesError, split_answer};
use crate::effects::c_includes::CWalk;
use crate::effects::c_tools::CTools;
use crate::effects::go_tool::GoTool;
use crate::engine::go_unit::{Rung, Unit};
use crate::engine::salt::{OfPackage, Salt};
use crate::engine::session::Session;
use crate::formats::c_words::CWords;
use crate::formats::go_events::plain;
use crate::formats::go_list::GoPackage;
use crate::model::flags::split_quoted;
use crate::model::strategy::LinkMode;
use crate::plan::c_dependencies::CDependencies;
use crate::plan::fingerprint::Framed;
use crate::plan::origin::Origin;
use crate::words::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What C brings in beyond Go's own files.
#[derive(Default)]
pub struct CSide {
    /// The C tools and the headers that they bring, where they take part.
    pub tools: Option<(Digest, Digest)>,
    /// What the linker may read because words name it.
    pub libraries: BTreeMap<String, Digest>,
    /// What pkg-config answered, by question.
    pub pkg_config: BTreeMap<String, String>,
    /// What compilers and assembler may read.
    pub files: BTreeMap<String, Digest>,
    /// Which of it local packages do, by their folders.
    local: BTreeMap<PathBuf, OfPackage>,
    /// Which of it others do.
    foreign: BTreeMap<String, Digest>,
    /// Where the files are.
    pub paths: Vec<PathBuf>,
    /// Go links by itself, from what it wrote down of libraries while it compiled.
    internal: bool,
}

/// What is known of the machine and the closure while the C side is gathered.
struct Surroundings<'a> {
    session: &'a Session<'a>,
    rung: &'a Rung,
    tools: &'a CTools,
    c_deps: &'a CDependencies,
    /// Words for the C compilers from the target's variables.
    c_words: Vec<String>,
    /// Folders whose files count in another way: Go's own, and modules that `go.sum` pins.
    pinned: Vec<PathBuf>,
    /// Modules of the closure, by their real folders, the deepest first.
    modules: Vec<(PathBuf, String)>,
}

impl CSide {
    /// Gathers the C side of the rung `rung` of `unit`, whose packages are `closure`.
    ///
    /// # Errors
    ///
    /// Returns [`CFilesError`] if a file is not to be read, or pkg-config does not answer.
    pub fn gather(
        session: &Session<'_>,
        go: &GoTool,
        unit: &Unit<'_>,
        rung: &Rung,
        (closure, c_deps): (&[&GoPackage], &CDependencies),
    ) -> Result<Self, CFilesError> {
        let takes_part = rung.selection.cgo
            && (rung.strategy.linkmode == LinkMode::External
                || rung.strategy.race
                || closure.iter().any(|it| it.files.use_cgo()));
        let Some(tools) = rung.c_tools.as_ref().filter(|_| takes_part) else {
            return Ok(Self::default());
        };
        let around = Surroundings::new(session, go, rung, tools, (closure, c_deps));
        let internal = rung.strategy.linkmode == LinkMode::Internal;
        let mut this = Self { internal, ..Self::default() };
        let own = rung.strategy.extldflags.iter().chain(&unit.of.settings.extldflags);
        let mut linker_words: Vec<String> = own.cloned().collect();
        linker_words.extend(rung.linker.map(|it| format!("-fuse-ld={}", it.as_str())));
        linker_words.extend(around.words_of(&["CGO_LDFLAGS"]));
        // Archives that are made for this link are held by the key of what they are made of.
        linker_words.extend(c_deps.found().cloned());
        let mut headers: BTreeSet<PathBuf> = tools.folders.headers.iter().cloned().collect();
        let mut bases = vec![unit.of.module.folder.clone()];
        for package in closure.iter().filter(|it| it.files.use_cgo()) {
            // Go's own packages have no flags but those of the target's variables.
            if package.standard && around.c_words.is_empty() {
                continue;
            }
            let answer = this.ask_pkg_config(&around, package)?;
            linker_words.extend(package.cgo_ldflags.iter().chain(&answer).cloned());
            let words = package.c_words().chain(&around.c_words).chain(&answer);
            headers.extend(this.add_package(&around, package, words)?);
            bases.push(PathBuf::from(&package.dir));
        }
        this.add_libraries(&around, &linker_words, &bases);
        // What lies in a folder of the tools' own is in their identity.
        let is_own =
            |it: &PathBuf| tools.own_folder.as_ref().is_some_and(|own| it.starts_with(own));
        let headers: Vec<_> = headers.into_iter().filter(|it| !is_own(it)).collect();
        this.tools = session.c_headers(&headers).map(|it| (tools.identity, it));
        Ok(this)
    }

    fn ask_pkg_config(
        &mut self,
        around: &Surroundings<'_>,
        package: &GoPackage,
    ) -> Result<Vec<String>, CFilesError> {
        let asked = &package.cgo_pkg_config;
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let env = &around.rung.selection.env;
        let answer = around.session.pkg_config(asked, env, Path::new(&package.dir))?;
        let words = split_answer(&answer);
        self.pkg_config.insert(asked.join(" "), answer);
        Ok(words)
    }

    /// Adds what C code of a package may read, and returns where the compilers look by themselves.
    fn add_package<'w>(
        &mut self,
        around: &Surroundings<'_>,
        package: &GoPackage,
        words: impl Iterator<Item = &'w String>,
    ) -> Result<Vec<PathBuf>, CFilesError> {
        let mut files = BTreeMap::new();
        let module = package.module.as_ref().zip(Origin::module_folder(package));
        let is_local = Origin::of(package) == Origin::Local;
        if let Some((module, folder)) = module.filter(|_| is_local) {
            let own = around.session.c_files(&folder)?;
            // Who edits a library has it compiled, and Go's own objects not.
            let is_shared =
                |it: &(&String, &Digest)| !around.c_deps.sources.contains(&folder.join(it.0));
            for (name, digest) in own.iter().filter(is_shared) {
                files.insert(format!("{}: {name}", module.path), *digest);
                self.paths.push(folder.join(name));
            }
        }
        let words = CWords::read(words.map(String::as_str));
        let system = around.session.c_folders(around.tools, &words.switches).headers;
        let own = PathBuf::from(&package.dir);
        let walk = CWalk {
            sources: package.files.read_by_c().map(|it| own.join(it)).collect(),
            folders: words.header_folders.iter().map(|it| own.join(it)).collect(),
            pinned: around.pinned.iter().chain(&system).cloned().collect(),
            mentions: words.mentions,
            system: system.clone(),
            own,
        };
        for (path, digest) in around.session.c_walk(&walk)?.iter() {
            files.insert(around.name(path), *digest);
            self.paths.push(path.clone());
        }
        if is_local && !package.standard {
            self.add_local(package, &files);
        } else {
            self.foreign.extend(files.iter().map(|(name, digest)| (name.clone(), *digest)));
        }
        self.files.extend(files);
        Ok(system)
    }

    fn add_local(&mut self, package: &GoPackage, files: &BTreeMap<String, Digest>) {
        let mut framed = Framed::new("linkwright c files of a package 1");
        framed.digests(files);
        let of = self.local.entry(PathBuf::from(&package.dir)).or_insert_with(|| OfPackage {
            name: package.name.clone(),
            import_path: plain(&package.import_path).to_owned(),
            files: BTreeSet::new(),
        });
        of.files.insert(framed.finish());
    }

    fn add_libraries(&mut self, around: &Surroundings<'_>, words: &[String], bases: &[PathBuf]) {
        let (session, tools) = (around.session, around.tools);
        let read = CWords::read(words.iter().map(String::as_str));
        let folders = session.c_folders(tools, &read.switches);
        // What belongs to the tools is known by content alone, wherever this machine has it.
        let is_own = |it: &(&PathBuf, &Digest)| tools.files.contains(&(it.0.clone(), *it.1));
        let links = session.c_links(&read, bases, &folders);
        for (path, digest) in links.iter().filter(|it| !is_own(it)) {
            self.libraries.insert(around.name(path), *digest);
            self.paths.push(path.clone());
        }
        let linkers = words.iter().filter_map(|it| it.strip_prefix("-fuse-ld="));
        for (path, digest) in linkers.flat_map(|it| tools.linker(session.machine, it)) {
            self.libraries.insert(around.name(&path), digest);
        }
    }

    /// Returns what makes Go forget objects that were compiled from other files.
    ///
    /// Libraries are no part of it where the C linker reads them anew each time; targets that share
    /// the rest can then share a process. Where Go links by itself it does so from what it wrote
    /// down of libraries when it compiled the package, and keeps as stale as an object.
    #[must_use]
    pub fn salt(&self, how: (&[&GoPackage], bool)) -> Salt {
        let Some((tools, headers)) = &self.tools else { return Salt::default() };
        let mut framed = Framed::new("linkwright c salt 3");
        framed.digest(tools);
        framed.digest(headers);
        framed.digests(&self.foreign);
        framed.optional(self.internal.then_some(&self.libraries), Framed::digests);
        Salt::new(framed, &self.local, how)
    }
}

impl<'a> Surroundings<'a> {
    fn new(
        session: &'a Session<'a>,
        go: &GoTool,
        rung: &'a Rung,
        tools: &'a CTools,
        (closure, c_deps): (&[&GoPackage], &'a CDependencies),
    ) -> Self {
        let real = |it: PathBuf| it.canonicalize().unwrap_or(it);
        let mut pinned = BTreeSet::from([real(go.root.clone())]);
        let mut modules = BTreeSet::new();
        for package in closure.iter().filter(|it| it.files.use_cgo()) {
            let Some(folder) = Origin::module_folder(package).map(real) else { continue };
            if matches!(Origin::of(package), Origin::Module(..)) {
                pinned.insert(folder.clone());
            }
            modules.extend(package.module.as_ref().map(|it| (folder, it.path.clone())));
        }
        let mut this = Self {
            session,
            rung,
            tools,
            c_deps,
            c_words: Vec::new(),
            pinned: pinned.into_iter().collect(),
            modules: modules.into_iter().rev().collect(),
        };
        this.c_words = this.words_of(&["CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_FFLAGS"]);
        this.c_words.extend(c_deps.compile.iter().cloned());
        this
    }

    /// Returns the words of the target's own variables.
    fn words_of(&self, names: &[&str]) -> Vec<String> {
        let values = names.iter().filter_map(|it| self.rung.selection.env.get(*it));
        values.flat_map(|it| split_quoted(it).unwrap_or_default()).collect()
    }

    /// Names a file relative to its module, else to the workspace; one outside by its path.
    fn name(&self, path: &Path) -> String {
        let below = |(folder, module): &(PathBuf, String)| {
            let rest = path.strip_prefix(folder).ok()?;
            Some(format!("{module}: {}", rest.to_string_lossy()))
        };
        self.modules.iter().find_map(below).unwrap_or_else(|| self.session.relative(path))
    }
}
