//! What is read of a `BUILD.ron`, and every way in which one is refused.

use super::{COMMAND_FIELDS, GO_TESTS_FIELDS, KINDS, RuleSpec, fields_of, parse};
use crate::formats::testing::told;
use crate::words::label::PackagePath;
use crate::words::span::Source;
use expect_test::{Expect, expect};
use std::sync::Arc;

#[track_caller]
fn check(text: &str, expect: Expect) {
    let source = Arc::new(Source { name: "BUILD.ron".to_owned(), text: text.to_owned() });
    let (spec, problems) = parse(&source, &PackagePath::root());
    let names: Vec<_> = spec.targets.iter().map(|it| it.label.to_string()).collect();
    expect.assert_eq(&format!("{}read: {}\n", told(&problems), names.join(" ")));
}

#[test]
fn every_kind_is_read_with_every_field() {
    check(
        r#"build(
            defaults: (link: "static", policy: "release", tags: ["a"], ldflags: ["-s"],
                gcflags: ["-N"], extldflags: ["-static"], env: {"GOEXPERIMENT": "x"},
                x_defs: {"main.v": "1"}, goos: "linux", goarch: "amd64", level: "v3",
                trimpath: true, buildvcs: false, vet: false),
            targets: [
                go_binary(name: "server", package: "./cmd/server", deps: [":p"], link: "pure"),
                go_tests(name: "tests", packages: ["./..."], exclude: ["./slow/..."], vet: true),
                command(name: "p", argv: ["protoc"], inputs: ["a"], outputs: ["b"],
                    pass_env: ["HOME"], env: {"K": "V"}, deps: []),
                files(name: "f", globs: ["**/*.proto"], exclude: []),
                suite(name: "all", targets: [":server"]),
            ],
        )"#,
        expect![[r#"
            read: //:server //:tests //:p //:f //:all
        "#]],
    );
}

#[test]
fn what_is_optional_may_be_left_out_or_none() {
    check(
        "build()",
        expect![[r#"
        read: 
    "#]],
    );
    check(
        "build(targets: [go_binary(name: \"a\", link: None, policy: Some(\"release\"))])",
        expect![[r#"
            read: //:a
        "#]],
    );
}

#[test]
fn a_target_with_errors_hides_none_in_another() {
    check(
        r#"build(targets: [
    go_binary(nam: "server", packge: "./cmd/server"),
    files(name: "f", globs: "*.go"),
    go_binary(name: "good"),
    go_tests(name: "t", packages: ["./...", 7], vet: yes),
])"#,
        expect![[r#"
            `go_binary` has no field `nam`
              BUILD.ron:2:15: nam
              hint: did you mean `name`?
            `go_binary` has no field `packge`
              BUILD.ron:2:30: packge
              hint: did you mean `package`?
            `go_binary` lacks the field `name`
              BUILD.ron:2:5: go_binary(nam: "server", packge: "./cmd/server")
            `globs` takes a list of strings, not a string
              BUILD.ron:3:29: "*.go"
              hint: write `["*.go"]`
            `packages` takes a string, not a number
              BUILD.ron:5:45: 7
              hint: write the number in quotes
            `vet` takes `true` or `false`, not the word `yes`
              BUILD.ron:5:54: yes
            read: //:good //:t
        "#]],
    );
}

#[test]
fn an_unknown_kind_is_told_with_the_near_one() {
    check(
        "build(targets: [gobinary(name: \"a\"), java_library(name: \"b\"), \"c\", suite])",
        expect![[r#"
            `gobinary` is not known here
              BUILD.ron:1:17: gobinary
              hint: did you mean `go_binary`?
            `java_library` is not known here
              BUILD.ron:1:38: java_library
              hint: did you mean `c_library`?
            here stands a string, not `go_binary(…)`, `go_tests(…)`, `c_library(…)`, `pkg_config(…)`, `command(…)`, `files(…)`, `suite(…)`, `bundle(…)`
              BUILD.ron:1:63: "c"
            `suite` takes named fields, not the word `suite`
              BUILD.ron:1:68: suite
              hint: fields are written `(name: value, …)`
            read: 
        "#]],
    );
}

#[test]
fn the_file_itself_must_be_a_build() {
    check(
        "biuld(targets: [])",
        expect![[r#"
        `biuld` is not known here
          BUILD.ron:1:1: biuld
          hint: did you mean `build`?
        read: 
    "#]],
    );
    check(
        "rules(strategies: [])",
        expect![[r#"
            `rules` is not known here
              BUILD.ron:1:1: rules
              hint: write `build(…)`
            read: 
        "#]],
    );
    check(
        "[go_binary(name: \"a\")]",
        expect![[r#"
            here stands a list, not `build(…)`
              BUILD.ron:1:1: [go_binary(name: "a")]
            read: 
        "#]],
    );
    check(
        "build([go_binary(name: \"a\")])",
        expect![[r#"
            `build` takes named fields, not values without names
              BUILD.ron:1:1: build([go_binary(name: "a")])
              hint: fields are written `(name: value, …)`
            read: 
        "#]],
    );
    check(
        "build(targets: {\"a\": \"b\"}, target: [])",
        expect![[r#"
        `build` has no field `target`
          BUILD.ron:1:28: target
          hint: did you mean `targets`?
        `targets` takes a list of targets, not a map
          BUILD.ron:1:16: {"a": "b"}
        read: 
    "#]],
    );
    check(
        "",
        expect![[r#"
        `BUILD.ron` is empty
          hint: a minimal file is `build(targets: [go_binary(name: "app")])`
        read: 
    "#]],
    );
}

#[test]
fn a_doubled_field_is_told_with_both_places() {
    check(
        "build(targets: [go_binary(name: \"a\", link: \"pure\", link: \"static\")])",
        expect![[r#"
            the field `link` is written twice
              BUILD.ron:1:52: link again here
              BUILD.ron:1:38: link first here
            read: //:a
        "#]],
    );
}

#[test]
fn a_doubled_key_of_a_map_is_told_with_both_places() {
    check(
        "build(targets: [go_binary(name: \"a\", x_defs: {\"main.v\": \"1\", \"main.v\": \"2\"})])",
        expect![[r#"
            `main.v` is written twice in `x_defs`
              BUILD.ron:1:62: "main.v" again here
              BUILD.ron:1:47: "main.v" first here
            read: //:a
        "#]],
    );
}

#[test]
fn missing_fields_are_all_told() {
    check(
        "build(targets: [command(), go_tests(name: \"t\"), files(name: \"f\"), suite(name: \"s\")])",
        expect![[r#"
            `command` lacks the field `name`
              BUILD.ron:1:17: command()
            `command` lacks the field `argv`
              BUILD.ron:1:17: command()
            `command` lacks the field `outputs`
              BUILD.ron:1:17: command()
            `go_tests` lacks the field `packages`
              BUILD.ron:1:28: go_tests(name: "t")
            `files` lacks the field `globs`
              BUILD.ron:1:49: files(name: "f")
            `suite` lacks the field `targets`
              BUILD.ron:1:67: suite(name: "s")
            read: //:t
        "#]],
    );
}

#[test]
fn values_of_a_wrong_type_are_told_with_the_right_one() {
    check(
        r#"build(targets: [
    go_binary(name: server, package: 7, link: ["pure"], tags: "a", trimpath: "true", env: ["A"], goos: linux),
    go_binary(name: "b", x_defs: {main: 1}, deps: (":a"), buildvcs: maybe),
])"#,
        expect![[r#"
            `name` takes a string, not the word `server`
              BUILD.ron:2:21: server
              hint: write it in quotes: `"server"`
            `link` takes a string, not a list
              BUILD.ron:2:47: ["pure"]
            `goos` takes a string, not the word `linux`
              BUILD.ron:2:104: linux
              hint: write it in quotes: `"linux"`
            `tags` takes a list of strings, not a string
              BUILD.ron:2:63: "a"
              hint: write `["a"]`
            `env` takes a map of strings, not a list
              BUILD.ron:2:91: ["A"]
              hint: write `{"NAME": "value"}`
            `trimpath` takes `true` or `false`, not a string
              BUILD.ron:2:78: "true"
            `package` takes a string, not a number
              BUILD.ron:2:38: 7
              hint: write the number in quotes
            `x_defs` takes a string, not the word `main`
              BUILD.ron:3:35: main
              hint: write it in quotes: `"main"`
            `x_defs` takes a string, not a number
              BUILD.ron:3:41: 1
              hint: write the number in quotes
            `buildvcs` takes `true` or `false`, not the word `maybe`
              BUILD.ron:3:69: maybe
            `deps` takes a list of strings, not a tuple
              BUILD.ron:3:51: (":a")
            read: //:b
        "#]],
    );
}

#[test]
fn a_name_that_is_no_name_is_refused() {
    check(
        "build(targets: [go_binary(name: \"a/b\"), go_binary(name: \"-o\"), go_binary(name: \"\")])",
        expect![[r#"
            `a/b` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`
              BUILD.ron:1:33: "a/b"
            `-o` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`
              BUILD.ron:1:57: "-o"
            `` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`
              BUILD.ron:1:80: ""
            read: 
        "#]],
    );
}

#[test]
fn defaults_take_named_fields_of_their_own() {
    check(
        "build(defaults: [\"static\"])",
        expect![[r#"
        `defaults` takes named fields, not a list
          BUILD.ron:1:17: ["static"]
          hint: fields are written `(name: value, …)`
        read: 
    "#]],
    );
    check(
        "build(defaults: (link: \"static\", name: \"x\"))",
        expect![[r#"
        `defaults` has no field `name`
          BUILD.ron:1:34: name
          hint: write one of `vet`, `go`, `link`, `policy`, `tags`, `ldflags`, `gcflags`, `extldflags`, `env`, `x_defs`, `goos`, `goarch`, `level`, `trimpath`, `buildvcs`
        read: 
    "#]],
    );
}

#[test]
fn the_nearer_setting_wins_field_by_field() {
    let text = r#"build(
        defaults: (link: "static", tags: ["a"], trimpath: false),
        targets: [go_binary(name: "x", link: "pure", tags: [])],
    )"#;
    let source = Arc::new(Source { name: String::new(), text: text.to_owned() });
    let (spec, _) = parse(&source, &PackagePath::root());
    let RuleSpec::GoBinary(binary) = &spec.targets[0].rule else { panic!("a go_binary") };
    let merged = binary.settings.clone().or(&spec.defaults);
    assert_eq!(merged.link.unwrap().value, "pure");
    assert!(merged.tags.unwrap().is_empty());
    assert_eq!(merged.trimpath, Some(false));
    assert_eq!(merged.buildvcs, None);
}

#[test]
fn each_kind_has_its_fields() {
    for kind in KINDS {
        assert!(fields_of(kind).contains(&"name"), "{kind}");
    }
    assert!(fields_of("go_tests") == GO_TESTS_FIELDS && fields_of("command") == COMMAND_FIELDS);
}
