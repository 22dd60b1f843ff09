//! C toolchains and linkers as data: found, recognised by content, refused where they lie; other
//! platforms; versions of glibc. What is built is read by `readelf`, and run.

use crate::support::has;
use crate::workspace::{Workspace, holds, needs, shared, text};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

/// A program with C that tells how it was compiled.
const WITH_C: &str = "package main\n\n/*\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nstatic int twice(int n) { char *p = malloc(8); strcpy(p, \"x\"); n += strlen(p) - 1; free(p); return n + n; }\nstatic int arm(void) {\n#ifdef __aarch64__\n\treturn 1;\n#else\n\treturn 0;\n#endif\n}\n*/\nimport \"C\"\n\nfunc main() { println(\"twice\", int(C.twice(21)), \"arm\", int(C.arm())) }\n";

/// The same in C++, with an exception and a container of the C++ library.
const CXX: &str = "#include <map>\n#include <stdexcept>\n#include <string>\nextern \"C\" int answer(void) {\n\tstd::map<std::string, int> m;\n\tm[\"a\"] = 40;\n\ttry { throw std::runtime_error(\"two\"); } catch (std::exception &e) { if (std::string(e.what()) == \"two\") return m[\"a\"] + 2; }\n\treturn 0;\n}\n";
const CXX_GO: &str = "package main\n\n// int answer(void);\nimport \"C\"\n\nfunc main() { println(\"answer\", int(C.answer())) }\n";

fn build(targets: &str) -> String {
    format!("build(targets: [{targets}])")
}

fn program(name: &str, package: &str, link: &str) -> String {
    format!("go_binary(name: \"{name}\", package: \"{package}\", link: \"{link}\"), ")
}

fn for_arm(name: &str, package: &str, link: &str) -> String {
    let start = program(name, package, link);
    start.replace(&format!("link: \"{link}\""), &format!("link: \"{link}\", goarch: \"arm64\""))
}

/// Two programs, one with C in `c`, one with C++ in `cxx`.
#[track_caller]
fn both(targets: &str) -> Option<Workspace> {
    Workspace::with_c(&[
        ("BUILD.ron", &build(targets)),
        ("c/main.go", WITH_C),
        ("cxx/main.go", CXX_GO),
        ("cxx/answer.cc", CXX),
    ])
}

/// Runs a program for arm64, which needs qemu on any other machine.
fn on_arm(file: &Path) -> Output {
    if cfg!(target_arch = "aarch64") {
        return Command::new(file).output().unwrap();
    }
    Command::new("qemu-aarch64-static").arg(file).output().unwrap()
}

/// What `readelf` calls the machine of a file.
fn machine_of(file: &Path) -> String {
    let said = text(&Command::new("readelf").arg("-h").arg(file).output().unwrap());
    let line = said.lines().find(|it| it.contains("Machine:")).unwrap();
    line.split_once(':').unwrap().1.trim().to_owned()
}

#[test]
fn c_and_cxx_are_linked_statically_for_another_architecture_by_a_cross_gcc() {
    if !has("aarch64-linux-gnu-gcc") || !has("aarch64-linux-gnu-g++") || !has("qemu-aarch64-static")
    {
        return;
    }
    let targets = for_arm("c", "./c", "static_glibc") + &for_arm("cxx", "./cxx", "static_glibc");
    let Some(it) = both(&targets) else { return };
    it.built();
    for (name, says) in [("c", "twice 42 arm 1\n"), ("cxx", "answer 42\n")] {
        let file = it.bin(name);
        assert_eq!((machine_of(&file).as_str(), needs(&file)), ("AArch64", vec![]), "{name}");
        assert_eq!(text(&on_arm(&file)), says);
        let record = it.record(&format!("//:{name}"));
        holds(record["toolchain"]["cc"].as_str().unwrap(), &["aarch64-linux-gnu-gcc 1"]);
        holds(record["toolchain"]["linker"].as_str().unwrap(), &["GNU ld"]);
        assert_eq!(record["environment"]["CC"], "aarch64-linux-gnu-gcc");
        assert_eq!(record["linkage"]["machine"], "arm64");
    }
}

