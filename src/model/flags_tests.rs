//! What is let through, what is refused, and that nothing slips past the list.

use super::{Tool, check, split_quoted};
use crate::formats::testing::told;
use crate::model::flag_lists::{GO_COMPILER, GO_LINKER, GO_REFUSED};
use crate::words::span::{Source, Span, Spanned};
use expect_test::{Expect, expect};
use std::sync::Arc;

fn words(list: &[&str]) -> Vec<Spanned<String>> {
    let source = Arc::new(Source { name: "BUILD.ron".to_owned(), text: list.concat() });
    let mut at = 0;
    let spanned = list.iter().map(|it| {
        at += it.len();
        let span = Span::new(Arc::clone(&source), at - it.len()..at);
        Spanned { value: (*it).to_owned(), span }
    });
    spanned.collect()
}

#[track_caller]
fn refused(tool: Tool, list: &[&str], expect: Expect) {
    expect.assert_eq(&told(&check(tool, "flags", &words(list))));
}

#[track_caller]
fn passes(tool: Tool, list: &[&str]) {
    assert_eq!(told(&check(tool, "gcflags", &words(list))), "", "{list:?}");
}

#[test]
fn everyday_words_pass() {
    passes(Tool::GoLinker, &["-s", "-w", "-X", "main.v=1", "-X=main.w=2", "--compressdwarf=false"]);
    passes(Tool::GoLinker, &["-I", "/lib/ld.so", "-r=/opt", "-B", "gobuildid"]);
    passes(Tool::GoCompiler, &["all=-N", "-l", "-m=2", "-d=checkptr=0", "-lang=go1.22"]);
    passes(Tool::CLinker, &["-static", "-lm", "-lstdc++", "-L/opt/lib", "-L", "lib", "-pthread"]);
    passes(Tool::CLinker, &["-Wl,-Bstatic,-lz,-Bdynamic", "-Wl,-z,relro,-z,now", "-Xlinker", "-s"]);
    passes(
        Tool::CLinker,
        &["-Wl,-rpath,/opt/lib", "-Wl,--build-id=none", "lib/libx.a", "-fuse-ld=lld"],
    );
    passes(Tool::CLinker, &["-Xlinker", "-rpath", "-Xlinker", "/opt/lib", "-Wl,--gc-sections"]);
    passes(
        Tool::CCompiler,
        &["-O2", "-g", "-DX=1", "-I", "include", "-std=c++17", "-Wall", "-fPIC"],
    );
}

