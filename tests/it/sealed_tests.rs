//! `run_in: sealed`: real test binaries in roots of their own, the bad ones too.

use crate::support::has;
use crate::test_runs::{check, ended, settle, test_file, tests};
use crate::workspace::{Run, Workspace, holds};
use serde_json::Value;
use std::process::Stdio;

/// Passes where only what was declared is there, and tells what is there besides.
const LOOKS: &str = r#"func TestLook(t *testing.T) {
	folder, _ := os.Getwd()
	names := func(folder string) (names []string) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Error(err)
		}
		for _, it := range entries {
			names = append(names, it.Name())
		}
		return
	}
	own, _ := os.ReadFile("testdata/own")
	shared, _ := os.ReadFile("../data/x")
	hosts, _ := os.ReadFile("/etc/hosts")
	write := os.WriteFile("testdata/new", nil, 0o644)
	temporary := os.WriteFile(os.TempDir()+"/new", nil, 0o644)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		var connection net.Conn
		connection, err = net.Dial("tcp", listener.Addr().String())
		connection.Close()
	}
	found := fmt.Sprint(os.Args[0], " in ", folder, os.Environ(), names("/"), names("/src"), names("."),
		string(own), string(shared), string(hosts), write, temporary, err)
	want := "/bin/a.test in /src/a[HOME=/tmp OWN=1 PATH=/bin PWD=/src/a TMPDIR=/tmp] " +
		"[bin dev etc proc src tmp] [a data] [testdata]own shared 127.0.0.2 beta\n" +
		"open testdata/new: read-only file system <nil> <nil>"
	if found != want {
		t.Errorf("found:\n%s\nwant:\n%s", found, want)
	}
}"#;

/// `None` where no sealed root can be made.
fn workspace(files: &[(&str, &str)]) -> Option<Workspace> {
    let it = Workspace::with_c(&[("BUILD.ron", "build(targets: [])")])?;
    let tried =
        it.command("unshare").args(["--user", "--net", "--pid", "--mount", "true"]).output();
    let can = rustix::process::geteuid().is_root() || tried.is_ok_and(|it| it.status.success());
    assert!(can || std::env::var_os("REQUIRE_ALL").is_none(), "REQUIRE_ALL, and no namespaces");
    if !can {
        println!("passed over: no sealed roots here");
        return None;
    }
    for (name, text) in files {
        it.file(name, text);
    }
    Some(it)
}

fn sealed(run_in: &str, more: &str) -> String {
    format!(
        "build(targets: [go_tests(name: \"tests\", packages: [\"./...\"{more}], link: \"netgo\", \
         vet: false, data: [\"data/*\"], pass_env: [\"OWN\"], timeout: \"4s\", run_in: {run_in})])"
    )
}

#[test]
fn a_test_sees_its_files_and_nothing_else() {
    let rules = sealed("sealed(hosts: {\"beta\": \"127.0.0.2\"})", ", \"compress/bzip2\"");
    let files = [("BUILD.ron", rules.as_str()), ("a/testdata/own", "own "), ("data/x", "shared ")];
    let Some(it) = workspace(&files) else { return };
    it.file("a/a_test.go", &test_file("a", "fmt net os", LOOKS));
    let arguments = ["test", "--json", "--junit", "report.xml"];
    let run =
        Run::of(&it.linkwright(&arguments).env("OWN", "1").env("OTHER", "2").output().unwrap());
    let ended = ended(&run);
    for name in ["a", "bzip2"] {
        check(&ended, name, "passed", &["null []"]);
        assert_eq!(ended[name]["ran_in"], "sealed");
    }
    assert!(ended["bzip2"]["cases"].as_array().unwrap().len() > 3, "{run:#?}");
    holds(&it.read("report.xml"), &["<property name=\"ran_in\" value=\"sealed\"/>"]);
    let started = run.all("step_started").map(|it| it["what"].as_str().unwrap());
    let started: Vec<_> = started.filter(|it| it.starts_with("test ")).collect();
    assert!(started.contains(&"test example.com/m/a in a sealed root"), "{started:?}");
    assert_eq!(run.code, 0);
}

