//! Bundles: the same bytes for the same inputs, and tests that run where there is no Go, no
//! linkwright, and no shell.

use crate::support::has;
use crate::test_runs::{settle, test_file};
use crate::workspace::{Workspace, holds, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RULES: &str = r#"build(targets: [
    go_tests(name: "tests", packages: ["./..."], link: "netgo", timeout: "90s", args: ["-own=it's $HOME"],
             data: ["data/*"], pass_env: ["MODE"]),
    bundle(name: "fleet", tests: [":tests"], form: tar),
    bundle(name: "folder", tests: [":tests"]),
])"#;

/// Behaves as `MODE` says; without it, it passes.
const MODES: &str = r#"var own = flag.String("own", "", "")

func TestGood(t *testing.T) {
	one, _ := os.ReadFile("testdata/one")
	x, _ := os.ReadFile("../data/x")
	entries, err := os.ReadDir("testdata/empty")
	folder, _ := os.Getwd()
	if string(one)+string(x) != "1x" || err != nil || len(entries) != 0 || folder != os.Getenv("PWD") || *own != "it's $HOME" {
		t.Errorf("%q %q %v %q %q", one, x, err, folder, *own)
	}
	if err := os.WriteFile(os.Getenv("HOME")+"/f", nil, 0o644); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(os.TempDir()+"/f", nil, 0o644); err != nil {
		t.Error(err)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("MODE") == "deaf" {
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func TestMode(t *testing.T) {
	t.Run("sub", func(t *testing.T) {
		switch os.Getenv("MODE") {
		case "fail":
			t.Error("<wrong> & \x1b[31m")
		case "skip":
			t.Skip("not today")
		case "panic":
			panic("boom")
		case "exit":
			os.Stdout.Close()
		case "late":
			time.Sleep(time.Hour)
		}
	})
}"#;

const OTHER: &str = "var own = flag.String(\"own\", \"\", \"\")\n\nfunc TestOther(t *testing.T) {}";

fn workspace() -> Option<Workspace> {
    let files = [("BUILD.ron", RULES), ("a/testdata/one", "1"), ("data/x", "x")];
    let it = Workspace::new(&files)?;
    it.file("a/a_test.go", &test_file("a", "flag os os/signal syscall time", MODES));
    it.file("b/b_test.go", &test_file("b", "flag", OTHER));
    it.file("c/c_test.go", &test_file("c", "flag", &OTHER.replace("TestOther", "TestMore")));
    fs::create_dir(it.path("a/testdata/empty")).unwrap();
    Some(it)
}

fn made(it: &Workspace, name: &str) -> PathBuf {
    it.path("linkwright-out/bundle").join(name)
}

/// Every path below a folder, with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>, u32)> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|it| it.unwrap());
    walk.map(|it| {
        let bytes = if it.file_type().is_file() { fs::read(it.path()).unwrap() } else { vec![] };
        let name = it.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned();
        (name, bytes, it.metadata().unwrap().permissions().mode() & 0o777)
    })
    .collect()
}

#[test]
fn a_bundle_is_a_node_like_any_other_and_equal_for_equal_inputs() {
    let (Some(it), Some(other)) = (workspace(), workspace()) else { return };
    settle();
    it.built().came("built 5");
    let tar = fs::read(made(&it, "fleet.tar")).unwrap();
    // Elsewhere, later, under another mask, with other times and owners of the sources.
    fs::set_permissions(other.path("data/x"), fs::Permissions::from_mode(0o600)).unwrap();
    other.built();
    assert!(fs::read(made(&other, "fleet.tar")).unwrap() == tar, "the archives differ");
    let folder = files(&made(&it, "folder"));
    assert_eq!(files(&made(&other, "folder")), folder);
    let names: Vec<_> = folder.iter().map(|it| it.0.as_str()).collect();
    let expected = [
        "",
        "bin",
        "bin/tests",
        "bin/tests/example.com",
        "bin/tests/example.com/m",
        "bin/tests/example.com/m/a.test",
        "bin/tests/example.com/m/b.test",
        "bin/tests/example.com/m/c.test",
        "index.json",
        "run",
        "run.sh",
        "src",
        "src/a",
        "src/a/testdata",
        "src/a/testdata/empty",
        "src/a/testdata/one",
        "src/b",
        "src/c",
        "src/data",
        "src/data/x",
    ];
    assert_eq!(names, expected);
    unpacks_to(&it, &folder);
    let bundles = it.ledger()["bundles"].clone();
    assert_eq!(
        (&bundles[0]["label"], &bundles[0]["output"]),
        (&"//:fleet".into(), &"bundle/fleet.tar".into())
    );
    assert_eq!(bundles[0]["files"][""], blake3::hash(&tar).to_hex().as_str());
    assert_eq!(it.record("//:tests")["linkage"]["class"], "static");
    for _ in 0..3 {
        it.built().came("up_to_date 5");
    }
    fs::remove_file(made(&it, "fleet.tar")).unwrap();
    fs::write(made(&it, "folder/src/more"), "").unwrap();
    it.built().came("restored 2, up_to_date 3");
    assert!(
        fs::read(made(&it, "fleet.tar")).unwrap() == tar && files(&made(&it, "folder")) == folder
    );
}

#[test]
fn a_bundle_is_made_again_when_anything_in_it_changes() {
    let Some(it) = workspace() else { return };
    it.built().came("built 5");
    let tar = fs::read(made(&it, "fleet.tar")).unwrap();
    // Each change meets a run that would remember the last one, and tell it without a process.
    let remember = || {
        settle();
        it.built();
        assert_eq!(it.built().done()["recalled"], true);
    };
    for (name, text) in [("data/x", "y"), ("a/testdata/two", "2"), ("data/z", "")] {
        remember();
        assert_eq!(foretold(&it), ("up_to_date".to_owned(), vec![]));
        it.file(name, text);
        let changed = vec![format!("file src/{name}")];
        assert_eq!(foretold(&it), ("would_be_built".to_owned(), changed));
        it.built().came("built 2, up_to_date 3");
        assert!(fs::read(made(&it, "fleet.tar")).unwrap() != tar, "{name}");
    }
    remember();
    fs::create_dir(it.path("b/testdata")).unwrap();
    it.built().came("built 2, up_to_date 3");
    remember();
    fs::write(made(&it, "folder/src/more"), "").unwrap();
    it.built().came("restored 1, up_to_date 4");
    it.file("BUILD.ron", &RULES.replace("90s", "80s").replace("form: tar", "form: folder"));
    it.built().came("built 2, up_to_date 3");
    assert!(!made(&it, "fleet.tar").exists() && made(&it, "fleet/run").exists());
    assert_eq!(it.ledger()["bundles"].as_array().unwrap().len(), 2);
}

/// What a build would do with the archive, and which inputs changed.
#[track_caller]
fn foretold(it: &Workspace) -> (String, Vec<String>) {
    let output = it.run(&["why", "--json", "//:fleet"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["after"], json!([]), "{value}");
    let input = |it: &Value| it["input"].as_str().unwrap().to_owned();
    let changes = value["changes"].as_array().unwrap().iter().map(input).collect();
    (value["state"].as_str().unwrap().to_owned(), changes)
}

#[test]
fn what_is_foretold_of_a_bundle_names_the_tests_that_come_before_it() {
    let Some(it) = workspace() else { return };
    let told = || text(&it.run(&["why", "//:fleet"]));
    holds(&told(), &["//:fleet: would be built", "there is no record of it", "`//:tests`"]);
    it.built().came("built 5");
    holds(&told(), &["//:fleet: up to date\n"]);
    fs::remove_file(made(&it, "fleet.tar")).unwrap();
    holds(&told(), &["//:fleet: would be restored", "no input changed; the output is not there"]);
    it.file("b/b_test.go", &test_file("b", "flag", &OTHER.replace("TestOther", "TestAnother")));
    holds(&told(), &["before it, these would be made anew and may change it: `//:tests`"]);
    it.built().came("built 3, up_to_date 2");
    // The tests are as they were; the bundle of them is to be another.
    it.file("BUILD.ron", &RULES.replace("form: tar", "form: folder"));
    holds(&told(), &["//:fleet: would be built", "form  tar  →  folder"]);
}

/// Holds what an archive unpacks to against the folder of the same tests.
#[track_caller]
fn unpacks_to(it: &Workspace, folder: &[(String, Vec<u8>, u32)]) {
    if !has("tar") {
        return;
    }
    let to = it.home().join("unpacked");
    fs::create_dir(&to).unwrap();
    let output =
        it.command("tar").arg("-xf").arg(made(it, "fleet.tar")).arg("-C").arg(&to).output();
    assert!(output.unwrap().status.success());
    // The index names its bundle.
    let all = |all: &[(String, Vec<u8>, u32)]| {
        all.iter().filter(|it| it.0 != "index.json").cloned().collect::<Vec<_>>()
    };
    assert_eq!(all(&files(&to.join("fleet"))), all(folder));
}

/// Runs a bundle that lies at `/fleet` of `root`, which is the whole of what it sees.
fn run(root: &Path, mode: &str, words: &[&str]) -> Output {
    // Nobody's machine is without /dev/null, where a shell is.
    let script = "set -e; root=$1; shift; if [ -e \"$root/dev/null\" ]; then \
                  mount --bind /dev/null \"$root/dev/null\"; fi; cd \"$root\"; \
                  exec env -i PATH=/bin MODE=\"$MODE\" /usr/sbin/chroot \"$root\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(root);
    command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/bin").env("MODE", mode);
    command.output().unwrap()
}

/// What both runners do alike; `runner` is how one is started.
#[track_caller]
fn holds_what_is_promised(root: &Path, runner: &[&str]) {
    let run = |mode: &str, more: &[&str]| {
        let output = run(root, mode, &[runner, more].concat());
        (output.status.code().unwrap(), text(&output))
    };
    let (code, said) = run("", &[]);
    assert_eq!(code, 0, "{said}");
    holds(&said, &["passed", "example.com/m/a (//:tests)", "3 test binaries: 3 passed, 0 failed"]);
    for (mode, told) in [
        ("fail", ["failed ", "<wrong> & "]),
        ("panic", ["crashed ", "panic: boom"]),
        ("exit", ["broken ", "had begun and not ended"]),
    ] {
        let (code, said) = run(mode, &["--junit", "/junit.xml"]);
        assert_eq!(code, 3, "{said}");
        holds(&said, &told);
        holds(&said, &["3 test binaries: 2 passed, 1 failed"]);
        let parsed = junit(&root.join("junit.xml"));
        let outcome = if mode == "fail" { "2 failures, 0 errors" } else { "0 failures, " };
        holds(
            &parsed,
            &["example.com/m/a", outcome, "example.com/m/b: 1 tests, 0 failures, 0 errors"],
        );
    }
    let (code, said) = run("skip", &["--junit=/junit.xml"]);
    assert_eq!(code, 0, "{said}");
    holds(
        &junit(&root.join("junit.xml")),
        &["example.com/m/a: 3 tests, 0 failures, 0 errors, 1 skipped"],
    );
    let (code, said) = run("late", &["--timeout", "1", "--shard", "1/3"]);
    assert_eq!(code, 3, "{said}");
    holds(&said, &["timed out ", "test timed out after 1s", "1 test binaries: 0 passed, 1 failed"]);
    let (code, said) = run("deaf", &["--timeout", "1", "--shard", "1/3"]);
    assert_eq!(code, 3, "{said}");
    holds(&said, &["timed out ", "it did not end within 1 s", "SIGQUIT: quit", "goroutine 1"]);
    let (code, said) = run("fail", &["--filter", "TestGood|TestOther"]);
    assert_eq!(code, 0, "{said}");
    holds(&said, &["3 test binaries: 2 passed, 0 failed, 1 without tests"]);
    assert_eq!(run("", &["--filter", "NoSuchTest"]).0, 4);
    assert_eq!(run("", &["--shard", "4/5"]).0, 4);
    for bad in [["--shard", "0/2"], ["--shard", "x"], ["--no-such", "flag"], ["--timeout", "x"]] {
        assert_eq!(run("", &bad).0, 2, "{bad:?}");
    }
    let shards = ["1/2", "2/2"].map(|it| run("", &["--list", "--shard", it]).1);
    assert_eq!(
        shards,
        ["//:tests\texample.com/m/a\n//:tests\texample.com/m/c\n", "//:tests\texample.com/m/b\n"]
    );
}

/// What a reader of XML makes of a report.
fn junit(path: &Path) -> String {
    let script = "import sys, xml.etree.ElementTree as e\n\
        for s in e.parse(sys.argv[1]).getroot(): print('%s: %s tests, %s failures, %s errors, %s skipped' % tuple(s.get(k) for k in ('name', 'tests', 'failures', 'errors', 'skipped')), len(s.findall('testcase')) == int(s.get('tests')))";
    let output = Command::new("python3").args(["-c", script]).arg(path).output().unwrap();
    let said = text(&output);
    assert!(output.status.success() && !said.contains("False"), "{said}");
    said
}

#[test]
fn a_bundle_runs_in_an_empty_root_and_in_one_of_busybox() {
    if !has("busybox") || !has("unshare") || !has("python3") || !has("chroot") {
        return;
    }
    let Some(it) = workspace() else { return };
    assert_eq!(it.build(&["//:folder"]).code, 0);
    // Nothing but the bundle: no shell, no /tmp, no /dev, no /proc.
    let empty = it.home().join("empty");
    let copy = |to: &Path| {
        fs::create_dir(to).unwrap();
        let mut command = it.command("cp");
        let done =
            command.arg("-r").arg(made(&it, "folder")).arg(to.join("fleet")).status().unwrap();
        assert!(done.success());
    };
    copy(&empty);
    holds_what_is_promised(&empty, &["/fleet/run"]);
    let busybox = it.home().join("busybox");
    copy(&busybox);
    for folder in ["bin", "dev", "tmp"] {
        fs::create_dir(busybox.join(folder)).unwrap();
    }
    fs::write(busybox.join("dev/null"), "").unwrap();
    fs::remove_file(busybox.join("fleet/run")).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let program = std::env::split_paths(&path).map(|it| it.join("busybox")).find(|it| it.is_file());
    fs::copy(program.unwrap(), busybox.join("bin/busybox")).unwrap();
    for tool in ["sh", "awk", "cat", "date", "dirname", "env", "kill", "mkdir", "rm", "sleep", "tr"]
    {
        symlink("busybox", busybox.join("bin").join(tool)).unwrap();
    }
    holds_what_is_promised(&busybox, &["/bin/sh", "/fleet/run.sh"]);
    let left: Vec<_> = fs::read_dir(busybox.join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    // The same parts as `linkwright test --shard` has.
    let run = crate::test_runs::tests(&it, &["--shard", "1/2"]);
    let parts = run.all("test_finished").map(|it| it["go_package"].to_string());
    let parts: std::collections::BTreeSet<_> = parts.collect();
    assert_eq!(parts, ["a", "c"].map(|it| format!("\"example.com/m/{it}\"")).into());
}

#[test]
fn what_no_bundle_can_hold_is_refused() {
    let Some(it) = workspace() else { return };
    let build = |rules: &str| {
        it.file("BUILD.ron", &format!("build(targets: [{rules}])"));
        let run = it.build(&[]);
        (run.code, format!("{:?}", run.events))
    };
    let tests =
        |more: &str| format!("go_tests(name: \"t\", packages: [\"./b\"], link: \"pure\"{more})");
    for (rules, told) in [
        ("bundle(name: \"x\", tests: [])".to_owned(), "holds no tests"),
        ("bundle(name: \"x\", tests: [\":x\"])".to_owned(), "depends on itself"),
        (
            format!("{}, bundle(name: \"x\", tests: [\":t\"], form: zip)", tests("")),
            "no bundle is a `zip`",
        ),
        (
            "files(name: \"f\", globs: [\"*\"]), bundle(name: \"x\", tests: [\":f\"])".to_owned(),
            "is no group of tests",
        ),
        (
            format!(
                "{}, bundle(name: \"x\", tests: [\":t\"])",
                tests(", platforms: [\"linux/amd64\", \"linux/arm64\"]")
            ),
            "the tests of `//:x` are for linux/amd64, linux/arm64",
        ),
        (
            format!(
                "{}, bundle(name: \"x\", tests: [\":t\"])",
                tests(", platforms: [\"windows/amd64\"]")
            ),
            "bundles are for Linux",
        ),
    ] {
        let (code, said) = build(&rules);
        assert_eq!(code, 2, "{rules}: {said}");
        holds(&said, &[told]);
    }
    let (code, _) = build(&format!(
        "{}, bundle(name: \"x\", tests: [\":t\"])",
        tests(", platforms: [\"linux/arm64\"]")
    ));
    assert_eq!(code, 0);
    if has("readelf") {
        let output = it.command("readelf").arg("-h").arg(made(&it, "x/run")).output().unwrap();
        holds(&text(&output), &["AArch64"]);
    }
}
