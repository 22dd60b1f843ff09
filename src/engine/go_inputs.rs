//! Gathers the inputs of one link: the facts that `plan::fingerprint` makes the key of.

use crate::effects::c_files::CFilesError;
use crate::effects::digests::Stamps;
use crate::effects::go_modules::{ModuleFiles, ModuleQuestion};
use crate::effects::go_root::COMMANDS;
use crate::effects::go_tool::{GoModuleFolder, GoTool};
use crate::engine::c_dependencies::{CDependencyError, plan as plan_c};
use crate::engine::c_side::CSide;
use crate::engine::go_unit::{Kind, Unfit, Unit};
use crate::engine::listing::Listing;
use crate::engine::salt::{Salt, may_show};
use crate::engine::session::Session;
use crate::formats::go_list::GoPackage;
use crate::model::strategy::LinkMode;
use crate::plan::c_dependencies::CDependencies;
use crate::plan::configuration::{CWordsOfLibraries, CompilerVariables, Configuration};
use crate::plan::fingerprint::LinkInputs;
use crate::plan::origin::{Origin, is_command};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One link, ready to be looked up or run.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The rung of the unit's ladder.
    pub rung: usize,
    /// What the `go` command is told.
    pub configuration: Configuration,
    /// Makes Go forget objects compiled from other C files; nothing where nothing is linked.
    pub salt: Salt,
    /// The C libraries that have to be there.
    pub c_deps: Arc<CDependencies>,
    /// Every input.
    pub inputs: LinkInputs,
    /// Their digest.
    pub key: Digest,
    /// The stamps of the files among them just before the link; empty where nothing is linked.
    pub stamps: Stamps,
}

/// A planned link with the files that were read for it.
#[derive(Debug)]
pub struct Gathered {
    /// The link.
    pub planned: Planned,
    /// The files, in an order that is the same for the same inputs.
    pub paths: Vec<PathBuf>,
    c_side: CSide,
}

impl Gathered {
    /// Returns what Go is told so that it forgets objects compiled from other files. To know it
    /// takes a look at every header of the system, so that only who links asks for it.
    #[must_use]
    pub fn salt(
        &self,
        session: &Session<'_>,
        go: &GoTool,
        unit: &Unit<'_>,
        listing: &Listing,
    ) -> Salt {
        if planted(Defect::NoSalt) {
            return Salt::default();
        }
        let closure: Vec<_> = listing.graph.closure(&unit.root).into_values().collect();
        let may_show = may_show(go, unit.kind, &self.planned.configuration);
        self.c_side.salt(session, (&closure, may_show))
    }
}

