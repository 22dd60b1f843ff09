//! The commands around `build`: what they print can be used, and what they write is right.

use crate::support::has;
use crate::workspace::{Workspace, holds, prints, shared, text};
use serde_json::Value;
use std::fs;

const MANY: &str = r#"build(defaults: (link: "pure"), targets: [
    go_binary(name: "a", package: "./a"), go_binary(name: "b", package: "./b"),
    suite(name: "both", targets: [":a", ":b"]),
])"#;

fn many() -> Option<Workspace> {
    Workspace::new(&[
        ("BUILD.ron", MANY),
        ("a/main.go", &prints("a")),
        ("b/main.go", &prints("b")),
        ("sub/BUILD.ron", r#"build(targets: [go_binary(name: "s")])"#),
        ("sub/main.go", &prints("s")),
    ])
}

fn lines(output: &std::process::Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_dry_run_writes_nothing_and_its_commands_give_the_same_bytes() {
    let Some(it) = many() else { return };
    let output = it.run(&["build", "--dry-run"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!it.path("linkwright-out").exists());
    let script = String::from_utf8(output.stdout).unwrap();
    let mut shell = it.command("sh");
    shell.args(["-euc", &script]).env("GOCACHE", shared("plain-go-cache"));
    let ran = shell.output().unwrap();
    assert!(ran.status.success(), "{script}\n{ran:?}");
    let by_hand = ["a", "b", "sub"].map(|name| {
        let path = it.path("linkwright-out/tmp").join(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}\n{script}", path.display()))
    });
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    it.built().came("built 3");
    assert_eq!(by_hand, [it.bytes("a"), it.bytes("b"), it.bytes("sub/s")]);
    let again = it.run(&["build", "-n"]);
    assert!(!text(&again).contains("build -json"), "{again:?}");
}

#[test]
fn the_command_of_a_record_run_by_hand_gives_the_recorded_bytes() {
    let Some(it) = many() else { return };
    it.built();
    let record = it.record("//:a");
    fs::remove_file(it.bin("a")).unwrap();
    let words = record["commands"][0].as_array().unwrap();
    let words: Vec<_> = words.iter().map(|it| it.as_str().unwrap()).collect();
    let mut command = it.command(words[0]);
    command.args(&words[1..]).current_dir(it.path(record["folder"].as_str().unwrap()));
    for (name, value) in record["environment"].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    let output = command.env("GOCACHE", shared("plain-go-cache")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let digest = blake3::hash(&it.bytes("a")).to_hex();
    assert_eq!(record["blake3"], digest.as_str());
}

#[test]
fn a_workspace_is_found_from_below_and_with_a_flag() {
    let Some(it) = many() else { return };
    let mut command = it.linkwright(&["build", ":s"]);
    let output = command.current_dir(it.path("sub")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(it.says("sub/s"), "s\n");
    assert!(!it.bin("a").exists() && !it.path("sub/linkwright-out").exists());
    let mut command = it.linkwright(&["-C", "w", "build", ":a"]);
    assert!(command.current_dir(it.home()).status().unwrap().success());
    assert_eq!(it.says("a"), "a\n");
    let mut command = it.linkwright(&["-C", "w/sub", "build", "..."]);
    let output = command.current_dir(it.home()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    holds(&text(&output), &["up to date"]);
}

#[test]
fn patterns_choose_and_leave_out() {
    let Some(it) = many() else { return };
    let labels = |arguments: &[&str]| lines(&it.run(&[&["query"], arguments].concat()));
    assert_eq!(labels(&[]), ["//:a", "//:b", "//:both", "//sub:s"]);
    assert_eq!(labels(&["//...", "-//sub/..."]), ["//:a", "//:b", "//:both"]);
    assert_eq!(labels(&["-//:a", "//:both", "//:a"]), ["//:both"]);
    assert_eq!(labels(&["-//:a", "//:all"]), ["//:b", "//:both"]);
    assert_eq!(labels(&["--deps", "//:both"]), ["//:a", "//:b", "//:both"]);
    assert_eq!(labels(&["--rdeps", ":b"]), ["//:b", "//:both"]);
    assert_eq!(labels(&["--path-to", ":b", ":both"]), ["//:both", "//:b"]);
    assert_eq!(labels(&["--kind", "suite"]), ["//:both"]);
}

#[test]
fn graphs_can_be_read_by_their_readers() {
    let Some(it) = many() else { return };
    let dot = it.run(&["graph", "--output", "dot"]);
    let drawn = String::from_utf8(dot.stdout).unwrap();
    assert!(drawn.starts_with("digraph") && drawn.trim_end().ends_with('}'), "{drawn}");
    holds(&drawn, &["\"//:both\" -> \"//:a\"", "\"//:both\" -> \"//:b\"", "\"//sub:s\""]);
    let json = it.run(&["graph", "--json"]);
    let graph: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(graph["nodes"].as_array().unwrap().len(), 4);
    assert_eq!(graph["edges"].as_array().unwrap().len(), 2);
    if std::process::Command::new("dot").arg("-V").output().is_ok() {
        let file = it.home().join("graph.dot");
        fs::write(&file, drawn).unwrap();
        let svg = it.command("dot").arg("-Tsvg").arg(&file).output().unwrap();
        assert!(svg.status.success(), "{svg:?}");
    }
}

#[test]
fn run_passes_arguments_and_the_exit_code_through() {
    let main = "package main\n\nimport \"os\"\n\nfunc main() {\n\tfor _, it := range os.Args[1:] {\n\
                \t\tos.Stdout.WriteString(it + \"\\n\")\n\t}\n\tos.Exit(len(os.Args))\n}\n";
    let build = r#"build(targets: [go_binary(name: "p", link: "pure")])"#;
    let Some(it) = Workspace::new(&[("BUILD.ron", build), ("main.go", main)]) else { return };
    let output = it.run(&["run", ":p", "--", "a b", "--x", "-j"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a b\n--x\n-j\n");
    it.file("main.go", "package main\n\nfunc main() { oops }\n");
    let output = it.run(&["run", ":p"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "what did not build is not run: {output:?}");
}

#[test]
fn init_writes_what_builds_at_once() {
    let Some(it) = Workspace::new(&[
        ("main.go", &prints("root")),
        ("cmd/x/main.go", &prints("x")),
        ("cmd/y/main.go", &prints("y")),
        ("internal/lib/lib.go", "package lib\n\nconst X = 1\n"),
        (
            "internal/lib/lib_test.go",
            "package lib\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\n",
        ),
    ]) else {
        return;
    };
    let shown = it.run(&["init", "--stdout"]);
    assert!(shown.status.success() && !it.path("BUILD.ron").exists(), "{shown:?}");
    let output = it.run(&["init"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(it.read("BUILD.ron").as_bytes(), shown.stdout);
    let run = it.built();
    run.came("built 4");
    let mut says: Vec<_> = run
        .all("finished")
        .filter(|it| it["rule"] == "go_binary")
        .map(|found| it.says(found["output"].as_str().unwrap().strip_prefix("bin/").unwrap()))
        .collect();
    says.sort();
    assert_eq!(says, ["root\n", "x\n", "y\n"]);
    let written = it.read("BUILD.ron");
    let again = it.run(&["init"]);
    assert_eq!((again.status.code(), it.read("BUILD.ron")), (Some(2), written));
}

#[test]
fn clean_removes_the_outputs_and_the_next_build_restores_them() {
    let Some(it) = many() else { return };
    it.built();
    let output = it.run(&["clean"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!it.path("linkwright-out").exists());
    it.built().came("restored 3");
    fs::remove_file(it.path("linkwright-out/.linkwright")).unwrap();
    assert_eq!(it.run(&["clean"]).status.code(), Some(11));
    assert!(it.bin("a").exists());
}

#[test]
fn doctor_says_what_works_and_what_to_install() {
    let Some(it) = Workspace::new(&[]) else { return };
    let object = |it: &Workspace, strategies: &[&str]| -> Value {
        let output = it.run(&[&["doctor", "--json"], strategies].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let outcome = |object: &Value, name: &str| {
        let mut all = object["strategies"].as_array().unwrap().iter();
        all.find(|it| it["strategy"] == name).unwrap().clone()
    };
    if has("gcc") {
        // Without a word it tries all of them, which the table of evidence does too.
        let names = ["default", "netgo", "pure", "static_glibc"];
        let object = object(&it, &names);
        for name in names {
            assert_eq!(outcome(&object, name)["outcome"], "works", "{object:#}");
        }
    }
    let it = it.only_with(&["go"]);
    let object = object(&it, &[]);
    assert_eq!(outcome(&object, "pure")["outcome"], "works", "{object:#}");
    let glibc = outcome(&object, "static_glibc");
    assert_eq!(glibc["outcome"], "missing", "{object:#}");
    holds(&glibc.to_string(), &["gcc", "install `gcc` and `g++` and `libc6-dev` (Debian)"]);
    // The same sentence as a build that fails for it.
    it.file("BUILD.ron", "build(targets: [go_binary(name: \"a\", link: \"static_glibc\")])");
    it.file("main.go", "package main\n\nfunc main() {}\n");
    let sentence = glibc["install"][0].as_str().unwrap();
    holds(&it.build(&[]).error("//:a"), &[sentence, glibc["what"].as_str().unwrap()]);
    assert_eq!(it.run(&["doctor", "static_glibc"]).status.code(), Some(36));
    assert_eq!(it.run(&["doctor", "pure"]).status.code(), Some(0));
}

#[test]
fn doctor_tries_other_platforms_and_starts_what_it_can() {
    let Some(it) = Workspace::new(&[(
        "BUILD.ron",
        "build(targets: [go_binary(name: \"a\", platforms: [\"windows/amd64\", \"linux/arm64\"])])",
    )]) else {
        return;
    };
    let checks = |it: &Workspace, arguments: &[&str]| -> Vec<String> {
        let output = it.run(&[&["doctor", "--json"], arguments].concat());
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = object["strategies"].as_array().unwrap().iter();
        let text = |it: &Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
        let told = |it: &Value| {
            let why = format!("{}{}", text(it, "detail"), text(it, "what"));
            format!("{} {} {why}", text(it, "platform"), text(it, "outcome"))
        };
        checks.map(told).collect()
    };
    // Without a word, the platforms of the workspace's targets.
    let own = checks(&it, &["pure"]);
    assert_eq!(own.len(), 3, "{own:?}");
    holds(&own[0], &["works static, ", ", starts"]);
    holds(&own[2], &["windows/amd64 works system_libraries", "starts no programs of windows"]);
    if cfg!(target_arch = "x86_64") && has("qemu-aarch64-static") && has("aarch64-linux-gnu-gcc") {
        let arm = checks(&it, &["pure", "static_glibc", "--platform", "linux/arm64"]);
        assert_eq!(arm.len(), 2, "{arm:?}");
        for it in arm {
            holds(&it, &["linux/arm64 works static, ", ", starts"]);
        }
        let it = it.only_with(&["go"]);
        let arm = checks(&it, &["pure", "static_glibc", "--platform=linux/arm64"]);
        holds(
            &arm[0],
            &[
                "works",
                "not started: there is no `qemu-aarch64-static` here (install `qemu-user-static`",
            ],
        );
        holds(&arm[1], &["linux/arm64 missing there is no C compiler"]);
        assert_eq!(
            it.run(&["doctor", "static_glibc", "--platform=linux/arm64"]).status.code(),
            Some(36)
        );
        assert_eq!(it.run(&["doctor", "--platform=linux/arm65"]).status.code(), Some(2));
    }
}

#[test]
fn the_table_of_a_build_goes_to_stdout_and_failures_to_stderr() {
    let Some(it) = many() else { return };
    it.file("b/main.go", "package main\n\nfunc main() { oops }\n");
    let output = it.run(&["build", "-k"]);
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    holds(&out, &["TARGET", "//:a", "static", "pure", "built", "//:b", "failed"]);
    holds(&out, &["4 outputs: 2 built, 1 failed, 1 skipped"]);
    holds(&err, &["failed: //:b", "b/main.go:3:15: undefined: oops"]);
    let quiet = it.run(&["build", "-q", "//:a"]);
    assert_eq!((quiet.status.code(), text(&quiet).as_str()), (Some(0), ""));
}

#[test]
fn an_empty_workspace_has_nothing_to_build() {
    let Some(it) = Workspace::new(&[("BUILD.ron", "build()")]) else { return };
    let run = it.built();
    run.came("");
    assert_eq!(run.done()["go_processes"], 0);
}
