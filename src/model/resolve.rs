//! From what all `BUILD.ron` say to targets: every label looked up, every name settled.
//!
//! | step | what can be wrong |
//! |---|---|
//! | collect | a name declared twice in a folder |
//! | check each target | settings, Go packages, globs, arguments, outputs |
//! | look up labels | a target that does not exist, is the target itself, or has no output to read |
//! | files | two makers of one path; a reader that does not depend on the maker |
//! | bundles | tests for several platforms, or for no Linux |
//! | cycles | the shortest of each tangle |
//!
//! All problems of all targets are reported at once. Time and memory are near-linear in the number
//! of targets and dependencies, and nothing recurses, so a chain of a million targets is fine.

use crate::formats::build_file::{
    BuildSpec, BundleSpec, CommandSpec, GoBinarySpec, GoTestsSpec, RuleSpec, SettingsSpec,
    SmokeSpec, TargetSpec,
};
use crate::model::bundle_tests::{check_platforms, form as bundle_form};
use crate::model::c_library::{check as check_c_library, check_packages, files};
use crate::model::command::check as check_command;
use crate::model::cycle::{Cycle, find as find_cycles};
use crate::model::go_sdk::Sdks;
use crate::model::outputs::{Made, Read, collisions, missing_dependencies};
use crate::model::rules::values;
use crate::model::settings::{Settler, listed_platforms};
use crate::model::strategy::RuleSet;
use crate::model::target::{
    Bundle, BundleForm, CLibrary, Glob, GoBinary, GoPattern, GoSettings, GoTests, PkgConfig, Rule,
    Smoke, Target, TestRun,
};
use crate::model::targets::{Targets, unknown_label};
use crate::model::test_run::{check as check_test_run, cover as check_cover};
use crate::words::amount::parse_time;
use crate::words::label::{Label, PackagePath};
use crate::words::path::RelPath;
use crate::words::problem::{Problem, sort};
use crate::words::span::{Span, Spanned};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many names of a cycle are shown.
const SHOWN_NAMES: usize = 20;

/// How many steps of a cycle are shown with their places.
const SHOWN_PLACES: usize = 6;

/// How many unknown labels get a near name; looking for one takes time that grows with the package.
const NEAR_NAMES: usize = 100;

/// Resolves all packages of a workspace.
///
/// # Errors
///
/// Returns everything that is wrong, in the order of the files.
pub fn resolve(mut packages: Vec<BuildSpec>, rules: &RuleSet) -> Result<Targets, Vec<Problem>> {
    packages.sort_by(|a, b| a.package.cmp(&b.package));
    let mut resolver = Resolver::collect(&packages, rules);
    let mut drafts = Vec::with_capacity(resolver.kinds.len());
    let mut defaults = BTreeMap::new();
    for BuildSpec { package, is_root: _, go_sdks: _, defaults: own, targets } in packages {
        resolver.problems.extend(resolver.settler.check(&own));
        let own = own.or(&inherited(&defaults, &package));
        drafts.extend(targets.into_iter().map(|it| resolver.target(it, &own)));
        defaults.insert(package, own);
    }
    let mut problems = resolver.problems;
    problems.extend(check_files(&drafts));
    problems.extend(check_bundles(&drafts, &resolver.indices));
    problems.extend(check_cycles(&drafts, &resolver.indices));
    if problems.is_empty() {
        let target = |it: Draft| {
            let Some(rule) = it.rule else {
                unreachable!("invariant: a target without a rule has a problem")
            };
            Target { label: it.label, span: it.span, dependencies: it.dependencies, rule }
        };
        return Ok(Targets::from_resolved(drafts.into_iter().map(target).collect()));
    }
    sort(&mut problems);
    Err(problems)
}

/// Returns the settled `defaults` of the nearest package above `package`.
fn inherited(all: &BTreeMap<PackagePath, SettingsSpec>, package: &PackagePath) -> SettingsSpec {
    let mut folder = package.as_str();
    while !folder.is_empty() {
        folder = folder.rsplit_once('/').map_or("", |it| it.0);
        let above = PackagePath::parse(folder).ok().and_then(|it| all.get(&it));
        if let Some(above) = above {
            return above.clone();
        }
    }
    SettingsSpec::default()
}

