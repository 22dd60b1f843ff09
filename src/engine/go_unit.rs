//! One Go output on its way: a program, or the test binary of one Go package.

use crate::effects::c_tools::CTools;
use crate::effects::go_tool::{GoModuleFolder, GoTool};
use crate::effects::limits::{Space, is_machines};
use crate::effects::outputs::OutputError;
use crate::effects::process::ProcessError;
use crate::engine::found_tools::{FoundTools, chosen_linker};
use crate::engine::listing::{Choice, ListingKey};
use crate::engine::session::Session;
use crate::formats::go_list::GoPackage;
use crate::formats::tool_limits::ToolLimit;
use crate::model::strategy::{Cgo, Strategy};
use crate::model::target::{GoPattern, GoSettings, GoTests, Rule, Target};
use crate::model::toolchain::Linker;
use crate::plan::configuration::{CgoFacts, Configuration, GoPlatform, Selection};
use crate::plan::go_graph::GoGraph;
use crate::plan::ladder::Climb;
use crate::plan::predict::{CFacts, Forecast, Obstacle, forecast, needs, without_cxx};
use crate::words::exit_code::ExitCode;
use crate::words::path::RelPath;
use crate::words::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is built of a Go package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `go build`.
    Program,
    /// `go test -c`, with or without its part of `go vet`.
    Test {
        /// Whether findings of vet fail the build.
        vet: bool,
    },
}

/// A rung of a target's ladder on this machine.
#[derive(Debug, Clone)]
pub struct Rung {
    /// The strategy.
    pub strategy: Arc<Strategy>,
    /// How it chooses packages.
    pub selection: Selection,
    /// The C tools that it would use, where they are here.
    pub c_tools: Option<Arc<CTools>>,
    /// The linker that they are told to take.
    pub linker: Option<Linker>,
    /// Whether it can be tried at all.
    pub needs: Forecast,
    /// What to install to have the toolchain that was looked for before the one that is here.
    pub absent: Option<String>,
    /// What to install to have the C++ compiler that belongs to the C tools.
    cxx: Option<String>,
}

/// A Go target with what is known of it before any package is read.
#[derive(Debug, Clone)]
pub struct Prepared<'a> {
    /// The target.
    pub target: &'a Target,
    /// Its settings.
    pub settings: &'a GoSettings,
    /// Where its packages are looked up from.
    pub module: GoModuleFolder,
    /// How many commands had written into the source tree when its job began.
    pub written: usize,
    /// Its ladder.
    pub rungs: Arc<Vec<Rung>>,
}

/// One Go output.
#[derive(Debug, Clone)]
pub struct Unit<'a> {
    /// The target, its settings and its ladder.
    pub of: Prepared<'a>,
    /// What is built.
    pub kind: Kind,
    /// The Go package.
    pub go_package: String,
    /// Its node in the package graph: the package itself, or `p.test`.
    pub root: String,
    /// The folder of its sources, as it is told; for test binaries.
    pub source_folder: Option<String>,
    /// Where it goes, below `linkwright-out/`.
    pub output: RelPath,
    /// How far it has come.
    pub climb: Climb,
    /// How often its inputs changed while it was built.
    pub restarts: usize,
}

/// A target, or one package of it, that cannot be expanded.
#[derive(Debug)]
pub struct Unfit {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub hints: Vec<String>,
    /// The exit code.
    pub code: ExitCode,
}

impl Unfit {
    /// Makes one of what is wrong in rule files, found only now.
    #[must_use]
    pub fn of_problems(problems: Vec<Problem>) -> Self {
        let line = |it: &Problem| match it.places.first() {
            Some((span, _)) => format!("{span}: {}", it.message),
            None => it.message.clone(),
        };
        let error = problems.iter().map(line).collect::<Vec<_>>().join("\n");
        let hints = problems.into_iter().flat_map(|it| it.hints).collect();
        Self { error, hints, code: ExitCode::BadInput }
    }

