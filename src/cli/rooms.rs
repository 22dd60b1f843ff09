//! What the commands ask of the rooms below, one function for each question.
//!
//! Here typed errors of the rooms become [`Failure`]s: it is known what the user was trying to do,
//! and so who has to act.

use crate::cli::console::{Console, Stopped};
use crate::cli::environment::Environment;
use crate::cli::examination;
use crate::cli::seal;
use crate::effects::c_answers::Answers;
use crate::effects::c_names::KnownNames;
use crate::effects::cache_server::{DEADLINE, serve};
use crate::effects::compile_cache::{CompileCache, PENDING, Report, Shelf};
use crate::effects::digests::Digests;
use crate::effects::file::{can_write_over, write_over};
use crate::effects::go_sdk::own_platform;
use crate::effects::go_tool::GoToolError;
use crate::effects::inspect::{InspectError, inspect_file};
use crate::effects::last_run::LastRuns;
use crate::effects::limits::is_machines;
use crate::effects::lock::{Patience, Share};
use crate::effects::looked::Looked;
use crate::effects::machine::{Machine, STEP_LIMIT};
use crate::effects::process::{self, Guard, Interrupt, Invocation, OUTPUT_LIMIT};
use crate::effects::sealed::{self, Root};
use crate::effects::store::Store;
use crate::effects::workspace::{self, FindError, LoadError};
use crate::engine::build::{self, BuildError};
use crate::engine::discover;
use crate::engine::event::{Counts, Sink};
use crate::engine::recall::recall;
use crate::engine::request::{BuildRequest, Mode};
use crate::engine::why::{self, WhyError};
use crate::formats::inspection::Inspection;
use crate::model::policy::Policy;
use crate::model::strategy::{Promise, RuleSet, Strategy};
use crate::model::target::GoSettings;
use crate::model::targets::Targets;
use crate::plan::explanation::Explanation;
use crate::plan::starter::GoModule;
use crate::plan::verify::breaches_of;
use crate::report::doctor::{CheckOutcome, Fact};
use crate::report::escape;
use crate::report::failure::Failure;
use crate::report::verify::FileFacts;
use crate::words::exit_code::ExitCode;
use crate::words::label::PackagePath;
use crate::words::path::OUTPUT_FOLDER;
use crate::words::problem::Problem;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// A folder's place in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder of the root `BUILD.ron`, absolute.
    pub root: PathBuf,
    /// The folder that one is in, relative to the root.
    pub here: PackagePath,
}

/// What a workspace declares.
#[derive(Debug)]
pub struct Declared {
    /// Every target.
    pub targets: Targets,
    /// Every strategy, ladder and policy, the built-in ones included.
    pub rules: RuleSet,
}

/// How long a server of Go's compile cache waits for whoever cleans it.
const CLEANING: Duration = Duration::from_mins(1);

/// A program to start after its build.
#[derive(Debug, Clone)]
pub struct Program {
    /// The file, absolute.
    pub file: PathBuf,
    /// Its arguments, its own name not included.
    pub arguments: Vec<OsString>,
    /// The folder it starts in.
    pub folder: PathBuf,
}

/// Starts the threads that read and hash files. Left to itself, rayon starts them when they are
/// first needed, and panics where the machine has no room for them.
///
/// # Errors
///
/// Blames the machine.
pub fn start_threads(jobs: NonZeroUsize) -> Result<(), Failure> {
    match rayon::ThreadPoolBuilder::new().num_threads(jobs.get()).build_global() {
        // Without a cause they were there before: a test has run another command.
        Err(error) if error.source().is_some() => Err(no_threads(&error)),
        _ => Ok(()),
    }
}

/// Blames the machine for threads that it has no room for.
#[must_use]
pub fn no_threads(error: &dyn Error) -> Failure {
    Failure::new(ExitCode::MachineLacks, "cannot start worker threads")
        .because(error)
        .hint("say a smaller `--jobs`, or raise the limits that `ulimit -a` shows")
}

/// Finds the workspace that `folder` lies in.
///
/// # Errors
///
/// Blames the input if no folder above holds a `BUILD.ron`.
pub fn find_workspace(folder: &Path) -> Result<Place, Failure> {
    let place = workspace::find(folder).map_err(|error| no_workspace(&error))?;
    Ok(Place { root: place.root, here: place.here })
}

