//! Measures how long linkwright and its peers take for the same thing, side by side.
//!
//! Machines differ and are busy with other things, so seconds say little: in each round every side
//! has its turn, and what counts is the median of the ratios within rounds.

mod fleet;
pub mod inputs;
pub mod lanes;
mod list;
mod million;
pub mod page;
pub mod plot;

use nix::sys::stat::stat;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The word that makes the program that measures [look at each file](look_at_each) of a list.
pub const LOOK: &str = "look-at-each";

/// One run of one program.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Wall time.
    pub seconds: f64,
    /// The most memory that it, or a process below it, had at once.
    pub mebibytes: f64,
}

/// One of those that are held against each other.
pub struct Side<'a> {
    /// What it is called in the table.
    pub name: String,
    /// Makes things as they are before its turn; not measured.
    pub before: Box<dyn Fn() + 'a>,
    /// What is measured: processes, one after the other.
    pub commands: Vec<Command>,
}

/// What came of one side.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The side.
    pub name: String,
    /// The median of its runs.
    pub median: Taken,
    /// The median, over rounds, of the first side's time divided by its time.
    pub ratio: f64,
}

/// Rows of one question.
#[derive(Debug, Clone)]
pub struct Table {
    /// The lane.
    pub lane: &'static str,
    /// What was done, a sentence.
    pub title: String,
    /// The first is linkwright.
    pub rows: Vec<Outcome>,
    /// How many times.
    pub rounds: usize,
}

/// Times against a number of targets.
#[derive(Debug, Clone)]
pub struct Curve {
    /// The side.
    pub name: String,
    /// Number of targets, and what was taken.
    pub points: Vec<(f64, Taken)>,
}

impl Side<'_> {
    /// Makes a side that needs nothing before its turn.
    #[must_use]
    pub fn new(name: &str, commands: Vec<Command>) -> Self {
        Self { name: name.to_owned(), before: Box::new(|| ()), commands }
    }
}

/// Gives every side its turn `rounds` times, in their order, the first among them linkwright.
///
/// # Errors
///
/// Says which command failed, and what it printed.
pub fn race(
    lane: &'static str,
    title: &str,
    rounds: usize,
    sides: &mut [Side<'_>],
) -> Result<Table, String> {
    race_from(lane, title, (rounds, |_| 0), sides)
}

/// Gives every side its turn `rounds` times, each round begun by another one: where a side takes
/// minutes, what the one before it did to the machine, and what it left to be written, shows.
///
/// # Errors
///
/// As [`race`].
pub fn race_turned(
    lane: &'static str,
    title: &str,
    rounds: usize,
    sides: &mut [Side<'_>],
) -> Result<Table, String> {
    race_from(lane, title, (rounds, |round| round), sides)
}

fn race_from(
    lane: &'static str,
    title: &str,
    (rounds, first): (usize, fn(usize) -> usize),
    sides: &mut [Side<'_>],
) -> Result<Table, String> {
    let mut taken = vec![Vec::new(); sides.len()];
    for round in 0..rounds {
        let mut order: Vec<_> = sides.iter_mut().zip(&mut taken).collect();
        let count = order.len();
        order.rotate_left(first(round) % count);
        for (side, taken) in order {
            (side.before)();
            let mut sum = Taken { seconds: 0.0, mebibytes: 0.0 };
            for command in &mut side.commands {
                let one = take(command).map_err(|it| format!("{}: {it}", side.name))?;
                sum.seconds += one.seconds;
                sum.mebibytes = sum.mebibytes.max(one.mebibytes);
            }
            eprintln!(
                "{lane}: round {} of {rounds}: {}: {:.4} s",
                round + 1,
                side.name,
                sum.seconds
            );
            taken.push(sum);
        }
    }
    let ratios = |it: &[Taken]| {
        let pairs = taken[0].iter().zip(it);
        median(pairs.map(|(ours, theirs)| ours.seconds / theirs.seconds).collect())
    };
    let outcome = |(side, runs): (&Side<'_>, &Vec<Taken>)| Outcome {
        name: side.name.clone(),
        median: Taken {
            seconds: median(runs.iter().map(|it| it.seconds).collect()),
            mebibytes: median(runs.iter().map(|it| it.mebibytes).collect()),
        },
        ratio: ratios(runs),
    };
    let rows = sides.iter().zip(&taken).map(outcome).collect();
    Ok(Table { lane, title: title.to_owned(), rows, rounds })
}

/// Runs a command below a process that measures it alone.
///
/// # Errors
///
/// Says what it printed if it failed.
pub fn take(command: &Command) -> Result<Taken, String> {
    let own = std::env::current_exe().map_err(|it| it.to_string())?;
    let mut outer = Command::new(own);
    outer.arg("one-run").arg(command.get_program()).args(command.get_args());
    outer.stdin(Stdio::null()).env_clear();
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    let output = outer.output().map_err(|it| it.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace().filter_map(|it| it.parse().ok());
    match (output.status.success(), words.next(), words.next()) {
        (true, Some(seconds), Some(mebibytes)) => Ok(Taken { seconds, mebibytes }),
        _ => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The measuring process: runs the words, says what it took; returns its exit code.
#[must_use]
pub fn one_run(words: &[String]) -> i32 {
    let Some((program, arguments)) = words.split_first() else { return 2 };
    let mut command = Command::new(Path::new(program));
    command.args(arguments).stdout(Stdio::null()).stdin(Stdio::null());
    let began = Instant::now();
    let status = command.status();
    let seconds = began.elapsed().as_secs_f64();
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 KiB")]
    let mebibytes = usage.map_or(0.0, |it| it.max_rss() as f64 / 1024.0);
    println!("{seconds} {mebibytes}");
    status.ok().and_then(|it| it.code()).unwrap_or(3)
}

/// Looks at each file that `list` names, a line each, with as many threads as there are processors,
/// and does no more: a floor for whoever has to look at all of them.
///
/// # Errors
///
/// Says which file is not there.
pub fn look_at_each(list: &Path) -> Result<(), String> {
    let names = fs::read_to_string(list).map_err(|it| it.to_string())?;
    let names: Vec<_> = names.lines().collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let missing = std::thread::scope(|scope| {
        let parts = names.chunks(names.len().div_ceil(threads).max(1));
        let first = |part: &[&'_ str]| {
            part.iter().find(|it| stat(**it).is_err()).map(|it| (*it).to_owned())
        };
        let looks: Vec<_> = parts.map(|part| scope.spawn(move || first(part))).collect();
        looks.into_iter().find_map(|it| it.join().unwrap())
    });
    missing.map_or(Ok(()), |it| Err(format!("`{it}` is not there")))
}

/// Returns the one in the middle; of two, their mean.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(it), _) => *it,
        (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_each_file_misses_none() {
        let folder = tempfile::tempdir().unwrap();
        let (list, last) = (folder.path().join("list"), folder.path().join("last"));
        fs::write(&last, "").unwrap();
        fs::write(&list, format!("{}\n", list.display()).repeat(100) + &last.to_string_lossy())
            .unwrap();
        assert_eq!(look_at_each(&list), Ok(()));
        fs::remove_file(&last).unwrap();
        assert_eq!(look_at_each(&list), Err(format!("`{}` is not there", last.display())));
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
