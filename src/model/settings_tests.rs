//! How settings come together, and every way in which one is refused.

use super::{GO_ENV, Settler};
use crate::formats::build_file::{RuleSpec, parse as parse_build};
use crate::formats::rules_file::{RulesSpec, built_in, parse as parse_rules};
use crate::formats::testing::told;
use crate::model::go_sdk::Sdks;
use crate::model::rules::assemble;
use crate::model::strategy::RuleSet;
use crate::model::target::GoSettings;
use crate::words::label::PackagePath;
use crate::words::span::Source;
use expect_test::{Expect, expect};
use std::sync::Arc;

fn rules() -> RuleSet {
    assemble(parse_rules(&built_in()).0, Vec::<RulesSpec>::new()).unwrap()
}

/// Settles one target with these fields.
fn settle(fields: &str) -> Result<Option<GoSettings>, String> {
    let text = format!("build(targets: [go_binary(name: \"a\", {fields})])");
    let source = Arc::new(Source { name: "BUILD.ron".to_owned(), text });
    let (mut spec, problems) = parse_build(&source, &PackagePath::root());
    assert_eq!(told(&problems), "");
    let RuleSpec::GoBinary(binary) = spec.targets.remove(0).rule else { panic!("a go_binary") };
    let rules = rules();
    let mut settler = Settler::new(&rules, Sdks::default());
    let mut problems = settler.check(&binary.settings);
    match settler.settle(binary.settings) {
        Ok(settings) if problems.is_empty() => return Ok(settings),
        Ok(_) => {}
        Err(problem) => problems.push(problem),
    }
    Err(told(&problems))
}

#[track_caller]
fn refused(fields: &str, expect: Expect) {
    expect.assert_eq(&settle(fields).unwrap_err());
}

#[test]
fn what_is_not_said_has_its_fixed_default() {
    let settings = settle("").unwrap().unwrap();
    assert_eq!(settings.ladder.name, "default");
    assert!(settings.trimpath && !settings.buildvcs && settings.policy.is_none());
}

#[test]
fn what_is_said_is_taken() {
    let fields = r#"link: "static", policy: "release", tags: ["a"], ldflags: ["-s"],
        env: {"CGO_CFLAGS": "-O2 '-DX=a b'", "GOEXPERIMENT": "jsonv2"},
        x_defs: {"main.version": "1", "example.com/a-b/c.v2.Name": "it's"},
        goos: "linux", goarch: "arm64", level: "v8.2,lse", trimpath: false, buildvcs: true"#;
    let settings = settle(fields).unwrap().unwrap();
    assert_eq!(settings.ladder.tries.len(), 3);
    assert_eq!(settings.policy.unwrap().name, "release");
    assert_eq!(settings.env["GOEXPERIMENT"], "jsonv2");
    assert_eq!(settings.x_defs["main.version"], "1");
    assert_eq!(settings.platform.level.unwrap(), "v8.2,lse");
    assert!(!settings.trimpath && settings.buildvcs);
}

