//! What a bundle may hold, as far as rule files say it: tests for one platform, and that a Linux.
//!
//! What is for this machine's own platform the build alone can say, which checks it once more.

use crate::formats::build_file::{BundleSpec, FORMS};
use crate::model::target::{BundleForm, Platform, Rule};
use crate::words::label::Label;
use crate::words::near::suggestion;
use crate::words::problem::Problem;
use crate::words::span::Span;
use std::collections::BTreeSet;

/// Returns what a bundle is; a folder if that is not said.
///
/// # Errors
///
/// Returns the problem of a form that there is not.
pub fn form(spec: &BundleSpec) -> Result<BundleForm, Problem> {
    let Some(form) = &spec.form else { return Ok(BundleForm::Folder) };
    match form.value.as_str() {
        "folder" => Ok(BundleForm::Folder),
        "tar" => Ok(BundleForm::Tar),
        other => {
            let problem = Problem::new(format!("no bundle is a `{other}`"));
            Err(problem.at(form.span.clone(), "").hint(suggestion(other, &FORMS)))
        }
    }
}

/// Reports a bundle whose `tests` say that they are for no Linux, or for several platforms.
#[must_use]
pub fn check_platforms<'r>(
    (label, span): (&Label, &Span),
    tests: impl Iterator<Item = &'r Rule>,
) -> Option<Problem> {
    let said = |Platform { goos, goarch, .. }: &Platform| Some((goos.clone()?, goarch.clone()?));
    let settings = tests.flat_map(Rule::go_settings);
    let platforms: BTreeSet<_> = settings.filter_map(|it| said(&it.platform)).collect();
    let names: Vec<_> = platforms.iter().map(|it| format!("{}/{}", it.0, it.1)).collect();
    let listed = names.join(", ");
    let problem = |text: &str| {
        let message = format!("the tests of `{label}` are for {listed}{text}");
        Some(Problem::new(message).at(span.clone(), ""))
    };
    match platforms.first() {
        _ if platforms.len() > 1 => {
            problem("").map(|it| it.hint("declare a bundle, and its tests, for each of them"))
        }
        Some((goos, _)) if goos != "linux" => problem("; bundles are for Linux"),
        _ => None,
    }
}