fn no_workspace(error: &FindError) -> Failure {
    let failure = Failure::new(ExitCode::BadInput, error.to_string());
    match error {
        FindError::NoWorkspace(_) => {
            failure.hint("`linkwright init` writes a BUILD.ron for a Go module")
        }
        FindError::Unusable { source, .. } => failure.because(source),
        FindError::Unnameable(_) => failure,
    }
}

/// Reads and resolves the rule files of the workspace at `root`.
///
/// # Errors
///
/// Blames the input for all that is wrong in them.
pub fn load(root: &Path) -> Result<Declared, Failure> {
    let loaded = workspace::load(root).map_err(wrong_rules)?;
    Ok(Declared { targets: loaded.targets, rules: loaded.rules })
}

/// Blames the input for errors in rule files, or safety where one is refused for it.
#[must_use]
pub fn of_problems(problems: Vec<Problem>) -> Failure {
    wrong_rules(LoadError::Rules(problems))
}

fn wrong_rules(error: LoadError) -> Failure {
    let code = error.exit_code();
    match error {
        LoadError::Rules(problems) => Failure { code, ..Failure::of_problems(problems) },
        LoadError::Walk { ref source, .. } => Failure::new(code, error.to_string()).because(source),
    }
}

/// Reads the built-in rules and those of the workspace that `folder` lies in, if it lies in one.
///
/// # Errors
///
/// Blames the input for what is wrong in rule files.
pub fn rules_at(folder: &Path) -> Result<RuleSet, Failure> {
    let root = workspace::find(folder).ok().map(|it| it.root);
    workspace::load_rules(root.as_deref()).map_err(wrong_rules)
}

/// Builds; what failed is told by events and by the code, which is a result and no error.
///
/// # Errors
///
/// Says why the build could not begin or go on.
pub fn build(request: &BuildRequest, sink: Sink<'_>) -> Result<ExitCode, Failure> {
    if let Some(ended) = (!request.smoke).then(|| recall(request, sink)).flatten() {
        return Ok(code_of(&ended.counts));
    }
    // It begins before anything is read.
    let machine = machine_for(request)?;
    let declared = load(&request.root)?;
    let declared = (&declared.targets, &declared.rules);
    let ended = build::build(request, declared, &machine, sink).map_err(|it| no_build(&it))?;
    Ok(code_of(&ended.counts))
}

/// Returns the exit code that a build has counted.
#[must_use]
pub fn code_of(counts: &Counts) -> ExitCode {
    let code = ExitCode::ALL.into_iter().find(|it| it.number() == counts.exit_code);
    code.unwrap_or(ExitCode::Bug)
}

/// Writes a report that the user asked for into a file.
///
/// # Errors
///
/// Blames the disk, or the path.
pub fn write_report(path: &Path, text: &str) -> Result<(), Failure> {
    write_over(path, text.as_bytes()).map_err(|error| no_report(path, &error))
}

/// Tells whether a report can be written, before there is one.
///
/// # Errors
///
/// Blames the disk, or the path.
pub fn check_report(path: &Path) -> Result<(), Failure> {
    can_write_over(path).map_err(|error| no_report(path, &error))
}

fn no_report(path: &Path, error: &io::Error) -> Failure {
    let code = if is_machines(error) { ExitCode::Disk } else { ExitCode::BadInput };
    Failure::new(code, format!("cannot write `{}`", path.display())).because(error)
}

/// Says what a build would do with one target, and why.
///
/// # Errors
///
/// Says why nothing can be said of it.
pub fn why(request: &BuildRequest) -> Result<Explanation, Failure> {
    let declared = load(&request.root)?;
    let machine = machine_for(request)?;
    let explained = why::why(request, (&declared.targets, &declared.rules), &machine);
    explained.map_err(|error| match error {
        WhyError::Plan(error) => no_build(&error),
        WhyError::Unfit(unfit) => {
            unfit.hints.into_iter().fold(Failure::new(unfit.code, unfit.error), Failure::hint)
        }
    })
}

