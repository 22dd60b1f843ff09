//! The sources of Go's own commands are no part of a toolchain, nor are the test files of the
//! standard library: no build reads them but that of a command, or of these tests, which counts
//! them as its own.

use crate::support::has;
use crate::workspace::{Run, Workspace, prints, text};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The folder of the toolchain that is on PATH.
fn go_root(it: &Workspace) -> PathBuf {
    let output = it.go(&["env", "GOROOT"]);
    PathBuf::from(text(&output).trim()).canonicalize().unwrap()
}

/// The judge is the system: with nothing compiled before, `go` opens no file of its commands for a
/// program, for tests that count what they run, and for `vet`.
#[test]
fn no_build_of_other_packages_opens_the_sources_of_gos_commands() {
    if !has("strace") {
        return;
    }
    let test = "package main\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\n";
    let files = [("main.go", &*prints("one")), ("main_test.go", test)];
    let Some(it) = Workspace::new(&files) else { return };
    let sources = go_root(&it).join("src");
    let commands = format!("{}/", sources.join("cmd").display());
    let trace = it.home().join("trace");
    for words in [
        &["build", "-o", "p", "-ldflags=-linkmode=internal", "."][..],
        &["test", "-c", "-cover", "-o", "t", "."],
        &["vet", "."],
        &["list", "-deps", "-test", "."],
    ] {
        let mut command = it.command("strace");
        command.args(["-f", "--seccomp-bpf", "-s", "4096", "-e", "trace=open,openat", "-o"]);
        command.arg(&trace).arg("go").args(words);
        command.env("CGO_ENABLED", "0").env("GOCACHE", it.home().join("empty"));
        command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        let trace = fs::read_to_string(&trace).unwrap();
        assert!(trace.contains(&*sources.join("runtime").to_string_lossy()), "{words:?}");
        let opened: Vec<_> = trace.lines().filter(|it| it.contains(&commands)).collect();
        assert!(opened.is_empty(), "{words:?}: {opened:#?}");
    }
}

/// A copy of the toolchain that may be edited.
fn copied(it: &Workspace) -> PathBuf {
    let copy = it.home().join("go");
    let status = Command::new("cp").arg("-r").arg(go_root(it)).arg(&copy).status();
    assert!(status.unwrap().success());
    copy
}

fn build(it: &Workspace, toolchain: &Path) -> Run {
    build_with(it, toolchain, &[])
}

/// The caller's PATH with a toolchain before all else.
fn path_of(toolchain: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(toolchain.join("bin")).chain(std::env::split_paths(&path));
    std::env::join_paths(path).unwrap()
}

fn build_with(it: &Workspace, toolchain: &Path, options: &[&str]) -> Run {
    let mut command = it.linkwright(&[&["build", "--json"], options].concat());
    let run = Run::of(&command.env("PATH", path_of(toolchain)).output().unwrap());
    assert_eq!(run.code, 0, "{run:#?}");
    run
}

/// Builds until the run is remembered.
fn settle(it: &Workspace, toolchain: &Path) {
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(300));
        build(it, toolchain);
    }
    assert_eq!(build(it, toolchain).done()["recalled"], true);
}

/// Programs that import `fmt`, for this system and another one, built by a toolchain that may be
/// edited.
struct Edited {
    it: Workspace,
    toolchain: PathBuf,
}

impl Edited {
    fn with(go_mod: &str) -> Option<Self> {
        let rules = "build(targets: [go_binary(name: \"p\", package: \".\", link: \"pure\"), \
                     go_binary(name: \"w\", package: \".\", link: \"pure\", platforms: [\"windows/amd64\"])])";
        let main = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n";
        let files = [("BUILD.ron", rules), ("main.go", main), ("go.mod", go_mod)];
        let it = Workspace::new(&files)?;
        let toolchain = copied(&it);
        settle(&it, &toolchain);
        Some(Self { it, toolchain })
    }

