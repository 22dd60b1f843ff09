//! A run of tests in which nothing changed is told from memory, and whatever a test saw ends that.

use crate::test_runs::{ended, settle, test_file, tests};
use crate::workspace::{Run, Workspace};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

const RULES: &str = r#"build(targets: [go_tests(name: "tests", packages: ["./..."], link: "netgo",
    data: ["data/*"], pass_env: ["WORD"], timeout: "1m")])"#;

/// Reads a file, a folder and a link, asks what three things are, and notes that it ran by a
/// process, which Go's log does not see.
const LOOKS: &str = r#"func TestA(t *testing.T) {
	os.ReadFile("../shared")
	os.ReadDir("../folder")
	os.ReadFile("../link")
	os.Stat("../asked")
	os.Stat("../none")
	os.Stat("..")
	exec.Command("sh", "-c", "echo >> ../../runs").Run()
	t.Run("sub", func(t *testing.T) { t.Skip("not today") })
}"#;

fn workspace() -> Option<Workspace> {
    let it = Workspace::new(&[
        ("BUILD.ron", RULES),
        ("shared", "1"),
        ("other", "1"),
        ("folder/one", ""),
        ("asked", "1"),
        ("data/x", "1"),
        ("a/testdata/own", "1"),
        ("a/testdata/deep/own", "1"),
    ])?;
    symlink("shared", it.path("link")).unwrap();
    symlink("nowhere", it.path("a/testdata/dangling")).unwrap();
    it.file("a/a_test.go", &test_file("a", "os os/exec", LOOKS));
    Some(it)
}

/// Says how often the test has run so far.
fn runs(it: &Workspace) -> usize {
    fs::read_to_string(it.home().join("runs")).map_or(0, |it| it.len())
}

/// Tests, and says what came of it in one line.
fn came(it: &Workspace, arguments: &[&str]) -> String {
    let before = runs(it);
    let run = tests(it, arguments);
    let a = ended(&run)["a"].clone();
    let outcome = a["outcome"].as_str().unwrap();
    let skipped = &run.done()["tests"]["cases_skipped"];
    let ran = runs(it) - before;
    format!("{} {outcome} kept {} ran {ran} skipped {skipped}", run.code, a["kept"])
}

const KEPT: &str = "0 passed kept true ran 0 skipped 1";
const RAN: &str = "0 passed kept false ran 1 skipped 1";

/// Without the store, in which passes are kept, only memory can tell.
fn is_remembered(it: &Workspace, arguments: &[&str]) -> bool {
    let away = it.home().join("away");
    fs::rename(it.store(), &away).unwrap();
    let rules = it.read("BUILD.ron");
    let run = Run::of(&it.linkwright(&[&["test", "--json"], arguments].concat()).output().unwrap());
    // A run that is not told from memory makes a store.
    let told = !it.store().exists();
    let _ = fs::remove_dir_all(it.store());
    fs::rename(&away, it.store()).unwrap();
    assert_eq!(rules, it.read("BUILD.ron"));
    assert!(!told || run.code == 0 && ended(&run)["a"]["kept"] == true, "{run:#?}");
    told
}

#[test]
fn an_unchanged_run_is_told_from_memory_and_any_change_ends_that() {
    let Some(it) = workspace() else { return };
    settle();
    assert!(came(&it, &[]).starts_with("0 passed kept false ran 1"));
    // The output folder is new; so the build remembers its second run, and the tests theirs then.
    settle();
    assert_eq!([came(&it, &[]), came(&it, &[])], [KEPT; 2]);
    assert!(is_remembered(&it, &[]));
    assert!(!is_remembered(&it, &["--no-cache"]) && is_remembered(&it, &["--retries", "1"]));

    let write = |name: &str, text: &str| fs::write(it.path(name), text).unwrap();
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(it.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let relink = |to: &str| {
        fs::remove_file(it.path("link")).unwrap();
        symlink(to, it.path("link")).unwrap();
    };
    let touch = |name: &str| {
        let file = fs::File::options().write(true).open(it.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    };
    let changes: [(&str, &dyn Fn()); 11] = [
        ("a file that it read", &|| write("shared", "2")),
        ("its permissions", &|| mode("shared", 0o600)),
        ("a folder that it listed", &|| write("folder/two", "")),
        ("a link to an equal file", &|| relink("other")),
        ("what a file is that it asked for", &|| touch("asked")),
        ("one that was not there", &|| write("none", "")),
        ("permissions of a folder that it asked for", &|| mode(".", 0o711)),
        ("a declared file", &|| write("data/x", "2")),
        ("a new one that a glob names", &|| write("data/y", "")),
        ("a new one in testdata", &|| write("a/testdata/deep/new", "")),
        ("what a link in testdata leads to", &|| write("a/testdata/nowhere", "")),
    ];
    for (what, change) in changes {
        change();
        settle();
        assert_eq!(came(&it, &[]), RAN, "{what}");
        assert_eq!(came(&it, &[]), KEPT, "{what}");
        assert!(is_remembered(&it, &[]), "{what}");
    }
    for arguments in [["--filter", "TestA"], ["--timeout", "2m"], ["--shard", "1/1"]] {
        assert!(!is_remembered(&it, &arguments), "{arguments:?}");
    }
    let other = || {
        let output = it.linkwright(&["test", "--json"]).env("WORD", "x").output().unwrap();
        ended(&Run::of(&output))["a"]["kept"] == true
    };
    assert!(!other() && other(), "a variable");
    write("unseen", "");
    assert_eq!(came(&it, &[]), KEPT, "a new file in a folder of which it asked what it is");
}

#[test]
fn the_memory_is_of_these_rules_and_these_binaries() {
    let Some(it) = workspace() else { return };
    settle();
    assert!(came(&it, &[]).starts_with("0 passed"));
    settle();
    came(&it, &[]);
    assert!(is_remembered(&it, &[]));
    // The time limit is an argument, and no input of the binary.
    it.file("BUILD.ron", &RULES.replace("1m", "3m"));
    assert_eq!(came(&it, &[]), RAN);
    it.file("BUILD.ron", RULES);
    settle();
    assert_eq!([came(&it, &[]), came(&it, &[])], [KEPT; 2]);
    assert!(is_remembered(&it, &[]));
    // A binary that somebody has spoiled is put back before it is believed.
    let ledger: Value = serde_json::from_str(&it.read("linkwright-out/ledger.json")).unwrap();
    let output = ledger["records"][0]["output"].as_str().unwrap();
    let binary = it.path("linkwright-out").join(output);
    let whole = fs::read(&binary).unwrap();
    fs::remove_file(&binary).unwrap();
    fs::write(&binary, "spoilt").unwrap();
    assert_eq!(came(&it, &[]), KEPT);
    assert!(fs::read(&binary).unwrap() == whole);
    it.file("a/a_test.go", &test_file("a", "os os/exec", &LOOKS.replace("not today", "no")));
    settle();
    assert!(came(&it, &[]).starts_with("0 passed kept false ran 1"));
    settle();
    assert_eq!([came(&it, &[]), came(&it, &[])], [KEPT; 2]);
    // One that fails is never told from memory.
    it.file("a/b_test.go", &test_file("a", "", "func TestB(t *testing.T) { t.Fail() }"));
    for _ in 0..2 {
        let run = tests(&it, &[]);
        assert_eq!((run.code, &ended(&run)["a"]["kept"]), (3, &false.into()));
    }
}
