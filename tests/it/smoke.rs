//! `build --smoke`: programs are started once in a sealed root, and what passed is remembered.

use crate::workspace::{Run, Workspace, holds, prints, text};
use serde_json::Value;

const BUILD: &str = r#"build(targets: [
    go_binary(name: "app", package: ".", link: "netgo", smoke: (args: ["a"], stdout: "1 word", timeout: "1m")),
    go_binary(name: "silent", package: "./silent", link: "netgo"),
    go_tests(name: "tests", packages: ["./lib"], link: "netgo"),
])"#;

/// Prints how many words it was given, and tells of what it finds.
const APP: &str = r#"package main

import (
	"fmt"
	"os"
)

func main() {
	entries, _ := os.ReadDir("/")
	if len(entries) != 4 {
		fmt.Println("the root holds", len(entries))
		os.Exit(3)
	}
	fmt.Println(len(os.Args)-1, "word")
}
"#;

const LIB_TEST: &str = "package lib\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) {}\n";

fn workspace(build: &str, app: &str) -> Option<Workspace> {
    Workspace::new(&[
        ("BUILD.ron", build),
        ("main.go", app),
        ("silent/main.go", &prints("hello")),
        ("lib/lib.go", "package lib\n"),
        ("lib/lib_test.go", LIB_TEST),
    ])
}

/// Tells whether sealed roots can be made here; with `REQUIRE_ALL=1` they must.
fn can(run: &Run) -> bool {
    let cannot = run.all("finished").any(|it| it["smoke"] == "not_tried");
    let required = std::env::var_os("REQUIRE_ALL").is_some();
    assert!(!(cannot && required), "REQUIRE_ALL is set: {run:#?}");
    !cannot
}

fn smoked(run: &Run) -> Vec<&Value> {
    ["//:app", "//:silent", "//:tests"].map(|it| &run.finished(it)["smoke"]).to_vec()
}

#[test]
fn a_program_is_started_once_and_again_when_its_bytes_change() {
    let Some(it) = workspace(BUILD, APP) else { return };
    assert_eq!(smoked(&it.built()), [&Value::Null, &Value::Null, &Value::Null]);
    let first = it.build(&["--smoke"]);
    if !can(&first) {
        return;
    }
    assert_eq!(
        (first.code, smoked(&first)),
        (0, vec![&"passed".into(), &"not_meant".into(), &"passed".into()])
    );
    let again = it.build(&["--smoke"]);
    assert_eq!(
        (again.code, smoked(&again)),
        (0, vec![&"known".into(), &"not_meant".into(), &"known".into()])
    );
    let starts = |run: &Run| {
        let what = run.all("step_started").filter(|it| it["what"].to_string().contains("sealed"));
        what.count()
    };
    assert_eq!((starts(&first), starts(&again)), (2, 0));
    let table = text(&it.run(&["build", "--smoke"]));
    assert_eq!(table.matches("up to date, starts").count(), 2, "{table}");

    // Other bytes, and another way to start the same bytes.
    it.file("main.go", &APP.replace("the root holds", "there are"));
    let edited = it.build(&["--smoke"]);
    assert_eq!(smoked(&edited)[0], "passed", "{edited:#?}");
    it.file("BUILD.ron", &BUILD.replace("\"1m\"", "\"2m\""));
    assert_eq!(smoked(&it.build(&["--smoke"]))[0], "passed");
    let checked = it.run(&["cache", "verify"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn what_does_not_start_well_fails_with_the_reason() {
    let Some(it) = workspace(BUILD, APP) else { return };
    let with =
        |smoke: &str| BUILD.replace("(args: [\"a\"], stdout: \"1 word\", timeout: \"1m\")", smoke);
    it.file("BUILD.ron", &with("(args: [\"a\"], stdout: \"2 words\")"));
    let run = it.build(&["--smoke", "-k"]);
    if !can(&run) {
        return;
    }
    assert_eq!(
        (run.code, smoked(&run)),
        (6, vec![&"failed".into(), &"not_meant".into(), &"passed".into()])
    );
    holds(
        &run.error("//:app"),
        &["does not start in a sealed root", "it does not print `2 words`", "1 word"],
    );
    assert_eq!(it.record("//:app")["linkage"]["class"], "static");

    it.file("BUILD.ron", &with("(timeout: \"1s\")"));
    it.file(
        "main.go",
        "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n",
    );
    let run = it.build(&["--smoke", ":app"]);
    assert_eq!(run.code, 6);
    holds(&run.error("//:app"), &["did not end within 1 s"]);
    it.file("main.go", "package main\n\nfunc main() { panic(\"no\") }\n");
    let run = it.build(&["--smoke", ":app"]);
    assert_eq!(run.code, 6);
    holds(&run.error("//:app"), &["it ended with code 2", "panic: no"]);
    it.file("BUILD.ron", &with("(exit: \"2\")"));
    let run = it.build(&["--smoke", ":app"]);
    assert_eq!((run.code, &run.finished("//:app")["smoke"]), (0, &"passed".into()), "{run:#?}");
    it.file("BUILD.ron", &with("(exit: \"3\")"));
    let run = it.build(&["--smoke", ":app"]);
    holds(&run.error("//:app"), &["it ended with code 2, not 3"]);
    it.file("BUILD.ron", &with("(exit: \"256\")"));
    holds(&it.build(&["--smoke", ":app"]).error(""), &["`256` is no exit code"]);
    it.file("BUILD.ron", &with("(timeout: \"1s\")"));
    // A failure is not remembered as anything.
    assert_eq!(it.build(&["--smoke", ":app"]).code, 6);
    assert_eq!(it.build(&[":app"]).code, 0);

    it.file("BUILD.ron", &with("(timeout: \"soon\")"));
    holds(
        &it.build(&["--smoke", ":app"]).error(""),
        &["`soon` is no time that a program could take"],
    );
}
