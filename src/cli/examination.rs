//! What `doctor` looks at: the tools and places of this machine, and a probe for each strategy.

use crate::cli::console::Console;
use crate::effects::c_compiler::Compiler;
use crate::effects::c_tools::CTools;
use crate::effects::go_tool::{GoTool, Trust};
use crate::effects::machine::Machine;
use crate::effects::workspace;
use crate::engine::probe::{self, Start, works};
use crate::model::strategy::{RuleSet, Strategy};
use crate::model::toolchain::{Family, Need, Toolchain};
use crate::report::doctor::{CheckOutcome, Fact};
use crate::words::amount::human_size;
use std::sync::Arc;

/// Looks for the tools and places that builds need.
#[must_use]
pub fn facts(machine: &Machine, rules: &RuleSet, console: &Console<'_>) -> Vec<Fact> {
    let fact = |name: &str, found: Option<String>| Fact { name: name.to_owned(), found };
    let go = GoTool::find(machine, Trust::Look);
    let lacks = go.as_ref().map(|it| it.release.lacks()).unwrap_or_default();
    let go = go.map(|it| format!("{} ({})", it.version, it.program.display())).ok();
    let mut facts = vec![fact("go", go)];
    facts.extend(lacks.into_iter().map(|it| fact("go lacks", Some(it))));
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

/// Links a small program by `strategy`, verifies and starts it.
#[must_use]
pub fn probe(
    machine: &Machine,
    strategy: &Strategy,
    platform: Option<&str>,
    rules: &RuleSet,
) -> CheckOutcome {
    let missing = |what: String, install: Vec<String>, detail: Option<String>| {
        let packages = packages(&install, distribution().as_deref());
        CheckOutcome::Missing { what, install, packages, detail }
    };
    let probed = match probe::probe(strategy, platform, rules, machine) {
        Ok(probed) => probed,
        Err(error) => return missing(error.to_string(), Vec::new(), None),
    };
    let finished = probed.finished;
    if works(&finished) {
        let class = finished.class.unwrap_or_default();
        let size = finished.size.map(|it| format!(", {}", human_size(it))).unwrap_or_default();
        return match probed.start {
            Start::Well => CheckOutcome::Works { detail: format!("{class}{size}, starts") },
            Start::NotHere(why) => {
                CheckOutcome::Works { detail: format!("{class}{size}, not started: {why}") }
            }
            Start::Badly(how) => {
                let what = "a probe is linked as promised, and does not start".to_owned();
                missing(what, Vec::new(), Some(how))
            }
        };
    }
    let install = finished.hints.into_iter().filter(|it| it.starts_with("install ")).collect();
    let error = finished.error.unwrap_or_default();
    let mut lines = error.lines().map(str::trim);
    let first = lines.next().unwrap_or_default().to_owned();
    let rest: Vec<_> = lines.collect();
    // Of a ladder's list of one, the reason is what matters.
    match rest.as_slice() {
        [] => missing(first, install, None),
        [reason, more @ ..] if first.starts_with("no strategy") => {
            let detail = (!more.is_empty()).then(|| more.join("\n"));
            let reason = reason.splitn(3, ": ").last().unwrap_or(reason);
            missing(reason.to_owned(), install, detail)
        }
        rest => missing(first, install, Some(rest.join("\n"))),
    }
}

/// Returns the distribution whose packages this machine takes, as sentences name it.
fn distribution() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    distribution_in(&text).map(str::to_owned)
}

fn distribution_in(os_release: &str) -> Option<&'static str> {
    let of = |name: &str| {
        let value = |it: &str| Some(it.strip_prefix(name)?.trim_matches('"').to_owned());
        os_release.lines().find_map(value).unwrap_or_default()
    };
    let words = format!("{} {}", of("ID="), of("ID_LIKE="));
    let known =
        [("debian", "Debian"), ("ubuntu", "Debian"), ("fedora", "Fedora"), ("rhel", "Fedora")];
    let is = |name: &str| words.split_whitespace().any(|it| it == name);
    known.into_iter().find(|(name, _)| is(name)).map(|it| it.1)
}

/// Returns the packages that sentences name for a distribution: what stands in backticks between
/// the last brackets and `(Debian)`.
fn packages(install: &[String], distribution: Option<&str>) -> Vec<String> {
    let Some(distribution) = distribution else { return Vec::new() };
    let mut packages = Vec::new();
    for sentence in install {
        let Some((before, _)) = sentence.split_once(&format!(" ({distribution})")) else {
            continue;
        };
        let own = before.rsplit_once(')').map_or(before, |it| it.1);
        packages.extend(own.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_those_that_the_sentence_names_for_the_distribution() {
        let two = "install `gcc` and `libc6-dev` (Debian), `gcc` and `glibc-devel` (Fedora)";
        let check = |text: &str, distribution: Option<&str>, expected: &[&str]| {
            assert_eq!(packages(&[text.to_owned()], distribution), expected, "{text}");
        };
        check(two, Some("Debian"), &["gcc", "libc6-dev"]);
        check(two, Some("Fedora"), &["gcc", "glibc-devel"]);
        check(two, None, &[]);
        check("install `ziglang` (PyPI)", Some("Debian"), &[]);
        check(
            "install `libstdc++-12-dev` (Debian) or your own",
            Some("Debian"),
            &["libstdc++-12-dev"],
        );
        assert_eq!(distribution_in("NAME=x\nID=debian\n"), Some("Debian"));
        assert_eq!(distribution_in("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Some("Debian"));
        assert_eq!(
            distribution_in("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            Some("Fedora")
        );
        assert_eq!(distribution_in("ID=arch\n"), None);
    }
}
