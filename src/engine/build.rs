//! The pipeline: from targets to a ledger of verified linkage.

use crate::effects::lock::{Busy, Lock, LockError, Patience, Share};
use crate::effects::machine::{Machine, side_by_side};
use crate::effects::outputs::{OutputError, Outputs};
use crate::engine::bundle_job::{self, run_bundle};
use crate::engine::c_dependencies;
use crate::engine::command_job::{files_of, run_command};
use crate::engine::event::{Counts, Event, Sink, State};
use crate::engine::go_job;
use crate::engine::go_unit::Unfit;
use crate::engine::recall::{self, Ended, Seen};
use crate::engine::request::{BuildRequest, Mode};
use crate::engine::scheduler::{self, Outcome};
use crate::engine::session::{Delivered, Recorded, Session, finished};
use crate::model::strategy::RuleSet;
use crate::model::target::{CLibrary, Rule, Target};
use crate::model::targets::Targets;
use crate::plan::record::{BundleRecord, CommandRecord, Ledger, Record};
use crate::words::defect::{Defect, planted};
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use crate::words::problem::Problem;
use petgraph::graph::{DiGraph, NodeIndex};
use rayon::ThreadPool;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

/// Targets in the order of dependencies: edges lead from a target to what needs it.
pub type BuildGraph<'a> = DiGraph<&'a Target, ()>;

/// Why a build could not begin or could not be recorded. What fails inside a build is no error
/// but a result, told by events and by [`Counts::exit_code`].
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The output folder.
    #[error(transparent)]
    Outputs(#[from] OutputError),
    /// Somebody cleans the store.
    #[error(transparent)]
    Locked(Busy),
    /// The run was interrupted while it waited for another one.
    #[error("interrupted")]
    Interrupted,
    /// Patterns that match nothing.
    #[error("{}", .0.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join("; "))]
    NoTarget(Vec<Problem>),
    /// The worker threads could not be started.
    #[error("cannot start worker threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The ledger cannot be written as text.
    #[error("cannot write the ledger as JSON")]
    Ledger(#[from] serde_json::Error),
}

impl From<Vec<Problem>> for BuildError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::NoTarget(problems)
    }
}

/// Builds what `request` asks for.
///
/// # Errors
///
/// Returns [`BuildError`] if the build cannot begin, or its ledger cannot be written.
pub fn build(
    request: &BuildRequest,
    (targets, rules): (&Targets, &RuleSet),
    machine: &Machine,
    sink: Sink<'_>,
) -> Result<Ended, BuildError> {
    let graph = plan(request, targets)?;
    let (outputs, store_lock) = open(request, machine, sink)?;
    let (deliveries, delivered) = mpsc::channel();
    let session =
        Session::new(request, (targets, rules), (machine, outputs.as_ref()), sink, deliveries);
    sink(Event::Started { targets: graph.node_count(), jobs: request.jobs.get() });
    let pool = rayon::ThreadPoolBuilder::new().num_threads(request.jobs.get()).build()?;
    // What the last run wrote of many targets takes a while to read, and `go` takes longer.
    let read_ledger = || outputs.as_ref().map(|it| it.present().read_ledger());
    let parsed =
        || read_ledger().transpose().map(|it| it.flatten().and_then(|it| Ledger::parse(&it)));
    let (old, outcomes) = side_by_side(parsed, || execute(&session, &graph, &pool));
    let seen = Seen::of(&session, graph.node_weights().copied().collect());
    drop(session);
    let results = results(&graph, &outcomes, delivered, sink);
    let counts = count(&results, machine);
    let troubles = machine.store.troubles().into_iter().chain(machine.compile_cache.troubles());
    let troubles: Vec<_> = troubles.collect();
    let mut remembered = None;
    if let Some(outputs) = &outputs {
        let ledger = record((outputs, &request.root), targets, machine, (&results, old?))?;
        if counts.exit_code == 0 && troubles.is_empty() {
            remembered = pool.install(|| {
                recall::remember(request, (machine, outputs), &seen, &results, &ledger)
            });
        }
    }
    // The tests that are run after it learn more, and then all is written once.
    if !request.only_tests {
        machine.save();
    }
    drop(store_lock);
    for message in troubles {
        sink(Event::Warning { label: None, message });
    }
    sink(Event::Done(counts));
    Ok(Ended { counts, remembered })
}

