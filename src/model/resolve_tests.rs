//! What becomes of whole workspaces, and every way in which one is refused.

use super::resolve;
use crate::formats::build_file::{
    BuildSpec, RuleSpec, SettingsSpec, TargetSpec, parse as parse_build,
};
use crate::formats::rules_file::{built_in, parse as parse_rules};
use crate::formats::testing::told;
use crate::model::rules::assemble;
use crate::model::strategy::RuleSet;
use crate::model::target::{Rule, Target};
use crate::model::targets::Targets;
use crate::words::label::{Label, PackagePath};
use crate::words::problem::Problem;
use crate::words::span::{Source, Span, Spanned};
use expect_test::{Expect, expect};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn rules() -> RuleSet {
    assemble(parse_rules(&built_in()).0, Vec::new()).unwrap()
}

/// Resolves folders with the targets of each.
pub(super) fn workspace(packages: &[(&str, &str)]) -> Result<Targets, Vec<Problem>> {
    let specs = packages.iter().map(|(folder, inner)| {
        let package = PackagePath::parse(folder).unwrap();
        let text = format!("build({inner})");
        let source = Arc::new(Source { name: package.join("BUILD.ron"), text });
        let (spec, problems) = parse_build(&source, &package);
        assert_eq!(told(&problems), "");
        spec
    });
    resolve(specs.collect(), &rules())
}

#[track_caller]
fn refused(packages: &[(&str, &str)], expect: Expect) {
    expect.assert_eq(&told(&workspace(packages).unwrap_err()));
}

#[track_caller]
pub(super) fn one_refused(targets: &str, expect: Expect) {
    refused(&[("a", &format!("targets: [{targets}]"))], expect);
}

fn target(targets: &Targets, label: &str) -> Target {
    targets.get(&Label::parse(label, &PackagePath::root()).unwrap()).unwrap().clone()
}

