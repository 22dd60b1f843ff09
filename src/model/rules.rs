//! C toolchains, strategies, ladders and policies of the built-in rules and of a workspace's own,
//! put together.
//!
//! A workspace's own definition replaces the built-in one of the same name and kind, also where a
//! built-in ladder tries it. Inside the workspace's own files a name is defined once.

use crate::formats::linkage::{Class, Relro};
use crate::formats::rules_file::{
    LadderSpec, PackagesSpec, PolicySpec, RulesSpec, StrategySpec, ToolchainSpec,
};
use crate::model::flags::{Tool, check as check_flags};
use crate::model::platform::PLATFORMS;
use crate::model::policy::{Demand, Policy};
use crate::model::strategy::{BuildMode, Cgo, Ladder, LinkMode, Promise, RuleSet, Strategy};
use crate::model::toolchain::{Family, Linker, LinkerChoice, Need, Packages, Toolchain};
use crate::words::near::{nearest, suggestion};
use crate::words::problem::{Problem, sort};
use crate::words::span::{Span, Spanned};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The words of `cgo`.
pub const CGO: [(&str, Cgo); 3] = [("auto", Cgo::Auto), ("on", Cgo::On), ("off", Cgo::Off)];

/// The words of `linkmode`.
pub const LINK_MODES: [(&str, LinkMode); 3] =
    [("auto", LinkMode::Auto), ("internal", LinkMode::Internal), ("external", LinkMode::External)];

/// The words of `buildmode`.
pub const BUILD_MODES: [(&str, BuildMode); 3] =
    [("default", BuildMode::Default), ("exe", BuildMode::Exe), ("pie", BuildMode::Pie)];

/// The words of `needs`.
pub const NEEDS: [(&str, Need); 4] = [
    ("c_compiler", Need::CCompiler),
    ("static_libc", Need::StaticLibc),
    ("static_libstdcxx", Need::StaticLibstdcxx),
    ("static_pie_start", Need::StaticPieStart),
];

/// The words of `family`.
pub const FAMILIES: [(&str, Family); 3] =
    [("gnu", Family::Gnu), ("clang", Family::Clang), ("zig", Family::Zig)];

/// The words of `linker`.
pub const LINKERS: [(&str, LinkerChoice); 5] = [
    ("bfd", LinkerChoice::Named(Linker::Bfd)),
    ("gold", LinkerChoice::Named(Linker::Gold)),
    ("lld", LinkerChoice::Named(Linker::Lld)),
    ("mold", LinkerChoice::Named(Linker::Mold)),
    ("fastest", LinkerChoice::Fastest),
];

/// The toolchains of a strategy that names none: what Go itself would take.
const CUSTOMARY: [&str; 3] = ["gcc", "clang", "cc"];

/// The words of `promise`.
pub const PROMISES: [(&str, Promise); 4] = [
    ("any", Promise::Any),
    ("static", Promise::Static),
    ("static_pie", Promise::StaticPie),
    ("libc_only", Promise::LibcOnly),
];

/// The words of `class`.
pub const CLASSES: [(&str, Class); 8] = [
    ("static", Class::Static),
    ("static_pie", Class::StaticPie),
    ("system_libraries", Class::SystemLibraries),
    ("needs_loader", Class::NeedsLoader),
    ("dynamic", Class::Dynamic),
    ("shared", Class::Shared),
    ("not_executable", Class::NotExecutable),
    ("not_elf", Class::NotElf),
];

/// The words of a policy's clauses.
pub const DEMAND_WORDS: [(&str, Demand); 3] =
    [("allow", Demand::Allow), ("deny", Demand::Deny), ("require", Demand::Require)];

/// The words of `relro`.
pub const RELROS: [(&str, Relro); 3] =
    [("none", Relro::None), ("partial", Relro::Partial), ("full", Relro::Full)];

