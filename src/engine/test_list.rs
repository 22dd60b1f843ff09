//! Which test binaries there are, and which tests each has: its own answer, given by the verified
//! file where it can be started.

use crate::effects::machine::Machine;
use crate::effects::process::ProcessError;
use crate::effects::sealed::SealedError;
use crate::effects::test_process::{self, Scratch, TestCommand};
use crate::engine::event::{Event, Finished, Sink, State};
use crate::engine::request::{BuildRequest, TestRequest};
use crate::engine::test_job::TestBinary;
use crate::engine::test_root::{Unrun, is_foreign};
use crate::engine::test_run::shard;
use crate::formats::test_names::{TestName, TestNames};
use crate::model::targets::Targets;
use crate::plan::test_account::{Outcome, ProcessEnd};
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use crate::words::path::RelPath;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// Asks for every name, and runs nothing but what initialises the packages.
const QUESTION: &str = "-test.list=.*";

/// One test binary, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed {
    /// The target.
    pub label: Label,
    /// The Go package; null if the target failed before its packages were known.
    pub go_package: Option<String>,
    /// The platform, as `linux/arm/7`; null where the target names none.
    pub platform: Option<String>,
    /// Path below `linkwright-out/`.
    pub output: Option<RelPath>,
    /// The folder of its sources: relative to the workspace root if it lies below, else absolute.
    pub source_folder: Option<String>,
    /// The class that its bytes show.
    pub class: Option<String>,
    /// The strategy that verified.
    pub strategy: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Its tests in Go's order: tests, benchmarks, fuzz tests, examples. Null if it could not be
    /// asked.
    pub tests: Option<Vec<TestName>>,
    /// Why it could not be asked.
    pub reason: Option<String>,
    /// Whether that is a failure: it was not built, or did not answer. One for another platform
    /// cannot.
    pub failed: bool,
    /// The exit code that it alone would give.
    #[serde(skip)]
    pub code: ExitCode,
}

/// Why a binary was not asked.
struct Unasked {
    reason: String,
    code: ExitCode,
}

impl From<Unrun> for Unasked {
    fn from(unrun: Unrun) -> Self {
        let is_machines = unrun.outcome == Outcome::NotRun;
        let code = if is_machines { ExitCode::MachineLacks } else { ExitCode::TestFailed };
        Self { reason: unrun.reason, code }
    }
}

/// Asks each of the test binaries among `built`, those of the shard; the answers are sorted.
///
/// # Errors
///
/// Returns rayon's error if the worker threads cannot be started.
pub fn list(
    (build, request): (&BuildRequest, &TestRequest),
    targets: &Targets,
    machine: &Machine,
    built: &[Finished],
    sink: Sink<'_>,
) -> Result<Vec<Listed>, rayon::ThreadPoolBuildError> {
    let ask = |it: &&Finished| {
        let target = targets.get(&it.label);
        let binary = target.and_then(|target| TestBinary::of(&build.root, target, it));
        let answer = match binary {
            Some(binary) if !matches!(it.state, State::Failed | State::Skipped) => {
                let step = machine.next_step();
                ask(&binary, request, (machine, &build.root), (step, sink))
            }
            _ => {
                let reason = "it was not built".to_owned();
                Err(Unasked { reason, code: ExitCode::BuildFailed })
            }
        };
        listed(it, answer)
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(build.jobs.get()).build()?;
    let chosen = shard(built, request.shard);
    Ok(pool.install(|| chosen.par_iter().with_max_len(1).map(ask).collect()))
}

fn listed(built: &Finished, answer: Result<Vec<TestName>, Unasked>) -> Listed {
    let (tests, unasked) = match answer {
        Ok(tests) => (Some(tests), None),
        Err(unasked) => (None, Some(unasked)),
    };
    Listed {
        label: built.label.clone(),
        go_package: built.go_package.clone(),
        platform: built.platform.clone(),
        output: built.output.clone(),
        source_folder: built.source_folder.clone(),
        class: built.class.clone(),
        strategy: built.strategy.clone(),
        size: built.size,
        tests,
        failed: unasked.as_ref().is_some_and(|it| it.code != ExitCode::Done),
        code: unasked.as_ref().map_or(ExitCode::Done, |it| it.code),
        reason: unasked.map(|it| it.reason),
    }
}

fn ask(
    binary: &TestBinary<'_>,
    request: &TestRequest,
    (machine, root): (&Machine, &Path),
    (step, sink): (usize, Sink<'_>),
) -> Result<Vec<TestName>, Unasked> {
    let bad = |reason: String| Unasked { reason, code: ExitCode::TestFailed };
    let no_folder = |it| Unrun::from(format!("cannot make a folder for it: {it}"));
    let scratch = Scratch::new(machine).map_err(no_folder)?;
    let sealed = binary.own_root(root, request)?;
    let (env, folder) = binary.surroundings(machine, sealed.as_ref());
    let command = TestCommand {
        program: binary.program.clone(),
        args: vec![QUESTION.into()],
        env,
        folder: folder.to_owned(),
        root: sealed.as_ref().map(|it| it.0.clone()),
        limit: binary.limit(request),
    };
    let program = binary.program.strip_prefix(root).unwrap_or(&binary.program);
    let (what, folder) = (format!("list the tests of {}", binary.go_package), ".".to_owned());
    let argv = vec![program.to_string_lossy().into_owned(), QUESTION.to_owned()];
    sink(Event::StepStarted { step, what, argv, env: Vec::new(), folder });
    let mut names = TestNames::default();
    let ended = test_process::run(machine, &command, &scratch, &mut |bytes| names.feed(bytes));
    let answer = match ended {
        Ok(ended) => match (ended.end, names.finish()) {
            (ProcessEnd::Code(0), Some(names)) => Ok(names),
            (ProcessEnd::Code(0), None) => Err(bad("it lists tests without end".to_owned())),
            (end, _) => Err(bad(format!("asked for its tests, it {}", told(end)))),
        },
        Err(SealedError::Process(ProcessError::Spawn { source, .. })) if is_foreign(&source) => {
            let reason = "it is built for another platform".to_owned();
            Err(Unasked { reason, code: ExitCode::Done })
        }
        Err(error) => Err(Unrun::of(&error).into()),
    };
    sink(Event::StepFinished { step, ok: answer.is_ok() });
    answer
}

fn told(end: ProcessEnd) -> String {
    match end {
        ProcessEnd::Code(code) => format!("ended with code {code}"),
        ProcessEnd::Signal(signal) => format!("was ended by signal {signal}"),
        ProcessEnd::OutOfTime(limit) => format!("did not end within {} s", limit.as_secs_f64()),
    }
}
