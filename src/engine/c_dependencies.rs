//! Plans the C libraries that a Go target names in `c_deps`, for one rung: what has to be compiled
//! by its C toolchain, which words Go's C tools get, and what all of it is keyed by.
//!
//! ```text
//!   c_deps ─▶ order: each before what it uses ─▶ c_library:  objects by their inputs ─▶ archive
//!                                               ─▶ pkg_config: words, and the archives they name
//! ```
//!
//! Nothing is compiled here; `engine::c_build` does that for links that the store does not hold.

use crate::effects::c_compiler::Compiler;
use crate::effects::c_files::{CFilesError, split_answer};
use crate::effects::c_includes::CWalk;
use crate::effects::c_tools::CTools;
use crate::effects::globs::{expand, expand_target};
use crate::effects::go_sdk::own_platform;
use crate::engine::go_unit::{Rung, Unfit};
use crate::engine::session::{CQuestion, Session};
use crate::formats::c_words::CWords;
use crate::model::flags::{Tool, check as check_flags};
use crate::model::target::{CLibrary, PkgConfig, Rule, Target};
use crate::plan::c_dependencies::{
    ArchiveInputs, CDependencies, CProgram, MAPPED, ObjectInputs, PlannedLibrary, PlannedObject,
    members, seen_from,
};
use crate::plan::fingerprint::Framed;
use crate::plan::go_graph::GoGraph;
use crate::plan::predict::{Forecast, Obstacle};
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::path::{OUTPUT_FOLDER, RelPath};
use crate::words::span::Spanned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Endings of C++ sources.
const CXX: [&str; 5] = ["cc", "cpp", "cxx", "c++", "C"];

/// Endings of sources that the C compiler takes.
const C: [&str; 4] = ["c", "S", "s", "sx"];

/// How Go compiles C where nothing else is said; and so that it may be linked into anything.
const PLAIN: [&str; 3] = ["-O2", "-g", "-fPIC"];

/// Why C libraries cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum CDependencyError {
    /// A rule file, the machine, or a word that is refused.
    #[error("{}", .0.error)]
    Unfit(Box<Unfit>),
    /// A file that C reads.
    #[error(transparent)]
    Files(#[from] CFilesError),
}

impl CDependencyError {
    fn new(error: String, hint: &str, code: ExitCode) -> Self {
        let hints = vec![hint.to_owned()];
        Self::Unfit(Box::new(Unfit { error, hints, code }))
    }
}

/// Plans the C libraries of `target` for a rung.
///
/// # Errors
///
/// Returns [`CDependencyError`] if one cannot be linked by this rung, or its files not be read.
pub fn plan(
    session: &Session<'_>,
    target: &Target,
    rung: &Rung,
) -> Result<Arc<CDependencies>, CDependencyError> {
    let tools = rung.c_tools.as_deref().filter(|_| rung.selection.cgo);
    let Some(tools) = tools.filter(|_| !target.rule.c_deps().is_empty()) else {
        return Ok(Arc::default());
    };
    let platform = &rung.selection.platform;
    let question = CQuestion {
        target: target.label.clone(),
        cc: tools.cc.clone(),
        platform: (platform.goos.clone(), platform.goarch.clone()),
        env: rung.selection.env.clone(),
        extldflags: rung.strategy.extldflags.clone(),
    };
    session.c_dependencies(&question, || {
        let mut planner = Planner::new(session, tools, &question);
        for it in in_link_order(session, target) {
            match &it.rule {
                Rule::CLibrary(library) => planner.library(it, library)?,
                Rule::PkgConfig(packages) => planner.packages(it, packages)?,
                _ => {}
            }
        }
        planner.cxx_library();
        Ok(Arc::new(planner.finish()))
    })
}

/// Says why a rung cannot link the C libraries of `target` into `root`, if the machine is why.
#[must_use]
pub fn forecast(
    session: &Session<'_>,
    target: &Target,
    rung: &Rung,
    (graph, root): (&GoGraph, &str),
) -> Option<Forecast> {
    if target.rule.c_deps().is_empty() || !graph.closure(root).values().any(|it| it.files.use_cgo())
    {
        return None;
    }
    match plan(session, target, rung) {
        Err(CDependencyError::Unfit(it)) if it.code == ExitCode::MachineLacks => {
            let hint = it.hints.into_iter().next();
            Some(Forecast::Impossible { reason: it.error, obstacle: Obstacle::Machine, hint })
        }
        Ok(_) | Err(_) => None,
    }
}

