//! What is not as promised, or not as a policy demands, is not put in place: exit code 6.

use crate::workspace::{Run, Workspace, holds, needs, prints_c, start_alone, text};
use std::fs;

/// Strategies that a workspace should rather not have.
const RULES: &str = r#"rules(
    strategies: [
        strategy(name: "naive", cgo: on, linkmode: external, extldflags: ["-static"],
                 needs: [c_compiler, static_libc], promise: static),
        strategy(name: "searching", cgo: on, linkmode: external,
                 extldflags: ["-Wl,-rpath,/opt/lib"], needs: [c_compiler]),
        strategy(name: "hopeful", cgo: off, promise: static_pie),
    ],
    policies: [
        policy(name: "no_nss", nss: deny),
        policy(name: "no_rpath", rpath: deny),
        policy(name: "few", needed: ["libm.so.6"]),
        policy(name: "with_libc", needed: ["libc.so.6"], glibc_max: "2.99"),
        policy(name: "old", glibc_max: "2.2"),
        policy(name: "static_only", class: [static]),
    ],
)"#;

/// A program that looks up a name, through the C library if it is let.
const LOOKS_UP: &str = "package main\n\nimport \"net\"\n\nfunc main() {\n\
    \t_, err := net.LookupHost(\"127.0.0.1\")\n\tprintln(err == nil)\n}\n";

fn program(main: &str, settings: &str) -> Option<Workspace> {
    let it = Workspace::with_c(&[("rules/r.ron", RULES), ("main.go", main)])?;
    set(&it, settings);
    Some(it)
}

fn set(it: &Workspace, settings: &str) {
    it.file("BUILD.ron", &format!("build(targets: [go_binary(name: \"p\", {settings})])"));
}

fn with_c() -> String {
    prints_c("static int one(void) { return 1; }", "C.one()")
}

#[track_caller]
fn refused(it: &Workspace, parts: &[&str]) -> Run {
    let run = it.build(&[]);
    assert_eq!(run.code, 6, "{run:#?}");
    run.came("failed 1");
    holds(&run.error("//:p"), parts);
    assert!(!it.bin("p").exists());
    assert_eq!(it.ledger()["records"].as_array().unwrap().len(), 0);
    run
}

#[test]
fn a_static_program_that_asks_the_name_service_breaks_the_policy() {
    let Some(it) = program(LOOKS_UP, r#"link: "naive", policy: "no_nss""#) else { return };
    refused(&it, &["getaddrinfo", "name service"]);
    // From the store the verdict is the same.
    let again = it.build(&[]);
    assert_eq!(again.code, 6);
    assert!(again.links().is_empty(), "{again:#?}");
    // The same bytes without the policy are accepted, and the hazard is recorded.
    set(&it, r#"link: "naive""#);
    it.built().came("restored 1");
    // With Go's own resolver there is nothing to deny.
    set(&it, r#"link: "static_glibc", policy: "release""#);
    it.built().came("built 1");
    assert_eq!(it.record("//:p")["policy"], "release");
    let Some(start) = start_alone(&it.bin("p")) else { return };
    assert_eq!(text(&start), "true\n");
}

#[test]
fn hazards_of_linker_warnings_are_recorded_and_stay_known_after_a_restore() {
    let Some(it) = program(LOOKS_UP, r#"link: "naive""#) else { return };
    let run = it.built();
    assert!(!run.finished("//:p")["warnings"].as_array().unwrap().is_empty(), "{run:#?}");
    let hazards = it.record("//:p")["linkage"]["hazards"].clone();
    let found = hazards.as_array().unwrap().iter().any(|it| {
        it["kind"] == "nss" && it["symbol"] == "getaddrinfo" && it["basis"] == "linker_warning"
    });
    assert!(found, "{hazards:#}");
    assert_eq!(needs(&it.bin("p")), [""; 0]);
    fs::remove_dir_all(it.path("linkwright-out")).unwrap();
    let again = it.built();
    again.came("restored 1");
    assert_eq!(it.record("//:p")["linkage"]["hazards"], hazards);
    assert_eq!(again.finished("//:p")["warnings"], run.finished("//:p")["warnings"]);
}

#[test]
fn a_library_that_is_not_on_the_list_breaks_the_policy() {
    let Some(it) = program(&with_c(), r#"link: "default", policy: "few""#) else { return };
    refused(&it, &["it needs `libc.so.6`", "few"]);
    set(&it, r#"link: "default", policy: "with_libc""#);
    it.built();
    assert!(needs(&it.bin("p")).contains(&"libc.so.6".to_owned()));
}

#[test]
fn a_newer_glibc_than_allowed_breaks_the_policy() {
    let Some(it) = program(&with_c(), r#"link: "default", policy: "old""#) else { return };
    refused(&it, &["it needs glibc 2.", "above 2.2", "old"]);
}

#[test]
fn a_library_search_path_breaks_the_policy() {
    let Some(it) = program(&with_c(), r#"link: "searching", policy: "no_rpath""#) else { return };
    refused(&it, &["/opt/lib", "no_rpath"]);
    set(&it, r#"link: "searching""#);
    it.built();
    assert_eq!(it.record("//:p")["linkage"]["rpath"], serde_json::json!(["/opt/lib"]));
}

#[test]
fn a_class_that_is_not_accepted_breaks_the_policy() {
    let Some(it) = program(&with_c(), r#"link: "default", policy: "static_only""#) else { return };
    refused(&it, &["dynamic", "static_only"]);
}

#[test]
fn a_broken_promise_has_the_same_exit_code() {
    let main = "package main\n\nfunc main() {}\n";
    let Some(it) = program(main, r#"link: "hopeful""#) else { return };
    refused(&it, &["hopeful", "static_pie"]);
}

#[test]
fn an_old_output_stays_when_the_new_one_breaks_a_promise() {
    let Some(it) = program(&with_c(), r#"link: "static_glibc""#) else { return };
    it.built();
    let bytes = it.bytes("p");
    set(&it, r#"link: "default", policy: "static_only""#);
    let run = it.build(&[]);
    assert_eq!(run.code, 6);
    assert_eq!(it.bytes("p"), bytes);
    assert_eq!(it.ledger()["records"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_promised_libc_only_needs_the_c_library_alone() {
    let Some(it) = program("package main\n\nfunc main() {}\n", r#"link: "partly_static""#) else {
        return;
    };
    it.file(
        "x.cc",
        "#include <string>\nextern \"C\" int size() { return std::string(\"abc\").size(); }\n",
    );
    it.file("main.go", &prints_c("int size(void);", "C.size()"));
    it.built();
    assert_eq!(it.says("p"), "3\n");
    let needed = needs(&it.bin("p"));
    assert!(!needed.iter().any(|it| it.contains("stdc++") || it.contains("gcc")), "{needed:?}");
    assert!(needed.contains(&"libc.so.6".to_owned()), "{needed:?}");
}
