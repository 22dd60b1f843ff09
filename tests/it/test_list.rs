//! `linkwright test --list`: the names that each binary tells are those that `go test -list` tells,
//! and what cannot be asked says so; platforms of a target are told apart.

use crate::workspace::{Run, Workspace, holds, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const RULES: &str = r#"build(targets: [
    go_tests(name: "tests", packages: ["./..."], exclude: ["./bad/..."], link: "pure", vet: false,
             platforms: ["linux/amd64", "windows/amd64"]),
    go_tests(name: "bad", packages: ["./bad/..."], link: "pure", vet: false, timeout: "2s"),
])"#;

const MANY: &str = r#"package many

import (
	"fmt"
	"os"
	"testing"
)

func init() { fmt.Println("TestForged of many"); fmt.Fprintln(os.Stderr, "made ready") }

func TestB(t *testing.T)      { t.Run("sub", func(*testing.T) {}) }
func TestA(t *testing.T)      {}
func Test_ä(t *testing.T)     {}
func BenchmarkA(b *testing.B) {}
func FuzzA(f *testing.F)      { f.Fuzz(func(*testing.T, int) {}) }
func Testify()                {}

func ExampleOne() {
	fmt.Println("x")
	// Output: x
}

func ExampleSilent() {}
"#;

/// What each binary told, by the last part of its Go package and its platform.
fn told(document: &Value) -> BTreeMap<(String, String), (Vec<String>, String)> {
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let one = |it: &Value| {
        let package = text(&it["go_package"]);
        let name = package.rsplit('/').next().unwrap().to_owned();
        let tests = it["tests"].as_array().into_iter().flatten();
        let tests = tests.map(|it| text(&it["name"])).collect();
        ((name, text(&it["platform"])), (tests, text(&it["reason"])))
    };
    document["binaries"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn the_list_names_every_binary_and_the_tests_that_it_tells() {
    let files = [
        ("BUILD.ron", RULES),
        ("many/many_test.go", MANY),
        ("none/none_test.go", "package none\n"),
        ("bad/dies/x_test.go", "package dies\n\nfunc init() { panic(\"no\") }\n"),
        ("bad/hangs/x_test.go", "package hangs\n\nfunc init() { for { } }\n"),
    ];
    if std::env::consts::ARCH != "x86_64" {
        return;
    }
    let Some(it) = Workspace::new(&files) else { return };
    let listed = it.run(&["test", "--list", "--json", ":tests"]);
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    let document: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(document["format"], "linkwright-tests/1");
    let schema = include_str!("../../docs/schema/tests.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::validate(&schema, &document).unwrap();
    let binaries = told(&document);
    let of = |name: &str, platform: &str| &binaries[&(name.to_owned(), platform.to_owned())];
    let by_go = it.go(&["test", "-vet=off", "-list", ".", "./many"]);
    let by_go = String::from_utf8(by_go.stdout).unwrap();
    let is_name = |it: &&str| !it.contains(' ') && !it.contains('\t');
    let by_go: Vec<_> = by_go.lines().filter(is_name).collect();
    assert_eq!(
        of("many", "linux/amd64"),
        &(by_go.iter().map(ToString::to_string).collect(), String::new())
    );
    assert_eq!(by_go, ["TestB", "TestA", "Test_ä", "BenchmarkA", "FuzzA", "ExampleOne"]);
    assert_eq!(of("none", "linux/amd64"), &(vec![], String::new()));
    let foreign = (vec![], "it is built for another platform".to_owned());
    assert_eq!((of("many", "windows/amd64"), of("none", "windows/amd64")), (&foreign, &foreign));
    let first = &document["binaries"][0];
    assert_eq!(first["class"], "static");
    assert_eq!(first["output"], "bin/tests/linux_amd64/example.com/m/many.test");
    assert_eq!(first["tests"][4], json!({"name": "FuzzA", "kind": "fuzz"}));

    let shown = it.run(&["test", "--list", ":tests"]);
    holds(&text(&shown), &["  example.com/m/many linux/amd64  static by pure\n    TestB\n"]);
    holds(&text(&shown), &["4 test binaries: 3 tests, 1 benchmark, 1 fuzz test, 1 example"]);

    let bad = it.run(&["test", "--list", "--json", ":bad"]);
    assert_eq!(bad.status.code(), Some(3), "{bad:?}");
    let binaries = told(&serde_json::from_slice(&bad.stdout).unwrap());
    let of = |name: &str| binaries[&(name.to_owned(), String::new())].1.as_str();
    assert_eq!(of("dies"), "asked for its tests, it ended with code 2");
    assert_eq!(of("hangs"), "asked for its tests, it did not end within 2 s");

    assert_eq!(it.run(&["test", "--list", "--filter", "x"]).status.code(), Some(2));
    platforms_are_told_apart(&it);
    it.file("many/many_test.go", "package many\n\nfunc Broken() { x }\n");
    let broken = it.run(&["test", "--list", "--json", ":tests"]);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    let binaries = told(&serde_json::from_slice(&broken.stdout).unwrap());
    let name = ("many".to_owned(), "linux/amd64".to_owned());
    assert_eq!(binaries[&name].1, "it was not built");
    it.file("BUILD.ron", "build(targets: [])");
    assert_eq!(it.run(&["test", "--list"]).status.code(), Some(4));
}

fn platforms_are_told_apart(it: &Workspace) {
    let arguments = ["test", "--json", "--junit", "report.xml", ":tests"];
    let run = Run::of(&it.run(&arguments));
    assert_eq!(run.code, 36, "{run:#?}");
    let mut ended: Vec<_> = run
        .all("test_finished")
        .map(|it| format!("{} {} {}", it["go_package"], it["platform"], it["outcome"]))
        .collect();
    ended.sort();
    let expected = [
        r#""example.com/m/many" "linux/amd64" "passed""#,
        r#""example.com/m/many" "windows/amd64" "not_run""#,
        r#""example.com/m/none" "linux/amd64" "no_tests""#,
        r#""example.com/m/none" "windows/amd64" "not_run""#,
    ];
    assert_eq!(ended, expected);
    for kind in ["test_started", "test_case", "test_output"] {
        let own = run.all(kind).filter(|it| it["go_package"] == "example.com/m/many");
        let platforms: Vec<_> = own.map(|it| &it["platform"]).collect();
        assert!(platforms.contains(&&json!("linux/amd64")), "{kind}: {platforms:?}");
        assert!(platforms.iter().all(|it| it.is_string()), "{kind}: {platforms:?}");
    }
    let report = it.read("report.xml");
    holds(&report, &["<testsuite name=\"example.com/m/many linux/amd64\""]);
    holds(&report, &["<property name=\"platform\" value=\"windows/amd64\"/>"]);
}
