//! What `go list` and `go env` said is kept, and asked again as soon as it could be something else.

use crate::ledger::schema;
use crate::workspace::{Run, Workspace, holds, prints, text};
use linkwright::formats::go_list::parse;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

const RULES: &str = r#"build(
    defaults: (link: "pure"),
    targets: [go_binary(name: "a", package: "./a"), go_tests(name: "tests", packages: ["./..."])],
)"#;

const MAIN: &str =
    "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() { println(lib.X) }\n";

fn library(imports: &str, value: &str) -> String {
    format!("package lib\n\n{imports}\n\nconst X = {value:?}\n")
}

fn workspace() -> Option<Workspace> {
    Workspace::new(&[
        ("BUILD.ron", RULES),
        ("a/main.go", MAIN),
        ("lib/lib.go", &library("", "one")),
        ("lib/lib_test.go", "package lib\n\nimport \"testing\"\n\nfunc TestX(*testing.T) {}\n"),
    ])
}

fn asked(run: &Run) -> usize {
    run.all("step_started").filter(|it| it["argv"][1] == "list").count()
}

#[test]
fn an_edit_asks_only_where_it_brings_what_no_answer_told_of() {
    let Some(it) = workspace() else { return };
    assert_eq!(asked(&it.built()), 1);
    let edit = |name: &str, text: &str, questions: usize, says: &str| {
        it.file(name, text);
        let run = it.built();
        assert_eq!(asked(&run), questions, "{name}: {text}: {run:#?}");
        assert_eq!(it.says("a"), format!("{says}\n"));
    };
    edit("lib/lib.go", &library("", "two"), 0, "two");
    // `os` is known, since tests import it.
    edit("lib/lib.go", &library("import _ \"os\"", "two"), 0, "two");
    edit("lib/lib.go", &library("import _ \"archive/zip\"", "two"), 1, "two");
    // Asked before.
    edit("lib/lib.go", &library("", "three"), 0, "three");
    edit("lib/lib.go", &library("import _ \"archive/zip\"", "four"), 0, "four");
    // A constraint leaves the file out, and another one takes its place.
    edit("lib/other.go", &format!("//go:build never\n\n{}", library("", "other")), 0, "four");
    it.file("lib/lib.go", &format!("//go:build never\n\n{}", library("", "four")));
    edit("lib/other.go", &library("", "other"), 0, "other");
    // A constraint on what the toolchain was made with.
    edit("lib/odd.go", "//go:build goexperiment.jsonv2\n\npackage lib\n", 1, "other");
    it.remove("lib/odd.go");
    // A package that is new.
    it.file("more/more.go", "package more\n\nconst X = \"more\"\n");
    edit("a/main.go", &MAIN.replace("m/lib", "m/more").replace("lib.X", "more.X"), 0, "more");
    // Tests are parsed by Go, each text once.
    let test = "package lib\n\nimport \"testing\"\n\nfunc TestY(*testing.T) {}\n";
    edit("lib/lib_test.go", test, 1, "more");
    edit("more/more.go", "package more\n\nimport _ \"os\"\n\nconst X = \"most\"\n", 0, "most");
    let ledger = it.read("linkwright-out/ledger.json");
    let run = it.build(&["--paranoid"]);
    run.came("up_to_date 2");
    assert_ne!(asked(&run), 0, "{run:#?}");
    assert_eq!(it.read("linkwright-out/ledger.json"), ledger);
}

/// The packages that a query names, by import path, with what each imports.
fn queried(it: &Workspace, pattern: &str) -> BTreeMap<String, Vec<String>> {
    let output = it.run(&["query", "--packages", "--json", pattern]);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let invalid: Vec<_> =
        schema("query-packages").iter_errors(&told).map(|it| it.to_string()).collect();
    assert!(invalid.is_empty(), "{invalid:?}");
    let [selection] = told["selections"].as_array().unwrap().as_slice() else { panic!("{told}") };
    let texts = |it: &Value| serde_json::from_value::<Vec<String>>(it.clone()).unwrap();
    let package =
        |it: &Value| (it["import_path"].as_str().unwrap().to_owned(), texts(&it["imports"]));
    selection["packages"].as_array().unwrap().iter().map(package).collect()
}

#[test]
fn a_query_names_the_packages_that_go_list_names_before_and_after_a_build() {
    let Some(it) = workspace() else { return };
    let check = || {
        for (label, words) in [("//:a", &["./a"][..]), ("//:tests", &["-test", "./lib"])] {
            let mut go = it.command("go");
            go.args(["list", "-deps", "-json=ImportPath,Imports"]).args(words);
            go.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
            let mut listed = parse(&go.output().unwrap().stdout).unwrap();
            // Go names what it is asked for; a test binary is made of the variant with its tests.
            listed.retain(|path, _| label != "//:tests" || path != "example.com/m/lib");
            let names: BTreeMap<_, _> =
                listed.into_iter().map(|(path, it)| (path, it.imports)).collect();
            assert_eq!(queried(&it, label), names, "{label}");
        }
    };
    check();
    it.built();
    check();
    it.file("lib/lib.go", &library("import _ \"os\"", "two"));
    check();
    let named = it.run(&["query", "--packages", "//:a"]);
    holds(&text(&named), &["example.com/m/a\n", "example.com/m/lib\n", "os\n", "runtime\n"]);
    let drawn = it.run(&["query", "--packages", "--output", "dot", "//:a"]);
    holds(&text(&drawn), &["\"example.com/m/a\" -> \"example.com/m/lib\";"]);
}

