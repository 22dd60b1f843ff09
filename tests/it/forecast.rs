//! What is said before building, and what is said when no attempt is left.

use crate::workspace::{Workspace, holds, needs, prints, prints_c, start_alone, text};

const C: &str = "static int one(void) { return 1; }";

/// A program that prints through a package that imports one that uses cgo.
fn chain(build: &str) -> Option<Workspace> {
    Workspace::with_c(&[
        ("BUILD.ron", build),
        (
            "main.go",
            "package main\n\nimport \"example.com/m/a\"\n\nfunc main() { println(a.X()) }\n",
        ),
        ("a/a.go", "package a\n\nimport \"example.com/m/b\"\n\nfunc X() int { return b.X() }\n"),
        (
            "b/b.go",
            "package b\n\n// static int one(void) { return 1; }\nimport \"C\"\n\nfunc X() int { return int(C.one()) }\n",
        ),
    ])
}

fn one(link: &str) -> String {
    format!("build(targets: [go_binary(name: \"p\", link: \"{link}\")])")
}

#[test]
fn the_chain_to_cgo_is_the_reason_why_netgo_was_not_tried() {
    let Some(it) = chain(&one("static")) else { return };
    let run = it.built();
    assert_eq!(run.links().len(), 1, "netgo was not linked in vain: {run:#?}");
    let record = it.record("//:p");
    assert_eq!(record["attempts"][0]["outcome"], "impossible");
    holds(
        record["attempts"][0]["reason"].as_str().unwrap(),
        &["`example.com/m/b` uses cgo (imported by `example.com/m` → `example.com/m/a`)"],
    );
    assert_eq!(record["attempts"][1]["outcome"], "verified");
    assert_eq!(needs(&it.bin("p")), [""; 0]);
    let Some(start) = start_alone(&it.bin("p")) else { return };
    assert_eq!(text(&start), "1\n");
}

#[test]
fn a_main_that_is_cgo_cannot_be_pure_and_go_says_why() {
    let Some(it) = Workspace::with_c(&[("BUILD.ron", &one("pure"))]) else { return };
    it.file("main.go", &prints_c(C, "C.one()"));
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    holds(&run.error("//:p"), &["build constraints exclude all Go files"]);
    assert!(run.links().is_empty());
}

#[test]
fn the_race_detector_and_pie_do_not_go_together() {
    let rules =
        r#"rules(strategies: [strategy(name: "own", cgo: on, race: true, buildmode: pie)])"#;
    let files =
        [("BUILD.ron", one("own")), ("main.go", prints("x")), ("rules/r.ron", rules.into())];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let Some(it) = Workspace::with_c(&files) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 6, "{run:#?}");
    holds(&run.error("//:p"), &["own: impossible: Go refuses `-race` with `-buildmode=pie`"]);
    assert!(run.links().is_empty());
}

