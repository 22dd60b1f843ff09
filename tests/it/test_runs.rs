//! `linkwright test`: real test binaries, the bad ones above all, each with its documented outcome.

use crate::support::has;
use crate::workspace::{Run, Workspace, holds, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

const TESTS: &str =
    r#"build(targets: [go_tests(name: "tests", packages: ["./..."], link: "netgo")])"#;

/// A test file of package `name` with these imports and functions.
pub(crate) fn test_file(name: &str, imports: &str, functions: &str) -> String {
    let imports: Vec<_> = imports.split_whitespace().map(|it| format!("\t{it:?}\n")).collect();
    let imports = imports.concat();
    format!("package {name}\n\nimport (\n\t\"testing\"\n{imports})\n\n{functions}\n")
}

#[track_caller]
pub(crate) fn tests(workspace: &Workspace, arguments: &[&str]) -> Run {
    let arguments = [&["test", "--json"], arguments].concat();
    Run::of(&workspace.linkwright(&arguments).output().unwrap())
}

/// How each test binary ended, by the last part of its Go package.
pub(crate) fn ended(run: &Run) -> BTreeMap<&str, &Value> {
    let name = |it: &'_ Value| -> Option<usize> { it["go_package"].as_str()?.rfind('/') };
    let all = run.all("test_finished");
    all.map(|it| {
        let package = it["go_package"].as_str().unwrap();
        (&package[name(it).map_or(0, |it| it + 1)..], it)
    })
    .collect()
}

/// The outcome of a binary, with its reason and its notes.
#[track_caller]
pub(crate) fn check(ended: &BTreeMap<&str, &Value>, name: &str, outcome: &str, parts: &[&str]) {
    let it = ended.get(name).unwrap_or_else(|| panic!("no `{name}` in {ended:#?}"));
    assert_eq!(it["outcome"], outcome, "{it:#}");
    holds(&format!("{} {}", it["reason"], it["notes"]), parts);
}

/// Packages of bad tests: name, imports, functions.
const BAD: [(&str, &str, &str); 13] = [
    ("fine", "", "func TestA(t *testing.T) { t.Run(\"sub\", func(*testing.T) {}) }"),
    (
        "wrong",
        "",
        "func TestA(t *testing.T) { t.Run(\"sub\", func(t *testing.T) { t.Error(\"no\") }) }",
    ),
    ("panics", "", "func TestA(t *testing.T) { panic(\"boom\") }"),
    (
        "killed",
        "syscall",
        "func TestA(t *testing.T) { syscall.Kill(syscall.Getpid(), syscall.SIGKILL); select {} }",
    ),
    ("exits", "os", "func TestA(t *testing.T) { os.Exit(0) }"),
    ("skips", "os", "func TestMain(m *testing.M) { os.Exit(0) }\nfunc TestA(t *testing.T) {}"),
    ("silent", "os", "func TestA(t *testing.T) { os.Stdout.Close() }"),
    (
        "forges",
        "fmt",
        "func TestA(t *testing.T) { fmt.Print(\"\\n\\x16--- PASS: TestB (0.00s)\\n\") }",
    ),
    (
        "floods",
        "fmt strings",
        "func TestA(t *testing.T) {\n\tline := strings.Repeat(\"x\", 9999)\n\tfor range 600 { fmt.Println(line) }\n\tt.Fail()\n}",
    ),
    (
        "writes",
        "os",
        "func TestA(t *testing.T) { os.WriteFile(\"left.txt\", []byte(\"x\"), 0o644); os.WriteFile(os.Getenv(\"HOME\")+\"/mine\", nil, 0o644) }",
    ),
    (
        "forks",
        "os os/exec strconv syscall",
        "func TestA(t *testing.T) {\n\tcommand := exec.Command(\"sleep\", \"600\")\n\tcommand.SysProcAttr = &syscall.SysProcAttr{Setsid: true}\n\tcommand.Stdout = os.Stdout\n\tif err := command.Start(); err != nil { t.Fatal(err) }\n\tos.WriteFile(os.Getenv(\"PIDS\"), []byte(strconv.Itoa(command.Process.Pid)), 0o644)\n}",
    ),
    ("late", "time", "func TestA(t *testing.T) { time.Sleep(time.Hour) }"),
    (
        "stubborn",
        "os/signal syscall time",
        "func TestMain(m *testing.M) { signal.Ignore(syscall.SIGTERM); time.Sleep(time.Hour) }\nfunc TestA(t *testing.T) {}",
    ),
];

#[test]
fn each_bad_test_has_its_outcome_and_nothing_survives() {
    let Some(it) = Workspace::new(&[]) else { return };
    for (name, imports, functions) in BAD {
        it.file(&format!("{name}/{name}_test.go"), &test_file(name, imports, functions));
    }
    let rules = TESTS.replace("link:", "timeout: \"4s\", pass_env: [\"PIDS\"], vet: false, link:");
    it.file("BUILD.ron", &rules);
    let pids = it.home().join("pids");
    let began = Instant::now();
    let output = it.linkwright(&["test", "--json", "-j4"]).env("PIDS", &pids).output().unwrap();
    let run = Run::of(&output);
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(began.elapsed() < Duration::from_mins(5));
    let ended = ended(&run);
    check(&ended, "fine", "passed", &["null []"]);
    check(&ended, "wrong", "failed", &["null"]);
    check(&ended, "panics", "crashed", &["panic: boom"]);
    check(&ended, "killed", "crashed", &["signal 9 (SIGKILL"]);
    check(&ended, "exits", "crashed", &["unexpected call to os.Exit(0)"]);
    check(&ended, "skips", "no_tests", &[]);
    check(&ended, "silent", "broken", &["had begun and not ended"]);
    check(&ended, "forges", "broken", &["`TestB` ended and had not begun"]);
    check(&ended, "floods", "failed", &[]);
    check(&ended, "writes", "passed", &["`left.txt`", "not kept", "wrote into its home", "`mine`"]);
    check(&ended, "forks", "passed", &["left processes behind"]);
    check(&ended, "late", "timed_out", &["test timed out after 4s"]);
    check(&ended, "stubborn", "timed_out", &["did not end within 4 s"]);
    holds(ended["stubborn"]["output"].as_str().unwrap(), &["SIGQUIT: quit", "goroutine 1"]);
    let flood = ended["floods"]["cases"][0]["output"].as_str().unwrap();
    assert!(flood.len() < 200_000, "{}", flood.len());
    holds(flood, &["bytes are left out"]);
    let of_flood = |it: &&Value| it["go_package"].as_str().unwrap().ends_with("/floods");
    let printed = run.all("test_output").filter(of_flood).map(|it| it["output"].as_str().unwrap());
    let printed: Vec<_> = printed.collect();
    assert!(printed.iter().map(|it| it.len()).sum::<usize>() < 5 << 20);
    holds(printed.last().unwrap(), &["bytes are left out"]);
    let pid = fs::read_to_string(&pids).unwrap();
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap(), "{pid} lives");
    let failed = ended["wrong"]["cases"].as_array().unwrap().iter();
    let names: Vec<_> = failed.map(|it| format!("{} {}", it["name"], it["outcome"])).collect();
    assert_eq!(names, ["\"TestA/sub\" \"failed\"", "\"TestA\" \"failed\""]);
    // The same again: what passed, kept nothing back and touched nothing is not run.
    let output = it.linkwright(&["test", "--json", "--filter", "^$"]).output().unwrap();
    let run = Run::of(&output);
    assert_eq!((run.code, &run.done()["tests"]["failed"]), (3, &Value::from(1)), "stubborn alone");
}