/// Checks what a `c_library` says that only its files show.
///
/// # Errors
///
/// Returns what is wrong with its globs, a source in no known language, a folder that is not there.
pub fn check(session: &Session<'_>, target: &Target, library: &CLibrary) -> Result<(), Unfit> {
    let root = &session.request.root;
    let bad = |error: String, hint: &str| {
        Err(Unfit { error, hints: vec![hint.to_owned()], code: ExitCode::BadInput })
    };
    for source in expand_target(root, target).map_err(Unfit::of_problems)? {
        if !ending(source.as_str()).is_some_and(|it| C.contains(&it) || CXX.contains(&it)) {
            let error = format!("`{source}` of `{}` is no C, C++ or assembly", target.label);
            return bad(error, "headers stand in `hdrs`, an archive in `archive`");
        }
    }
    headers(session, target, library).map_err(|it| *it)?;
    let absent = library.includes.iter().find(|it| !root.join(it).is_dir());
    if let Some(folder) = absent {
        let error =
            format!("`{folder}`, in which `{}` has its headers, is no folder", target.label);
        return bad(error, "`includes` are relative to the folder of the BUILD.ron");
    }
    if let Some(archive) = library.archive.as_ref().filter(|it| !it.below(root).is_file()) {
        let error = format!("`{archive}`, the archive of `{}`, is not there", target.label);
        return bad(error, "name the command that makes it in `deps`");
    }
    Ok(())
}

fn headers(
    session: &Session<'_>,
    target: &Target,
    library: &CLibrary,
) -> Result<Vec<RelPath>, Box<Unfit>> {
    let package = target.label.package();
    let found = expand(&session.request.root, package, &library.headers.globs, &[]);
    found.map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(|it| it.1.to_string()).collect();
        let error = format!("`hdrs` of `{}`: {}", target.label, errors.join("; "));
        Box::new(Unfit { error, hints: Vec::new(), code: ExitCode::BadInput })
    })
}

fn program_of(compiler: &Compiler) -> CProgram {
    let Compiler { program, words, variables } = compiler.clone();
    CProgram { program, words, variables }
}

fn ending(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|it| it.1)
}

fn is_cxx(source: &RelPath) -> bool {
    ending(source.as_str()).is_some_and(|it| CXX.contains(&it))
}

/// Returns the C libraries that `target` needs, each before those that it uses itself.
fn in_link_order<'a>(session: &Session<'a>, target: &Target) -> Vec<&'a Target> {
    let (mut needed, mut open) = (BTreeSet::new(), target.rule.c_deps().to_vec());
    while let Some(label) = open.pop() {
        if let Some(it) = session.targets.get(&label).filter(|_| !needed.contains(&label)) {
            open.extend(it.rule.c_deps().iter().cloned());
            needed.insert(label);
        }
    }
    // What is named first shall stand first, as far as what is used lets it.
    let named: Vec<_> = target.rule.c_deps().iter().rev().cloned().collect();
    let mut order = session.targets.in_order(&named);
    order.retain(|it| needed.contains(&it.label));
    order.reverse();
    order
}

struct Planner<'p, 's> {
    session: &'p Session<'s>,
    tools: &'p CTools,
    question: &'p CQuestion,
    planned: CDependencies,
    holds_cxx: bool,
}

/// What the users of libraries compile with.
#[derive(Default)]
struct Surface {
    /// Folders of headers, from the root.
    includes: Vec<String>,
    /// `-D` and its value, and the words of pkg-config.
    words: Vec<String>,
}

impl<'p, 's> Planner<'p, 's> {
    fn new(session: &'p Session<'s>, tools: &'p CTools, question: &'p CQuestion) -> Self {
        let planned = CDependencies::default();
        Self { session, tools, question, planned, holds_cxx: false }
    }