/// Says who is to blame for a build that could not begin.
#[must_use]
pub fn no_build(error: &BuildError) -> Failure {
    use crate::effects::outputs::OutputError;
    let (code, hint) = match error {
        BuildError::NoTarget(_) => {
            (ExitCode::BadInput, Some("`linkwright query` lists the targets"))
        }
        BuildError::Outputs(OutputError::Locked(_)) => (
            ExitCode::GaveUpWaiting,
            Some("end the other build, or work in another copy of the workspace"),
        ),
        BuildError::Locked(_) => {
            (ExitCode::GaveUpWaiting, Some("end the other one, or say a longer `--lock-timeout`"))
        }
        BuildError::Outputs(OutputError::Interrupted) | BuildError::Interrupted => {
            (ExitCode::Interrupted, None)
        }
        BuildError::Outputs(OutputError::NotAFolder(_)) => {
            (ExitCode::Refused, Some("move it away; linkwright makes its own folder"))
        }
        BuildError::Outputs(
            OutputError::Write(..) | OutputError::Remove(..) | OutputError::Read(..),
        ) => (ExitCode::Disk, Some("free some space, or make the folder writable")),
        BuildError::Threads(_) => (ExitCode::MachineLacks, Some("say a smaller `--jobs`")),
        BuildError::Ledger(_) => (ExitCode::Bug, None),
    };
    let failure = Failure::new(code, error.to_string());
    let failure = match std::error::Error::source(error) {
        Some(source) => failure.because(source),
        None => failure,
    };
    let own = match error {
        BuildError::NoTarget(problems) => problems.iter().flat_map(|it| it.hints.clone()).collect(),
        _ => Vec::new(),
    };
    own.into_iter().chain(hint.map(str::to_owned)).fold(failure, Failure::hint)
}

/// Makes the machine ready for a build.
///
/// # Errors
///
/// Blames the machine.
pub fn machine_for(request: &BuildRequest) -> Result<Machine, Failure> {
    let BuildRequest { root, store, go_cache, variables, guard, paranoid, mode, .. } = request;
    let is_written = *mode == Mode::Build;
    let last_runs = Some(LastRuns { folder: root.join(OUTPUT_FOLDER), is_written });
    let made = machine(store, go_cache.as_deref(), (variables, guard.as_ref()), *paranoid)?;
    Ok(Machine { last_runs, ..made })
}

/// Makes the machine ready for a run; a paranoid one remembers no stamps.
#[expect(clippy::disallowed_methods, reason = "held against file times, never shown or stored")]
fn machine(
    store: &Path,
    go_cache: Option<&Path>,
    (variables, guard): (&BTreeMap<OsString, OsString>, Option<&Guard>),
    paranoid: bool,
) -> Result<Machine, Failure> {
    let opened = Store::new(store);
    let stamps = opened.root().join("stamps");
    let interrupt = interrupt()?;
    Ok(Machine {
        caller: variables.clone(),
        compile_cache: CompileCache::new(&compile_cache(store, go_cache), own_program()),
        // A store of another format is not written, and the memory lies in it.
        digests: Digests::open(&stamps, paranoid || !opened.is_usable()),
        store: opened,
        interrupt,
        guard: guard.cloned(),
        go_processes: AtomicUsize::new(0),
        steps: AtomicUsize::new(0),
        step_limit: STEP_LIMIT,
        began: SystemTime::now(),
        looked: Looked::default(),
        answers: Answers::default(),
        c_names: KnownNames::default(),
        last_runs: None,
    })
}

/// Catches the signals that end a run.
///
/// # Errors
///
/// Blames the machine.
pub fn interrupt() -> Result<Interrupt, Failure> {
    Interrupt::on_signals().map_err(|error| {
        Failure::new(ExitCode::MachineLacks, "cannot catch signals").because(&error)
    })
}

