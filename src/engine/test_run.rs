//! The test binaries that a build makes, run in parallel and while others are built.

use crate::effects::globs::expand_target;
use crate::effects::machine::Machine;
use crate::engine::event::{Event, Finished, Sink, State, TestCounts, TestFinished};
use crate::engine::request::{AfterFailure, BuildRequest, Mode, Shard, TestRequest};
use crate::engine::test_job::{Judged, TestBinary, TestSession};
use crate::engine::test_told::unknown;
use crate::formats::cover_profile::Profile;
use crate::model::target::Target;
use crate::model::targets::Targets;
use crate::plan::test_account::{CaseOutcome, Outcome};
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use crate::words::problem::Problem;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// Runs test binaries as a build makes them.
///
/// `build` is given where to put what it tells of each. Those of a part of all are run after it,
/// since which these are depends on the names of all. Returns what `build` did, and how the tests
/// ended, sorted.
///
/// # Errors
///
/// Returns the system's error if it gives no thread.
pub fn run_while<T>(
    (request, tests): (&BuildRequest, &TestRequest),
    targets: &Targets,
    machine: &Machine,
    sink: Sink<'_>,
    build: impl FnOnce(&Queue<'_>) -> T,
) -> io::Result<(T, Vec<Judged>)> {
    let session = TestSession { root: &request.root, request: tests, machine, sink };
    let (give, take) = mpsc::channel();
    let closed = AtomicBool::new(request.mode != Mode::Build);
    let queue = Queue {
        give,
        targets,
        request,
        shard: tests.shard,
        closed: &closed,
        held: Mutex::default(),
    };
    let (take, judged) = (Mutex::new(take), Mutex::new(Vec::new()));
    let work = || {
        // Whoever waits for the next one has the lock.
        while let Some(built) = take.lock().ok().and_then(|it| it.recv().ok()) {
            if closed.load(Ordering::SeqCst) {
                continue;
            }
            let it = judge(&session, targets, &built);
            sink(Event::TestFinished(Box::new(it.finished.clone())));
            if let Ok(mut judged) = judged.lock() {
                judged.push(it);
            }
        }
    };
    let done = thread::scope(|scope| {
        // It goes with this, however this ends, and all who wait for it end.
        let queue = queue;
        for _ in 0..request.jobs.get() {
            thread::Builder::new().spawn_scoped(scope, work)?;
        }
        let done = build(&queue);
        queue.end();
        Ok::<_, io::Error>(done)
    })?;
    let mut judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    judged.sort_by(|a, b| key(&a.finished).cmp(&key(&b.finished)));
    Ok((done, judged))
}

/// What a build puts test binaries into.
pub struct Queue<'a> {
    give: mpsc::Sender<Finished>,
    targets: &'a Targets,
    request: &'a BuildRequest,
    shard: Option<Shard>,
    /// Nothing more is to be run.
    closed: &'a AtomicBool,
    held: Mutex<Held>,
}

/// What is not given on.
#[derive(Default)]
struct Held {
    /// Those of which a part is to be run.
    all: Vec<Finished>,
    /// Targets whose data was looked for.
    known: BTreeSet<Label>,
}

impl Queue<'_> {
    /// Gives what a build told of one output to whoever runs it. After a failure, where the build
    /// does not go on after one, and where `data` is missing, nothing more is run.
    pub fn put(&self, built: &Finished) {
        let Ok(mut held) = self.held.lock() else { return };
        let goes_on = self.request.after_failure == AfterFailure::KeepGoing;
        let is_first = built.rule == "go_tests" && held.known.insert(built.label.clone());
        let lacks_data = |it: &Target| expand_target(&self.request.root, it).is_err();
        let is_wrong = is_first && self.targets.get(&built.label).is_some_and(lacks_data);
        if is_wrong || built.state == State::Failed && !goes_on {
            self.closed.store(true, Ordering::SeqCst);
        }
        match self.shard {
            _ if built.rule != "go_tests" => {}
            Some(_) => held.all.push(built.clone()),
            // Those who take are there until the queue ends.
            None => drop(self.give.send(built.clone())),
        }
    }

    fn end(self) {
        let held = self.held.into_inner().unwrap_or_else(PoisonError::into_inner);
        for it in shard(&held.all, self.shard) {
            let _ = self.give.send(it.clone());
        }
    }
}

