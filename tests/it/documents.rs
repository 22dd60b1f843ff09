//! The documents say what the program does: no flag, command, variable or exit code is missing.

use clap::CommandFactory as _;
use linkwright::cli::arguments::Arguments;
use linkwright::words::exit_code::ExitCode;
use std::path::Path;

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

#[test]
fn every_command_and_flag_is_in_the_document() {
    let text = document("cli.md");
    let mut command = Arguments::command();
    command.build();
    let mut missing = Vec::new();
    for command in std::iter::once(&command).chain(command.get_subcommands()) {
        let name = command.get_name();
        // A command's own section ends where the next one begins.
        let section = match name {
            "linkwright" | "help" => &text,
            _ => {
                if let Some((_, section)) = text.split_once(&format!("\n### `linkwright {name}")) {
                    section.split("\n### ").next().unwrap()
                } else {
                    missing.push(format!("the section of {name}"));
                    continue;
                }
            }
        };
        for argument in command.get_arguments() {
            let place = if argument.is_global_set() || argument.get_id() == "help" {
                &text
            } else {
                section
            };
            let long = argument.get_long().map(|it| format!("`--{it}"));
            let short = argument.get_short().map(|it| format!("`-{it}"));
            for flag in [long, short].into_iter().flatten() {
                if !place.contains(&flag) {
                    missing.push(format!("{flag}` of {name}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "docs/cli.md does not tell of {missing:#?}");
}

#[test]
fn every_exit_code_is_in_the_document_once() {
    let text = document("cli.md");
    for code in ExitCode::ALL {
        let row = format!("\n| {} |", code.number());
        assert_eq!(text.matches(&row).count(), 1, "the row of {code:?}");
    }
}

#[test]
fn every_event_is_in_the_document() {
    let text = document("cli.md");
    let schema: serde_json::Value =
        serde_json::from_str(&document("schema/event.schema.json")).unwrap();
    for variant in schema["oneOf"].as_array().unwrap() {
        let name = variant["properties"]["event"]["const"].as_str().unwrap();
        assert!(text.contains(&format!("`{name}`")), "docs/cli.md does not tell of `{name}`");
    }
}
