//! Globs over real folders, with links and strange names.

use super::expand_target;
use crate::effects::workspace::load;
use crate::formats::testing::told;
use crate::words::label::Label;
use crate::words::label::PackagePath;
use expect_test::{Expect, expect};
use std::ffi::OsStr;
use std::fs::{create_dir_all, write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

#[expect(clippy::disallowed_methods, reason = "a test lays out the files it needs")]
fn put(root: &Path, name: impl AsRef<Path>) {
    let path = root.join(name);
    create_dir_all(path.parent().unwrap()).unwrap();
    write(path, "x").unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test lays out the files it needs")]
fn tree(target: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in [
        "p/b.proto",
        "p/a.proto",
        "p/sub/c.proto",
        "p/sub/x/d.proto",
        "p/.hidden.proto",
        "p/linkwright-out/e.proto",
        "p/repo/.git/f.proto",
        "p/[g].txt",
        "q/h.proto",
    ] {
        put(root.path(), name);
    }
    write(root.path().join("p/BUILD.ron"), format!("build(targets: [{target}])")).unwrap();
    root
}

fn listed(root: &TempDir) -> String {
    let loaded = load(root.path()).unwrap();
    let label = Label::parse("//p:t", &PackagePath::root()).unwrap();
    match expand_target(root.path(), loaded.targets.get(&label).unwrap()) {
        Ok(files) => files.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(problems) => told(&problems),
    }
}

#[track_caller]
fn check(target: &str, expect: Expect) {
    // A `BUILD.ron` at the root of the workspace is not needed to load it.
    expect.assert_eq(&listed(&tree(target)));
}

#[test]
fn wildcards_stay_in_a_folder_and_double_stars_cross_folders() {
    check(
        "files(name: \"t\", globs: [\"*.proto\"])",
        expect![[r#"
            p/.hidden.proto
            p/a.proto
            p/b.proto"#]],
    );
    check(
        "files(name: \"t\", globs: [\"**/*.proto\"], exclude: [\"sub/x/**\", \".*\"])",
        expect![[r#"
            p/a.proto
            p/b.proto
            p/sub/c.proto"#]],
    );
    check(
        "files(name: \"t\", globs: [\"sub/*.proto\", \"sub/*/?.proto\"])",
        expect![[r#"
            p/sub/c.proto
            p/sub/x/d.proto"#]],
    );
    check(
        "files(name: \"t\", globs: [\"{a,sub/c}.proto\", \"[[]g].txt\"])",
        expect![[r#"
            p/[g].txt
            p/a.proto
            p/sub/c.proto"#]],
    );
}

#[test]
fn a_path_without_wildcards_names_one_file() {
    check(
        "command(name: \"t\", argv: [\"x\"], inputs: [\"a.proto\", \"sub/c.proto\"], outputs: [\"o\"])",
        expect![[r#"
            p/a.proto
            p/sub/c.proto"#]],
    );
}

#[test]
fn what_matches_nothing_is_told_at_its_place() {
    check(
        "files(name: \"t\", globs: [\"*.proto\", \"*.thrift\", \"none/*.x\", \"no.proto\", \"sub\"])",
        expect![[r#"
            `*.thrift` matches no file
              p/BUILD.ron:1:53: "*.thrift"
              hint: paths and globs are relative to `p/`
            `none/*.x` matches no file
              p/BUILD.ron:1:65: "none/*.x"
              hint: paths and globs are relative to `p/`
            no file `no.proto`
              p/BUILD.ron:1:77: "no.proto"
              hint: paths and globs are relative to `p/`
            `sub` is no file
              p/BUILD.ron:1:89: "sub"
        "#]],
    );
}

#[test]
fn links_are_followed_to_files_inside_and_refused_outside() {
    let root = tree("files(name: \"t\", globs: [\"links/*\"])");
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret");
    let link = |to: &Path, name: &str| symlink(to, root.path().join(name)).unwrap();
    put(root.path(), "p/links/plain");
    link(&root.path().join("q/h.proto"), "p/links/inside");
    link(Path::new("nowhere"), "p/links/.#dangling");
    link(root.path(), "p/links/folder");
    expect![[r#"
        p/links/inside
        p/links/plain"#]]
    .assert_eq(&listed(&root));
    link(&outside.path().join("secret"), "p/links/outside");
    expect![[r#"
        [refused] `p/links/outside` is a link that leads out of the workspace
          p/BUILD.ron:1:42: "links/*"
          hint: put the file itself there
    "#]]
    .assert_eq(&listed(&root));
}

#[test]
fn a_folder_that_is_a_link_out_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret");
    for glob in ["out/secret", "out/*"] {
        let root = tree(&format!("files(name: \"t\", globs: [\"{glob}\"])"));
        symlink(outside.path(), root.path().join("p/out")).unwrap();
        assert!(listed(&root).starts_with("[refused]"), "{glob}: {}", listed(&root));
    }
}

#[test]
fn a_name_that_is_no_text_is_an_error_if_it_is_matched() {
    let root = tree("files(name: \"t\", globs: [\"odd/*.go\"])");
    put(root.path(), "p/odd/a.go");
    put(root.path(), Path::new("p/odd").join(OsStr::from_bytes(b"\xff.txt")));
    expect!["p/odd/a.go"].assert_eq(&listed(&root));
    put(root.path(), Path::new("p/odd").join(OsStr::from_bytes(b"\xff.go")));
    expect![[r#"
        the file name `odd/�.go` is not UTF-8 or holds a control character
          p/BUILD.ron:1:42: "odd/*.go"
    "#]]
    .assert_eq(&listed(&root));
}
