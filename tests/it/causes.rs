//! A build that fails, or comes out otherwise than promised, names what is behind it.

use crate::workspace::{Run, Workspace, holds, text};

fn one(link: &str) -> String {
    format!("build(targets: [go_binary(name: \"p\", link: \"{link}\")])")
}

/// A program that calls `one` of a library in the folder `lib`.
#[track_caller]
fn with_library(link: &str) -> Option<Workspace> {
    let program = "package main\n\n// #cgo LDFLAGS: -L${SRCDIR}/lib -lone\n// int one(void);\nimport \"C\"\n\nfunc main() { println(int(C.one())) }\n";
    let it = Workspace::with_c(&[("BUILD.ron", &one(link)), ("main.go", program)])?;
    it.file("src/one.c.txt", "int one(void) { return 1; }\n");
    it.file("lib/README", "libraries\n");
    Some(it)
}

#[track_caller]
fn run(it: &Workspace, program: &str, words: &str) {
    let output = it.command(program).args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_library_without_an_archive_is_named_with_where_the_shared_one_is() {
    let Some(it) = with_library("static_glibc") else { return };
    let failed = it.build(&[]);
    assert_eq!(failed.code, 1);
    holds(&failed.error("//:p"), &["`-lone` is nowhere: neither `libone.a` nor `libone.so`"]);
    run(&it, "gcc", "-shared -fPIC -o lib/libone.so -x c src/one.c.txt");
    let failed = it.build(&[]);
    assert_eq!(failed.code, 1);
    let here = it.path("lib/libone.so").display().to_string();
    let said = failed.error("//:p");
    holds(&said, &["there is no archive of `-lone`", &here, "install or build the archive"]);
    run(&it, "gcc", "-c -o one.o -x c src/one.c.txt");
    run(&it, "ar", "rcD lib/libone.a one.o");
    it.built();
    assert_eq!(it.says("p"), "1\n");
}

/// As `purego` does: a symbol of a shared library without cgo.
#[test]
fn an_import_from_a_shared_library_without_cgo_is_found_in_its_package() {
    let Some(it) = Workspace::new(&[
        ("BUILD.ron", &one("pure")),
        ("main.go", "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { println(a.X) }\n"),
        ("a/a.go", "package a\n\nimport _ \"example.com/m/loads\"\n\nconst X = 1\n"),
        ("loads/loads.go", "package loads\n\n//go:cgo_import_dynamic _ _ \"libdl.so.2\"\n"),
    ]) else {
        return;
    };
    let failed = it.build(&[]);
    assert_eq!(failed.code, 6, "{failed:#?}");
    let said = failed.error("//:p");
    holds(&said, &["it needs `libdl.so.2`"]);
    let cause = "`example.com/m/loads` (imported by `example.com/m` → `example.com/m/a`) imports from `libdl.so.2` without cgo";
    holds(&said, &[cause]);
    // Where it is allowed, `why` says the same.
    it.file("BUILD.ron", &one("any"));
    it.file("rules/own.ron", "rules(strategies: [strategy(name: \"any\", cgo: off)])");
    it.built();
    holds(&text(&it.run(&["why", "//:p"])), &[cause]);
}

#[test]
fn users_looked_up_by_cgo_are_the_cause_and_a_strategy_is_the_cure() {
    let program = "package main\n\nimport \"os/user\"\n\nfunc main() { _, err := user.Current(); println(err == nil) }\n";
    let rules = "rules(strategies: [strategy(name: \"own\", tags: [\"netgo\"], linkmode: auto, extldflags: [\"-static\"], promise: static)])";
    let Some(it) = Workspace::with_c(&[
        ("BUILD.ron", &one("own")),
        ("main.go", program),
        ("rules/own.ron", rules),
    ]) else {
        return;
    };
    let failed = it.build(&[]);
    assert_eq!(failed.code, 6);
    let said = failed.error("//:p");
    holds(&said, &["it needs `libc.so.6`", "`link: \"netgo\"` would hold"]);
    let why = text(&it.run(&["why", "//:p"]));
    holds(&why, &["os/user", "Go links it with its own linker, which ignores `-extldflags`"]);
}

/// The words with which modules once made a build run what they brought, and who refuses them: the
/// rule files here, or Go's own list where they stand in a cgo line.
#[test]
fn each_known_way_to_run_code_while_building_is_refused() {
    let Some(it) = Workspace::with_c(&[]) else { return };
    let canary = it.home().join("canary");
    let target = |field: &str| format!("build(targets: [go_binary(name: \"p\", {field})])");
    it.file("main.go", "package main\n\nfunc main() {}\n");
    for (cve, field) in [
        ("CVE-2018-6574", "env: {\"CGO_CFLAGS\": \"-fplugin=./evil.so\"}"),
        ("CVE-2020-28367", "env: {\"CGO_CFLAGS\": \"-B./bin\"}"),
        ("CVE-2020-28367", "extldflags: [\"-Wl,-plugin,./evil.so\"]"),
        ("CVE-2023-29404", "env: {\"CGO_LDFLAGS\": \"-Wl,--dynamic-linker -Wl,-plugin=x\"}"),
        ("CVE-2023-29405", "env: {\"CGO_LDFLAGS\": \"-Wl,-rpath,@evil\"}"),
        ("CVE-2023-29405", "extldflags: [\"@words\"]"),
        ("allow list", "env: {\"CGO_CFLAGS_ALLOW\": \".*\"}"),
        ("allow list", "env: {\"CGO_LDFLAGS_ALLOW\": \".*\"}"),
        ("CVE-2025-61731", "env: {\"PKG_CONFIG\": \"./evil\"}"),
        ("CVE-2023-39320", "env: {\"GOTOOLCHAIN\": \"./evil\"}"),
        ("-toolexec", "env: {\"GOFLAGS\": \"-toolexec=./evil\"}"),
        ("-extld", "ldflags: [\"-extld=./evil\"]"),
    ] {
        it.file("BUILD.ron", &target(field));
        let run = it.build(&[]);
        assert_eq!(run.code, 11, "{cve}: {field}: {run:#?}");
    }
    it.file("BUILD.ron", &target("link: \"static_glibc\""));
    let touch = format!("touch {}", canary.display());
    let lines = |directive: &str| {
        format!(
            "package main\n\n// {directive}\n// static int one(void) {{ return 1; }}\nimport \"C\"\n\nfunc main() {{ println(int(C.one())) }}\n"
        )
    };
    for (cve, code, directive) in [
        ("CVE-2018-6574", 1, "#cgo CFLAGS: -fplugin=./evil.so"),
        ("CVE-2020-28367", 1, "#cgo CFLAGS: -B./bin"),
        ("CVE-2023-29404", 1, "#cgo LDFLAGS: -Wl,-plugin=./evil.so"),
        ("CVE-2025-61731", 11, "#cgo pkg-config: --define-variable=x=y --log-file=evil.log z"),
    ] {
        it.file("main.go", &lines(directive));
        let run = it.build(&[]);
        assert_eq!(run.code, code, "{cve}: {run:#?}");
        assert!(!it.path("evil.log").exists(), "{cve}");
    }
    // CVE-2021-3115: a program of the folder is not the compiler. CVE-2023-39320: nor a toolchain.
    it.file("gcc", &format!("#!/bin/sh\n{touch}\n"));
    run(&it, "chmod", "+x gcc");
    it.file("main.go", "package main\n\n// static int one(void) { return 1; }\nimport \"C\"\n\nfunc main() { println(int(C.one())) }\n");
    it.built();
    it.file("go.mod", "module example.com/m\n\ngo 1.24\n\ntoolchain ../gcc\n");
    assert_eq!(it.build(&[]).code, 1);
    it.file("go.mod", crate::workspace::GO_MOD);
    // CVE-2023-39323: a line comment is no way to Go's own directives.
    it.file("main.go", "package main\n\n//line _cgo_gotypes.go:1\n//go:cgo_ldflag \"-fplugin=./evil.so\"\nfunc main() {}\n");
    assert_eq!(it.build(&[]).code, 1);
    // CVE-2023-29402: a folder's name with a line break makes no code.
    let folder = it.path("a\n+touch");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("BUILD.ron"), "build(targets: [go_binary(name: \"q\")])").unwrap();
    assert_eq!(it.build(&[]).code, 2);
    assert!(!canary.exists(), "something of the module ran");
}

