//! Says what a build would do with one target, and why; builds nothing and writes no output.
//!
//! The outputs are found, forecast and gathered by the same functions as in a build. Where a build
//! would link, this stops; where it would take a file from the store, the file's bytes are held
//! against promise and policy, since they decide whether the next rung is tried.

use crate::effects::go_tool::GoTool;
use crate::effects::machine::Machine;
use crate::effects::outputs::Present;
use crate::effects::store::Store;
use crate::engine::build::{BuildError, plan};
use crate::engine::bundle_job::{self, foretold};
use crate::engine::command_job::{self, inputs_now};
use crate::engine::event::{Finished, State};
use crate::engine::go_advice::{dynamic_clause, imports_dynamic};
use crate::engine::go_inputs::{Planned, gather};
use crate::engine::go_job::by_pin;
use crate::engine::go_look::{another_strategy, expand, listing_for, look, no_go};
use crate::engine::go_settle::{Made, Settled, prove};
use crate::engine::go_unit::{Rung, Unfit, Unit};
use crate::engine::request::BuildRequest;
use crate::engine::session::{Session, finished};
use crate::formats::linkage::Class;
use crate::model::strategy::{Promise, RuleSet};
use crate::model::target::{Bundle, Command, Rule, Target};
use crate::model::targets::Targets;
use crate::plan::difference::{Change, of_bundles, of_commands, of_links};
use crate::plan::explanation::{
    DynamicBecause, Explanation, LastInputs, OutputExplanation, Prospect,
};
use crate::plan::ladder::Step;
use crate::plan::predict::dynamic_cause;
use crate::plan::record::{Attempt, AttemptOutcome, Ledger, Record};
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use crate::words::path::RelPath;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc;

/// Why nothing can be said of a target.
#[derive(Debug, thiserror::Error)]
pub enum WhyError {
    /// The question cannot be asked.
    #[error(transparent)]
    Plan(#[from] BuildError),
    /// The target cannot be looked at.
    #[error("{}", .0.error)]
    Unfit(Unfit),
}

/// Says of the one target that `request` asks for what a build would do with it, and why.
///
/// # Errors
///
/// Returns [`WhyError`] if it is no target that makes something, or cannot be looked at.
pub fn why(
    request: &BuildRequest,
    (targets, rules): (&Targets, &RuleSet),
    machine: &Machine,
) -> Result<Explanation, WhyError> {
    let asked = targets.select(&request.patterns).map_err(BuildError::from)?;
    let [label] = asked.as_slice() else {
        let error = "`why` takes one target".to_owned();
        return Err(unfit(error, "name it as `//dir:name`"));
    };
    let graph = plan(request, targets)?;
    let needed: Vec<&Target> = graph.node_weights().copied().collect();
    let (deliveries, _) = mpsc::channel();
    let session = Session::new(request, (targets, rules), (machine, None), &|_| {}, deliveries);
    let present = Present::of(&request.root);
    let ledger = present.read_ledger().map_err(BuildError::from)?;
    let ledger = ledger.and_then(|it| Ledger::parse(&it));
    let asking = Asking { session: &session, present, ledger };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(request.jobs.get()).build();
    let explained = pool.map_err(BuildError::from)?.install(|| asking.explain(label, &needed));
    machine.save();
    explained
}

struct Asking<'s, 'a> {
    session: &'s Session<'a>,
    present: Present,
    ledger: Option<Ledger>,
}

/// What a build would do with one output.
struct Found {
    state: Prospect,
    /// The rung that it would take, or the last one that it tried, as planned.
    planned: Option<Planned>,
}

/// What is said of Go targets.
#[derive(Default)]
struct Explained {
    outputs: BTreeMap<Label, Result<Vec<OutputExplanation>, Unfit>>,
    /// Their test binaries with digests, as far as they are known.
    tests: TestBinaries,
}

/// The test binaries of targets, with their digests, sorted by Go package.
type TestBinaries = BTreeMap<Label, Vec<(Finished, Digest)>>;

/// What is known of the next rung of an output.
struct Tried {
    planned: Option<Planned>,
    /// What a build would do by it, or why it would go on to the next.
    came: Result<Prospect, Broken>,
}

/// Why a rung does not hold.
struct Broken {
    rung: usize,
    outcome: AttemptOutcome,
    reason: String,
}

impl Asking<'_, '_> {
    fn explain(&self, label: &Label, needed: &[&Target]) -> Result<Explanation, WhyError> {
        let mut after = Vec::new();
        let mut outputs = None;
        let go: Vec<_> = needed.iter().copied().filter(|it| it.rule.is_go()).collect();
        let (bundles, others): (Vec<&Target>, Vec<&Target>) =
            needed.iter().partition(|it| matches!(it.rule, Rule::Bundle(_)));
        let bundled = bundles.iter().flat_map(|it| &it.dependencies).collect();
        let mut explained = self.go_outputs(&go, &bundled);
        // What is in a bundle is known after its tests.
        for target in others.into_iter().chain(bundles) {
            let own = match &target.rule {
                Rule::GoBinary(_) | Rule::GoTests(_) => {
                    explained.outputs.remove(&target.label).unwrap_or_else(|| Ok(Vec::new()))
                }
                Rule::Command(it) => self.command(target, it).map(|it| vec![it]),
                Rule::Bundle(it) => {
                    let tests = (&explained.tests, after.as_slice());
                    self.bundle(target, it, tests).map(|it| vec![it])
                }
                _ if target.label == *label => Err(no_output(target)),
                _ => continue,
            };
            if target.label == *label {
                outputs = Some(own.map_err(WhyError::Unfit)?);
            } else if own.map_or(true, |it| it.iter().any(|it| it.state != Prospect::UpToDate)) {
                after.push(target.label.clone());
            }
        }
        after.sort();
        Ok(Explanation::new(label.clone(), after, outputs.unwrap_or_default()))
    }

