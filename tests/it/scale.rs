//! Many targets, each of which depends on the one before it: no part of the way recurses along such
//! a chain, and no target costs much memory.
//!
//! The million itself is a lane of `scripts/bench`; this is a fiftieth of it, without optimization.

use crate::support::has;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

const TARGETS: usize = 20_000;

/// How many to a rule file.
const TO_A_FILE: usize = 1000;

/// What every stack is limited to. Without optimization, reading the command line alone takes more
/// than 256 KiB; a recursion along the chain would take megabytes.
const STACK_KIB: usize = 512;

/// What all that is allocated is limited to, stacks of threads included: 3.5 KiB a target.
const MEMORY_KIB: usize = 72_000;

fn label(at: usize) -> String {
    format!("//g{}:t{at}", at / TO_A_FILE)
}

/// Writes the chain; target 0 needs nothing, or the last one if `ring`.
fn chain(ring: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("BUILD.ron"), "build(workspace: true, targets: [])\n").unwrap();
    for group in 0..TARGETS / TO_A_FILE {
        let mut text = String::from("build(targets: [\n");
        for at in group * TO_A_FILE..(group + 1) * TO_A_FILE {
            let before = at.checked_sub(1).or(ring.then_some(TARGETS - 1));
            let deps = before.map(|it| format!("{:?}", label(it))).unwrap_or_default();
            let _ = writeln!(
                text,
                "command(name: \"t{at}\", argv: [\"true\"], outputs: [\"o{at}\"], deps: [{deps}]),"
            );
        }
        fs::create_dir(root.join(format!("g{group}"))).unwrap();
        fs::write(root.join(format!("g{group}/BUILD.ron")), text + "])\n").unwrap();
    }
    folder
}

/// Runs the program in the workspace with little stack and memory; returns its exit code and how
/// many lines it printed on stdout, and what on stderr.
fn run(folder: &tempfile::TempDir, words: &[&str]) -> (Option<i32>, usize, String) {
    let limits = format!("ulimit -s {STACK_KIB}; ulimit -d {MEMORY_KIB}; exec \"$0\" \"$@\"");
    let output = Command::new("/bin/sh")
        .args(["-ec", &limits, env!("CARGO_BIN_EXE_linkwright"), "--jobs", "2"])
        .args(words)
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.path())
        .env("RUST_MIN_STACK", (STACK_KIB << 10).to_string())
        .output()
        .unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    (output.status.code(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_long_chain_of_targets_takes_little_stack_and_memory() {
    if !has("true") {
        return;
    }
    let folder = chain(false);
    let (first, last) = (label(0), label(TARGETS - 1));
    let none = String::new();
    assert_eq!(run(&folder, &["query"]), (Some(0), TARGETS, none.clone()));
    assert_eq!(run(&folder, &["query", "--deps", &last]), (Some(0), TARGETS, none.clone()));
    assert_eq!(run(&folder, &["query", "--path-to", &first, &last]), (Some(0), TARGETS, none));
    // Each command is told by a line that says which, and one that says how.
    let nothing = format!("{TARGETS} commands; nothing was run\n");
    assert_eq!(run(&folder, &["build", "--dry-run"]), (Some(0), 2 * TARGETS, nothing));
}

#[test]
fn a_long_ring_of_targets_is_told_with_little_stack_and_memory() {
    let (code, lines, told) = run(&chain(true), &["query"]);
    assert_eq!((code, lines), (Some(2), 0), "{told}");
    assert!(told.contains("targets need each other"), "{told}");
}