    /// Makes one of an output that cannot be written.
    #[must_use]
    pub fn of_output(error: &OutputError) -> Self {
        let (hint, code) = match error {
            OutputError::NotAFolder(_) => {
                ("move it away; linkwright makes its own folder", ExitCode::Refused)
            }
            OutputError::Locked(_) => {
                ("end the other one, or say a longer `--lock-timeout`", ExitCode::GaveUpWaiting)
            }
            OutputError::Interrupted => {
                let error = error.to_string();
                return Self { error, hints: Vec::new(), code: ExitCode::Interrupted };
            }
            OutputError::Write(..) | OutputError::Remove(..) | OutputError::Read(..) => {
                ("free some space, or make the folder writable", ExitCode::Disk)
            }
        };
        let source =
            std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
        Self { error: format!("{error}{source}"), hints: vec![hint.to_owned()], code }
    }

    /// Makes one of a process that did not end by itself.
    #[must_use]
    pub fn of_process(error: &ProcessError) -> Self {
        let (hint, code) = match error {
            ProcessError::Interrupted => (None, ExitCode::Interrupted),
            ProcessError::Spawn { source, .. } if is_machines(source) => {
                return Self::of_limit(ToolLimit::System, error.to_string(), Path::new("/"));
            }
            ProcessError::Spawn { .. } => (None, ExitCode::MachineLacks),
            ProcessError::TooLong { .. } => {
                (Some("see what holds it up by running the command by hand"), ExitCode::BuildFailed)
            }
        };
        let hints = hint.map(str::to_owned).into_iter().collect();
        Self { error: error.to_string(), hints, code }
    }

    /// Makes one of a step that the machine did not let end well; `place` is where it wrote.
    #[must_use]
    pub fn of_limit(limit: ToolLimit, error: String, place: &Path) -> Self {
        let (note, hint, code) = match limit {
            ToolLimit::Disk => {
                let places = [place.to_owned(), std::env::temp_dir()];
                let note = |it: &PathBuf| Some(format!("`{}`: {}", it.display(), Space::at(it)?));
                let notes: Vec<_> = places.iter().filter_map(note).collect();
                let hint = "free some space, or make the folder writable";
                (format!("\n{}", notes.join("\n")), hint, ExitCode::Disk)
            }
            ToolLimit::System => {
                let hint = "raise the limit (`ulimit -n`, `ulimit -u`), or say a smaller `--jobs`";
                (String::new(), hint, ExitCode::Disk)
            }
            ToolLimit::Killed => {
                let hint = "the machine may be out of memory; say a smaller `--jobs`";
                (String::new(), hint, ExitCode::BuildFailed)
            }
        };
        Self { error: format!("{}{note}", error.trim_end()), hints: vec![hint.to_owned()], code }
    }
}

impl Rung {
    /// Says what `strategy` would use on this machine for a target with `settings`.
    #[must_use]
    pub fn new(
        session: &Session<'_>,
        go: &GoTool,
        strategy: &Arc<Strategy>,
        settings: &GoSettings,
    ) -> Self {
        let platform = GoPlatform::of(&settings.platform, go.host());
        let found = match strategy.cgo {
            Cgo::Off => FoundTools::default(),
            Cgo::Auto | Cgo::On => FoundTools::of(session, strategy, &platform),
        };
        let serves = found.serves(&platform);
        let selection =
            Selection::new(strategy, settings, go.host(), CgoFacts { compiler: serves });
        let is_host = (platform.goos.as_str(), platform.goarch.as_str()) == go.host();
        let linker = match (&found.tools, strategy.linker) {
            (Some(tools), Some(choice)) if serves => {
                Some(chosen_linker(session, strategy, choice, (tools, is_host)))
            }
            _ => None,
        };
        let nothing = BTreeSet::new();
        let c = CFacts {
            cc: found.wanted.as_ref().map_or("gcc", |it| &it.cc),
            machine: found.tools.as_ref().map(|it| it.machine.as_str()),
            serves,
            untruth: found.tools.as_ref().and_then(|it| it.untruth.as_deref()),
            absent: found.absent.as_ref().map(|it| it.0.as_str()),
            install: found.absent.as_ref().map_or("", |it| &it.1),
            toolchain: found.toolchain.as_deref(),
            meets: found.tools.as_ref().map_or(&nothing, |it| &it.meets),
            linker: linker.as_ref().and_then(|it| it.as_ref().err()).map(|it| (&*it.0, &*it.1)),
        };
        let needs = match go.release.ignores(&selection.environment()) {
            Some(reason) => Forecast::Impossible {
                reason,
                obstacle: Obstacle::Rule,
                hint: Some("name a newer Go for the target: `go_sdk` in docs/rules.md".to_owned()),
            },
            None => needs(strategy, &selection, c),
        };
        let linker = linker.and_then(Result::ok);
        let FoundTools { tools: c_tools, toolchain, absent, .. } = found;
        let with_cxx = toolchain.filter(|it| it.cxx.is_some());
        let cxx = with_cxx.map(|it| it.install(&selection.platform.goarch));
        let absent = absent.map(|it| it.1);
        Self { strategy: Arc::clone(strategy), selection, c_tools, linker, needs, absent, cxx }
    }

