//! A run in which nothing changed starts no process, and whatever a run would see makes it look
//! for itself again.

use crate::c_inputs::{Fixture, LEAST_ABSENT, NUMBERS, decides_nothing, real, watched};
use crate::support::has;
use crate::workspace::{Run, Workspace};
use linkwright::effects::lock::Patience;
use linkwright::effects::outputs::Outputs;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const MAIN: &str = "package main\n\nimport (\n\t_ \"embed\"\n\n\t\"example.com/m/lib\"\n)\n\n\
                    //go:embed words\nvar words embed.FS\n\nfunc main() { println(lib.Name) }\n";

/// A workspace of every kind of target, built twice when it was old enough, so that the last run
/// is remembered.
fn remembered() -> Option<Workspace> {
    let main = MAIN.replace("\t_ \"embed\"", "\t\"embed\"");
    let it = Workspace::new(&[
        (
            "BUILD.ron",
            r#"build(targets: [
                go_binary(name: "m", package: ".", link: "static"),
                go_tests(name: "tests", packages: ["./..."], link: "static"),
                files(name: "texts", globs: ["texts/*.txt"]),
                command(name: "list", argv: ["sh", "-c", "cat texts/*.txt > list"],
                        inputs: ["texts/*.txt"], outputs: ["list"], pass_env: ["SPECIAL"]),
            ])"#,
        ),
        ("rules/team.ron", "rules()"),
        ("main.go", &main),
        ("words/deep/one", "1"),
        ("lib/lib.go", "package lib\n\nconst Name = \"lib\"\n"),
        ("lib/off.go", "//go:build never\n\npackage lib\n\nfunc init() { println(\"off\") }\n"),
        ("lib/lib_test.go", "package lib\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\n"),
        ("texts/a.txt", "a"),
    ])?;
    it.built();
    age();
    let second = it.built();
    assert_eq!(second.done()["recalled"], false);
    let third = it.built();
    assert_eq!(third.done()["recalled"], true, "{third:#?}");
    third.came("up_to_date 3");
    Some(it)
}

/// Lets every file become older than a clock tick of the file system.
fn age() {
    std::thread::sleep(Duration::from_millis(300));
}

/// A way to change a workspace, and the way back.
#[derive(Clone, Copy)]
struct Change {
    what: &'static str,
    there: fn(&Workspace),
    back: fn(&Workspace),
}

fn append(it: &Workspace, name: &str, more: &str) {
    it.file(name, &(it.read(name) + more));
}

fn cut(it: &Workspace, name: &str, less: &str) {
    it.file(name, it.read(name).strip_suffix(less).unwrap());
}

/// Writes over an output, which is read-only.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
}

const NOTHING: fn(&Workspace) = |_| {};

fn change(what: &'static str, there: fn(&Workspace), back: fn(&Workspace)) -> Change {
    Change { what, there, back }
}

/// Of what Go reads.
fn changes_of_go() -> Vec<Change> {
    vec![
        change(
            "a source is edited",
            |it| append(it, "lib/lib.go", "\nfunc init() { println(\"more\") }\n"),
            |it| cut(it, "lib/lib.go", "\nfunc init() { println(\"more\") }\n"),
        ),
        change(
            "a source appears in a package",
            |it| it.file("lib/new.go", "package lib\n"),
            |it| it.remove("lib/new.go"),
        ),
        change(
            "a file that was left out by its constraint is let in",
            |it| it.file("lib/off.go", &it.read("lib/off.go").replace("never", "!never")),
            |it| it.file("lib/off.go", &it.read("lib/off.go").replace("!never", "never")),
        ),
        change(
            "a package with tests appears",
            |it| it.file("more/a_test.go", "package more\n"),
            |it| fs::remove_dir_all(it.path("more")).unwrap(),
        ),
        change(
            "an embedded folder gets a file deep inside",
            |it| it.file("words/deep/two", "2"),
            |it| it.remove("words/deep/two"),
        ),
        change(
            "an embedded file is edited",
            |it| it.file("words/deep/one", "one"),
            |it| it.file("words/deep/one", "1"),
        ),
        change(
            "go.mod says another version of the language",
            |it| it.file("go.mod", &it.read("go.mod").replace("1.24", "1.23")),
            |it| it.file("go.mod", &it.read("go.mod").replace("1.23", "1.24")),
        ),
        change(
            "a go.work appears above",
            |it| fs::write(it.home().join("go.work"), "go 1.24\n\nuse ./w\n").unwrap(),
            |it| fs::remove_file(it.home().join("go.work")).unwrap(),
        ),
        change(
            "a folder becomes a module of its own",
            |it| it.file("lib/go.mod", "module example.com/other\n"),
            |it| it.remove("lib/go.mod"),
        ),
        change(
            "settings of the user's Go appear",
            |it| {
                fs::create_dir_all(it.home().join(".config/go")).unwrap();
                fs::write(it.home().join(".config/go/env"), "GOPRIVATE=example.org\n").unwrap();
            },
            |it| fs::remove_file(it.home().join(".config/go/env")).unwrap(),
        ),
    ]
}

