//! The table of evidence in `docs/strategies.md`: every strategy by every C toolchain it names,
//! of Go alone, with C and with C++, linked in one build, and each program run.
//! `UPDATE_EXPECT=1` writes it anew; cells that take minutes are tried then alone.
//!
//! A strategy of the built-in rules is made one for each toolchain by its own text, so that what is
//! tried is what is shipped. Programs for another architecture are run under qemu.

use crate::strategies_doc::{Part, document_says};
use crate::support::{has, manifest_dir};
use crate::workspace::{Run, Workspace, needs, text};
use linkwright::effects::workspace::load_rules;
use linkwright::model::strategy::{Cgo, LinkMode, Promise, RuleSet, Strategy};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Go alone: what looks up names of hosts and users, which Go does by cgo where it may.
const GO: &str = "package main\n\nimport (\n\t\"net\"\n\t\"os/user\"\n)\n\nfunc main() {\n\t_, _ = net.LookupHost(\"localhost\")\n\t_, _ = user.Current()\n\tprintln(\"looked up\")\n}\n";

const C: &str = "package main\n\n/*\n#include <stdlib.h>\n#include <string.h>\nstatic int twice(int n) { char *p = malloc(8); strcpy(p, \"x\"); n += strlen(p) - 1; free(p); return n + n; }\n*/\nimport \"C\"\n\nfunc main() { println(\"twice\", int(C.twice(21))) }\n";

/// An exception and a container of the C++ library.
const CXX: &str = "#include <map>\n#include <stdexcept>\n#include <string>\nextern \"C\" int answer(void) {\n\tstd::map<std::string, int> m;\n\tm[\"a\"] = 40;\n\ttry { throw std::runtime_error(\"two\"); } catch (std::exception &e) { if (std::string(e.what()) == \"two\") return m[\"a\"] + 2; }\n\treturn 0;\n}\n";
const CXX_GO: &str = "package main\n\n// int answer(void);\nimport \"C\"\n\nfunc main() { println(\"answer\", int(C.answer())) }\n";

/// The Go packages, and what each program says.
const PROGRAMS: [(&str, &str); 3] =
    [("go", "looked up\n"), ("c", "twice 42\n"), ("cxx", "answer 42\n")];

/// The platform of a row beside this machine's.
const FOREIGN: &str = "linux/arm64";

/// One row: a strategy by a toolchain, or by none, for a platform.
struct Row {
    strategy: String,
    toolchain: Option<String>,
    platform: &'static str,
}

impl Row {
    fn link(&self) -> String {
        let toolchain = self.toolchain.as_deref();
        toolchain.map_or(self.strategy.clone(), |it| format!("{}_by_{it}", self.strategy))
    }

    fn target(&self, program: &str) -> String {
        format!("{}-{}-{program}", self.link(), self.platform.rsplit('/').next().unwrap())
    }

    /// zig compiles its C++ library once for each target, and Go its standard library once more
    /// for the race detector, which does not start under qemu: each takes a minute.
    fn is_tried(&self, program: &str) -> bool {
        let toolchain = self.toolchain.as_deref().unwrap_or_default();
        let by_zig = toolchain == "zig_gnu" || toolchain == "zig_musl" && self.is_foreign();
        let with_race = self.strategy.contains("race") && self.is_foreign();
        let takes_long = by_zig && program == "cxx" || with_race;
        !takes_long || std::env::var_os("UPDATE_EXPECT").is_some()
    }

    /// The row's first cells.
    fn head(&self) -> String {
        let toolchain = self.toolchain.as_ref().map_or("-".to_owned(), |it| format!("`{it}`"));
        format!("| `{}` | {toolchain} | `{}` |", self.strategy, self.platform)
    }

    /// What the document says of a program.
    fn recorded(&self, program: &str) -> String {
        let text = fs::read_to_string(manifest_dir().join("docs/strategies.md")).unwrap();
        let rest = text.lines().find_map(|it| it.strip_prefix(&self.head())).unwrap();
        let cells: Vec<_> = rest.split('|').map(str::trim).collect();
        let at = PROGRAMS.iter().position(|it| it.0 == program).unwrap();
        cells[at].to_owned()
    }

    fn is_foreign(&self) -> bool {
        self.platform == FOREIGN
    }
}

/// Every strategy by every toolchain that it names.
fn rows(rules: &RuleSet) -> Vec<Row> {
    let mut rows = Vec::new();
    for strategy in rules.strategies.values() {
        let mut add = |toolchain: Option<&str>, platform| {
            let toolchain = toolchain.map(str::to_owned);
            rows.push(Row { strategy: strategy.name.clone(), toolchain, platform });
        };
        if strategy.cgo == Cgo::Off || is_for_go_alone(strategy) {
            add(None, "linux/amd64");
            add(None, FOREIGN);
            continue;
        }
        for toolchain in strategy.toolchains.iter().filter(|it| it.name != "cc") {
            let is_cross = toolchain.platforms.contains(&FOREIGN.to_owned());
            if !is_cross || toolchain.python.is_some() {
                add(Some(&toolchain.name), "linux/amd64");
            }
            if is_cross {
                add(Some(&toolchain.name), FOREIGN);
            }
        }
    }
    rows
}

/// Go's own linker makes what holds C a dynamic program.
fn is_for_go_alone(strategy: &Strategy) -> bool {
    strategy.linkmode == LinkMode::Internal && strategy.promise == Promise::Static
}

