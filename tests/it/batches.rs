//! Few processes, and a failure that is its own target's alone.

use crate::workspace::{Workspace, holds, prints};
use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TEST: &str = "package x\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\n";

fn three(a: &str) -> Option<Workspace> {
    let build = r#"build(defaults: (link: "pure"), targets: [
        go_binary(name: "a", package: "./a"),
        go_binary(name: "b", package: "./b"),
        go_binary(name: "c", package: "./c"),
    ])"#;
    Workspace::new(&[
        ("BUILD.ron", build),
        ("a/main.go", a),
        ("b/main.go", &prints("b")),
        ("c/main.go", &prints("c")),
    ])
}

fn tests(settings: &str, files: &[(&str, &str)]) -> Option<Workspace> {
    let build = format!(
        "build(targets: [go_tests(name: \"t\", packages: [\"./...\"], link: \"pure\"{settings})])"
    );
    Workspace::new(&[&[("BUILD.ron", build.as_str())], files].concat())
}

#[test]
fn programs_of_one_configuration_are_one_go_build() {
    let Some(it) = three(&prints("a")) else { return };
    let run = it.built();
    run.came("built 3");
    let links = run.links();
    assert_eq!(links.len(), 1, "{links:#?}");
    let packages = ["example.com/m/a", "example.com/m/b", "example.com/m/c"];
    assert_eq!(links[0][links[0].len() - 3..], packages);
    assert_eq!(
        (it.says("a"), it.says("b"), it.says("c")),
        ("a\n".into(), "b\n".into(), "c\n".into())
    );
}

#[test]
fn programs_of_one_base_name_are_built_apart() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        go_binary(name: "one", package: "./one/cmd"), go_binary(name: "two", package: "./two/cmd"),
    ])"#;
    let files = [
        ("BUILD.ron", build),
        ("one/cmd/main.go", &prints("one")),
        ("two/cmd/main.go", &prints("two")),
    ];
    let Some(it) = Workspace::new(&files) else { return };
    let run = it.built();
    run.came("built 2");
    assert_eq!(run.links().len(), 2);
    assert_eq!((it.says("one"), it.says("two")), ("one\n".into(), "two\n".into()));
}

#[test]
fn two_targets_of_one_package_and_one_strategy_share_the_file() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        go_binary(name: "one"), go_binary(name: "two"),
    ])"#;
    let Some(it) = Workspace::new(&[("BUILD.ron", build), ("main.go", &prints("x"))]) else {
        return;
    };
    let run = it.built();
    assert_eq!(run.links().len(), 1);
    assert_eq!(it.bytes("one"), it.bytes("two"));
    it.built().came("up_to_date 2");
}

#[test]
fn a_program_named_after_a_major_version_is_found() {
    let build = r#"build(targets: [go_binary(name: "p", package: "./tool/v2", link: "pure")])"#;
    let files = [("BUILD.ron", build), ("tool/v2/main.go", &prints("v2"))];
    let Some(it) = Workspace::new(&files) else { return };
    it.built();
    assert_eq!(it.says("p"), "v2\n");
}

/// The words of the one failed target; the other two must be there.
#[track_caller]
fn the_others_are_built(it: &Workspace) -> String {
    let run = it.build(&["--keep-going"]);
    assert_eq!(run.code, 1, "{run:#?}");
    run.came("built 2, failed 1");
    assert_eq!((it.says("b"), it.says("c")), ("b\n".into(), "c\n".into()));
    assert!(!it.bin("a").exists());
    for label in ["//:b", "//:c"] {
        assert_eq!(run.finished(label)["state"], "built");
    }
    let error = run.error("//:a");
    // The same once more: what is built stays so, what fails says the same.
    let again = it.build(&["--keep-going"]);
    again.came("up_to_date 2, failed 1");
    assert_eq!(again.error("//:a"), error);
    error
}

