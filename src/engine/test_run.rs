//! The test binaries that a build has made, run in parallel.

use crate::effects::globs::expand_target;
use crate::effects::machine::Machine;
use crate::engine::event::{Event, Finished, Sink, State, TestCounts, TestFinished};
use crate::engine::request::{BuildRequest, Shard, TestRequest};
use crate::engine::test_job::{Judged, TestBinary, TestSession};
use crate::engine::test_told::unknown;
use crate::formats::cover_profile::Profile;
use crate::model::targets::Targets;
use crate::plan::test_account::{CaseOutcome, Outcome};
use crate::words::exit_code::ExitCode;
use crate::words::problem::Problem;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

/// Runs the test binaries among `built`, those of the shard; returns how they ended, sorted.
///
/// # Errors
///
/// Returns rayon's error if the worker threads cannot be started.
pub fn run(
    (build, request): (&BuildRequest, &TestRequest),
    targets: &Targets,
    machine: &Machine,
    (built, last_step): (&[Finished], usize),
    sink: Sink<'_>,
) -> Result<Vec<Judged>, rayon::ThreadPoolBuildError> {
    let session = TestSession {
        root: &build.root,
        request,
        machine,
        sink,
        steps: AtomicUsize::new(last_step),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(build.jobs.get()).build()?;
    let built = shard(built, request.shard);
    let judge = |it: &&Finished| {
        let binary =
            targets.get(&it.label).and_then(|target| TestBinary::of(&build.root, target, it));
        let judged = match binary {
            _ if machine.interrupt.is_set() => not_run(it, "interrupted").into(),
            Some(binary) if !matches!(it.state, State::Failed | State::Skipped) => {
                binary.judge(&session)
            }
            _ => not_run(it, "it was not built").into(),
        };
        sink(Event::TestFinished(Box::new(judged.finished.clone())));
        judged
    };
    let judged = pool.install(|| built.par_iter().with_max_len(1).map(judge).collect());
    machine.save();
    Ok(judged)
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
