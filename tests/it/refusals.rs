//! What the program refuses, with which words and which exit code.

use crate::support::has;
use crate::workspace::{Workspace, holds, prints, text};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const ONE: &str = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;

/// Builds what must be refused; the words of a person's run and those of the events.
#[track_caller]
fn refused(it: &Workspace, code: i32, parts: &[&str]) {
    let output = it.run(&["build"]);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    holds(&String::from_utf8_lossy(&output.stderr), parts);
    let run = it.build(&[]);
    assert_eq!(run.code, code, "{run:#?}");
}

/// A workspace that must be refused before anything runs.
#[track_caller]
fn rule_files(build: &str, code: i32, parts: &[&str]) {
    let Some(it) = Workspace::new(&[("BUILD.ron", build), ("main.go", &prints("x"))]) else {
        return;
    };
    refused(&it, code, parts);
    assert!(!it.path("linkwright-out").exists());
}

#[test]
fn a_folder_without_a_workspace_says_how_to_begin() {
    let Some(it) = Workspace::new(&[]) else { return };
    refused(&it, 2, &["BUILD.ron", "linkwright init"]);
}

#[test]
fn an_unknown_label_has_a_near_one() {
    rule_files(
        r#"build(targets: [go_binary(name: "server"), suite(name: "s", targets: [":servre"])])"#,
        2,
        &["//:servre", "BUILD.ron:1:", "//:server", "^"],
    );
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE)]) else { return };
    it.file("BUILD.ron", r#"build(targets: [go_binary(name: "server")])"#);
    let output = it.run(&["build", ":severr"]);
    assert_eq!(output.status.code(), Some(2));
    holds(&text(&output), &["no target `//:severr`", "`//:server`"]);
}

#[test]
fn a_cycle_is_shown_as_a_path() {
    rule_files(
        r#"build(targets: [
            suite(name: "a", targets: [":b"]), suite(name: "b", targets: [":c"]),
            suite(name: "c", targets: [":b"]),
        ])"#,
        2,
        &["targets need each other: //:b -> //:c -> //:b"],
    );
}

#[test]
fn a_duplicate_is_shown_in_both_places() {
    rule_files(
        "build(targets: [\n  go_binary(name: \"x\"),\n  suite(name: \"x\", targets: []),\n])",
        2,
        &["//:x", "BUILD.ron:2", "BUILD.ron:3"],
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let build = "build(targets: [\n  go_binary(nmae: \"x\"),\n  go_bianry(name: \"y\"),\n  \
                 go_binary(name: \"z\", link: \"statci\"),\n])";
    rule_files(build, 2, &["nmae", "`name`", "go_bianry", "`go_binary`", "BUILD.ron:3"]);
}

#[test]
fn what_would_leave_the_workspace_or_run_a_program_is_refused() {
    for fields in [
        r#"argv: ["true"], outputs: ["../out"]"#,
        r#"argv: ["true"], outputs: ["/etc/out"]"#,
        r#"argv: ["true"], outputs: ["o"], inputs: ["../in"]"#,
    ] {
        let build = format!("build(targets: [command(name: \"c\", {fields})])");
        rule_files(&build, 2, &["BUILD.ron:1:"]);
    }
    rule_files(
        r#"build(targets: [go_binary(name: "p", extldflags: ["-fplugin=./x.so"])])"#,
        11,
        &["-fplugin"],
    );
}

#[test]
fn a_go_package_that_is_not_there_is_a_mistake() {
    let build = |package: &str| {
        format!("build(targets: [go_binary(name: \"p\", package: {package:?}, link: \"pure\")])")
    };
    let Some(it) = Workspace::new(&[("BUILD.ron", &build("./cmd/gone"))]) else { return };
    refused(&it, 2, &["cmd/gone"]);
    it.file("BUILD.ron", &build("example.com/m/gone"));
    refused(&it, 2, &["example.com/m/gone"]);
}

#[test]
fn a_go_package_without_main_is_a_mistake() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("x.go", "package lib\n")]) else { return };
    refused(&it, 2, &["`example.com/m` is no program", "`package lib`"]);
}

#[test]
fn a_package_main_without_a_function_main_is_gos_word() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("x.go", "package main\n")]) else {
        return;
    };
    refused(&it, 1, &["function main is undeclared in the main package"]);
}

#[test]
fn no_go_on_path_is_the_machines_fault() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("x"))]) else { return };
    refused(&it.only_with(&["sh"]), 36, &["go", "install Go"]);
}