/// What once got past Go's own tools in other ways than by flags.
#[test]
fn what_names_comments_and_settings_once_smuggled_in_does_nothing() {
    let Some(it) = Workspace::with_c(&[]) else { return };
    let canary = it.home().join("canary");
    let path = canary.display();
    it.file("BUILD.ron", "build(targets: [go_binary(name: \"p\")])");
    // CVE-2020-28366: a library's symbol with Go's directives in its name.
    it.file("evil/f.c", "int f(void) { return 1; }\n");
    it.file("evil/g.c", "int f(void);\nint g(void) { return f(); }\n");
    run(&it, "gcc", "-c -fPIC -o evil/f.o evil/f.c");
    run(&it, "gcc", "-c -fPIC -o call.syso evil/g.c");
    let name = "f=f\n//go:cgo_ldflag \"-fplugin=./evil.so\"\n//";
    for object in ["evil/f.o", "call.syso"] {
        let mut objcopy = it.command("objcopy");
        assert!(objcopy.args(["--redefine-sym", name, object]).status().unwrap().success());
    }
    run(&it, "gcc", "-shared -o evil/libevil.so evil/f.o");
    it.file("main.go", "package main\n\n// #cgo LDFLAGS: -L${SRCDIR}/evil -levil\n// int g(void);\nimport \"C\"\n\nfunc main() { println(int(C.g())) }\n");
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    holds(&run.error("//:p"), &["symbol", "cgo_ldflag"]);
    it.remove("call.syso");
    // CVE-2025-61732: a comment of Go's that ends earlier for a C compiler.
    let smuggled = format!(
        "__attribute__((constructor)) static void evil(void) {{ int system(const char *); system(\"touch {path}\"); }}"
    );
    it.file("main.go", &format!("package main\n\n// int f(void);\nimport \"C\"\n\n/*\nDoes nothing. *\\\n/ {smuggled} /*\n*/\n//export f\nfunc f() C.int {{ return 1 }}\n\nfunc main() {{ println(int(C.f())) }}\n"));
    it.built();
    assert_eq!(it.says("p"), "1\n");
    // CVE-2023-24531: settings that a shell would run.
    it.file("main.go", "package main\n\nfunc main() {}\n");
    let quoted = format!("$(touch {path})`touch {path}`';touch {path};'");
    it.file("../.config/go/env", &format!("GOPRIVATE={quoted}\nGOFLAGS=-toolexec={quoted}\n"));
    let mut build = it.linkwright(&["build"]);
    let output = build.env("GOPRIVATE", &quoted).env("GONOSUMDB", &quoted).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!canary.exists(), "something of the module ran");
}

