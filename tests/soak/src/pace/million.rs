//! A million targets: how long it takes to read what is declared, to plan it and to put it in
//! order, and how much memory.
//!
//! All of it on stacks of 256 KiB, so that whatever recursed along a chain would end at once.

use super::lanes::{Ground, Measured};
use super::{Side, race};
use crate::bench::{Bench, Programs, Toolchain};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// How many targets.
const TARGETS: usize = 1_000_000;

/// How many to a rule file.
const TO_A_FILE: usize = 1000;

/// Each question by itself, in a workspace made for it.
pub(super) fn lane(ground: &Ground) -> Result<Measured, String> {
    let last = label(TARGETS - 1);
    let mut measured = Measured::default();
    let mut ask = |bench: &Bench, title: &str, words: &[&str]| {
        let title = format!("{TARGETS} {title}: `{}`", words.join(" "));
        let mut sides = [Side::new("linkwright", vec![on_a_small_stack(bench, words)])];
        race("million", &title, ground.rounds, &mut sides).map(|it| measured.tables.push(it))
    };
    let programs = workspace(&ground.programs, |at| {
        let before = at.checked_sub(1).filter(|it| it % 10 != 9);
        let deps = before.map(|it| format!(", deps: [\":t{it}\"]")).unwrap_or_default();
        format!("go_binary(name: \"t{at}\", package: \"./p{at}\", link: \"pure\"{deps})")
    });
    ask(&programs, "programs", &["query"])?;
    drop(programs);
    let commands = workspace(&ground.programs, |at| {
        let before = before(at);
        format!(
            "command(name: \"t{at}\", argv: [\"touch\", \"o{at}\"], outputs: [\"o{at}\"], deps: [{before}])"
        )
    });
    ask(&commands, "commands in a chain", &["query", "--deps", &last])?;
    ask(&commands, "commands in a chain", &["query", "--path-to", &label(0), &last])?;
    drop(commands);
    let suites = workspace(&ground.programs, |at| {
        format!("suite(name: \"t{at}\", targets: [{}])", before(at))
    });
    ask(&suites, "suites in a chain", &["build", "--dry-run"])?;
    Ok(measured)
}

fn label(at: usize) -> String {
    format!("//g{}:t{at}", at / TO_A_FILE)
}

/// The label of the one before, as a list holds it.
fn before(at: usize) -> String {
    at.checked_sub(1).map(|it| format!("{:?}", label(it))).unwrap_or_default()
}

fn workspace(programs: &Programs, target: impl Fn(usize) -> String) -> Bench {
    let bench = Bench::new(programs, Toolchain::Stub);
    let root = bench.root();
    fs::write(root.join("BUILD.ron"), "build(workspace: true, targets: [])\n").unwrap();
    for group in 0..TARGETS / TO_A_FILE {
        let mut text = String::from("build(targets: [\n");
        for at in group * TO_A_FILE..(group + 1) * TO_A_FILE {
            let _ = writeln!(text, "{},", target(at));
        }
        fs::create_dir(root.join(format!("g{group}"))).unwrap();
        fs::write(root.join(format!("g{group}/BUILD.ron")), text + "])\n").unwrap();
    }
    bench
}

fn on_a_small_stack(bench: &Bench, words: &[&str]) -> Command {
    let plain = bench.command(words);
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", "ulimit -s 256; exec \"$0\" \"$@\""]);
    command.arg(plain.get_program()).args(plain.get_args());
    command.env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("RUST_MIN_STACK", (256 << 10).to_string()).current_dir(bench.root());
    command
}