/// A test that reads a file of each kind that counts.
const READS: &str = r#"func TestA(t *testing.T) {
	for _, name := range []string{"testdata/own", "../shared", "/etc/hostname"} {
		os.ReadFile(name)
	}
	if file := os.Getenv("COUNT"); file != "" {
		f, _ := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		f.WriteString("x")
		f.Close()
	}
	t.Log(os.Getenv("GODEBUG"))
}"#;

fn kept(run: &Run) -> bool {
    let mut all = run.all("test_finished");
    let it = all.next().unwrap();
    assert_eq!((run.code, &it["outcome"]), (0, &Value::from("passed")), "{run:#?}");
    it["kept"].as_bool().unwrap()
}

/// A file that is as young as the run that reads it is not trusted.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(250));
}

#[test]
fn a_pass_is_kept_while_all_that_it_read_is_the_same() {
    let rules = TESTS.replace("link:", "data: [\"data/*\"], pass_env: [\"GODEBUG\"], link:");
    let files =
        [("BUILD.ron", rules.as_str()), ("shared", "1"), ("a/testdata/own", "1"), ("data/x", "1")];
    let Some(it) = Workspace::new(&files) else { return };
    it.file("a/a_test.go", &test_file("a", "os", READS));
    let run = || kept(&tests(&it, &[]));
    settle();
    assert!(!run() && run(), "the first is run, the second kept");
    let files = ["shared", "a/testdata/own", "data/x"];
    for name in files {
        it.file(name, "2");
        settle();
        assert!(!run() && run(), "{name} changed");
    }
    it.file("a/testdata/own", "1");
    settle();
    assert!(!run() && run(), "another state again");
    it.file("a/testdata/own", "2");
    assert!(run(), "a state that was seen before");
    it.file("a/testdata/new", "");
    settle();
    assert!(!run() && run(), "a new file");
    it.remove("shared");
    settle();
    assert!(!run() && run(), "a file that is gone");
    let debug = || {
        kept(&Run::of(&it.linkwright(&["test", "--json"]).env("GODEBUG", "x=1").output().unwrap()))
    };
    assert!(!debug() && debug(), "a variable");
    assert!(!kept(&tests(&it, &["--no-cache"])) && run());
    assert!(!kept(&tests(&it, &["--timeout", "9m"])), "arguments count");
    it.file("a/b_test.go", &test_file("a", "", "func TestB(t *testing.T) {}"));
    settle();
    assert!(!run() && run(), "another binary");
    let told = text(&it.run(&["test"]));
    holds(&told, &["example.com/m/a  kept", "1 test binary: 1 kept; 2 tests: 2 passed"]);
}