/// The built-in strategies once more, each by one toolchain alone.
fn rules_of(rows: &[Row]) -> String {
    let text = fs::read_to_string(manifest_dir().join("rules/builtin.ron")).unwrap();
    let mut strategies = BTreeMap::new();
    for row in rows {
        let Some(toolchain) = &row.toolchain else { continue };
        let name = format!("name: \"{}\",", row.strategy);
        let block = text.split("strategy(\n").find(|it| it.trim_start().starts_with(&name));
        let block = block.unwrap().split("\n        ),").next().unwrap();
        let lines = block.lines().skip(1).filter(|it| !it.trim_start().starts_with("toolchains:"));
        // `-a` only makes everything anew.
        let rest = lines.collect::<Vec<_>>().join("\n").replace("\"-a\", ", "");
        let start = format!("strategy(name: \"{}\", toolchains: [\"{toolchain}\"],", row.link());
        strategies.insert(row.link(), format!("{start}\n{rest}),\n"));
    }
    let strategies: Vec<_> = strategies.into_values().collect();
    format!("rules(strategies: [\n{}])", strategies.concat())
}

fn targets_of(rows: &[Row]) -> String {
    let mut text = "build(targets: [\n".to_owned();
    for row in rows {
        for (program, _) in PROGRAMS.iter().filter(|it| row.is_tried(it.0)) {
            let (name, link, platform) = (row.target(program), row.link(), row.platform);
            let goarch = platform.rsplit('/').next().unwrap();
            writeln!(text, "go_binary(name: \"{name}\", package: \"./{program}\", link: \"{link}\", goarch: \"{goarch}\"),").unwrap();
        }
    }
    text + "])\n"
}

/// Runs a program, under qemu if it is another architecture's; the error is what it said instead.
fn run_it(it: &Workspace, row: &Row, name: &str, says: &str) -> Result<(), String> {
    let file = it.bin(name);
    let mut command = if row.is_foreign() {
        let mut command = it.command("qemu-aarch64-static");
        command.args(["-L", "/usr/aarch64-linux-gnu"]).arg(&file);
        command
    } else {
        it.command(&file)
    };
    let output = command.output().unwrap();
    let said = text(&output);
    if output.status.success() && said == says {
        return Ok(());
    }
    Err(said.lines().next().unwrap_or("it fails").to_owned())
}

/// The words of a failed build that do not depend on a release of a tool, or on a folder.
fn reason(error: &str) -> String {
    let last = error.lines().last().unwrap_or_default().trim();
    let clause = last.split_once(": built, but not as promised: ");
    let clause = clause.or_else(|| last.split_once(": impossible: ")).map_or(last, |it| it.1);
    let clause = clause.split(" in /").next().unwrap();
    let words = clause.split(' ').collect::<Vec<_>>();
    let mut kept: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let is_version = word.starts_with(|it: char| it.is_ascii_digit()) && at > 0;
        match words.get(at.wrapping_sub(1)) {
            Some(&"glibc") if is_version && word.ends_with(',') => {
                kept.pop();
                kept.push("a newer glibc,".to_owned());
            }
            Some(before) if is_version && before.starts_with('`') => {
                kept.last_mut().unwrap().push('`');
            }
            _ => kept.push((*word).to_owned()),
        }
    }
    kept.join(" ")
}

fn cell(it: &Workspace, run: &Run, row: &Row, (program, says): (&str, &str)) -> String {
    if !row.is_tried(program) {
        return row.recorded(program);
    }
    let name = row.target(program);
    let finished = run.finished(&format!("//:{name}"));
    if finished["state"] != "built" {
        return format!("no: {}", reason(finished["error"].as_str().unwrap()));
    }
    let class = finished["class"].as_str().unwrap();
    let is_static = class == "static" || class == "static_pie";
    assert_eq!(is_static, needs(&it.bin(&name)).is_empty(), "{name}");
    match run_it(it, row, &name, says) {
        Ok(()) => format!("`{class}`"),
        // What follows depends on the kernel.
        Err(said) if row.is_foreign() => {
            let said: Vec<_> = said.splitn(3, ": ").take(2).collect();
            format!("`{class}`; no start under qemu: {}", said.join(": "))
        }
        Err(said) => panic!("{name}: {said}"),
    }
}

#[test]
fn the_table_of_evidence_is_what_links_and_runs() {
    if !cfg!(target_arch = "x86_64") {
        println!("passed over: the table is of linux/amd64");
        return;
    }
    let tools =
        ["clang++", "musl-gcc", "zig", "mold", "aarch64-linux-gnu-g++", "qemu-aarch64-static"];
    if !tools.iter().all(|it| has(it)) {
        return;
    }
    let rows = rows(&load_rules(None).unwrap());
    let Some(it) = Workspace::with_c(&[
        ("BUILD.ron", &targets_of(&rows)),
        ("rules/own.ron", &rules_of(&rows)),
        ("go/main.go", GO),
        ("c/main.go", C),
        ("cxx/main.go", CXX_GO),
        ("cxx/answer.cc", CXX),
    ]) else {
        return;
    };
    let run = it.build(&["--keep-going"]);
    let mut table = String::new();
    for row in &rows {
        table += &row.head();
        for program in PROGRAMS {
            write!(table, " {} |", cell(&it, &run, row, program)).unwrap();
        }
        table.push('\n');
    }
    document_says(Part::Evidence, &table);
}
