//! Workspaces on disk, and every way in which one cannot be found or read.

use super::{LoadError, Place, find, load, load_rules};
use crate::formats::testing::told;
use crate::words::exit_code::ExitCode;
use expect_test::{Expect, expect};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{create_dir_all, write};
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

const EMPTY: &str = "build(targets: [])";

/// Makes a folder with these files; a `.git` keeps what lies above the temporary folder out.
#[expect(clippy::disallowed_methods, reason = "a test lays out the files it needs")]
fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    create_dir_all(root.path().join(".git")).unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, text).unwrap();
    }
    root
}

fn labels(root: &Path) -> String {
    match load(root) {
        Ok(loaded) => {
            let labels = loaded.targets.iter().map(|it| it.label.to_string());
            labels.collect::<Vec<_>>().join("\n")
        }
        Err(LoadError::Rules(problems)) => told(&problems),
        Err(error) => error.to_string().replace(&root.display().to_string(), "ROOT"),
    }
}

#[track_caller]
fn check(root: &TempDir, expect: Expect) {
    expect.assert_eq(&labels(root.path()));
}

#[test]
fn the_root_is_the_topmost_folder_with_a_build_file() {
    let root = tree(&[("BUILD.ron", EMPTY), ("a/b/BUILD.ron", EMPTY), ("a/b/c/x.go", "")]);
    let Place { root: found, here } = find(&root.path().join("a/b/c")).unwrap();
    assert_eq!(found, root.path().canonicalize().unwrap());
    assert_eq!(here.as_str(), "a/b/c");
    assert_eq!(find(root.path()).unwrap().here.as_str(), "");
}

#[test]
fn a_repository_is_no_part_of_the_one_around_it() {
    let root = tree(&[("BUILD.ron", EMPTY), ("sub/BUILD.ron", EMPTY), ("sub/.git", "gitdir: x")]);
    let found = find(&root.path().join("sub")).unwrap();
    assert_eq!(found.root, root.path().join("sub").canonicalize().unwrap());
    assert_eq!(load(root.path()).unwrap().packages.len(), 1);
}

#[test]
fn a_folder_outside_any_workspace_is_told() {
    let root = tree(&[("a/x", "")]);
    let plain = root.path().canonicalize().unwrap().display().to_string();
    let tell =
        |it: &str| find(&root.path().join(it)).unwrap_err().to_string().replace(&plain, "ROOT");
    expect!["no `BUILD.ron` in `ROOT/a` or a folder above it"].assert_eq(&tell("a"));
    assert!(tell("none").starts_with("cannot look for a workspace from"));
    assert!(tell("a/x").starts_with("cannot look for a workspace from"));
}

#[test]
fn packages_are_found_everywhere_but_in_what_belongs_to_others() {
    let target = |name: &str| format!("build(targets: [suite(name: \"{name}\", targets: [])])");
    let files = [
        "",
        "a/b/",
        ".hidden/",
        "linkwright-out/",
        "node_modules/x/",
        "vendor/x/",
        "a/testdata/",
        "deep/vendored/",
    ];
    let files: Vec<_> = files.map(|it| (format!("{it}BUILD.ron"), target("t"))).to_vec();
    let files: Vec<_> = files.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
    let root = tree(&files);
    symlink(root.path(), root.path().join("a/loop")).unwrap();
    symlink("/", root.path().join("outside")).unwrap();
    check(
        &root,
        expect![[r#"
            //:t
            //a/b:t
            //deep/vendored:t"#]],
    );
}

#[test]
fn own_rules_are_read_by_name_and_only_from_the_root() {
    let root = tree(&[
        ("BUILD.ron", "build(targets: [go_binary(name: \"a\", link: \"mine\")])"),
        ("rules/b.ron", "rules(ladders: [ladder(name: \"mine\", tries: [\"own\"])])"),
        ("rules/a.ron", "rules(strategies: [strategy(name: \"own\")])"),
        ("rules/notes.txt", "not rules"),
        ("sub/rules/c.ron", "not read"),
    ]);
    let loaded = load(root.path()).unwrap();
    let names: Vec<_> = loaded.sources.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["BUILD.ron", "rules/a.ron", "rules/b.ron"]);
    assert!(load_rules(Some(root.path())).unwrap().ladder("mine").is_some());
    assert!(load_rules(None).unwrap().ladder("mine").is_none());
}

#[test]
fn all_files_with_mistakes_are_told_at_once() {
    let root = tree(&[
        ("BUILD.ron", "build(targts: [])"),
        ("a/BUILD.ron", ""),
        ("b/BUILD.ron", "build(targets: [)"),
        ("rules/x.ron", "rules(strategies: [strategy()])"),
    ]);
    check(
        &root,
        expect![[r#"
        `a/BUILD.ron` is empty
          hint: a minimal file is `build(targets: [go_binary(name: "app")])`
        `build` has no field `targts`
          BUILD.ron:1:7: targts
          hint: did you mean `targets`?
        `[` is closed by `)`
          b/BUILD.ron:1:17: ) `]` must come first
          b/BUILD.ron:1:16: [ opened here
        `strategy` lacks the field `name`
          rules/x.ron:1:20: strategy()
    "#]],
    );
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let root = tree(&[
        ("BUILD.ron", EMPTY),
        ("real", EMPTY),
        ("link/x", ""),
        ("zero/x", ""),
        ("pipe/x", ""),
    ]);
    let path = |it: &str| root.path().join(it);
    create_dir_all(path("folder/BUILD.ron")).unwrap();
    symlink(path("real"), path("link/BUILD.ron")).unwrap();
    symlink("/dev/zero", path("zero/BUILD.ron")).unwrap();
    mknodat(CWD, path("pipe/BUILD.ron"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    check(
        &root,
        expect![[r#"
        `folder/BUILD.ron` is a folder, not a file
        `link/BUILD.ron` is a symbolic link
          hint: put the file itself there
        `pipe/BUILD.ron` is a pipe, not a file
        `zero/BUILD.ron` is a symbolic link
          hint: put the file itself there
    "#]],
    );
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let root = tree(&[("BUILD.ron", &" ".repeat((16 << 20) + 1))]);
    check(
        &root,
        expect![[r#"
        `BUILD.ron` is larger than 16 MiB
    "#]],
    );
}

#[test]
fn a_folder_that_no_label_can_name_is_told() {
    let root = tree(&[("BUILD.ron", EMPTY), ("a:b/BUILD.ron", EMPTY), ("c:d/x", "")]);
    check(
        &root,
        expect![[r#"
        the folder `a:b` cannot be named in labels
          hint: rename it: no `:`, `\` or control characters, valid UTF-8, no leading `-`
    "#]],
    );
}

#[test]
fn a_refusal_outweighs_a_mistake_in_the_exit_code() {
    let code = |flags: &str| {
        let text = format!("build(targets: [go_binary(name: \"a\", {flags})])");
        load(tree(&[("BUILD.ron", &text)]).path()).unwrap_err().exit_code()
    };
    assert_eq!(code("link: \"no\""), ExitCode::BadInput);
    assert_eq!(code("link: \"no\", ldflags: [\"-extld=x\"]"), ExitCode::Refused);
}