/// Tells on stderr whom a command waits for.
pub fn tell_wait(err: &Mutex<&mut (dyn Write + Send + '_)>, holders: &str, what: &str) {
    if let Ok(mut err) = err.lock() {
        let holders = escape::line(holders);
        // Whoever closed stderr does not want to be told.
        let _ = writeln!(err, "waiting for {holders}, which {what}").and_then(|()| err.flush());
    }
}

/// Returns where Go's compile cache is.
fn compile_cache(store: &Path, go_cache: Option<&Path>) -> PathBuf {
    go_cache.map_or_else(|| store.join("go-build"), Path::to_owned)
}

/// Opens Go's compile cache.
///
/// # Errors
///
/// Blames the machine if there is no place for it.
pub fn compile_cache_of(console: &Console<'_>) -> Result<CompileCache, Failure> {
    Ok(CompileCache::new(&compile_cache_folder(console)?, own_program()))
}

/// Returns where Go's compile cache is; the store need not be known if that is said.
fn compile_cache_folder(console: &Console<'_>) -> Result<PathBuf, Failure> {
    let settings = &console.settings;
    match &settings.go_cache {
        Some(folder) => Ok(folder.clone()),
        None => Ok(compile_cache(&settings.store()?, None)),
    }
}

/// Returns a path at which this program can be started.
fn own_program() -> PathBuf {
    let program = std::env::current_exe().ok().filter(|it| it.is_file());
    program.unwrap_or_else(|| format!("/proc/{}/exe", std::process::id()).into())
}

/// What came of serving Go's compile cache.
#[derive(Debug)]
pub struct Served {
    /// What the server counted, and what went wrong.
    pub report: Report,
    /// Whether there is no build that passes it on.
    pub is_alone: bool,
}

/// Serves Go's compile cache on stdin and the console's stdout until either ends.
///
/// # Errors
///
/// Blames the machine if there is no place for the cache, the disk if stdin cannot be taken or
/// stdout is closed.
pub fn serve_compile_cache(console: &mut Console<'_>) -> Result<Served, Stopped> {
    let folder = compile_cache_folder(console)?;
    let shelf = match console.environment.get(PENDING) {
        Some(pending) => Shelf::pending(&folder, Path::new(pending)),
        None => Shelf::alone(&folder),
    };
    // A build around it holds the lock itself. Whoever cleans up is waited for, since Go reads the
    // files by itself.
    let patience = Patience { limit: CLEANING, waiting: &|_| {}, stop: &|| false };
    let _lock = shelf.is_alone().then(|| Store::new(&folder).lock(Share::Shared, &patience));
    let shelf = Arc::new(shelf);
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let workers = console.environment.processors.get().clamp(2, 8) + 1;
    let report = serve(input, &mut console.out, &shelf, (DEADLINE, workers))?;
    shelf.leave(&report);
    Ok(Served { report, is_alone: shelf.is_alone() })
}

/// Becomes a program, with the caller's environment, streams and terminal; returns only if it
/// cannot be started, and blames the machine.
#[must_use]
pub fn become_program(program: &Program, console: &Console<'_>) -> Failure {
    let Program { file, arguments, folder } = program;
    let variables = &console.environment.variables;
    let error = process::become_program(file, arguments, variables, folder);
    Failure::new(ExitCode::MachineLacks, format!("cannot start `{}`", file.display()))
        .because(&error)
        .hint("`linkwright verify FILE` says what it needs to start")
}

/// Becomes a program in a sealed root, with the caller's streams and terminal; returns only if it
/// cannot be started.
#[must_use]
pub fn become_sealed(
    program: &Program,
    root: &Root,
    variables: BTreeMap<OsString, OsString>,
    console: &Console<'_>,
) -> Failure {
    let Some(own) = &console.environment.guard else {
        return Failure::new(ExitCode::MachineLacks, "a sealed run needs `/proc`");
    };
    let Program { file, arguments, folder: _ } = program.clone();
    let invocation = Invocation {
        program: file,
        args: arguments,
        env: variables,
        folder: PathBuf::from("/"),
        limit: Duration::MAX,
        most_output: OUTPUT_LIMIT,
    };
    seal::failure(&sealed::become_sealed(root, &invocation, own))
}

/// Reads the linkage of any files, as many at a time as there are [threads](start_threads), and
/// holds each against a policy, if one is named; the answers stand in the order of the files.
///
/// Why a file cannot be read, with an offset where its bytes are at fault, is its answer.
#[must_use]
pub fn inspect_all(
    files: &[PathBuf],
    policy: Option<&Policy>,
) -> Vec<Result<FileFacts, InspectError>> {
    files.par_iter().map(|it| inspect(it, policy)).collect()
}

fn inspect(file: &Path, policy: Option<&Policy>) -> Result<FileFacts, InspectError> {
    let Inspection { linkage, build_info } = inspect_file(file)?;
    let breaches = breaches_of(&linkage, Promise::Any, policy);
    let violations = breaches.iter().map(|it| format!("{} ({})", it.clause, it.rule)).collect();
    Ok(FileFacts { linkage, build_info, policy: policy.map(|it| it.name.clone()), violations })
}

/// Lists the Go modules at and below `folder` and their Go packages, as `go list` sees them.
///
/// # Errors
///
/// Blames the machine if there is no `go`, the input if a module cannot be read.
pub fn go_modules(folder: &Path, console: &Console<'_>) -> Result<Vec<GoModule>, Failure> {
    let machine = machine_of(console)?;
    discover::modules(folder, &machine).map_err(|error| {
        let code = match error {
            GoToolError::Missing
            | GoToolError::TooOld(..)
            | GoToolError::Sdk(_)
            | GoToolError::NoRoom(_)
            | GoToolError::NoThread(_)
            | GoToolError::Unlooked
            | GoToolError::Unreadable(..) => ExitCode::MachineLacks,
            GoToolError::Process(_) | GoToolError::Failed { .. } => ExitCode::BadInput,
        };
        let failure = Failure::new(code, error.to_string());
        match error {
            GoToolError::Missing | GoToolError::TooOld(..) => {
                failure.hint("install Go 1.19 or later and put it on PATH")
            }
            _ => failure,
        }
    })
}

fn machine_of(console: &Console<'_>) -> Result<Machine, Failure> {
    let settings = &console.settings;
    let Environment { variables, guard, .. } = console.environment;
    let caller = (variables, guard.as_ref());
    machine(&settings.store()?, settings.go_cache.as_deref(), caller, false)
}

/// Looks for the tools and places that builds need.
#[must_use]
pub fn machine_facts(rules: &RuleSet, console: &Console<'_>) -> Vec<Fact> {
    let Ok(machine) = machine_of(console) else { return Vec::new() };
    examination::facts(&machine, rules, console)
}

/// Links a small program by each strategy for a platform, this machine's if it is none; verifies
/// and starts it. As many at a time as `--jobs` says, the answers in order.
#[must_use]
pub fn probe_each(
    questions: &[(&Strategy, Option<&str>)],
    rules: &RuleSet,
    console: &Console<'_>,
) -> Vec<CheckOutcome> {
    match machine_of(console) {
        Ok(machine) => {
            let probe =
                |it: &(&Strategy, Option<&str>)| examination::probe(&machine, it.0, it.1, rules);
            in_turn(questions, console.settings.jobs, probe)
        }
        Err(Failure { message: what, .. }) => {
            let (install, packages, detail) = (Vec::new(), Vec::new(), None);
            vec![CheckOutcome::Missing { what, install, packages, detail }; questions.len()]
        }
    }
}

/// Does something for each question, at most `jobs` at a time; the answers are in their order. A
/// pool of rayon's would begin further ones on the stack of one that waits for a pool of its own.
fn in_turn<Q: Sync, A: Send>(
    questions: &[Q],
    jobs: NonZeroUsize,
    answer: impl Fn(&Q) -> A + Sync,
) -> Vec<A> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.get().min(questions.len()) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(question) = questions.get(number) else { break };
                    let answer = answer(question);
                    if let Ok(mut answers) = answers.lock() {
                        answers.insert(number, answer);
                    }
                }
            });
        }
    });
    answers.into_inner().unwrap_or_default().into_values().collect()
}