#[test]
fn a_compile_error_is_its_own_targets_and_in_gos_words() {
    let Some(it) = three("package main\n\nfunc main() { undefinedName() }\n") else { return };
    let error = the_others_are_built(&it);
    holds(&error, &["a/main.go:3:15: undefined: undefinedName"]);
    it.file("a/main.go", &prints("a"));
    it.built().came("built 1, up_to_date 2");
}

#[test]
fn a_syntax_error_is_its_own_targets_and_in_gos_words() {
    let Some(it) = three("package main\n\nfunc main() { oops oops }\n") else { return };
    holds(&the_others_are_built(&it), &["a/main.go:3:20", "syntax error"]);
}

#[test]
fn a_file_that_does_not_begin_as_go_is_its_own_targets() {
    let Some(it) = three("pakcage main\n") else { return };
    holds(&the_others_are_built(&it), &["a/main.go:1:1", "expected 'package'"]);
}

#[test]
fn a_missing_import_is_its_own_targets_and_in_gos_words() {
    let Some(it) = three("package main\n\nimport _ \"example.org/absent\"\n\nfunc main() {}\n")
    else {
        return;
    };
    holds(&the_others_are_built(&it), &["a/main.go:3:8", "example.org/absent"]);
}

#[test]
fn an_import_of_a_missing_package_of_the_module_is_its_own_targets() {
    let Some(it) = three("package main\n\nimport _ \"example.com/m/absent\"\n\nfunc main() {}\n")
    else {
        return;
    };
    holds(&the_others_are_built(&it), &["a/main.go:3:8", "example.com/m/absent"]);
}

#[test]
fn a_link_error_is_its_own_targets() {
    let Some(it) = three("package main\n\nfunc absent()\n\nfunc main() { absent() }\n") else {
        return;
    };
    it.file("a/empty.s", "// A function without a body is allowed beside assembly.\n");
    holds(&the_others_are_built(&it), &["main.absent"]);
}

#[test]
fn an_error_in_a_shared_package_fails_all_that_import_it() {
    let user = |name: &str| {
        format!(
            "package main\n\nimport _ \"example.com/m/lib\"\n\nfunc main() {{ println({name:?}) }}\n"
        )
    };
    let Some(it) = three(&user("a")) else { return };
    it.file("b/main.go", &user("b"));
    it.file("lib/lib.go", "package lib\n\nvar X int = \"text\"\n");
    let run = it.build(&["-k"]);
    run.came("built 1, failed 2");
    for label in ["//:a", "//:b"] {
        holds(&run.error(label), &["lib/lib.go:3:13", "cannot use \"text\""]);
    }
}

#[test]
fn without_keep_going_nothing_more_is_started() {
    let build = r#"build(defaults: (link: "pure"), targets: [
        command(name: "bad", argv: ["false"], outputs: ["gen.go"]),
        command(name: "after", argv: ["touch", "x"], outputs: ["x"], deps: [":bad"]),
    ])"#;
    let Some(it) = Workspace::new(&[("BUILD.ron", build)]) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 1);
    run.came("failed 1, skipped 1");
    assert!(!it.path("x").exists());
}

#[test]
fn a_finding_of_vet_fails_the_test_binary_unless_vet_is_off() {
    let test =
        "package x\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Logf(\"%d\", \"x\") }\n";
    let files = [("x/x_test.go", test), ("y/y_test.go", TEST)];
    let Some(it) = tests("", &files) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    run.came("built 1, failed 1");
    holds(&run.error("//:t"), &["x/x_test.go:5", "wrong type string"]);
    assert!(it.bin("t/example.com/m/y.test").exists());
    let Some(off) = tests(", vet: false", &files) else { return };
    off.built().came("built 2");
}