/// Finds the targets that are asked for, and all that they need.
///
/// # Errors
///
/// Returns [`BuildError::NoTarget`] for a pattern that matches nothing.
pub fn plan<'a>(
    request: &BuildRequest,
    targets: &'a Targets,
) -> Result<BuildGraph<'a>, BuildError> {
    // An empty workspace has nothing to build, and that is fine.
    let wanted = if targets.is_empty() { Vec::new() } else { targets.select(&request.patterns)? };
    let mut open: Vec<_> = wanted.iter().filter_map(|it| targets.get(it)).collect();
    if request.only_tests {
        open = tests_among(targets, open);
    }
    let mut needed = vec![false; targets.len()];
    while let Some(target) = open.pop() {
        if let Some(needed) = targets.number(&target.label).and_then(|it| needed.get_mut(it))
            && !std::mem::replace(needed, true)
        {
            open.extend(target.dependencies.iter().filter_map(|it| targets.get(it)));
        }
    }
    let count = needed.iter().filter(|it| **it).count();
    let mut graph = DiGraph::with_capacity(count, count);
    let node = |(target, needed): (&'a Target, bool)| needed.then(|| graph.add_node(target));
    let nodes: Vec<_> = targets.iter().zip(needed).map(node).collect();
    for to in nodes.iter().flatten() {
        for dependency in &graph[*to].dependencies {
            if let Some(from) = targets.number(dependency).and_then(|it| nodes[it]) {
                graph.add_edge(from, *to, ());
            }
        }
    }
    Ok(graph)
}

/// Returns the tests among targets, and among the members of suites.
fn tests_among<'a>(targets: &'a Targets, mut open: Vec<&'a Target>) -> Vec<&'a Target> {
    let (mut tests, mut seen) = (Vec::new(), BTreeSet::new());
    while let Some(target) = open.pop() {
        match &target.rule {
            _ if !seen.insert(&target.label) => {}
            Rule::GoTests(_) => tests.push(target),
            Rule::Suite => open.extend(target.dependencies.iter().filter_map(|it| targets.get(it))),
            _ => {}
        }
    }
    tests
}

/// Locks what a build writes: the output folder alone, the store with other builds. A dry run
/// writes nothing.
fn open(
    request: &BuildRequest,
    machine: &Machine,
    sink: Sink<'_>,
) -> Result<(Option<Outputs>, Vec<Lock>), BuildError> {
    if request.mode == Mode::DryRun {
        return Ok((None, Vec::new()));
    }
    let waiting = |what: &str, holders: &str| {
        let message = format!("waiting for {holders}, which {what}");
        sink(Event::Warning { label: None, message });
    };
    let (limit, stop) = (request.lock_limit, &|| machine.interrupt.is_set());
    let builds = |it: &str| waiting("works on this workspace", it);
    let outputs = Outputs::open(&request.root, &Patience { limit, waiting: &builds, stop })?;
    let cleans = |it: &str| waiting("cleans the store", it);
    let mut locks = Vec::new();
    for store in [&machine.store, machine.compile_cache.store()] {
        let lock = store.lock(Share::Shared, &Patience { limit, waiting: &cleans, stop });
        locks.extend(lock.map_err(|error| match error {
            LockError::Busy(busy) => BuildError::Locked(busy),
            LockError::Stopped => BuildError::Interrupted,
            LockError::Io(..) => unreachable!("invariant: a store that cannot be locked is shared"),
        })?);
    }
    Ok((Some(outputs), locks))
}