/// Returns the platforms that targets of the workspace around `folder` name, if it lies in one that
/// can be read; this machine's is left out.
#[must_use]
pub fn platforms_at(folder: &Path) -> BTreeSet<String> {
    let root = workspace::find(folder).ok().map(|it| it.root);
    let Some(declared) = root.and_then(|it| load(&it).ok()) else { return BTreeSet::new() };
    let settings = declared.targets.iter().flat_map(|it| it.rule.go_settings());
    let name = |it: &GoSettings| {
        let platform = &it.platform;
        let level = platform.level.as_ref().map(|it| format!("/{it}")).unwrap_or_default();
        Some(format!("{}/{}{level}", platform.goos.as_ref()?, platform.goarch.as_ref()?))
    };
    settings.filter_map(name).filter(|it| *it != own_platform()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stand_in_the_order_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..40_usize).map(|it| folder.path().join(format!("f{it}"))).collect();
        // No stretch of answers looks like another one; those that take longest stand first.
        let is_there = |at: usize| at * at % 7 < 3 || at > 33;
        for (at, file) in files.iter().enumerate().filter(|(at, _)| is_there(*at)) {
            let text = " ".repeat((40 - at) * 10_000);
            crate::effects::file::write_new(file, text.as_bytes()).unwrap();
        }
        for jobs in [1, 2, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build().unwrap();
            let answers = pool.install(|| inspect_all(&files, None));
            let found: Vec<_> = answers.iter().map(Result::is_ok).collect();
            assert_eq!(found, (0..40).map(is_there).collect::<Vec<_>>());
        }
    }
}
