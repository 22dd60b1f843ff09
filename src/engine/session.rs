//! What every job of one run shares: the workspace, the machine, the tools found so far, and the
//! channel on which finished outputs go to the coordinator.
//!
//! Nothing here is changed by a job except memories of what was read (tools, package graphs),
//! which are the same whoever reads them first.

use crate::effects::c_compiler::Compiler;
use crate::effects::c_files::{self, CFilesError};
use crate::effects::c_includes::{CRead, CWalk};
use crate::effects::c_libraries;
use crate::effects::c_probe::try_linker;
use crate::effects::c_tools::{CFolders, CTools, headers_below};
use crate::effects::go_modules::{ModuleFiles, ModuleQuestion};
use crate::effects::go_sdk::Fetching;
use crate::effects::go_tool::{GoModuleFolder, GoTool, GoToolError, Trust, list_arguments};
use crate::effects::go_tree::roots;
use crate::effects::machine::{Machine, apart};
use crate::effects::outputs::Outputs;
use crate::engine::event::{Event, Finished, Sink, State};
use crate::engine::kept_listing::Place;
use crate::engine::listing::{Listing, ListingKey, Moment};
use crate::engine::listings::Listings;
use crate::engine::memory::Memory;
use crate::engine::native_listing::NativeListing;
use crate::engine::request::BuildRequest;
use crate::formats::c_words::CWords;
use crate::model::go_sdk::GoSdk;
use crate::model::strategy::RuleSet;
use crate::model::target::Target;
use crate::model::targets::Targets;
use crate::model::toolchain::{Compilers, Linker};
use crate::plan::c_dependencies::{CDependencies, CProgram};
use crate::plan::go_graph::GoGraph;
use crate::plan::record::{BundleRecord, CommandRecord, Record};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use crate::words::path::shown_below;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

/// One finished output, on its way to the coordinator.
#[derive(Debug)]
pub struct Delivery {
    /// What is told of it.
    pub finished: Finished,
    /// What is recorded of it, if it came out.
    pub record: Option<Recorded>,
}

/// One finished output that has been told of; there may be a million of them.
#[derive(Debug)]
pub struct Delivered {
    /// What was told.
    pub finished: Arc<Finished>,
    /// What is recorded of it, if it came out.
    pub record: Option<Recorded>,
}

/// What the ledger gets of a finished output.
#[derive(Debug, Clone)]
pub enum Recorded {
    /// A Go output that verified.
    Linkage(Box<Record>),
    /// A command whose outputs are in place.
    Command(Box<CommandRecord>),
    /// A bundle that is in place.
    Bundle(Box<BundleRecord>),
}

/// What is asked of a linker: the compiler, the linker, the flags, and whether to start the result.
type LinkerQuestion = (Compiler, Linker, Vec<String>, bool);

/// A Go toolchain, or why there is none.
pub type FoundGo = Arc<Result<GoTool, GoToolError>>;

/// C files of a module, by path relative to it.
pub type CFiles = Arc<BTreeMap<String, Digest>>;

/// Files that the C side may read, by path.
pub type ReadByC = Arc<BTreeMap<PathBuf, Digest>>;

/// What pkg-config is asked: words, the target's variables, and the folder.
type PkgConfigQuestion = (Vec<String>, BTreeMap<String, String>, PathBuf);

/// What C libraries are planned for: a target, the tools, the target's variables, and whether all
/// is to be linked in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CQuestion {
    /// The Go target.
    pub target: Label,
    /// The C compiler.
    pub cc: Compiler,
    /// The platform's system and architecture.
    pub platform: (String, String),
    /// The target's variables.
    pub env: BTreeMap<String, String>,
    /// The words of the strategy for the linker.
    pub extldflags: Vec<String>,
}