/// A target while it is being checked.
struct Draft {
    label: Label,
    span: Span,
    /// `None` if something is wrong with it, which has been reported.
    rule: Option<Rule>,
    /// Sorted, each once.
    dependencies: Vec<Label>,
    /// Where each dependency that exists is written, in no order.
    edges: Vec<Spanned<Label>>,
    /// Files read by name.
    literals: Vec<Spanned<RelPath>>,
    /// Files made in the workspace.
    outputs: Vec<Spanned<RelPath>>,
}

/// What a label stands for, as far as those who refer to it care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A program, or a command with one output.
    OneOutput,
    /// A program for several platforms, a command with several outputs, or a named glob.
    ManyOutputs,
    /// A group of tests.
    Tests,
    /// A suite or a folder: nothing that a command could read.
    NoOutputs(&'static str),
    /// What `c_deps` may name.
    C,
}

struct Resolver<'r> {
    settler: Settler<'r>,
    problems: Vec<Problem>,
    packages: BTreeSet<PackagePath>,
    /// By position in the order of the files.
    indices: HashMap<Label, usize>,
    kinds: Vec<Kind>,
    near_names: usize,
}

impl<'r> Resolver<'r> {
    fn collect(packages: &[BuildSpec], rules: &'r RuleSet) -> Self {
        let count = packages.iter().map(|it| it.targets.len()).sum();
        let (sdks, problems) = Sdks::check(packages);
        let mut this = Self {
            settler: Settler::new(rules, sdks),
            problems,
            packages: packages.iter().map(|it| it.package.clone()).collect(),
            indices: HashMap::with_capacity(count),
            kinds: Vec::with_capacity(count),
            near_names: NEAR_NAMES,
        };
        let mut spans: Vec<&Span> = Vec::with_capacity(count);
        for target in packages.iter().flat_map(|it| &it.targets) {
            if let Some(first) = this.indices.get(&target.label) {
                let problem = Problem::new(format!("`{}` is declared twice", target.label))
                    .at(target.span.clone(), "again here")
                    .at(spans[*first].clone(), "first here");
                this.problems.push(problem.hint("give one of them another name"));
            } else {
                this.indices.insert(target.label.clone(), this.kinds.len());
            }
            this.kinds.push(kind(&target.rule));
            spans.push(&target.span);
        }
        this
    }

    fn target(&mut self, spec: TargetSpec, defaults: &SettingsSpec) -> Draft {
        let TargetSpec { label, span, rule } = spec;
        let mut draft = Draft {
            label,
            span,
            rule: None,
            dependencies: Vec::new(),
            edges: Vec::new(),
            literals: Vec::new(),
            outputs: Vec::new(),
        };
        draft.rule = match rule {
            RuleSpec::GoBinary(spec) => self.go_binary(&mut draft, *spec, defaults),
            RuleSpec::GoTests(spec) => self.go_tests(&mut draft, *spec, defaults),
            RuleSpec::CLibrary(spec) => {
                self.labels(&mut draft, &spec.deps);
                let c_deps = self.c_labels(&mut draft, &spec.c_deps);
                let checked = check_c_library(*spec, &draft.span, draft.label.package());
                self.problems.extend(checked.problems);
                draft.literals = checked.literals;
                Some(Rule::CLibrary(Box::new(CLibrary { c_deps, ..checked.library })))
            }
            RuleSpec::PkgConfig(spec) => {
                self.labels(&mut draft, &spec.deps);
                self.problems.extend(check_packages(&spec.packages, &draft.span));
                Some(Rule::PkgConfig(PkgConfig { packages: values(spec.packages) }))
            }
            RuleSpec::Command(spec) => Some(self.command(&mut draft, *spec)),
            RuleSpec::Files(spec) => {
                if spec.globs.is_empty() {
                    let problem = Problem::new(format!("`{}` holds no globs", draft.label));
                    self.problems.push(problem.at(draft.span.clone(), ""));
                }
                let found = files((&spec.globs, &spec.exclude), draft.label.package());
                self.problems.extend(found.problems);
                draft.literals = found.literals;
                Some(Rule::Files(Box::new(found.files)))
            }
            RuleSpec::Suite(members) => {
                self.labels(&mut draft, &members);
                Some(Rule::Suite)
            }
            RuleSpec::Bundle(spec) => self.bundle(&mut draft, &spec),
        };
        draft.dependencies = draft.edges.iter().map(|it| it.value.clone()).collect();
        draft.dependencies.sort();
        draft.dependencies.dedup();
        draft
    }

