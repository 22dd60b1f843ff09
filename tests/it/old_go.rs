//! A Go that asks no program for what was compiled, tells no package of a message and makes one
//! test binary at a time: the same outputs, never a stale one, and a record of what was missing.

use crate::go_sdk::{fetched, proxy_folder, sums};
use crate::support::has;
use crate::test_runs::test_file;
use crate::workspace::{Run, Workspace, holds, text};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// The oldest that is driven, with its sum in Go's checksum database.
const OLD: (&str, &str) = ("1.19.13", "h1:+OmeJh7XWeMq4xTkHYEhIziJY/ifiVi4gcm2BWaUnyk=");

const MAIN: &str = r#"package main

import (
	"net"
	"runtime"

	"example.com/m/a"
)

func main() {
	_, _ = net.LookupHost("localhost")
	println(runtime.Version(), a.Word())
}
"#;

fn command(it: &Workspace, arguments: &[&str]) -> Command {
    let mut command = it.linkwright(arguments);
    command.env("GOPROXY", format!("file://{}", proxy_folder().display()));
    command
}

fn run(it: &Workspace, arguments: &[&str]) -> Run {
    Run::of(&command(it, arguments).output().unwrap())
}

fn lacks(record: &Value) -> Vec<&str> {
    let all = record["toolchain"]["go_lacks"].as_array();
    all.into_iter().flatten().map(|it| it.as_str().unwrap()).collect()
}

fn workspace() -> Option<Workspace> {
    if !has("gcc") {
        return None;
    }
    fetched(OLD.0)?;
    let rules = format!(
        r#"build(
    go_sdks: [go_sdk(name: "old", version: "{}", {})],
    defaults: (go: "old", link: "static"),
    targets: [
        go_binary(name: "old", package: "./cmd/tells"),
        go_binary(name: "path", package: "./cmd/tells", go: "path"),
        go_binary(name: "c", package: "./cmd/c", link: "static_glibc"),
        go_tests(name: "tests", packages: ["./a", "./b"]),
    ],
)
"#,
        OLD.0,
        sums(OLD.1)
    );
    let test = |name, want: &str| {
        let body = format!("func TestA(t *testing.T) {{ if Word() != {want} {{ t.Error() }} }}");
        test_file(name, "", &body)
    };
    Workspace::new(&[
        ("go.mod", "module example.com/m\n\ngo 1.19\n"),
        ("BUILD.ron", &rules),
        ("cmd/tells/main.go", MAIN),
        (
            "cmd/c/main.go",
            "package main\n\n// #cgo CFLAGS: -I${SRCDIR}/../../include\n// #include \"number.h\"\n\
             import \"C\"\n\nfunc main() { println(int(C.NUMBER)) }\n",
        ),
        ("include/number.h", "#define NUMBER 1\n"),
        ("a/a.go", "package a\n\nfunc Word() string { return \"one\" }\n"),
        ("a/a_test.go", &test("a", "\"one\"")),
        ("b/b.go", "package b\n\nfunc Word() int { return 2 }\n"),
        ("b/b_test.go", &test("b", "2")),
    ])
}

#[test]
fn an_old_go_beside_a_new_one_is_never_stale_and_its_record_says_what_it_lacks() {
    let Some(it) = workspace() else { return };
    let first = run(&it, &["test", "--json"]);
    let passed =
        |run: &Run| run.all("test_finished").filter(|it| it["outcome"] == "passed").count();
    assert_eq!((first.code, passed(&first)), (0, 2), "{first:#?}");
    let all = run(&it, &["build", "--json"]);
    all.came("built 3, up_to_date 2");
    let own = text(&it.go(&["env", "GOVERSION"]));
    assert_eq!(it.says("old"), "go1.19.13 one\n");
    assert_eq!(it.says("path"), format!("{} one\n", own.trim()));
    assert_eq!(it.says("c"), "1\n");
    let (old, new) = (it.record("//:old"), it.record("//:path"));
    assert_eq!(
        (&old["linkage"]["class"], &old["toolchain"]["go"]),
        (&"static".into(), &"go1.19.13".into())
    );
    assert_eq!(old["build_info"]["go_version"], "go1.19.13");
    let told = lacks(&old);
    assert_eq!((told.len(), lacks(&new).len()), (4, 0), "{old:#}");
    holds(&told.join("\n"), &["GOCACHEPROG", "-json", "test -c"]);
    let linked = [first.links(), all.links()].concat();
    let by_old = linked.iter().filter(|it| !it.contains(&"-json")).count();
    assert_eq!((linked.len(), by_old), (5, 4), "{linked:?}");

    // Nothing changed: no process.
    std::thread::sleep(Duration::from_millis(300));
    run(&it, &["build", "--json"]).came("up_to_date 5");
    let idle = run(&it, &["build", "--json"]);
    assert_eq!(idle.done()["go_processes"], 0, "{idle:#?}");

    // What a program imports, and a header that Go does not see.
    it.file("a/a.go", "package a\n\nfunc Word() string { return \"two\" }\n");
    it.file("include/number.h", "#define NUMBER 2\n");
    let run_again = run(&it, &["build", "--json"]);
    run_again.came("built 4, up_to_date 1");
    assert_eq!(it.says("old"), "go1.19.13 two\n");
    assert_eq!(it.says("c"), "2\n");
    let red = run(&it, &["test", "--json"]);
    assert_eq!((red.code, passed(&red)), (3, 1), "{red:#?}");

    // A whole batch fails for one of its programs: the other one comes out, each told its own.
    it.file("cmd/bad/main.go", "package main\n\nfunc main() { println(nothing) }\n");
    it.file("cmd/good/main.go", &crate::workspace::prints("good"));
    let more = "go_binary(name: \"bad\", package: \"./cmd/bad\"),\n        \
                go_binary(name: \"good\", package: \"./cmd/good\"),\n    ],\n)\n";
    it.file("BUILD.ron", &it.read("BUILD.ron").replace("    ],\n)\n", more));
    let run_bad = run(&it, &["build", "--json", "--keep-going", "//:bad", "//:good"]);
    assert_eq!(run_bad.code, 1, "{run_bad:#?}");
    holds(&run_bad.error("//:bad"), &["cmd/bad/main.go:3:23: undefined: nothing"]);
    assert_eq!(it.says("good"), "good\n");

    // As the Go on PATH, for those who have no other.
    let bin = it.home().join("go-of-old");
    let kept = std::fs::read_dir(it.store().join("v1/sdk")).unwrap().flatten();
    let root = kept.map(|it| it.path().join("go")).find(|it| it.is_dir()).unwrap();
    std::os::unix::fs::symlink(root.join("bin"), &bin).unwrap();
    let path = std::env::join_paths([bin.as_path(), std::path::Path::new("/usr/bin")]).unwrap();
    let mut doctor = it.linkwright(&["doctor", "pure"]);
    let said = text(&doctor.env("PATH", path).output().unwrap());
    holds(&said, &["go1.19.13 (", "go lacks", "no `GOCACHEPROG`", "works"]);
}

#[test]
fn a_level_that_an_old_go_would_ignore_is_refused() {
    let Some(it) = workspace() else { return };
    let rules = it
        .read("BUILD.ron")
        .replace("\"./cmd/tells\")", "\"./cmd/tells\", goarch: \"arm64\", level: \"v9.0\")");
    it.file("BUILD.ron", &rules);
    let run = run(&it, &["build", "--json", "//:old"]);
    assert_eq!(run.code, 6, "{run:#?}");
    holds(&run.error("//:old"), &["Go 1.19 ignores `GOARM64`, which is of Go 1.23"]);
}