    /// Says what will come of it for the program or test binary `root`.
    #[must_use]
    pub fn forecast(&self, graph: &GoGraph, root: &str) -> Forecast {
        let tools = self.c_tools.as_ref().filter(|it| self.selection.cgo && !it.has_cxx);
        let install = self.cxx.as_deref();
        let without = tools.and_then(|it| without_cxx((&it.name, install), graph, root));
        without.unwrap_or_else(|| forecast(&self.strategy, &self.selection, graph, root))
    }
}

impl<'a> Prepared<'a> {
    /// Finds the module of `target` and what each rung of its ladder would use here, in a job that
    /// began after `written` commands.
    ///
    /// # Errors
    ///
    /// Returns [`Unfit`] if it lies in no Go module.
    pub fn new(
        session: &Session<'_>,
        go: &GoTool,
        (target, settings): (&'a Target, &'a GoSettings),
        written: usize,
    ) -> Result<Self, Unfit> {
        let this = Self::without_rungs(session, (target, settings), written)?;
        let rungs = settings.ladder.tries.iter().map(|it| Rung::new(session, go, it, settings));
        Ok(Self { rungs: Arc::new(rungs.collect()), ..this })
    }

    /// Finds the module of `target`, and looks for nothing that its strategies need.
    ///
    /// # Errors
    ///
    /// Returns [`Unfit`] if it lies in no Go module.
    pub fn without_rungs(
        session: &Session<'_>,
        (target, settings): (&'a Target, &'a GoSettings),
        written: usize,
    ) -> Result<Self, Unfit> {
        let folder = session.request.root.join(target.label.package().as_str());
        let module = session.module_of(&folder).ok_or_else(|| Unfit {
            error: format!("no `go.mod` in `{}` or above it", session.relative(&folder)),
            hints: vec!["make one there: `go mod init example.com/name`".to_owned()],
            code: ExitCode::BadInput,
        })?;
        Ok(Self { target, settings, module, written, rungs: Arc::default() })
    }

    /// Says how its packages are chosen with the settings of a rung.
    #[must_use]
    pub fn choice<'p>(&'p self, selection: &'p Selection) -> Choice<'p> {
        Choice { module: &self.module, selection, written: self.written }
    }

    /// Returns the question to `go list` that finds the target's packages: with the settings of
    /// the first rung that can be tried.
    #[must_use]
    pub fn listing(&self, session: &Session<'_>, go: &GoTool) -> ListingKey {
        let possible = |it: &&Rung| !matches!(it.needs, Forecast::Impossible { .. });
        let rung = self.rungs.iter().find(possible).or_else(|| self.rungs.first());
        let Some(rung) = rung else { unreachable!("invariant: a ladder has a rung") };
        self.question(session, go, &rung.selection)
    }

    /// Returns the question that [`Prepared::listing`] will most likely be, before anything is
    /// known of C tools; `None` where only they decide.
    #[must_use]
    pub fn likely(&self, session: &Session<'_>, go: &GoTool) -> Option<ListingKey> {
        let settings = self.settings;
        let strategy = settings.ladder.tries.first();
        let strategy = strategy.filter(|it| it.needs.is_empty() && !it.race)?;
        let GoPlatform { goos, goarch, .. } = &GoPlatform::of(&settings.platform, go.host());
        let mut serving = strategy.toolchains.iter().filter(|it| it.may_serve(goos, goarch));
        let is_here = |cc: &str| session.machine.program_once(cc).is_some();
        let compiler = strategy.cgo == Cgo::Off
            || serving.any(|it| is_here(&it.compilers(goarch, strategy.glibc_max.as_deref()).cc));
        let facts = CgoFacts { compiler };
        let selection = compiler.then(|| Selection::new(strategy, settings, go.host(), facts))?;
        Some(self.question(session, go, &selection))
    }