/// What the jobs of one run share.
pub struct Session<'a> {
    /// What was asked for.
    pub request: &'a BuildRequest,
    /// Every target of the workspace.
    pub targets: &'a Targets,
    /// Every strategy, ladder and policy.
    pub rules: &'a RuleSet,
    /// The machine.
    pub machine: &'a Machine,
    /// Where outputs go; `None` on a dry run, which writes nothing.
    pub outputs: Option<&'a Outputs>,
    /// Where events go.
    pub sink: Sink<'a>,
    /// The packages that were listed.
    pub listings: Listings,
    trust: Trust,
    deliveries: mpsc::Sender<Delivered>,
    planned: AtomicUsize,
    written: AtomicUsize,
    tests: Mutex<BTreeMap<Label, Vec<(Finished, Digest)>>>,
    go: Mutex<BTreeMap<Option<Arc<GoSdk>>, FoundGo>>,
    c_tools: Memory<Compilers, Option<Arc<CTools>>>,
    linkers: Memory<LinkerQuestion, Result<(), String>>,
    linker_names: Memory<(PathBuf, Option<Linker>), Option<String>>,
    c_folders: Memory<(Compiler, Vec<String>), CFolders>,
    c_files: Memory<PathBuf, CFiles>,
    c_walks: Memory<CWalk, Arc<CRead>>,
    c_links: Memory<(CWords, Vec<PathBuf>, CFolders), ReadByC>,
    c_headers: Memory<(Vec<PathBuf>, bool), Digest>,
    pkg_config: Memory<PkgConfigQuestion, String>,
    c_dependencies: Memory<CQuestion, Arc<CDependencies>>,
    archivers: Memory<PathBuf, Option<(CProgram, Digest)>>,
    ignored_c: Memory<PathBuf, bool>,
    modules: Memory<PathBuf, Option<GoModuleFolder>>,
    module_files: Memory<ModuleQuestion, Arc<ModuleFiles>>,
}

impl<'a> Session<'a> {
    /// Begins a run.
    #[must_use]
    pub fn new(
        request: &'a BuildRequest,
        (targets, rules): (&'a Targets, &'a RuleSet),
        (machine, outputs): (&'a Machine, Option<&'a Outputs>),
        sink: Sink<'a>,
        deliveries: mpsc::Sender<Delivered>,
    ) -> Self {
        Self {
            request,
            targets,
            rules,
            machine,
            outputs,
            sink,
            listings: Listings::new(request.paranoid),
            trust: Trust::Look,
            deliveries,
            planned: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            tests: Mutex::default(),
            go: Mutex::default(),
            c_tools: Memory::default(),
            linkers: Memory::default(),
            linker_names: Memory::default(),
            c_folders: Memory::default(),
            c_files: Memory::default(),
            c_walks: Memory::default(),
            c_links: Memory::default(),
            c_headers: Memory::default(),
            pkg_config: Memory::default(),
            c_dependencies: Memory::default(),
            archivers: Memory::default(),
            ignored_c: Memory::default(),
            modules: Memory::default(),
            module_files: Memory::default(),
        }
    }

    /// Takes toolchains for what they were at the last look, and asks nothing of them: of each as
    /// much is looked at as an answer hangs on.
    #[must_use]
    pub fn believing(self) -> Self {
        Self { trust: Trust::Believe, ..self }
    }

    /// Returns a Go toolchain, the one on PATH or a pinned one, each found once in a run.
    #[must_use]
    pub fn go(&self, pin: Option<&Arc<GoSdk>>) -> FoundGo {
        let none = |it| Err(GoToolError::NoThread(it));
        let find = || Arc::new(apart(|| self.find_go(pin)).unwrap_or_else(none));
        // Held while finding: other jobs would only find the same.
        match self.go.lock() {
            Ok(mut known) => Arc::clone(known.entry(pin.cloned()).or_insert_with(find)),
            Err(_) => find(),
        }
    }

    fn find_go(&self, pin: Option<&Arc<GoSdk>>) -> Result<GoTool, GoToolError> {
        let Some(sdk) = pin else { return GoTool::find(self.machine, self.trust) };
        let step = AtomicUsize::new(0);
        let begins = |version: &str, url: &str| {
            let (what, args) = (format!("fetch {version}"), [url.to_owned()]);
            let begun = self.step(what, "GET", &args, &BTreeMap::new(), &self.request.root);
            step.store(begun, Ordering::Relaxed);
        };
        let ended = |came| self.step_ended(step.load(Ordering::Relaxed), came);
        let waiting = |holders: &str| {
            let message = format!("waiting for {holders}, which fetches {}", sdk.go_version());
            (self.sink)(Event::Warning { label: None, message });
        };
        let (begins, ended, waiting) = (&begins, &ended, &waiting);
        let fetching = Fetching { begins, ended, waiting, allowed: self.outputs.is_some() };
        GoTool::pinned(self.machine, sdk, &fetching, self.trust)
    }