#[test]
fn what_runs_a_program_is_refused() {
    refused(
        Tool::GoLinker,
        &["-extld=/tmp/x", "-extar", "-toolexec=sh"],
        expect![[r#"
        [refused] `-extld=/tmp/x` is refused in `flags`: it names a program to run; say `cc` in a strategy
          BUILD.ron:1:1: -extld=/tmp/x
          hint: docs/rules.md lists the flags that are allowed
        [refused] `-extar` is refused in `flags`: it names a program to run
          BUILD.ron:1:14: -extar
          hint: docs/rules.md lists the flags that are allowed
        [refused] `-toolexec=sh` is refused in `flags`: it names a program to run
          BUILD.ron:1:20: -toolexec=sh
          hint: docs/rules.md lists the flags that are allowed
    "#]],
    );
    refused(
        Tool::CLinker,
        &[
            "-fplugin=x.so",
            "-wrapper",
            "-specs=x",
            "-B/tmp",
            "-fuse-ld=/tmp/ld",
            "-Wl,-plugin,x.so",
            "-Xlinker",
            "--plugin=x",
        ],
        expect![[r#"
            [refused] `-fplugin=x.so` is refused in `flags`: it is not on the list
              BUILD.ron:1:1: -fplugin=x.so
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-wrapper` is refused in `flags`: it is not on the list
              BUILD.ron:1:14: -wrapper
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-specs=x` is refused in `flags`: it is not on the list
              BUILD.ron:1:22: -specs=x
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-B/tmp` is refused in `flags`: it is not on the list
              BUILD.ron:1:30: -B/tmp
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-fuse-ld=/tmp/ld` is refused in `flags`: it is not on the list
              BUILD.ron:1:36: -fuse-ld=/tmp/ld
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wl,-plugin` is refused in `flags`: it is not on the list
              BUILD.ron:1:52: -Wl,-plugin,x.so
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wl,x.so` is refused in `flags`: it is not on the list
              BUILD.ron:1:52: -Wl,-plugin,x.so
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wl,--plugin=x` is refused in `flags`: it is not on the list
              BUILD.ron:1:76: --plugin=x
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
        "#]],
    );
}

#[test]
fn what_makes_the_c_compiler_run_a_program_is_refused() {
    refused(
        Tool::CCompiler,
        &["-fplugin=x.so", "-Wa,-x", "-Wl,-s", "-Xclang", "-no-integrated-cpp"],
        expect![[r#"
            [refused] `-fplugin=x.so` is refused in `flags`: it is not on the list
              BUILD.ron:1:1: -fplugin=x.so
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wa,-x` is refused in `flags`: it is not on the list
              BUILD.ron:1:14: -Wa,-x
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wl,-s` is refused in `flags`: it is not on the list
              BUILD.ron:1:20: -Wl,-s
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Xclang` is refused in `flags`: it is not on the list
              BUILD.ron:1:26: -Xclang
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-no-integrated-cpp` is refused in `flags`: it is not on the list
              BUILD.ron:1:33: -no-integrated-cpp
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
        "#]],
    );
}

#[test]
fn what_reads_more_words_from_a_file_is_refused() {
    refused(
        Tool::CLinker,
        &["@args", "-L@args", "-L", "@args", "-Wl,@args"],
        expect![[r#"
        [refused] `@args` cannot stand in `flags`: the tools read more words from the file that it names
          BUILD.ron:1:1: @args
          hint: write each word as one string of the list
        [refused] `@args` cannot stand in `flags`: the tools read more words from the file that it names
          BUILD.ron:1:15: @args
          hint: write each word as one string of the list
        [refused] `-L@args` is refused in `flags`: it is not on the list
          BUILD.ron:1:6: -L@args
          hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
        [refused] `-L …` is refused in `flags`: it is not on the list
          BUILD.ron:1:13: -L
          hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
    "#]],
    );
    refused(
        Tool::GoLinker,
        &["@args"],
        expect![[r#"
        [refused] `@args` cannot stand in `flags`: the tools read more words from the file that it names
          BUILD.ron:1:1: @args
          hint: write each word as one string of the list
    "#]],
    );
}

#[test]
fn what_writes_a_file_is_refused() {
    refused(
        Tool::GoLinker,
        &["-o=x", "-cpuprofile", "-tmpdir=/tmp"],
        expect![[r#"
        [refused] `-o=x` is refused in `flags`: linkwright names the output
          BUILD.ron:1:1: -o=x
          hint: docs/rules.md lists the flags that are allowed
        [refused] `-cpuprofile` is refused in `flags`: it writes a file
          BUILD.ron:1:5: -cpuprofile
          hint: docs/rules.md lists the flags that are allowed
        [refused] `-tmpdir=/tmp` is refused in `flags`: it writes files elsewhere
          BUILD.ron:1:16: -tmpdir=/tmp
          hint: docs/rules.md lists the flags that are allowed
    "#]],
    );
    refused(
        Tool::GoCompiler,
        &["-json=0,/tmp", "-d=ssa/all/dump=F"],
        expect![[r#"
        [refused] `-json=0,/tmp` is refused in `flags`: it writes files
          BUILD.ron:1:1: -json=0,/tmp
          hint: docs/rules.md lists the flags that are allowed
        [refused] `ssa/all/dump=F` is refused in `flags`: it writes files
          BUILD.ron:1:13: -d=ssa/all/dump=F
          hint: leave it out
    "#]],
    );
    refused(
        Tool::CLinker,
        &["-o", "-Wl,-Map=x", "-Wl,--dependency-file=x"],
        expect![[r#"
        [refused] `-o` is refused in `flags`: it is not on the list
          BUILD.ron:1:1: -o
          hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
        [refused] `-Wl,-Map=x` is refused in `flags`: it is not on the list
          BUILD.ron:1:3: -Wl,-Map=x
          hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
        [refused] `-Wl,--dependency-file=x` is refused in `flags`: it is not on the list
          BUILD.ron:1:13: -Wl,--dependency-file=x
          hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
    "#]],
    );
}

#[test]
fn a_value_cannot_smuggle_an_option() {
    refused(
        Tool::CLinker,
        &["-L", "-fplugin=x", "-l-x", "-Wl,-rpath,-plugin", "-Wl,-z", "-L"],
        expect![[r#"
            [refused] `-L …` is refused in `flags`: it is not on the list
              BUILD.ron:1:1: -L
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-l-x` is refused in `flags`: it is not on the list
              BUILD.ron:1:13: -l-x
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-L …` is refused in `flags`: it is not on the list
              BUILD.ron:1:41: -L
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wl,-rpath` is refused in `flags`: it is not on the list
              BUILD.ron:1:17: -Wl,-rpath,-plugin
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            [refused] `-Wl,-z` is refused in `flags`: it is not on the list
              BUILD.ron:1:35: -Wl,-z
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
        "#]],
    );
}

#[test]
fn what_another_field_says_is_refused_with_its_name() {
    refused(
        Tool::GoLinker,
        &["-linkmode=external", "-extldflags=-static", "-race"],
        expect![[r#"
        [refused] `-linkmode=external` is refused in `flags`: it is said by `linkmode` of a strategy
          BUILD.ron:1:1: -linkmode=external
          hint: docs/rules.md lists the flags that are allowed
        [refused] `-extldflags=-static` is refused in `flags`: its words are said one by one in `extldflags`
          BUILD.ron:1:19: -extldflags=-static
          hint: docs/rules.md lists the flags that are allowed
        [refused] `-race` is refused in `flags`: it is said by `race` of a strategy
          BUILD.ron:1:38: -race
          hint: docs/rules.md lists the flags that are allowed
    "#]],
    );
}

#[test]
fn a_misspelt_flag_is_a_mistake_not_a_danger() {
    refused(
        Tool::GoLinker,
        &["-compresdwarf", "s", "-zzz", "-X"],
        expect![[r#"
        `-compresdwarf` is no flag that `flags` takes
          BUILD.ron:1:1: -compresdwarf
          hint: did you mean `-compressdwarf`?
        `s` is no flag that `flags` takes
          BUILD.ron:1:14: s
          hint: a flag begins with `-`
        `-zzz` is no flag that `flags` takes
          BUILD.ron:1:15: -zzz
          hint: docs/rules.md lists the flags that are allowed
        `-X` in `flags` needs a value
          BUILD.ron:1:19: -X
    "#]],
    );
}

#[test]
fn line_breaks_empty_words_and_mixed_quotes_are_refused() {
    refused(
        Tool::CLinker,
        &["-l\nm", "", "-L\0", "-L'a\"b"],
        expect![[r#"
            [refused] `-l\nm` cannot stand in `flags`: it holds a line break or a NUL
              BUILD.ron:1:1: -l\nm
              hint: write each word as one string of the list
            [refused] `` cannot stand in `flags`: it is empty
              BUILD.ron:2:2: 
              hint: write each word as one string of the list
            [refused] `-L\0` cannot stand in `flags`: it holds a line break or a NUL
              BUILD.ron:2:2: -L\0
              hint: write each word as one string of the list
            [refused] `-L'a"b` cannot stand in `flags`: Go can hand on one kind of quotes in a word, not both
              BUILD.ron:2:5: -L'a"b
              hint: write each word as one string of the list
        "#]],
    );
}

#[test]
fn every_flag_of_go_is_on_one_list_only() {
    for allowed in GO_LINKER.iter().chain(GO_COMPILER) {
        let name = allowed.trim_end_matches('=');
        assert!(GO_REFUSED.iter().all(|it| it.0 != name), "{name}");
    }
}

#[test]
fn values_are_split_as_go_splits_them() {
    assert_eq!(split_quoted(" -I a '-D x' \"y\" ").unwrap(), ["-I", "a", "-D x", "y"]);
    assert_eq!(split_quoted("'x"), None);
    assert!(split_quoted("").unwrap().is_empty());
}

#[test]
fn pkg_config_is_told_nothing_that_writes_or_reads_files() {
    for fine in ["--static", "--define-variable=prefix=/opt/x", "--cflags"] {
        assert!(super::is_pkg_config_flag(fine), "{fine}");
    }
    for bad in [
        "--log-file=x",
        "--debug",
        "--define-variable=x=@y",
        "--define-variable==x",
        "-o",
        "--env-only",
    ] {
        assert!(!super::is_pkg_config_flag(bad), "{bad}");
    }
}
