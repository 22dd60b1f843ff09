//! Every example, built by the program itself: its report, its files and `readelf`, its programs.
//!
//! Each is built in a copy. What the README of an example shows is held against the same copy.

use crate::checkout::{Checkout, can_build, start_alone, without_sizes};
use crate::support::{has, manifest_dir};
use crate::workspace::shared;
use expect_test::expect;
use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

/// Builds, and holds the report against what the README shows.
#[track_caller]
fn shown_report(example: &Checkout, arguments: &[&str]) -> String {
    let report = example.report(arguments);
    let readme = fs::read_to_string(example.path("README.md")).unwrap();
    let shown: BTreeSet<_> = readme.lines().map(without_sizes).collect();
    for line in report.lines().skip(1) {
        assert!(shown.contains(&without_sizes(line)), "the README does not show {line:?}");
    }
    report
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn net_and_user_is_dynamic_by_default_and_by_the_seed_recipe_and_static_by_netgo() {
    if !can_build() {
        return;
    }
    let example = Checkout::of("examples/net-and-user");
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:default  dynamic  default  #  built
        //:static  static  netgo  #  built
        2 outputs: 2 built
    "#]]
    .assert_eq(&shown_report(&example, &["build", ":default", ":static"]));
    expect![[r#"
        exit 6
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:seed  -  -  -  failed
        1 output: 1 failed
        failed: //:seed (example.com/net-and-user)
          no strategy of `seed_2015` gives what it promises
            seed_2015: built, but not as promised: it needs `libc.so.6`
          hint: link it in: the tags `netgo,osusergo` where only Go's own packages use C, else external linking with `-static` (strategy `static_glibc`)
          hint: `link: "netgo"` would hold: Go's own name resolver and user look-up, linked by Go's own linker: static if nothing else uses cgo.
    "#]].assert_eq(&shown_report(&example, &["build", ":seed"]));
    assert_eq!(example.judge().len(), 2, "what broke its promise is not recorded");
    assert!(!example.path("linkwright-out/bin/seed").exists());

    let Some(start) = start_alone(&example.path("linkwright-out/bin/static"), &[]) else { return };
    assert!(start.status.success() && said(&start).contains("localhost: "), "{start:?}");
    let start = start_alone(&example.path("linkwright-out/bin/default"), &[]).unwrap();
    assert_eq!(start.status.code(), Some(127), "{start:?}");
    let run = example.linkwright(&["--quiet", "run", ":static"]);
    assert!(String::from_utf8_lossy(&run.stdout).starts_with("localhost: 127.0.0.1"), "{run:?}");
}

#[test]
fn two_static_database_nodes_find_each_other_by_name_in_sealed_roots() {
    if !can_build() || !has("protoc") {
        return;
    }
    let example = Checkout::of("examples/cpp-database");
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:messages  -  -  -  built
        //:node  static  static_glibc  #  built
        //:tests
          example.com/cpp-database/node  static  static_glibc  #  built
          example.com/cpp-database/store  static  static_glibc  #  built
          example.com/cpp-database/wire  static  static_glibc  #  built
        5 outputs: 5 built
    "#]]
    .assert_eq(&shown_report(&example, &["build"]));
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:messages  -  -  -  up to date
        //:node  static  static_glibc  #  up to date
        //:tests
          example.com/cpp-database/node  static  static_glibc  #  up to date
          example.com/cpp-database/store  static  static_glibc  #  up to date
          example.com/cpp-database/wire  static  static_glibc  #  up to date
        5 outputs: 5 up to date
    "#]]
    .assert_eq(&example.report(&["build"]));
    assert_eq!(example.judge().len(), 4);
    for record in example.records() {
        assert_eq!(record["linkage"]["hazards"], serde_json::json!([]), "{record:#}");
    }

    let script = example.path("two-nodes").display().to_string();
    let mut nodes = example.linkwright_by(&script);
    let nodes = nodes.arg(":node").output().unwrap();
    assert!(nodes.status.success(), "{nodes:?}");
    let mut lines: Vec<_> = said(&nodes).lines().map(str::to_owned).collect();
    lines.sort();
    expect![[r#"
        alpha: found beta at 127.0.0.3, it is beta
        alpha: has shape=round
        alpha: joined by beta
        alpha: listens on 127.0.0.2:7001 as uid 1000
        alpha: stored shape=round from beta
        beta: found alpha at 127.0.0.2, it is alpha
        beta: has colour=blue
        beta: joined by alpha
        beta: listens on 127.0.0.3:7002 as uid 1000
        beta: stored colour=blue from alpha
    "#]]
    .assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn a_library_in_cxx_on_one_of_the_machine_is_linked_into_one_file() {
    if !can_build() || !has("pkg-config") || !has("g++") {
        return;
    }
    let example = Checkout::of("examples/c-libraries");
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE  WARNINGS
        //:nearest  static  static_glibc  #  built  1
        //:nearest_pie  static_pie  static_pie  #  built  1
        //:nearest_shared  dynamic  default  #  built
        3 outputs: 3 built
    "#]]
    .assert_eq(&shown_report(&example, &["build"]));
    assert_eq!(example.judge().len(), 3);
    for name in ["nearest", "nearest_pie"] {
        let program = example.path(&format!("linkwright-out/bin/{name}"));
        let Some(start) = start_alone(&program, &["lnkwrigth"]) else { return };
        assert_eq!(said(&start), "linkwright\n");
    }
}

#[test]
fn gossip_tests_are_static_and_pass_and_are_the_ones_that_the_loop_builds() {
    if !can_build() || !has("make") {
        return;
    }
    let example = Checkout::of("examples/gossip-tests");
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:tests
          example.com/gossip-tests/a/util  static  netgo  #  built
          example.com/gossip-tests/account  static  netgo  #  built
          example.com/gossip-tests/address  static  netgo  #  built
          example.com/gossip-tests/b/util  static  netgo  #  built
          example.com/gossip-tests/bloom  static  netgo  #  built
          example.com/gossip-tests/clock  static  netgo  #  built
          example.com/gossip-tests/config  static  netgo  #  built
          example.com/gossip-tests/crc  static  static_glibc  #  built
          example.com/gossip-tests/member  static  netgo  #  built
          example.com/gossip-tests/murmur  static  static_glibc  #  built
          example.com/gossip-tests/queue  static  netgo  #  built
          example.com/gossip-tests/ring  static  static_glibc  #  built
          example.com/gossip-tests/status  static  netgo  #  built
          example.com/gossip-tests/transport  static  static_glibc  #  built
          example.com/gossip-tests/version  static  netgo  #  built
        15 outputs: 15 built
    "#]]
    .assert_eq(&shown_report(&example, &["build", ":tests"]));
    let tests = example.judge();
    assert_eq!(tests.len(), 15);
    for (record, test) in example.records().iter().zip(&tests) {
        let package = record["go_package"].as_str().unwrap();
        let folder = package.strip_prefix("example.com/gossip-tests/").unwrap();
        let run = example.command(&test.display().to_string());
        let run = { run }.current_dir(example.path(folder)).output().unwrap();
        assert!(run.status.success() && said(&run).ends_with("PASS\n"), "{package}: {run:?}");
        // What reads no file of its folder passes where there is nothing else at all.
        if !example.path(folder).join("testdata").exists() && folder != "account" {
            let Some(run) = start_alone(test, &[]) else { return };
            assert!(run.status.success(), "{package}: {run:?}");
        }
    }

    let mut make = example.command("make");
    make.env("GOCACHE", shared("plain-go-cache")).env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
    let make = make.env("CGO_ENABLED", "1").output().unwrap();
    assert!(make.status.success(), "{make:?}");
    let text = String::from_utf8(make.stdout).unwrap();
    let loop_: BTreeSet<_> = text.lines().filter_map(|it| it.strip_suffix(": static")).collect();
    let records = example.records();
    let ours: BTreeSet<_> = records.iter().map(|it| it["go_package"].as_str().unwrap()).collect();
    assert_eq!(loop_, ours);
}

#[test]
fn gossip_tests_with_the_race_detector_are_static_and_pass() {
    if !can_build() {
        return;
    }
    let example = Checkout::of("examples/gossip-tests");
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:race
          example.com/gossip-tests/a/util  static  static_race  #  built
          example.com/gossip-tests/account  static  static_race  #  built
          example.com/gossip-tests/address  static  static_race  #  built
          example.com/gossip-tests/b/util  static  static_race  #  built
          example.com/gossip-tests/bloom  static  static_race  #  built
          example.com/gossip-tests/clock  static  static_race  #  built
          example.com/gossip-tests/config  static  static_race  #  built
          example.com/gossip-tests/crc  static  static_race  #  built
          example.com/gossip-tests/member  static  static_race  #  built
          example.com/gossip-tests/murmur  static  static_race  #  built
          example.com/gossip-tests/queue  static  static_race  #  built
          example.com/gossip-tests/ring  static  static_race  #  built
          example.com/gossip-tests/status  static  static_race  #  built
          example.com/gossip-tests/transport  static  static_race  #  built
          example.com/gossip-tests/version  static  static_race  #  built
        15 outputs: 15 built
    "#]]
    .assert_eq(&example.report(&["build", ":race"]));
    assert_eq!(example.judge().len(), 15);
    let tests = example.path("linkwright-out/bin/race/example.com/gossip-tests");
    for name in ["queue.test", "ring.test"] {
        let Some(run) = start_alone(&tests.join(name), &[]) else { return };
        assert!(run.status.success(), "{name}: {run:?}");
    }
}

#[test]
fn generated_code_is_made_compiled_and_run() {
    if !can_build() {
        return;
    }
    let example = Checkout::of("examples/generated");
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:convert  static  static_glibc  #  built
        //:crc_table  -  -  -  built
        //:tablegen  static  netgo  #  built
        //:tests
          example.com/generated/crc  static  static_glibc  #  built
          example.com/generated/unit  static  netgo  #  built
        //:units  -  -  -  built
        6 outputs: 6 built
    "#]]
    .assert_eq(&shown_report(&example, &["build", ":all"]));
    example.judge();
    let run = example.linkwright(&["--quiet", "run", ":convert", "--", "3", "mi", "km"]);
    assert_eq!(said(&run), "3 mi = 4.828032 km  [74a8bd64]\n", "{run:?}");

    // A comment alone: the generator runs, and what it writes is the same.
    let units = example.path("spec/length.units");
    let text = fs::read_to_string(&units).unwrap();
    fs::write(&units, format!("# One more comment.\n{text}")).unwrap();
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:convert  static  static_glibc  #  up to date
        //:crc_table  -  -  -  up to date
        //:tablegen  static  netgo  #  up to date
        //:tests
          example.com/generated/crc  static  static_glibc  #  up to date
          example.com/generated/unit  static  netgo  #  up to date
        //:units  -  -  -  built
        6 outputs: 1 built, 5 up to date
    "#]]
    .assert_eq(&example.report(&["build", ":all"]));

    // One more unit: what uses it is linked anew, the other table is left alone.
    fs::write(&units, format!("{text}league 4828.032\n")).unwrap();
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:convert  static  static_glibc  #  built
        //:crc_table  -  -  -  up to date
        //:tablegen  static  netgo  #  up to date
        //:tests
          example.com/generated/crc  static  static_glibc  #  up to date
          example.com/generated/unit  static  netgo  #  built
        //:units  -  -  -  built
        6 outputs: 3 built, 3 up to date
    "#]]
    .assert_eq(&example.report(&["build", ":all"]));
    fs::write(&units, text).unwrap();
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //:convert  static  static_glibc  #  restored
        //:crc_table  -  -  -  up to date
        //:tablegen  static  netgo  #  up to date
        //:tests
          example.com/generated/crc  static  static_glibc  #  up to date
          example.com/generated/unit  static  netgo  #  restored
        //:units  -  -  -  restored
        6 outputs: 3 restored, 3 up to date
    "#]]
    .assert_eq(&example.report(&["build", ":all"]));
}

#[test]
fn nested_packages_have_their_own_defaults_strategies_and_policy() {
    if !can_build() {
        return;
    }
    let example = Checkout::of("examples/nested");
    expect![[r#"
        exit 0
        TARGET  CLASS  STRATEGY  SIZE  STATE
        //data:words  -  -  -  built
        //libs:tests
          example.com/nested/libs/greeting  static  netgo  #  built
        //services:api  static  static_small  #  built
        //services:worker  static  static_small  #  built
        //services:worker_debug  dynamic  default  #  built
        //tools:embed  static  pure  #  built
        6 outputs: 6 built
    "#]]
    .assert_eq(&shown_report(&example, &["build"]));
    example.judge();
    let symbols = |name: &str| {
        let file = example.path("linkwright-out/bin").join(name);
        let output = example.command("readelf").arg("-SW").arg(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains(".symtab")
    };
    assert!(!symbols("services/worker") && symbols("services/worker_debug"));
    let run = example.linkwright(&["--quiet", "run", "//services:api", "--", "-once", "Ada"]);
    assert_eq!(said(&run), "welcome, Ada (api 1.0)\n");
}

#[test]
fn the_projects_own_build_file_names_the_examples() {
    let project = Checkout::of("examples");
    fs::create_dir(project.path("examples")).unwrap();
    for entry in fs::read_dir(project.path("")).unwrap().map(Result::unwrap) {
        if entry.file_name() != "examples" {
            fs::rename(entry.path(), project.path("examples").join(entry.file_name())).unwrap();
        }
    }
    fs::copy(manifest_dir().join("BUILD.ron"), project.path("BUILD.ron")).unwrap();
    let query = project.linkwright(&["query", "--deps", "//:examples"]);
    expect![[r#"
        //:examples
        //examples/c-libraries:distance
        //examples/c-libraries:nearest
        //examples/c-libraries:sqlite
        //examples/cpp-database:messages
        //examples/cpp-database:node
        //examples/cpp-database:tests
        //examples/generated:all
        //examples/generated:convert
        //examples/generated:crc_table
        //examples/generated:sources
        //examples/generated:specs
        //examples/generated:tablegen
        //examples/generated:tests
        //examples/generated:units
        //examples/gossip-tests:tests
        //examples/net-and-user:default
        //examples/net-and-user:static
    "#]]
    .assert_eq(&said(&query));
    let query = project.linkwright(&["query", "//:examples", "//:race"]);
    assert!(query.status.success(), "{query:?}");
}

/// The commands in a README are the program's: each `$ linkwright …` names targets that exist.
#[test]
fn what_the_readmes_of_the_examples_call_is_there() {
    for example in
        ["c-libraries", "cpp-database", "generated", "gossip-tests", "nested", "net-and-user"]
    {
        let checkout = Checkout::of(&format!("examples/{example}"));
        let readme = fs::read_to_string(checkout.path("README.md")).unwrap();
        let calls = readme.lines().filter_map(|it| it.strip_prefix("$ linkwright "));
        let calls: Vec<_> = calls.map(|it| it.split(" # ").next().unwrap().trim()).collect();
        assert!(!calls.is_empty(), "{example} shows no command");
        for call in calls {
            let words: Vec<_> = call.split_whitespace().collect();
            let (command, rest) = words.split_first().unwrap();
            assert!(["build", "run"].contains(command), "{example}: {call}");
            let labels: Vec<_> = rest.iter().take_while(|it| **it != "--").copied().collect();
            let query = checkout.linkwright(&[&["query"], &labels[..]].concat());
            assert!(query.status.success(), "{example}: {call}: {query:?}");
        }
    }
}
