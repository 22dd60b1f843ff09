//! What is built again, what is restored, and what is left alone.

use crate::support::has;
use crate::workspace::{Workspace, needs, prints, prints_c, text};
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

const ONE: &str = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;
const TWO: &str = r#"build(
    defaults: (link: "pure"),
    targets: [go_binary(name: "a", package: "./a"), go_binary(name: "b", package: "./b")],
)"#;

fn one() -> Option<Workspace> {
    Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("one"))])
}

#[test]
fn nothing_is_linked_when_nothing_changed() {
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", TWO),
        ("a/main.go", &prints("a")),
        ("b/main.go", &prints("b")),
    ]) else {
        return;
    };
    it.built().came("built 2");
    let ledger = it.read("linkwright-out/ledger.json");
    let again = it.built();
    again.came("up_to_date 2");
    assert!(again.links().is_empty(), "{again:#?}");
    assert_eq!(again.done()["go_processes"], 0, "{again:#?}");
    assert_eq!(it.read("linkwright-out/ledger.json"), ledger);
}

#[test]
fn an_edit_builds_only_what_it_touches() {
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", TWO),
        ("a/main.go", &prints("a")),
        ("b/main.go", &prints("b")),
    ]) else {
        return;
    };
    it.built();
    it.file("a/main.go", &prints("other"));
    let run = it.built();
    run.came("built 1, up_to_date 1");
    assert_eq!(run.finished("//:a")["state"], "built");
    assert_eq!(run.links().len(), 1);
    assert_eq!((it.says("a"), it.says("b")), ("other\n".into(), "b\n".into()));
}

#[test]
fn an_edit_of_a_package_inside_builds_what_imports_it() {
    let user = "package main\n\nimport \"example.com/m/lib\"\n\nfunc main() { println(lib.X) }\n";
    let lib = |value: &str| format!("package lib\n\nconst X = {value:?}\n");
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", TWO),
        ("a/main.go", user),
        ("b/main.go", &prints("b")),
        ("lib/lib.go", &lib("1")),
    ]) else {
        return;
    };
    it.built();
    it.file("lib/lib.go", &lib("2"));
    it.built().came("built 1, up_to_date 1");
    assert_eq!(it.says("a"), "2\n");
}

#[test]
fn a_reverted_edit_is_restored_and_not_linked() {
    let Some(it) = one() else { return };
    it.built();
    let first = it.bytes("p");
    it.file("main.go", &prints("two"));
    it.built().came("built 1");
    assert_ne!(it.bytes("p"), first);
    it.file("main.go", &prints("one"));
    let run = it.built();
    run.came("restored 1");
    assert!(run.links().is_empty(), "{run:#?}");
    assert_eq!(it.bytes("p"), first);
}

