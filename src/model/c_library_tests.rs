//! What a C library may say, and what is refused.

use super::check_packages;
use crate::formats::build_file::parse;
use crate::formats::rules_file::{built_in, parse as parse_rules};
use crate::formats::testing::told;
use crate::model::resolve::resolve;
use crate::model::rules::assemble;
use crate::model::target::{CLibrary, Rule};
use crate::model::targets::Targets;
use crate::words::label::PackagePath;
use crate::words::problem::{Problem, exit_code};
use crate::words::span::{Source, Span, Spanned};
use expect_test::{Expect, expect};
use std::sync::Arc;

fn targets(folder: &str, targets: &str) -> Result<Targets, Vec<Problem>> {
    let package = PackagePath::parse(folder).unwrap();
    let text = format!("build(targets: [{targets}])");
    let source = Arc::new(Source { name: package.join("BUILD.ron"), text });
    let (spec, problems) = parse(&source, &package);
    assert_eq!(told(&problems), "");
    resolve(vec![spec], &assemble(parse_rules(&built_in()).0, Vec::new()).unwrap())
}

#[track_caller]
fn refused(text: &str, code: u8, expect: Expect) {
    let problems = targets("a", text).unwrap_err();
    expect.assert_eq(&told(&problems));
    assert_eq!(exit_code(&problems).number(), code);
}

#[test]
fn files_and_folders_are_those_of_its_own_folder() {
    let found = targets(
        "a/b",
        r#"c_library(name: "x", srcs: ["*.c"], includes: [".", "inc"], c_deps: [":z", ":y"]),
           c_library(name: "y", hdrs: ["y.h"]),
           c_library(name: "z", archive: "out/libz.a")"#,
    );
    let found = found.map_err(|it| told(&it)).unwrap();
    let library = |at: usize| match &found.iter().nth(at).unwrap().rule {
        Rule::CLibrary(it) => CLibrary::clone(it),
        other => panic!("{other:?}"),
    };
    assert_eq!(library(0).includes, ["a/b", "a/b/inc"]);
    let used: Vec<_> = library(0).c_deps.iter().map(ToString::to_string).collect();
    assert_eq!(used, ["//a/b:z", "//a/b:y"], "the order that is written is the order of linking");
    assert_eq!(library(1).includes, ["a/b"]);
    assert_eq!(library(2).archive.unwrap().as_str(), "a/b/out/libz.a");
}

