//! All targets of a workspace, as resolution leaves them.

use crate::model::target::Target;
use crate::words::label::{Label, PackagePath};
use crate::words::near::nearest;
use crate::words::pattern::{Pattern, PatternSet};
use crate::words::problem::Problem;
use std::collections::BTreeSet;

/// Every target of a workspace.
///
/// # Invariants
///
/// Each target stands under its own label; every label in its dependencies is here; no target
/// depends on itself, by whatever way; no two make the same file, nor one below another's. Only
/// `model::resolve` makes one.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Sorted by label: a million of them take half the room of a map.
    sorted: Vec<Target>,
}

impl Targets {
    /// Takes targets that resolution has found to keep the invariants.
    pub(in crate::model) fn from_resolved(mut targets: Vec<Target>) -> Self {
        targets.sort_unstable_by(|one, two| one.label.cmp(&two.label));
        Self { sorted: targets }
    }

    /// Returns one target.
    #[must_use]
    pub fn get(&self, label: &Label) -> Option<&Target> {
        self.number(label).and_then(|it| self.sorted.get(it))
    }

    /// Returns the place of a target in the order of labels.
    #[must_use]
    pub fn number(&self, label: &Label) -> Option<usize> {
        self.sorted.binary_search_by(|it| it.label.cmp(label)).ok()
    }

    /// Returns all targets, by label.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.sorted.iter()
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Returns the labels that the patterns select, sorted.
    ///
    /// # Errors
    ///
    /// Returns a problem, without a place, for each label that does not exist and for each wanted
    /// pattern that matches nothing.
    pub fn select(&self, patterns: &PatternSet) -> Result<Vec<Label>, Vec<Problem>> {
        let mut problems = Vec::new();
        for pattern in patterns.wanted.iter().chain(&patterns.left_out) {
            match pattern {
                Pattern::One(label) if self.number(label).is_none() => {
                    problems.push(self.unknown(label));
                }
                _ => {}
            }
        }
        for pattern in &patterns.wanted {
            let wide = !matches!(pattern, Pattern::One(_));
            if wide && !self.labels().any(|it| pattern.matches(it)) {
                problems.push(Problem::new(format!("no target matches `{pattern}`")));
            }
        }
        if problems.is_empty() {
            Ok(self.labels().filter(|it| patterns.matches(it)).cloned().collect())
        } else {
            Err(problems)
        }
    }

    /// Returns the targets of `labels` and all that they need, each after what it depends on.
    ///
    /// Labels that do not exist are passed over. The order depends on the labels alone.
    #[must_use]
    pub fn in_order(&self, labels: &[Label]) -> Vec<&Target> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let mut stack: Vec<(&Target, usize)> = Vec::new();
        for label in labels {
            let Some(root) = self.get(label) else { continue };
            if seen.insert(&root.label) {
                stack.push((root, 0));
            }
            while let Some((target, next)) = stack.last_mut() {
                let target = *target;
                let Some(dependency) = target.dependencies.get(*next) else {
                    order.push(target);
                    stack.pop();
                    continue;
                };
                *next += 1;
                if let Some(dependency) = self.get(dependency)
                    && seen.insert(&dependency.label)
                {
                    stack.push((dependency, 0));
                }
            }
        }
        order
    }

    fn labels(&self) -> impl Iterator<Item = &Label> {
        self.sorted.iter().map(|it| &it.label)
    }

    /// Says that a label does not exist, with a near one.
    fn unknown(&self, label: &Label) -> Problem {
        let packages: BTreeSet<_> = self.labels().map(Label::package).collect();
        let here = self.labels().filter(|it| it.package() == label.package());
        let names: Vec<_> = here.map(Label::name).collect();
        let elsewhere = self.labels().filter(|it| it.name() == label.name());
        let elsewhere: Vec<_> = elsewhere.collect();
        unknown_label(label, packages.contains(label.package()), &names, &packages, &elsewhere)
    }
}