/// Why the inputs could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// A file that Go named is not to be read.
    #[error("cannot read `{0}`")]
    Unreadable(PathBuf, #[source] io::Error),
    /// The C side.
    #[error(transparent)]
    C(#[from] CFilesError),
    /// C libraries that are targets.
    #[error("{}", .0.error)]
    Libraries(Box<Unfit>),
    /// `buildvcs` is on, and git does not answer.
    #[error("`buildvcs: true` needs a git repository: {0}")]
    Vcs(String),
}

impl InputsError {
    /// Returns the file that went away while the inputs were read, if that is why.
    #[must_use]
    pub fn vanished(&self) -> Option<&Path> {
        match self {
            Self::Unreadable(path, error) | Self::C(CFilesError::Unreadable(path, error)) => {
                Some(path.as_path()).filter(|_| error.kind() == io::ErrorKind::NotFound)
            }
            Self::C(_) | Self::Libraries(_) | Self::Vcs(_) => None,
        }
    }
}

impl From<CDependencyError> for InputsError {
    fn from(error: CDependencyError) -> Self {
        match error {
            CDependencyError::Unfit(it) => Self::Libraries(it),
            CDependencyError::Files(it) => Self::C(it),
        }
    }
}

/// Gathers what the rung `rung` of `unit` would read.
///
/// # Errors
///
/// Returns [`InputsError`] if a file is not to be read, or a tool does not answer.
pub fn gather(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    rung: usize,
    listing: &Listing,
) -> Result<Gathered, InputsError> {
    let at = &unit.of.rungs[rung];
    let compilers = at.c_tools.as_ref().map(|it| CompilerVariables {
        cc: it.cc.command(),
        cxx: it.cxx.command(),
        own: it.cc.variables.clone(),
    });
    let settings = unit.of.settings;
    let (selection, c) = (at.selection.clone(), (compilers, at.linker));
    let configuration = Configuration::new(&at.strategy, settings, selection, c);
    let configuration = unit.of.covering(session, configuration);
    let closure: Vec<_> = listing.graph.closure(&unit.root).into_values().collect();
    // Where no cgo takes part nothing of C does.
    let uses_c =
        at.strategy.linkmode == LinkMode::External || closure.iter().any(|it| it.files.use_cgo());
    let c_deps = if uses_c { plan_c(session, unit.of.target, at)? } else { Arc::default() };
    let root = session.request.root.to_string_lossy().into_owned();
    let (compile, link) = (c_deps.compile.clone(), c_deps.link.clone());
    // Compilers cannot be told to leave out a path with this character.
    let shows_root = root.contains('=') && !compile.is_empty();
    let configuration = configuration.with_libraries(CWordsOfLibraries { compile, link, root });
    let mut c_side = CSide::gather(session, go, unit, at, (&closure, &c_deps))?;
    let Sources { files, modules, mut paths } = sources(session, unit, &closure)?;
    paths.append(&mut c_side.paths);
    let mut pkg_config = std::mem::take(&mut c_side.pkg_config);
    pkg_config.extend(c_deps.pkg_config.clone());
    paths.extend(c_deps.paths.iter().cloned());
    let module = &unit.of.module;
    let own = module_files(session, module, &closure)?;
    paths.extend(own.paths.iter().cloned());
    let sees_folder =
        !settings.trimpath || shows_root || closure.iter().any(|it| names_its_folder(it));
    let environment = configuration.keyed_environment();
    let inputs = LinkInputs {
        go_package: unit.go_package.clone(),
        kind: match unit.kind {
            Kind::Program => "program".to_owned(),
            Kind::Test { vet } => format!("test, vet {vet}"),
        },
        environment,
        flags: configuration.flags.clone(),
        go: go.identity,
        c_tools: c_side.tools,
        c_headers: c_side.headers(),
        c_libraries: c_side.libraries.clone(),
        pkg_config,
        modules,
        module_files: own.digests.clone(),
        files,
        c_files: std::mem::take(&mut c_side.files),
        c_deps: c_deps.inputs.clone(),
        folder: sees_folder.then(|| module.folder.to_string_lossy().into_owned()),
        vcs: if settings.buildvcs { Some(vcs(session, &module.folder)?) } else { None },
    };
    let key = inputs.key();
    let (salt, stamps) = (Salt::default(), Stamps::default());
    let planned = Planned { rung, configuration, salt, c_deps, inputs, key, stamps };
    Ok(Gathered { planned, paths, c_side })
}

/// What the Go packages of a link are made of.
struct Sources {
    files: BTreeMap<String, Digest>,
    modules: BTreeMap<String, String>,
    /// Where the files are.
    paths: Vec<PathBuf>,
}

/// Digests the files of local packages, and names the modules of the others.
fn sources(
    session: &Session<'_>,
    unit: &Unit<'_>,
    closure: &[&GoPackage],
) -> Result<Sources, InputsError> {
    let (mut names, mut paths, mut modules) = (Vec::new(), Vec::new(), BTreeMap::new());
    for package in closure {
        // The main package of a test binary is generated from the others.
        let generated = matches!(unit.kind, Kind::Test { .. }) && package.import_path == unit.root;
        if generated {
            continue;
        }
        match Origin::of(package) {
            Origin::Toolchain => continue,
            Origin::Module(path, version) => {
                modules.insert(path, version);
                continue;
            }
            Origin::Local => {}
        }
        let folder = Path::new(&package.dir);
        // Go reads the profile beside a main package without being told (since Go 1.21).
        let profile = (package.name == "main").then(|| "default.pgo".to_owned());
        let profile = profile.filter(|it| folder.join(it).is_file());
        for file in package.files.compiled().chain(&profile) {
            names.push(format!("{}: {file}", package.import_path));
            paths.push(folder.join(file));
        }
    }
    let digests = session.machine.digests.digest_all(&paths);
    let digests = digests.map_err(|(path, error)| InputsError::Unreadable(path, error))?;
    Ok(Sources { files: names.into_iter().zip(digests).collect(), modules, paths })
}

/// Tells whether cgo puts the package's folder into flags, and so perhaps into the output.
fn names_its_folder(package: &GoPackage) -> bool {
    let mut words = package.cgo_ldflags.iter().chain(package.c_words());
    package.files.use_cgo() && !package.standard && words.any(|it| it.contains(&package.dir))
}

/// Reads the files that choose modules and language versions.
fn module_files(
    session: &Session<'_>,
    module: &GoModuleFolder,
    closure: &[&GoPackage],
) -> Result<Arc<ModuleFiles>, InputsError> {
    let local = closure.iter().filter(|it| matches!(Origin::of(it), Origin::Local));
    let local = local
        .filter_map(|it| Some((it.module.as_ref()?.path.clone(), Origin::module_folder(it)?)))
        .collect();
    let commands = closure.iter().find(|it| is_command(it)).map(|it| Path::new(&it.dir));
    let top = commands.and_then(|it| it.ancestors().find(|it| it.ends_with(COMMANDS)));
    let commands = top.map(Path::to_owned);
    let found = session.module_files(&ModuleQuestion { module: module.clone(), local, commands });
    found.map_err(|(path, error)| InputsError::Unreadable(path, error))
}

/// Returns what `-buildvcs` would stamp: the revision, and whether files differ from it.
fn vcs(session: &Session<'_>, folder: &Path) -> Result<String, InputsError> {
    let git = session.machine.program("git");
    let git = git.ok_or_else(|| InputsError::Vcs("there is no `git` on PATH".to_owned()))?;
    let ask = |args: &[&str]| {
        let args: Vec<_> = args.iter().map(OsStr::new).collect();
        match session.machine.ask(&git, &args, folder) {
            Ok(ended) if ended.status.success() => Ok(ended.stdout_text()),
            Ok(ended) => Err(InputsError::Vcs(ended.stderr_text().trim().to_owned())),
            Err(error) => Err(InputsError::Vcs(error.to_string())),
        }
    };
    let state = ask(&["status", "--porcelain"])?;
    let state = if state.is_empty() { "clean" } else { "dirty" };
    let tags = ask(&["tag", "--points-at", "HEAD"])?;
    Ok(format!(
        "{} {state} {}",
        ask(&["log", "-1", "--format=%H %ct"])?.trim(),
        tags.replace('\n', " ")
    ))
}