/// Runs the graph: commands one by one, Go targets that are ready together.
fn execute(session: &Session<'_>, graph: &BuildGraph<'_>, pool: &ThreadPool) -> Vec<Outcome> {
    let group = |ready: Vec<NodeIndex>| {
        if session.machine.interrupt.is_set() {
            return Vec::new();
        }
        let is_go = |it: &NodeIndex| graph[*it].rule.is_go();
        let (go, others): (Vec<_>, Vec<_>) = ready.into_iter().partition(is_go);
        let mut jobs: Vec<_> = others.into_iter().map(|it| vec![it]).collect();
        jobs.extend((!go.is_empty()).then_some(go));
        jobs
    };
    let work = |job: &[NodeIndex]| {
        let go: Vec<_> = job.iter().map(|it| graph[*it]).filter(|it| it.rule.is_go()).collect();
        let failed = if go.is_empty() { BTreeSet::new() } else { go_job::run(session, &go) };
        let outcome = |node: &NodeIndex| {
            let target = graph[*node];
            let done = match &target.rule {
                Rule::GoBinary(_) | Rule::GoTests(_) => !failed.contains(&target.label),
                Rule::Command(it) => run_command(session, target, it),
                Rule::Bundle(it) => run_bundle(session, target, it),
                Rule::Files(_) => check_files(session, target),
                Rule::CLibrary(it) => check_c_library(session, target, it),
                Rule::PkgConfig(_) | Rule::Suite => true,
            };
            (*node, if done { Outcome::Done } else { Outcome::Failed })
        };
        job.iter().map(outcome).collect()
    };
    // What may need the large stack of a worker is left to one.
    let takes_little = |it: NodeIndex| {
        let rule = &graph[it].rule;
        matches!(rule, Rule::Suite | Rule::PkgConfig(_) | Rule::Files(_) | Rule::Command(_))
    };
    let how = (pool, session.request.after_failure);
    scheduler::run(graph, how, group, takes_little, work)
}

fn check_files(session: &Session<'_>, target: &Target) -> bool {
    match files_of(session, &target.label) {
        Ok(_) => true,
        Err(problems) => {
            let Unfit { error, hints, code } = Unfit::of_problems(problems);
            session.fail(target, error, hints, code);
            false
        }
    }
}

/// What a C library says of its files; whoever links it has it compiled.
fn check_c_library(session: &Session<'_>, target: &Target, library: &CLibrary) -> bool {
    match c_dependencies::check(session, target, library) {
        Ok(()) => true,
        Err(Unfit { error, hints, code }) => {
            session.fail(target, error, hints, code);
            false
        }
    }
}

/// Collects what was delivered, and tells of the targets that were never tried.
fn results(
    graph: &BuildGraph<'_>,
    outcomes: &[Outcome],
    delivered: mpsc::Receiver<Delivered>,
    sink: Sink<'_>,
) -> Vec<Delivered> {
    let mut results: Vec<_> = delivered.into_iter().collect();
    for node in graph.node_indices() {
        let target = graph[node];
        let mut finished = match outcomes[node.index()] {
            Outcome::Done | Outcome::Failed => continue,
            Outcome::Skipped => finished(target, State::Skipped),
            Outcome::Crashed => finished(target, State::Failed),
        };
        if finished.state == State::Failed {
            finished.error = Some("linkwright itself failed here; this is a bug".to_owned());
            finished.exit_code = ExitCode::Bug.number();
        }
        let finished = Arc::new(finished);
        sink(Event::Finished(Arc::clone(&finished)));
        results.push(Delivered { finished, record: None });
    }
    results.sort_by(|a, b| {
        let (a, b) = (&a.finished, &b.finished);
        let packages = a.go_package.cmp(&b.go_package);
        a.label.cmp(&b.label).then(packages).then_with(|| a.platform.cmp(&b.platform))
    });
    results
}

fn count(results: &[Delivered], machine: &Machine) -> Counts {
    let mut counts =
        Counts { go_processes: machine.go_processes.load(Ordering::Relaxed), ..Counts::default() };
    for it in results {
        let counter = match it.finished.state {
            State::Built => &mut counts.built,
            State::Restored => &mut counts.restored,
            State::UpToDate => &mut counts.up_to_date,
            State::Failed => &mut counts.failed,
            State::Skipped => &mut counts.skipped,
        };
        *counter += 1;
    }
    let codes: BTreeSet<u8> =
        results.iter().map(|it| it.finished.exit_code).filter(|it| *it != 0).collect();
    // One cause each; of several, the one that says most about what to do first.
    let order = [
        ExitCode::Bug,
        ExitCode::Interrupted,
        ExitCode::Disk,
        ExitCode::InputsChanged,
        ExitCode::BadInput,
        ExitCode::Refused,
        ExitCode::BuildFailed,
        ExitCode::MachineLacks,
        ExitCode::PromiseBroken,
        ExitCode::NoTests,
    ];
    let first = order.into_iter().map(ExitCode::number).find(|it| codes.contains(it));
    counts.exit_code = first.or_else(|| codes.first().copied()).unwrap_or(0);
    counts.exit_code *= u8::from(!planted(Defect::FailureExitsWithZero));
    if counts.exit_code == 0 && machine.interrupt.is_set() {
        counts.exit_code = ExitCode::Interrupted.number();
    }
    counts
}

