//! C libraries that are targets: compiled by the toolchain of whoever links them, found by
//! pkg-config, or made by other build tools. What is built is run, and read by `readelf`.

use crate::support::has;
use crate::workspace::{Run, Workspace, holds, needs, text};
use std::fs;
use std::process::Command;

/// A program that prints what its C library makes of a number, and a macro.
const MAIN: &str = "package main\n\n// #include <greet.h>\nimport \"C\"\n\nfunc main() { println(int(C.greet(20)), C.GREET_N) }\n";

const GREET_H: &str = "#ifdef __cplusplus\nextern \"C\" {\n#endif\nint greet(int n);\nconst char *greet_file(void);\n#ifdef __cplusplus\n}\n#endif\n";

/// C++ with an exception, a container, a name that only this file has, and its own path.
const GREET_CC: &str = "#include \"greet.h\"\n#include \"util.h\"\n#include <map>\n#include <stdexcept>\n#include <string>\nnamespace { struct S { S() : n(1) {} int n; } s; }\nextern \"C\" int greet(int n) {\n\tstd::map<std::string, int> m;\n\tm[\"a\"] = n;\n\ttry { throw std::runtime_error(\"x\"); } catch (std::exception &) { return twice(m[\"a\"]) + s.n; }\n\treturn 0;\n}\nextern \"C\" const char *greet_file(void) { return __FILE__; }\n";

const UTIL_H: &str = "#ifdef __cplusplus\nextern \"C\"\n#endif\nint twice(int n);\n";

const UTIL_C: &str = "#include \"util.h\"\nint twice(int n) { return n + n; }\n";

/// A program, a library in C++, and one in C that the first uses.
fn greeting(targets: &str) -> Option<Workspace> {
    if !has("g++") || !has("ar") {
        return None;
    }
    let build = format!("build(targets: [{targets}])\n");
    Workspace::with_c(&[
        ("main.go", MAIN),
        (
            "main_test.go",
            "package main\n\nimport \"testing\"\n\nfunc TestNothing(t *testing.T) { main() }\n",
        ),
        ("lib/include/greet.h", GREET_H),
        ("lib/greet.cc", GREET_CC),
        ("util/util.h", UTIL_H),
        ("util/util.c", UTIL_C),
        ("util/more.c", "int more(void) { return 1; }\n"),
        ("BUILD.ron", &build),
        (
            "lib/BUILD.ron",
            "build(targets: [c_library(name: \"greet\", srcs: [\"*.cc\"], hdrs: [\"include/*.h\"], includes: [\"include\"],\n\
             defines: [\"GREET_N=7\"], cxxopts: [\"-std=c++17\", \"-Wall\"], c_deps: [\"//util\"])])\n",
        ),
        (
            "util/BUILD.ron",
            "build(targets: [c_library(name: \"util\", srcs: [\"*.c\"], hdrs: [\"util.h\"])])\n",
        ),
    ])
}

/// The sources that a run compiled for C libraries, in order.
fn compiled(run: &Run) -> Vec<String> {
    let steps = run.all("step_started").filter_map(|it| it["what"].as_str());
    let mut sources: Vec<_> = steps
        .filter_map(|it| Some(it.strip_prefix("compile ")?.split(' ').next()?.to_owned()))
        .collect();
    sources.sort();
    sources
}

/// Copies a workspace's sources to another folder of the same workspace's home.
fn moved(it: &Workspace, name: &str) -> std::path::PathBuf {
    let to = it.home().join(name).join("w");
    fs::create_dir_all(&to).unwrap();
    let list = Command::new("cp").arg("-r").arg(it.root().join(".")).arg(&to).status().unwrap();
    assert!(list.success());
    fs::remove_dir_all(to.join("linkwright-out")).unwrap();
    to
}

#[test]
fn a_library_is_compiled_linked_in_order_and_no_more_than_is_needed() {
    let targets = "go_binary(name: \"app\", link: \"static_glibc\", c_deps: [\"//lib:greet\"]),\n\
                   go_tests(name: \"tests\", packages: [\".\"], link: \"static_pie\", c_deps: [\"//lib:greet\"])";
    let Some(it) = greeting(targets) else { return };
    let first = it.built();
    // One toolchain, whatever the strategy: each source once.
    assert_eq!(compiled(&first), ["lib/greet.cc", "util/more.c", "util/util.c"]);
    assert_eq!(it.says("app"), "41 7\n");
    assert_eq!(needs(&it.bin("app")), Vec::<String>::new());
    assert_eq!(
        text(&it.command(it.bin("tests/example.com/m.test")).output().unwrap()),
        "PASS\n41 7\n"
    );

    the_folder_does_not_show(&it);
    an_edit_compiles_what_it_concerns(&it);
    // What does not compile is named with its target.
    it.file("util/more.c", "int more(void) { return 1 }\n");
    let run = it.build(&[":app"]);
    assert_eq!(run.code, 1);
    holds(
        &run.error("//:app"),
        &["`util/more.c` of `//util:util` does not compile by gcc", "more.c:1:"],
    );
    let why = text(&it.run(&["why", ":app"]));
    holds(&why, &["would be built"]);
}

