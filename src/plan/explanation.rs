//! What `why` says of a target: what a build would do with each output, what changed since the
//! last record, what became of each strategy, and what makes it dynamic.
//!
//! The types are the JSON form. Nothing here is asked of the machine.

use crate::plan::difference::{Change, shared};
use crate::plan::record::{Attempt, LeftOut};
use crate::words::label::Label;
use crate::words::path::RelPath;
use schemars::JsonSchema;
use serde::Serialize;

/// What a build would do; the later, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prospect {
    /// Nothing: the output is in place, and what it was made of is unchanged.
    UpToDate,
    /// Take the output from the store.
    WouldBeRestored,
    /// Make the output; what comes of it, its bytes will show.
    WouldBeBuilt,
    /// Fail: no strategy is left that may keep the promise.
    WouldFail,
}

/// What is known of the inputs of the last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastInputs {
    /// The store keeps them; `changes` is the difference to those of now.
    Known,
    /// There is no record: it was never built here, or the last build of it failed.
    NoRecord,
    /// The store has lost them, so that nothing can be said of changes.
    Lost,
}

/// Why a file asks for a loader, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DynamicBecause {
    /// The strategy that this is about.
    pub strategy: String,
    /// The shortest import chain from the program to the Go package that brings cgo, both ends
    /// included; empty if none does.
    pub chain: Vec<String>,
    /// That package.
    pub package: Option<String>,
    /// What Go's tools make of it, as a clause.
    pub reason: String,
    /// The smallest change that would make it static, where one is known.
    pub change: Option<String>,
}

/// What is said of one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OutputExplanation {
    /// The Go package; `null` for a command and a bundle.
    pub go_package: Option<String>,
    /// The platform, where the target names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Path below `linkwright-out/`; `null` for a command.
    pub output: Option<RelPath>,
    /// What a build would do.
    pub state: Prospect,
    /// The strategy that a build would take; `null` for a command and a bundle, or if it would
    /// fail.
    pub strategy: Option<String>,
    /// What is known of the inputs of the last record.
    pub last_inputs: LastInputs,
    /// What changed since the last record, sorted.
    pub changes: Vec<Change>,
    /// The attempts of the last record, in ladder order.
    pub attempts: Vec<Attempt>,
    /// What is known of each strategy now, in ladder order, up to the one that would be taken.
    pub forecasts: Vec<Attempt>,
    /// Why it is dynamic, or why a strategy makes it so.
    pub dynamic_because: Option<DynamicBecause>,
    /// Go packages that the last record's output holds without their cgo files.
    pub left_out: Vec<LeftOut>,
}

/// What `why` says of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// The target.
    pub label: Label,
    /// What a build would do: the most that it would do for one of the outputs.
    pub state: Prospect,
    /// What changed for every output for which something changed.
    pub changes: Vec<Change>,
    /// The attempts of the last records, if they are the same for every output.
    pub attempts: Vec<Attempt>,
    /// Why it is dynamic; of several outputs, the first that is.
    pub dynamic_because: Option<DynamicBecause>,
    /// Targets that a build would make anew before this one. What they make can change it too.
    pub after: Vec<Label>,
    /// Each output, sorted by Go package, then platform.
    pub outputs: Vec<OutputExplanation>,
}

impl Explanation {
    /// Puts together what is said of the outputs of `label`.
    #[must_use]
    pub fn new(label: Label, after: Vec<Label>, mut outputs: Vec<OutputExplanation>) -> Self {
        outputs.sort_by(|a, b| (&a.go_package, &a.platform).cmp(&(&b.go_package, &b.platform)));
        let changed = outputs.iter().map(|it| it.changes.as_slice()).filter(|it| !it.is_empty());
        let changes = shared(&changed.collect::<Vec<_>>());
        let first = outputs.first().map(|it| it.attempts.clone()).unwrap_or_default();
        let same = outputs.iter().all(|it| it.attempts == first);
        Self {
            label,
            state: outputs.iter().map(|it| it.state).max().unwrap_or(Prospect::UpToDate),
            changes,
            attempts: if same { first } else { Vec::new() },
            dynamic_because: outputs.iter().find_map(|it| it.dynamic_because.clone()),
            after,
            outputs,
        }
    }
}

/// Makes explanations for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::plan::record::AttemptOutcome;
    use crate::words::label::PackagePath;

    pub(crate) fn change(input: &str) -> Change {
        Change { input: input.to_owned(), old: Some("1".to_owned()), new: None }
    }

    pub(crate) fn output(package: &str, inputs: &[&str]) -> OutputExplanation {
        let attempt = |strategy: &str, outcome, reason: Option<&str>| {
            let (strategy, reason) = (strategy.to_owned(), reason.map(str::to_owned));
            Attempt { strategy, outcome, reason }
        };
        let up_to_date = inputs.is_empty();
        OutputExplanation {
            go_package: Some(package.to_owned()),
            platform: None,
            output: RelPath::parse("bin/p").ok(),
            state: if up_to_date { Prospect::UpToDate } else { Prospect::WouldBeBuilt },
            strategy: Some("pure".to_owned()),
            last_inputs: LastInputs::Known,
            changes: inputs.iter().map(|it| change(it)).collect(),
            attempts: vec![attempt("pure", AttemptOutcome::Verified, None)],
            forecasts: vec![attempt("netgo", AttemptOutcome::Impossible, Some("it\x1b breaks"))],
            left_out: Vec::new(),
            dynamic_because: (!up_to_date).then(|| DynamicBecause {
                strategy: "netgo".to_owned(),
                chain: vec![package.to_owned(), "net".to_owned()],
                package: Some("net".to_owned()),
                reason: "so it is".to_owned(),
                change: Some("write `link: \"pure\"`".to_owned()),
            }),
        }
    }

    pub(crate) fn explanation(outputs: Vec<OutputExplanation>) -> Explanation {
        let label = |it: &str| Label::parse(it, &PackagePath::root()).unwrap();
        Explanation::new(label("//:tests"), vec![label("//:gen")], outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{change, explanation, output};
    use super::*;

    #[test]
    fn what_changed_for_all_that_changed_is_shared() {
        let outputs = vec![output("m/b", &["x", "y"]), output("m/a", &["x"]), output("m/c", &[])];
        let it = explanation(outputs);
        assert_eq!(it.changes, [change("x")]);
        assert_eq!(it.outputs[1].changes.len(), 2, "each output keeps all of its own");
        assert_eq!(it.outputs[0].go_package.as_deref(), Some("m/a"));
        assert_eq!((it.state, it.attempts.len()), (Prospect::WouldBeBuilt, 1));
        assert!(it.dynamic_because.is_some());
    }

    #[test]
    fn nothing_is_up_to_date() {
        let it = explanation(Vec::new());
        assert_eq!((it.state, it.changes), (Prospect::UpToDate, vec![]));
    }
}