#[test]
fn a_stub_that_stands_in_for_cgo_is_told_wherever_it_verifies() {
    let uses = "package main\n\nimport (\n\t\"example.com/m/mid\"\n\t\"example.com/m/other\"\n)\n\n\
                func main() { println(mid.Answer() + other.Zero) }\n";
    let rules = "build(targets: [go_binary(name: \"pure\", link: \"pure\"), \
                 go_binary(name: \"with\", link: \"static_glibc\")])";
    let Some(it) = Workspace::with_c(&[
        ("BUILD.ron", rules),
        ("main.go", uses),
        (
            "mid/mid.go",
            "package mid\n\nimport \"example.com/m/lib\"\n\nfunc Answer() int { return lib.Answer() }\n",
        ),
        (
            "lib/lib.go",
            "package lib\n\n// static int answer(void) { return 42; }\nimport \"C\"\n\n\
             func Answer() int { return int(C.answer()) }\n",
        ),
        (
            "lib/stub.go",
            "//go:build !cgo\n\npackage lib\n\nfunc Answer() int { panic(\"this binary was built without cgo\") }\n",
        ),
        // Left out of both, since it is for another platform.
        ("other/other.go", "package other\n\nconst Zero = 0\n"),
        (
            "other/c_darwin.go",
            "package other\n\n// int one;\nimport \"C\"\n\nvar One = int(C.one)\n",
        ),
    ]) else {
        return;
    };
    let told = |run: &Run, label: &str| run.finished(label)["warnings"].to_string();
    let is_told = |run: &Run| {
        holds(
            &told(run, "//:pure"),
            &[
                "`example.com/m/lib` (imported by `example.com/m` → `example.com/m/mid`)",
                "without its cgo files",
            ],
        );
        assert!(!told(run, "//:pure").contains("m/other"), "{run:#?}");
        assert_eq!(told(run, "//:with"), "[]");
    };
    is_told(&it.built());
    let expected = serde_json::json!([
        {"go_package": "example.com/m/lib", "imported_by": ["example.com/m", "example.com/m/mid"]}
    ]);
    assert_eq!(it.record("//:pure")["left_out"], expected);
    assert_eq!(it.record("//:with").get("left_out"), None);
    assert_eq!(it.says("with"), "42\n");
    let stub = it.command(it.bin("pure")).output().unwrap();
    holds(&text(&stub), &["this binary was built without cgo"]);

    // From the store, and where nothing is looked at but stamps.
    std::fs::remove_file(it.bin("pure")).unwrap();
    let restored = it.built();
    restored.came("restored 1, up_to_date 1");
    is_told(&restored);
    is_told(&it.built());
    holds(&text(&it.run(&["why", "//:pure"])), &["warning: `example.com/m/lib`"]);
}
