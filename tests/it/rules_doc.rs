//! `docs/rules.md` is complete: whatever a rule file can say occurs in it.

use linkwright::effects::workspace::load_rules;
use linkwright::formats::build_file::{
    BUILD_FIELDS, COMMAND_FIELDS, DEFAULTS_FIELDS, EXAMPLE, FORMS, KINDS, fields_of, parse,
};
use linkwright::formats::go_sdk_spec::GO_SDK_FIELDS;
use linkwright::formats::rules_file::{
    LADDER_FIELDS, PART_FIELDS, POLICY_FIELDS, RULES_FIELDS, STRATEGY_FIELDS, TOOL_FIELDS,
    TOOLCHAIN_FIELDS, parse as parse_rules,
};
use linkwright::formats::sealed_spec::{RUN_IN, SEALED_FIELDS};
use linkwright::model::flag_lists::{
    C_COMPILER, C_COMPILER_PAIRS, C_LINKER, C_LINKER_PAIRS, LD, LD_PAIRS,
};
use linkwright::model::rules::{
    BUILD_MODES, CGO, CLASSES, DEMAND_WORDS, FAMILIES, LINK_MODES, LINKERS, NEEDS, PROMISES, RELROS,
};
use linkwright::model::run_in::WITH;
use linkwright::model::settings::GO_ENV;
use linkwright::model::toolchain::Linker;
use linkwright::words::label::PackagePath;
use linkwright::words::span::Source;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md")).unwrap()
}

/// Returns the part of the document below a heading, up to the next one.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let start = document.find(heading).unwrap_or_else(|| panic!("no heading `{heading}`"));
    let rest = &document[start + heading.len()..];
    &rest[..rest.find("\n#").unwrap_or(rest.len())]
}

#[track_caller]
fn holds(text: &str, names: impl IntoIterator<Item = impl AsRef<str>>) {
    for name in names {
        let name = name.as_ref();
        assert!(text.contains(&format!("`{name}`")), "docs/rules.md does not explain `{name}`");
    }
}

#[test]
fn every_field_is_explained_where_it_belongs() {
    let document = document();
    holds(section(&document, "\n## BUILD.ron"), BUILD_FIELDS);
    let settings = section(&document, "\n## Settings");
    for kind in KINDS {
        let own = section(&document, &format!("\n### `{kind}`"));
        holds(&format!("{own}{settings}"), fields_of(kind));
    }
    holds(section(&document, "\n### `go_tests`"), SEALED_FIELDS);
    holds(section(&document, "\n### `go_sdk`"), GO_SDK_FIELDS);
    holds(section(&document, "\n### `command`"), COMMAND_FIELDS);
    holds(&document, DEFAULTS_FIELDS);
    holds(section(&document, "\n## rules/*.ron"), RULES_FIELDS);
    holds(section(&document, "\n### `c_toolchain`"), TOOLCHAIN_FIELDS);
    holds(section(&document, "\n### `c_toolchain`"), PART_FIELDS);
    holds(section(&document, "\n### `tool`"), TOOL_FIELDS);
    holds(section(&document, "\n### `strategy`"), STRATEGY_FIELDS);
    holds(section(&document, "\n### `ladder`"), LADDER_FIELDS);
    holds(section(&document, "\n### `policy`"), POLICY_FIELDS);
}

#[test]
fn every_word_is_listed() {
    let document = document();
    let strategy = section(&document, "\n### `strategy`");
    holds(strategy, CGO.map(|it| it.0));
    holds(strategy, LINK_MODES.map(|it| it.0));
    holds(strategy, BUILD_MODES.map(|it| it.0));
    holds(strategy, NEEDS.map(|it| it.0));
    holds(strategy, PROMISES.map(|it| it.0));
    holds(strategy, LINKERS.map(|it| it.0));
    let toolchain = section(&document, "\n### `c_toolchain`");
    holds(toolchain, FAMILIES.map(|it| it.0));
    holds(toolchain, Linker::ALL.map(|it| it.0));
    let policy = section(&document, "\n### `policy`");
    holds(policy, CLASSES.map(|it| it.0));
    holds(policy, DEMAND_WORDS.map(|it| it.0));
    holds(policy, RELROS.map(|it| it.0));
    let tests = section(&document, "\n### `go_tests`");
    holds(tests, RUN_IN);
    holds(section(&document, "\n### `bundle`"), FORMS);
    holds(tests, WITH.map(|it| it.0));
    let refused = section(&document, "\n## What is refused");
    holds(refused, GO_ENV.map(|it| it.0));
    for list in [C_LINKER, C_LINKER_PAIRS, LD, LD_PAIRS, C_COMPILER, C_COMPILER_PAIRS] {
        holds(refused, list);
    }
}

#[test]
fn everything_built_in_is_recommended_or_not() {
    let document = document();
    let rules = load_rules(None).unwrap();
    holds(section(&document, "\n### `c_toolchain`"), rules.toolchains.keys());
    holds(section(&document, "\n### `strategy`"), rules.strategies.keys());
    holds(section(&document, "\n### `ladder`"), rules.ladders.keys());
    holds(section(&document, "\n### `policy`"), rules.policies.keys());
}

#[test]
fn every_example_is_accepted() {
    let document = document();
    let blocks: Vec<&str> = document.split("```ron\n").skip(1).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        let block = block.split("```").next().unwrap();
        let text = match block.trim_start() {
            it if it.starts_with("command(") => format!("build(targets: [{it}])"),
            it => it.to_owned(),
        };
        let source = Arc::new(Source { name: "docs/rules.md".to_owned(), text });
        let problems = if source.text.starts_with("rules(") {
            parse_rules(&source).1
        } else {
            parse(&source, &PackagePath::root()).1
        };
        assert_eq!(problems, [], "{block}");
    }
    let source = Arc::new(Source { name: String::new(), text: EXAMPLE.to_owned() });
    assert_eq!(parse(&source, &PackagePath::root()).1, []);
}