/// Writes the ledger: the records of this run, and those of the last one about targets that this
/// run did not touch and whose outputs are still what they say. Returns its text.
fn record(
    (outputs, root): (&Outputs, &Path),
    targets: &Targets,
    machine: &Machine,
    (results, old): (&[Delivered], Option<Ledger>),
) -> Result<String, BuildError> {
    let tried = results.iter().filter(|it| it.finished.state != State::Skipped);
    let touched: BTreeSet<_> = tried.clone().map(|it| it.finished.label.clone()).collect();
    // A target that failed before its outputs were known says nothing about them.
    let unclear: BTreeSet<_> = tried
        .filter(|it| it.finished.state == State::Failed && it.finished.output.is_none())
        .map(|it| it.finished.label.clone())
        .collect();
    let named: BTreeSet<_> = results.iter().filter_map(|it| it.finished.output.clone()).collect();
    let (mut records, mut commands, mut bundles, mut stuck) = (vec![], vec![], vec![], None);
    for it in results.iter().filter_map(|it| it.record.clone()) {
        match it {
            Recorded::Linkage(it) => records.push(*it),
            Recorded::Command(it) => commands.push(*it),
            Recorded::Bundle(it) => bundles.push(*it),
        }
    }
    if let Some(old) = old {
        let holds = |it: &Record| outputs.present().holds(&machine.digests, &it.output, &it.blake3);
        let is_made = |it: &Record| {
            let label = &it.label;
            let is_known = !touched.contains(label) || unclear.contains(label);
            targets.get(label).is_some() && is_known || named.contains(&it.output)
        };
        // What no target makes any more goes, if it is still what we made: its target is gone, or
        // its Go package has no tests now.
        for it in old.records.iter().filter(|it| !is_made(it) && holds(it)) {
            if planted(Defect::KeepLostOutputs) {
                continue;
            }
            match outputs.remove(&it.output) {
                Ok(()) => machine.digests.forget(&outputs.present().place(&it.output)),
                // The ledger goes on to tell of it, so that the next build tries again.
                Err(error) => {
                    records.push(it.clone());
                    stuck = stuck.or(Some(error));
                }
            }
        }
        let kept = |label: &Label| !touched.contains(label) && targets.get(label).is_some();
        records.extend(old.records.into_iter().filter(|it| kept(&it.label) && holds(it)));
        let made = |it: &CommandRecord| {
            let mut outputs = it.outputs.iter();
            outputs.all(|(name, then)| machine.digests.digest(&root.join(name)).ok() == Some(*then))
        };
        commands.extend(old.commands.into_iter().filter(|it| kept(&it.label) && made(it)));
        for it in old.bundles {
            match fate(&it, (outputs, targets, machine), kept(&it.label)) {
                Fate::Kept => bundles.push(it),
                Fate::Forgotten => {}
                Fate::Removed => {
                    if let Err(error) = outputs.remove_all(&it.output) {
                        bundles.push(it);
                        stuck = stuck.or(Some(error));
                    }
                }
            }
        }
    }
    let text = Ledger::new(records, commands, bundles).text()?;
    outputs.write_ledger(&text)?;
    stuck.map_or(Ok(text), |it| Err(it.into()))
}

/// What becomes of a bundle that an earlier run recorded, and its record.
enum Fate {
    Kept,
    Forgotten,
    Removed,
}

/// Decides so; `kept` says that its target is still declared, and was not touched by this run.
fn fate(
    it: &BundleRecord,
    (outputs, targets, machine): (&Outputs, &Targets, &Machine),
    kept: bool,
) -> Fate {
    if !bundle_job::is_in_place(outputs, machine, it) {
        return Fate::Forgotten;
    }
    match targets.get(&it.label).map(|it| &it.rule) {
        Some(Rule::Bundle(now)) if now.output == it.output && kept => Fate::Kept,
        Some(Rule::Bundle(now)) if now.output == it.output => Fate::Forgotten,
        _ => Fate::Removed,
    }
}
