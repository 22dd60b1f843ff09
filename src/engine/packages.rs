//! The Go packages that targets are made of, as the first strategy of each ladder chooses them.
//!
//! Nothing is built, and C tools are looked for only where a choice hangs on them.

use crate::effects::go_tool::GoTool;
use crate::effects::machine::Machine;
use crate::engine::go_job::by_pin;
use crate::engine::go_look::{first_questions, merged, no_go};
use crate::engine::go_unit::Unfit;
use crate::engine::listing::{Listing, ListingKey};
use crate::engine::request::BuildRequest;
use crate::engine::session::Session;
use crate::formats::go_list::GoPackage;
use crate::model::strategy::RuleSet;
use crate::model::target::Target;
use crate::model::targets::Targets;
use crate::plan::go_choice::GoChoice;
use crate::plan::go_compose::{of_linker, unsaid};
use crate::words::label::Label;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};

/// The packages of targets.
#[derive(Debug, Default)]
pub struct PackageGraphs {
    /// What packages there are, by how they are chosen.
    pub listings: Vec<Listed>,
    /// What is made of the packages, by label.
    pub outputs: Vec<Rooted>,
}

/// What `go list` was asked, or would be, and what it says.
#[derive(Debug)]
pub struct Listed {
    /// The question.
    pub question: ListingKey,
    listing: Arc<Listing>,
    of_linker: Vec<&'static str>,
}

/// One output.
#[derive(Debug)]
pub struct Rooted {
    /// The target.
    pub label: Label,
    /// The Go package.
    pub go_package: String,
    /// The package that leads to all others: itself, or the main package of its tests.
    pub root: String,
    /// The number of the listing that has it.
    pub listing: usize,
}

/// Why packages cannot be told: those of one target cannot be found.
#[derive(Debug, thiserror::Error)]
#[error("`{target}`: {error}", error = unfit.error)]
pub struct PackagesError {
    /// The target.
    pub target: Label,
    /// What is in the way.
    pub unfit: Unfit,
}

impl PackageGraphs {
    /// Adds the packages of targets that one toolchain makes.
    fn add(
        &mut self,
        session: &Session<'_>,
        go: &GoTool,
        targets: &[&Target],
    ) -> Result<(), PackagesError> {
        let asked = first_questions(session, go, targets);
        let asked = asked.map_err(|(target, it)| unfit(target, it))?;
        let questions = merged(asked.iter().map(|it| it.1.clone())).into_par_iter();
        let answers: Vec<_> = questions.map(|it| (session.list(go, &it), it)).collect();
        for (answer, question) in answers {
            let fits = |it: &&(_, ListingKey)| is_part(&it.1, &question);
            let first = asked.iter().find(fits).map_or(targets[0], |it| it.0.target);
            let listing = answer.map_err(|it| unfit(first, no_go(&it)))?;
            let number = self.listings.len();
            for (prepared, _) in asked.iter().filter(fits) {
                let label = &prepared.target.label;
                for one in prepared.expand(session, &listing.graph) {
                    let one = one.map_err(|it| unfit(prepared.target, it))?;
                    let (label, go_package, root) = (label.clone(), one.go_package, one.root);
                    self.outputs.push(Rooted { label, go_package, root, listing: number });
                }
            }
            let choice = GoChoice::new(&question.selection, &go.version);
            // Of a platform on which more decides, at least that is so.
            let of_linker = choice.and_then(|it| of_linker(&it)).unwrap_or(vec!["runtime"]);
            self.listings.push(Listed { question, listing, of_linker });
        }
        Ok(())
    }

    fn sorted(mut self) -> Self {
        self.outputs.sort_by(|a, b| (&a.label, &a.root).cmp(&(&b.label, &b.root)));
        self
    }

    /// Returns the packages of a listing that outputs are made of, by import path.
    #[must_use]
    pub fn packages(&self, listing: usize) -> BTreeMap<&str, &GoPackage> {
        let listed = &self.listings[listing];
        let outputs = self.outputs.iter().filter(|it| it.listing == listing);
        let mut starts: BTreeSet<&str> = outputs.map(|it| it.root.as_str()).collect();
        loop {
            let reached = listed.listing.graph.closure_of(starts.iter().copied());
            let unsaid = reached.values().flat_map(|it| listed.unsaid(it));
            let more: Vec<_> = unsaid.filter(|it| !reached.contains_key(it)).collect();
            let before = starts.len();
            starts.extend(more);
            if starts.len() == before {
                return reached;
            }
        }
    }
}

impl Listed {
    /// Returns what a package brings in without importing it.
    #[must_use]
    pub fn unsaid(&self, package: &GoPackage) -> Vec<&'static str> {
        unsaid(package, &self.of_linker)
    }
}

/// Finds the packages of the Go targets among those with `labels`.
///
/// # Errors
///
/// Returns [`PackagesError`] of the first target whose packages cannot be found.
pub fn packages(
    request: &BuildRequest,
    (targets, rules): (&Targets, &RuleSet),
    machine: &Machine,
    labels: &[&Label],
) -> Result<PackageGraphs, PackagesError> {
    let asked = labels.iter().filter_map(|it| targets.get(it));
    let go: Vec<&Target> = asked.filter(|it| it.rule.is_go()).collect();
    let session = || {
        let (deliveries, _) = mpsc::channel();
        Session::new(request, (targets, rules), (machine, None), &|_| {}, deliveries)
    };
    // On the threads that read files.
    rayon::scope(|_| {
        let believed = find(&session().believing(), &go)?;
        believed.map_or_else(|| find(&session(), &go).map(Option::unwrap_or_default), Ok)
    })
}

/// Finds packages; nothing if a toolchain that the session believes in has to be asked, which is
/// so, too, where it is not what it was.
fn find(
    session: &Session<'_>,
    targets: &[&Target],
) -> Result<Option<PackageGraphs>, PackagesError> {
    let mut graphs = PackageGraphs::default();
    for (pin, targets) in by_pin(targets) {
        let found = session.go(pin);
        let go = found.as_ref().as_ref().map_err(|it| unfit(targets[0], no_go(it)))?;
        match graphs.add(session, go, &targets) {
            Err(_) if go.is_believed() => return Ok(None),
            added => added?,
        }
    }
    Ok(Some(graphs.sorted()))
}

fn unfit(target: &Target, unfit: Unfit) -> PackagesError {
    PackagesError { target: target.label.clone(), unfit }
}

/// Tells whether a question was made a part of another one.
fn is_part(key: &ListingKey, question: &ListingKey) -> bool {
    key.module == question.module && key.selection == question.selection
}
