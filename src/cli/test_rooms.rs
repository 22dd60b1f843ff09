//! What `test` asks of the rooms below: a build, and then its test binaries, run or listed.

use crate::cli::rooms::{Declared, code_of, load, machine_for, no_build, no_threads, of_problems};
use crate::effects::machine::Machine;
use crate::engine::build;
use crate::engine::event::{Counts, Event, Finished, Sink, TestCounts, TestFinished};
use crate::engine::recall::{recall, told_again};
use crate::engine::request::{AfterFailure, BuildRequest, Mode, TestRequest};
use crate::engine::test_list::{self, Listed};
use crate::engine::test_recall::{self, Recalled};
use crate::engine::test_run::{self, Queue};
use crate::report::failure::Failure;
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use std::sync::{Mutex, PoisonError};

/// What came of a run of tests.
#[derive(Debug)]
pub struct Tested {
    /// The exit code.
    pub code: ExitCode,
    /// The test binaries, sorted.
    pub finished: Vec<TestFinished>,
    /// The counts; those of the build too.
    pub counts: Counts,
}

/// What is remembered of a build for its tests.
#[derive(Default)]
struct Heard {
    built: Vec<Finished>,
    counts: Counts,
    /// The digest of what is remembered of the build, if it is.
    remembered: Option<Digest>,
}

/// Builds test binaries and runs them. The last event is the caller's to tell.
///
/// # Errors
///
/// Says why the build could not begin or go on, or the tests could not be run.
pub fn test(
    request: &BuildRequest,
    tests: &TestRequest,
    sink: Sink<'_>,
) -> Result<Tested, Failure> {
    let recalled = match test_recall::recall(request, tests, sink) {
        Recalled::Told(counts, finished) => {
            return Ok(Tested::of((ExitCode::Done, counts), finished, false));
        }
        other => other,
    };
    let (machine, declared) = (machine_for(request)?, load(&request.root)?);
    let targets = &declared.targets;
    let build = |queue: &Queue<'_>| {
        build_tests((request, recalled), (&machine, &declared), &|it| queue.put(it), sink)
    };
    let ran = test_run::run_while((request, tests), targets, &machine, sink, build);
    let (built, judged) = ran.map_err(|it| no_threads(&it))?;
    let (code, Heard { built, counts, remembered }) = built?;
    let goes_on = code == ExitCode::Done || request.after_failure == AfterFailure::KeepGoing;
    if goes_on && code != ExitCode::Interrupted {
        check_data(request, &declared, &built)?;
    }
    machine.save();
    if judged.is_empty() && (!goes_on || request.mode != Mode::Build) {
        return Ok(Tested { code, finished: Vec::new(), counts });
    }
    if machine.store.troubles().is_empty()
        && let Some(build) = remembered
    {
        test_recall::remember((request, tests), (targets, &machine), build, &judged);
    }
    for message in machine.store.troubles() {
        sink(Event::Warning { label: None, message });
    }
    let finished = judged.into_iter().map(|it| it.finished).collect();
    Ok(Tested::of((code, counts), finished, machine.interrupt.is_set()))
}

impl Tested {
    /// Judges tests that were run after a build with these counts.
    fn of((code, counts): (ExitCode, Counts), finished: Vec<TestFinished>, ends: bool) -> Self {
        let of_tests = TestCounts::of(&finished);
        let code = of_tests.exit_code(code, ends);
        let counts = Counts { tests: Some(of_tests), exit_code: code.number(), ..counts };
        Self { code, finished, counts }
    }
}

/// Checks what the tests declare to read, before any of them runs.
fn check_data(
    request: &BuildRequest,
    declared: &Declared,
    built: &[Finished],
) -> Result<(), Failure> {
    let problems = test_run::wrong_data(&request.root, &declared.targets, built);
    if problems.is_empty() { Ok(()) } else { Err(of_problems(problems)) }
}

