//! What `doctor` looks at: the tools and places of this machine, and a probe for each strategy.

use crate::cli::console::Console;
use crate::effects::c_compiler::Compiler;
use crate::effects::c_tools::CTools;
use crate::effects::go_tool::GoTool;
use crate::effects::machine::Machine;
use crate::effects::workspace;
use crate::engine::probe::{self, works};
use crate::model::strategy::{Need, RuleSet, Strategy};
use crate::model::toolchain::{Family, Toolchain};
use crate::report::doctor::{CheckOutcome, Fact};
use crate::words::amount::human_size;
use std::sync::Arc;

/// Looks for the tools and places that builds need.
#[must_use]
pub fn facts(machine: &Machine, rules: &RuleSet, console: &Console<'_>) -> Vec<Fact> {
    let fact = |name: &str, found: Option<String>| Fact { name: name.to_owned(), found };
    let go = GoTool::find(machine);
    let go = go.map(|it| format!("{} ({})", it.version, it.program.display())).ok();
    let mut facts = vec![fact("go", go)];
    facts.extend(toolchains(machine, rules));
    for tool in ["g++", "pkg-config", "git"] {
        facts.push(fact(tool, machine.program(tool).map(|it| it.display().to_string())));
    }
    let root = workspace::find(&console.settings.folder).ok();
    facts.push(fact("workspace", root.map(|it| it.root.display().to_string())));
    facts.push(fact("store", Some(store(machine))));
    facts
}

/// Looks for each C toolchain of the rules, and says what those for this machine link. Those for
/// other platforms are only looked for: zig compiles a whole C library before it links anything.
fn toolchains(machine: &Machine, rules: &RuleSet) -> Vec<Fact> {
    let own = |it: &&Arc<Toolchain>| it.platforms.is_empty() || it.family == Family::Gnu;
    let mut facts = Vec::new();
    for toolchain in rules.toolchains.values() {
        let architectures: Vec<_> = match toolchain.platforms.as_slice() {
            [] => vec![std::env::consts::ARCH],
            named => named.iter().filter_map(|it| Some(it.split_once('/')?.1)).collect(),
        };
        let wanted: Vec<_> = architectures.iter().map(|it| toolchain.compilers(it, None)).collect();
        let found = wanted.iter().find(|it| Compiler::find(machine, it).is_some());
        let told = found.and_then(|it| {
            if !own(&toolchain) {
                let (cc, _) = Compiler::find(machine, it)?;
                return Some(cc.program.display().to_string());
            }
            CTools::find(machine, it).map(|it| described(&it))
        });
        facts.push(Fact { name: format!("toolchain {}", toolchain.name), found: told });
    }
    facts
}

/// Says what C tools are and what they link.
fn described(tools: &CTools) -> String {
    let links: Vec<_> = [
        (Need::StaticLibc, "static C"),
        (Need::StaticPieStart, "static PIE"),
        (Need::StaticLibstdcxx, "static C++"),
    ]
    .into_iter()
    .filter_map(|(need, what)| tools.meets.contains(&need).then_some(what))
    .collect();
    let links = if links.is_empty() { "nothing static".to_owned() } else { links.join(", ") };
    let untruth = tools.untruth.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
    let CTools { name, machine, cc, .. } = tools;
    format!("{name}, for {machine} ({}), links {links}{untruth}", cc.program.display())
}

fn store(machine: &Machine) -> String {
    let root = machine.store.root();
    let there = root.ancestors().find(|it| it.is_dir());
    let free = there.and_then(|it| rustix::fs::statvfs(it).ok());
    let free =
        free.map(|it| format!(", {} free", human_size(it.f_bavail.saturating_mul(it.f_frsize))));
    format!("{}{}", root.display(), free.unwrap_or_default())
}

/// Links a small program by `strategy` and verifies it.
#[must_use]
pub fn probe(machine: &Machine, strategy: &Strategy, rules: &RuleSet) -> CheckOutcome {
    let missing = |what: String, detail: Option<String>| {
        let packages = packages(&what, strategy);
        CheckOutcome::Missing { what, packages, detail }
    };
    match probe::probe(strategy, rules, machine) {
        Ok(finished) if works(&finished) => {
            let class = finished.class.unwrap_or_default();
            let size = finished.size.map(|it| format!(", {}", human_size(it))).unwrap_or_default();
            CheckOutcome::Works { detail: format!("{class}{size}") }
        }
        Ok(finished) => {
            let error = finished.error.unwrap_or_default();
            let mut lines = error.lines().map(str::trim);
            let first = lines.next().unwrap_or_default().to_owned();
            let rest: Vec<_> = lines.collect();
            // Of a ladder's list of one, the reason is what matters.
            match rest.as_slice() {
                [] => missing(first, None),
                [reason, more @ ..] if first.starts_with("no strategy") => {
                    let detail = (!more.is_empty()).then(|| more.join("\n"));
                    let reason = reason.splitn(3, ": ").last().unwrap_or(reason);
                    missing(reason.to_owned(), detail)
                }
                rest => missing(first, Some(rest.join("\n"))),
            }
        }
        Err(error) => missing(error.to_string(), None),
    }
}

/// The Debian packages that bring what a sentence says is missing.
fn packages(what: &str, strategy: &Strategy) -> Vec<String> {
    let known = [
        ("there is no C compiler `musl-gcc`", "musl-tools"),
        ("there is no C compiler `gcc`", "gcc"),
        ("there is no C compiler `clang`", "clang"),
        ("static C library", "libc6-dev"),
        ("static PIE", "libc6-dev"),
        ("static C++ library", "libstdc++-12-dev"),
    ];
    let named = known.iter().filter(|(sentence, _)| what.contains(sentence));
    let mut packages: Vec<_> = named.map(|(_, package)| (*package).to_owned()).collect();
    if packages.iter().any(|it| it == "libc6-dev")
        && strategy.toolchains.iter().any(|it| it.cc == "musl-gcc")
    {
        packages = vec!["musl-dev".to_owned()];
    }
    packages
}