/// Puts the built-in rules and a workspace's own files, in the order of their names, together.
///
/// # Errors
///
/// Returns everything that is wrong with them.
pub fn assemble(built_in: RulesSpec, own: Vec<RulesSpec>) -> Result<RuleSet, Vec<Problem>> {
    let mut assembly = Assembly::default();
    let mut toolchains = BTreeMap::new();
    let mut tools = BTreeMap::new();
    let mut strategies = BTreeMap::new();
    let mut ladders = BTreeMap::new();
    let mut policies = BTreeMap::new();
    for (is_own, file) in
        [(false, built_in)].into_iter().chain(own.into_iter().map(|it| (true, it)))
    {
        for spec in file.toolchains {
            assembly.define(&mut toolchains, "c_toolchain", is_own, spec.name.clone(), spec);
        }
        for spec in file.tools {
            assembly.define(&mut tools, "tool", is_own, spec.name.clone(), spec);
        }
        for spec in file.strategies {
            assembly.define(&mut strategies, "strategy", is_own, spec.name.clone(), spec);
        }
        for spec in file.ladders {
            assembly.define(&mut ladders, "ladder", is_own, spec.name.clone(), spec);
        }
        for spec in file.policies {
            assembly.define(&mut policies, "policy", is_own, spec.name.clone(), spec);
        }
    }
    assembly.no_shared_names(&strategies, &ladders);
    let mut rules = assembly.rule_set(toolchains, strategies, (ladders, policies));
    rules.tools = tools.into_iter().map(|(name, it)| (name, packages(it.spec.packages))).collect();
    let mut problems = assembly.problems;
    sort(&mut problems);
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

/// A definition and whether it is the workspace's own.
struct Defined<S> {
    is_own: bool,
    span: Span,
    spec: S,
}

type ByName<S> = BTreeMap<String, Defined<S>>;

#[derive(Default)]
struct Assembly {
    problems: Vec<Problem>,
}

impl Assembly {
    fn define<S>(
        &mut self,
        all: &mut ByName<S>,
        kind: &str,
        is_own: bool,
        name: Spanned<String>,
        spec: S,
    ) {
        let allowed = |it: char| it.is_ascii_alphanumeric() || "_-.+".contains(it);
        let Spanned { value: name, span } = name;
        if name.is_empty() || name.starts_with('-') || !name.chars().all(allowed) {
            let message = format!("`{name}` is no name of a {kind}");
            let hint = "use letters, digits, `_`, `-`, `.` and `+`, and do not begin with `-`";
            self.problems.push(Problem::new(message).at(span, "").hint(hint));
            return;
        }
        if let Some(first) = all.get(&name).filter(|it| it.is_own == is_own) {
            let problem = Problem::new(format!("the {kind} `{name}` is defined twice"))
                .at(span, "again here")
                .at(first.span.clone(), "first here");
            self.problems.push(problem);
            return;
        }
        all.insert(name, Defined { is_own, span, spec });
    }

    fn no_shared_names(&mut self, strategies: &ByName<StrategySpec>, ladders: &ByName<LadderSpec>) {
        for (name, strategy) in strategies {
            let Some(ladder) = ladders.get(name) else { continue };
            let mut places = [(&strategy.span, "the strategy"), (&ladder.span, "the ladder")];
            if !strategy.is_own {
                places.reverse();
            }
            let mut problem = Problem::new(format!("`{name}` is both a strategy and a ladder"))
                .hint("`link` takes either, so their names must differ");
            for (span, word) in places {
                problem = problem.at(span.clone(), word);
            }
            self.problems.push(problem);
        }
    }

    fn rule_set(
        &mut self,
        toolchains: ByName<ToolchainSpec>,
        strategies: ByName<StrategySpec>,
        (ladders, policies): (ByName<LadderSpec>, ByName<PolicySpec>),
    ) -> RuleSet {
        let mut rules = RuleSet::default();
        for (name, defined) in toolchains {
            let toolchain = self.toolchain(defined.spec);
            rules.toolchains.insert(name, Arc::new(toolchain));
        }
        for (name, defined) in strategies {
            let strategy = self.strategy(defined.spec, &rules);
            rules.strategies.insert(name, Arc::new(strategy));
        }
        let names = ladders.keys().cloned().collect();
        for (name, defined) in ladders {
            let ladder = self.ladder(defined.spec, &rules, &names);
            rules.ladders.insert(name, Arc::new(ladder));
        }
        for (name, defined) in policies {
            let policy = self.policy(defined.spec);
            rules.policies.insert(name, Arc::new(policy));
        }
        rules
    }

    fn toolchain(&mut self, spec: ToolchainSpec) -> Toolchain {
        let cc = self.program("cc", Some(spec.cc)).unwrap_or_default();
        let family = self.choose("family", spec.family.as_ref(), &FAMILIES).unwrap_or_default();
        let known: Vec<_> = LINKERS.iter().map(|(name, _)| *name).take(4).collect();
        let mut linkers = Vec::new();
        for word in &spec.linkers {
            if let Some((_, linker)) = Linker::ALL.iter().find(|it| it.0 == word.value) {
                linkers.push(*linker);
            } else {
                let message = format!("`{}` is no word for `linkers`", word.value);
                let problem = Problem::new(message).at(word.span.clone(), "");
                self.problems.push(problem.hint(suggestion(&word.value, &known)));
            }
        }
        for platform in spec.platforms.iter().filter(|it| !PLATFORMS.contains(&&*it.value)) {
            let message = format!("`{}` is no platform that Go knows", platform.value);
            let problem = Problem::new(message).at(platform.span.clone(), "");
            self.problems.push(problem.hint(suggestion(&platform.value, &PLATFORMS)));
        }
        if let (Family::Zig, None) = (family, &spec.target) {
            let problem = Problem::new(format!("`{}` lacks a `target`", spec.name.value));
            let problem = problem.at(spec.name.span.clone(), "");
            self.problems
                .push(problem.hint("zig must be told one: `target: \"{arch}-linux-musl\"`"));
        }
        let mut parts = BTreeMap::new();
        for (need, brought) in spec.parts {
            if let Some(need) = self.choose("need", Some(&need), &NEEDS) {
                parts.insert(need, packages(brought));
            }
        }
        Toolchain {
            name: spec.name.value,
            doc: spec.doc,
            cc,
            cxx: self.program("cxx", spec.cxx),
            guess_cxx: false,
            python: self.program("python", spec.python),
            family,
            target: self.program("target", spec.target),
            platforms: values(spec.platforms),
            linkers,
            packages: packages(spec.packages),
            parts,
        }
    }

    /// The toolchains of a strategy: those that it names, else its `cc`, else customary ones.
    fn toolchains(&mut self, spec: &StrategySpec, rules: &RuleSet) -> Vec<Arc<Toolchain>> {
        let cc = self.program("cc", spec.cc.clone());
        let cxx = self.program("cxx", spec.cxx.clone());
        let Some(names) = &spec.toolchains else {
            let customary = CUSTOMARY.iter().filter_map(|it| rules.toolchains.get(*it));
            return match (cc, cxx) {
                (Some(cc), cxx) => {
                    let own = Toolchain::of_programs(&cc, cxx.as_deref());
                    // The same program is brought by the same packages.
                    let known = rules.toolchains.values().find(|it| it.cc == cc);
                    let known = known.map_or_else(Toolchain::default, |it| Toolchain::clone(it));
                    let Toolchain { packages, parts, .. } = known;
                    vec![Arc::new(Toolchain { packages, parts, ..own })]
                }
                (None, None) => customary.cloned().collect(),
                (None, cxx) => customary
                    .map(|it| Arc::new(Toolchain { cxx: cxx.clone(), ..Toolchain::clone(it) }))
                    .collect(),
            };
        };
        if let Some(word) = spec.cc.as_ref().or(spec.cxx.as_ref()) {
            let problem = Problem::new("a strategy says `toolchains`, or `cc` and `cxx`, not both");
            self.problems.push(problem.at(word.span.clone(), "").hint("leave one of them out"));
        }
        let mut found = Vec::new();
        for name in names {
            if let Some(it) = rules.toolchains.get(&name.value) {
                found.push(Arc::clone(it));
            } else {
                let known: Vec<_> = rules.toolchains.keys().map(String::as_str).collect();
                let problem = Problem::new(format!("no toolchain `{}`", name.value));
                let problem = problem.at(name.span.clone(), "");
                self.problems.push(problem.hint(suggestion(&name.value, &known)));
            }
        }
        found
    }

    fn strategy(&mut self, spec: StrategySpec, rules: &RuleSet) -> Strategy {
        let toolchains = self.toolchains(&spec, rules);
        self.problems.extend(check_tags(&spec.tags));
        self.problems.extend(check_flags(Tool::GoLinker, "ldflags", &spec.ldflags));
        self.problems.extend(check_flags(Tool::CLinker, "extldflags", &spec.extldflags));
        self.go_flags(&spec.go_flags);
        let cgo = self.choose("cgo", spec.cgo.as_ref(), &CGO).unwrap_or_default();
        if let (true, Cgo::Off, Some(word)) = (spec.race, cgo, spec.cgo) {
            let problem = Problem::new("the race detector needs cgo").at(word.span, "");
            self.problems.push(problem.hint("write `cgo: on`, or leave `race` out"));
        }
        let linkmode = self.choose("linkmode", spec.linkmode.as_ref(), &LINK_MODES);
        let buildmode = self.choose("buildmode", spec.buildmode.as_ref(), &BUILD_MODES);
        let promise = self.choose("promise", spec.promise.as_ref(), &PROMISES);
        let linker = self.choose("linker", spec.linker.as_ref(), &LINKERS);
        if let (Some(word), false) = (&spec.linker, linkmode == Some(LinkMode::External)) {
            let problem = Problem::new("a `linker` is used only where the C compiler links");
            let problem = problem.at(word.span.clone(), "");
            self.problems.push(problem.hint("write `linkmode: external` too"));
        }
        let needs = spec.needs.iter().filter_map(|it| self.choose("needs", Some(it), &NEEDS));
        let needs = needs.collect();
        Strategy {
            name: spec.name.value,
            doc: spec.doc,
            cgo,
            tags: values(spec.tags),
            linkmode: linkmode.unwrap_or_default(),
            buildmode: buildmode.unwrap_or_default(),
            race: spec.race,
            toolchains,
            linker,
            ldflags: values(spec.ldflags),
            extldflags: values(spec.extldflags),
            go_flags: values(spec.go_flags),
            needs,
            promise: promise.unwrap_or_default(),
            glibc_max: self.version("glibc_max", spec.glibc_max),
        }
    }

    fn choose<T: Copy>(
        &mut self,
        field: &str,
        word: Option<&Spanned<String>>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let word = word?;
        let found = words.iter().find(|(name, _)| *name == word.value).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = words.iter().map(|it| it.0).collect();
            let problem = Problem::new(format!("`{}` is no word for `{field}`", word.value));
            let problem = problem.at(word.span.clone(), "");
            self.problems.push(problem.hint(suggestion(&word.value, &names)));
        }
        found
    }

    /// A compiler is a program on `PATH`: a path would make a file of the workspace run.
    fn program(&mut self, field: &str, name: Option<Spanned<String>>) -> Option<String> {
        let name = name?;
        let plain = |it: char| it.is_ascii_alphanumeric() || "_-.+".contains(it);
        let filled = name.value.replace("{arch}", "arch");
        let fine = !name.value.starts_with(['-', '.']) && filled.chars().all(plain);
        if name.value.is_empty() || !fine {
            let message = format!("`{}` in `{field}` is no name of a program", name.value);
            let hint = "write the bare name of a compiler on `PATH`, such as `musl-gcc`";
            self.problems.push(Problem::new(message).at(name.span, "").hint(hint).refused());
            return None;
        }
        Some(name.value)
    }

    fn go_flags(&mut self, words: &[Spanned<String>]) {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let suffix = |it: &str| {
                !it.is_empty() && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
            };
            let fine = match word.value.as_str() {
                "-a" => true,
                "-installsuffix" => words.next().is_some_and(|it| suffix(&it.value)),
                other => other.strip_prefix("-installsuffix=").is_some_and(suffix),
            };
            if !fine {
                let message = format!("`{}` is refused in `go_flags`", word.value);
                let hint =
                    "only `-a` and `-installsuffix`, with a plain word after it, are allowed";
                let problem = Problem::new(message).at(word.span.clone(), "").hint(hint);
                self.problems.push(problem.refused());
            }
        }
    }

    fn ladder(&mut self, spec: LadderSpec, rules: &RuleSet, ladders: &BTreeSet<String>) -> Ladder {
        let mut tries = Vec::new();
        if spec.tries.is_empty() {
            let message = format!("the ladder `{}` tries nothing", spec.name.value);
            self.problems.push(Problem::new(message).at(spec.name.span.clone(), ""));
        }
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for name in spec.tries {
            if let Some(first) = seen.insert(name.value.clone(), name.span.clone()) {
                let message = format!("`{}` is tried twice", name.value);
                let problem = Problem::new(message).at(name.span, "again here");
                self.problems.push(problem.at(first, "first here"));
                continue;
            }
            if let Some(strategy) = rules.strategies.get(&name.value) {
                tries.push(Arc::clone(strategy));
            } else {
                let near = nearest(&name.value, rules.strategies.keys().map(String::as_str));
                let problem = Problem::new(format!("no strategy `{}`", name.value));
                let problem = problem.at(name.span, "");
                self.problems.push(match near {
                    _ if ladders.contains(&name.value) => {
                        problem.hint("it is a ladder; a ladder tries strategies")
                    }
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.hint("a ladder tries strategies; docs/rules.md lists them"),
                });
            }
        }
        Ladder { name: spec.name.value, doc: spec.doc, tries }
    }

    fn policy(&mut self, spec: PolicySpec) -> Policy {
        let mut policy = Policy { name: spec.name.value, doc: spec.doc, ..Policy::default() };
        let class = spec.class.iter().filter_map(|it| self.choose("class", Some(it), &CLASSES));
        policy.class = class.collect();
        for (field, word) in &spec.demands {
            let demand = self.choose(field, Some(word), &DEMAND_WORDS).unwrap_or_default();
            *match *field {
                "nss" => &mut policy.nss,
                "dlopen" => &mut policy.dlopen,
                "rpath" => &mut policy.rpath,
                "nx" => &mut policy.nx,
                "pie" => &mut policy.pie,
                _ => &mut policy.textrel,
            } = demand;
        }
        policy.relro = self.choose("relro", spec.relro.as_ref(), &RELROS);
        policy.needed = spec.needed.map(values);
        policy.interpreters = spec.interpreters.map(values);
        policy.glibc_max = self.version("glibc_max", spec.glibc_max);
        policy.glibcxx_max = self.version("glibcxx_max", spec.glibcxx_max);
        policy
    }

    fn version(&mut self, field: &str, text: Option<Spanned<String>>) -> Option<String> {
        let text = text?;
        let number = |it: &str| it.parse::<u32>().is_ok() && !it.starts_with('+');
        if text.value.contains('.') && text.value.split('.').all(number) {
            return Some(text.value);
        }
        let message = format!("`{}` is no version for `{field}`", text.value);
        let hint = "write numbers with dots between them, such as `\"2.17\"`";
        self.problems.push(Problem::new(message).at(text.span, "").hint(hint));
        None
    }
}

/// Checks build tags, of a strategy or of a target.
#[must_use]
pub fn check_tags(tags: &[Spanned<String>]) -> Vec<Problem> {
    let plain = |it: char| it.is_alphanumeric() || matches!(it, '_' | '.');
    let wrong = tags.iter().filter(|it| it.value.is_empty() || !it.value.chars().all(plain));
    let problem = |it: &Spanned<String>| {
        Problem::new(format!("`{}` is no build tag", it.value))
            .at(it.span.clone(), "")
            .hint("a tag holds letters, digits, `_` and `.`; each is one string of the list")
    };
    wrong.map(problem).collect()
}

/// Drops the places.
fn packages(spec: PackagesSpec) -> Packages {
    Packages { debian: values(spec.debian), fedora: values(spec.fedora) }
}

/// Drops the places.
#[must_use]
pub fn values(texts: impl IntoIterator<Item = Spanned<String>>) -> Vec<String> {
    texts.into_iter().map(|it| it.value).collect()
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
