//! How many instructions a run takes in which nothing changed: they repeat where seconds do not.

use linkwright_soak::bench::{Programs, Run};
use linkwright_soak::pace::inputs::generated;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The most instructions for each target more, of five files: a third more than when this was
/// written. The program is one without optimisation.
const MOST_FOR_A_TARGET: u64 = 248_000;

/// The most for a workspace of [`FEW`] targets: likewise.
const MOST_FOR_FEW: u64 = 32_200_000;

const FEW: usize = 100;
const MANY: usize = 300;

/// Counts the instructions of a run in a workspace of `targets` programs in which nothing changed.
fn instructions(programs: &Programs, valgrind: &Path, targets: usize) -> u64 {
    let bench = generated(programs, targets);
    for _ in 0..2 {
        assert_eq!(bench.build().code, Some(0));
        // What is remembered must be older than a tick of the file system's clock.
        std::thread::sleep(Duration::from_millis(300));
    }
    let plain = bench.command(&["build", "--json", "--keep-going", "--jobs", "1"]);
    let mut counted = Command::new(valgrind);
    counted.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    counted.arg(plain.get_program()).args(plain.get_args()).current_dir(bench.root()).env_clear();
    counted.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = counted.output().unwrap();
    let run = Run::of(&output);
    assert_eq!(run.count("go_processes"), 0, "nothing changed: {}", run.told());
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|it| it.split_once("Collected : "));
    let number = line.and_then(|it| it.1.trim().parse().ok());
    number.unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn a_run_in_which_nothing_changed_takes_few_instructions_for_each_target() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let valgrind =
        std::env::split_paths(&path).map(|it| it.join("valgrind")).find(|it| it.is_file());
    assert!(valgrind.is_some() || std::env::var_os("REQUIRE_ALL").is_none(), "no `valgrind`");
    let Some(valgrind) = valgrind else { return println!("passed over: no `valgrind`") };
    let programs = Programs::find().unwrap();
    let (few, many) =
        (instructions(&programs, &valgrind, FEW), instructions(&programs, &valgrind, MANY));
    let each = (many - few) / (MANY - FEW) as u64;
    // Shown whether or not the tests' words are.
    let mut shown = std::io::stdout();
    writeln!(shown, "{FEW} targets: {few} instructions; each one more: {each}").unwrap();
    assert!(few <= MOST_FOR_FEW, "{FEW} targets: {few} instructions");
    assert!(each <= MOST_FOR_A_TARGET, "{each} instructions for each target more");
}