#[test]
fn without_the_cross_compiler_the_package_that_brings_it_is_named() {
    let targets = for_arm("c", "./c", "static_glibc");
    let Some(it) = both(&targets) else { return };
    let it = it.only_with(&["go", "gcc", "g++", "as", "ld", "ar", "sh"]);
    let run = it.build(&[]);
    assert_eq!(run.code, 36);
    let said = run.error("//:c");
    holds(&said, &["not for linux/arm64, and there is no `aarch64-linux-gnu-gcc` here"]);
    holds(&said, &["install `gcc-aarch64-linux-gnu` and `g++-aarch64-linux-gnu` (Debian)"]);
}

/// A cross gcc whose C library is missing, and a gcc without its C++ compiler: the build and
/// `doctor` name the package in one sentence, made of what the rules say.
#[test]
fn what_is_missing_of_a_toolchain_is_named_by_its_package_in_one_sentence() {
    if !has("aarch64-linux-gnu-gcc") || !has("aarch64-linux-gnu-g++") {
        return;
    }
    let targets = for_arm("arm", "./c", "static_glibc") + &program("cxx", "./cxx", "static_glibc");
    let Some(it) = both(&targets) else { return };
    let it = it.only_with(&["go", "gcc", "as", "ld", "ar", "sh", "aarch64-linux-gnu-gcc"]);
    let lacking = "for a in \"$@\"; do [ \"$a\" != -static ] || { echo 'cannot find -lc' >&2; exit 1; }; done\nexec REAL \"$@\"";
    let it = it.instead_of("aarch64-linux-gnu-gcc", lacking);
    let run = it.build(&["--keep-going"]);
    assert_eq!(run.code, 36);
    let install = "install `libc6-dev-arm64-cross` (Debian)";
    let said = run.error("//:arm");
    holds(&said, &["finds no static C library", install]);
    let asked = ["doctor", "--json", "--platform", "linux/arm64", "static_glibc"];
    let answer: serde_json::Value = serde_json::from_slice(&it.run(&asked).stdout).unwrap();
    let check = &answer["strategies"][0];
    assert_eq!(check["install"], serde_json::json!([install]), "{answer:#}");
    assert_eq!(check["packages"], serde_json::json!(["libc6-dev-arm64-cross"]));
    holds(&said, &[check["what"].as_str().unwrap()]);
    let cxx = run.error("//:cxx");
    holds(&cxx, &["holds C++, and no C++ compiler belongs to `gcc", "install `gcc` and `g++`"]);
}

/// Packages are data: a workspace's own rules name others, and no Rust does.
#[test]
fn packages_that_the_workspaces_own_rules_name_are_told() {
    let Some(it) = both(&program("named", "./c", "by_mold")) else { return };
    let tool = "tools: [tool(name: \"ld.mold\", debian: [\"our-mold\"])], strategies";
    it.file("rules/own.ron", &by_linker(&["mold"]).replace("strategies", tool));
    let it = it.only_with(&["go", "gcc", "g++", "as", "ld", "ld.bfd", "ar", "sh"]);
    holds(&it.build(&[]).error("//:named"), &["install `our-mold` (Debian)"]);
    it.file("rules/own.ron", "rules(toolchains: [c_toolchain(name: \"own\", cc: \"no-such-gcc\", debian: [\"gcc-{arch}-x\", \"libc-{debian_arch}\"], parts: [part(need: static_libx)])])");
    let run = it.build(&[]);
    assert_eq!(run.code, 2);
    holds(&run.error(""), &["`static_libx` is no word for `need`", "static_libc"]);
    it.file("rules/own.ron", "rules(toolchains: [c_toolchain(name: \"own\", cc: \"no-such-gcc\", debian: [\"gcc-{arch}-x\", \"libc-{debian_arch}\"])], strategies: [strategy(name: \"by_mold\", cgo: on, toolchains: [\"own\"], needs: [c_compiler])])");
    holds(&it.build(&[]).error("//:named"), &["install `gcc-x86-64-x` and `libc-amd64` (Debian)"]);
}

