//! What becomes of targets that list platforms.

use super::tests::{one_refused, workspace};
use expect_test::expect;
use std::fmt::Write;

#[test]
fn a_target_for_several_platforms_settles_once_for_each() {
    let targets = workspace(&[(
        "a",
        r#"defaults: (goos: "windows", goarch: "amd64", level: "v3", tags: ["x"]), targets: [
            go_binary(name: "p", platforms: ["linux/arm/7,softfloat", "windows/386", "linux/amd64"]),
            go_binary(name: "one"),
        ]"#,
    )])
    .unwrap();
    let mut out = String::new();
    for it in targets.iter() {
        for settings in it.rule.go_settings() {
            let path = settings.platform.program(&it.label);
            let _ = writeln!(out, "{path} {:?} {:?}", settings.platform.level, settings.tags);
        }
    }
    expect![[r#"
        a/one.exe Some("v3") ["x"]
        a/p/linux_arm_7-softfloat/p Some("7,softfloat") ["x"]
        a/p/windows_386/p.exe None ["x"]
        a/p/linux_amd64/p None ["x"]
    "#]]
    .assert_eq(&out);
}

#[test]
fn platforms_that_are_none_and_those_said_twice_are_told() {
    one_refused(
        r#"go_binary(name: "p", platforms: ["linux/amd46", "linux/arm64", "linux/arm64", "linux/arm64/v3"], goos: "linux"),
           go_tests(name: "t", packages: ["."], platforms: []),
           go_binary(name: "two", platforms: ["linux/arm64", "linux/amd64"]),
           command(name: "c", argv: ["{:two}"], outputs: ["o"])"#,
        expect![[r#"
            in `linux/amd46` `amd46` is no architecture that Go knows
              a/BUILD.ron:1:50: "linux/amd46"
              hint: did you mean `amd64`?
            `linux/arm64` is listed twice
              a/BUILD.ron:1:80: "linux/arm64"
              hint: list each platform once
            `v3` is no level of `arm64` (GOARM64)
              a/BUILD.ron:1:95: "linux/arm64/v3"
              hint: write one of `v8.0`, `v8.1`, `v8.2`, `v8.3`, `v8.4`, `v8.5`, `v8.6`, `v8.7`, `v8.8`, `v8.9`, `v9.0`, `v9.1`, `v9.2`, `v9.3`, `v9.4`, `v9.5` (it may be followed by `,lse`, `,crypto`)
            `goos` and `platforms` say the same twice
              a/BUILD.ron:1:120: "linux" here
              a/BUILD.ron:1:50: "linux/amd46" and here
              hint: leave `goos` out; `platforms` takes `linux/arm64/v9.0`
            `//a:t` lists no platforms
              a/BUILD.ron:2:27: "t"
              hint: leave `platforms` out to build for this machine
            `//a:two` is several files, not one file that can be named
              a/BUILD.ron:4:39: {:two}
              hint: list it in `inputs`, and write the path as an argument
        "#]],
    );
}