    /// Adds the words themselves to the inputs, without the path of the workspace.
    fn finish(mut self) -> CDependencies {
        let root = self.session.request.root.to_string_lossy();
        let mut framed = Framed::new("linkwright c words 1");
        for words in [&self.planned.compile, &self.planned.link] {
            let plain: Vec<_> = words.iter().map(|it| it.replace(&*root, ".")).collect();
            framed.list(&plain);
        }
        self.planned.inputs.insert("(words for Go's C tools)".to_owned(), framed.finish());
        self.planned
    }

    fn is_static(&self) -> bool {
        let is_static = |it: &String| matches!(it.as_str(), "-static" | "--static" | "-static-pie");
        self.question.extldflags.iter().any(is_static)
    }

    /// Adds a library: its surface for Go's compilers, its archive for the linker.
    fn library(&mut self, target: &Target, library: &CLibrary) -> Result<(), CDependencyError> {
        let root = self.session.request.root.clone();
        let own = Surface {
            includes: library.includes.clone(),
            words: library.defines.iter().map(|it| format!("-D{it}")).collect(),
        };
        for folder in &own.includes {
            let path = root.join(folder).to_string_lossy().into_owned();
            let path = path.trim_end_matches('/');
            let mapped = format!("{MAPPED}/{folder}");
            let map = format!("-ffile-prefix-map={path}={}", mapped.trim_end_matches('/'));
            self.add_words(vec![format!("-I{path}"), map]);
        }
        self.add_words(own.words);
        let unfit = |it: Box<Unfit>| CDependencyError::Unfit(it);
        let headers = headers(self.session, target, library).map_err(unfit)?;
        for header in headers.iter().chain(&library.archive) {
            self.add_file(target, header)?;
        }
        if let Some(archive) = &library.archive {
            self.planned.link.push(archive.below(&root).to_string_lossy().into_owned());
            self.planned.sources.insert(archive.below(&root));
        }
        let sources =
            expand_target(&root, target).map_err(|it| unfit(Box::new(Unfit::of_problems(it))))?;
        if !sources.is_empty() {
            self.compiled(target, library, &sources)?;
        }
        self.planned.link.extend(library.linkopts.iter().cloned());
        Ok(())
    }

    fn add_words(&mut self, words: Vec<String>) {
        for word in words {
            if !self.planned.compile.contains(&word) {
                self.planned.compile.push(word);
            }
        }
    }

    fn add_file(&mut self, target: &Target, file: &RelPath) -> Result<(), CDependencyError> {
        let path = file.below(&self.session.request.root);
        let digest = self.session.machine.digests.digest(&path);
        let digest = digest.map_err(|it| CFilesError::Unreadable(path.clone(), it))?;
        self.planned.inputs.insert(format!("{}: {file}", target.label), digest);
        self.planned.paths.push(path);
        Ok(())
    }

    /// Plans the objects of a library and its archive.
    fn compiled(
        &mut self,
        target: &Target,
        library: &CLibrary,
        sources: &[RelPath],
    ) -> Result<(), CDependencyError> {
        let (session, tools, label) = (self.session, self.tools, &target.label);
        let lacks =
            |error, hint: &str| Err(CDependencyError::new(error, hint, ExitCode::MachineLacks));
        if !tools.has_cxx && sources.iter().any(is_cxx) {
            let error =
                format!("`{label}` holds C++, and no C++ compiler belongs to `{}`", tools.name);
            return lacks(
                error,
                "take a strategy whose toolchain has one: `zig_musl`, `static_glibc`",
            );
        }
        self.holds_cxx |= sources.iter().any(is_cxx);
        let Some((archiver, archiver_digest)) = session.archiver(tools) else {
            let error = format!("`{}` has no `ar`, which makes archives", tools.name);
            return lacks(error, &session.rules.install("ar", &own_platform()));
        };
        let surface = self.surface_of(target)?;
        let package = label.package().as_str();
        let within = |it: &RelPath| {
            let rest = it.as_str().strip_prefix(package).unwrap_or(it.as_str());
            rest.trim_start_matches('/').to_owned()
        };
        let names: Vec<_> = sources.iter().map(within).collect();
        let (mut objects, mut listed) = (Vec::new(), Vec::new());
        for ((source, name), member) in sources.iter().zip(&names).zip(members(&names)) {
            let words = self.words(library, &surface, (package, is_cxx(source)));
            let (inputs, paths) = self.object(target, &surface, source, (name, &words))?;
            for (file, digest) in &inputs.files {
                self.planned.inputs.insert(format!("{label}: {file}"), *digest);
            }
            self.planned.paths.extend(paths);
            self.planned.sources.insert(source.below(&session.request.root));
            let compiler = if is_cxx(source) { &tools.cxx } else { &tools.cc };
            let key = inputs.key();
            listed.push((member.clone(), key));
            objects.push(PlannedObject {
                key,
                member,
                shown: source.to_string(),
                source: if name.starts_with('-') { format!("./{name}") } else { name.clone() },
                compiler: program_of(compiler),
                words,
                maps: self.maps(source),
            });
        }
        let key = ArchiveInputs { archiver: archiver_digest, members: listed }.key();
        self.planned.inputs.insert(format!("{label} (how it is made)"), key);
        let place = self.place(target, &objects);
        let word = place.to_string_lossy().into_owned();
        self.planned.link.push(word.clone());
        self.planned.made.insert(word);
        let folder = session.request.root.join(package);
        let (label, by) = (label.clone(), tools.name.clone());
        let planned = PlannedLibrary { label, key, place, folder, objects, archiver, by };
        self.planned.libraries.push(planned);
        Ok(())
    }

