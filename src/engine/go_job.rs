//! Builds Go targets together: lists their packages, climbs their ladders, links in batches.
//!
//! ```text
//!   prepare ─▶ list ─▶ expand ─▶ ┌ look:  forecast the next rung of each output
//!                                │ gather: inputs and key of each that may hold
//!                                │ settle: from the store, or
//!                                │ link:   in batches, then settle
//!                                └ until each output verified or has no rung left
//! ```

use crate::effects::digests::Stamps;
use crate::effects::go_tool::GoTool;
use crate::engine::c_build::{self, Archives, Wanted};
use crate::engine::c_dependencies::plan as plan_c;
use crate::engine::event::{Event, State};
use crate::engine::go_advice::advice;
use crate::engine::go_batch::{self, Linked};
use crate::engine::go_inputs::{Gathered, Planned, gather};
use crate::engine::go_look::{another_strategy, expand, look, no_go};
use crate::engine::go_settle::{
    Settled, Weighed, changes, from_store, linked, listing_changes, rewritten, tool_changes, weigh,
};
use crate::engine::go_unit::{Unfit, Unit};
use crate::engine::listing::Listing;
use crate::engine::session::{Delivery, FoundGo, Session, finished};
use crate::engine::smoke::smoke;
use crate::model::go_sdk::GoSdk;
use crate::model::strategy::Promise;
use crate::model::target::Target;
use crate::plan::difference::{Change, changed_lines};
use crate::plan::ladder::Step;
use crate::plan::record::{Attempt, AttemptOutcome};
use crate::words::defect::{Defect, planted};
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How often a link is begun again because its inputs changed meanwhile.
const RESTARTS: usize = 3;

/// Builds `targets`, all of which are Go's; returns the labels of those that did not come out.
#[must_use]
pub fn run(session: &Session<'_>, targets: &[&Target]) -> BTreeSet<Label> {
    let mut job = Job { session, failed: BTreeSet::new() };
    for (pin, targets) in by_pin(targets) {
        let go = session.go(pin);
        match &*go {
            Ok(tool) => {
                let expanded = expand(session, tool, &targets);
                for (target, unfit) in expanded.unfit {
                    job.fail(target, &unfit);
                }
                session.plan(expanded.units.len());
                job.climb((pin, go), expanded.units);
            }
            Err(error) => {
                let unfit = no_go(error);
                for target in targets {
                    job.fail(target, &unfit);
                }
            }
        }
    }
    job.failed
}

/// Sorts Go targets by the toolchain that makes them; the one on PATH comes first.
#[must_use]
pub fn by_pin<'t>(targets: &[&'t Target]) -> BTreeMap<Option<&'t Arc<GoSdk>>, Vec<&'t Target>> {
    let mut sorted: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for target in targets {
        sorted.entry(target.rule.pin()).or_default().push(*target);
    }
    sorted
}

struct Job<'s, 'a> {
    session: &'s Session<'a>,
    failed: BTreeSet<Label>,
}

/// A link that the store does not hold: an output by its number, its plan, and its packages.
type Missing = (usize, Planned, Arc<Listing>);

/// What is to be done about one output after its rung was tried.
struct Tried {
    index: usize,
    rung: usize,
    settled: Settled,
    /// What would help, where that is more than its end says.
    advice: Vec<String>,
}

impl Tried {
    fn new(index: usize, rung: usize, settled: Settled) -> Self {
        Self { index, rung, settled, advice: Vec::new() }
    }
}

impl Job<'_, '_> {
    fn fail(&mut self, target: &Target, unfit: &Unfit) {
        self.failed.insert(target.label.clone());
        self.session.fail(target, unfit.error.clone(), unfit.hints.clone(), unfit.code);
    }

    /// Brings every output to an end.
    fn climb(&mut self, (pin, mut go): (Option<&Arc<GoSdk>>, FoundGo), mut units: Vec<Unit<'_>>) {
        let mut open: BTreeSet<usize> = (0..units.len()).collect();
        while !open.is_empty() {
            let tool = match &*go {
                Ok(tool) => tool,
                Err(error) => {
                    for index in open {
                        let Unfit { error, hints, code } = no_go(error);
                        self.end(&units[index], error, hints, code);
                    }
                    return;
                }
            };
            for (index, unfit) in look(self.session, tool, &mut units, &open) {
                open.remove(&index);
                self.end(&units[index], unfit.error, unfit.hints, unfit.code);
            }
            let stuck = open.iter().copied().filter(|it| units[*it].climb.step() == Step::GiveUp);
            for index in stuck.collect::<Vec<_>>() {
                open.remove(&index);
                self.give_up(tool, &units[index]);
            }
            let (tried, missing) = self.plan_rungs(tool, &units, &open);
            self.take_all(tried, &mut units, &mut open);
            self.link(tool, &mut units, missing, &mut open);
            // Another one, if the toolchain was replaced meanwhile.
            go = self.session.go(pin);
        }
    }