    /// Explains the outputs of Go targets, all together; the test binaries of those in `bundled`
    /// are told too.
    fn go_outputs(&self, targets: &[&Target], bundled: &BTreeSet<&Label>) -> Explained {
        let mut explained = Explained::default();
        for (pin, targets) in by_pin(targets) {
            let go = self.session.go(pin);
            match &*go {
                Ok(go) => self.explain_outputs(go, (&targets, bundled), &mut explained),
                Err(error) => {
                    let all = targets.iter().map(|it| (it.label.clone(), Err(no_go(error))));
                    explained.outputs.extend(all);
                }
            }
        }
        for tests in explained.tests.values_mut() {
            tests.sort_by(|a, b| a.0.go_package.cmp(&b.0.go_package));
        }
        explained
    }

    /// Explains the outputs of Go targets that one toolchain makes.
    fn explain_outputs(
        &self,
        go: &GoTool,
        (targets, bundled): (&[&Target], &BTreeSet<&Label>),
        explained: &mut Explained,
    ) {
        let mut expanded = expand(self.session, go, targets);
        let found = self.climb(go, &mut expanded.units);
        for (unit, found) in expanded.units.iter().zip(&found) {
            let label = &unit.of.target.label;
            if bundled.contains(label)
                && let Some(test) = self.test(go, unit, found)
            {
                explained.tests.entry(label.clone()).or_default().push(test);
            }
        }
        let units: Vec<_> = expanded.units.iter().zip(found).collect();
        let outputs: Vec<_> =
            units.into_par_iter().map(|(unit, found)| self.output(go, unit, found)).collect();
        for (unit, output) in expanded.units.iter().zip(outputs) {
            let label = unit.of.target.label.clone();
            let own = explained.outputs.entry(label).or_insert_with(|| Ok(Vec::new()));
            if let Ok(own) = own {
                own.push(output);
            }
        }
        for (target, unfit) in expanded.unfit {
            explained.outputs.insert(target.label.clone(), Err(unfit));
        }
    }

