//! A damaged store, two builds at once, and a build that is interrupted: never a wrong byte.

use crate::support::has;
use crate::workspace::{Run, Workspace, holds, prints, text};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

const ONE: &str = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;

fn one() -> Option<Workspace> {
    Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("one"))])
}

/// The files of one room of the store.
fn stored(it: &Workspace, room: &str) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(it.store().join("v1").join(room)).sort_by_file_name();
    let files = walk.into_iter().map(Result::unwrap).filter(|it| it.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}

/// Replaces the bytes of a stored file, which is read-only.
fn damage(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn warnings(run: &Run) -> Vec<String> {
    run.all("warning").map(|it| it["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_flipped_bit_in_a_stored_program_is_never_restored() {
    let Some(it) = one() else { return };
    it.built();
    let bytes = it.bytes("p");
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    let blobs = stored(&it, "blobs");
    let blob = blobs.iter().find(|it| fs::read(it).unwrap() == bytes).unwrap();
    damage(blob, |it| {
        let middle = it.len() / 2;
        it[middle] ^= 1;
    });
    let run = it.built();
    run.came("built 1");
    assert_eq!(it.bytes("p"), bytes);
    let warnings = warnings(&run);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    holds(&warnings[0], &["damaged", "set aside"]);
    // It has healed.
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    it.built().came("restored 1");
    assert_eq!(it.bytes("p"), bytes);
}

#[test]
fn a_record_that_was_cut_short_is_a_miss() {
    let Some(it) = one() else { return };
    it.built();
    let bytes = it.bytes("p");
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    for record in stored(&it, "actions") {
        damage(&record, |it| it.truncate(it.len() - 1));
    }
    let run = it.built();
    run.came("built 1");
    assert_eq!(it.bytes("p"), bytes);
    assert!(!warnings(&run).is_empty(), "{run:#?}");
    it.built().came("up_to_date 1");
}

#[test]
fn a_blob_that_is_gone_is_made_again() {
    let Some(it) = one() else { return };
    it.built();
    let bytes = it.bytes("p");
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    fs::remove_dir_all(it.store().join("v1/blobs")).unwrap();
    it.built().came("built 1");
    assert_eq!(it.bytes("p"), bytes);
}

#[test]
fn damaged_stamps_are_forgotten() {
    let Some(it) = one() else { return };
    it.built();
    damage(&it.store().join("v1/stamps"), |it| {
        let middle = it.len() / 2;
        it[middle] ^= 1;
    });
    it.built().came("up_to_date 1");
}

#[test]
fn a_store_that_cannot_be_written_costs_a_warning_and_no_build() {
    let Some(it) = one() else { return };
    fs::write(it.store(), "a file where the store should be").unwrap();
    let run = it.built();
    run.came("built 1");
    assert_eq!(it.says("p"), "one\n");
    assert!(!warnings(&run).is_empty(), "{run:#?}");
}

#[test]
fn a_damaged_ledger_is_written_anew() {
    let Some(it) = one() else { return };
    it.built();
    let ledger = it.read("linkwright-out/ledger.json");
    for other in ["", "{", "null", &ledger[..ledger.len() / 2]] {
        it.file("linkwright-out/ledger.json", other);
        it.built().came("up_to_date 1");
        assert_eq!(it.read("linkwright-out/ledger.json"), ledger);
    }
}

/// Starts the program, with the signals as a shell gives them: who runs the tests may ignore some.
fn spawn(it: &Workspace, arguments: &[&str]) -> Child {
    let plain = it.linkwright(arguments);
    let mut command = it.command("env");
    command.args(["--default-signal=INT,HUP,TERM"]).arg(plain.get_program());
    command.args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn two_builds_of_one_workspace_both_succeed() {
    let Some(it) = one() else { return };
    let both = [(); 2].map(|()| spawn(&it, &["build", "--json"]));
    let runs = both.map(|it| Run::of(&it.wait_with_output().unwrap()));
    let built: i64 = runs.iter().map(|it| it.done()["built"].as_i64().unwrap()).sum();
    assert!(runs.iter().all(|it| it.code == 0), "{runs:#?}");
    assert_eq!(built, 1, "the second finds what the first made: {runs:#?}");
    assert_eq!(it.says("p"), "one\n");
}

#[test]
fn two_workspaces_share_a_store_at_the_same_time() {
    let (Some(a), Some(b)) = (one(), one()) else { return };
    let mut other = b.linkwright(&["build", "--json"]);
    other.env("LINKWRIGHT_STORE", a.store()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let both = [spawn(&a, &["build", "--json"]), other.spawn().unwrap()];
    for child in both {
        let run = Run::of(&child.wait_with_output().unwrap());
        assert_eq!(run.code, 0, "{run:#?}");
    }
    assert_eq!(a.bytes("p"), b.bytes("p"));
    assert_eq!(a.read("linkwright-out/ledger.json"), b.read("linkwright-out/ledger.json"));
}

/// Waits until `path` is there.
#[track_caller]
fn appears(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => assert!(start.elapsed() < Duration::from_mins(1), "no {}", path.display()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupted_build_ends_its_children_and_the_next_is_right() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        command(name: "slow", argv: ["sh", "slow.sh"], inputs: ["slow.sh"], outputs: ["gen.go"]),
        go_binary(name: "p", deps: [":slow"]),
    ])"#;
    let slow = "trap '' TERM\nsleep 60 &\necho half > gen.go\necho $$ $! > ../pids\nwait\nwait\nsleep 60\n";
    let files = [
        ("BUILD.ron", build),
        ("slow.sh", slow),
        ("main.go", "package main\n\nfunc main() { println(X) }\n"),
    ];
    let Some(it) = Workspace::new(&files) else { return };
    it.file("gen.go", "package main\n\nconst X = \"old\"\n");
    let child = spawn(&it, &["build", "--json"]);
    let pids = appears(&it.home().join("pids"));
    let start = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let run = Run::of(&child.wait_with_output().unwrap());
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert_eq!(run.code, 8, "{run:#?}");
    for pid in pids.split_whitespace() {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(status.is_empty() || status.contains(") Z "), "{pid} still lives: {status}");
    }
    assert!(!it.bin("p").exists());
    holds(&it.read("gen.go"), &["old"]);
    it.file("slow.sh", "echo 'package main\n\nconst X = \"new\"' > gen.go\n");
    it.built().came("built 2");
    assert_eq!(it.says("p"), "new\n");
}

#[test]
fn an_interrupted_go_build_leaves_nothing_half_done() {
    let Some(it) = one() else { return };
    it.built();
    it.file("main.go", &prints("two"));
    for wait in [100, 400, 700] {
        let child = spawn(&it, &["build", "--json"]);
        std::thread::sleep(Duration::from_millis(wait));
        let pid = Pid::from_child(&child);
        let _ = kill_process(pid, Signal::INT);
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 8) | None), "{output:?}");
        let says = it.says("p");
        assert!(says == "one\n" || says == "two\n", "{says}");
    }
    assert_eq!(it.built().code, 0);
    assert_eq!(it.says("p"), "two\n");
    let left = fs::read_dir(it.path("linkwright-out/tmp")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "scratch folders");
}

/// A killed build can do nothing any more; the next one still gives the right bytes.
#[test]
fn a_killed_build_leaves_nothing_that_counts() {
    let Some(it) = one() else { return };
    for wait in [150, 500, 900] {
        let mut child = spawn(&it, &["build", "--json"]);
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    it.built();
    let Some(clean) = one() else { return };
    clean.built();
    assert_eq!(it.bytes("p"), clean.bytes("p"));
    assert_eq!(it.read("linkwright-out/ledger.json"), clean.read("linkwright-out/ledger.json"));
}

/// A `command` that makes `gen.txt` by the script `make.sh`.
const SCRIPTED: &str = r#"build(targets: [
    command(name: "gen", argv: ["sh", "make.sh"], inputs: ["make.sh"], outputs: ["gen.txt"]),
])"#;