    fn question(&self, session: &Session<'_>, go: &GoTool, selection: &Selection) -> ListingKey {
        ListingKey {
            go: go.identity,
            module: self.module.clone(),
            selection: selection.clone(),
            patterns: self.patterns().map(|it| self.pattern(session, it)).collect(),
            tests: matches!(self.target.rule, Rule::GoTests(_)),
            written: self.written,
        }
    }

    fn patterns(&self) -> impl Iterator<Item = &GoPattern> {
        let (one, many): (_, &[&Vec<GoPattern>]) = match &self.target.rule {
            Rule::GoBinary(it) => (Some(&it.go_package), &[]),
            Rule::GoTests(it) => (None, &[&it.go_packages, &it.exclude]),
            _ => (None, &[]),
        };
        one.into_iter().chain(many.iter().copied().flatten().collect::<Vec<_>>())
    }

    /// Returns a pattern as `go list` is given it, in the module's folder.
    fn pattern(&self, session: &Session<'_>, pattern: &GoPattern) -> String {
        if !pattern.is_relative() {
            return pattern.as_str().to_owned();
        }
        let folder = session.request.root.join(self.target.label.package().as_str());
        let below = folder.strip_prefix(&self.module.folder).map(PathBuf::from).unwrap_or_default();
        let rest = pattern.as_str().trim_start_matches('.').trim_start_matches('/');
        let path = below.join(rest).to_string_lossy().trim_end_matches('/').to_owned();
        if path.is_empty() { ".".to_owned() } else { format!("./{path}") }
    }

    /// Adds what the target says of coverage.
    #[must_use]
    pub fn covering(&self, session: &Session<'_>, plain: Configuration) -> Configuration {
        let Some(cover) = self.target.rule.tests().and_then(|it| it.cover.as_ref()) else {
            return plain;
        };
        let packages = cover.go_packages.iter().map(|it| self.pattern(session, it));
        plain.covering(cover.mode, &packages.collect::<Vec<_>>())
    }

    /// Finds the Go packages that the target names, as units.
    #[must_use]
    pub fn expand(&self, session: &Session<'_>, graph: &GoGraph) -> Vec<Result<Unit<'a>, Unfit>> {
        match &self.target.rule {
            Rule::GoBinary(it) => {
                vec![self.program(session, &self.pattern(session, &it.go_package), graph)]
            }
            Rule::GoTests(it) => self.tests(session, it, graph),
            _ => Vec::new(),
        }
    }

    fn program(
        &self,
        session: &Session<'_>,
        pattern: &str,
        graph: &GoGraph,
    ) -> Result<Unit<'a>, Unfit> {
        let matched: Vec<_> =
            graph.matched_by(pattern).filter(|it| it.for_test.is_empty()).collect();
        let wrong = |error: String, hint: &str| {
            let hints = vec![hint.to_owned()];
            Err(Unfit { error, hints, code: ExitCode::BadInput })
        };
        match matched.as_slice() {
            [package] => {
                loadable(package)?;
                if package.name != "main" && package.error.is_none() {
                    let (path, name) = (&package.import_path, &package.name);
                    let error = format!("`{path}` is no program: its files say `package {name}`");
                    return wrong(error, "name a Go package that says `package main`");
                }
                Ok(self.unit(session, Kind::Program, package))
            }
            [] => wrong(
                format!("`{pattern}` matches no Go package"),
                "`go list ./...` lists the Go packages of the module",
            ),
            many => {
                let names: Vec<_> = many.iter().map(|it| format!("`{}`", it.import_path)).collect();
                let error =
                    format!("`{pattern}` matches several Go packages: {}", names.join(", "));
                wrong(error, "a `go_binary` is one program; name one package")
            }
        }
    }