#[test]
fn a_compiler_that_lies_about_its_target_is_refused() {
    let Some(it) = both(&program("c", "./c", "static_glibc")) else { return };
    let lie = "for a in \"$@\"; do [ \"$a\" != -dumpmachine ] || { echo aarch64-linux-gnu; exit; }; done\nexec REAL \"$@\"";
    let it = it.instead_of("gcc", lie);
    it.file("rules/own.ron", "rules(strategies: [strategy(name: \"static_glibc\", cgo: on, cc: \"gcc\", linkmode: external, extldflags: [\"-static\"], needs: [c_compiler], promise: static)])");
    let run = it.build(&[]);
    assert_eq!(run.code, 36);
    let lies = "`gcc` says that it makes code for aarch64-linux-gnu, and makes it for amd64";
    holds(&run.error("//:c"), &[lies, "take it off `PATH`"]);
    // The rules say what it must say.
    it.file("rules/own.ron", "rules(toolchains: [c_toolchain(name: \"own\", cc: \"gcc\", target: \"x86_64-linux-gnu\", platforms: [\"linux/amd64\"])], strategies: [strategy(name: \"static_glibc\", cgo: on, toolchains: [\"own\"], linkmode: external, extldflags: [\"-static\"], promise: static)])");
    let run = it.build(&[]);
    assert_eq!(run.code, 36);
    holds(&run.error("//:c"), &["and the toolchain `own` that it does for x86_64-linux-gnu"]);
}

/// Rules with one strategy for each linker.
fn by_linker(linkers: &[&str]) -> String {
    let strategy = |it: &&str| {
        format!(
            "strategy(name: \"by_{it}\", cgo: on, linker: {it}, linkmode: external, extldflags: [\"-static\"], promise: static)"
        )
    };
    let strategies: Vec<_> = linkers.iter().map(strategy).collect();
    format!("rules(strategies: [{}])", strategies.join(", "))
}

#[test]
fn the_linker_that_a_strategy_names_links_and_is_in_key_and_record() {
    if !has("mold") || !has("ld.lld") || !has("ld.gold") {
        return;
    }
    let linkers = ["bfd", "gold", "lld", "mold"];
    let targets: String =
        linkers.iter().map(|it| program(it, "./c", &format!("by_{it}"))).collect();
    let Some(it) = both(&(targets + &program("fastest", "./c", "by_fastest"))) else { return };
    it.file("rules/own.ron", &by_linker(&["bfd", "gold", "lld", "mold", "fastest"]));
    it.built();
    let mut keys = Vec::new();
    for (name, says) in [
        ("bfd", "GNU ld"),
        ("gold", "GNU gold"),
        ("lld", "LLD"),
        ("mold", "mold"),
        ("fastest", "mold"),
    ] {
        assert_eq!(it.says(name), "twice 42 arm 0\n");
        assert_eq!(needs(&it.bin(name)), Vec::<String>::new(), "{name}");
        let record = it.record(&format!("//:{name}"));
        holds(record["toolchain"]["linker"].as_str().unwrap(), &[says]);
        keys.push(record["key"].as_str().unwrap().to_owned());
    }
    assert_eq!(keys[3], keys[4], "the fastest is mold, and the same link");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
    // What mold and lld leave of themselves in the file.
    let comment = |name: &str| {
        text(&Command::new("readelf").args(["-p", ".comment"]).arg(it.bin(name)).output().unwrap())
    };
    holds(&comment("mold"), &["mold"]);
    holds(&comment("lld"), &["LLD"]);
    assert!(!comment("bfd").contains("mold"));
    each_linker_counts_by_its_content(it, &linkers);
}

