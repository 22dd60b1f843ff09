//! `docs/strategies.md` is made from the rules, and by `evidence` from what was linked and run:
//! `UPDATE_EXPECT=1` writes it anew.

use crate::support::manifest_dir;
use linkwright::effects::workspace::load_rules;
use linkwright::model::rules::{NEEDS, PROMISES};
use linkwright::model::strategy::{BuildMode, Cgo, LinkMode, Promise, RuleSet, Strategy};
use linkwright::model::toolchain::{Family, Toolchain};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::sync::Mutex;

const HEAD: &str = "# Strategies and what they need

Made from [rules/builtin.ron](../rules/builtin.ron) by a test. What a field means is in [rules.md](rules.md#strategy-one-way-to-link);
what of it works on a machine `linkwright doctor` tries: it links the program of the last column, holds the file against
the promise, and starts it, for another architecture of Linux under qemu.

";

fn quoted<'t>(words: impl IntoIterator<Item = &'t str>) -> String {
    let words: Vec<_> = words.into_iter().map(|it| format!("`{it}`")).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

/// The C libraries that toolchains bring.
fn libraries(strategy: &Strategy) -> BTreeSet<&'static str> {
    let library = |it: &std::sync::Arc<Toolchain>| {
        let names = [Some(&it.cc), it.target.as_ref()];
        let is_musl = names.into_iter().flatten().any(|it| it.contains("musl"));
        if is_musl { "musl" } else { "the compiler's" }
    };
    strategy.toolchains.iter().map(library).collect()
}

fn platforms(strategy: &Strategy) -> String {
    if strategy.cgo != Cgo::On {
        return "every one of Go's".to_owned();
    }
    let own = strategy.toolchains.iter().any(|it| it.platforms.is_empty());
    let named: BTreeSet<_> = strategy.toolchains.iter().flat_map(|it| &it.platforms).collect();
    let own = own.then(|| "this machine's".to_owned());
    own.into_iter()
        .chain(named.into_iter().map(|it| format!("`{it}`")))
        .collect::<Vec<_>>()
        .join(" ")
}

fn row(strategy: &Strategy) -> String {
    let has_cxx = strategy.toolchains.iter().any(|it| it.cxx.is_some());
    // Go's own linker makes what holds C a dynamic program.
    let breaks = strategy.linkmode == LinkMode::Internal && strategy.promise == Promise::Static;
    let (c, cxx) = match strategy.cgo {
        Cgo::Off => ("no", "no"),
        _ if breaks => ("no", "no"),
        Cgo::On | Cgo::Auto if has_cxx => ("yes", "yes"),
        Cgo::On | Cgo::Auto => ("yes", "no"),
    };
    let toolchains = strategy.toolchains.iter().filter(|_| c == "yes").map(|it| it.name.as_str());
    let libraries = match c {
        "no" => "none".to_owned(),
        _ => libraries(strategy).into_iter().collect::<Vec<_>>().join(", "),
    };
    let needs = NEEDS.iter().filter(|it| strategy.needs.contains(&it.1)).map(|it| it.0);
    let promise = PROMISES.iter().find(|it| it.1 == strategy.promise).unwrap().0;
    let floor = strategy.glibc_max.as_ref().map(|it| format!(", glibc {it} at most"));
    let tried = if strategy.cgo == Cgo::On { "C" } else { "names of hosts and users" };
    let race = if strategy.race { ", race detector" } else { "" };
    let pie = if strategy.buildmode == BuildMode::Pie { ", position-independent" } else { "" };
    format!(
        "| `{}` | `{promise}`{} | {} | {c} | {cxx} | {libraries} | {} | {} | {tried}{race}{pie} |\n",
        strategy.name,
        floor.unwrap_or_default(),
        quoted(needs),
        quoted(toolchains),
        platforms(strategy),
    )
}

fn toolchain_row(toolchain: &Toolchain) -> String {
    let told = match toolchain.family {
        Family::Gnu | Family::Clang => toolchain.cxx.as_deref().unwrap_or("-").to_owned(),
        Family::Zig => "zig c++".to_owned(),
    };
    let packages = |it: &[String]| quoted(it.iter().map(String::as_str));
    let (name, cc) = (&toolchain.name, &toolchain.cc);
    format!(
        "| `{name}` | `{cc}` | `{told}` | {} | {} | {} |\n",
        packages(&toolchain.packages.debian),
        packages(&toolchain.packages.fedora),
        quoted(toolchain.python.as_deref()),
    )
}

