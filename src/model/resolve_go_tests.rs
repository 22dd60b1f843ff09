//! Workspaces that pin Go toolchains, and every way in which one is refused.

use super::tests::workspace;
use crate::formats::testing::told;
use crate::model::target::Rule;
use crate::words::label::{Label, PackagePath};
use expect_test::{Expect, expect};

#[track_caller]
fn refused(packages: &[(&str, &str)], expect: Expect) {
    expect.assert_eq(&told(&workspace(packages).unwrap_err()));
}

#[test]
fn a_target_takes_its_own_go_else_that_of_defaults_else_the_one_on_path() {
    let targets = workspace(&[
        (
            "",
            r#"go_sdks: [go_sdk(name: "new", version: "1.27rc1"), go_sdk(name: "old", version: "1.20")],
               targets: [go_binary(name: "a"), go_binary(name: "b", go: "old")]"#,
        ),
        (
            "x",
            r#"defaults: (go: "new"), targets: [
                go_tests(name: "c", packages: ["."]),
                go_binary(name: "d", go: "path", platforms: ["linux/arm64", "linux/amd64"]),
            ]"#,
        ),
    ])
    .map_err(|it| told(&it))
    .unwrap();
    let pin = |label: &str| {
        let target = targets.get(&Label::parse(label, &PackagePath::root()).unwrap()).unwrap();
        assert!(matches!(target.rule, Rule::GoBinary(_) | Rule::GoTests(_)));
        target.rule.pin().map(|it| it.go_version())
    };
    assert_eq!(pin("//:a"), None);
    assert_eq!(pin("//:b").as_deref(), Some("go1.20"));
    assert_eq!(pin("//x:c").as_deref(), Some("go1.27rc1"));
    assert_eq!(pin("//x:d"), None);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one workspace, so that all is told at once")]
fn a_toolchain_that_cannot_be_meant_is_refused_where_it_is_written() {
    refused(
        &[
            (
                "",
                r#"go_sdks: [
                    go_sdk(name: "path", version: "1.26.8"),
                    go_sdk(name: "a b", version: "go1.26.8"),
                    go_sdk(name: "twice", version: "1.26.8"),
                    go_sdk(name: "twice", version: "1.26.8", sums: {"linux/amd65": "h1:x", "linux/amd64/v3": "md5:1"}),
                    go_sdk(name: "url", version: "1.26.8", urls: {"linux/amd64": "ftp://x/go.rar", "linux/arm64": "https://x/go.zip"},
                        sums: {"linux/amd64": "sha256:00"}),
                ]"#,
            ),
            (
                "x",
                r#"go_sdks: [go_sdk(name: "deep", version: "1.26.8")],
                   targets: [go_binary(name: "a", go: "twiec"), go_binary(name: "b", go: "deep")]"#,
            ),
        ],
        expect![[r#"
            `path` is the name of the Go on PATH
              BUILD.ron:2:34: "path"
              hint: give it another name
            `a b` is no name for a Go toolchain
              BUILD.ron:3:34: "a b"
              hint: a name holds ASCII letters, digits, `_`, `-` and `.`
            `go1.26.8` is no version of Go
              BUILD.ron:3:50: "go1.26.8"
              hint: write a whole one, without `go`: `1.26.8`, `1.20`, `1.27rc1`
            the Go toolchain `twice` is declared twice
              BUILD.ron:5:34: "twice" again here
              BUILD.ron:4:34: "twice" first here
            in `linux/amd65` `amd65` is no architecture that Go knows
              BUILD.ron:5:69: "linux/amd65"
              hint: did you mean `amd64`?
            `h1:x` is no sum: `h1:` with 44 characters of base64, or `sha256:`
              BUILD.ron:5:84: "h1:x"
              hint: `go mod download -json golang.org/toolchain@v0.0.1-goVERSION.OS-ARCH` tells it
            `linux/amd64/v3` names a level, and a toolchain runs on any
              BUILD.ron:5:92: "linux/amd64/v3"
              hint: write `linux/amd64`
            `md5:1` is no sum: `h1:` with 44 characters of base64, or `sha256:`
              BUILD.ron:5:110: "md5:1"
              hint: `go mod download -json golang.org/toolchain@v0.0.1-goVERSION.OS-ARCH` tells it
            `ftp://x/go.rar` is no URL of a Go toolchain
              BUILD.ron:6:82: "ftp://x/go.rar"
              hint: it begins with `https://`, `http://` or `file:///`, and ends in `.tar.gz` (go.dev/dl) or `.zip` (a module)
            [refused] `sums` does not say what the archive for `linux/arm64` is
              BUILD.ron:6:100: "linux/arm64"
              hint: nothing is taken unchecked; write its `sha256:…`
            `sha256:00` is no SHA-256: 64 hexadecimal digits, small letters
              BUILD.ron:7:47: "sha256:00"
              hint: go.dev/dl tells that of each archive
            `go_sdks` belongs into the `BUILD.ron` of the workspace's root
              x/BUILD.ron:1:30: "deep"
              hint: targets here name it: `go: "…"`
            no Go toolchain `twiec`
              x/BUILD.ron:2:55: "twiec"
              hint: did you mean `twice`?
            no Go toolchain `deep`
              x/BUILD.ron:2:90: "deep"
              hint: write one of `a b`, `path`, `twice`, `url`, `path`
        "#]],
    );
    refused(
        &[("", r#"defaults: (go: "1.26.8"), targets: [go_binary(name: "a")]"#)],
        expect![[r#"
        no Go toolchain `1.26.8`
          BUILD.ron:1:22: "1.26.8"
          hint: pin one in the root's BUILD.ron: `go_sdks: [go_sdk(name: "…", version: "…")]`
    "#]],
    );
}