#[test]
fn without_musl_gcc_its_strategy_says_what_to_install() {
    let files = [("BUILD.ron", one("static_musl")), ("main.go", prints_c(C, "C.one()"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let Some(it) = Workspace::with_c(&files) else { return };
    let it = it.only_with(&["go", "gcc", "g++", "as", "ld", "ar"]);
    let run = it.build(&[]);
    assert_eq!(run.code, 36, "{run:#?}");
    holds(&run.error("//:p"), &["there is no C compiler `musl-gcc` here", "install `musl-tools`"]);
}

#[test]
fn without_a_c_compiler_the_ladder_still_holds_for_go() {
    let main = "package main\n\nimport \"net\"\n\nfunc main() { println(net.ParseIP(\"::1\").String()) }\n";
    let Some(it) = Workspace::new(&[("BUILD.ron", &one("static")), ("main.go", main)]) else {
        return;
    };
    let it = it.only_with(&["go"]);
    it.built().came("built 1");
    assert_eq!(it.says("p"), "::1\n");
    assert_eq!(it.record("//:p")["linkage"]["class"], "static");
    it.file("BUILD.ron", &one("static_glibc"));
    let run = it.build(&[]);
    assert_eq!(run.code, 36, "{run:#?}");
    holds(&run.error("//:p"), &["there is no C compiler `gcc` here", "install `gcc`"]);
}

#[test]
fn without_a_c_compiler_a_cgo_program_says_what_to_install() {
    let Some(it) = chain(&one("static")) else { return };
    let it = it.only_with(&["go"]);
    let run = it.build(&[]);
    assert_eq!(run.code, 36, "{run:#?}");
    holds(&run.error("//:p"), &["static_glibc", "there is no C compiler", "install `gcc`"]);
}

#[test]
fn when_every_attempt_fails_all_are_told_and_what_would_hold() {
    let rules = r#"rules(ladders: [ladder(name: "own", tries: ["netgo", "pure"])])"#;
    let Some(it) = Workspace::with_c(&[("BUILD.ron", &one("own")), ("rules/r.ron", rules)]) else {
        return;
    };
    it.file("main.go", &prints_c(C, "C.one()"));
    let run = it.build(&[]);
    assert_eq!(run.code, 6, "{run:#?}");
    let parts = [
        "no strategy of `own` gives what it promises",
        "netgo: built, but not as promised: it needs `libc.so.6`",
        "pure: impossible: ",
        "build constraints exclude all Go files",
        "`link: \"static_glibc\"` would hold",
    ];
    holds(&run.error("//:p"), &parts);
    assert!(!it.bin("p").exists(), "what is not as promised is not put in place");
    let attempts: Vec<_> = run.all("attempt").map(|it| it["strategy"].clone()).collect();
    assert_eq!(attempts, ["netgo", "pure"]);
    let lists = run.all("step_started").filter(|it| it["argv"][1] == "list");
    let lists: Vec<_> = lists.map(|it| it["what"].as_str().unwrap()).collect();
    let told =
        ["list Go packages of . (tags netgo,osusergo)", "list Go packages of . (without cgo)"];
    assert_eq!(lists, told, "what would hold is forecast from what was listed already");
    it.file("BUILD.ron", &one("static_glibc"));
    it.built().came("built 1");
}

#[test]
fn the_recipe_of_2015_fails_and_says_that_go_ignores_it() {
    let main = "package main\n\nimport \"net\"\n\nfunc main() { _, e := net.LookupHost(\"\"); println(e != nil) }\n";
    let user = "package main\n\nimport \"os/user\"\n\nfunc init() { _, _ = user.Current() }\n";
    let files =
        [("BUILD.ron", one("seed_2015")), ("main.go", main.into()), ("user.go", user.into())];
    let files = files.each_ref().map(|(name, text): &(_, String)| (*name, text.as_str()));
    let Some(it) = Workspace::with_c(&files) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 6, "{run:#?}");
    holds(&run.error("//:p"), &["it needs `libc.so.6`", "`link: \"netgo\"` would hold"]);
}

/// What is wrong with the sources is wrong by every strategy, and is told once.
#[test]
fn a_reason_that_all_attempts_have_in_common_is_told_alone() {
    let main = "package main\n\nfunc main() { oops }\n";
    let rules = r#"rules(ladders: [ladder(name: "own", tries: ["netgo", "pure"])])"#;
    let files =
        [("BUILD.ron", one("own")), ("main.go", main.into()), ("rules/r.ron", rules.into())];
    let files = files.each_ref().map(|(name, text): &(_, String)| (*name, text.as_str()));
    let Some(it) = Workspace::new(&files) else { return };
    let run = it.build(&[]);
    assert_eq!(run.code, 1, "{run:#?}");
    assert_eq!(run.all("attempt").count(), 2, "{run:#?}");
    let error = run.finished("//:p")["error"].as_str().unwrap();
    assert_eq!(error.trim(), "./main.go:3:15: undefined: oops");
}