#[test]
fn switching_branches_back_and_forth_links_each_once() {
    let Some(it) = one() else { return };
    if !has("git") {
        return;
    }
    let git = |arguments: &[&str]| {
        let mut command = it.command("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=one"]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    it.built().came("built 1");
    git(&["checkout", "-qb", "two"]);
    it.file("main.go", &prints("two"));
    git(&["commit", "-qam", "two"]);
    it.built().came("built 1");
    for (branch, says) in [("one", "one\n"), ("two", "two\n"), ("one", "one\n")] {
        git(&["checkout", "-q", branch]);
        it.built().came("restored 1");
        assert_eq!(it.says("p"), says);
    }
}

#[test]
fn a_deleted_output_folder_is_restored() {
    let Some(it) = one() else { return };
    it.built();
    let (bytes, ledger) = (it.bytes("p"), it.read("linkwright-out/ledger.json"));
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    it.built().came("restored 1");
    assert_eq!((it.bytes("p"), it.read("linkwright-out/ledger.json")), (bytes, ledger));
}

#[test]
fn an_edited_output_is_restored() {
    let Some(it) = one() else { return };
    it.built();
    let bytes = it.bytes("p");
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for other in [damaged, b"#!/bin/sh\n".to_vec(), Vec::new()] {
        fs::remove_file(it.bin("p")).unwrap();
        fs::write(it.bin("p"), other).unwrap();
        it.built().came("restored 1");
        assert_eq!(it.bytes("p"), bytes);
    }
}

#[test]
fn a_touched_file_is_the_same_file() {
    let Some(it) = one() else { return };
    it.built();
    let later = SystemTime::now() + Duration::from_mins(1);
    for name in ["main.go", "BUILD.ron", "go.mod"] {
        let file = fs::File::options().append(true).open(it.path(name)).unwrap();
        file.set_modified(later).unwrap();
    }
    let run = it.built();
    run.came("up_to_date 1");
    assert!(run.links().is_empty());
}

#[test]
fn a_new_test_file_does_not_build_the_program() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        go_binary(name: "p"), go_tests(name: "t", packages: ["."]),
    ])"#;
    let test = |name: &str| {
        format!("package main\n\nimport \"testing\"\n\nfunc Test{name}(t *testing.T) {{}}\n")
    };
    let files = [("BUILD.ron", build), ("main.go", &prints("x")), ("a_test.go", &test("A"))];
    let Some(it) = Workspace::new(&files) else { return };
    it.built().came("built 2");
    it.file("b_test.go", &test("B"));
    let run = it.built();
    run.came("built 1, up_to_date 1");
    assert_eq!(run.finished("//:t")["state"], "built");
    let listed = it.command(it.bin("t/example.com/m.test")).arg("-test.list=.").output().unwrap();
    assert_eq!(text(&listed), "TestA\nTestB\n");
}