    /// Takes what came of rungs; what failed comes first, so that nobody goes on with the others
    /// before that is known. Tells whether something changed meanwhile.
    fn take_all(
        &mut self,
        mut tried: Vec<Tried>,
        units: &mut [Unit<'_>],
        open: &mut BTreeSet<usize>,
    ) -> bool {
        let changed = tried.iter().any(|it| matches!(it.settled, Settled::Changed(_)));
        tried.sort_by_key(|it| (matches!(it.settled, Settled::Verified(_)), it.index));
        for Tried { index, rung, mut settled, advice } in tried {
            match &mut settled {
                Settled::Verified(proof) => proof.advise(advice),
                _ => units[index].climb.advise(advice),
            }
            if self.take(&mut units[index], rung, settled) {
                open.remove(&index);
            }
        }
        changed
    }

    /// Plans the next rung of each output; returns what the store had, and what is to be linked.
    fn plan_rungs(
        &self,
        go: &GoTool,
        units: &[Unit<'_>],
        open: &BTreeSet<usize>,
    ) -> (Vec<Tried>, Vec<Missing>) {
        let session = self.session;
        let plan = |index: usize| {
            let unit = &units[index];
            let Step::Try(rung) = unit.climb.step() else {
                unreachable!("invariant: an open output has a rung to try")
            };
            let selection = &unit.of.rungs[rung].selection;
            let from = unit.of.choice(selection);
            let Some(listing) = session.listings.listing_of(go, from, &unit.root) else {
                // Another job saw files of the module change and had it forgotten meanwhile. Left
                // as it is, the output would stay open for ever: nothing looks at its rung again.
                return Err(Tried::new(index, rung, Settled::Changed(Vec::new())));
            };
            let gathered = match gather(session, go, unit, rung, &listing) {
                Ok(gathered) => gathered,
                Err(error) => {
                    let settled = Settled::unreadable(session, &error);
                    return Err(Tried::new(index, rung, settled));
                }
            };
            if let Some(settled) = from_store(session, go, unit, &gathered.planned) {
                let advice = advice(unit, &gathered.planned, &listing.graph, &settled);
                return Err(Tried { index, rung, settled, advice });
            }
            let salt = gathered.salt(session, go, unit, &listing);
            let Gathered { mut planned, paths, .. } = gathered;
            planned.salt = salt;
            planned.stamps = Stamps::of(&paths);
            Ok((index, planned, listing))
        };
        let open: Vec<_> = open.iter().copied().collect();
        let plans: Vec<_> = open.into_par_iter().map(plan).collect();
        let (mut tried, mut missing) = (Vec::new(), Vec::new());
        for plan in plans {
            match plan {
                Ok(it) => missing.push(it),
                Err(it) => tried.push(it),
            }
        }
        (tried, missing)
    }

    /// Links what the store does not hold, and takes what comes of it.
    fn link(
        &mut self,
        go: &GoTool,
        units: &mut [Unit<'_>],
        missing: Vec<Missing>,
        open: &mut BTreeSet<usize>,
    ) {
        let session = self.session;
        let listings: BTreeMap<_, _> =
            missing.iter().map(|(index, _, it)| (*index, Arc::clone(it))).collect();
        let links = missing.into_iter().map(|(index, planned, _)| (index, planned)).collect();
        let (links, archives, unmade) = match session.outputs {
            Some(_) => self.with_libraries(units, links),
            None => (links, Archives::new(), Vec::new()),
        };
        let batches = go_batch::sort(go.release, units, links);
        if session.outputs.is_none() {
            for (_, planned) in batches.iter().flat_map(|it| &it.links) {
                planned.c_deps.libraries.iter().for_each(|it| c_build::tell(session, it));
            }
            for batch in &batches {
                batch.tell(session, go, units);
            }
            let told = batches.into_iter().flat_map(|it| it.links);
            let told = told.map(|(index, it)| Tried::new(index, it.rung, Settled::Told)).collect();
            self.take_all(told, units, open);
            return;
        }
        self.take_all(unmade, units, open);
        // Two `go` processes do not wait for each other's packages but compile them twice. So the
        // largest batch runs alone, and those after it find most of theirs compiled.
        let mut batches = batches.into_iter();
        for part in batches.next().map(|it| it.parts(units)).into_iter().flatten() {
            let tried = self.run_batch((go, units), (&listings, &archives), part);
            if self.take_all(tried, units, open) {
                // All is to be planned anew.
                return;
            }
        }
        let run = |batch: go_batch::Batch| {
            let parts = batch.parts(units).into_iter();
            parts.flat_map(|it| self.run_batch((go, units), (&listings, &archives), it))
        };
        let batches = batches.collect::<Vec<_>>().into_par_iter();
        let tried = batches.flat_map_iter(run).collect();
        self.take_all(tried, units, open);
    }

    /// Makes the C libraries that links need, each once; returns the links whose libraries are all
    /// in place, these libraries, and what becomes of the others.
    fn with_libraries(
        &self,
        units: &[Unit<'_>],
        links: Vec<(usize, Planned)>,
    ) -> (Vec<(usize, Planned)>, Archives, Vec<Tried>) {
        let session = self.session;
        let mut wanted: BTreeMap<&Path, Wanted<'_>> = BTreeMap::new();
        for (index, planned) in &links {
            let of = &units[*index].of;
            for library in &planned.c_deps.libraries {
                let place = library.place.as_path();
                let look_again = move || {
                    let now = plan_c(session, of.target, &of.rungs[planned.rung]).ok()?;
                    now.libraries.iter().find(|it| it.place == place).map(|it| it.key)
                };
                wanted.entry(place).or_insert(Wanted {
                    library,
                    paths: &planned.c_deps.paths,
                    look_again: Box::new(look_again),
                });
            }
        }
        let wanted: Vec<_> = wanted.into_values().collect();
        let made = c_build::make_all(session, &wanted);
        drop(wanted);
        let (mut ready, mut unmade) = (Vec::new(), Vec::new());
        for (index, planned) in links {
            let mut places = planned.c_deps.libraries.iter().map(|it| &it.place);
            let not_made = places.find_map(|it| made.get(it)?.as_ref().err());
            match not_made.map(|it| Settled::not_made(session, it)) {
                Some(settled) => unmade.push(Tried::new(index, planned.rung, settled)),
                None => ready.push((index, planned)),
            }
        }
        let archives = made.into_iter().filter_map(|(place, it)| Some((place, it.ok()?))).collect();
        (ready, archives, unmade)
    }

    /// Runs a batch and settles its links. What Go compiled is kept only if the inputs of each of
    /// them are still the same; it counts though a link failed, or was stopped.
    fn run_batch(
        &self,
        (go, units): (&GoTool, &[Unit<'_>]),
        (listings, archives): (&BTreeMap<usize, Arc<Listing>>, &Archives),
        batch: go_batch::Batch,
    ) -> Vec<Tried> {
        let session = self.session;
        let cache = &session.machine.compile_cache;
        let pending = go.begin(session.machine);
        let ended = match &pending {
            Ok(pending) => batch.run(session, go, units, pending),
            Err(error) => vec![batch.no_room(cache.folder(), error.kind().into())],
        };
        // The inputs are looked at again now; what was read of the C side is too old for that.
        session.forget_files();
        let ((tools, own), mut weighed) = rayon::join(
            || {
                rayon::join(
                    || look_at_tools(session, go, archives),
                    || look_at_inputs(session, (go, units), listings, &ended),
                )
            },
            || weigh_all(session, (go, units), &ended),
        );
        // The scratch folder goes with its batch, so its files are settled here.
        let settle = |batch: go_batch::Finished| {
            let weighed = batch.links.iter().map(|it| weighed.remove(&it.0)).collect::<Vec<_>>();
            let links = batch.links.into_par_iter().zip(weighed);
            let settled = links.map(|((index, planned, made), weighed)| {
                let (unit, listing) = (&units[index], &listings[&index]);
                let own = own.get(&index).map(Vec::as_slice).unwrap_or_default();
                let all = || [&tools[..], own].concat();
                let changes = if planted(Defect::NoLookAfter) { Vec::new() } else { all() };
                let same = changes.is_empty();
                let made = (made, weighed);
                let settled = linked(session, go, unit, &planned, changes, made);
                let advice = advice(unit, &planned, &listing.graph, &settled);
                (same, Tried { index, rung: planned.rung, settled, advice })
            });
            settled.collect::<Vec<_>>()
        };
        let settled: Vec<_> = ended.into_iter().flat_map(settle).collect();
        if let Ok(pending) = pending
            && settled.iter().all(|(same, _)| *same)
        {
            pending.promote();
        }
        settled.into_iter().map(|(_, tried)| tried).collect()
    }

    /// Takes what came of a rung; tells whether the output is at its end.
    fn take(&mut self, unit: &mut Unit<'_>, rung: usize, settled: Settled) -> bool {
        let session = self.session;
        let (outcome, reason) = match settled {
            Settled::Verified(proof) => {
                unit.climb.tried(rung, AttemptOutcome::Verified, None);
                self.tell_impossible(unit);
                self.tell(unit, rung, AttemptOutcome::Verified, None);
                let delivery = smoke(session, unit, proof.deliver(unit));
                if delivery.finished.state == State::Failed {
                    self.failed.insert(unit.of.target.label.clone());
                }
                session.deliver(delivery);
                return true;
            }
            Settled::Told => {
                let finished = unit.finished(State::Skipped);
                session.deliver(Delivery { finished, record: None });
                return true;
            }
            Settled::Unfit(unfit) => {
                self.end(unit, unfit.error, unfit.hints, unfit.code);
                return true;
            }
            Settled::Changed(_) if unit.restarts < RESTARTS => {
                unit.restarts += 1;
                session.forget(&unit.of.module);
                unit.climb.again();
                return false;
            }
            Settled::Changed(changes) => {
                let Unfit { error, hints, code } = unsettled(session, unit, &changes);
                self.end(unit, error, hints, code);
                return true;
            }
            Settled::NotAsPromised(reason, hints) => {
                unit.climb.advise(hints.into_iter().map(str::to_owned));
                (AttemptOutcome::NotAsPromised, reason)
            }
            Settled::Failed(reason) => (AttemptOutcome::Failed, reason),
        };
        unit.climb.tried(rung, outcome, Some(reason.clone()));
        self.tell(unit, rung, outcome, Some(reason));
        false
    }

    /// Tells of the rungs that were known before building not to hold.
    fn tell_impossible(&self, unit: &Unit<'_>) {
        let attempts = unit.climb.attempts().into_iter();
        for attempt in attempts.filter(|it| it.outcome == AttemptOutcome::Impossible) {
            let (label, go_package) = (unit.of.target.label.clone(), unit.go_package.clone());
            let platform = unit.platform();
            (self.session.sink)(Event::Attempt { label, go_package, platform, attempt });
        }
    }

    fn tell(&self, unit: &Unit<'_>, rung: usize, outcome: AttemptOutcome, reason: Option<String>) {
        let strategy = unit.of.rungs[rung].strategy.name.clone();
        (self.session.sink)(Event::Attempt {
            label: unit.of.target.label.clone(),
            go_package: unit.go_package.clone(),
            platform: unit.platform(),
            attempt: Attempt { strategy, outcome, reason },
        });
    }

    fn end(&mut self, unit: &Unit<'_>, error: String, hints: Vec<String>, code: ExitCode) {
        self.failed.insert(unit.of.target.label.clone());
        let mut finished = unit.finished(State::Failed);
        finished.error = Some(error);
        finished.hints = hints;
        finished.exit_code = code.number();
        self.session.deliver(Delivery { finished, record: None });
    }

    /// Tells that no rung is left: each attempt with its reason, and the smallest change that
    /// would help.
    fn give_up(&mut self, go: &GoTool, unit: &Unit<'_>) {
        let attempts = unit.climb.attempts();
        self.tell_impossible(unit);
        let ladder = &unit.of.settings.ladder.name;
        let code = unit.climb.exit_code();
        let error = match the_one_reason(&attempts) {
            // What Go itself refuses it refuses by every strategy, in the same words.
            Some(reason) if code == ExitCode::BuildFailed => reason,
            _ => format!("no strategy of `{ladder}` gives what it promises{}", told(&attempts)),
        };
        let mut hints = unit.climb.hints();
        if matches!(code, ExitCode::PromiseBroken | ExitCode::MachineLacks)
            // Where anything is promised a policy was broken, of which nothing is forecast.
            && let Some(promise) = unit.promise().filter(|it| *it != Promise::Any)
        {
            hints.extend(another_strategy(self.session, go, unit, promise));
        }
        self.end(unit, error, hints, code);
    }
}

/// Returns what changed of the Go toolchain, and which C libraries were written since they were
/// made.
fn look_at_tools(session: &Session<'_>, go: &GoTool, archives: &Archives) -> Vec<Change> {
    let mut changes = tool_changes(session, go);
    let disturbed = c_build::disturbed(session, archives).into_iter();
    changes.extend(disturbed.map(|it| rewritten(session, it)));
    changes
}

/// Reads each file that was linked, by the number of its link.
fn weigh_all(
    session: &Session<'_>,
    (go, units): (&GoTool, &[Unit<'_>]),
    ended: &[go_batch::Finished],
) -> BTreeMap<usize, io::Result<Weighed>> {
    let links: Vec<_> = ended.iter().flat_map(|it| &it.links).collect();
    let weigh = |(index, planned, made): &&(usize, Planned, Linked)| {
        let Linked::File { path, text, is_shared: _ } = made else { return None };
        Some((*index, weigh(session, go, &units[*index], planned, (path, text))))
    };
    links.par_iter().filter_map(weigh).collect()
}

/// Returns what changed of the inputs of each link, by its number.
fn look_at_inputs(
    session: &Session<'_>,
    (go, units): (&GoTool, &[Unit<'_>]),
    listings: &BTreeMap<usize, Arc<Listing>>,
    ended: &[go_batch::Finished],
) -> BTreeMap<usize, Vec<Change>> {
    let links: Vec<_> = ended.iter().flat_map(|it| &it.links).collect();
    // Once for all links: each listing may name thousands of folders.
    let mut known: Vec<(&Arc<Listing>, Vec<Change>)> = Vec::new();
    for listing in links.iter().map(|it| &listings[&it.0]) {
        if !known.iter().any(|(it, _)| Arc::ptr_eq(it, listing)) {
            known.push((listing, listing_changes(session, listing)));
        }
    }
    let look = |(index, planned, _): &&(usize, Planned, Linked)| {
        let listing = &listings[index];
        let found = known.iter().find(|(it, _)| Arc::ptr_eq(it, listing));
        let of_listing = found.map(|it| it.1.clone()).unwrap_or_default();
        let own = changes(session, go, &units[*index], planned, listing);
        (*index, [of_listing, own].concat())
    };
    links.par_iter().map(look).collect()
}

impl Unit<'_> {
    /// Returns what the last rung of its ladder promises.
    #[must_use]
    pub fn promise(&self) -> Option<Promise> {
        self.of.settings.ladder.tries.last().map(|it| it.promise)
    }

    /// Returns what is told of the output when it ends in `state`.
    #[must_use]
    pub fn finished(&self, state: State) -> crate::engine::event::Finished {
        let mut finished = finished(self.of.target, state);
        finished.go_package = Some(self.go_package.clone());
        finished.platform = self.platform();
        finished.output = Some(self.output.clone());
        finished.source_folder.clone_from(&self.source_folder);
        finished
    }
}

/// Returns the reason of all attempts, if they have one in common.
fn the_one_reason(attempts: &[Attempt]) -> Option<String> {
    let (first, rest) = attempts.split_first()?;
    let same = rest.iter().all(|it| it.reason == first.reason);
    first.reason.clone().filter(|_| same)
}

/// Returns what is told of an output whose inputs did not settle.
fn unsettled(session: &Session<'_>, unit: &Unit<'_>, changes: &[Change]) -> Unfit {
    let folder = session.relative(&unit.of.module.folder);
    let names = changed_lines(changes);
    Unfit {
        error: format!("files of `{folder}` keep changing while it is built{names}"),
        hints: vec!["build again when the tree is quiet".to_owned()],
        code: ExitCode::InputsChanged,
    }
}

/// Returns the attempts as lines, each with its reason.
fn told(attempts: &[Attempt]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for Attempt { strategy, outcome, reason } in attempts {
        let word = match outcome {
            AttemptOutcome::Verified => "verified",
            AttemptOutcome::NotAsPromised => "built, but not as promised",
            AttemptOutcome::Failed => "failed",
            AttemptOutcome::Impossible => "impossible",
        };
        let reason = reason.as_deref().unwrap_or_default().replace('\n', "\n      ");
        let _ = write!(text, "\n  {strategy}: {word}: {reason}");
    }
    text
}
