//! Runs lanes in turn for as long as it is told, and writes down what they did.
//!
//! ```text
//! soak --minutes M [--lanes all|NAME,…] [--seed S] [--ledger FILE.jsonl] [--stop yes]
//! soak --lanes NAME --replay SEED [--only 3,7,9]
//! ```

use linkwright_soak::bench::Programs;
use linkwright_soak::lane::{Budget, Lane, Tally};
use linkwright_soak::lanes;
use linkwright_soak::ledger::Ledger;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The longest that one lane goes on before the next one has its turn, for one share.
const TURN: Duration = Duration::from_secs(2);

struct Options {
    minutes: f64,
    lanes: Vec<Box<dyn Lane>>,
    seed: u64,
    ledger: PathBuf,
    replay: Option<u64>,
    only: Option<Vec<usize>>,
    /// Ends with the first violation.
    stops: bool,
}

fn main() -> ExitCode {
    let ended = options(std::env::args().skip(1).collect()).and_then(|it| run(&it));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

fn options(words: Vec<String>) -> Result<Options, String> {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut it = Options {
        minutes: 1.0,
        lanes: lanes::all(),
        seed: clock.map_or(1, |it| it.as_secs()),
        ledger: PathBuf::from("target/soak/ledger.jsonl"),
        replay: None,
        only: None,
        stops: false,
    };
    for pair in words.chunks(2) {
        let [name, value] = pair else { return Err(format!("`{}` needs a value", pair[0])) };
        let number = || value.parse().map_err(|_| format!("`{value}` is no number"));
        match name.as_str() {
            "--minutes" => it.minutes = value.parse().map_err(|_| format!("`{value}`?"))?,
            "--seed" => it.seed = number()?,
            "--replay" => it.replay = Some(number()?),
            "--stop" => it.stops = value == "yes",
            "--ledger" => it.ledger = PathBuf::from(value),
            "--only" => {
                let steps: Result<_, _> = value.split(',').map(str::parse).collect();
                it.only = Some(steps.map_err(|_| format!("`{value}` is no list of numbers"))?);
            }
            "--lanes" if value == "all" => {}
            "--lanes" => {
                let names: Vec<_> = value.split(',').collect();
                it.lanes.retain(|it| names.contains(&it.about().name));
                if it.lanes.len() != names.len() {
                    let known: Vec<_> = lanes::all().iter().map(|it| it.about().name).collect();
                    return Err(format!("the lanes are {}", known.join(", ")));
                }
            }
            _ => return Err(format!("unknown option `{name}`")),
        }
    }
    Ok(it)
}

fn run(options: &Options) -> Result<bool, String> {
    let programs = Programs::find()?;
    if let Some(seed) = options.replay {
        let tallies = options.lanes.iter();
        let tallies: Vec<_> =
            tallies.map(|it| it.replay(&programs, seed, options.only.as_deref())).collect();
        for violation in tallies.iter().flat_map(|it| &it.violations) {
            println!("{violation}");
        }
        let steps: u64 = tallies.iter().map(|it| it.cases).sum();
        println!("{steps} cases");
        return Ok(tallies.iter().all(|it| it.violations.is_empty()));
    }
    let ledger = Ledger::of_this_machine();
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    println!("seed {}", options.seed);
    let mut sums: Vec<(Tally, f64)> = vec![<(Tally, f64)>::default(); options.lanes.len()];
    while Instant::now() < end {
        for (lane, (sum, seconds)) in options.lanes.iter().zip(&mut sums) {
            let left = end.saturating_duration_since(Instant::now());
            let seed = options.seed + sum.seeds;
            let began = Instant::now();
            let budget = Budget::new(u64::MAX, left.min(TURN * lane.about().share));
            let budget = if options.stops { budget.for_one_violation() } else { budget };
            let tally = lane.run(&programs, seed, budget);
            for violation in &tally.violations {
                println!("{violation}");
            }
            let spent = began.elapsed().as_secs_f64();
            let added = ledger.add(&options.ledger, lane.as_ref(), seed, &tally, spent);
            added.map_err(|it| format!("`{}`: {it}", options.ledger.display()))?;
            sum.add(tally);
            *seconds += spent;
            if options.stops && !sum.violations.is_empty() {
                return Ok(false);
            }
        }
    }
    println!(
        "{:<20} {:>5} {:>9} {:>7} {:>8} {:>10}",
        "lane", "go", "cases", "seeds", "seconds", "violations"
    );
    for (lane, (sum, seconds)) in options.lanes.iter().zip(&sums) {
        let (name, go, broken) =
            (lane.about().name, lane.about().toolchain.name(), sum.violations.len());
        println!(
            "{name:<20} {go:>5} {:>9} {:>7} {seconds:>8.0} {broken:>10}",
            sum.cases, sum.seeds
        );
    }
    Ok(sums.iter().all(|(it, _)| it.violations.is_empty()))
}