/// Packages of bad tests: name, imports, functions.
const BAD: [(&str, &str, &str); 5] = [
    (
        "killed",
        "syscall",
        "func TestA(t *testing.T) { syscall.Kill(syscall.Getpid(), syscall.SIGKILL); select {} }",
    ),
    (
        "forks",
        "os os/exec time",
        "func TestMain(m *testing.M) {\n\tif len(os.Args) == 2 && os.Args[1] == \"again\" { time.Sleep(time.Hour) }\n\tos.Exit(m.Run())\n}\n\
         func TestA(t *testing.T) {\n\tif err := exec.Command(\"/proc/self/exe\", \"again\").Start(); err != nil { t.Fatal(err) }\n}",
    ),
    ("late", "time", "func TestA(t *testing.T) { time.Sleep(time.Hour) }"),
    (
        "stubborn",
        "os/signal syscall time",
        "func TestMain(m *testing.M) { signal.Ignore(syscall.SIGTERM); time.Sleep(time.Hour) }\nfunc TestA(t *testing.T) {}",
    ),
    (
        "many",
        "os/exec",
        "func TestA(t *testing.T) {\n\tfor range 60 {\n\t\tif err := exec.Command(\"/proc/self/exe\", \"-test.list=.\").Start(); err != nil { t.Fatal(err) }\n\t}\n}",
    ),
];