    /// Forgets a Go toolchain, because it was replaced meanwhile.
    pub fn forget_go(&self, identity: &Digest) {
        if let Ok(mut known) = self.go.lock() {
            known.retain(|_, it| it.as_ref().as_ref().is_ok_and(|it| it.identity != *identity));
        }
    }

    /// Returns the C tools that are looked for, if they are on this machine.
    #[must_use]
    pub fn c_tools(&self, wanted: &Compilers) -> Option<Arc<CTools>> {
        let find = || Ok::<_, ()>(CTools::find(self.machine, wanted).map(Arc::new));
        self.c_tools.get_or(wanted, find).ok().flatten()
    }

    /// Tries whether a linker makes with C tools what `flags` ask for.
    ///
    /// # Errors
    ///
    /// Returns why not, as a clause.
    pub fn try_linker(
        &self,
        tools: &CTools,
        linker: Linker,
        (flags, can_start): (&[String], bool),
    ) -> Result<(), String> {
        let key = (tools.cc.clone(), linker, flags.to_vec(), can_start);
        let words: Vec<_> = flags.iter().map(String::as_str).collect();
        let ask =
            || Ok::<_, String>(try_linker(&tools.cc, self.machine, linker, (&words, can_start)));
        self.linkers.get_or(&key, ask)?
    }

    /// Returns what the linker of C tools calls itself.
    #[must_use]
    pub fn linker_name(&self, tools: &CTools, linker: Option<Linker>) -> Option<String> {
        let key = (tools.cc.program.clone(), linker);
        let ask = || Ok::<_, ()>(tools.linker_name(self.machine, linker));
        self.linker_names.get_or(&key, ask).ok().flatten()
    }

    /// Returns the C files below the module `folder`.
    ///
    /// # Errors
    ///
    /// Returns [`CFilesError`] if one cannot be read.
    pub fn c_files(&self, folder: &Path) -> Result<CFiles, CFilesError> {
        let read = || c_files::of_module(self.machine, folder).map(Arc::new);
        self.c_files.get_or(&folder.to_owned(), read)
    }

    /// Returns the folders in which C tools look under some switches.
    #[must_use]
    pub fn c_folders(&self, tools: &CTools, switches: &[String]) -> CFolders {
        let ask = || Ok::<_, ()>(tools.folders(self.machine, switches));
        self.c_folders.get_or(&(tools.cc.clone(), switches.to_vec()), ask).unwrap_or_default()
    }

    /// Returns what compiling C may read.
    ///
    /// # Errors
    ///
    /// Returns [`CFilesError`] if a file cannot be read.
    pub fn c_walk(&self, walk: &CWalk) -> Result<Arc<CRead>, CFilesError> {
        self.c_walks.get_or(walk, || Ok(Arc::new(walk.digests(self.machine)?)))
    }

    /// Returns what linking with these words, run in one of `bases`, may read.
    #[must_use]
    pub fn c_links(&self, words: &CWords, bases: &[PathBuf], folders: &CFolders) -> ReadByC {
        let key = (words.clone(), bases.to_vec(), folders.clone());
        let read = || {
            let own = &folders.libraries;
            Ok::<_, ()>(Arc::new(c_libraries::linked(self.machine, words, bases, own)))
        };
        self.c_links.get_or(&key, read).unwrap_or_default()
    }

    /// Returns the digest of every file below folders of headers, which may be inputs of a link.
    #[must_use]
    pub fn c_headers(&self, folders: &[PathBuf], are_inputs: bool) -> Option<Digest> {
        let read = || Ok::<_, ()>(headers_below(self.machine, folders, are_inputs));
        self.c_headers.get_or(&(folders.to_vec(), are_inputs), read).ok()
    }

    /// Asks pkg-config for the flags of a Go package in `folder`.
    ///
    /// # Errors
    ///
    /// Returns [`CFilesError`] if it gives no answer.
    pub fn pkg_config(
        &self,
        words: &[String],
        env: &BTreeMap<String, String>,
        folder: &Path,
    ) -> Result<String, CFilesError> {
        let key = (words.to_vec(), env.clone(), folder.to_owned());
        let ask = || c_files::pkg_config(self.machine, words, env, folder);
        self.pkg_config.get_or(&key, ask)
    }