/// Says that it runs, and waits until it may end; both by processes, which Go's log does not see.
const WAITS: &str = r#"func TestA(t *testing.T) {
	os.ReadFile("testdata/x")
	os.ReadFile("../y")
	exec.Command("touch", os.Getenv("MARK")).Run()
	for range 600 {
		if exec.Command("test", "-e", os.Getenv("MARK")+".go").Run() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("nobody came")
}"#;

#[test]
fn what_changes_while_a_test_runs_is_seen_and_its_pass_is_not_kept() {
    let rules = TESTS.replace("link:", "pass_env: [\"MARK\"], link:");
    for (name, told) in [("a/testdata/x", "`testdata/x`"), ("y", "y`")] {
        let files = [("BUILD.ron", rules.as_str()), ("a/testdata/x", "1"), ("y", "1")];
        let Some(it) = Workspace::new(&files) else { return };
        it.file("a/a_test.go", &test_file("a", "os os/exec time", WAITS));
        let mark = it.home().join("mark");
        let mut command = it.linkwright(&["test", "--json"]);
        command.env("MARK", &mark).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        while !mark.exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        it.file(name, "2");
        fs::write(it.home().join("mark.go"), "").unwrap();
        let run = Run::of(&child.wait_with_output().unwrap());
        check(&ended(&run), "a", "passed", &["the pass is not kept", told]);
    }
}