    /// Says where an archive lies: a place for each toolchain and for other words, the same however
    /// the sources change, since Go keeps what it compiled under the words that name it.
    fn place(&self, target: &Target, objects: &[PlannedObject]) -> PathBuf {
        let mut framed = Framed::new("linkwright c place 1");
        framed.digest(&self.tools.identity);
        let words: BTreeSet<_> = objects.iter().map(|it| &it.words).collect();
        framed.count(words.len());
        for words in words {
            framed.list(words);
        }
        let variant: String = framed.finish().to_string().chars().take(16).collect();
        let (folder, name) = (target.label.output_path(), target.label.name());
        let out = self.session.request.root.join(OUTPUT_FOLDER);
        out.join("c").join(folder).join(variant).join(format!("lib{name}.a"))
    }

    /// Returns what a library and those that it uses show to their users.
    fn surface_of(&self, target: &Target) -> Result<Surface, CDependencyError> {
        let mut surface = Surface::default();
        let mut all = vec![target];
        all.extend(in_link_order(self.session, target));
        for it in all {
            match &it.rule {
                Rule::CLibrary(library) => {
                    surface.includes.extend(library.includes.iter().cloned());
                    surface.words.extend(library.defines.iter().map(|it| format!("-D{it}")));
                }
                Rule::PkgConfig(packages) => {
                    surface.words.extend(self.ask(it, packages, "--cflags")?.1);
                }
                _ => {}
            }
        }
        Ok(surface)
    }

    /// Returns the words of a compiler that runs in `package`.
    fn words(
        &self,
        library: &CLibrary,
        surface: &Surface,
        (package, is_cxx): (&str, bool),
    ) -> Vec<String> {
        let plain =
            PLAIN.iter().filter(|it| **it != "-fPIC" || self.question.platform.0 != "windows");
        let mut words: Vec<_> = plain.map(|it| (*it).to_owned()).collect();
        words.extend(surface.includes.iter().map(|it| format!("-I{}", seen_from(package, it))));
        words.extend(surface.words.iter().cloned());
        words.extend(if is_cxx { &library.cxxopts } else { &library.copts }.iter().cloned());
        words
    }

    /// Returns words that keep the path of the workspace out of objects, however it is written, and
    /// chance out of the names that gcc makes up.
    fn maps(&self, source: &RelPath) -> Vec<String> {
        let root = &self.session.request.root;
        let real = root.canonicalize().unwrap_or_else(|_| root.clone());
        let paths = BTreeSet::from([root.clone(), real]);
        let maps = paths.iter().map(|it| format!("-ffile-prefix-map={}={MAPPED}", it.display()));
        let mut words: Vec<_> = maps.collect();
        let program = &self.tools.cc.program;
        let program = program.canonicalize().unwrap_or_else(|_| program.clone());
        let is_gcc =
            !program.to_string_lossy().contains("clang") && self.tools.own_folder.is_none();
        words.extend(is_gcc.then(|| format!("-frandom-seed={source}")));
        words
    }