#[test]
fn a_header_that_go_does_not_look_at_counts() {
    let build = r#"build(targets: [go_binary(name: "p", package: "./cmd/p")])"#;
    let main = prints_c(r#"#include "../../include/x.h""#, "C.X");
    let header = "#define X 1\n";
    let files = [("BUILD.ron", build), ("cmd/p/main.go", &main), ("include/x.h", header)];
    let Some(it) = Workspace::with_c(&files) else { return };
    let plain = || {
        let output = it.go(&["build", "-o", "plain", "./cmd/p"]);
        assert!(output.status.success(), "{output:?}");
        text(&it.command(it.path("plain")).output().unwrap())
    };
    it.built().came("built 1");
    assert_eq!((it.says("p"), plain()), ("1\n".into(), "1\n".into()));
    let first = it.bytes("p");
    it.file("include/x.h", "#define X 2\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "2\n");
    assert_eq!(plain(), "1\n", "Go alone keeps the old value, which is why this test is here");
    it.file("include/x.h", header);
    it.built().came("restored 1");
    assert_eq!(it.bytes("p"), first);
}

/// A salt that makes Go forget must not be seen in the bytes.
#[test]
fn a_header_that_nobody_includes_changes_no_bytes() {
    let files = [("BUILD.ron", r#"build(targets: [go_binary(name: "p")])"#)];
    let main = prints_c("static int one(void) { return 1; }", "C.one()");
    let Some(it) = Workspace::with_c(&files) else { return };
    it.file("main.go", &main);
    it.built();
    let first = it.bytes("p");
    it.file("elsewhere/unused.h", "#define UNUSED 1\n");
    it.built();
    assert_eq!(it.bytes("p"), first);
}

#[test]
fn an_archive_outside_of_the_go_package_counts() {
    for named in ["${SRCDIR}/../../lib/libv.a", "-L${SRCDIR}/../../lib -lv"] {
        let preamble = format!("#cgo LDFLAGS: {named}\nint value(void);");
        let main = prints_c(&preamble, "C.value()");
        let build = r#"build(targets: [go_binary(name: "p", package: "./cmd/p")])"#;
        let files = [("BUILD.ron", build), ("cmd/p/main.go", main.as_str())];
        let Some(it) = Workspace::with_c(&files) else { return };
        let archive = |value: u8| {
            fs::create_dir_all(it.path("lib")).unwrap();
            let source = it.home().join("v.c");
            fs::write(&source, format!("int value(void) {{ return {value}; }}\n")).unwrap();
            let object = it.home().join("v.o");
            let mut gcc = Command::new("gcc");
            assert!(gcc.arg("-c").arg(&source).arg("-o").arg(&object).status().unwrap().success());
            let mut ar = Command::new("ar");
            ar.arg("rcsD").arg(it.path("lib/libv.a")).arg(&object);
            assert!(ar.status().unwrap().success());
        };
        archive(1);
        it.built().came("built 1");
        assert_eq!(it.says("p"), "1\n", "{named}");
        archive(2);
        it.built().came("built 1");
        assert_eq!(it.says("p"), "2\n", "{named}");
    }
}

#[test]
fn the_language_version_in_go_mod_counts() {
    let main = "package main\n\nfunc main() {\n\tvar all []func() int\n\
                \tfor i := 0; i < 3; i++ {\n\t\tall = append(all, func() int { return i })\n\t}\n\
                \tprintln(all[0]())\n}\n";
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", main)]) else { return };
    it.built();
    assert_eq!(it.says("p"), "0\n");
    it.file("go.mod", "module example.com/m\n\ngo 1.21\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "3\n", "before Go 1.22 a loop has one variable for all rounds");
}

#[test]
fn embedded_files_count_and_so_does_one_more() {
    let main = "package main\n\nimport \"embed\"\n\n//go:embed data/*.txt\nvar data embed.FS\n\n\
                func main() {\n\tall, _ := data.ReadDir(\"data\")\n\tfor _, it := range all {\n\
                \t\ttext, _ := data.ReadFile(\"data/\" + it.Name())\n\
                \t\tprintln(it.Name(), string(text))\n\t}\n}\n";
    let files = [("BUILD.ron", ONE), ("main.go", main), ("data/a.txt", "1")];
    let Some(it) = Workspace::new(&files) else { return };
    it.built();
    assert_eq!(it.says("p"), "a.txt 1\n");
    it.file("data/a.txt", "2");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "a.txt 2\n");
    it.file("data/b.txt", "3");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "a.txt 2\nb.txt 3\n");
    it.file("data/c.md", "no input");
    it.built().came("up_to_date 1");
    it.remove("data/b.txt");
    it.built().came("restored 1");
    assert_eq!(it.says("p"), "a.txt 2\n");
}

#[test]
fn a_profile_beside_main_counts() {
    let Some(it) = one() else { return };
    it.built();
    // An empty profile is a profile without samples.
    it.file("default.pgo", "");
    it.built().came("built 1");
    let info = it.go(&["version", "-m", &it.bin("p").to_string_lossy()]);
    assert!(text(&info).contains("-pgo=default.pgo"), "{info:?}");
    it.remove("default.pgo");
    it.built().came("restored 1");
}

#[test]
fn a_strategy_is_an_input() {
    let rules = |flags: &str| {
        format!("rules(strategies: [strategy(name: \"own\", cgo: off, ldflags: [{flags}])])")
    };
    let build = r#"build(targets: [go_binary(name: "p", link: "own")])"#;
    let files = [("BUILD.ron", build), ("main.go", &prints("x")), ("rules/own.ron", &rules(""))];
    let Some(it) = Workspace::new(&files) else { return };
    it.built();
    let (key, size) = (it.record("//:p")["key"].clone(), it.bytes("p").len());
    it.file("rules/own.ron", &rules("\"-s\", \"-w\""));
    it.built().came("built 1");
    assert_ne!(it.record("//:p")["key"], key);
    assert!(it.bytes("p").len() < size, "symbols are stripped");
}

#[test]
fn x_defs_and_tags_are_inputs() {
    let Some(it) = Workspace::new(&[
        (
            "main.go",
            "package main\n\nvar version, tag string\n\nfunc main() { println(version, tag) }\n",
        ),
        ("tag.go", "//go:build special\n\npackage main\n\nfunc init() { tag = \"special\" }\n"),
    ]) else {
        return;
    };
    let build = |settings: &str| {
        it.file("BUILD.ron", &format!("build(targets: [go_binary(name: \"p\", {settings})])"));
        it.built().came("built 1");
        it.says("p")
    };
    assert_eq!(build(r#"x_defs: {"main.version": "1"}"#), "1 \n");
    assert_eq!(build(r#"x_defs: {"main.version": "2 'and' more"}"#), "2 'and' more \n");
    assert_eq!(build(r#"tags: ["special"]"#), " special\n");
}

#[test]
fn variables_of_a_target_are_inputs_and_those_of_the_caller_are_not() {
    let Some(it) = Workspace::with_c(&[("main.go", &prints_c("", "C.X"))]) else { return };
    let build = |value: &str| {
        let env = format!("{{\"CGO_CFLAGS\": \"-DX={value}\"}}");
        it.file("BUILD.ron", &format!("build(targets: [go_binary(name: \"p\", env: {env})])"));
        let mut command = it.linkwright(&["build"]);
        command.env("CGO_CFLAGS", "-DX=9").env("GOFLAGS", "-race").env("GOOS", "plan9");
        let output = command.env("CC", "/nowhere/cc").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        it.says("p")
    };
    assert_eq!(build("1"), "1\n");
    assert_eq!(build("2"), "2\n");
}

#[test]
fn two_targets_link_one_package_in_two_ways() {
    let build = r#"build(targets: [
        go_binary(name: "plain", link: "pure"), go_binary(name: "pie", link: "static_pie"),
    ])"#;
    let files = [("BUILD.ron", build), ("main.go", &prints("x"))];
    let Some(it) = Workspace::with_c(&files) else { return };
    it.built().came("built 2");
    for (name, class) in [("plain", "static"), ("pie", "static_pie")] {
        assert_eq!(it.says(name), "x\n");
        assert_eq!(needs(&it.bin(name)), [""; 0]);
        assert_eq!(it.record(&format!("//:{name}"))["linkage"]["class"], class);
    }
    it.built().came("up_to_date 2");
}

#[test]
fn what_no_target_makes_any_more_goes() {
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", TWO),
        ("a/main.go", &prints("a")),
        ("b/main.go", &prints("b")),
    ]) else {
        return;
    };
    it.built();
    it.file("BUILD.ron", r#"build(targets: [go_binary(name: "a", package: "./a", link: "pure")])"#);
    it.built().came("up_to_date 1");
    assert!(!it.bin("b").exists());
    assert_eq!(it.ledger()["records"].as_array().unwrap().len(), 1);
}

#[test]
fn a_package_of_tests_that_is_gone_takes_its_test_binary_along() {
    let build = r#"build(targets: [go_tests(name: "t", packages: ["./..."], link: "pure")])"#;
    let test = "package x\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\n";
    let files = [("BUILD.ron", build), ("a/a_test.go", test), ("b/b_test.go", test)];
    let Some(it) = Workspace::new(&files) else { return };
    it.built().came("built 2");
    assert!(it.bin("t/example.com/m/b.test").exists());
    fs::remove_dir_all(it.path("b")).unwrap();
    it.built().came("up_to_date 1");
    assert_eq!(it.ledger()["records"].as_array().unwrap().len(), 1);
    assert!(!it.bin("t/example.com/m/b.test").exists(), "no record, so no output");
}

#[test]
fn an_output_is_what_a_clean_build_elsewhere_gives() {
    let Some(it) = one() else { return };
    it.built();
    it.file("main.go", &prints("two"));
    it.built();
    let files = [("BUILD.ron", ONE), ("main.go", &prints("two"))];
    let Some(clean) = Workspace::new(&files) else { return };
    clean.built().came("built 1");
    assert_eq!(it.bytes("p"), clean.bytes("p"));
}

const USER: &str = "package main\n\nimport \"example.com/b\"\n\nfunc main() { println(b.X) }\n";

fn lib(value: &str) -> String {
    format!("package b\n\nconst X = {value:?}\n")
}

#[test]
fn a_module_that_a_replacement_names_is_an_input() {
    let go_mod = "module example.com/m\n\ngo 1.24\n\nrequire example.com/b v0.0.0\n\n\
                  replace example.com/b => ./b\n";
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", ONE),
        ("go.mod", go_mod),
        ("main.go", USER),
        ("b/go.mod", "module example.com/b\n\ngo 1.24\n"),
        ("b/b.go", &lib("1")),
    ]) else {
        return;
    };
    it.built();
    assert_eq!(it.says("p"), "1\n");
    it.file("b/b.go", &lib("2"));
    it.built().came("built 1");
    assert_eq!(it.says("p"), "2\n");
}

#[test]
fn a_module_of_the_same_go_work_is_an_input_and_so_is_go_work() {
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", "build()"),
        ("go.work", "go 1.24\n\nuse (\n\t./a\n\t./b\n)\n"),
        ("a/BUILD.ron", ONE),
        ("a/go.mod", "module example.com/a\n\ngo 1.24\n\nrequire example.com/b v0.0.0\n"),
        ("a/main.go", USER),
        ("b/go.mod", "module example.com/b\n\ngo 1.24\n"),
        ("b/b.go", &lib("1")),
        ("c/go.mod", "module example.com/b\n\ngo 1.24\n"),
        ("c/b.go", &lib("from c")),
    ]) else {
        return;
    };
    it.remove("go.mod");
    it.built();
    assert_eq!(it.says("a/p"), "1\n");
    it.file("b/b.go", &lib("2"));
    it.built().came("built 1");
    assert_eq!(it.says("a/p"), "2\n");
    it.file("go.work", "go 1.24\n\nuse (\n\t./a\n\t./c\n)\n");
    it.built().came("built 1");
    assert_eq!(it.says("a/p"), "from c\n");
}

#[test]
fn a_vendored_package_is_an_input() {
    let go_mod = "module example.com/m\n\ngo 1.24\n\nrequire example.com/b v1.0.0\n";
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", ONE),
        ("go.mod", go_mod),
        ("main.go", USER),
        ("vendor/modules.txt", "# example.com/b v1.0.0\n## explicit; go 1.24\nexample.com/b\n"),
        ("vendor/example.com/b/b.go", &lib("1")),
    ]) else {
        return;
    };
    it.built();
    assert_eq!(it.says("p"), "1\n");
    it.file("vendor/example.com/b/b.go", &lib("2"));
    it.built().came("built 1");
    assert_eq!(it.says("p"), "2\n");
}