/// Of rules, of what commands read and make, and of what a run leaves behind.
fn changes_of_ours() -> Vec<Change> {
    vec![
        change(
            "a rule file is edited",
            |it| append(it, "BUILD.ron", "// more\n"),
            |it| cut(it, "BUILD.ron", "// more\n"),
        ),
        change(
            "a package of the workspace appears",
            |it| it.file("deep/er/BUILD.ron", "build(targets: [])"),
            |it| fs::remove_dir_all(it.path("deep")).unwrap(),
        ),
        change(
            "more rules of the workspace appear",
            |it| it.file("rules/own.ron", "rules()"),
            |it| it.remove("rules/own.ron"),
        ),
        change(
            "rules of the workspace are edited",
            |it| append(it, "rules/team.ron", "// more\n"),
            |it| cut(it, "rules/team.ron", "// more\n"),
        ),
        change(
            "a file that a glob matches appears",
            |it| it.file("texts/b.txt", "b"),
            |it| it.remove("texts/b.txt"),
        ),
        change("what a command made is edited", |it| it.file("list", "other"), NOTHING),
        change("an output is edited", |it| spoil(&it.bin("m")), NOTHING),
        change("an output is gone", |it| fs::remove_file(it.bin("m")).unwrap(), NOTHING),
        change(
            "an output may not be started",
            |it| fs::set_permissions(it.bin("m"), fs::Permissions::from_mode(0o444)).unwrap(),
            NOTHING,
        ),
        change("the ledger is edited", |it| it.file("linkwright-out/ledger.json", "{}"), NOTHING),
        change(
            "what is remembered is damaged",
            |it| {
                let folder = it.path("linkwright-out/.last-runs");
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    let mut bytes = fs::read(&path).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    fs::write(path, bytes).unwrap();
                }
            },
            NOTHING,
        ),
    ]
}

#[test]
fn whatever_a_run_would_see_is_seen_by_the_next_run() {
    let Some(it) = remembered() else { return };
    let changes = [changes_of_go(), changes_of_ours()].concat();
    for Change { what, there, back } in &changes {
        there(&it);
        let run = it.build(&[]);
        assert_eq!(run.done()["recalled"], false, "{what}: {run:#?}");
        back(&it);
        age();
        // Puts back what the change led to, if it led to anything; then all is as it was.
        it.built();
        let run = it.built();
        assert_eq!(run.done()["recalled"], true, "{what}: the way back: {run:#?}");
        run.came("up_to_date 3");
    }
    println!("{} changes were seen", changes.len());
}

#[test]
fn another_variable_that_counts_makes_a_run_look_for_itself() {
    let Some(it) = remembered() else { return };
    let is_recalled = |name: &str, value: &str| {
        let mut command = it.linkwright(&["build", "--json"]);
        let run = Run::of(&command.env(name, value).output().unwrap());
        run.done()["recalled"].as_bool().unwrap()
    };
    fs::create_dir(it.home().join("tmp")).unwrap();
    let tmp = it.home().join("tmp").display().to_string();
    for (name, value) in [("SPECIAL", "x"), ("GOPROXY", "off"), ("GOENV", "off"), ("TMPDIR", &*tmp)]
    {
        assert!(!is_recalled(name, value), "{name}");
    }
    // The last run is the one with the last of these variables.
    it.built();
    for (name, value) in [("TERM", "x"), ("PWD", "/"), ("GOFLAGS", "-tags=x"), ("UNHEARD", "1")] {
        assert!(is_recalled(name, value), "{name}");
    }
}