#[test]
fn unknown_strategies_and_policies_are_told_with_near_ones() {
    refused(
        "link: \"statik\", policy: \"relaese\"",
        expect![[r#"
        no strategy or ladder `statik`
          BUILD.ron:1:44: "statik"
          hint: did you mean `static`?
        no policy `relaese`
          BUILD.ron:1:62: "relaese"
          hint: did you mean `release`?
    "#]],
    );
    refused(
        "link: \"musl\"",
        expect![[r#"
            no strategy or ladder `musl`
              BUILD.ron:1:44: "musl"
              hint: write one of `default`, `glibc_floor`, `netgo`, `partly_static`, `pure`, `race`, `seed_2015`, `static_fast_link`, `static_glibc`, `static_musl`, `static_pie`, `static_race`, `static_race_musl`, `zig_musl`, `smallest_risk`, `static`, `static_hardened`
        "#]],
    );
    refused(
        "link: \"release\"",
        expect![[r#"
        no strategy or ladder `release`
          BUILD.ron:1:44: "release"
          hint: it is a policy; write `policy: "release"`
    "#]],
    );
}

#[test]
fn dangerous_flags_are_refused() {
    refused(
        "ldflags: [\"-extld=x\"], gcflags: [\"-o=x\"], extldflags: [\"@x\"], tags: [\"a b\"]",
        expect![[r#"
            `a b` is no build tag
              BUILD.ron:1:107: "a b"
              hint: a tag holds letters, digits, `_` and `.`; each is one string of the list
            [refused] `-extld=x` is refused in `ldflags`: it names a program to run; say `cc` in a strategy
              BUILD.ron:1:48: "-extld=x"
              hint: docs/rules.md lists the flags that are allowed
            [refused] `-o=x` is refused in `gcflags`: linkwright names the output
              BUILD.ron:1:71: "-o=x"
              hint: docs/rules.md lists the flags that are allowed
            [refused] `@x` cannot stand in `extldflags`: the tools read more words from the file that it names
              BUILD.ron:1:93: "@x"
              hint: write each word as one string of the list
        "#]],
    );
}

#[test]
fn only_listed_variables_may_be_set() {
    refused(
        r#"env: {"LD_PRELOAD": "x", "GOFLAGS": "-toolexec=x", "CC": "x", "GOPRIVAT": "x", "GODEBUG": "x"}"#,
        expect![[r#"
            [refused] `LD_PRELOAD` is refused in `env` of a Go target
              BUILD.ron:1:44: "LD_PRELOAD"
              hint: write one of `CGO_CFLAGS`, `CGO_CPPFLAGS`, `CGO_CXXFLAGS`, `CGO_FFLAGS`, `CGO_LDFLAGS`, `GOEXPERIMENT`, `GOFIPS140`, `GONOPROXY`, `GONOSUMDB`, `GOPRIVATE`, `PKG_CONFIG_LIBDIR`, `PKG_CONFIG_PATH`, `PKG_CONFIG_SYSROOT_DIR`
            [refused] `GOFLAGS` is refused in `env` of a Go target
              BUILD.ron:1:63: "GOFLAGS"
              hint: write `tags`, `ldflags`, `gcflags`; `-a` belongs to `go_flags` of a strategy
            [refused] `CC` is refused in `env` of a Go target
              BUILD.ron:1:89: "CC"
              hint: say `cc` in a strategy
            [refused] `GOPRIVAT` is refused in `env` of a Go target
              BUILD.ron:1:100: "GOPRIVAT"
              hint: did you mean `GOPRIVATE`?
            [refused] `GODEBUG` is refused in `env` of a Go target
              BUILD.ron:1:117: "GODEBUG"
              hint: write `//go:debug` lines in the program, or `godebug` in go.mod
        "#]],
    );
}

#[test]
fn the_words_in_a_variable_are_checked() {
    refused(
        r#"env: {"CGO_CFLAGS": "-O2 -fplugin=x", "CGO_LDFLAGS": "'-lm", "GOPRIVATE": "a\nb"}"#,
        expect![[r#"
            [refused] `-fplugin=x` is refused in `CGO_CFLAGS`: it is not on the list
              BUILD.ron:1:58: "-O2 -fplugin=x"
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
            a quote in `CGO_LDFLAGS` is never closed
              BUILD.ron:1:91: "'-lm"
            [refused] the value of `GOPRIVATE` holds a line break or a NUL
              BUILD.ron:1:112: "a\nb"
        "#]],
    );
}

#[test]
fn x_defs_name_variables_of_go_packages() {
    refused(
        r#"x_defs: {"version": "1", "main.": "1", "-o.x": "1", "a/../b.x": "1", "main.v": "a\nb", "main.w": "'\""}"#,
        expect![[r#"
            `version` names no variable of a Go package
              BUILD.ron:1:47: "version"
              hint: write `main.version`, or the whole import path: `example.com/app/build.version`
            `main.` names no variable of a Go package
              BUILD.ron:1:63: "main."
              hint: write `main.version`, or the whole import path: `example.com/app/build.version`
            `-o.x` names no variable of a Go package
              BUILD.ron:1:77: "-o.x"
              hint: write `main.version`, or the whole import path: `example.com/app/build.version`
            `a/../b.x` names no variable of a Go package
              BUILD.ron:1:90: "a/../b.x"
              hint: write `main.version`, or the whole import path: `example.com/app/build.version`
            the value of `main.v` holds a line break or a NUL
              BUILD.ron:1:117: "a\nb"
            the value of `main.w` holds both kinds of quotes, and Go can hand on only one
              BUILD.ron:1:135: "'\""
        "#]],
    );
}

#[test]
fn platforms_are_known_ones() {
    refused(
        "goos: \"linx\", goarch: \"x86\"",
        expect![[r#"
        `linx` is no operating system that Go knows (`goos`)
          BUILD.ron:1:44: "linx"
          hint: did you mean `linux`?
        `x86` is no architecture that Go knows (`goarch`)
          BUILD.ron:1:60: "x86"
          hint: did you mean `386`?
    "#]],
    );
    refused(
        "goos: \"darwin\", goarch: \"386\"",
        expect![[r#"
        Go has no platform `darwin/386`
          BUILD.ron:1:62: "386"
          BUILD.ron:1:44: "darwin"
          hint: for `darwin` there is `amd64`, `arm64`
    "#]],
    );
    refused(
        "level: \"v3\"",
        expect![[r#"
        the level `v3` needs a `goarch`
          BUILD.ron:1:45: "v3"
          hint: a level belongs to one architecture; write `goarch` too
    "#]],
    );
    refused(
        "goarch: \"arm64\", level: \"v3\"",
        expect![[r#"
        `v3` is no level of `arm64` (GOARM64)
          BUILD.ron:1:62: "v3"
          hint: write one of `v8.0`, `v8.1`, `v8.2`, `v8.3`, `v8.4`, `v8.5`, `v8.6`, `v8.7`, `v8.8`, `v8.9`, `v9.0`, `v9.1`, `v9.2`, `v9.3`, `v9.4`, `v9.5` (it may be followed by `,lse`, `,crypto`)
    "#]],
    );
}

#[test]
fn the_list_of_variables_is_sorted() {
    assert!(GO_ENV.is_sorted_by_key(|it| it.0));
}