    fn tests(
        &self,
        session: &Session<'_>,
        rule: &GoTests,
        graph: &GoGraph,
    ) -> Vec<Result<Unit<'a>, Unfit>> {
        let left_out: BTreeSet<_> = rule
            .exclude
            .iter()
            .flat_map(|it| named(graph, &self.pattern(session, it)))
            .map(|it| it.import_path.as_str())
            .collect();
        let mut packages = BTreeMap::new();
        for pattern in &rule.go_packages {
            for package in named(graph, &self.pattern(session, pattern)) {
                packages.insert(package.import_path.as_str(), package);
            }
        }
        packages.retain(|path, _| !left_out.contains(path));
        let mut units = Vec::new();
        for package in packages.into_values() {
            match loadable(package) {
                Err(unfit) => units.push(Err(unfit)),
                Ok(()) if package.files.have_tests() => {
                    units.push(Ok(self.unit(session, Kind::Test { vet: rule.vet }, package)));
                }
                Ok(()) => {}
            }
        }
        if units.is_empty() {
            let patterns: Vec<_> =
                rule.go_packages.iter().map(|it| format!("`{}`", it.as_str())).collect();
            let error = format!("no Go package of {} has tests", patterns.join(", "));
            let hints = vec!["`packages` takes patterns such as `./...`".to_owned()];
            units.push(Err(Unfit { error, hints, code: ExitCode::NoTests }));
        }
        units
    }

    fn unit(&self, session: &Session<'_>, kind: Kind, package: &GoPackage) -> Unit<'a> {
        let is_test = matches!(kind, Kind::Test { .. });
        let source_folder = is_test.then(|| session.relative(Path::new(&package.dir)));
        let path = package.import_path.as_str();
        let (label, platform) = (&self.target.label, &self.settings.platform);
        let (root, output) = match kind {
            Kind::Program => (path.to_owned(), format!("bin/{}", platform.program(label))),
            Kind::Test { .. } => {
                let (folder, exe) = (platform.folder(label), platform.suffix());
                (format!("{path}.test"), format!("bin/{folder}/{path}.test{exe}"))
            }
        };
        let Ok(output) = RelPath::parse(&output) else {
            unreachable!("invariant: labels and import paths make relative paths")
        };
        Unit {
            of: self.clone(),
            kind,
            go_package: path.to_owned(),
            root,
            source_folder,
            output,
            climb: Climb::new(Arc::clone(&self.settings.ladder)),
            restarts: 0,
        }
    }
}

impl Unit<'_> {
    /// Returns the platform that it is for, as `linux/arm/7`, where its target names one.
    #[must_use]
    pub fn platform(&self) -> Option<String> {
        let rung = self.of.rungs.first().filter(|_| self.of.settings.platform.is_named())?;
        Some(rung.selection.platform.to_string())
    }

    /// Returns the base name that the `go` command gives the output in a folder.
    ///
    /// # Source
    ///
    /// `DefaultExecName` in `cmd/go/internal/load/pkg.go`: the last element of the import path, or
    /// the one before a major version.
    #[must_use]
    pub fn tool_name(&self) -> String {
        let mut elements = self.go_package.rsplit('/');
        let last = elements.next().unwrap_or(&self.go_package);
        let is_version = |it: &str| {
            let digits = it.strip_prefix('v').unwrap_or_default();
            !digits.is_empty()
                && digits.bytes().all(|it| it.is_ascii_digit())
                && digits != "1"
                && !digits.starts_with('0')
        };
        let name = if is_version(last) { elements.next().unwrap_or(last) } else { last };
        let exe = self.of.settings.platform.suffix();
        match self.kind {
            Kind::Program => format!("{name}{exe}"),
            Kind::Test { .. } => format!("{name}.test{exe}"),
        }
    }
}

/// Returns the packages that a pattern matched, test variants left out.
fn named<'g>(graph: &'g GoGraph, pattern: &str) -> Vec<&'g GoPackage> {
    let is_generated =
        |it: &GoPackage| it.import_path.strip_suffix(".test").is_some() && it.name == "main";
    let is_plain = |it: &&GoPackage| it.for_test.is_empty() && !is_generated(it);
    graph.matched_by(pattern).filter(is_plain).collect()
}

/// Refuses a package that does not exist. One that exists and does not load goes on: another
/// selection may load it, and if none does the climb tells Go's own words.
fn loadable(package: &GoPackage) -> Result<(), Unfit> {
    match &package.error {
        Some(error) if package.dir.is_empty() => Err(Unfit {
            error: error.text().trim().to_owned(),
            hints: vec!["`go list ./...` lists the Go packages of the module".to_owned()],
            code: ExitCode::BadInput,
        }),
        _ => Ok(()),
    }
}