#[test]
fn a_program_that_stands_earlier_on_path_is_seen() {
    let Some(it) = remembered() else { return };
    let bin = it.home().join("earlier");
    fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap();
    let build = || {
        let mut command = it.linkwright(&["build", "--json"]);
        let path = format!("{}:{path}", bin.display());
        Run::of(&command.env("PATH", path).output().unwrap())
    };
    build();
    age();
    build();
    assert_eq!(build().done()["recalled"], true);
    let go = bin.join("go");
    fs::write(&go, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(build().code, 0, "the other `go` is the one that is found");
}

#[test]
fn a_run_of_files_younger_than_itself_is_not_remembered() {
    let Some(it) = remembered() else { return };
    it.file("lib/lib.go", "package lib\n\nconst Name = \"new\"\n");
    let modified = |at: SystemTime| {
        let file = fs::File::options().write(true).open(it.path("lib/lib.go")).unwrap();
        file.set_modified(at).unwrap();
    };
    modified(SystemTime::now() + Duration::from_hours(1));
    assert_eq!(it.built().done()["recalled"], false);
    assert_eq!(it.built().done()["recalled"], false, "it may have been edited in the same tick");
    modified(SystemTime::now());
    age();
    it.built();
    assert_eq!(it.built().done()["recalled"], true);
    assert_eq!(it.says("m"), "new\n");
}

#[test]
fn a_paranoid_run_asks_again_and_comes_to_the_same() {
    let Some(it) = remembered() else { return };
    let ledger = it.read("linkwright-out/ledger.json");
    let run = it.build(&["--paranoid"]);
    assert_eq!(run.done()["recalled"], false, "{run:#?}");
    run.came("up_to_date 3");
    assert_eq!(it.read("linkwright-out/ledger.json"), ledger);
    assert_eq!(it.built().done()["recalled"], true, "what is remembered holds as before");
}

/// The judge is the system: no program is started but linkwright itself.
#[test]
fn a_run_in_which_nothing_changed_starts_no_process() {
    if !has("strace") {
        return;
    }
    let Some(it) = remembered() else { return };
    let trace = it.home().join("trace");
    let plain = it.linkwright(&["build", "--json"]);
    let mut command = it.command("strace");
    command.args(["-f", "-e", "trace=execve,fork,vfork", "-o"]).arg(&trace);
    command.arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = Run::of(&command.output().unwrap());
    run.came("up_to_date 3");
    let trace = fs::read_to_string(trace).unwrap();
    let calls: Vec<_> =
        trace.lines().filter(|it| it.contains("exec") || it.contains("fork")).collect();
    assert_eq!(calls.len(), 1, "{trace}");
}

/// Whether a build is told from what the last one saw: one that looks for itself waits for the lock
/// that `held` is, and gives up.
fn is_recalled(it: &Workspace, held: &Outputs) -> bool {
    let folder = held.folder().display();
    let run = it.build(&["--lock-timeout", "0s"]);
    assert!([0, 9].contains(&run.code), "{folder} is held: {run:#?}");
    run.code == 0
}

#[test]
fn what_the_c_side_reads_or_misses_is_looked_at_again_by_a_run_that_remembers() {
    if !has("strace") {
        return;
    }
    let Some(mut it) = Fixture::new() else { return };
    let (run, seen) = watched(&it.workspace);
    assert_eq!(run.code, 0, "{run:#?}");
    age();
    it.workspace.built();
    let stop = || false;
    let waiting = |_: &str| {};
    let patience = Patience { limit: Duration::ZERO, waiting: &waiting, stop: &stop };
    let held = Outputs::open(&it.workspace.root(), &patience).unwrap();
    assert!(is_recalled(&it.workspace, &held));
    for (name, form) in NUMBERS {
        let old = it.numbers.insert(name, 100).unwrap();
        it.put(name, form);
        assert!(!is_recalled(&it.workspace, &held), "{name}");
        it.numbers.insert(name, old);
        it.put(name, form);
        assert!(is_recalled(&it.workspace, &held), "{name}: the way back");
    }
    let home = it.workspace.home().canonicalize().unwrap();
    let passing = ["tmp", "store", "w/linkwright-out"].map(|it| home.join(it));
    let counts = |it: &PathBuf| {
        it.starts_with(&home)
            && !it.exists()
            && !decides_nothing(it)
            && !passing.iter().any(|folder| it.starts_with(folder))
    };
    let absent: BTreeSet<_> = seen.absent.iter().map(|it| real(it)).filter(counts).collect();
    assert!(absent.len() >= LEAST_ABSENT);
    // What is absent is told by its folder: one of each.
    let by_folder: BTreeMap<_, _> = absent.iter().map(|it| (it.parent(), it)).collect();
    println!("{} of {} absent files appear, each in another folder", by_folder.len(), absent.len());
    for path in by_folder.into_values() {
        let folder = path.ancestors().find(|it| it.is_dir()).unwrap();
        let first = path.strip_prefix(folder).unwrap().iter().next().unwrap();
        it.appear(path);
        assert!(!is_recalled(&it.workspace, &held), "{}", path.display());
        let appeared = folder.join(first);
        let _ = fs::remove_file(&appeared).or_else(|_| fs::remove_dir_all(&appeared));
    }
    assert!(is_recalled(&it.workspace, &held), "all is as it was");
}
