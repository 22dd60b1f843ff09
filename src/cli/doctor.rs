//! `linkwright doctor`: which strategies can work on this machine, and for which platforms, tried.

use crate::cli::console::{Console, Stopped};
use crate::cli::rooms;
use crate::effects::go_sdk::own_platform;
use crate::model::platform;
use crate::model::strategy::{RuleSet, Strategy};
use crate::report::doctor::{Check, CheckOutcome, Diagnosis, write_text};
use crate::report::failure::Failure;
use crate::report::reporter::write_json_line;
use crate::words::exit_code::ExitCode;
use std::sync::Arc;

/// Say which strategies can work on this machine, and what to install
///
/// Looks for the tools, links a small program by each strategy for this machine and for the
/// platforms of the workspace's targets, and starts it. Exits with 36 if none works, or, where
/// strategies are named, if one of these does not, here or for a platform that is named.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct DoctorArgs {
    /// Strategies or ladders to try (without any: every strategy)
    #[arg(value_name = "STRATEGY")]
    pub strategies: Vec<String>,

    /// Try for this platform: linux/arm64 (repeatable; without any: this machine's, and those of
    /// the workspace's targets)
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs `doctor`.
///
/// # Errors
///
/// Blames the input for an unknown strategy.
pub fn run(args: DoctorArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let rules = rooms::rules_at(&console.settings.folder)?;
    let strategies = chosen(&args.strategies, &rules)?;
    let facts = rooms::machine_facts(&rules, console);
    let platforms = platforms(&args.platform, console)?;
    let strategies = try_each(&strategies, &platforms, |it| rooms::probe_each(it, &rules, console));
    let diagnosis = Diagnosis { facts, strategies };
    if args.json {
        write_json_line(&diagnosis, console.out)?;
    } else {
        write_text(&diagnosis, console.settings.out_paint, console.out)?;
    }
    let counts = if args.platform.is_empty() { Counted::Own } else { Counted::All };
    Ok(verdict(&diagnosis, args.strategies.is_empty(), counts).number())
}

/// Returns the strategies that `names` mean, each once, in the order named; all of them, by name,
/// if none is named.
fn chosen(names: &[String], rules: &RuleSet) -> Result<Vec<Arc<Strategy>>, Failure> {
    if names.is_empty() {
        return Ok(rules.strategies.values().cloned().collect());
    }
    let mut chosen: Vec<Arc<Strategy>> = Vec::new();
    for name in names {
        let ladder = rules.ladder(name).ok_or_else(|| {
            let known: Vec<&str> = rules.strategies.keys().map(String::as_str).collect();
            Failure::new(ExitCode::BadInput, format!("no strategy is called `{name}`"))
                .hint(format!("the strategies are {}", known.join(", ")))
        })?;
        for strategy in &ladder.tries {
            if !chosen.iter().any(|it| it.name == strategy.name) {
                chosen.push(Arc::clone(strategy));
            }
        }
    }
    Ok(chosen)
}

/// Returns the platforms to try; `None` is this machine's.
fn platforms(named: &[String], console: &Console<'_>) -> Result<Vec<Option<String>>, Failure> {
    if named.is_empty() {
        let others = rooms::platforms_at(&console.settings.folder).into_iter().map(Some);
        return Ok(std::iter::once(None).chain(others).collect());
    }
    let mut platforms = Vec::new();
    for name in named {
        let known = platform::parse(name);
        known.map_err(|it| Failure::new(ExitCode::BadInput, it.message).hint(it.hint))?;
        let platform = Some(name.clone()).filter(|it| *it != own_platform());
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

/// Probes each strategy for each platform.
fn try_each(
    strategies: &[Arc<Strategy>],
    platforms: &[Option<String>],
    probe: impl FnOnce(&[(&Strategy, Option<&str>)]) -> Vec<CheckOutcome>,
) -> Vec<Check> {
    let all = strategies.iter().flat_map(|it| platforms.iter().map(move |of| (&**it, of)));
    let questions: Vec<_> = all.map(|(strategy, of)| (strategy, of.as_deref())).collect();
    let outcomes = probe(&questions);
    let check = |((strategy, platform), outcome): (&(&Strategy, Option<&str>), _)| Check {
        strategy: strategy.name.clone(),
        platform: platform.map_or_else(own_platform, str::to_owned),
        outcome,
    };
    questions.iter().zip(outcomes).map(check).collect()
}

/// Which checks decide the exit code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Those for this machine.
    Own,
    /// All.
    All,
}

fn verdict(diagnosis: &Diagnosis, asked_for_any: bool, counted: Counted) -> ExitCode {
    let own = own_platform();
    let mut checks = diagnosis.strategies.iter();
    let counts = |it: &&Check| counted == Counted::All || it.platform == own;
    let fine = if asked_for_any {
        checks.any(Check::works)
    } else {
        checks.filter(counts).all(Check::works)
    };
    if fine { ExitCode::Done } else { ExitCode::MachineLacks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::strategy::{Ladder, Promise};

    fn rules() -> RuleSet {
        let strategy = |name: &str| {
            Arc::new(Strategy {
                name: name.to_owned(),
                promise: Promise::Static,
                ..Strategy::default()
            })
        };
        let mut rules = RuleSet::default();
        for name in ["netgo", "pure", "static_musl"] {
            rules.strategies.insert(name.to_owned(), strategy(name));
        }
        let tries = vec![strategy("netgo"), strategy("pure")];
        let ladder = Ladder { name: "static".to_owned(), doc: String::new(), tries };
        rules.ladders.insert("static".to_owned(), Arc::new(ladder));
        rules
    }

    fn outcome(name: &str, of: Option<&str>) -> CheckOutcome {
        if name == "static_musl" || of.is_some() {
            let (what, install, packages) = (String::new(), vec![], vec![]);
            return CheckOutcome::Missing { what, install, packages, detail: None };
        }
        CheckOutcome::Works { detail: String::new() }
    }

    fn diagnose(names: &[&str]) -> (Vec<String>, ExitCode) {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let platforms = [None, Some("plan9/386".to_owned())];
        let strategies = try_each(&chosen(&names, &rules()).unwrap(), &platforms, |all| {
            all.iter().map(|(it, of)| outcome(&it.name, *of)).collect()
        });
        let tried = strategies.iter().step_by(2).map(|it| it.strategy.clone()).collect();
        let diagnosis = Diagnosis { facts: vec![], strategies };
        assert!(names.is_empty() || verdict(&diagnosis, false, Counted::All) != ExitCode::Done);
        (tried, verdict(&diagnosis, names.is_empty(), Counted::Own))
    }

    #[test]
    fn a_strategy_that_is_asked_for_must_work() {
        let all = ["netgo", "pure", "static_musl"].map(str::to_owned).to_vec();
        assert_eq!(diagnose(&[]), (all.clone(), ExitCode::Done));
        assert_eq!(diagnose(&["pure", "static"]).1, ExitCode::Done);
        assert_eq!(diagnose(&["static", "static_musl"]), (all, ExitCode::MachineLacks));
        assert!(chosen(&["mulsl".to_owned()], &rules()).is_err());
    }
}