#[test]
fn a_pass_after_a_failure_is_flaky_and_never_kept() {
    let flaky = "func TestA(t *testing.T) {\n\tif _, err := os.Stat(os.Getenv(\"MARK\")); err != nil {\n\t\tos.WriteFile(os.Getenv(\"MARK\"), nil, 0o644)\n\t\tt.Fatal(\"first\")\n\t}\n}";
    let rules = TESTS.replace("link:", "pass_env: [\"MARK\"], link:");
    let Some(it) = Workspace::new(&[("BUILD.ron", rules.as_str())]) else { return };
    it.file("a/a_test.go", &test_file("a", "os", flaky));
    let mark = it.home().join("mark");
    let test = |arguments: &[&str]| {
        let mut command = it.linkwright(&[&["test", "--json"], arguments].concat());
        Run::of(&command.env("MARK", &mark).output().unwrap())
    };
    let run = test(&["--retries", "2"]);
    let it = *ended(&run).get("a").unwrap();
    assert_eq!((run.code, &it["flaky"], &it["runs"]), (0, &true.into(), &2.into()), "{it:#}");
    holds(&it["notes"].to_string(), &["it failed before it passed: `TestA`"]);
    assert_eq!(run.done()["tests"]["flaky"], 1);
    assert!(!kept(&test(&[])));
    fs::remove_file(&mark).unwrap();
    let run = test(&["--repeat", "3"]);
    check(&ended(&run), "a", "failed", &["1 of 3 runs did not pass"]);
    assert_eq!(run.code, 3);
    fs::remove_file(&mark).unwrap();
    let run = test(&["--stress", "30s"]);
    check(&ended(&run), "a", "failed", &["1 of 1 runs did not pass"]);
    let run = test(&["--stress", "1s"]);
    assert!(ended(&run)["a"]["runs"].as_u64().unwrap() > 1 && run.code == 0, "{run:#?}");
}

#[test]
fn a_test_binary_is_run_while_others_are_built() {
    let Some(it) = Workspace::new(&[("BUILD.ron", TESTS)]) else { return };
    for name in ["a", "b"] {
        it.file(&format!("{name}/x_test.go"), &test_file(name, "", "func TestA(t *testing.T) {}"));
    }
    assert_eq!(it.run(&["test", "--list", "--quiet"]).status.code(), Some(0));
    it.file("b/x_test.go", &test_file("b", "", "func TestB(t *testing.T) { t.Log(1) }"));
    let run = tests(&it, &[]);
    assert_eq!((run.code, &run.done()["tests"]["passed"]), (0, &2.into()), "{run:#?}");
    let place = |holds: &dyn Fn(&Value) -> bool| run.events.iter().position(holds).unwrap();
    let is = |it: &Value, event: &str| it["event"] == event;
    let link = |it: &Value| it["what"].as_str().is_some_and(|it| it.starts_with("link"));
    let linking = &run.events[place(&|it| is(it, "step_started") && link(it))]["step"];
    let linked = place(&|it| is(it, "step_finished") && it["step"] == *linking);
    let ran = place(&|it| is(it, "test_started") && it["go_package"] == "example.com/m/a");
    assert!(ran < linked, "the test waited for a link that it does not need: {run:#?}");
    let steps: Vec<_> = run.all("step_started").map(|it| it["step"].to_string()).collect();
    let different: BTreeSet<_> = steps.iter().collect();
    assert_eq!(steps.len(), different.len(), "two steps have one number: {steps:?}");
}

#[test]
fn many_test_binaries_are_made_by_several_processes_one_after_another() {
    let Some(it) = Workspace::new(&[("BUILD.ron", TESTS)]) else { return };
    for at in 0..17 {
        let name = format!("p{at}");
        it.file(&format!("{name}/x_test.go"), &test_file(&name, "", "func TestA(t *testing.T) {}"));
    }
    let run = tests(&it, &[]);
    assert_eq!((run.code, &run.done()["tests"]["passed"]), (0, &17.into()), "{run:#?}");
    let links = run.all("step_started").filter_map(|it| it["what"].as_str());
    let links: Vec<_> = links.filter(|it| it.starts_with("link")).collect();
    let link = |count| format!("link {count} test binaries by netgo");
    assert_eq!(links, [link(9), link(8)]);
}