#[test]
fn what_makes_no_library_is_a_mistake() {
    refused(
        r#"c_library(name: "empty"),
           c_library(name: "both", srcs: ["a.c"], archive: "b.a"),
           c_library(name: "odd", archive: "../libz.a", includes: ["../inc", "/usr", "-x"]),
           c_library(name: "so", archive: "libz.so"),
           go_binary(name: "app", c_deps: [":tool", ":none"]),
           command(name: "tool", argv: ["true"], inputs: [":empty"], outputs: ["o"]),
           pkg_config(name: "p", packages: [])"#,
        2,
        expect![[r#"
            a C library without files
              a/BUILD.ron:1:33: "empty"
              hint: write `srcs`, an `archive`, or at least `hdrs`
            a library is compiled from `srcs`, or is an `archive`
              a/BUILD.ron:2:60: "b.a" here
              a/BUILD.ron:2:43: "a.c" and here
              hint: declare two, and let one name the other in `c_deps`
            `../libz.a` is no archive of this folder
              a/BUILD.ron:3:44: "../libz.a"
              hint: write the path of a `.a` file, relative to this BUILD.ron
            `../inc` is no folder below this one
              a/BUILD.ron:3:68: "../inc"
              hint: write it relative to this BUILD.ron; `.` is its own folder
            `/usr` is no folder below this one
              a/BUILD.ron:3:78: "/usr"
              hint: write it relative to this BUILD.ron; `.` is its own folder
            `-x` is no folder below this one
              a/BUILD.ron:3:86: "-x"
              hint: write it relative to this BUILD.ron; `.` is its own folder
            `libz.so` is no archive of this folder
              a/BUILD.ron:4:43: "libz.so"
              hint: write the path of a `.a` file, relative to this BUILD.ron
            `//a:tool` is no C library
              a/BUILD.ron:5:44: ":tool"
              hint: `c_deps` names a `c_library` or a `pkg_config`; all else stands in `deps`
            no target `//a:none`
              a/BUILD.ron:5:53: ":none"
              hint: `a/BUILD.ron` declares no such target
            `//a:empty` is a C library, which makes no files
              a/BUILD.ron:6:59: ":empty"
              hint: a Go target links it: name it in its `c_deps`
            `packages` is empty
              a/BUILD.ron:7:29: "p"
              hint: write the names of `.pc` files, as `sqlite3`
        "#]],
    );
}

#[test]
fn words_that_run_programs_or_write_files_are_refused() {
    refused(
        r#"c_library(name: "x", srcs: ["x.c"], copts: ["-fplugin=./x.so", "-o", "y"], cxxopts: ["@words"],
               linkopts: ["-Wl,-plugin,./x.so"], defines: ["A B", "1=2", "OK=1", "Q=a'b", "-DX"]),
           pkg_config(name: "p", packages: ["--log-file=x", "../x", "a b", "zlib"])"#,
        11,
        expect![[r#"
            [refused] `-fplugin=./x.so` is refused in `copts`: it is not on the list
              a/BUILD.ron:1:61: "-fplugin=./x.so"
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-o` is refused in `copts`: it is not on the list
              a/BUILD.ron:1:80: "-o"
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `y` is refused in `copts`: it is not on the list
              a/BUILD.ron:1:86: "y"
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `@words` cannot stand in `cxxopts`: the tools read more words from the file that it names
              a/BUILD.ron:1:102: "@words"
              hint: write each word as one string of the list
            [refused] `-Wl,-plugin` is refused in `linkopts`: it is not on the list
              a/BUILD.ron:2:27: "-Wl,-plugin,./x.so"
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wl,./x.so` is refused in `linkopts`: it is not on the list
              a/BUILD.ron:2:27: "-Wl,-plugin,./x.so"
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `A B` is no macro
              a/BUILD.ron:2:60: "A B"
              hint: write `NAME` or `NAME=value`; a value holds no `'`, `@` or `\`
            [refused] `1=2` is no macro
              a/BUILD.ron:2:67: "1=2"
              hint: write `NAME` or `NAME=value`; a value holds no `'`, `@` or `\`
            [refused] `Q=a\'b` is no macro
              a/BUILD.ron:2:82: "Q=a'b"
              hint: write `NAME` or `NAME=value`; a value holds no `'`, `@` or `\`
            [refused] `-DX` is no macro
              a/BUILD.ron:2:91: "-DX"
              hint: write `NAME` or `NAME=value`; a value holds no `'`, `@` or `\`
            [refused] `--log-file=x` is no name of a package
              a/BUILD.ron:3:45: "--log-file=x"
              hint: write the name of its `.pc` file without the ending, as `sqlite3`
            [refused] `../x` is no name of a package
              a/BUILD.ron:3:61: "../x"
              hint: write the name of its `.pc` file without the ending, as `sqlite3`
            [refused] `a b` is no name of a package
              a/BUILD.ron:3:69: "a b"
              hint: write the name of its `.pc` file without the ending, as `sqlite3`
        "#]],
    );
}

#[test]
fn a_library_that_uses_itself_is_told_as_any_cycle() {
    refused(
        r#"c_library(name: "x", srcs: ["x.c"], c_deps: [":y"]),
           c_library(name: "y", srcs: ["y.c"], c_deps: [":x"])"#,
        2,
        expect![[r#"
            targets need each other: //a:x -> //a:y -> //a:x
              a/BUILD.ron:1:62: ":y" `//a:x` needs it
              a/BUILD.ron:2:57: ":x" `//a:y` needs it
              hint: take one of these dependencies away
        "#]],
    );
}

#[test]
fn an_archive_that_a_command_makes_needs_that_command() {
    refused(
        r#"c_library(name: "x", archive: "out/libx.a"),
           command(name: "make", argv: ["make"], outputs: ["out/libx.a"])"#,
        2,
        expect![[r#"
            `a/out/libx.a` is made by `//a:make`, which is not depended on
              a/BUILD.ron:1:47: "out/libx.a" read here
              a/BUILD.ron:2:60: "out/libx.a" made here
              hint: write the label `//a:make` instead of the path
        "#]],
    );
    let text = r#"c_library(name: "x", archive: "out/libx.a", deps: [":make"]),
                  command(name: "make", argv: ["make"], outputs: ["out/libx.a"])"#;
    targets("a", text).map_err(|it| told(&it)).unwrap();
}

#[test]
fn a_package_is_a_name() {
    let source = Arc::new(Source { name: String::new(), text: String::new() });
    let span = Span::new(source, 0..0);
    let name = |it: &str| Spanned { value: it.to_owned(), span: span.clone() };
    for good in ["sqlite3", "gtk+-3.0", "libpng16", "a.b_c-d"] {
        assert_eq!(check_packages(&[name(good)], &span), [], "{good}");
    }
    for bad in ["", "-x", "a b", "./a.pc", "/a", "a=b", "a>=1", "a\nb"] {
        assert_eq!(check_packages(&[name(bad)], &span).len(), 1, "{bad:?}");
    }
}
