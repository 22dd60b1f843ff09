//! `linkwright doctor`: which strategies can work on this machine, tried.

use crate::cli::console::{Console, Stopped};
use crate::cli::rooms;
use crate::model::strategy::{RuleSet, Strategy};
use crate::report::doctor::{Check, CheckOutcome, Diagnosis, write_text};
use crate::report::failure::Failure;
use crate::report::reporter::write_json_line;
use crate::words::exit_code::ExitCode;
use std::sync::Arc;

/// Say which strategies can work on this machine, and what to install
///
/// Looks for the tools, and links a small program by each strategy. Exits with 36 if none works,
/// or, where strategies are named, if one of these does not.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct DoctorArgs {
    /// Strategies or ladders to try (without any: every strategy)
    #[arg(value_name = "STRATEGY")]
    pub strategies: Vec<String>,

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
    let strategies = try_each(&strategies, |it| rooms::probe(it, &rules, console));
    let diagnosis = Diagnosis { facts, strategies };
    if args.json {
        write_json_line(&diagnosis, console.out)?;
    } else {
        write_text(&diagnosis, console.settings.out_paint, console.out)?;
    }
    Ok(verdict(&diagnosis, args.strategies.is_empty()).number())
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

/// Probes each strategy.
fn try_each(strategies: &[Arc<Strategy>], probe: impl Fn(&Strategy) -> CheckOutcome) -> Vec<Check> {
    let check = |it: &Arc<Strategy>| Check { strategy: it.name.clone(), outcome: probe(it) };
    strategies.iter().map(check).collect()
}

fn verdict(diagnosis: &Diagnosis, asked_for_any: bool) -> ExitCode {
    let fine = if asked_for_any { diagnosis.any_works() } else { diagnosis.all_work() };
    if fine { ExitCode::Done } else { ExitCode::MachineLacks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::strategy::{BuildMode, Cgo, Ladder, LinkMode, Promise};

    fn rules() -> RuleSet {
        let strategy = |name: &str| {
            Arc::new(Strategy {
                name: name.to_owned(),
                doc: String::new(),
                cgo: Cgo::Auto,
                tags: vec![],
                linkmode: LinkMode::Auto,
                buildmode: BuildMode::Default,
                race: false,
                toolchains: vec![],
                linker: None,
                ldflags: vec![],
                extldflags: vec![],
                go_flags: vec![],
                needs: vec![],
                promise: Promise::Static,
                glibc_max: None,
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

    fn diagnose(names: &[&str]) -> (Vec<String>, ExitCode) {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        let strategies = try_each(&chosen(&names, &rules()).unwrap(), |it| match &*it.name {
            "static_musl" => {
                CheckOutcome::Missing { what: String::new(), packages: vec![], detail: None }
            }
            _ => CheckOutcome::Works { detail: String::new() },
        });
        let tried = strategies.iter().map(|it| it.strategy.clone()).collect();
        let diagnosis = Diagnosis { facts: vec![], strategies };
        (tried, verdict(&diagnosis, names.is_empty()))
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