/// In another folder, with a store of its own and a path that must be quoted: the same bytes.
fn the_folder_does_not_show(it: &Workspace) {
    let (bytes, ledger) = (it.bytes("app"), it.read("linkwright-out/ledger.json"));
    assert!(
        !ledger.contains(&it.root().display().to_string()),
        "no place of this machine: {ledger}"
    );
    let other = moved(it, "another place");
    let output = it
        .linkwright(&["build", "--json"])
        .current_dir(&other)
        .env("LINKWRIGHT_STORE", it.home().join("store2"))
        .output()
        .unwrap();
    assert_eq!(Run::of(&output).done()["built"], 2, "{output:?}");
    let theirs = |name: &str| fs::read(other.join("linkwright-out").join(name)).unwrap();
    assert!(theirs("bin/app") == bytes, "the bytes depend on the folder");
    assert_eq!(String::from_utf8(theirs("ledger.json")).unwrap(), ledger);
    // With the first store nothing is compiled, there or here.
    fs::remove_dir_all(other.join("linkwright-out")).unwrap();
    let output = it.linkwright(&["build", "--json"]).current_dir(&other).output().unwrap();
    let run = Run::of(&output);
    run.came("restored 2");
    assert_eq!((compiled(&run), run.links().len()), (vec![], 0));
}

/// A source itself, a header all that include it.
fn an_edit_compiles_what_it_concerns(it: &Workspace) {
    it.file("util/util.c", &UTIL_C.replace("n + n", "n + n + n"));
    let run = it.build(&[":app"]);
    assert_eq!(compiled(&run), ["util/util.c"]);
    assert_eq!(it.says("app"), "61 7\n");
    it.file("util/util.h", &format!("{UTIL_H}#define ONLY_FOR_SHOW 1\n"));
    let run = it.build(&[":app"]);
    assert_eq!(compiled(&run), ["lib/greet.cc", "util/util.c"]);
    it.file("lib/include/greet.h", &format!("{GREET_H}#undef GREET_N\n#define GREET_N 8\n"));
    let run = it.build(&[":app"]);
    assert_eq!(compiled(&run), ["lib/greet.cc"]);
    assert_eq!(it.says("app"), "61 8\n");
    // And one that is taken back compiles nothing.
    for (name, text) in
        [("util/util.c", UTIL_C), ("util/util.h", UTIL_H), ("lib/include/greet.h", GREET_H)]
    {
        it.file(name, text);
    }
    let run = it.build(&[":app"]);
    run.came("restored 1");
    assert_eq!(compiled(&run), Vec::<String>::new());
    // An archive that somebody touched is not linked: it is put back first.
    let archive = walkdir::WalkDir::new(it.path("linkwright-out/c/util")).into_iter();
    let archive = archive.filter_map(Result::ok).find(|it| it.file_type().is_file()).unwrap();
    fs::remove_file(archive.path()).unwrap();
    fs::write(archive.path(), "no archive").unwrap();
    it.file("main.go", &MAIN.replace("greet(20)", "greet(30)"));
    let run = it.build(&[":app"]);
    assert_eq!((run.code, compiled(&run)), (0, vec![]));
    assert_eq!(it.says("app"), "61 7\n");
}

#[test]
fn each_toolchain_and_platform_has_a_library_of_its_own() {
    if !has("musl-gcc") || !has("aarch64-linux-gnu-gcc") || !has("qemu-aarch64-static") {
        return;
    }
    let targets = "go_binary(name: \"musl\", package: \"./c\", link: \"static_musl\", c_deps: [\"//util\"]),\n\
                   go_binary(name: \"wide\", package: \"./c\", link: \"static_glibc\", c_deps: [\"//util\"], platforms: [\"linux/amd64\", \"linux/arm64\"]),\n\
                   go_binary(name: \"cxx\", link: \"static_musl\", c_deps: [\"//lib:greet\"])";
    let Some(it) = greeting(targets) else { return };
    it.file("c/main.go", "package main\n\n// #include <util.h>\nimport \"C\"\n\nfunc main() { println(int(C.twice(21))) }\n");
    let run = it.build(&["--keep-going"]);
    assert_eq!(run.code, 36, "{run:#?}");
    // gcc, musl and the cross compiler each compile the two sources.
    assert_eq!(compiled(&run).len(), 6);
    holds(
        &run.error("//:cxx"),
        &["`//lib:greet` holds C++, and no C++ compiler belongs to `musl-gcc"],
    );
    for name in ["musl", "wide/linux_amd64/wide"] {
        assert_eq!(it.says(name), "42\n");
        assert_eq!(needs(&it.bin(name)), Vec::<String>::new());
    }
    let arm = it.bin("wide/linux_arm64/wide");
    let said = Command::new("qemu-aarch64-static").arg(&arm).output().unwrap();
    assert_eq!(text(&said), "42\n");
    assert_eq!(needs(&arm), Vec::<String>::new());
}