/// Puts another program of the same name in the place of each linker, one after the other: the link
/// by this one has another key, and those by the others are where they were.
fn each_linker_counts_by_its_content(mut it: Workspace, linkers: &[&str]) {
    let key = |it: &Workspace, name: &str| it.record(&format!("//:{name}"))["key"].clone();
    for linker in linkers {
        let before: Vec<_> = linkers.iter().map(|name| key(&it, name)).collect();
        // By the name under which it is found: lld knows by it which linker it is to be.
        let name = format!("ld.{linker}");
        let real = std::env::split_paths(it.search_path()).map(|it| it.join(&name));
        let real = real.filter(|it| it.is_file()).last().unwrap();
        it = it.instead_of(&name, &format!("exec {} \"$@\"", real.display()));
        let labels: Vec<_> = linkers.iter().map(|name| format!(":{name}")).collect();
        let run = it.build(&labels.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(run.code, 0, "{run:#?}");
        for (name, before) in linkers.iter().zip(before) {
            assert_eq!(key(&it, name) != before, name == linker, "{name} beside {linker}");
        }
        assert_eq!(run.links().len(), 1, "{linker}");
    }
}

/// Rules that leave nothing but clang.
const BY_CLANG: &str = "rules(strategies: [strategy(name: \"by_clang\", cgo: on, toolchains: [\"clang\"], tags: [\"netgo\", \"osusergo\"], linkmode: external, extldflags: [\"-static\"], needs: [c_compiler, static_libc], promise: static)])";

#[test]
fn clang_links_c_and_cxx_statically() {
    if !has("clang") || !has("clang++") {
        return;
    }
    let targets = program("c", "./c", "by_clang") + &program("cxx", "./cxx", "by_clang");
    let Some(it) = both(&targets) else { return };
    it.file("rules/own.ron", BY_CLANG);
    it.built();
    for (name, says) in [("c", "twice 42 arm 0\n"), ("cxx", "answer 42\n")] {
        assert_eq!(it.says(name), says);
        assert_eq!(needs(&it.bin(name)), Vec::<String>::new(), "{name}");
        let record = it.record(&format!("//:{name}"));
        holds(record["toolchain"]["cc"].as_str().unwrap(), &["clang 1"]);
        assert_eq!(record["environment"]["CXX"], "clang++");
    }
}

/// zig as Python's package `ziglang` brings it, which puts nothing on PATH; for another
/// architecture, since for this one it is tried elsewhere.
#[test]
fn zig_is_found_in_pythons_package_and_links_for_another_architecture() {
    if !has("zig") || !has("python3") || !has("qemu-aarch64-static") {
        return;
    }
    let Some(it) = both(&for_arm("arm", "./c", "zig_musl")) else { return };
    let path = std::env::var_os("PATH").unwrap();
    let zig = std::env::split_paths(&path).map(|it| it.join("zig")).find(|it| it.is_file());
    let package = fs::canonicalize(zig.unwrap()).unwrap().parent().unwrap().to_owned();
    // What stands on PATH may be a script that looks for the program itself.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let it = it.only_with(&["go", "gcc", "g++", "as", "ld", "ar", "sh"]);
    symlink(text(&python.unwrap()).trim(), it.home().join("bin/python3")).unwrap();
    let run = it.build(&[]);
    assert_eq!(run.code, 36, "{run:#?}");
    holds(&run.error("//:arm"), &["there is no C compiler `zig` here", "`ziglang` (PyPI)"]);
    let mut python = it.command("python3");
    let folder = python.args(["-c", "import site; print(site.getusersitepackages())"]).output();
    let folder = Path::new(text(&folder.unwrap()).trim()).to_owned();
    assert!(folder.starts_with(it.home()), "{}", folder.display());
    fs::create_dir_all(&folder).unwrap();
    symlink(package, folder.join("ziglang")).unwrap();
    it.built();
    let file = it.bin("arm");
    assert_eq!((machine_of(&file).as_str(), needs(&file)), ("AArch64", vec![]));
    assert_eq!(text(&on_arm(&file)), "twice 42 arm 1\n");
    assert_eq!(it.record("//:arm")["environment"]["CC"], "zig cc -target aarch64-linux-musl");
}

#[test]
fn a_linker_that_is_not_here_or_makes_what_does_not_hold_is_passed_over() {
    let Some(it) = both(&(program("named", "./c", "by_mold") + &program("f", "./c", "by_fastest")))
    else {
        return;
    };
    it.file("rules/own.ron", &by_linker(&["mold", "fastest"]));
    let it = it.only_with(&["go", "gcc", "g++", "as", "ld", "ld.bfd", "ar", "sh"]);
    let run = it.build(&["--keep-going"]);
    assert_eq!(run.code, 36);
    holds(
        &run.error("//:named"),
        &["there is no `ld.mold` here", "install `mold` (Debian), `mold` (Fedora)"],
    );
    assert_eq!(it.says("f"), "twice 42 arm 0\n", "whatever is left is taken");
}

#[test]
fn cxx_is_not_given_to_a_toolchain_without_a_cxx_compiler() {
    if !has("musl-gcc") {
        return;
    }
    let targets = program("c", "./c", "static_musl") + &program("cxx", "./cxx", "static_musl");
    let Some(it) = both(&targets) else { return };
    let run = it.build(&["--keep-going"]);
    assert_eq!(run.code, 36);
    holds(&run.error("//:cxx"), &["holds C++, and no C++ compiler belongs to `musl-gcc"]);
    assert_eq!(it.says("c"), "twice 42 arm 0\n");
}

/// zig compiles C only: its C++ library takes minutes when it is compiled for the first time.
#[test]
fn zig_links_musl_statically_and_against_an_old_glibc() {
    if !has("zig") {
        return;
    }
    let targets = program("musl", "./c", "zig_musl") + &program("floor", "./c", "glibc_floor");
    let Some(it) = both(&targets) else { return };
    it.built();
    assert_eq!(it.says("musl"), "twice 42 arm 0\n");
    assert_eq!(needs(&it.bin("musl")), Vec::<String>::new());
    let record = it.record("//:musl");
    holds(record["toolchain"]["cc"].as_str().unwrap(), &["zig 0."]);
    assert_eq!(record["linkage"]["libc"], "musl");
    assert_eq!(record["environment"]["CC"], "zig cc -target x86_64-linux-musl");
    let here = shared("go-cache").display().to_string();
    assert!(!it.read("linkwright-out/ledger.json").contains(&here), "no place of this machine");
    assert_eq!(it.says("floor"), "twice 42 arm 0\n");
    let asked = it.record("//:floor")["linkage"]["glibc_max"].as_str().unwrap().to_owned();
    let minor: u32 = asked.split('.').nth(1).unwrap().parse().unwrap();
    assert!(minor <= 17, "{asked}");
    let zig = it.home().join(".cache/zig");
    assert!(!fs::exists(zig).unwrap(), "zig's cache is not in the home");
}

#[test]
fn without_zig_the_floor_is_held_by_the_file() {
    let Some(it) = both(&program("floor", "./c", "glibc_floor")) else { return };
    let it = it.only_with(&["go", "gcc", "g++", "as", "ld", "ar", "sh"]);
    let run = it.build(&[]);
    assert_eq!(run.code, 6, "{run:#?}");
    let said = run.error("//:floor");
    holds(&said, &["it needs glibc 2.", "and the strategy promises 2.17 at most"]);
    holds(&said, &["install `ziglang` (PyPI)"]);
    // Where it asks for no more than is there, gcc is good enough.
    it.file("rules/own.ron", "rules(strategies: [strategy(name: \"glibc_floor\", cgo: on, linkmode: external, promise: libc_only, glibc_max: \"2.99\")])");
    it.built();
    assert_eq!(it.says("floor"), "twice 42 arm 0\n");
}

#[test]
fn the_race_detector_is_linked_statically_with_glibc() {
    let Some(it) =
        both(&(program("c", "./c", "static_race") + &program("cxx", "./cxx", "static_race")))
    else {
        return;
    };
    it.built();
    assert_eq!((it.says("c"), it.says("cxx")), ("twice 42 arm 0\n".into(), "answer 42\n".into()));
    for name in ["c", "cxx"] {
        assert_eq!(needs(&it.bin(name)), Vec::<String>::new());
    }
}

/// musl has no `libc_nonshared`, and Go's runtime of the detector is made for glibc: that it links
/// is not enough, it must find a race.
#[test]
fn the_race_detector_is_linked_statically_with_musl() {
    if !has("musl-gcc") {
        return;
    }
    let targets =
        program("c", "./c", "static_race_musl") + &program("racy", "./racy", "static_race_musl");
    let Some(it) = both(&targets) else { return };
    it.file("racy/main.go", "package main\n\nimport \"sync\"\n\nfunc main() {\n\tvar n int\n\tvar done sync.WaitGroup\n\tfor range 2 {\n\t\tdone.Add(1)\n\t\tgo func() { n++; done.Done() }()\n\t}\n\tdone.Wait()\n\tprintln(n)\n}\n");
    it.built();
    assert_eq!(it.says("c"), "twice 42 arm 0\n");
    for name in ["c", "racy"] {
        assert_eq!(needs(&it.bin(name)), Vec::<String>::new());
        assert_eq!(it.record(&format!("//:{name}"))["linkage"]["libc"], "musl");
    }
    let raced = it.command(it.bin("racy")).output().unwrap();
    assert_eq!(raced.status.code(), Some(66), "{raced:?}");
    holds(&text(&raced), &["WARNING: DATA RACE"]);
}