    /// Returns the inputs of one object, and the files among them.
    fn object(
        &self,
        target: &Target,
        surface: &Surface,
        source: &RelPath,
        (name, words): (&str, &[String]),
    ) -> Result<(ObjectInputs, Vec<PathBuf>), CDependencyError> {
        let (session, tools, root) = (self.session, self.tools, &self.session.request.root);
        let read = CWords::read(words.iter().map(String::as_str));
        let system = session.c_folders(tools, &read.switches);
        let has_cxx = read.says_language || is_cxx(source);
        let folder = root.join(target.label.package().as_str());
        let own = folder.canonicalize().unwrap_or(folder);
        let (path, folders) = (source.below(root), surface.includes.iter().map(|it| root.join(it)));
        let walk = CWalk {
            sources: vec![path.clone()],
            folders: folders.chain(read.header_folders.iter().map(|it| own.join(it))).collect(),
            mentions: read.mentions,
            // What lies in a folder of the tools' own is in their identity.
            pinned: tools.own_folder.iter().cloned().collect(),
            system: system.headers_for(has_cxx).to_vec(),
            own,
        };
        let found = session.c_walk(&walk).map_err(CDependencyError::Files)?;
        let mut headers = Framed::new("linkwright c headers of an object 1");
        headers.digests(&found.named_headers(&walk, |it| session.c_headers(it, true)));
        let digest = session.machine.digests.digest(&path);
        let digest = digest.map_err(|it| CFilesError::Unreadable(path.clone(), it))?;
        let mut files: BTreeMap<String, Digest> =
            found.files.iter().map(|(path, digest)| (self.shown(path), *digest)).collect();
        files.insert(source.to_string(), digest);
        let mut paths: Vec<_> = found.files.keys().cloned().collect();
        paths.push(path);
        let inputs = ObjectInputs {
            tools: tools.identity,
            headers: headers.finish(),
            folder: target.label.package().as_str().to_owned(),
            source: name.to_owned(),
            words: words.to_vec(),
            files,
        };
        Ok((inputs, paths))
    }

    /// Names a file relative to the root, whichever way the root is written.
    fn shown(&self, path: &Path) -> String {
        let root = &self.session.request.root;
        let real = root.canonicalize().unwrap_or_else(|_| root.clone());
        let rest = path.strip_prefix(root).or_else(|_| path.strip_prefix(real)).unwrap_or(path);
        rest.to_string_lossy().into_owned()
    }

    /// Adds what pkg-config says of packages.
    fn packages(&mut self, target: &Target, packages: &PkgConfig) -> Result<(), CDependencyError> {
        for kind in ["--cflags", "--libs"] {
            let (asked, words) = self.ask(target, packages, kind)?;
            let name = format!("{}: {}", target.label, asked.join(" "));
            self.planned.pkg_config.insert(name, words.join(" "));
            if kind == "--libs" {
                self.archives_are_here(target, &words)?;
                self.planned.link.extend(words);
            } else {
                self.add_words(words);
            }
        }
        Ok(())
    }