/// Makes the problem of a label that does not exist.
///
/// `names` are those of its package, `elsewhere` the targets of the same name in other packages.
pub(in crate::model) fn unknown_label(
    label: &Label,
    is_package: bool,
    names: &[&str],
    packages: &BTreeSet<&PackagePath>,
    elsewhere: &[&Label],
) -> Problem {
    let package = label.package().as_str();
    let problem = Problem::new(format!("no target `{label}`"));
    if is_package {
        let problem = match nearest(label.name(), names.iter().copied()) {
            Some(near) => return problem.hint(format!("did you mean `//{package}:{near}`?")),
            None => problem,
        };
        return match elsewhere {
            [only] => problem.hint(format!("did you mean `{only}`?")),
            _ => problem.hint(format!("`{}` declares no such target", file_of(label.package()))),
        };
    }
    let file = file_of(label.package());
    let problem = problem.hint(format!("there is no `{file}`"));
    let near = nearest(package, packages.iter().map(|it| it.as_str()).filter(|it| !it.is_empty()));
    match (near, elsewhere) {
        (_, [only]) => problem.hint(format!("did you mean `{only}`?")),
        (Some(near), _) => problem.hint(format!("did you mean `//{near}:{}`?", label.name())),
        (None, _) => problem,
    }
}

/// Returns the path of a package's `BUILD.ron`.
fn file_of(package: &PackagePath) -> String {
    package.join("BUILD.ron")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::told;
    use crate::model::target::Rule;
    use crate::words::span::{Source, Span};
    use expect_test::expect;
    use std::sync::Arc;

    fn label(text: &str) -> Label {
        Label::parse(text, &PackagePath::root()).unwrap()
    }

    fn targets(list: &[(&str, &[&str])]) -> Targets {
        let source = Arc::new(Source { name: String::new(), text: String::new() });
        let target = |(name, needs): &(&str, &[&str])| Target {
            label: label(name),
            span: Span::new(Arc::clone(&source), 0..0),
            dependencies: needs.iter().map(|it| label(it)).collect(),
            rule: Rule::Suite,
        };
        Targets::from_resolved(list.iter().map(target).collect())
    }

    fn select(targets: &Targets, patterns: &[&str]) -> String {
        match targets.select(&PatternSet::parse(patterns, &PackagePath::root()).unwrap()) {
            Ok(labels) => labels.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Err(problems) => told(&problems),
        }
    }

    #[test]
    fn patterns_select_and_what_matches_nothing_is_told() {
        let targets = targets(&[("//a:x", &[]), ("//a:y", &[]), ("//b:z", &[])]);
        expect![[r#"
            //a:y
            //b:z"#]]
        .assert_eq(&select(&targets, &["//...", "-//a:x"]));
        expect![[r#"
            no target `//a:z`
              hint: did you mean `//b:z`?
            no target `//c:z`
              hint: there is no `c/BUILD.ron`
              hint: did you mean `//b:z`?
            no target `//bb:q`
              hint: there is no `bb/BUILD.ron`
              hint: did you mean `//b:q`?
            no target `//a:xx`
              hint: did you mean `//a:x`?
            no target matches `//d/...`
        "#]]
        .assert_eq(&select(&targets, &["//a:z", "//c:z", "//bb:q", "//d/...", "-//a:xx"]));
    }

    #[test]
    fn what_is_needed_stands_first_and_once() {
        let targets = targets(&[
            ("//:top", &["//:left", "//:right"]),
            ("//:left", &["//:base"]),
            ("//:right", &["//:base"]),
            ("//:base", &[]),
            ("//:other", &[]),
        ]);
        let order = targets.in_order(&[label(":top"), label(":base"), label(":none")]);
        let names: Vec<_> = order.iter().map(|it| it.label.name()).collect();
        assert_eq!(names, ["base", "left", "right", "top"]);
        assert!(targets.len() == 5 && !targets.is_empty() && targets.get(&label(":x")).is_none());
    }
}
