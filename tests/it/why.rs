//! `why`: what changed, what a build would do, what became of each strategy, what brings cgo.

use crate::workspace::{Workspace, holds, prints, prints_c, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

const ONE: &str = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;

fn one() -> Option<Workspace> {
    Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("one"))])
}

/// Runs `why --json`, which must print one object that is as its schema says.
#[track_caller]
fn why(it: &Workspace, label: &str) -> Value {
    let output = it.run(&["why", "--json", label]);
    assert_eq!((output.status.code(), text(&output).lines().count()), (Some(0), 1), "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let schema = include_str!("../../docs/schema/why.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let errors: Vec<_> = schema.iter_errors(&value).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{value:#}");
    value
}

/// The names of the inputs that changed.
fn changed(value: &Value) -> Vec<&str> {
    let changes = value["changes"].as_array().unwrap().iter();
    changes.map(|it| it["input"].as_str().unwrap()).collect()
}

/// Says in people's words what changed, and must not fail.
#[track_caller]
fn told(it: &Workspace, label: &str) -> String {
    let output = it.run(&["why", label]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every file below the workspace, with its time of modification.
fn tree(it: &Workspace) -> BTreeMap<PathBuf, SystemTime> {
    let walk = walkdir::WalkDir::new(it.root()).into_iter().map(Result::unwrap);
    walk.map(|it| (it.path().to_owned(), it.metadata().unwrap().modified().unwrap())).collect()
}

#[test]
fn an_edit_is_named_with_its_old_and_new_value_and_nothing_is_written() {
    let Some(it) = one() else { return };
    let before = tree(&it);
    let value = why(&it, "//:p");
    assert_eq!((&value["state"], &value["label"]), (&json!("would_be_built"), &json!("//:p")));
    assert_eq!(value["outputs"][0]["last_inputs"], "no_record");
    assert_eq!(tree(&it), before, "not even linkwright-out/ was made");
    it.built();
    let before = tree(&it);
    let value = why(&it, "//:p");
    assert_eq!((&value["state"], changed(&value)), (&json!("up_to_date"), vec![]));
    assert_eq!(value["attempts"], it.record("//:p")["attempts"]);
    assert_eq!(tree(&it), before);
    it.file("main.go", &prints("two"));
    let value = why(&it, ":p");
    assert_eq!(value["state"], "would_be_built");
    let digest = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..12].to_owned();
    let (old, new) = (digest(&prints("one")), digest(&prints("two")));
    let expected = json!([{"input": "file example.com/m: main.go", "old": old, "new": new}]);
    assert_eq!(value["changes"], expected);
    holds(&told(&it, ":p"), &["//:p (example.com/m): would be built by `pure`", &old, &new]);
    it.built().came("built 1");
    it.file("main.go", &prints("one"));
    assert_eq!(why(&it, ":p")["state"], "would_be_restored");
    it.built().came("restored 1");
}

/// Each state that is foretold is what the next build does.
#[test]
fn what_is_foretold_happens() {
    let Some(it) = one() else { return };
    let check = |state: &str, came: &str| {
        assert_eq!(why(&it, "//:p")["state"], state);
        it.built().came(came);
    };
    check("would_be_built", "built 1");
    check("up_to_date", "up_to_date 1");
    fs::remove_file(it.bin("p")).unwrap();
    holds(&told(&it, "//:p"), &["no input changed; the output is not there as it was made"]);
    check("would_be_restored", "restored 1");
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    fs::remove_dir_all(it.store().join("v1/blobs")).unwrap();
    check("would_be_built", "built 1");
    it.file("new.go", "package main\n");
    assert_eq!(changed(&why(&it, "//:p")), ["file example.com/m: new.go"]);
    check("would_be_built", "built 1");
}

#[test]
fn every_kind_of_input_has_a_name_that_a_person_knows() {
    let library = "package lib\n\nconst X = 1\n";
    let user = "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() { println(lib.X) }\n";
    let files = [("BUILD.ron", ONE), ("main.go", user), ("lib/lib.go", library)];
    let Some(it) = Workspace::new(&files) else { return };
    it.built();
    let check = |file: &str, text: &str, expected: &[&str]| {
        let before = it.read(file);
        it.file(file, text);
        assert_eq!(changed(&why(&it, "//:p")), expected, "{file}");
        it.file(file, &before);
    };
    check("lib/lib.go", "package lib\n\nconst X = 2\n", &["file example.com/m/lib: lib.go"]);
    let go_mod = "module example.com/m\n\ngo 1.25\n";
    check("go.mod", go_mod, &["file example.com/m: go.mod", "file go.mod"]);
    let build = |fields: &str| format!("build(targets: [go_binary(name: \"p\", {fields})])");
    let tags = r#"link: "pure", tags: ["x"]"#;
    check("BUILD.ron", &build(tags), &["flag -tags"]);
    let level = r#"link: "pure", goarch: "amd64", level: "v3""#;
    if it.record("//:p")["environment"]["GOARCH"] == "amd64" {
        check("BUILD.ron", &build(level), &["variable GOAMD64"]);
    }
    let x = r#"link: "pure", x_defs: {"main.v": "1"}"#;
    check("BUILD.ron", &build(x), &["flag -ldflags"]);
    let policy = r#"link: "pure", policy: "release""#;
    check("BUILD.ron", &build(policy), &["policy"]);
    let rules = "rules(strategies: [strategy(name: \"own\", cgo: off)])";
    it.file("rules/own.ron", rules);
    check("BUILD.ron", &build(r#"link: "own""#), &["strategy"]);
    it.built().came("up_to_date 1");
}

#[test]
fn a_store_that_lost_the_inputs_is_said() {
    let Some(it) = one() else { return };
    it.built();
    it.file("main.go", &prints("two"));
    fs::remove_dir_all(it.store().join("v1/actions")).unwrap();
    let value = why(&it, "//:p");
    assert_eq!(value["outputs"][0]["last_inputs"], "lost");
    holds(&told(&it, "//:p"), &["the store has lost what it was made of"]);
}

#[test]
fn what_makes_a_program_dynamic_is_named_with_the_chain_and_what_would_help() {
    let build = r#"build(targets: [go_binary(name: "p", link: "default")])"#;
    let main = "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { a.F() }\n";
    let a = "package a\n\nimport \"net/http\"\n\nfunc F() { _, _ = http.Get(\"\") }\n";
    let files = [("BUILD.ron", build), ("main.go", main), ("a/a.go", a)];
    let Some(it) = Workspace::with_c(&files) else { return };
    it.built();
    let because = why(&it, "//:p")["dynamic_because"].clone();
    // An import chain to `net` by which each step can be seen in the sources.
    let chain = json!(["example.com/m", "example.com/m/a", "net/http", "net"]);
    assert_eq!((&because["chain"], &because["package"]), (&chain, &json!("net")), "{because:#}");
    holds(because["reason"].as_str().unwrap(), &["Go's own linker"]);
    holds(because["change"].as_str().unwrap(), &["`link: \"netgo\"` would hold"]);
    let said = told(&it, "//:p");
    holds(&said, &["dynamic by `default` because `net` uses cgo", "m/a → net/http → net"]);
    it.file("BUILD.ron", r#"build(targets: [go_binary(name: "p", link: "netgo")])"#);
    let value = why(&it, "//:p");
    for input in ["flag -ldflags", "flag -tags", "strategy"] {
        assert!(changed(&value).contains(&input), "{value:#}");
    }
    it.built();
    assert_eq!(why(&it, "//:p")["dynamic_because"], Value::Null, "the advice was right");
}

#[test]
fn a_broken_promise_is_foretold_and_told_from_what_was_built() {
    let rules = r#"rules(ladders: [ladder(name: "own", tries: ["netgo", "pure"])])"#;
    let build = r#"build(targets: [go_binary(name: "p", link: "own")])"#;
    let main = prints_c("static int one(void) { return 1; }", "C.one()");
    let files = [("BUILD.ron", build), ("rules/r.ron", rules), ("main.go", main.as_str())];
    let Some(it) = Workspace::with_c(&files) else { return };
    let value = why(&it, "//:p");
    assert_eq!(value["state"], "would_be_built", "a file decides");
    let forecasts = value["outputs"][0]["forecasts"].clone();
    holds(&forecasts.to_string(), &["netgo", "pure", "build constraints exclude all Go files"]);
    assert_eq!(it.build(&[]).code, 6);
    let value = why(&it, "//:p");
    assert_eq!(value["state"], "would_fail");
    assert_eq!(value["outputs"][0]["forecasts"][0]["outcome"], "not_as_promised");
    assert_eq!(value["outputs"][0]["last_inputs"], "no_record");
    let because = &value["dynamic_because"];
    assert_eq!(
        (&because["strategy"], &because["package"]),
        (&json!("netgo"), &json!("example.com/m"))
    );
    holds(because["change"].as_str().unwrap(), &["`link: \"static_glibc\"` would hold"]);
    holds(&told(&it, "//:p"), &["netgo: built, but not as promised: it needs `libc.so.6`"]);
}

#[test]
fn a_command_is_told_too_and_so_is_what_it_feeds() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        command(name: "gen", argv: ["sh", "gen.sh"], inputs: ["gen.sh", "v"], outputs: ["gen.go"]),
        go_binary(name: "p", deps: [":gen"]), suite(name: "both", targets: [":p"]),
    ])"#;
    let gen_sh = "echo \"package main\n\nconst X = $(cat v)\" > gen.go\n";
    let main = "package main\n\nfunc main() { println(X) }\n";
    let files = [("BUILD.ron", build), ("gen.sh", gen_sh), ("v", "1"), ("main.go", main)];
    let Some(it) = Workspace::new(&files) else { return };
    assert_eq!(why(&it, ":gen")["state"], "would_be_built");
    it.built().came("built 2");
    for label in [":gen", ":p"] {
        let value = why(&it, label);
        assert_eq!((&value["state"], &value["after"]), (&json!("up_to_date"), &json!([])));
    }
    it.file("v", "2");
    let value = why(&it, ":gen");
    assert_eq!((&value["state"], changed(&value)), (&json!("would_be_built"), vec!["file v"]));
    assert_eq!(why(&it, ":p")["after"], json!(["//:gen"]));
    holds(&told(&it, ":p"), &["these would be made anew and may change it: `//:gen`"]);
    it.built().came("built 2");
    it.file("v", "1");
    assert_eq!(why(&it, ":gen")["state"], "would_be_restored");
    it.built().came("restored 2");
    it.file("BUILD.ron", &build.replace("\"sh\", \"gen.sh\"", "\"sh\", \"-e\", \"gen.sh\""));
    assert_eq!(changed(&why(&it, ":gen")), ["argv"]);
    it.remove("gen.go");
    it.file("BUILD.ron", build);
    assert_eq!(why(&it, ":gen")["state"], "would_be_restored");
    let refused = it.run(&["why", ":both"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    holds(&text(&refused), &["`//:both` is a `suite`, of which nothing is made", "why //:p"]);
}

#[test]
fn of_many_test_binaries_what_all_share_is_told_once() {
    let test = |name: &str, body: &str| {
        format!(
            "package {name}\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/lib\"\n)\n\nfunc TestX(*testing.T) {{ _ = lib.X{body} }}\n"
        )
    };
    let build = r#"build(targets: [go_tests(name: "t", packages: ["./..."], link: "pure")])"#;
    let lib = |value: u8| format!("package lib\n\nconst X = {value}\n");
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", build),
        ("a/a_test.go", &test("a", "")),
        ("b/b_test.go", &test("b", "")),
        ("c/c_test.go", "package c\n\nimport \"testing\"\n\nfunc TestX(*testing.T) {}\n"),
        ("lib/lib.go", &lib(1)),
    ]) else {
        return;
    };
    it.built().came("built 3");
    it.file("lib/lib.go", &lib(2));
    it.file("b/b_test.go", &test("b", " + 1"));
    let value = why(&it, "//:t");
    assert_eq!(changed(&value), ["file example.com/m/lib: lib.go"]);
    let own: Vec<_> = value["outputs"].as_array().unwrap().iter().map(changed).collect();
    let lib = "file example.com/m/lib: lib.go";
    assert_eq!(own, [vec![lib], vec!["file example.com/m/b: b_test.go", lib], vec![]]);
    let said = told(&it, "//:t");
    assert_eq!(said.matches(lib).count(), 1, "{said}");
    holds(&said, &["3 outputs: 1 up to date, 2 would be built", "file example.com/m/b: b_test.go"]);
    it.built().came("built 2, up_to_date 1");
}

#[test]
fn a_question_that_cannot_be_asked_has_the_exit_code_of_its_cause() {
    let Some(it) = one() else { return };
    let check = |arguments: &[&str], code: i32, part: &str| {
        let output = it.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        holds(&text(&output), &[part]);
    };
    check(&["why", "//:q"], 2, "no target");
    check(&["why", "//..."], 2, "`why` takes one target");
    it.file("BUILD.ron", r#"build(targets: [go_binary(name: "p", package: "./nowhere")])"#);
    check(&["why", "//:p"], 2, "nowhere");
    it.file("BUILD.ron", ONE);
    let it = it.only_with(&[]);
    let output = it.run(&["why", "//:p"]);
    assert_eq!(output.status.code(), Some(36), "{output:?}");
}