    /// Climbs the ladder of each output as far as a build could without linking.
    fn climb(&self, go: &GoTool, units: &mut [Unit<'_>]) -> Vec<Found> {
        let mut open: BTreeSet<usize> = (0..units.len()).collect();
        let found = || Found { state: Prospect::WouldFail, planned: None };
        let mut all: Vec<Found> = units.iter().map(|_| found()).collect();
        while !open.is_empty() {
            look(self.session, go, units, &open);
            let numbers: Vec<_> = open.iter().copied().collect();
            let tried: Vec<_> =
                numbers.par_iter().map(|it| (*it, self.tried(go, &units[*it]))).collect();
            for (index, Tried { planned, came }) in tried {
                all[index].planned = planned.or(all[index].planned.take());
                match came {
                    Ok(state) => {
                        all[index].state = state;
                        open.remove(&index);
                    }
                    Err(Broken { rung, outcome, reason }) => {
                        units[index].climb.tried(rung, outcome, Some(reason));
                    }
                }
            }
        }
        all
    }

    /// Looks at the next rung of an output.
    fn tried(&self, go: &GoTool, unit: &Unit<'_>) -> Tried {
        let Step::Try(rung) = unit.climb.step() else {
            return Tried { planned: None, came: Ok(Prospect::WouldFail) };
        };
        let failed = |reason: String| {
            let outcome = AttemptOutcome::Failed;
            Tried { planned: None, came: Err(Broken { rung, outcome, reason }) }
        };
        let Some(listing) = listing_for(self.session, go, unit, &unit.of.rungs[rung]) else {
            return failed("its Go packages cannot be listed".to_owned());
        };
        match gather(self.session, go, unit, rung, &listing) {
            Ok(it) => Tried { came: self.prospect(unit, &it.planned), planned: Some(it.planned) },
            Err(error) => failed(error.to_string()),
        }
    }

    /// Says what a build would do with a planned link.
    fn prospect(&self, unit: &Unit<'_>, planned: &Planned) -> Result<Prospect, Broken> {
        let machine = self.session.machine;
        let Some(made) = machine.store.action::<Made>(&planned.key) else {
            return Ok(Prospect::WouldBeBuilt);
        };
        let rung = planned.rung;
        let broken = |outcome, reason| Err(Broken { rung, outcome, reason });
        let held = |file: &Path, state| match prove(unit, planned, file, &made.hazards) {
            Ok(_) => Ok(state),
            Err(Settled::NotAsPromised(reason, _)) => broken(AttemptOutcome::NotAsPromised, reason),
            Err(Settled::Failed(reason)) => broken(AttemptOutcome::Failed, reason),
            Err(_) => Ok(Prospect::WouldBeBuilt),
        };
        if self.present.holds(&machine.digests, &unit.output, &made.blake3) {
            return held(&self.present.place(&unit.output), Prospect::UpToDate);
        }
        match restored(machine, &made.blake3) {
            Some((scratch, name)) => held(&scratch.path().join(name), Prospect::WouldBeRestored),
            None => Ok(Prospect::WouldBeBuilt),
        }
    }

    /// Finds the last record of an output.
    fn record(&self, unit: &Unit<'_>) -> Option<&Record> {
        let mut records = self.ledger.iter().flat_map(|it| &it.records);
        let label = &unit.of.target.label;
        let platform = unit.platform();
        records.find(|it| {
            // A target that lists none makes one output, whatever it was for the last time.
            let same = it.platform == platform || !unit.of.settings.platform.is_listed;
            it.label == *label && it.go_package == unit.go_package && same
        })
    }

    /// Returns a test binary as a bundle would hold it: as a build would find it made, else as it
    /// was recorded; `None` where there is neither.
    fn test(&self, go: &GoTool, unit: &Unit<'_>, found: &Found) -> Option<(Finished, Digest)> {
        let source_folder = Some(unit.source_folder.clone()?);
        let made = |it: &Planned| self.session.machine.store.action::<Made>(&it.key);
        let digest = match found.planned.as_ref().and_then(made) {
            Some(made) => made.blake3,
            None => self.record(unit)?.blake3,
        };
        let finished = Finished {
            go_package: Some(unit.go_package.clone()),
            output: Some(unit.output.clone()),
            source_folder,
            go: Some(go.version.clone()),
            ..finished(unit.of.target, State::UpToDate)
        };
        Some((finished, digest))
    }

    fn output(&self, go: &GoTool, unit: &Unit<'_>, found: Found) -> OutputExplanation {
        let record = self.record(unit);
        let made = record.map(|it| self.session.machine.store.action::<Made>(&it.key));
        let (last_inputs, changes) = match (record, made, &found.planned) {
            (Some(record), Some(Some(made)), Some(planned)) => {
                let mut changes = of_links(&made.inputs, &planned.inputs);
                changes.extend(rule_changes(record, unit, &unit.of.rungs[planned.rung]));
                changes.sort();
                (LastInputs::Known, changes)
            }
            (Some(_), Some(None), _) => (LastInputs::Lost, Vec::new()),
            (Some(_), _, None) => (LastInputs::Known, Vec::new()),
            (None, ..) | (_, None, _) => (LastInputs::NoRecord, Vec::new()),
        };
        let taken = found.planned.as_ref().filter(|_| found.state != Prospect::WouldFail);
        let strategy = taken.map(|it| unit.of.rungs[it.rung].strategy.name.clone());
        OutputExplanation {
            go_package: Some(unit.go_package.clone()),
            platform: unit.platform(),
            output: Some(unit.output.clone()),
            state: found.state,
            last_inputs,
            changes,
            attempts: record.map(|it| it.attempts.clone()).unwrap_or_default(),
            forecasts: unit.climb.attempts(),
            left_out: record.map(|it| it.left_out.clone()).unwrap_or_default(),
            dynamic_because: self.dynamic_because(go, unit, record, strategy.as_deref()),
            strategy,
        }
    }

    /// Says what makes the recorded file dynamic, or else what makes the first strategy so that
    /// broke its promise or is forecast to.
    fn dynamic_because(
        &self,
        go: &GoTool,
        unit: &Unit<'_>,
        record: Option<&Record>,
        taken: Option<&str>,
    ) -> Option<DynamicBecause> {
        let asks = |it: &&Record| matches!(it.linkage.class, Class::Dynamic | Class::NeedsLoader);
        let dynamic = record.filter(asks);
        let broken = |it: &Attempt| match it.outcome {
            AttemptOutcome::NotAsPromised => true,
            AttemptOutcome::Impossible => unit.climb.is_postponed(&it.strategy),
            AttemptOutcome::Verified | AttemptOutcome::Failed => false,
        };
        let recorded = record.map(|it| it.attempts.clone()).unwrap_or_default();
        let name = match dynamic {
            Some(it) => it.strategy.clone(),
            None => unit.climb.attempts().into_iter().chain(recorded).find(broken)?.strategy,
        };
        let rung = unit.of.rungs.iter().find(|it| it.strategy.name == name)?;
        let listing = listing_for(self.session, go, unit, rung)?;
        let cause = dynamic_cause(&rung.strategy, &rung.selection, &listing.graph, &unit.root);
        let (chain, reason) = match (cause, dynamic) {
            (Some(it), _) => (it.chain, it.rule.as_str().to_owned()),
            (None, Some(record)) => {
                if let Some((chain, library)) = imports_dynamic(&listing.graph, &unit.root) {
                    let reason = dynamic_clause(&chain, &library);
                    (chain, reason)
                } else {
                    let chain = listing.graph.chain_to_cgo(&unit.root).unwrap_or_default();
                    (chain, format!("it needs `{}`", record.linkage.needed.join("`, `")))
                }
            }
            (None, None) => return None,
        };
        let wanted = match rung.strategy.promise {
            Promise::Any | Promise::LibcOnly => Promise::Static,
            other => other,
        };
        let change = match taken.filter(|it| *it != name) {
            Some(it) => Some(format!("strategy `{it}` of the same ladder is taken instead")),
            None => another_strategy(self.session, go, unit, wanted),
        };
        let package = chain.last().cloned();
        Some(DynamicBecause { strategy: name, chain, package, reason, change })
    }

    fn command(&self, target: &Target, command: &Command) -> Result<OutputExplanation, Unfit> {
        let machine = self.session.machine;
        let root = &self.session.request.root;
        let inputs = inputs_now(self.session, target, command)?;
        let made = machine.store.action::<command_job::Made>(&inputs.key());
        let digests = made.as_ref().map(|it| it.outputs.iter()).into_iter().flatten();
        let state = digests.map(|(name, (digest, _))| {
            if machine.digests.digest(&root.join(name)).ok() == Some(*digest) {
                Prospect::UpToDate
            } else if restored(machine, digest).is_some() {
                Prospect::WouldBeRestored
            } else {
                Prospect::WouldBeBuilt
            }
        });
        let state = state.max().unwrap_or(Prospect::WouldBeBuilt);
        let mut records = self.ledger.iter().flat_map(|it| &it.commands);
        let record = records.find(|it| it.label == target.label);
        let last = record.map(|it| &it.key);
        let changes = |it: &command_job::Made| of_commands(&it.inputs, &inputs);
        Ok(unlinked(None, state, compared(&machine.store, last, changes)))
    }

    fn bundle(
        &self,
        target: &Target,
        bundle: &Bundle,
        (tests, after): (&TestBinaries, &[Label]),
    ) -> Result<OutputExplanation, Unfit> {
        let output = Some(bundle.output.clone());
        let is_known = bundle.tests.iter().any(|it| tests.contains_key(it));
        if !is_known && bundle.tests.iter().any(|it| after.contains(it)) {
            // Which test binaries there are, those will show.
            let unknown = (LastInputs::NoRecord, Vec::new());
            return Ok(unlinked(output, Prospect::WouldBeBuilt, unknown));
        }
        let tests_of = |it: &Label| tests.get(it).cloned().unwrap_or_default();
        let (state, inputs) = foretold(self.session, (target, bundle), &tests_of)?;
        let mut records = self.ledger.iter().flat_map(|it| &it.bundles);
        let last = records.find(|it| it.label == target.label).map(|it| &it.key);
        let changes = |it: &bundle_job::Made| of_bundles(&it.inputs, &inputs);
        let store = &self.session.machine.store;
        Ok(unlinked(output, state, compared(store, last, changes)))
    }
}

/// Compares what the store keeps under the key of the last record, if there is one, with what is
/// now.
fn compared<M: DeserializeOwned>(
    store: &Store,
    last: Option<&Digest>,
    changes: impl FnOnce(&M) -> Vec<Change>,
) -> (LastInputs, Vec<Change>) {
    let Some(key) = last else { return (LastInputs::NoRecord, Vec::new()) };
    match store.action(key) {
        Some(last) => (LastInputs::Known, changes(&last)),
        None => (LastInputs::Lost, Vec::new()),
    }
}

/// Says what is said of an output that nothing links.
fn unlinked(
    output: Option<RelPath>,
    state: Prospect,
    (last_inputs, changes): (LastInputs, Vec<Change>),
) -> OutputExplanation {
    OutputExplanation {
        go_package: None,
        platform: None,
        output,
        state,
        strategy: None,
        last_inputs,
        changes,
        attempts: Vec::new(),
        forecasts: Vec::new(),
        dynamic_because: None,
        left_out: Vec::new(),
    }
}

/// What changed of the rules behind an output, which its inputs do not show by name.
fn rule_changes(record: &Record, unit: &Unit<'_>, rung: &Rung) -> Vec<Change> {
    let policy = unit.of.settings.policy.as_ref().map(|it| it.name.clone());
    let rules = [
        ("strategy", Some(record.strategy.clone()), Some(rung.strategy.name.clone())),
        ("policy", record.policy.clone(), policy),
    ];
    let changed = rules.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(input, old, new)| Change { input: input.to_owned(), old, new }).collect()
}

/// Takes a blob out of the store to be looked at; the folder and the file in it go with the value.
fn restored(machine: &Machine, digest: &Digest) -> Option<(tempfile::TempDir, &'static str)> {
    let scratch = tempfile::Builder::new().prefix("linkwright-why-").tempdir().ok()?;
    let file = scratch.path().join("output");
    machine.store.restore(digest, &file, 0o444).ok()?;
    Some((scratch, "output"))
}

fn unfit(error: String, hint: &str) -> WhyError {
    WhyError::Unfit(Unfit { error, hints: vec![hint.to_owned()], code: ExitCode::BadInput })
}

fn no_output(target: &Target) -> Unfit {
    let Target { label, rule, dependencies, .. } = target;
    let hints = dependencies.iter().map(|it| format!("ask `linkwright why {it}`"));
    Unfit {
        error: format!("`{label}` is a `{}`, of which nothing is made", rule.kind()),
        hints: hints.take(3).collect(),
        code: ExitCode::BadInput,
    }
}