#[test]
fn no_go_mod_says_how_to_make_one() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("x"))]) else { return };
    it.remove("go.mod");
    refused(&it, 2, &["no `go.mod`", "go mod init"]);
}

#[test]
fn a_broken_go_mod_is_gos_word() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("x"))]) else { return };
    it.file("go.mod", "modul example.com/m\n");
    refused(&it, 1, &["go.mod:1", "unknown directive: modul"]);
}

#[test]
fn an_output_folder_that_is_a_link_is_refused() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("x"))]) else { return };
    let elsewhere = it.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, it.path("linkwright-out")).unwrap();
    refused(&it, 11, &["linkwright-out", "is a link"]);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(it.run(&["clean"]).status.code(), Some(11));
}

/// A folder below the output folder may be a link too.
#[test]
fn a_link_inside_of_the_output_folder_leads_nowhere() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("x"))]) else { return };
    it.built();
    let elsewhere = it.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::remove_dir_all(it.path("linkwright-out/bin")).unwrap();
    symlink(&elsewhere, it.path("linkwright-out/bin")).unwrap();
    let run = it.build(&[]);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{run:#?}");
    assert_eq!(run.code, 11);
    holds(&run.error("//:p"), &["linkwright-out/bin", "is a link"]);
}

#[test]
fn an_output_folder_that_cannot_be_written_is_the_disks_fault() {
    let Some(it) = Workspace::new(&[("BUILD.ron", ONE), ("main.go", &prints("x"))]) else { return };
    it.built();
    it.file("main.go", &prints("y"));
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !has("setpriv") {
        return;
    }
    // Root writes everywhere, so it becomes somebody else, who may write anywhere but there.
    let open = |place: &std::path::Path, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(place, permissions).unwrap();
    };
    open(it.home(), 0o777);
    open(&it.path("linkwright-out"), 0o555);
    for name in ["linkwright-out/tmp", "linkwright-out/bin"] {
        let _ = fs::create_dir_all(it.path(name));
        open(&it.path(name), 0o555);
    }
    let mut command = if is_root {
        let mut command = it.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(program_for_all(&it));
        command
    } else {
        it.command(env!("CARGO_BIN_EXE_linkwright"))
    };
    command.arg("build").env("LINKWRIGHT_STORE", it.home().join("other"));
    let output = command.env("LINKWRIGHT_GO_CACHE", it.home().join("cache")).output().unwrap();
    open(&it.path("linkwright-out"), 0o755);
    assert_eq!(output.status.code(), Some(12), "{output:?}");
    holds(&text(&output), &["linkwright-out", "ermission denied"]);
}

/// A copy of the program where everybody may start it.
fn program_for_all(it: &Workspace) -> std::path::PathBuf {
    let copy = it.home().join("linkwright");
    fs::copy(env!("CARGO_BIN_EXE_linkwright"), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

#[test]
fn words_of_rule_files_cannot_become_options() {
    rule_files(r#"build(targets: [go_binary(name: "-o")])"#, 2, &["-o"]);
    for package in ["-toolexec=/bin/sh", "--", "./-x/../..", "@file"] {
        let build = format!("build(targets: [go_binary(name: \"p\", package: {package:?})])");
        let Some(it) = Workspace::new(&[("BUILD.ron", &build)]) else { return };
        let run = it.build(&[]);
        assert!(matches!(run.code, 2 | 11), "{run:#?}");
        assert!(run.links().is_empty(), "{run:#?}");
    }
}

#[test]
fn rule_files_that_are_no_text_are_refused() {
    let Some(it) = Workspace::new(&[("BUILD.ron", "")]) else { return };
    refused(&it, 2, &["BUILD.ron"]);
    fs::write(it.path("BUILD.ron"), b"build(\xff)").unwrap();
    refused(&it, 2, &["BUILD.ron", "UTF-8"]);
    it.file("BUILD.ron", &"[".repeat(100_000));
    refused(&it, 2, &["BUILD.ron:1:", "128"]);
    fs::File::create(it.path("BUILD.ron")).unwrap().set_len(17 << 20).unwrap();
    refused(&it, 2, &["BUILD.ron", "16 MiB"]);
    it.file("BUILD.ron", &format!("\u{feff}{}\r\n", ONE.replace(", ", ",\r\n")));
    it.file("main.go", &prints("x"));
    it.built().came("built 1");
}