#[test]
fn a_header_outside_of_the_module_counts() {
    let main = prints_c(r#"#include "../include/x.h""#, "C.X");
    let Some(it) = Workspace::with_c(&[
        ("BUILD.ron", "build()"),
        ("mod/BUILD.ron", r#"build(targets: [go_binary(name: "p")])"#),
        ("mod/go.mod", crate::workspace::GO_MOD),
        ("mod/main.go", &main),
        ("include/x.h", "#define X 1\n"),
    ]) else {
        return;
    };
    it.built();
    assert_eq!(it.says("mod/p"), "1\n");
    it.file("include/x.h", "#define X 2\n");
    it.built().came("built 1");
    assert_eq!(it.says("mod/p"), "2\n");
}

#[test]
fn a_header_of_any_name_counts() {
    let main = prints_c(r#"#include "tables/x.data""#, "C.X");
    let Some(it) = Workspace::with_c(&[
        ("BUILD.ron", r#"build(targets: [go_binary(name: "p")])"#),
        ("main.go", &main),
        ("tables/x.data", "#define X 1\n"),
    ]) else {
        return;
    };
    it.built();
    assert_eq!(it.says("p"), "1\n");
    it.file("tables/x.data", "#define X 2\n");
    it.built().came("built 1");
    assert_eq!(it.says("p"), "2\n");
}
