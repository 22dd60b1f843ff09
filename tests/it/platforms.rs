//! One target for several platforms: an output each, each read, recorded and, where it can be,
//! started.

use crate::support::has;
use crate::workspace::{Workspace, holds, needs, prints, start_alone, text};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const BUILD: &str = r#"build(targets: [
    go_binary(name: "p", link: "static", policy: "release", platforms: [
        "linux/amd64", "linux/amd64/v3", "linux/arm64", "linux/arm/7", "linux/riscv64",
        "windows/amd64", "darwin/arm64", "freebsd/amd64",
    ]),
])"#;

fn workspace(build: &str) -> Option<Workspace> {
    Workspace::new(&[("BUILD.ron", build), ("main.go", &prints("hello"))])
}

/// Starts a program for another processor; `None` if the emulator is not here.
fn start_foreign(program: &Path, processor: &str) -> Option<String> {
    let names = [format!("qemu-{processor}"), format!("qemu-{processor}-static")];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here = |name: &&String| std::env::split_paths(&path).any(|it| it.join(name).is_file());
    let Some(name) = names.iter().find(here) else {
        assert!(!has(&names[0]), "it is on PATH after all");
        return None;
    };
    let output = Command::new(name).arg(program).output().unwrap();
    assert!(output.status.success(), "{processor}: {}", String::from_utf8_lossy(&output.stderr));
    Some(text(&output))
}

#[test]
fn a_target_makes_one_output_for_each_of_its_platforms() {
    let Some(it) = workspace(BUILD) else { return };
    let run = it.built();
    assert_eq!(run.done()["built"], 8, "{run:#?}");
    // What differs in nothing but the platform shares nothing: one process each.
    assert_eq!(run.links().len(), 8);
    let records = it.ledger()["records"].as_array().unwrap().clone();
    let told = |record: &Value| {
        let fact = |name: &str| record["linkage"][name].clone();
        json!([
            record["platform"],
            record["output"],
            fact("class"),
            fact("format"),
            fact("machine")
        ])
    };
    let told: Vec<_> = records.iter().map(told).collect();
    let expected = json!([
        ["darwin/arm64", "bin/p/darwin_arm64/p", "system_libraries", "mach_o", "arm64"],
        ["freebsd/amd64", "bin/p/freebsd_amd64/p", "static", "elf64", "amd64"],
        ["linux/amd64", "bin/p/linux_amd64/p", "static", "elf64", "amd64"],
        ["linux/amd64/v3", "bin/p/linux_amd64_v3/p", "static", "elf64", "amd64"],
        ["linux/arm/7", "bin/p/linux_arm_7/p", "static", "elf32", "arm"],
        ["linux/arm64", "bin/p/linux_arm64/p", "static", "elf64", "arm64"],
        ["linux/riscv64", "bin/p/linux_riscv64/p", "static", "elf64", "riscv64"],
        ["windows/amd64", "bin/p/windows_amd64/p.exe", "system_libraries", "pe", "amd64"],
    ]);
    assert_eq!(json!(told), expected);
    // Go's own word for what it built, read from the files by Go.
    for (name, level) in [("linux_amd64_v3", "GOAMD64=v3"), ("linux_arm_7", "GOARM=7")] {
        let said = it.go(&["version", "-m", it.bin(&format!("p/{name}/p")).to_str().unwrap()]);
        holds(&text(&said), &[level]);
    }
    for (name, processor) in
        [("linux_arm64", "aarch64"), ("linux_arm_7", "arm"), ("linux_riscv64", "riscv64")]
    {
        let program = it.bin(&format!("p/{name}/p"));
        assert_eq!(needs(&program), [""; 0]);
        if let Some(said) = start_foreign(&program, processor) {
            assert_eq!(said, "hello\n", "{name}");
        }
    }
    if let Some(start) = start_alone(&it.bin("p/linux_amd64/p")) {
        assert_eq!(text(&start), "hello\n");
    }
    it.built().came("up_to_date 8");

    // A platform that is left out takes its output along; what is left is not built again.
    it.file("BUILD.ron", &BUILD.replace("\"linux/riscv64\",", ""));
    it.built().came("up_to_date 7");
    assert!(!it.bin("p/linux_riscv64").exists());
    assert_eq!(it.ledger()["records"].as_array().unwrap().len(), 7);
}

#[test]
fn each_platform_climbs_the_ladder_by_itself() {
    let build = r#"build(targets: [go_binary(name: "p", link: "own",
        platforms: ["linux/amd64", "linux/s390x", "openbsd/amd64", "android/amd64"])])"#;
    let rules = r#"rules(ladders: [ladder(name: "own", tries: ["static_glibc", "pure"])])"#;
    let Some(it) = Workspace::with_c(&[("BUILD.ron", build), ("rules/r.ron", rules)]) else {
        return;
    };
    it.file("main.go", &prints("hello"));
    let run = it.build(&["--keep-going"]);
    let of = |platform: &str| {
        let mut all = run.all("finished").filter(|it| it["platform"] == platform);
        all.next().unwrap_or_else(|| panic!("{run:#?}")).clone()
    };
    assert_eq!(of("linux/amd64")["strategy"], "static_glibc");
    assert_eq!(of("linux/s390x")["strategy"], "pure");
    let records = it.ledger()["records"].as_array().unwrap().clone();
    let s390x = records.iter().find(|it| it["platform"] == "linux/s390x").unwrap();
    assert_eq!(s390x["attempts"][0]["outcome"], "impossible");
    holds(s390x["attempts"][0]["reason"].as_str().unwrap(), &["not for linux/s390x"]);
    // OpenBSD has no other interface than its C library: the file is read, and told to need it.
    let openbsd = of("openbsd/amd64");
    assert_eq!((&openbsd["state"], &openbsd["exit_code"]), (&json!("failed"), &json!(6)));
    holds(
        openbsd["error"].as_str().unwrap(),
        &["pure: built, but not as promised: it needs `libc"],
    );
    let android = of("android/amd64")["error"].clone();
    holds(android.as_str().unwrap(), &["pure: impossible: Go links programs for android/amd64"]);
}

#[test]
fn tests_are_made_for_each_platform_too() {
    let build = r#"build(targets: [go_tests(name: "t", packages: ["./..."], link: "pure",
        platforms: ["linux/amd64", "windows/amd64"], vet: false)])"#;
    let Some(it) = workspace(build) else { return };
    it.file("main_test.go", "package main\n\nfunc init() {}\n");
    it.built().came("built 2");
    assert!(it.bin("t/linux_amd64/example.com/m.test").is_file());
    assert!(it.bin("t/windows_amd64/example.com/m.test.exe").is_file());
}

#[test]
fn a_program_for_another_platform_is_not_started() {
    let build = r#"build(targets: [
        go_binary(name: "own", link: "pure", platforms: ["linux/amd64", "windows/amd64"]),
        go_binary(name: "other", link: "pure", goos: "windows"),
    ])"#;
    let Some(it) = workspace(build).filter(|_| std::env::consts::ARCH == "x86_64") else { return };
    let own = it.run(&["run", "//:own"]);
    assert!(text(&own).ends_with("\nhello\n"), "{own:?}");
    let other = it.run(&["run", "//:other"]);
    assert_eq!(other.status.code(), Some(2));
    holds(
        &String::from_utf8_lossy(&other.stderr),
        &["`//:other` is for windows/amd64, and this machine is linux/amd64"],
    );
}