/// Tells whether any of the tests that are asked for counts what it runs.
///
/// # Errors
///
/// Blames the input for what is wrong in rule files, or for patterns that match nothing.
pub fn covers(request: &BuildRequest) -> Result<bool, Failure> {
    let targets = load(&request.root)?.targets;
    let graph = build::plan(request, &targets).map_err(|it| no_build(&it))?;
    let mut tests = graph.node_weights().filter_map(|it| it.rule.tests());
    Ok(tests.any(|it| it.cover.is_some()))
}

/// Builds test binaries, and remembers what was told of them; all that is built is given to `put`.
/// The last event is held back.
fn build_tests(
    (request, recalled): (&BuildRequest, Recalled),
    (machine, declared): (&Machine, &Declared),
    put: &(dyn Fn(&Finished) + Sync),
    sink: Sink<'_>,
) -> Result<(ExitCode, Heard), Failure> {
    let heard = Mutex::new(Heard::default());
    let hear = |event| {
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        match &event {
            Event::Finished(it) => {
                heard.built.extend((it.rule == "go_tests").then(|| it.as_ref().clone()));
                drop(heard);
                put(it);
                return sink(event);
            }
            Event::Done(counts) => {
                heard.counts = *counts;
                return;
            }
            _ => {}
        }
        drop(heard);
        sink(event);
    };
    let (code, remembered) = build_with(request, machine, declared, recalled, &hear)?;
    let heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((code, Heard { remembered, ..heard }))
}

/// Builds on a machine that is ready and from rules that are read; returns with
/// the code the digest of what is remembered, if the build is. `recalled` is what a look at the
/// last run showed, if there was one.
///
/// # Errors
///
/// Says why the build could not begin or go on.
fn build_with(
    request: &BuildRequest,
    machine: &Machine,
    Declared { targets, rules }: &Declared,
    recalled: Recalled,
    sink: Sink<'_>,
) -> Result<(ExitCode, Option<Digest>), Failure> {
    let told = match recalled {
        Recalled::Unasked => recall(request, sink),
        Recalled::Build(held) => held.and_then(|it| told_again(request, it, sink)),
        Recalled::Told(..) => unreachable!("invariant: what was told is not built"),
    };
    let ended = match told {
        Some(ended) => ended,
        None => {
            build::build(request, (targets, rules), machine, sink).map_err(|it| no_build(&it))?
        }
    };
    Ok((code_of(&ended.counts), ended.remembered))
}

/// Builds test binaries and asks each for its tests.
///
/// # Errors
///
/// Says why the build could not begin or go on, or the binaries could not be asked.
pub fn list_tests(
    request: &BuildRequest,
    tests: &TestRequest,
    sink: Sink<'_>,
) -> Result<(ExitCode, Vec<Listed>), Failure> {
    let (machine, declared) = (machine_for(request)?, load(&request.root)?);
    let request_of_build = (request, Recalled::Unasked);
    let (code, Heard { built, .. }) =
        build_tests(request_of_build, (&machine, &declared), &|_| {}, sink)?;
    machine.save();
    if code == ExitCode::Interrupted {
        return Ok((code, Vec::new()));
    }
    check_data(request, &declared, &built)?;
    let targets = &declared.targets;
    let listed = test_list::list((request, tests), targets, &machine, &built, sink);
    let listed = listed.map_err(|it| no_threads(&it))?;
    let code = match code {
        _ if machine.interrupt.is_set() => ExitCode::Interrupted,
        ExitCode::Done if listed.is_empty() => ExitCode::NoTests,
        ExitCode::Done => {
            let codes = [ExitCode::TestFailed, ExitCode::MachineLacks, ExitCode::BuildFailed];
            let any = |code: &ExitCode| listed.iter().any(|it| it.code == *code);
            codes.into_iter().find(any).unwrap_or(ExitCode::Done)
        }
        other => other,
    };
    Ok((code, listed))
}