#[test]
fn an_archive_of_another_build_tool_is_a_library() {
    if !has("make") || !has("ar") {
        return;
    }
    let Some(it) = greeting(
        "go_binary(name: \"app\", package: \"./c\", link: \"static_glibc\", c_deps: [\":made\"]),\n\
         c_library(name: \"made\", archive: \"build/libmade.a\", hdrs: [\"build/made.h\"], includes: [\"build\"], deps: [\":project\"]),\n\
         command(name: \"project\", argv: [\"make\", \"-C\", \"project\"], inputs: [\"project/*\"], outputs: [\"build/libmade.a\", \"build/made.h\"])",
    ) else {
        return;
    };
    it.file("c/main.go", "package main\n\n// #include <made.h>\nimport \"C\"\n\nfunc main() { println(int(C.made())) }\n");
    it.file("project/made.c", "#include \"made.h\"\nint made(void) { return 5; }\n");
    it.file("project/made.h", "int made(void);\n");
    it.file(
        "project/Makefile",
        "all: made.c made.h\n\tmkdir -p ../build\n\tcp made.h ../build\n\tcc -c made.c -o ../build/made.o\n\tar rcsD ../build/libmade.a ../build/made.o\n\trm ../build/made.o\n",
    );
    it.built();
    assert_eq!(it.says("app"), "5\n");
    it.file("project/made.c", "#include \"made.h\"\nint made(void) { return 6; }\n");
    it.built();
    assert_eq!(it.says("app"), "6\n");
    // What the target says of files is looked at before anything is linked.
    it.file("BUILD.ron", "build(targets: [c_library(name: \"none\", archive: \"none.a\"), c_library(name: \"odd\", srcs: [\"c/main.go\"]),\n\
        c_library(name: \"far\", hdrs: [\"build/made.h\"], includes: [\"nowhere\"])])\n");
    let run = it.build(&["--keep-going"]);
    assert_eq!(run.code, 2);
    holds(&run.error("//:none"), &["`none.a`, the archive of `//:none`, is not there"]);
    holds(&run.error("//:odd"), &["`c/main.go` of `//:odd` is no C, C++ or assembly"]);
    holds(&run.error("//:far"), &["`nowhere`, in which `//:far` has its headers, is no folder"]);
}

/// A program that takes the package `package` of pkg-config, linked by `link`.
fn with_package(it: &Workspace, link: &str, package: &str) {
    let pc = it.home().join("pc");
    let build = format!(
        "build(targets: [go_binary(name: \"app\", package: \"./c\", link: \"{link}\", c_deps: [\":made\"], env: {{\"PKG_CONFIG_PATH\": \"{}\"}}),\n\
         pkg_config(name: \"made\", packages: [\"{package}\"])])\n",
        pc.display()
    );
    it.file("BUILD.ron", &build);
}

/// Makes the library of pkg-config's in one of its two forms; `made()` is worth `number`.
fn put_library(it: &Workspace, number: u32, is_shared: bool) {
    it.file("../pc/made.c", &format!("int made(void) {{ return {number}; }}\n"));
    let run = |program: &str, words: &str| {
        let mut command = Command::new(program);
        command.args(words.split(' ')).current_dir(it.home().join("pc"));
        assert!(command.status().unwrap().success());
    };
    if is_shared {
        return run("gcc", "-shared -fPIC -o libmade.so made.c");
    }
    run("gcc", "-c made.c");
    run("ar", "rcsD libmade.a made.o");
}