#[test]
fn external_tests_are_built_and_packages_without_tests_are_passed_over() {
    let inside = "package x\n\nimport \"testing\"\n\nvar inside = 1\n\nfunc TestInside(t *testing.T) { _ = inside }\n";
    let outside = "package x_test\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/x\"\n)\n\nfunc TestOutside(t *testing.T) { _ = x.X }\n";
    let files = [
        ("x/x.go", "package x\n\nconst X = 1\n"),
        ("x/in_test.go", inside),
        ("x/out_test.go", outside),
        (
            "only/only_test.go",
            "package only_test\n\nimport \"testing\"\n\nfunc TestOnly(t *testing.T) {}\n",
        ),
        ("none/none.go", "package none\n"),
        ("deep/x/x_test.go", TEST),
    ];
    let Some(it) = tests("", &files) else { return };
    let run = it.built();
    run.came("built 3");
    for (package, names) in
        [("x", "TestInside\nTestOutside\n"), ("only", "TestOnly\n"), ("deep/x", "TestX\n")]
    {
        let mut command = it.command(it.bin(&format!("t/example.com/m/{package}.test")));
        let output = command.arg("-test.list=.").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), names);
    }
    assert_eq!(run.links().len(), 2, "`x.test` twice: {run:#?}");
    // What only an external test reads is an input too.
    it.file("x/out_test.go", &outside.replace("TestOutside", "TestOther"));
    it.built().came("built 1, up_to_date 2");
}

#[test]
fn what_a_test_alone_imports_is_an_input() {
    let test = "package x_test\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/helper\"\n)\n\nfunc TestX(t *testing.T) { println(helper.X) }\n";
    let files = [("x/x_test.go", test), ("helper/h.go", "package helper\n\nconst X = 1\n")];
    let Some(it) = tests("", &files) else { return };
    it.built().came("built 1");
    it.file("helper/h.go", "package helper\n\nconst X = 2\n");
    it.built().came("built 1");
    let output = it.command(it.bin("t/example.com/m/x.test")).output().unwrap();
    holds(&crate::workspace::text(&output), &["2\n"]);
}

#[test]
fn a_module_without_tests_has_an_exit_code_of_its_own() {
    let Some(it) = tests("", &[("x/x.go", "package x\n")]) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 4, "{run:#?}");
    holds(&run.error("//:t"), &["no Go package of `./...` has tests"]);
}

#[test]
fn excluded_packages_have_no_test_binary() {
    let files = [("x/x_test.go", TEST), ("slow/a/a_test.go", TEST), ("slow/s_test.go", TEST)];
    let Some(it) = tests(", exclude: [\"./slow/...\"]", &files) else { return };
    it.built().came("built 1");
    assert!(it.bin("t/example.com/m/x.test").exists());
}

/// A worker that waits for others is handed another job: one that looks for the same Go while the
/// first is looking must not wait for it on the same thread.
#[test]
fn programs_that_become_ready_one_by_one_do_not_wait_for_each_other() {
    let (mut targets, mut files) = (String::new(), Vec::new());
    for at in 0..16 {
        let before = if at == 0 { String::new() } else { format!("\":c{}\"", at - 1) };
        write!(
            targets,
            "command(name: \"c{at}\", argv: [\"sh\", \"-c\", \"echo {at} >o{at}\"], outputs: [\"o{at}\"], deps: [{before}]),
             go_binary(name: \"p{at}\", package: \"./p{at}\", deps: [\":c{at}\"]),\n"
        ).unwrap();
        files.push((format!("p{at}/main.go"), prints("p")));
    }
    files.push((
        "BUILD.ron".into(),
        format!("build(defaults: (link: \"pure\"), targets: [{targets}])"),
    ));
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let Some(it) = Workspace::new(&files) else { return };
    it.built();
    for round in 0..20 {
        std::fs::remove_dir_all(it.path("linkwright-out")).unwrap();
        let mut run = it.linkwright(&["build", "--quiet"]).spawn().unwrap();
        let began = Instant::now();
        let ended = loop {
            match run.try_wait().unwrap() {
                Some(status) => break status,
                None if began.elapsed() < Duration::from_mins(1) => {
                    sleep(Duration::from_millis(20));
                }
                None => {
                    run.kill().unwrap();
                    panic!("round {round} did not end");
                }
            }
        };
        assert!(ended.success(), "round {round}: {ended}");
    }
}