fn scripted(script: &str) -> Option<Workspace> {
    Workspace::new(&[("BUILD.ron", SCRIPTED), ("make.sh", script)])
}

/// The names in the workspace's root.
fn names(it: &Workspace) -> Vec<String> {
    let entries = fs::read_dir(it.root()).unwrap().map(Result::unwrap);
    let mut names: Vec<_> =
        entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Builds with one kind of system call struck, wherever it touches `path` if one is named.
fn struck(it: &Workspace, call: &str, strike: &str, path: Option<&Path>) -> Option<Output> {
    if !has("strace") {
        return None;
    }
    let mut command = it.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:{strike}")]);
    command.args(path.into_iter().flat_map(|it| [OsStr::new("-P"), it.as_os_str()]));
    let linkwright = it.linkwright(&["build", "--json"]);
    command.arg(linkwright.get_program()).args(linkwright.get_args());
    for (name, value) in linkwright.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Some(command.output().unwrap())
}

#[test]
fn a_build_killed_while_it_puts_an_output_back_leaves_nothing_in_the_sources() {
    let Some(it) = scripted("echo made > gen.txt\n") else { return };
    it.built();
    it.remove("gen.txt");
    let before = names(&it);
    let Some(killed) = struck(&it, "fchmod", "signal=SIGKILL:when=1", None) else { return };
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert_eq!(names(&it), before);
    it.built().came("restored 1");
    assert_eq!(it.read("gen.txt"), "made\n");
}

#[test]
fn the_last_whole_output_of_a_command_survives_two_killed_runs() {
    let Some(it) = scripted("echo whole > gen.txt\n") else { return };
    it.built();
    for round in 0..2 {
        let pid = it.home().join(format!("pid{round}"));
        it.file("make.sh", &format!("echo half > gen.txt\necho $$ > ../pid{round}\nsleep 30\n"));
        let mut child = spawn(&it, &["build", "--json"]);
        let shell: i32 = appears(&pid).trim().parse().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = kill_process(Pid::from_raw(shell).unwrap(), Signal::KILL);
    }
    it.file("make.sh", "echo half > gen.txt\nexit 1\n");
    assert_eq!(it.build(&[]).code, 1);
    assert_eq!(it.read("gen.txt"), "whole\n");
}

#[test]
fn a_ledger_that_cannot_be_read_is_an_error_and_not_forgotten() {
    let Some(it) = one() else { return };
    it.built();
    it.file("BUILD.ron", "build(targets: [])");
    let ledger = it.path("linkwright-out/ledger.json");
    let Some(output) = struck(&it, "open,openat", "error=EIO", Some(&ledger)) else { return };
    assert_eq!(output.status.code(), Some(12), "{output:?}");
    holds(&text(&output), &["ledger.json"]);
    it.built();
    assert!(!it.bin("p").exists(), "nothing makes it any more");
}

#[test]
fn an_output_that_nothing_makes_and_that_cannot_be_removed_is_an_error_and_goes_later() {
    let Some(it) = one() else { return };
    it.built();
    it.file("BUILD.ron", "build(targets: [])");
    let calls = "unlink,unlinkat";
    let Some(output) = struck(&it, calls, "error=EROFS", Some(&it.bin("p"))) else { return };
    assert_eq!(output.status.code(), Some(12), "{output:?}");
    holds(&text(&output), &["cannot remove `", "bin/p`, which no target makes any more"]);
    assert!(it.bin("p").exists());
    it.built();
    assert!(!it.bin("p").exists(), "the ledger did not forget it");
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_ours_is_not_waited_for() {
    let Some(it) = one() else { return };
    it.built();
    for path in [it.store().join("v1/stamps"), it.path("linkwright-out/ledger.json")] {
        fs::remove_file(&path).unwrap();
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        it.built().came("up_to_date 1");
    }
}
