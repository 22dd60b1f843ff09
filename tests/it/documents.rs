//! The documents say what the program does: no flag, command, variable or exit code is missing.

use crate::support::manifest_dir;
use clap::CommandFactory as _;
use linkwright::cli::arguments::Arguments;
use linkwright::words::exit_code::ExitCode;

fn document(name: &str) -> String {
    std::fs::read_to_string(manifest_dir().join("docs").join(name)).unwrap()
}

#[test]
fn every_command_and_flag_is_in_the_document() {
    let text = document("cli.md");
    let mut command = Arguments::command();
    command.build();
    let mut missing = Vec::new();
    let own = |it: &clap::Command| it.get_name() != "help";
    let commands = || command.get_subcommands().filter(|it| own(it));
    let nested = commands().flat_map(clap::Command::get_subcommands).filter(|it| own(it));
    for command in std::iter::once(&command).chain(commands()).chain(nested) {
        let name = command.get_bin_name().unwrap_or("linkwright").trim_start_matches("linkwright ");
        // A command's own section ends where the next one begins.
        let section = match name {
            "linkwright" => &text,
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

/// Returns what a text shows of our command line that is not there: words after `linkwright` that
/// are no command, flags that the command does not take.
fn invented(text: &str) -> Vec<String> {
    let mut program = Arguments::command();
    program.build();
    let mut invented = Vec::new();
    let calls = text.lines().flat_map(|line| {
        let shown = line.strip_prefix("$ ").into_iter();
        shown.chain(line.split('`').skip(1).step_by(2)).collect::<Vec<_>>()
    });
    for call in calls {
        let call = call.split(" #").next().unwrap_or_default();
        let mut words = call.split_whitespace();
        let (flags, command) = match words.next() {
            Some("linkwright") => {
                let Some(name) = words.next() else { continue };
                let Some(mut command) = program.find_subcommand(name) else {
                    invented.push(call.to_owned());
                    continue;
                };
                let mut words = words.peekable();
                while let Some(nested) = words.peek().and_then(|it| command.find_subcommand(it)) {
                    command = nested;
                    words.next();
                }
                (words.collect::<Vec<_>>(), vec![command])
            }
            // A flag by itself is one of any command.
            Some(flag) if flag.starts_with("--") => {
                let all = program.get_subcommands();
                (
                    vec![flag],
                    all.flat_map(|it| std::iter::once(it).chain(it.get_subcommands())).collect(),
                )
            }
            _ => continue,
        };
        for flag in flags.iter().take_while(|it| **it != "--") {
            let Some(name) = flag.strip_prefix("--") else { continue };
            let name = name.split('=').next();
            let known = |it: &clap::Command| it.get_arguments().any(|it| it.get_long() == name);
            if !command.iter().any(|it| known(it)) {
                invented.push(call.to_owned());
            }
        }
    }
    invented
}

#[test]
fn the_readme_shows_only_commands_and_flags_that_are_there() {
    let text = std::fs::read_to_string(manifest_dir().join("README.md")).unwrap();
    assert_eq!(invented(&text), Vec::<String>::new());
    assert!(text.matches("$ linkwright ").count() >= 4, "README.md shows no calls");
    for bad in ["$ linkwright make\n", "$ linkwright build --fast //...\n", "say `--fastest`\n"] {
        assert_eq!(invented(bad).len(), 1, "{bad}");
    }
    assert_eq!(invented("`linkwright verify F --policy release`, `--jobs`"), Vec::<String>::new());
}

#[test]
fn every_test_that_the_story_names_is_there() {
    let tests = manifest_dir().join("tests/it");
    let sources =
        ["story.rs", "examples.rs"].map(|it| std::fs::read_to_string(tests.join(it)).unwrap());
    let text = document("story.md");
    let names = text.lines().filter_map(|it| it.strip_prefix("* `")?.strip_suffix('`'));
    let names: Vec<_> = names.collect();
    assert!(names.len() >= 15, "{names:#?}");
    for name in names {
        let function = format!("#[test]\nfn {name}() {{");
        assert!(sources.iter().any(|it| it.contains(&function)), "no test `{name}`");
    }
}

#[test]
fn every_test_that_a_promise_names_is_there() {
    let text = document("trust.md") + &document("sealed.md");
    let mut found = 0;
    for name in text.split('`').skip(1).step_by(2) {
        let Some((module, function)) = name.split_once("::") else { continue };
        let file = manifest_dir().join("tests/it").join(module).with_extension("rs");
        let Ok(source) = std::fs::read_to_string(file) else { continue };
        // A name may be cut short, at a word.
        let test = match function.strip_suffix('…') {
            Some(beginning) => format!("#[test]\nfn {beginning}"),
            None => format!("#[test]\nfn {function}() {{"),
        };
        assert!(source.contains(&test), "the documents name `{name}`, which is no test");
        found += 1;
    }
    assert!(found >= 15, "{found}");
}
