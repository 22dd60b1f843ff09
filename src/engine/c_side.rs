//! The C side of a link: what compilers, assembler and linker may read that Go does not see.
//!
//! | what | holds |
//! |---|---|
//! | `tools` | the C tools by content |
//! | `headers` | what C code of any package may read in the compiler's own folders; all that is there, where a macro makes a name |
//! | `files` | C files of the modules whose cgo code is local, and whatever cgo code of any module may read outside the folders that something else pins |
//! | `libraries` | what words for the linker name, and what that leads to |
//! | `pkg_config` | answers, which become flags |
//!
//! All of it is found by looking, each time anew, before anything is built; a superset of what the
//! tools read, since what is looked for counts in every place where it may be found.

use crate::effects::c_files::{CFilesError, split_answer};
use crate::effects::c_includes::{CRead, CWalk};
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
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What C brings in beyond Go's own files.
#[derive(Debug, Default)]
pub struct CSide {
    /// The C tools, where they take part.
    pub tools: Option<Digest>,
    /// What may be read in the compiler's own folders, by path.
    headers: BTreeMap<String, Digest>,
    /// These folders.
    header_folders: BTreeSet<PathBuf>,
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
        let mut bases = vec![unit.of.module.folder.clone()];
        // Go's own packages have no flags but those of the target's variables.
        let has_no_words = |it: &GoPackage| it.standard && around.c_words.is_empty();
        let with_c = closure.iter().copied().filter(|it| it.files.use_cgo());
        let (plain, others): (Vec<&GoPackage>, Vec<_>) = with_c.partition(|it| has_no_words(it));
        let mut walks = Vec::new();
        if !plain.is_empty() {
            walks.push((None, around.walk(&plain, [].into_iter())));
        }
        for package in others {
            let answer = this.ask_pkg_config(&around, package)?;
            linker_words.extend(package.cgo_ldflags.iter().chain(&answer).cloned());
            let words = package.c_words().chain(&around.c_words).chain(&answer);
            walks.push((Some(package), around.walk(&[package], words)));
            bases.push(PathBuf::from(&package.dir));
        }
        let walked = walks.par_iter().map(|(_, walk)| session.c_walk(walk));
        let walked: Vec<_> = walked.collect();
        for ((package, walk), read) in walks.into_iter().zip(walked) {
            this.add_read(&around, package, &walk, &*read?)?;
        }
        this.add_libraries(&around, &linker_words, &bases);
        this.header_folders.extend(tools.folders.headers.iter().cloned());
        // What lies in a folder of the tools' own is in their identity.
        let is_own =
            |it: &PathBuf| tools.own_folder.as_ref().is_some_and(|own| it.starts_with(own));
        this.header_folders.retain(|it| !is_own(it));
        this.tools = Some(tools.identity);
        Ok(this)
    }

    /// Returns the digest of what may be read in the compiler's own folders.
    #[must_use]
    pub fn headers(&self) -> Option<Digest> {
        self.tools.map(|_| {
            let mut framed = Framed::new("linkwright c headers of a link 1");
            framed.digests(&self.headers);
            framed.finish()
        })
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

    /// Adds what C code of a package may read, or of several that are Go's own.
    fn add_read(
        &mut self,
        around: &Surroundings<'_>,
        package: Option<&GoPackage>,
        walk: &CWalk,
        read: &CRead,
    ) -> Result<(), CFilesError> {
        let mut files = BTreeMap::new();
        let local = package.filter(|it| Origin::of(it) == Origin::Local);
        let module = local.and_then(|it| it.module.as_ref().zip(Origin::module_folder(it)));
        if let Some((module, folder)) = module {
            let own = around.session.c_files(&folder)?;
            // Who edits a library has it compiled, and Go's own objects not.
            let is_shared =
                |it: &(&String, &Digest)| !around.c_deps.sources.contains(&folder.join(it.0));
            for (name, digest) in own.iter().filter(is_shared) {
                files.insert(format!("{}: {name}", module.path), *digest);
                self.paths.push(folder.join(name));
            }
        }
        for (path, digest) in &read.files {
            files.insert(around.name(path), *digest);
            self.paths.push(path.clone());
        }
        let mut headers = read.named_headers(walk, |it| around.session.c_headers(it, true));
        headers.retain(|_, _| !planted(Defect::KeyWithoutHeaders));
        if let Some(package) = local.filter(|it| !it.standard) {
            self.add_local(package, &files);
        } else {
            self.foreign.extend(files.iter().map(|(name, digest)| (name.clone(), *digest)));
        }
        self.files.extend(files);
        self.headers.extend(headers);
        self.header_folders.extend(walk.system.iter().cloned());
        Ok(())
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
    /// All headers in the compiler's own folders are part of it, whoever may read them: what Go is
    /// told for all packages must be the same for targets that are made of different ones, or each
    /// would have Go's own C compiled anew. Libraries are no part of it where the C linker reads
    /// them anew each time; targets that share the rest can then share a process. Where Go links by
    /// itself it does so from what it wrote down of libraries when it compiled the package, and
    /// keeps as stale as an object.
    #[must_use]
    pub fn salt(&self, session: &Session<'_>, how: (&[&GoPackage], bool)) -> Salt {
        let Some(tools) = &self.tools else { return Salt::default() };
        let folders: Vec<_> = self.header_folders.iter().cloned().collect();
        let mut framed = Framed::new("linkwright c salt 4");
        framed.digest(tools);
        framed.optional(session.c_headers(&folders, false).as_ref(), Framed::digest);
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

    /// Says where a walk through the C code of packages begins, which are compiled by the same
    /// words, and where it looks.
    fn walk<'w>(&self, packages: &[&GoPackage], words: impl Iterator<Item = &'w String>) -> CWalk {
        let words = CWords::read(words.map(String::as_str));
        let has_cxx = words.says_language || packages.iter().any(|it| it.files.hold_cxx());
        let folders = self.session.c_folders(self.tools, &words.switches);
        let dirs: Vec<_> = packages.iter().map(|it| PathBuf::from(&it.dir)).collect();
        let sources = |(package, dir): (&&GoPackage, &PathBuf)| -> Vec<_> {
            package.files.read_by_c().map(|it| dir.join(it)).collect()
        };
        let named = |it: &PathBuf| -> Vec<_> {
            words.header_folders.iter().map(|name| it.join(name)).collect()
        };
        CWalk {
            sources: packages.iter().zip(&dirs).flat_map(sources).collect(),
            folders: dirs.iter().skip(1).cloned().chain(dirs.iter().flat_map(named)).collect(),
            // What lies in a folder of the tools' own is in their identity.
            pinned: self.pinned.iter().chain(&self.tools.own_folder).cloned().collect(),
            mentions: words.mentions,
            system: folders.headers_for(has_cxx).to_vec(),
            own: dirs.into_iter().next().unwrap_or_default(),
        }
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
