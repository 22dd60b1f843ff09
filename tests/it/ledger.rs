//! The ledger: what is in it, and that equal inputs give equal bytes.

use crate::support::manifest_dir;
use crate::workspace::{Workspace, holds, prints, prints_c};
use serde_json::Value;
use std::fs;

const C: &str = "static int one(void) { return 1; }";

const MIXED: &str = r#"build(defaults: (link: "static"), targets: [
    go_binary(name: "plain", package: "./plain"),
    go_binary(name: "with_c", package: "./with_c", policy: "release"),
    go_tests(name: "tests", packages: ["./..."]),
])"#;

fn mixed() -> Option<Workspace> {
    let test = "package lib\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) {}\n";
    Workspace::with_c(&[
        ("BUILD.ron", MIXED),
        ("plain/main.go", &prints("plain")),
        ("with_c/main.go", &prints_c(C, "C.one()")),
        ("lib/lib_test.go", test),
    ])
}

pub(crate) fn schema(name: &str) -> jsonschema::Validator {
    let path = manifest_dir().join(format!("docs/schema/{name}.schema.json"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn equal_inputs_give_equal_bytes_in_any_folder_at_any_j_built_or_restored() {
    let (Some(one), Some(eight)) = (mixed(), mixed()) else { return };
    one.build(&["-j1"]).came("built 3");
    let ledger = one.read("linkwright-out/ledger.json");
    eight.build(&["-j8"]).came("built 3");
    assert_eq!(eight.read("linkwright-out/ledger.json"), ledger);
    for name in ["plain", "with_c", "tests/example.com/m/lib.test"] {
        assert_eq!(one.bytes(name), eight.bytes(name), "{name}");
    }
    fs::remove_dir_all(one.path("linkwright-out")).unwrap();
    one.build(&["-j2"]).came("restored 3");
    assert_eq!(one.read("linkwright-out/ledger.json"), ledger);
    one.built().came("up_to_date 3");
    assert_eq!(one.read("linkwright-out/ledger.json"), ledger);
    for place in [one.home(), eight.home()] {
        assert!(!ledger.contains(&*place.to_string_lossy()), "{ledger}");
    }
}

#[test]
fn the_ledger_and_every_event_are_as_their_schemas_say() {
    let Some(it) = mixed() else { return };
    let run = it.built();
    let (ledger, events) = (schema("ledger"), schema("event"));
    let errors: Vec<_> = ledger.iter_errors(&it.ledger()).map(|it| it.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    it.file("plain/main.go", "package main\n\nfunc main() { oops }\n");
    let failed = it.build(&["--keep-going"]);
    assert_eq!(failed.code, 1);
    it.file("BUILD.ron", "build(oops)");
    let wrong = it.build(&[]);
    assert_eq!(wrong.code, 2);
    for event in run.events.iter().chain(&failed.events).chain(&wrong.events) {
        let errors: Vec<_> = events.iter_errors(event).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{event:#}: {errors:#?}");
    }
}

#[test]
fn a_record_holds_every_promised_field() {
    let Some(it) = mixed() else { return };
    it.built();
    let ledger = it.ledger();
    assert_eq!(ledger["format"], "linkwright-ledger/1");
    let records = ledger["records"].as_array().unwrap();
    let labels: Vec<_> = records.iter().map(|it| it["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["//:plain", "//:tests", "//:with_c"]);
    let record = it.record("//:with_c");
    let fields = [
        "label",
        "go_package",
        "output",
        "blake3",
        "sha256",
        "size",
        "key",
        "promise",
        "strategy",
        "attempts",
        "linkage",
        "toolchain",
        "commands",
    ];
    for field in fields {
        assert!(record.get(field).is_some_and(|it| !it.is_null()), "{field}: {record:#}");
    }
    let linkage = [
        "class",
        "interpreter",
        "needed",
        "glibc_max",
        "glibcxx_max",
        "rpath",
        "libc",
        "hazards",
        "pie",
        "nx",
        "relro",
    ];
    for field in linkage {
        assert!(record["linkage"].get(field).is_some(), "{field}: {record:#}");
    }
    assert_eq!(record["go_package"], "example.com/m/with_c");
    assert_eq!(record["output"], "bin/with_c");
    assert_eq!(record["size"], it.bytes("with_c").len());
    assert_eq!(record["linkage"]["libc"], "glibc");
    assert_eq!(record["blake3"], blake3::hash(&it.bytes("with_c")).to_hex().as_str());
    let sum = it.command("sha256sum").arg(it.bin("with_c")).output().unwrap();
    holds(&String::from_utf8(sum.stdout).unwrap(), &[record["sha256"].as_str().unwrap()]);
    let version = String::from_utf8(it.go(&["env", "GOVERSION"]).stdout).unwrap();
    assert_eq!(record["toolchain"]["go"], version.trim());
    assert!(record["toolchain"]["cc"].as_str().unwrap().starts_with("gcc "));
}

#[test]
fn attempts_are_in_ladder_order_and_say_why_a_rung_was_not_needed() {
    let Some(it) = mixed() else { return };
    let run = it.built();
    let attempts = it.record("//:with_c")["attempts"].clone();
    let told = |field: &str| -> Vec<Value> {
        attempts.as_array().unwrap().iter().map(|it| it[field].clone()).collect()
    };
    assert_eq!(told("strategy"), ["netgo", "static_glibc"]);
    assert_eq!(told("outcome"), ["impossible", "verified"]);
    holds(told("reason")[0].as_str().unwrap(), &["`example.com/m/with_c` itself uses cgo"]);
    assert!(told("reason")[1].is_null());
    assert_eq!(it.record("//:with_c")["strategy"], "static_glibc");
    assert_eq!(it.record("//:plain")["strategy"], "netgo");
    assert_eq!(run.finished("//:with_c")["strategy"], "static_glibc");
}

#[test]
fn records_of_targets_that_were_not_asked_for_stay() {
    let Some(it) = mixed() else { return };
    it.built();
    let ledger = it.read("linkwright-out/ledger.json");
    it.build(&["//:plain"]).came("up_to_date 1");
    assert_eq!(it.read("linkwright-out/ledger.json"), ledger);
    it.file("plain/main.go", &prints("other"));
    it.build(&["//:plain"]).came("built 1");
    assert_eq!(it.ledger()["records"].as_array().unwrap().len(), 3);
    assert_ne!(it.read("linkwright-out/ledger.json"), ledger);
    // An output that is gone is not true any more.
    fs::remove_file(it.bin("with_c")).unwrap();
    it.build(&["//:plain"]).came("up_to_date 1");
    assert_eq!(it.ledger()["records"].as_array().unwrap().len(), 2);
}

#[test]
fn a_failed_target_has_no_record_and_the_others_keep_theirs() {
    let Some(it) = mixed() else { return };
    it.built();
    it.file("plain/main.go", "package main\n\nfunc main() { oops }\n");
    let run = it.build(&["-k"]);
    assert_eq!(run.code, 1);
    run.came("up_to_date 2, failed 1");
    let ledger = it.ledger();
    let labels: Vec<_> =
        ledger["records"].as_array().unwrap().iter().map(|it| it["label"].clone()).collect();
    assert_eq!(labels, ["//:tests", "//:with_c"]);
}