    fn lines(&self, mut command: Command) -> BTreeSet<String> {
        let output = command.env("PATH", path_of(&self.toolchain)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let names = String::from_utf8(output.stdout).unwrap();
        names.lines().map(str::to_owned).collect()
    }

    fn queried(&self, pattern: &str) -> BTreeSet<String> {
        self.lines(self.it.linkwright(&["query", "--packages", pattern]))
    }

    fn listed(&self, system: &str) -> BTreeSet<String> {
        let mut command = self.it.command("go");
        command.args(["list", "-deps", "."]).env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
        command.env("GOOS", system);
        self.lines(command)
    }

    /// Lets a file of the standard library import one more package.
    fn import(&self, file: &str, package: &str) {
        let source = self.toolchain.join("src").join(file);
        let text = fs::read_to_string(&source).unwrap();
        let more = format!("import (\n\t_ \"{package}\"");
        assert!(text.contains("import ("), "{file}");
        fs::write(&source, text.replacen("import (", &more, 1)).unwrap();
    }
}

/// The judge is `go list`. A query reads packages while it looks whether the toolchain is the one
/// that it was, and looks only at files that decide what is read: of packages that were told of
/// before, and not those whose names say that they are for another system.
#[test]
fn an_edit_of_the_standard_library_is_news_for_a_query() {
    let Some(it) = Edited::with("module example.com/m\n\ngo 1.24\n") else { return };
    let before = it.queried("//:p");
    assert_eq!(before, it.listed("linux"));
    assert!(!before.contains("container/list") && !before.contains("container/ring"));

    it.import("os/file_windows.go", "container/list");
    it.import("text/template/exec.go", "container/list");
    assert_eq!(it.queried("//:p"), before);
    let there = it.queried("//:w");
    assert!(there.contains("container/list"), "{there:?}");
    assert_eq!(there, it.listed("windows"));
    assert_eq!(it.queried("//..."), &before | &there);

    let new = it.toolchain.join("src/fmt/new.go");
    fs::write(&new, "package fmt\n\nimport _ \"container/ring\"\n").unwrap();
    let after = it.queried("//:p");
    assert!(after.contains("container/ring"), "{after:?}");
    assert_eq!(after, it.listed("linux"));
}

/// The same of an answer that is kept as a whole, where what packages there are cannot be read:
/// `ignore` in `go.mod` is Go's to understand.
#[test]
fn an_edit_of_the_standard_library_is_news_for_a_query_whose_answer_is_kept() {
    let Some(it) = Edited::with("module example.com/m // ignore\n\ngo 1.24\n") else { return };
    assert_eq!(it.queried("//:p"), it.listed("linux"));
    it.import("fmt/print.go", "container/ring");
    let after = it.queried("//:p");
    assert!(after.contains("container/ring"), "{after:?}");
    assert_eq!(after, it.listed("linux"));
}

#[test]
fn an_edit_of_a_command_of_go_is_news_for_those_who_build_it_alone() {
    let rules = |package: &str| {
        format!("build(targets: [go_binary(name: \"p\", package: \"{package}\", link: \"pure\")])")
    };
    let files = [("BUILD.ron", &*rules(".")), ("main.go", &*prints("one"))];
    let Some(it) = Workspace::new(&files) else { return };
    let toolchain = copied(&it);
    settle(&it, &toolchain);
    let key = it.record("//:p")["key"].clone();
    let source = toolchain.join("src/cmd/pack/doc.go");
    let edit = |more: &str| {
        let text = fs::read_to_string(&source).unwrap() + more;
        fs::write(&source, text).unwrap();
    };
    edit("\n// One more line.\n");
    assert_eq!(build(&it, &toolchain).done()["recalled"], true);
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    build(&it, &toolchain).came("restored 1");
    assert_eq!(it.record("//:p")["key"], key, "nothing of it went into the program");

    it.file("BUILD.ron", &rules("cmd/pack"));
    settle(&it, &toolchain);
    let key = it.record("//:p")["key"].clone();
    edit("\nfunc init() { println(\"edited\") }\n");
    let run = build(&it, &toolchain);
    run.came("built 1");
    assert_ne!(it.record("//:p")["key"], key);
    let said = Command::new(it.bin("p")).output().unwrap();
    assert!(text(&said).contains("edited"), "{}", text(&said));

    settle(&it, &toolchain);
    let more = toolchain.join("src/cmd/pack/more.go");
    fs::write(&more, "package main\n\nfunc init() { println(\"more\") }\n").unwrap();
    build(&it, &toolchain).came("built 1");
    let said = Command::new(it.bin("p")).output().unwrap();
    assert!(text(&said).contains("more"), "{}", text(&said));
}

#[test]
fn where_a_tool_is_missing_the_sources_of_all_of_them_count() {
    let rules = "build(targets: [go_binary(name: \"p\", link: \"pure\")])";
    let files = [("BUILD.ron", rules), ("main.go", &*prints("one"))];
    let Some(it) = Workspace::new(&files) else { return };
    let toolchain = copied(&it);
    let tools = fs::read_dir(toolchain.join("pkg/tool")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(tools.join("vet")).unwrap();
    settle(&it, &toolchain);
    let key = it.record("//:p")["key"].clone();
    let source = toolchain.join("src/cmd/vet/doc.go");
    let text = fs::read_to_string(&source).unwrap() + "\n// One more line.\n";
    fs::write(&source, text).unwrap();
    assert_eq!(build(&it, &toolchain).done()["recalled"], false);
    assert_ne!(it.record("//:p")["key"], key);
}

/// Every test file below a folder.
fn test_files(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|it| it.unwrap().into_path());
    files.filter(|it| it.to_string_lossy().ends_with("_test.go") && it.is_file()).collect()
}

#[test]
fn an_edit_of_a_test_of_the_standard_library_is_news_for_those_who_run_it_alone() {
    let rules = |rule: &str| format!("build(targets: [{rule}(name: \"p\", link: \"pure\")])");
    let files = [("BUILD.ron", &*rules("go_binary")), ("main.go", &*prints("one"))];
    let Some(it) = Workspace::new(&files) else { return };
    let toolchain = copied(&it);
    settle(&it, &toolchain);
    let (key, program) = (it.record("//:p")["key"].clone(), it.bytes("p"));
    let folder = toolchain.join("src/errors");
    let source = folder.join("errors_test.go");
    let whole = fs::read_to_string(&source).unwrap();
    fs::write(&source, format!("{whole}\n// One more line.\n")).unwrap();
    assert_eq!(build(&it, &toolchain).done()["recalled"], true);
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    build(&it, &toolchain).came("restored 1");
    assert_eq!(it.record("//:p")["key"], key, "nothing of it went into the program");

    let tests = rules("go_tests").replace("link:", "packages: [\"errors\"], link:");
    it.file("BUILD.ron", &tests);
    settle(&it, &toolchain);
    let edit = |file: &Path, words: &str, name: &str| {
        let key = it.record("//:p")["key"].clone();
        fs::write(file, words).unwrap();
        build(&it, &toolchain).came("built 1");
        assert_ne!(it.record("//:p")["key"], key, "{name}");
        let output = it.record("//:p")["output"].as_str().unwrap().to_owned();
        let mut program = Command::new(it.path("linkwright-out").join(output));
        let listed = program.args(["-test.list", name]).output().unwrap();
        assert_eq!(text(&listed), format!("{name}\n"));
        settle(&it, &toolchain);
    };
    let test = |name: &str| format!("func {name}(*testing.T) {{}}\n");
    edit(&source, &format!("{whole}\n{}", test("TestEdited")), "TestEdited");
    let more = format!("package errors_test\n\nimport \"testing\"\n\n{}", test("TestMore"));
    edit(&folder.join("more_test.go"), &more, "TestMore");
    fs::remove_file(folder.join("more_test.go")).unwrap();
    build(&it, &toolchain).came("restored 1");

    // The judge: with none of them there, and nothing kept, the program has the same bytes.
    let all = test_files(&toolchain.join("src"));
    assert!(all.len() > 1000, "{}", all.len());
    for file in &all {
        fs::remove_file(file).unwrap();
    }
    it.file("BUILD.ron", &rules("go_binary"));
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    let empty = ["store", "cache"].map(|name| it.home().join(format!("empty-{name}")));
    let [store, cache] = empty.each_ref().map(|it| it.to_str().unwrap());
    let options = ["--store", store, "--go-cache", cache];
    build_with(&it, &toolchain, &options).came("built 1");
    assert_eq!(it.record("//:p")["key"], key);
    assert!(it.bytes("p") == program, "the program is another");
}