    /// Returns what C libraries bring into a link, planned once.
    ///
    /// # Errors
    ///
    /// Returns what `plan` does.
    pub fn c_dependencies<E>(
        &self,
        question: &CQuestion,
        plan: impl FnOnce() -> Result<Arc<CDependencies>, E>,
    ) -> Result<Arc<CDependencies>, E> {
        self.c_dependencies.get_or(question, plan)
    }

    /// Returns what makes archives for C tools.
    #[must_use]
    pub fn archiver(&self, tools: &CTools) -> Option<(CProgram, Digest)> {
        let find = || Ok::<_, ()>(tools.archiver(self.machine));
        self.archivers.get_or(&tools.cc.program, find).ok().flatten()
    }

    /// Asks `go list`, unless it was asked before about a tree like this, or what it would say can
    /// be read.
    ///
    /// # Errors
    ///
    /// Returns [`GoToolError`] if it fails as a whole.
    pub fn list(&self, go: &GoTool, key: &ListingKey) -> Result<Arc<Listing>, GoToolError> {
        self.listings.get_or(key, || {
            let began = Moment::after(self.written() > 0);
            let (store, trusts) = (&self.machine.store, !self.listings.distrusts());
            let tells = |packages| Ok(Arc::new(Listing::new(GoGraph::new(packages), began)));
            let native = |roots: &[PathBuf]| NativeListing::of(go, key, roots);
            // The folders of the packages are a part of the tree, which a build looks at anyway.
            let only_reads = self.outputs.is_none();
            if only_reads
                && trusts
                && let Some(packages) =
                    native(&roots(&key.module)).and_then(|it| it.packages(store))
            {
                return tells(packages);
            }
            let look = || Place::of(&self.machine.digests, go, key).filter(|_| trusts);
            let place = look().filter(|_| go.holds());
            if let Some(packages) = place.as_ref().and_then(|it| it.packages(store)) {
                return tells(packages);
            }
            let place = place.filter(|_| !only_reads);
            let native = place.as_ref().and_then(|it| native(&it.tree().roots));
            if let Some(packages) = native.as_ref().and_then(|it| it.packages(store)) {
                return tells(packages);
            }
            let patterns: Vec<_> = key.patterns.iter().cloned().collect();
            let args = list_arguments(&key.selection, &patterns, key.tests);
            let folder = self.relative(&key.module.folder);
            let what =
                format!("list Go packages of {folder}{}", key.selection.unlike_plain(go.host()));
            let env = key.selection.environment();
            let step = self.step(what, "go", &args, &env, &key.module.folder);
            let packages = go.list(self.machine, &key.module, &key.selection, &patterns, key.tests);
            self.step_ended(step, packages.is_ok());
            self.listings.note_asked(packages.is_err());
            let packages = packages?;
            if let Some(place) = place
                && let Some(now) = look()
            {
                let is_well = place.keep(&now, store, &packages);
                if let Some(native) = native.filter(|_| is_well) {
                    native.learn(store, &packages);
                }
            }
            tells(packages)
        })
    }

    /// Returns whether files of a folder that constraints leave out import "C", looked at once.
    #[must_use]
    pub fn leaves_c_out(&self, folder: &Path, look: impl FnOnce() -> bool) -> bool {
        self.ignored_c.get_or(&folder.to_owned(), || Ok::<_, ()>(look())).unwrap_or_default()
    }

    /// Forgets what was read of a module, because its files changed meanwhile; from here on, Go
    /// itself is asked.
    pub fn forget(&self, module: &GoModuleFolder) {
        self.listings.forget(module);
        self.forget_files();
    }

    /// Forgets what was read of files beside Go's, so that the next look is a fresh one.
    pub fn forget_files(&self) {
        self.modules.forget(|_| true);
        self.module_files.forget(|_| true);
        self.c_files.forget(|_| true);
        self.c_walks.forget(|_| true);
        self.c_links.forget(|_| true);
        self.c_headers.forget(|_| true);
        self.pkg_config.forget(|_| true);
        self.c_dependencies.forget(|_| true);
    }

