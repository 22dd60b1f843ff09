//! Every lane for a bounded number of cases: with a fixed seed, and with one that is new each time.

use linkwright_soak::bench::Programs;
use linkwright_soak::lane::{Budget, Tally};
use linkwright_soak::lanes;
use std::io::Write as _;
use std::time::SystemTime;

/// The seed that every run of these tests begins with.
const FIXED: u64 = 20_240_613;

/// Says how far a lane is, whether or not the tests' words are shown.
fn say(text: std::fmt::Arguments) {
    let mut shown = std::io::stdout();
    writeln!(shown, "{text}").unwrap();
}

#[track_caller]
fn hold(name: &str) {
    let programs = Programs::find().unwrap();
    let lane = lanes::all().into_iter().find(|it| it.about().name == name).unwrap();
    let fresh = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let floor = lane.about().in_ci;
    let mut tally = Tally::default();
    for seed in [FIXED, fresh] {
        say(format_args!("lane {name}: seed {seed}"));
        let half = Budget::new(floor.cases.div_ceil(2), floor.time / 2);
        tally.add(lane.run(&programs, seed, half));
    }
    say(format_args!("lane {name}: {} cases", tally.cases));
    let violations: Vec<_> = tally.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
    assert!(tally.cases >= floor.fewest, "{} cases; {} are the fewest", tally.cases, floor.fewest);
}

#[test]
fn edits_with_the_stand_in_equal_a_clean_build() {
    hold("edits_fake");
}

/// Returns whether `program` is here; under `REQUIRE_ALL=1` its absence fails the test.
#[track_caller]
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|it| it.join(program).is_file());
    assert!(found || std::env::var_os("REQUIRE_ALL").is_none(), "`{program}` is missing");
    if !found {
        println!("passed over: no `{program}`");
    }
    found
}

#[test]
fn edits_with_real_go_equal_a_clean_build() {
    if !has("go") || !has("gcc") || !has("ar") {
        return;
    }
    hold("edits_real");
}

#[test]
fn a_build_killed_at_any_change_of_the_disk_is_made_good_by_the_next() {
    hold("kill");
}

#[test]
fn an_error_of_the_system_is_said_and_made_good_by_the_next_build() {
    hold("errno");
}

#[test]
fn damaged_files_of_our_own_are_noticed_and_made_again() {
    hold("corrupt");
}

#[test]
fn a_loss_of_power_is_made_good_by_the_next_build() {
    hold("power");
}

#[test]
fn builds_at_once_of_which_some_are_killed_do_no_harm() {
    hold("racing");
}

#[test]
fn a_build_with_real_go_killed_at_any_moment_is_made_good_by_the_next() {
    hold("kill_real");
}