#[test]
fn reports_shards_and_exit_codes() {
    let Some(it) = Workspace::new(&[("BUILD.ron", TESTS)]) else { return };
    for name in ["a", "b", "c"] {
        it.file(
            &format!("{name}/x_test.go"),
            &test_file(name, "", "func TestGood(t *testing.T) {}"),
        );
    }
    let bad = "func TestBad(t *testing.T) { t.Error(\"<wrong> & \\x1b[31m\") }";
    it.file("b/bad_test.go", &test_file("b", "", bad));
    let mut seen = Vec::new();
    for shard in ["1/2", "2/2"] {
        let run = tests(&it, &["--shard", shard]);
        seen.extend(run.all("test_finished").map(|it| it["go_package"].to_string()));
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"].map(|it| format!("\"example.com/m/{it}\"")));
    let mut command = it.linkwright(&["test", "--junit", "report.xml", "--stream"]);
    let output = command.env("GITHUB_ACTIONS", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    holds(&stderr, &["::error file=b/bad_test.go,line=7,title=example.com/m/b TestBad failed::"]);
    holds(&stderr, &["example.com/m/b:     bad_test.go:7: <wrong> & \\u{1b}[31m"]);
    if has("python3") {
        let script = "import sys, xml.etree.ElementTree as e; r = e.parse(sys.argv[1]).getroot()\n\
                      print([(s.get('name'), s.get('tests'), s.get('failures')) for s in r])\n\
                      print(r.find('.//failure').text.splitlines()[1].strip())";
        let parsed = it.command("python3").args(["-c", script, "report.xml"]).output().unwrap();
        let expected = "[('example.com/m/a', '1', '0'), ('example.com/m/b', '2', '1'), \
                        ('example.com/m/c', '1', '0')]\nbad_test.go:7: <wrong> & \u{fffd}[31m\n";
        assert_eq!(text(&parsed), expected);
    }
    let run = tests(&it, &["--filter", "NoSuchTest"]);
    assert_eq!((run.code, &run.done()["tests"]["without_tests"]), (4, &3.into()));
    assert_eq!(it.run(&["test", "--shard", "3/2"]).status.code(), Some(2));
    // Where no report can be written nothing is run for it.
    for place in ["no/such/folder", ".", "/dev/null"] {
        let run = tests(&it, &["--junit", place]);
        assert_eq!((run.code, run.done()["exit_code"].as_u64()), (2, Some(2)), "{place}");
        assert_eq!(run.all("test_finished").count() + run.all("started").count(), 0, "{place}");
        holds(&format!("{:?}", run.events), &["cannot write"]);
    }
    // One that can no longer be written is told by the last event, too; the tests are told before.
    it.file("BUILD.ron", &TESTS.replace("link:", "pass_env: [\"GONE\"], link:"));
    it.file(
        "b/bad_test.go",
        &test_file("b", "os", "func TestBad(t *testing.T) { os.RemoveAll(os.Getenv(\"GONE\")) }"),
    );
    fs::create_dir(it.home().join("gone")).unwrap();
    let mut command = it.linkwright(&["test", "--json", "--junit", "../gone/report.xml"]);
    let run = Run::of(&command.env("GONE", it.home().join("gone")).output().unwrap());
    assert_eq!((run.code, run.done()["exit_code"].as_u64()), (2, Some(2)), "{run:#?}");
    assert_eq!((run.all("test_finished").count(), &run.done()["tests"]["passed"]), (3, &3.into()));
    // A glob of `data` that matches nothing is wrong in the rule file.
    it.file("BUILD.ron", &TESTS.replace("link:", "data: [\"no/*\"], link:"));
    let run = tests(&it, &["--run-in", "sealed"]);
    assert_eq!((run.code, run.all("test_finished").count()), (2, 0), "{run:#?}");
    for arguments in [["test", "--list"], ["test", "--quiet"]] {
        let run = it.run(&arguments);
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        holds(&text(&run), &["`no/*` matches no file", "BUILD.ron:1:"]);
    }
    it.file("BUILD.ron", TESTS);
    it.file("b/bad_test.go", "package b\n\nfunc Broken() { x }\n");
    let run = tests(&it, &[]);
    let told: Vec<_> = ended(&run).into_iter().map(|(name, it)| (name, &it["kept"])).collect();
    // Which of the others were told before the failure is a matter of time.
    assert!(run.code == 1 && told.iter().all(|it| it.0 != "b" && *it.1 == true), "{run:#?}");
    let run = tests(&it, &["-k"]);
    assert_eq!(run.code, 1);
    check(&ended(&run), "b", "not_run", &["it was not built"]);
    check(&ended(&run), "a", "passed", &[]);
    it.file("BUILD.ron", "build(targets: [go_binary(name: \"x\", package: \"./a\")])");
    assert_eq!(tests(&it, &[]).code, 4);
    assert_eq!(tests(&it, &["//no:such"]).code, 2);
}