    fn go_binary(
        &mut self,
        draft: &mut Draft,
        spec: GoBinarySpec,
        defaults: &SettingsSpec,
    ) -> Option<Rule> {
        self.labels(draft, &spec.deps);
        let c_deps = self.c_labels(draft, &spec.c_deps);
        let go_package = self.go_pattern(&spec.package, true);
        let settings = self.each(draft, spec.platforms.as_deref(), (spec.settings, defaults));
        let smoke = spec.smoke.map(|it| Box::new(self.smoke(*it)));
        let (go_package, settings) = go_package.zip(settings)?;
        let settings = self.settler.shared(settings);
        Some(Rule::GoBinary(Box::new(GoBinary { go_package, c_deps, smoke, settings })))
    }

    fn command(&mut self, draft: &mut Draft, spec: CommandSpec) -> Rule {
        self.labels(draft, &spec.deps);
        let checked = check_command(spec, &draft.span, draft.label.package());
        self.problems.extend(checked.problems);
        for label in checked.in_arguments {
            self.look_up(draft, label, |it| it == Kind::OneOutput);
        }
        for label in checked.in_inputs {
            self.look_up(draft, label, |it| {
                !matches!(it, Kind::NoOutputs(_) | Kind::Tests | Kind::C)
            });
        }
        draft.literals = checked.literal_inputs;
        draft.outputs = checked.outputs;
        Rule::Command(Box::new(checked.command))
    }

    fn go_tests(
        &mut self,
        draft: &mut Draft,
        spec: GoTestsSpec,
        defaults: &SettingsSpec,
    ) -> Option<Rule> {
        self.labels(draft, &spec.deps);
        let c_deps = self.c_labels(draft, &spec.c_deps);
        if spec.packages.is_empty() {
            let problem = Problem::new(format!("`{}` names no Go packages", draft.label));
            let problem = problem.at(draft.span.clone(), "");
            self.problems.push(problem.hint("write `packages: [\"./...\"]`"));
        }
        let go_packages = self.go_patterns(&spec.packages);
        let exclude = self.go_patterns(&spec.exclude);
        let run = check_test_run(&spec, &mut self.problems);
        draft.literals = literal_data(&run, draft.label.package());
        let vet = spec.settings.vet.or(defaults.vet).unwrap_or(true);
        let covered = self.go_patterns(&spec.coverpkg);
        let own = spec.settings.clone();
        let settings = self.each(draft, spec.platforms.as_deref(), (own, defaults));
        let linked = settings.as_deref().unwrap_or_default();
        let cover = check_cover(&spec, covered, linked, &mut self.problems);
        let settings = self.settler.shared(settings?);
        let tests = GoTests { go_packages, exclude, c_deps, vet, cover, run, settings };
        Some(Rule::GoTests(Box::new(tests)))
    }

    /// Settles a target once, or once for each of its platforms.
    fn each(
        &mut self,
        draft: &Draft,
        platforms: Option<&[Spanned<String>]>,
        (own, defaults): (SettingsSpec, &SettingsSpec),
    ) -> Option<Vec<GoSettings>> {
        let Some(texts) = platforms else {
            return self.settings(own, defaults).map(|it| vec![it]);
        };
        if texts.is_empty() {
            let problem = Problem::new(format!("`{}` lists no platforms", draft.label));
            let problem = problem.at(draft.span.clone(), "");
            self.problems.push(problem.hint("leave `platforms` out to build for this machine"));
        }
        let listed = listed_platforms(texts, &own);
        // What `defaults` say of one platform does not hold for a list of them.
        let others = SettingsSpec { goos: None, goarch: None, level: None, ..defaults.clone() };
        let own = SettingsSpec { goos: None, goarch: None, level: None, ..own };
        let settings = self.settings(own, &others);
        match listed {
            Ok(listed) => {
                let settings = settings?;
                let with = |platform| GoSettings { platform, ..settings.clone() };
                Some(listed.into_iter().map(with).collect()).filter(|it: &Vec<_>| !it.is_empty())
            }
            Err(problems) => {
                self.problems.extend(problems);
                None
            }
        }
    }