#[test]
fn pkg_config_names_libraries_and_one_without_an_archive_is_named_before_the_link() {
    if !has("pkg-config") {
        return;
    }
    let Some(it) = greeting("") else { return };
    it.file("c/main.go", "package main\n\n// #include <made.h>\nimport \"C\"\n\nfunc main() { println(int(C.made()), C.MADE) }\n");
    it.file("../pc/made.h", "int made(void);\n");
    let home = it.home().join("pc").display().to_string();
    let head = "Name: x\nDescription: x\nVersion: 1\n";
    it.file(
        "../pc/made.pc",
        &format!("{head}Cflags: -I{home} -DMADE=3\nLibs: -L{home} -lmade\nLibs.private: -lm\n"),
    );
    it.file("../pc/evil.pc", &format!("{head}Cflags: -fplugin=./x.so\nLibs: -lm\n"));
    put_library(&it, 5, true);
    let refused = |package: &str, code: i32, parts: &[&str]| {
        with_package(&it, "static_glibc", package);
        let run = it.build(&[]);
        assert_eq!((run.code, run.links().len()), (code, 0), "{run:#?}");
        holds(&run.error("//:app"), parts);
    };
    let absent = "`//:made`: there is no archive of `-lmade`: `";
    let shared = "libmade.so` is here and `libmade.a` is not";
    refused("made", 36, &[absent, shared, "install or build the archive"]);
    refused("evil", 11, &["`//:made`: `-fplugin=./x.so` is refused"]);
    let unknown = "`pkg-config --cflags --static nowhere_at_all` failed";
    refused("nowhere_at_all", 36, &[unknown, "`PKG_CONFIG_PATH`"]);
    // A strategy that links it dynamically has what it needs.
    with_package(&it, "default", "made");
    it.built();
    assert_eq!(needs(&it.bin("app")).iter().filter(|it| *it == "libmade.so").count(), 1);
    // With the archive the first one has, too; its content counts.
    with_package(&it, "static_glibc", "made");
    for number in [5, 6] {
        put_library(&it, number, false);
        it.built();
        assert_eq!(it.says("app"), format!("{number} 3\n"));
    }
    assert_eq!(needs(&it.bin("app")), Vec::<String>::new());
}

/// pkg-config tells of this machine's libraries; for another platform it must be told where the
/// `.pc` files of that one are.
#[test]
fn pkg_config_for_another_platform_is_told_where_its_libraries_are() {
    let cross = ["pkg-config", "aarch64-linux-gnu-gcc", "qemu-aarch64-static"];
    if !cfg!(target_arch = "x86_64") || !cross.iter().all(|it| has(it)) {
        return;
    }
    let Some(it) = greeting("") else { return };
    it.file("c/main.go", "package main\n\n// #include <made.h>\nimport \"C\"\n\nfunc main() { println(int(C.made())) }\n");
    it.file("../pc/made.h", "int made(void);\n");
    let home = it.home().join("pc").display().to_string();
    it.file(
        "../pc/made.pc",
        &format!("Name: x\nDescription: x\nVersion: 1\nCflags: -I{home}\nLibs: -L{home} -lmade\n"),
    );
    put_library(&it, 7, false);
    let with = |variable: &str| {
        with_package(&it, "static_glibc", "made");
        let build = it.read("BUILD.ron").replace("PKG_CONFIG_PATH", variable);
        it.file("BUILD.ron", &build.replace("env:", "goarch: \"arm64\", env:"));
        it.build(&[])
    };
    let run = with("PKG_CONFIG_PATH");
    assert_eq!((run.code, run.links().len()), (36, 0), "{run:#?}");
    let asks = "which tells of this machine's libraries, not of those for linux/arm64";
    holds(&run.error("//:app"), &[asks, "say `PKG_CONFIG_LIBDIR`"]);
    for (program, words) in
        [("aarch64-linux-gnu-gcc", "-c made.c"), ("aarch64-linux-gnu-ar", "rcsD libmade.a made.o")]
    {
        fs::remove_file(it.home().join("pc/libmade.a")).ok();
        let mut command = Command::new(program);
        command.args(words.split(' ')).current_dir(it.home().join("pc"));
        assert!(command.status().unwrap().success());
    }
    let run = with("PKG_CONFIG_LIBDIR");
    assert_eq!(run.code, 0, "{run:#?}");
    assert_eq!(needs(&it.bin("app")), Vec::<String>::new());
    assert_eq!(
        text(&Command::new("qemu-aarch64-static").arg(it.bin("app")).output().unwrap()),
        "7\n"
    );
}

/// A compiler that edits its source just before it reads it.
#[test]
fn a_source_that_changes_under_the_compiler_is_not_kept_under_its_old_key() {
    let Some(it) =
        greeting("go_binary(name: \"app\", link: \"static_glibc\", c_deps: [\"//lib:greet\"])")
    else {
        return;
    };
    let once = it.home().join("once");
    let lines = format!(
        "case \"$*\" in *util.c) if [ ! -e {0} ]; then touch {0}; sed 's/n + n/n + n + n/' util.c > x && mv x util.c; fi;; esac\nexec REAL \"$@\"",
        once.display()
    );
    let it = it.instead_of("gcc", &lines);
    it.built();
    assert!(once.exists());
    assert_eq!(it.says("app"), "61 7\n", "the file as it is now");
    it.file("util/util.c", UTIL_C);
    it.built();
    assert_eq!(it.says("app"), "41 7\n", "and not what was made of another under its key");
}