#[test]
fn a_race_is_found_by_both_kinds_of_race_binaries() {
    let rules = r#"build(targets: [
        go_tests(name: "race", packages: ["./..."], link: "race"),
        go_tests(name: "static", packages: ["./..."], link: "static_race"),
    ])"#;
    let race = "func TestA(t *testing.T) {\n\tvar wait sync.WaitGroup\n\tnumber := 0\n\tfor range 2 {\n\t\twait.Add(1)\n\t\tgo func() { number++; wait.Done() }()\n\t}\n\twait.Wait()\n}";
    let Some(it) = Workspace::with_c(&[("BUILD.ron", rules)]) else { return };
    it.file("a/a_test.go", &test_file("a", "sync", race));
    let run = tests(&it, &[]);
    assert_eq!(run.code, 3, "{run:#?}");
    let all: Vec<_> = run.all("test_finished").collect();
    assert_eq!(all.len(), 2);
    for it in all {
        assert_eq!(it["outcome"], "failed", "{it:#}");
        holds(&it["cases"][0]["output"].to_string(), &["WARNING: DATA RACE"]);
    }
    assert_eq!(run.finished("//:static")["class"], "static");
    assert_eq!(run.finished("//:static")["strategy"], "static_race");
}

/// The outcome of each test as `go test -json` tells it.
fn by_go(it: &Workspace, packages: &[&str]) -> BTreeMap<(String, String), String> {
    let output = it.go(&[&["test", "-json", "-vet=off", "-count=1"], packages].concat());
    let mut outcomes = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let word = match event["Action"].as_str() {
            Some("pass" | "bench") => "passed",
            Some("fail") => "failed",
            Some("skip") => "skipped",
            _ => continue,
        };
        let Some(test) = event["Test"].as_str() else { continue };
        let name = (event["Package"].as_str().unwrap().to_owned(), test.to_owned());
        outcomes.insert(name, word.to_owned());
    }
    outcomes
}

#[test]
fn tests_of_the_standard_library_end_as_under_go_test() {
    let packages = [
        "container/list",
        "encoding/csv",
        "container/ring",
        "path",
        "text/tabwriter",
        "unicode/utf8",
    ];
    let rules = format!(
        "build(targets: [go_tests(name: \"std\", packages: {packages:?}, link: \"netgo\", vet: false)])"
    );
    let Some(it) = Workspace::new(&[("BUILD.ron", rules.as_str())]) else { return };
    let run = tests(&it, &[]);
    assert_eq!(run.code, 0, "{run:#?}");
    let mut ours = BTreeMap::new();
    for binary in run.all("test_finished") {
        for case in binary["cases"].as_array().unwrap() {
            let text = |it: &Value| it.as_str().unwrap().to_owned();
            ours.insert((text(&binary["go_package"]), text(&case["name"])), text(&case["outcome"]));
        }
    }
    assert!(ours.len() > 100, "{}", ours.len());
    let theirs = by_go(&it, &packages);
    let differ: Vec<_> = ours.iter().filter(|it| theirs.get(it.0) != Some(it.1)).collect();
    assert!(differ.is_empty() && ours.len() == theirs.len(), "{differ:#?}");
}