    fn settings(&mut self, own: SettingsSpec, defaults: &SettingsSpec) -> Option<GoSettings> {
        self.problems.extend(self.settler.check(&own));
        match self.settler.settle(own.or(defaults)) {
            Ok(settings) => settings,
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn smoke(&mut self, spec: SmokeSpec) -> Smoke {
        let (args, stdout) = (values(spec.args), spec.stdout.map(|it| it.value));
        let mut smoke = Smoke { args, stdout, ..Smoke::default() };
        if let Some(text) = spec.exit {
            if let Ok(code) = text.value.parse() {
                smoke.exit = code;
            } else {
                let message = format!("`{}` is no exit code", text.value);
                let problem = Problem::new(message).at(text.span, "");
                self.problems.push(problem.hint("write a number from `\"0\"` to `\"255\"`"));
            }
        }
        if let Some(text) = spec.timeout {
            match parse_time(&text.value) {
                Ok(time) if !time.is_zero() => smoke.timeout = time,
                _ => {
                    let message = format!("`{}` is no time that a program could take", text.value);
                    let problem = Problem::new(message).at(text.span, "");
                    self.problems.push(problem.hint("write it as `10s` or `2m`"));
                }
            }
        }
        smoke
    }

    fn go_patterns(&mut self, texts: &[Spanned<String>]) -> Vec<GoPattern> {
        texts.iter().filter_map(|it| self.go_pattern(it, false)).collect()
    }

    fn go_pattern(&mut self, text: &Spanned<String>, is_one: bool) -> Option<GoPattern> {
        let (message, hint) = match GoPattern::parse(&text.value) {
            Ok(_) if is_one && text.value.contains("...") => {
                let message = format!("`{}` stands for several Go packages", text.value);
                (message, "a `go_binary` is one program; declare one for each")
            }
            Ok(pattern) => return Some(pattern),
            Err(error) => (error.to_string(), "folders begin with `./` and stay below this one"),
        };
        self.problems.push(Problem::new(message).at(text.span.clone(), "").hint(hint));
        None
    }

    /// Looks up C libraries, and returns those that are some, in the order written.
    fn c_labels(&mut self, draft: &mut Draft, texts: &[Spanned<String>]) -> Vec<Label> {
        let from = draft.edges.len();
        self.labels(draft, texts);
        let mut c_deps: Vec<Label> = Vec::new();
        for edge in draft.edges.get(from..).unwrap_or_default() {
            let kind = self.indices.get(&edge.value).map(|it| self.kinds[*it]);
            if kind == Some(Kind::C) {
                c_deps.push(edge.value.clone());
                continue;
            }
            let message = format!("`{}` is no C library", edge.value);
            let problem = Problem::new(message).at(edge.span.clone(), "");
            let hint = "`c_deps` names a `c_library` or a `pkg_config`; all else stands in `deps`";
            self.problems.push(problem.hint(hint));
        }
        c_deps
    }

    fn bundle(&mut self, draft: &mut Draft, spec: &BundleSpec) -> Option<Rule> {
        self.fitting_labels(draft, &spec.tests, |it| it == Kind::Tests);
        if spec.tests.is_empty() {
            let problem = Problem::new(format!("`{}` holds no tests", draft.label));
            let problem = problem.at(draft.span.clone(), "");
            self.problems.push(problem.hint("name `go_tests`: `tests: [\":tests\"]`"));
        }
        let form = match bundle_form(spec) {
            Ok(form) => form,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let suffix = if form == BundleForm::Tar { ".tar" } else { "" };
        let path = format!("bundle/{}{suffix}", draft.label.output_path());
        let mut tests: Vec<_> = draft.edges.iter().map(|it| it.value.clone()).collect();
        tests.sort();
        tests.dedup();
        let output = RelPath::parse(&path).ok()?;
        Some(Rule::Bundle(Box::new(Bundle { tests, form, output })))
    }

    fn labels(&mut self, draft: &mut Draft, texts: &[Spanned<String>]) {
        self.fitting_labels(draft, texts, |_| true);
    }

    fn fitting_labels(
        &mut self,
        draft: &mut Draft,
        texts: &[Spanned<String>],
        fits: fn(Kind) -> bool,
    ) {
        draft.edges.reserve_exact(texts.len());
        for text in texts {
            match Label::parse(&text.value, draft.label.package()) {
                Ok(value) => {
                    let label = Spanned { value, span: text.span.clone() };
                    self.look_up(draft, label, fits);
                }
                Err(error) => {
                    let problem = Problem::new(error.to_string()).at(text.span.clone(), "");
                    let near = Label::new(draft.label.package().clone(), &text.value).ok();
                    let near = near.filter(|it| self.indices.contains_key(it));
                    self.problems.push(match near {
                        Some(it) => problem.hint(format!("did you mean `:{}`?", it.name())),
                        None => problem,
                    });
                }
            }
        }
    }

    /// Looks up a label that must be of a fitting kind, and makes it a dependency.
    fn look_up(&mut self, draft: &mut Draft, mut label: Spanned<Label>, fits: fn(Kind) -> bool) {
        let Some((known, index)) = self.indices.get_key_value(&label.value) else {
            let problem = self.unknown(&label.value).at(label.span, "");
            self.problems.push(problem);
            return;
        };
        // One text for all who name it.
        label.value.clone_from(known);
        if label.value == draft.label {
            let problem = Problem::new(format!("`{}` depends on itself", draft.label));
            self.problems.push(problem.at(label.span, "").hint("leave it out"));
            return;
        }
        let kind = self.kinds[*index];
        if !fits(kind) {
            let (what, hint) = match kind {
                _ if fits(Kind::Tests) => ("no group of tests", "name a `go_tests`"),
                Kind::NoOutputs(noun) => (noun, "name a `go_binary`, a `command` or `files`"),
                Kind::Tests => ("a group of tests", "name a `go_binary`, a `command` or `files`"),
                Kind::C => ("a C library", "a Go target links it: name it in its `c_deps`"),
                _ => ("several files", "list it in `inputs`, and write the path as an argument"),
            };
            let message = match kind {
                _ if fits(Kind::Tests) => format!("`{}` is {what}", label.value),
                Kind::NoOutputs(_) | Kind::Tests | Kind::C => {
                    format!("`{}` is {what}, which makes no files", label.value)
                }
                _ => format!("`{}` is {what}, not one file that can be named", label.value),
            };
            self.problems.push(Problem::new(message).at(label.span.clone(), "").hint(hint));
        }
        draft.edges.push(label);
    }

    fn unknown(&mut self, label: &Label) -> Problem {
        if self.near_names == 0 {
            return Problem::new(format!("no target `{label}`"));
        }
        self.near_names -= 1;
        let here = self.indices.keys().filter(|it| it.package() == label.package());
        let mut names: Vec<_> = here.map(Label::name).collect();
        names.sort_unstable();
        let mut elsewhere: Vec<_> =
            self.indices.keys().filter(|it| it.name() == label.name()).collect();
        elsewhere.sort_unstable();
        let packages = self.packages.iter().collect();
        let is_package = self.packages.contains(label.package());
        unknown_label(label, is_package, &names, &packages, &elsewhere)
    }
}

/// Returns the files that tests read and that are named without wildcards: a command may make them.
fn literal_data(run: &TestRun, package: &PackagePath) -> Vec<Spanned<RelPath>> {
    let globs = run.data.iter().zip(&run.data_at).filter(|(glob, _)| glob.is_literal());
    let path = |glob: &Glob| RelPath::parse(&package.join(glob.as_str())).ok();
    globs
        .filter_map(|(glob, span)| Some(Spanned { value: path(glob)?, span: span.clone() }))
        .collect()
}

fn kind(rule: &RuleSpec) -> Kind {
    match rule {
        RuleSpec::GoBinary(it) if it.platforms.as_ref().is_some_and(|it| it.len() > 1) => {
            Kind::ManyOutputs
        }
        RuleSpec::GoBinary(_) => Kind::OneOutput,
        RuleSpec::Command(it) if it.outputs.len() == 1 => Kind::OneOutput,
        RuleSpec::Command(_) | RuleSpec::Files(_) => Kind::ManyOutputs,
        RuleSpec::GoTests(_) => Kind::Tests,
        RuleSpec::Bundle(it) => match bundle_form(it) {
            Ok(BundleForm::Tar) => Kind::OneOutput,
            _ => Kind::NoOutputs("a bundle of the form `folder`"),
        },
        RuleSpec::Suite(_) => Kind::NoOutputs("a suite"),
        RuleSpec::CLibrary(_) | RuleSpec::PkgConfig(_) => Kind::C,
    }
}

fn check_bundles(drafts: &[Draft], indices: &HashMap<Label, usize>) -> Vec<Problem> {
    let check = |draft: &Draft| {
        let Some(Rule::Bundle(bundle)) = &draft.rule else { return None };
        let tests = bundle.tests.iter().filter_map(|it| drafts.get(*indices.get(it)?));
        check_platforms((&draft.label, &draft.span), tests.filter_map(|it| it.rule.as_ref()))
    };
    drafts.iter().filter_map(check).collect()
}

fn check_files(drafts: &[Draft]) -> Vec<Problem> {
    let is_go = |it: &&Draft| matches!(it.rule, Some(Rule::GoBinary(_) | Rule::GoTests(_)));
    let binaries = drafts.iter().filter(is_go).filter_map(|it| {
        let path = RelPath::parse(&it.label.output_path()).ok()?;
        Some(Made { path, label: &it.label, span: &it.span })
    });
    // Of a label that is declared twice only the first counts, or each would collide with itself.
    let (mut seen, mut in_bundles) = (BTreeSet::new(), BTreeSet::new());
    let binaries: Vec<_> = binaries.filter(|it| seen.insert(it.label)).collect();
    let made: Vec<_> = drafts
        .iter()
        .flat_map(|draft| {
            let label = &draft.label;
            draft.outputs.iter().map(move |it| Made {
                path: it.value.clone(),
                label,
                span: &it.span,
            })
        })
        .collect();
    let read = drafts.iter().flat_map(|draft| {
        let (label, dependencies) = (&draft.label, draft.dependencies.as_slice());
        draft.literals.iter().map(move |path| Read { path, label, dependencies })
    });
    let bundle = |draft: &'_ Draft| match &draft.rule {
        Some(Rule::Bundle(it)) => Some(it.output.clone()),
        _ => None,
    };
    let bundles = drafts
        .iter()
        .filter_map(|it| Some(Made { path: bundle(it)?, label: &it.label, span: &it.span }));
    let bundles: Vec<_> = bundles.filter(|it| in_bundles.insert(it.label)).collect();
    let mut problems = collisions(&binaries);
    problems.extend(collisions(&bundles));
    problems.extend(collisions(&made));
    problems.extend(missing_dependencies(&made, &read.collect::<Vec<_>>()));
    problems
}

fn check_cycles(drafts: &[Draft], indices: &HashMap<Label, usize>) -> Vec<Problem> {
    let graph: Vec<Vec<usize>> = drafts
        .iter()
        .map(|it| it.dependencies.iter().filter_map(|it| indices.get(it).copied()).collect())
        .collect();
    find_cycles(&graph).iter().map(|it| cycle_problem(drafts, it)).collect()
}

fn cycle_problem(drafts: &[Draft], cycle: &Cycle) -> Problem {
    let mut names: Vec<String> =
        cycle.iter().take(SHOWN_NAMES).map(|it| drafts[*it].label.to_string()).collect();
    if cycle.len() > SHOWN_NAMES {
        names.push(format!("... {} more", cycle.len() - SHOWN_NAMES));
    }
    names.extend(cycle.first().map(|it| drafts[*it].label.to_string()));
    let mut problem = Problem::new(format!("targets need each other: {}", names.join(" -> ")));
    let next = cycle.iter().cycle().skip(1);
    for (from, to) in cycle.iter().zip(next).take(SHOWN_PLACES) {
        let to = &drafts[*to].label;
        let edge = drafts[*from].edges.iter().find(|it| it.value == *to);
        if let Some(edge) = edge {
            problem = problem.at(edge.span.clone(), format!("`{}` needs it", drafts[*from].label));
        }
    }
    problem.hint("take one of these dependencies away")
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "resolve_platforms_tests.rs"]
mod platforms_tests;

#[cfg(test)]
#[path = "resolve_go_tests.rs"]
mod go_tests;