    /// Asks pkg-config for one kind of words, which are held against the lists of what may reach
    /// the C tools; returns the question as well.
    fn ask(
        &self,
        target: &Target,
        packages: &PkgConfig,
        kind: &str,
    ) -> Result<(Vec<String>, Vec<String>), CDependencyError> {
        let (session, label) = (self.session, &target.label);
        let env = &self.question.env;
        let (goos, goarch) = &self.question.platform;
        let says = ["PKG_CONFIG_LIBDIR", "PKG_CONFIG_SYSROOT_DIR"];
        let is_host = own_platform() == format!("{goos}/{goarch}");
        if !is_host && !says.iter().any(|it| env.contains_key(*it)) {
            let error = format!(
                "`{label}` asks `pkg-config`, which tells of this machine's libraries, not of those for {goos}/{goarch}"
            );
            let hint = "say `PKG_CONFIG_LIBDIR` in the target's `env`, or compile the library as a `c_library`";
            return Err(CDependencyError::new(error, hint, ExitCode::MachineLacks));
        }
        let mut asked = vec![kind.to_owned()];
        asked.extend(self.is_static().then(|| "--static".to_owned()));
        asked.extend(packages.packages.iter().cloned());
        let folder = session.request.root.join(label.package().as_str());
        let answer = session.pkg_config(&asked, env, &folder).map_err(|error| match error {
            CFilesError::NoPkgConfig(_) | CFilesError::PkgConfig(..) => {
                let tool = session.rules.install("pkg-config", &own_platform());
                let hint = match error {
                    CFilesError::NoPkgConfig(_) => tool,
                    _ => "install the library's development package, or say `PKG_CONFIG_PATH` in the target's `env`".to_owned(),
                };
                CDependencyError::new(format!("`{label}`: {error}"), &hint, ExitCode::MachineLacks)
            }
            other => other.into(),
        })?;
        let words = split_answer(&answer);
        let (tool, at) = match kind {
            "--libs" => (Tool::CLinker, "the answer of pkg-config --libs"),
            _ => (Tool::CCompiler, "the answer of pkg-config --cflags"),
        };
        let spanned = |it: &String| Spanned { value: it.clone(), span: target.span.clone() };
        let spanned: Vec<_> = words.iter().map(spanned).collect();
        match check_flags(tool, at, &spanned).into_iter().next() {
            None => Ok((asked, words)),
            Some(problem) => {
                let error = format!("`{label}`: {}", problem.message);
                let hint = "a `.pc` file may bring folders, macros and libraries, no words that run programs or write files";
                Err(CDependencyError::new(error, hint, ExitCode::Refused))
            }
        }
    }

    /// Finds libraries without an archive before the linker does, where all is to be linked in.
    fn archives_are_here(&self, target: &Target, words: &[String]) -> Result<(), CDependencyError> {
        // zig brings the C library's parts under these names, and has no files of them.
        if !self.is_static() || self.tools.own_folder.is_some() {
            return Ok(());
        }
        let read = CWords::read(words.iter().map(String::as_str));
        let base = self.session.request.root.join(target.label.package().as_str());
        let said = read.library_folders.iter().map(|it| base.join(it));
        let folders: Vec<_> = said.chain(self.tools.folders.libraries.iter().cloned()).collect();
        self.session.machine.looked.in_folders(&folders);
        for library in read.libraries.iter().filter(|it| !it.starts_with(':')) {
            if let Whereabouts::Shared(error) | Whereabouts::Nowhere(error) =
                whereabouts(library, &folders)
            {
                let error = format!("`{}`: {error}", target.label);
                let hint = "install or build the archive, compile the library as a `c_library`, or take a strategy that links it dynamically";
                return Err(CDependencyError::new(error, hint, ExitCode::MachineLacks));
            }
        }
        Ok(())
    }

    /// Names the C++ library behind all others, where there is C++: Go links programs whose own
    /// code is C with the C compiler, which does not.
    fn cxx_library(&mut self) {
        if !self.holds_cxx {
            return;
        }
        let alone = self.question.extldflags.iter().any(|it| it == "-static-libstdc++");
        let word = if alone { "-Wl,-Bstatic,-lstdc++,-Bdynamic" } else { "-lstdc++" };
        self.planned.link.extend([word, "-lm"].map(str::to_owned));
    }
}

/// Where a library is, as a clause where it has no archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// There is an archive.
    Archive,
    /// There is a shared library alone.
    Shared(String),
    /// There is none.
    Nowhere(String),
}

/// Says where a library is in `folders`.
#[must_use]
pub fn whereabouts(library: &str, folders: &[PathBuf]) -> Whereabouts {
    let holds = |name: &str| folders.iter().map(|it| it.join(name)).find(|it| it.is_file());
    let (archive, shared) = (format!("lib{library}.a"), format!("lib{library}.so"));
    match (holds(&archive), holds(&shared)) {
        (Some(_), _) => Whereabouts::Archive,
        (None, Some(shared)) => Whereabouts::Shared(format!(
            "there is no archive of `-l{library}`: `{}` is here and `{archive}` is not",
            shared.display()
        )),
        (None, None) => Whereabouts::Nowhere(format!(
            "`-l{library}` is nowhere: neither `{archive}` nor `{shared}`"
        )),
    }
}