    /// Tells that a process starts, and returns its number.
    pub fn step(
        &self,
        what: String,
        program: &str,
        args: &[String],
        env: &BTreeMap<String, String>,
        folder: &Path,
    ) -> usize {
        let step = self.machine.next_step();
        let words = std::iter::once(program.to_owned()).chain(args.iter().cloned());
        let env = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let folder = self.relative(folder);
        (self.sink)(Event::StepStarted { step, what, argv: words.collect(), env, folder });
        step
    }

    /// Tells that a process has ended.
    pub fn step_ended(&self, step: usize, ok: bool) {
        (self.sink)(Event::StepFinished { step, ok });
    }

    /// Returns `path` relative to the workspace root, `.` for the root itself; a path outside as
    /// it is.
    #[must_use]
    pub fn relative(&self, path: &Path) -> String {
        shown_below(&self.request.root, path)
    }

    /// Tells that `outputs` more outputs are to come.
    pub fn plan(&self, outputs: usize) {
        let before = self.planned.fetch_add(outputs, Ordering::SeqCst);
        (self.sink)(Event::Planned { outputs: before + outputs });
    }

    /// Returns the Go module that a folder lies in, looked for once.
    #[must_use]
    pub fn module_of(&self, folder: &Path) -> Option<GoModuleFolder> {
        let look = || Ok::<_, ()>(GoModuleFolder::of(folder));
        self.modules.get_or(&folder.to_owned(), look).ok().flatten()
    }

    /// Returns the files that choose modules and language versions for a link, read once before
    /// links and once after them.
    ///
    /// # Errors
    ///
    /// Returns the first that cannot be read, with the system's error.
    pub fn module_files(
        &self,
        question: &ModuleQuestion,
    ) -> Result<Arc<ModuleFiles>, (PathBuf, io::Error)> {
        self.module_files.get_or(question, || question.read(&self.machine.digests).map(Arc::new))
    }

    /// Notes that a command wrote into the source tree, or what it once wrote was put back. Jobs
    /// keep the packages that they know, and look again after links; those that begin look anew.
    pub fn note_written(&self) {
        let is_old = usize::from(planted(Defect::OldListingAfterCommand));
        self.written.fetch_add(1 - is_old, Ordering::SeqCst);
        if !planted(Defect::OldFilesAfterCommand) {
            self.forget_files();
            self.ignored_c.forget(|_| true);
        }
    }

    /// Returns how often something was written into the source tree.
    #[must_use]
    pub fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }

    /// Returns the test binaries that a target has made in this run, with their digests, sorted by
    /// Go package.
    #[must_use]
    pub fn tests_of(&self, label: &Label) -> Vec<(Finished, Digest)> {
        let made = self.tests.lock().ok();
        let mut made = made.and_then(|it| it.get(label).cloned()).unwrap_or_default();
        made.sort_by(|a, b| a.0.go_package.cmp(&b.0.go_package));
        made
    }

    /// Hands over a finished output.
    pub fn deliver(&self, delivery: Delivery) {
        let Delivery { finished, record } = delivery;
        if let ("go_tests", Some(Recorded::Linkage(it))) = (finished.rule, &record)
            && let Ok(mut tests) = self.tests.lock()
        {
            let own = tests.entry(finished.label.clone()).or_default();
            own.push((finished.clone(), it.blake3));
        }
        let finished = Arc::new(finished);
        (self.sink)(Event::Finished(Arc::clone(&finished)));
        let _ = self.deliveries.send(Delivered { finished, record });
    }

    /// Hands over a target that failed as a whole.
    pub fn fail(&self, target: &Target, error: String, hints: Vec<String>, code: ExitCode) {
        let finished = Finished {
            error: Some(error),
            hints,
            exit_code: code.number(),
            ..finished(target, State::Failed)
        };
        self.deliver(Delivery { finished, record: None });
    }
}

/// Returns what is told of a target of which nothing more is known than its state.
#[must_use]
pub fn finished(target: &Target, state: State) -> Finished {
    Finished {
        label: target.label.clone(),
        rule: target.rule.kind(),
        go_package: None,
        platform: None,
        output: None,
        source_folder: None,
        state,
        class: None,
        strategy: None,
        size: None,
        go: None,
        smoke: None,
        warnings: Vec::new(),
        error: None,
        hints: Vec::new(),
        exit_code: 0,
    }
}