fn judge(session: &TestSession<'_>, targets: &Targets, built: &Finished) -> Judged {
    let target = targets.get(&built.label);
    let binary = target.and_then(|target| TestBinary::of(session.root, target, built));
    match binary {
        _ if session.machine.interrupt.is_set() => not_run(built, "interrupted").into(),
        Some(binary) if !matches!(built.state, State::Failed | State::Skipped) => {
            binary.judge(session)
        }
        _ => not_run(built, "it was not built").into(),
    }
}

fn key(it: &TestFinished) -> (&Label, &str, &Option<String>) {
    (&it.label, &it.go_package, &it.platform)
}

/// Returns what is wrong with `data` of the targets of which there are test binaries.
#[must_use]
pub fn wrong_data(root: &Path, targets: &Targets, built: &[Finished]) -> Vec<Problem> {
    let labels: BTreeSet<_> = built.iter().map(|it| &it.label).collect();
    let targets = labels.into_iter().filter_map(|it| targets.get(it));
    targets.filter_map(|it| expand_target(root, it).err()).flatten().collect()
}

fn not_run(built: &Finished, reason: &str) -> TestFinished {
    TestFinished { reason: Some(reason.to_owned()), ..unknown(built) }
}

/// Returns what all test binaries counted together; `None` if none of them counts.
///
/// # Errors
///
/// Returns the file of which they counted different texts.
pub fn profile(finished: &[TestFinished]) -> Result<Option<Profile>, String> {
    let mut profiles = finished.iter().filter_map(|it| it.profile.as_deref());
    let Some(mut all) = profiles.next().cloned() else { return Ok(None) };
    profiles.try_for_each(|it| all.merge(it))?;
    Ok(Some(all))
}

/// Returns every `count`th of the test binaries, sorted by name: which one is where depends on the
/// names alone.
#[must_use]
pub fn shard(built: &[Finished], shard: Option<Shard>) -> Vec<&Finished> {
    let mut sorted: Vec<_> = built.iter().collect();
    sorted.sort_by_key(|it| (&it.label, &it.go_package, &it.platform));
    let Some(Shard { index, count }) = shard else { return sorted };
    let own = sorted.into_iter().enumerate().filter(|it| it.0 % count.get() + 1 == index);
    own.map(|it| it.1).collect()
}

impl TestCounts {
    /// Counts.
    #[must_use]
    pub fn of(finished: &[TestFinished]) -> Self {
        let coverage = profile(finished).ok().flatten().map(|it| it.coverage());
        let mut counts = Self { coverage, ..Self::default() };
        for it in finished {
            counts.kept += usize::from(it.kept);
            counts.flaky += usize::from(it.flaky);
            let counter = match it.outcome {
                Outcome::Passed => &mut counts.passed,
                Outcome::NoTests => &mut counts.without_tests,
                Outcome::NotRun => &mut counts.not_run,
                _ => &mut counts.failed,
            };
            *counter += 1;
            for case in &it.cases {
                let counter = match case.outcome {
                    CaseOutcome::Passed => &mut counts.cases_passed,
                    CaseOutcome::Skipped => &mut counts.cases_skipped,
                    CaseOutcome::Failed | CaseOutcome::Unfinished => &mut counts.cases_failed,
                };
                *counter += 1;
            }
        }
        counts
    }

    /// Returns the exit code of a run of tests after a build that ended with `build`.
    #[must_use]
    pub fn exit_code(&self, build: ExitCode, interrupted: bool) -> ExitCode {
        match build {
            _ if interrupted => ExitCode::Interrupted,
            // A target without tests is no reason to fail where others have some.
            ExitCode::NoTests | ExitCode::Done if self.failed > 0 => ExitCode::TestFailed,
            ExitCode::Done if self.not_run > 0 => ExitCode::MachineLacks,
            ExitCode::Done if self.passed == 0 => ExitCode::NoTests,
            other => other,
        }
    }
}