#[test]
fn bad_tests_end_in_a_sealed_root_as_on_the_machine() {
    let rules = r#"build(targets: [
        go_tests(name: "tests", packages: ["./..."], exclude: ["./dynamic"], link: "netgo", vet: false,
                 timeout: "4s", run_in: sealed(processes: "30")),
        go_tests(name: "dynamic", packages: ["./dynamic"], link: "default", run_in: sealed),
    ])"#;
    let Some(it) = workspace(&[("BUILD.ron", rules)]) else { return };
    for (name, imports, functions) in BAD {
        it.file(&format!("{name}/{name}_test.go"), &test_file(name, imports, functions));
    }
    it.file("dynamic/c.go", "package dynamic\n\nimport \"C\"\n");
    it.file("dynamic/a_test.go", &test_file("dynamic", "", "func TestA(t *testing.T) {}"));
    let run = tests(&it, &["-j4"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    let ended = ended(&run);
    check(&ended, "dynamic", "failed", &["asks for the loader `/lib64/ld-linux"]);
    assert_eq!((&ended["dynamic"]["ran_in"], &ended["dynamic"]["runs"]), (&Value::Null, &0.into()));
    check(&ended, "killed", "crashed", &["signal 9 (SIGKILL"]);
    check(&ended, "forks", "passed", &["left processes behind"]);
    check(&ended, "late", "timed_out", &["test timed out after 4s"]);
    check(&ended, "stubborn", "timed_out", &["did not end within 4 s"]);
    holds(ended["stubborn"]["output"].as_str().unwrap(), &["SIGQUIT: quit", "goroutine 1"]);
    assert!(matches!(ended["many"]["outcome"].as_str(), Some("failed" | "crashed")), "{run:#?}");
    holds(&ended["many"].to_string(), &["resource temporarily unavailable"]);
}

#[test]
fn a_pass_is_kept_for_its_root_alone() {
    let rules = sealed("sealed", "");
    let Some(it) = workspace(&[("BUILD.ron", rules.as_str()), ("data/x", "1")]) else { return };
    let reads =
        "func TestA(t *testing.T) { os.ReadFile(\"testdata/own\"); os.ReadFile(\"../data/x\") }";
    it.file("a/a_test.go", &test_file("a", "os", reads));
    let run = |arguments: &[&str]| {
        let run = tests(&it, arguments);
        let it = *ended(&run).get("a").unwrap();
        assert_eq!((run.code, &it["outcome"]), (0, &"passed".into()), "{run:#?}");
        (it["ran_in"].as_str().unwrap().to_owned(), it["kept"].as_bool().unwrap())
    };
    let (sealed_now, host) = (|kept| ("sealed".to_owned(), kept), |kept| ("host".to_owned(), kept));
    settle();
    assert_eq!([run(&[]), run(&[])], [sealed_now(false), sealed_now(true)]);
    let on_host = || run(&["--run-in", "host"]);
    assert_eq!([on_host(), on_host(), run(&[])], [host(false), host(true), sealed_now(true)]);
    for (name, text) in
        [("data/x", "2"), ("data/y", ""), ("a/testdata/own", "1"), ("a/testdata/new", "")]
    {
        it.file(name, text);
        settle();
        assert_eq!([run(&[]), run(&[])], [sealed_now(false), sealed_now(true)], "{name}");
    }
    std::fs::create_dir(it.path("a/testdata/empty")).unwrap();
    settle();
    assert_eq!([run(&[]), run(&[])], [sealed_now(false), sealed_now(true)], "a folder");
    it.file("BUILD.ron", &sealed("sealed(open_files: \"100\")", ""));
    assert_eq!([run(&[]), run(&[])], [sealed_now(false), sealed_now(true)], "a limit");
    it.file("BUILD.ron", &sealed("host", ""));
    assert_eq!(run(&["--run-in", "sealed"]), sealed_now(true), "the root of before");
}

#[test]
fn a_static_binary_finds_a_race_in_a_sealed_root() {
    for strategy in ["static_race", "static_race_musl"] {
        if strategy == "static_race" || has("musl-gcc") {
            a_race_is_found_by(strategy);
        }
    }
}

fn a_race_is_found_by(strategy: &str) {
    let rules = format!(
        "build(targets: [go_tests(name: \"race\", packages: [\"./...\"], link: \"{strategy}\", run_in: sealed)])"
    );
    let Some(it) = workspace(&[("BUILD.ron", &rules)]) else { return };
    let race = "func TestA(t *testing.T) {\n\tvar wait sync.WaitGroup\n\tnumber := 0\n\tfor range 2 {\n\t\twait.Add(1)\n\t\tgo func() { number++; wait.Done() }()\n\t}\n\twait.Wait()\n}";
    it.file("a/a_test.go", &test_file("a", "sync", race));
    it.file("b/b_test.go", &test_file("b", "", "func TestB(t *testing.T) {}"));
    let run = tests(&it, &[]);
    let ended = ended(&run);
    check(&ended, "a", "failed", &[]);
    check(&ended, "b", "passed", &[]);
    holds(&ended["a"]["cases"][0]["output"].to_string(), &["WARNING: DATA RACE"]);
    assert_eq!((run.code, &ended["a"]["ran_in"]), (3, &"sealed".into()));
    let built: Vec<_> = run.all("finished").map(|it| it["strategy"].to_string()).collect();
    assert_eq!(built, [format!("{strategy:?}"), format!("{strategy:?}")]);
}

#[test]
fn a_root_holds_more_files_than_a_command_line_can_name() {
    let rules = sealed("sealed", "").replace("data/*", "data/**");
    let Some(it) = workspace(&[("BUILD.ron", &rules)]) else { return };
    let name = |at: usize| format!("{at}{}", "x".repeat(100));
    for at in 0..10_000 {
        it.file(&format!("data/{}/{}", at % 10, name(at)), "");
    }
    let counts = "func TestA(t *testing.T) {\n\tnames, _ := filepath.Glob(\"../data/*/*\")\n\tif len(names) != 10000 {\n\t\tt.Fatal(len(names))\n\t}\n}";
    it.file("a/a_test.go", &test_file("a", "path/filepath", counts));
    let run = tests(&it, &[]);
    check(&ended(&run), "a", "passed", &[]);
    assert_eq!(ended(&run)["a"]["ran_in"], "sealed");
}

#[test]
fn where_no_root_can_be_made_no_test_runs() {
    let rules = sealed("sealed", "").replace(", data: [\"data/*\"]", "");
    let Some(it) = workspace(&[("BUILD.ron", rules.as_str())]) else { return };
    it.file("a/a_test.go", &test_file("a", "", "func TestA(t *testing.T) {}"));
    if !has("unshare") {
        return;
    }
    // A user namespace in which there may be no other.
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"";
    let mut outer = it.linkwright(&["test", "--json"]);
    let inner: Vec<_> = std::iter::once(outer.get_program())
        .chain(outer.get_args())
        .map(ToOwned::to_owned)
        .collect();
    let mut command = it.command("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]).args(inner);
    for (name, value) in outer.stdin(Stdio::null()).get_envs() {
        command.env(name, value.unwrap());
    }
    let run = Run::of(&command.output().unwrap());
    check(&ended(&run), "a", "not_run", &["no sealed root can be made here", "namespaces"]);
    assert_eq!((run.code, &ended(&run)["a"]["ran_in"]), (36, &Value::Null));
}

#[test]
fn a_list_of_tests_is_asked_for_in_the_root_too() {
    let Some(it) = workspace(&[("data/x", "")]) else { return };
    it.file("BUILD.ron", &sealed("sealed", ""));
    let only = "func init() { if _, err := os.Stat(\"/src/a\"); err != nil { panic(err) } }\n\nfunc TestA(t *testing.T) {}";
    it.file("a/a_test.go", &test_file("a", "os", only));
    let names = |arguments: &[&str]| {
        let output = it.run(&[&["test", "--list", "--json"], arguments].concat());
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), listed["binaries"][0]["tests"][0]["name"].clone())
    };
    assert_eq!(names(&[]), (0, "TestA".into()));
    assert_eq!(names(&["--run-in", "host"]), (3, Value::Null));
}