/// What brings each library of the toolchains, and each tool.
fn part_rows(rules: &RuleSet) -> String {
    let packages = |it: &[String]| quoted(it.iter().map(String::as_str));
    let mut text = String::new();
    for toolchain in rules.toolchains.values() {
        for (need, brought) in &toolchain.parts {
            let need = NEEDS.iter().find(|it| it.1 == *need).unwrap().0;
            let (debian, fedora) = (packages(&brought.debian), packages(&brought.fedora));
            writeln!(text, "| `{}`: `{need}` | {debian} | {fedora} |", toolchain.name).unwrap();
        }
    }
    for (name, brought) in &rules.tools {
        let (debian, fedora) = (packages(&brought.debian), packages(&brought.fedora));
        writeln!(text, "| `{name}` | {debian} | {fedora} |").unwrap();
    }
    text
}

fn document(rules: &RuleSet) -> String {
    let mut text = HEAD.to_owned();
    text += "| strategy | promise | needs | C | C++ | C library | toolchains, the first that serves | platforms | `doctor` tries |\n";
    text += "|---|---|---|---|---|---|---|---|---|\n";
    text.extend(rules.strategies.values().map(|it| row(it)));
    text += "\nWithout a C compiler for a platform a strategy whose cgo is as Go decides links Go alone. `netgo` is for Go alone: what holds C, Go's linker makes dynamic.\n";
    text += "\n| ladder | tries |\n|---|---|\n";
    for ladder in rules.ladders.values() {
        let tries = quoted(ladder.tries.iter().map(|it| it.name.as_str()));
        writeln!(text, "| `{}` | {tries} |", ladder.name).unwrap();
    }
    text += "\nWhere a toolchain is missing, `doctor` and the failing build name its packages in the same words:\n";
    text += "\n| toolchain | C | C++ | Debian | Fedora | PyPI |\n|---|---|---|---|---|---|\n";
    text.extend(rules.toolchains.values().map(|it| toolchain_row(it)));
    text += "\nWhat a toolchain that is here may lack, and tools beside it:\n";
    text += "\n| lacking | Debian | Fedora |\n|---|---|---|\n";
    text += &part_rows(rules);
    text
}

/// What `docs/strategies.md` is made of; each part is a test's own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// From the rules.
    Rules,
    /// From what was linked and run.
    Evidence,
}

/// The start of the second part.
const EVIDENCE: &str = "\n## What was linked and run

One program with none of its own C (it looks up names of hosts and users), one with C and one with C++ (a container and an exception), by each
strategy and each toolchain that it names; `cc` is whichever of the others it is. A test links all of them in one build on Debian, holds each
file against the promise, `readelf` against the verdict, and runs it, for arm64 under qemu: a cell with a class is all of that, any other says why not. Some
cells take a minute each, and are tried only when the table is written anew (`UPDATE_EXPECT=1`): C++ by `zig_gnu`, and by zig for arm64, since zig compiles its
C++ library once for each target; the race detector for arm64.

| strategy | toolchain | platform | Go alone | C | C++ |
|---|---|---|---|---|---|
";

/// Asserts that one part of the document is `text`, or writes it anew.
#[track_caller]
pub(crate) fn document_says(part: Part, text: &str) {
    // Two tests write one file.
    static WRITING: Mutex<()> = Mutex::new(());
    let guard = WRITING.lock();
    let path = manifest_dir().join("docs/strategies.md");
    let written = fs::read_to_string(&path).unwrap_or_default();
    let (rules, evidence) = written.split_once(EVIDENCE).unwrap_or((&written, ""));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let (rules, evidence) = match part {
            Part::Rules => (text, evidence),
            Part::Evidence => (rules, text),
        };
        fs::write(&path, format!("{rules}{EVIDENCE}{evidence}")).unwrap();
        return;
    }
    drop(guard);
    let found = if part == Part::Rules { rules } else { evidence };
    let differs = |it: &&str| !found.lines().any(|found| found == *it);
    let new: Vec<_> = text.lines().filter(differs).collect();
    let new = new.join("\n");
    assert!(found == text, "docs/strategies.md is old; UPDATE_EXPECT=1 writes it anew:\n{new}");
}

#[test]
fn the_table_of_strategies_is_what_the_rules_say() {
    document_says(Part::Rules, &document(&load_rules(None).unwrap()));
}