#[test]
fn labels_in_deps_inputs_arguments_and_suites_become_dependencies() {
    let targets = workspace(&[
        (
            "a",
            r#"targets: [
                go_binary(name: "gen", deps: [":src"]),
                files(name: "src", globs: ["*.in"]),
                command(name: "run", argv: ["{:gen}", "-i={//b:one}x", "{{}}"], inputs: [":src", "x.txt"],
                    outputs: ["out.go"], deps: ["//b:one", ":gen"]),
                suite(name: "all", targets: [":run", "//b:one"]),
            ]"#,
        ),
        ("b", "targets: [command(name: \"one\", argv: [\"true\"], outputs: [\"one.txt\"])]"),
    ])
    .map_err(|it| told(&it))
    .unwrap();
    let mut out = String::new();
    for it in targets.iter() {
        let _ = writeln!(out, "{} {:?}", it.label, it.dependencies);
    }
    let Rule::Command(command) = target(&targets, "//a:run").rule else { panic!("a command") };
    let _ = write!(out, "{:?}", command.argv);
    expect![[r#"
        //a:all [//a:run, //b:one]
        //a:gen [//a:src]
        //a:run [//a:gen, //a:src, //b:one]
        //a:src []
        //b:one []
        [[OutputOf(//a:gen)], [Text("-i="), OutputOf(//b:one), Text("x")], [Text("{}")]]"#]]
    .assert_eq(&out);
}

#[test]
fn defaults_hold_below_their_folder_and_the_nearer_wins() {
    let targets = workspace(&[
        ("", "defaults: (link: \"static\", tags: [\"root\"], vet: false), targets: [go_binary(name: \"r\")]"),
        ("a/b", "defaults: (tags: [\"ab\"]), targets: [go_binary(name: \"x\", link: \"pure\"), go_tests(name: \"t\", packages: [\".\"])]"),
        ("ab", "targets: [go_binary(name: \"y\")]"),
    ])
    .unwrap();
    let mut out = String::new();
    for it in targets.iter() {
        let settings = &it.rule.go_settings()[0];
        let _ = writeln!(out, "{} {} {:?}", it.label, settings.ladder.name, settings.tags);
    }
    expect![[r#"
        //:r static ["root"]
        //a/b:t static ["ab"]
        //a/b:x pure ["ab"]
        //ab:y static ["root"]
    "#]]
    .assert_eq(&out);
    let Rule::GoTests(tests) = target(&targets, "//a/b:t").rule else { panic!("tests") };
    assert!(!tests.vet);
}

#[test]
fn a_wrong_default_is_told_once_for_all_targets() {
    refused(
        &[(
            "",
            "defaults: (link: \"statik\", level: \"v3\"), targets: [go_binary(name: \"a\"), go_binary(name: \"b\")]",
        )],
        expect![[r#"
            no strategy or ladder `statik`
              BUILD.ron:1:24: "statik"
              hint: did you mean `static`?
            the level `v3` needs a `goarch`
              BUILD.ron:1:41: "v3"
              hint: a level belongs to one architecture; write `goarch` too
        "#]],
    );
}

#[test]
fn a_name_declared_twice_is_told_with_both_places() {
    one_refused(
        "go_binary(name: \"x\"), suite(name: \"x\", targets: [])",
        expect![[r#"
        `//a:x` is declared twice
          a/BUILD.ron:1:51: "x" again here
          a/BUILD.ron:1:33: "x" first here
          hint: give one of them another name
    "#]],
    );
}

#[test]
fn unknown_labels_are_told_with_near_ones() {
    refused(
        &[
            (
                "a",
                "targets: [suite(name: \"s\", targets: [\":servr\", \"//b:x\", \"//lib/gopher:y\", \"//c:only\", \":q\", \"server\"]), go_binary(name: \"server\")]",
            ),
            (
                "lib/gophers",
                "targets: [suite(name: \"y\", targets: []), suite(name: \"only\", targets: [])]",
            ),
        ],
        expect![[r#"
            no target `//a:servr`
              a/BUILD.ron:1:44: ":servr"
              hint: did you mean `//a:server`?
            no target `//b:x`
              a/BUILD.ron:1:54: "//b:x"
              hint: there is no `b/BUILD.ron`
            no target `//lib/gopher:y`
              a/BUILD.ron:1:63: "//lib/gopher:y"
              hint: there is no `lib/gopher/BUILD.ron`
              hint: did you mean `//lib/gophers:y`?
            no target `//c:only`
              a/BUILD.ron:1:81: "//c:only"
              hint: there is no `c/BUILD.ron`
              hint: did you mean `//lib/gophers:only`?
            no target `//a:q`
              a/BUILD.ron:1:93: ":q"
              hint: `a/BUILD.ron` declares no such target
            `server` is not a label; write `//folder:name`, or `:name` for a target of this folder
              a/BUILD.ron:1:99: "server"
              hint: did you mean `:server`?
        "#]],
    );
}

#[test]
fn a_label_must_be_one() {
    one_refused(
        "suite(name: \"s\", targets: [\"../x:y\", \"//a:-o\", \"\", \"//\"])",
        expect![[r#"
            `../x:y` is not a label; write `//folder:name`, or `:name` for a target of this folder
              a/BUILD.ron:1:44: "../x:y"
            `-o` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`
              a/BUILD.ron:1:54: "//a:-o"
            `` is not a label; write `//folder:name`, or `:name` for a target of this folder
              a/BUILD.ron:1:64: ""
            `//` is not a label; write `//folder:name`, or `:name` for a target of this folder
              a/BUILD.ron:1:68: "//"
        "#]],
    );
}

#[test]
fn a_target_does_not_depend_on_itself() {
    one_refused(
        "go_binary(name: \"x\", deps: [\":x\"])",
        expect![[r#"
        `//a:x` depends on itself
          a/BUILD.ron:1:45: ":x"
          hint: leave it out
    "#]],
    );
}

#[test]
fn the_shortest_cycle_is_shown_as_a_path() {
    refused(
        &[
            (
                "a",
                "targets: [suite(name: \"x\", targets: [\"//b:y\", \":z\"]), suite(name: \"z\", targets: [\":w\"]), suite(name: \"w\", targets: [\":x\"])]",
            ),
            ("b", "targets: [suite(name: \"y\", targets: [\"//a:x\"])]"),
        ],
        expect![[r#"
            targets need each other: //a:x -> //b:y -> //a:x
              a/BUILD.ron:1:44: "//b:y" `//a:x` needs it
              b/BUILD.ron:1:44: "//a:x" `//b:y` needs it
              hint: take one of these dependencies away
        "#]],
    );
}

#[test]
fn a_long_cycle_is_cut() {
    let mut inner = String::new();
    for index in 0..30 {
        let next = (index + 1) % 30;
        let _ = write!(inner, "suite(name: \"t{index}\", targets: [\":t{next}\"]), ");
    }
    let problems = workspace(&[("", &format!("targets: [{inner}]"))]).unwrap_err();
    expect!["targets need each other: //:t0 -> //:t1 -> //:t2 -> //:t3 -> //:t4 -> //:t5 -> //:t6 -> //:t7 -> //:t8 -> //:t9 -> //:t10 -> //:t11 -> //:t12 -> //:t13 -> //:t14 -> //:t15 -> //:t16 -> //:t17 -> //:t18 -> //:t19 -> ... 10 more -> //:t0"].assert_eq(&problems[0].message);
    assert_eq!(problems.len(), 1);
}

#[test]
fn go_packages_are_folders_below_or_import_paths() {
    one_refused(
        r#"go_binary(name: "x", package: "../y"), go_binary(name: "y", package: "./..."),
        go_tests(name: "t", packages: ["-o", "/abs"], exclude: [".//x"]), go_tests(name: "u", packages: [])"#,
        expect![[r#"
            `../y` is not a Go package: write `./folder` (relative to this BUILD.ron) or an import path
              a/BUILD.ron:1:47: "../y"
              hint: folders begin with `./` and stay below this one
            `./...` stands for several Go packages
              a/BUILD.ron:1:86: "./..."
              hint: a `go_binary` is one program; declare one for each
            `-o` is not a Go package: write `./folder` (relative to this BUILD.ron) or an import path
              a/BUILD.ron:2:40: "-o"
              hint: folders begin with `./` and stay below this one
            `/abs` is not a Go package: write `./folder` (relative to this BUILD.ron) or an import path
              a/BUILD.ron:2:46: "/abs"
              hint: folders begin with `./` and stay below this one
            `.//x` is not a Go package: write `./folder` (relative to this BUILD.ron) or an import path
              a/BUILD.ron:2:65: ".//x"
              hint: folders begin with `./` and stay below this one
            `//a:u` names no Go packages
              a/BUILD.ron:2:90: "u"
              hint: write `packages: ["./..."]`
        "#]],
    );
}

#[test]
fn globs_stay_in_their_folder() {
    one_refused(
        r#"files(name: "f", globs: ["../*", "/etc/*", "[", "a//b", "C:\\x\n"], exclude: [".."]), files(name: "g", globs: [])"#,
        expect![[r#"
            `../*` is not a glob inside this folder: no empty, `.` or `..` parts
              a/BUILD.ron:1:42: "../*"
              hint: a glob is relative to the folder of this BUILD.ron
            `/etc/*` is not a glob inside this folder: it must be a relative path
              a/BUILD.ron:1:50: "/etc/*"
              hint: a glob is relative to the folder of this BUILD.ron
            `[` is not a glob inside this folder: unclosed character class; missing ']'
              a/BUILD.ron:1:60: "["
              hint: a glob is relative to the folder of this BUILD.ron
            `a//b` is not a glob inside this folder: no empty, `.` or `..` parts
              a/BUILD.ron:1:65: "a//b"
              hint: a glob is relative to the folder of this BUILD.ron
            `C:\\x\n` holds a control character
              a/BUILD.ron:1:73: "C:\\x\n"
            `..` is not a glob inside this folder: no empty, `.` or `..` parts
              a/BUILD.ron:1:95: ".."
              hint: a glob is relative to the folder of this BUILD.ron
            `//a:g` holds no globs
              a/BUILD.ron:1:115: "g"
        "#]],
    );
}

#[test]
fn outputs_of_programs_do_not_contain_one_another() {
    refused(
        &[
            ("", "targets: [go_binary(name: \"a\")]"),
            ("a", "targets: [go_binary(name: \"b\"), go_tests(name: \"c\", packages: [\".\"])]"),
            ("a/b", "targets: [go_binary(name: \"d\")]"),
        ],
        expect![[r#"
            `//a:b` would put a file below `a`, which `//:a` makes
              a/BUILD.ron:1:33: "b" here
              BUILD.ron:1:33: "a" and here
              hint: name one of the two differently
            `//a:c` would put a file below `a`, which `//:a` makes
              a/BUILD.ron:1:54: "c" here
              BUILD.ron:1:33: "a" and here
              hint: name one of the two differently
            `//a/b:d` would put a file below `a/b`, which `//a:b` makes
              a/b/BUILD.ron:1:33: "d" here
              a/BUILD.ron:1:33: "b" and here
              hint: name one of the two differently
            `//a/b:d` would put a file below `a`, which `//:a` makes
              a/b/BUILD.ron:1:33: "d" here
              BUILD.ron:1:33: "a" and here
              hint: name one of the two differently
        "#]],
    );
}

#[test]
fn outputs_of_commands_have_one_maker() {
    refused(
        &[
            (
                "a",
                r#"targets: [
    command(name: "one", argv: ["x"], outputs: ["gen/out.go", "b/out", "gen/out.go"]),
    command(name: "two", argv: ["x"], outputs: ["gen"])]"#,
            ),
            ("a/b", "targets: [command(name: \"three\", argv: [\"x\"], outputs: [\"out\"])]"),
        ],
        expect![[r#"
            `//a:one` would put a file below `a/gen`, which `//a:two` makes
              a/BUILD.ron:2:49: "gen/out.go" here
              a/BUILD.ron:3:49: "gen" and here
              hint: name one of the two differently
            `//a:one` makes `a/gen/out.go`, which it makes itself
              a/BUILD.ron:2:72: "gen/out.go" here
              a/BUILD.ron:2:49: "gen/out.go" and here
              hint: name one of the two differently
            `//a:one` would put a file below `a/gen`, which `//a:two` makes
              a/BUILD.ron:2:72: "gen/out.go" here
              a/BUILD.ron:3:49: "gen" and here
              hint: name one of the two differently
            `//a/b:three` makes `a/b/out`, which `//a:one` makes
              a/b/BUILD.ron:1:63: "out" here
              a/BUILD.ron:2:63: "b/out" and here
              hint: name one of the two differently
        "#]],
    );
}

#[test]
fn outputs_lie_in_the_folder_of_their_command() {
    one_refused(
        r#"command(name: "x", argv: ["x"], outputs: ["../o", "/etc/o", "", "a//b", "*.go",
            "linkwright-out/x", "BUILD.ron", "sub/", "a\nb", "~/x", "C:\\x"]),
        command(name: "y", argv: ["x"], outputs: [])"#,
        expect![[r#"
            the output `../o` is no path below this folder
              a/BUILD.ron:1:59: "../o"
              hint: outputs are relative to the folder of this BUILD.ron, without `..`
            the output `/etc/o` is no path below this folder
              a/BUILD.ron:1:67: "/etc/o"
              hint: outputs are relative to the folder of this BUILD.ron, without `..`
            the output `` is no path below this folder
              a/BUILD.ron:1:77: ""
              hint: outputs are relative to the folder of this BUILD.ron, without `..`
            the output `a//b` is no path below this folder
              a/BUILD.ron:1:81: "a//b"
              hint: outputs are relative to the folder of this BUILD.ron, without `..`
            the output `*.go` holds a wildcard
              a/BUILD.ron:1:89: "*.go"
              hint: outputs are named one by one
            the output `linkwright-out/x` lies in a folder that is not a command's
              a/BUILD.ron:2:13: "linkwright-out/x"
              hint: `linkwright-out` and `.git` are kept by others
            the output `BUILD.ron` is a rule file
              a/BUILD.ron:2:33: "BUILD.ron"
              hint: rule files are written by people, not by what they declare
            the output `sub/` is no path below this folder
              a/BUILD.ron:2:46: "sub/"
              hint: outputs are relative to the folder of this BUILD.ron, without `..`
            the output `a\nb` is no path below this folder
              a/BUILD.ron:2:54: "a\nb"
              hint: outputs are relative to the folder of this BUILD.ron, without `..`
            the output `C:\x` is no path below this folder
              a/BUILD.ron:2:69: "C:\\x"
              hint: outputs are relative to the folder of this BUILD.ron, without `..`
            a command without outputs makes nothing
              a/BUILD.ron:3:23: "y"
              hint: name the files that it writes
        "#]],
    );
}

#[test]
fn an_output_is_no_input_of_its_command() {
    one_refused(
        "command(name: \"x\", argv: [\"x\"], inputs: [\"*.go\", \"gen/a.txt\"], outputs: [\"b.go\", \"gen/a.txt\"])",
        expect![[r#"
            `b.go` is both an output and an input of this command
              a/BUILD.ron:1:90: "b.go" made here
              a/BUILD.ron:1:58: "*.go" `*.go` matches it
            `gen/a.txt` is both an output and an input of this command
              a/BUILD.ron:1:98: "gen/a.txt" made here
              a/BUILD.ron:1:66: "gen/a.txt" `gen/a.txt` matches it
        "#]],
    );
}

#[test]
fn who_reads_what_is_made_depends_on_the_maker() {
    one_refused(
        r#"command(name: "make", argv: ["x"], outputs: ["made.txt"]),
        command(name: "good", argv: ["x"], inputs: ["made.txt"], deps: [":make"], outputs: ["a"]),
        command(name: "bad", argv: ["x"], inputs: ["made.txt"], outputs: ["b"]),
        files(name: "f", globs: ["made.txt"])"#,
        expect![[r#"
            `a/made.txt` is made by `//a:make`, which is not depended on
              a/BUILD.ron:3:52: "made.txt" read here
              a/BUILD.ron:1:62: "made.txt" made here
              hint: write the label `//a:make` instead of the path
            `a/made.txt` is made by `//a:make`, which is not depended on
              a/BUILD.ron:4:34: "made.txt" read here
              a/BUILD.ron:1:62: "made.txt" made here
              hint: write the label `//a:make` instead of the path
        "#]],
    );
}

#[test]
fn arguments_name_targets_with_one_output() {
    one_refused(
        r#"command(name: "two", argv: ["x"], outputs: ["a", "b"]),
        files(name: "f", globs: ["*"]), go_tests(name: "t", packages: ["."]),
        command(name: "x", argv: ["{:two}", "{:f}", "{:t}", "{:nope}", "{:a b}"], inputs: [":t", "//:q"], outputs: ["c"])"#,
        expect![[r#"
            `//a:two` is several files, not one file that can be named
              a/BUILD.ron:3:36: {:two}
              hint: list it in `inputs`, and write the path as an argument
            `//a:f` is several files, not one file that can be named
              a/BUILD.ron:3:46: {:f}
              hint: list it in `inputs`, and write the path as an argument
            `//a:t` is a group of tests, which makes no files
              a/BUILD.ron:3:54: {:t}
              hint: name a `go_binary`, a `command` or `files`
            no target `//a:nope`
              a/BUILD.ron:3:62: {:nope}
              hint: `a/BUILD.ron` declares no such target
            `a b` is not a target name; use letters, digits, `_`, `-`, `.`, `+` and `=`, and do not begin with `-`
              a/BUILD.ron:3:73: {:a b}
            `//a:t` is a group of tests, which makes no files
              a/BUILD.ron:3:92: ":t"
              hint: name a `go_binary`, a `command` or `files`
            no target `//:q`
              a/BUILD.ron:3:98: "//:q"
              hint: there is no `BUILD.ron`
        "#]],
    );
}

#[test]
fn braces_are_labels_or_doubled() {
    one_refused(
        r#"command(name: "x", argv: ["awk", "{print $1}", "a}", "{", "{}", "{{:x}}"], outputs: ["c"])"#,
        expect![[r#"
            a single brace in `{print $1}`
              a/BUILD.ron:1:50: "{print $1}"
              hint: a brace itself is written `{{` or `}}`; `{:name}` is the output of a target
            a single brace in `a}`
              a/BUILD.ron:1:64: "a}"
              hint: a brace itself is written `{{` or `}}`; `{:name}` is the output of a target
            a single brace in `{`
              a/BUILD.ron:1:70: "{"
              hint: a brace itself is written `{{` or `}}`; `{:name}` is the output of a target
            a single brace in `{}`
              a/BUILD.ron:1:75: "{}"
              hint: a brace itself is written `{{` or `}}`; `{:name}` is the output of a target
        "#]],
    );
}

#[test]
fn a_command_has_a_program_that_is_declared() {
    one_refused(
        r#"command(name: "a", argv: [], outputs: ["a"]), command(name: "b", argv: [""], outputs: ["b"]),
        command(name: "c", argv: ["-c"], outputs: ["c"]), command(name: "d", argv: ["./gen.sh"], outputs: ["d"]),
        command(name: "e", argv: ["./e.sh", "x\u{0}"], inputs: ["*.sh"], outputs: ["e"])"#,
        expect![[r#"
            `argv` is empty
              a/BUILD.ron:1:31: "a"
              hint: the first string of `argv` is the program
            `` is no program
              a/BUILD.ron:1:89: ""
              hint: write the name of a program, or `{:target}` for one that is built here
            `-c` is no program
              a/BUILD.ron:2:35: "-c"
              hint: write the name of a program, or `{:target}` for one that is built here
            the program `./gen.sh` is not among the inputs
              a/BUILD.ron:2:85: "./gen.sh"
              hint: add `"gen.sh"` to `inputs`
            this string holds a NUL
              a/BUILD.ron:3:45: "x\u{0}"
              hint: no program can be given one
        "#]],
    );
}

#[test]
fn variables_have_plain_names() {
    one_refused(
        r#"command(name: "a", argv: ["x"], outputs: ["a"], pass_env: ["A=B", ""], env: {"1": "x", "K": "a\u{0}"})"#,
        expect![[r#"
            `A=B` is no name of a variable
              a/BUILD.ron:1:76: "A=B"
              hint: use letters, digits and `_`
            `` is no name of a variable
              a/BUILD.ron:1:83: ""
              hint: use letters, digits and `_`
            `1` is no name of a variable
              a/BUILD.ron:1:94: "1"
              hint: use letters, digits and `_`
            this string holds a NUL
              a/BUILD.ron:1:109: "a\u{0}"
              hint: no program can be given one
        "#]],
    );
}

fn suite(name: &str, members: &[String]) -> TargetSpec {
    let source = Arc::new(Source { name: String::new(), text: String::new() });
    let span = Span::new(source, 0..0);
    let member = |it: &String| Spanned { value: it.clone(), span: span.clone() };
    TargetSpec {
        label: Label::new(PackagePath::root(), name).unwrap(),
        span: span.clone(),
        rule: RuleSpec::Suite(members.iter().map(member).collect()),
    }
}

fn package(targets: Vec<TargetSpec>) -> BuildSpec {
    BuildSpec {
        package: PackagePath::root(),
        is_root: false,
        go_sdks: Vec::new(),
        defaults: SettingsSpec::default(),
        targets,
    }
}

#[test]
fn a_chain_and_a_ring_of_many_targets_need_no_stack_and_little_time() {
    // Large enough for a stack of 256 KiB to show recursion; a million is a matter of `--release`.
    let many = 100_000;
    let run = move || {
        let begun = Instant::now();
        let chain = |last: Option<usize>| {
            let next = |it: usize| if it + 1 < many { Some(it + 1) } else { last };
            let member = |it: usize| next(it).map(|it| format!(":t{it}"));
            package((0..many).map(|it| suite(&format!("t{it}"), member(it).as_slice())).collect())
        };
        let targets = resolve(vec![chain(None)], &rules()).unwrap();
        let top = Label::new(PackagePath::root(), "t0").unwrap();
        assert_eq!(targets.in_order(&[top]).len(), many);
        let problems = resolve(vec![chain(Some(0))], &rules()).unwrap_err();
        assert!(
            problems[0].message.ends_with("... 99980 more -> //:t0"),
            "{}",
            problems[0].message
        );
        begun.elapsed()
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap();
    assert!(thread.join().unwrap() < Duration::from_secs(30));
}