#[test]
fn packages_that_cannot_be_told_are_an_error_with_its_target() {
    let Some(it) = workspace() else { return };
    it.file("BUILD.ron", &RULES.replace("\"./a\"", "\"./gone\""));
    let output = it.run(&["query", "--packages"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    holds(&text(&output), &["`//:a`: ", "gone"]);
}

/// A part of the standard library under test is what the toolchain's digest says, unless it embeds
/// `testdata`, which that leaves out.
#[test]
fn tests_of_the_standard_library_are_listed_once() {
    for (packages, questions) in
        [("\"errors\"", 0), ("\"errors\", \"embed/internal/embedtest\"", 1)]
    {
        let Some(it) = workspace() else { return };
        it.file("BUILD.ron", &RULES.replace("\"./...\"", &format!("\"./...\", {packages}")));
        assert_eq!(asked(&it.built()), 1);
        it.file("lib/lib.go", &library("", "two"));
        assert_eq!(asked(&it.built()), questions, "{packages}");
        assert_eq!(it.says("a"), "two\n");
    }
}

#[test]
fn what_is_wrong_is_never_kept() {
    let Some(it) = workspace() else { return };
    it.built();
    it.file("lib/lib_test.go", "package lib\n\nimport \"testing\"\n\nfunc TestX(*testing.T) {\n");
    for _ in 0..2 {
        let run = it.build(&[]);
        assert!(run.code != 0 && asked(&run) == 1, "{run:#?}");
    }
    it.file("lib/lib.go", &library("import _ \"example.com/m/gone\"", "one"));
    for _ in 0..2 {
        let run = it.build(&[]);
        assert!(run.code != 0 && asked(&run) == 1, "{run:#?}");
    }
}

#[test]
fn another_clone_asks_nothing_and_gets_the_same() {
    let Some(it) = workspace() else { return };
    it.built();
    let ledger = it.read("linkwright-out/ledger.json");
    let clone = it.home().join("clone");
    assert!(Command::new("cp").arg("-r").arg(it.root()).arg(&clone).status().unwrap().success());
    fs::remove_dir_all(clone.join("linkwright-out")).unwrap();
    let run = Run::of(&it.linkwright(&["build", "--json"]).current_dir(&clone).output().unwrap());
    run.came("restored 2");
    assert_eq!(asked(&run), 0, "{run:#?}");
    assert_eq!(fs::read_to_string(clone.join("linkwright-out/ledger.json")).unwrap(), ledger);
    let mut paranoid = it.linkwright(&["build", "--json", "--paranoid"]);
    let run = Run::of(&paranoid.current_dir(&clone).output().unwrap());
    run.came("up_to_date 2");
    assert_ne!(asked(&run), 0, "{run:#?}");
    assert_eq!(fs::read_to_string(clone.join("linkwright-out/ledger.json")).unwrap(), ledger);
    // Edited there, it is that tree which counts.
    fs::write(clone.join("a/main.go"), prints("edited")).unwrap();
    let run = Run::of(&it.linkwright(&["build", "--json"]).current_dir(&clone).output().unwrap());
    assert_eq!(asked(&run), 1, "{run:#?}");
    let said = Command::new(clone.join("linkwright-out/bin/a")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stderr), "edited\n");
}

/// Builds with an edit that no `go list` is asked about; returns how many `go` processes there were
/// besides the one that links.
fn asked_besides_linking(it: &Workspace, value: &str, options: &[&str]) -> u64 {
    it.file("lib/lib.go", &library("", value));
    let run = it.build(options);
    assert_eq!((run.code, it.says("a")), (0, format!("{value}\n")), "{run:#?}");
    let links = run.links().len() as u64;
    run.done()["go_processes"].as_u64().unwrap() - links
}

#[test]
fn what_a_toolchain_told_of_itself_is_kept_until_a_setting_changes() {
    let Some(it) = workspace() else { return };
    it.built();
    assert_eq!(asked_besides_linking(&it, "kept", &[]), 0);
    assert_ne!(asked_besides_linking(&it, "paranoid", &["--paranoid"]), 0);
    let settings = it.home().join(".config/go/env");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(&settings, "GOPRIVATE=example.org\n").unwrap();
    // `go env`, and `go list` under the setting that it told.
    assert_eq!(asked_besides_linking(&it, "set", &[]), 2);
    assert_eq!(asked_besides_linking(&it, "set and kept", &[]), 0);
    fs::write(&settings, "GOPRIVATE=example.com\n").unwrap();
    assert_eq!(asked_besides_linking(&it, "set again", &[]), 2);
    fs::remove_file(&settings).unwrap();
    assert_eq!(asked_besides_linking(&it, "as before", &[]), 0);
}

#[test]
fn a_password_in_the_settings_of_go_reaches_no_store() {
    let Some(it) = workspace() else { return };
    let settings = it.home().join(".config/go/env");
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(&settings, "GOPROXY=https://me:open-sesame@proxy.invalid,off\n").unwrap();
    it.built();
    assert_ne!(asked_besides_linking(&it, "two", &[]), 0, "it is asked each time");
    let found = it.command("grep").args(["-rl", "open-sesame"]).arg(it.store()).output().unwrap();
    assert_eq!((found.status.code(), String::from_utf8_lossy(&found.stdout)), (Some(1), "".into()));
}

#[test]
fn a_script_around_go_is_asked_each_time() {
    let Some(it) = workspace() else { return };
    let it = it.instead_of("go", "exec REAL \"$@\"");
    for _ in 0..2 {
        assert_ne!(it.built().done()["go_processes"], 0);
    }
}
