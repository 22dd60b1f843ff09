//! Every file has one maker, and who reads what another makes must depend on it.
//!
//! Both checks are near-linear: each path is looked up by itself and by the folders above it.

use crate::words::label::Label;
use crate::words::path::RelPath;
use crate::words::problem::Problem;
use crate::words::span::{Span, Spanned};
use std::collections::HashMap;

/// A file or folder that a target makes.
#[derive(Debug)]
pub struct Made<'a> {
    /// Where, relative to the root or to the output folder.
    pub path: RelPath,
    /// Who makes it.
    pub label: &'a Label,
    /// Where that is said.
    pub span: &'a Span,
}

/// Reports each path that is equal to, or lies below, one that is made elsewhere.
#[must_use]
pub fn collisions(made: &[Made<'_>]) -> Vec<Problem> {
    let mut makers: HashMap<&str, &Made<'_>> = HashMap::with_capacity(made.len());
    let mut problems = Vec::new();
    for it in made {
        if let Some(first) = makers.insert(it.path.as_str(), it) {
            makers.insert(first.path.as_str(), first);
            problems.push(collision(it, first, "makes"));
        }
    }
    for it in made {
        for folder in folders(it.path.as_str()) {
            if let Some(other) = makers.get(folder) {
                problems.push(collision(it, other, "would put a file below"));
            }
        }
    }
    problems
}

fn collision(it: &Made<'_>, other: &Made<'_>, verb: &str) -> Problem {
    let path = &other.path;
    let message = if it.label == other.label {
        format!("`{}` {verb} `{path}`, which it makes itself", it.label)
    } else {
        format!("`{}` {verb} `{path}`, which `{}` makes", it.label, other.label)
    };
    let problem = Problem::new(message).at(it.span.clone(), "here");
    problem.at(other.span.clone(), "and here").hint("name one of the two differently")
}

/// Returns the folders above a path, the nearest first.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.rmatch_indices('/').map(|it| it.0);
    ends.filter_map(|it| path.get(..it))
}

/// A file that a target reads, and the labels that it depends on.
#[derive(Debug)]
pub struct Read<'a> {
    /// The file.
    pub path: &'a Spanned<RelPath>,
    /// Who reads it.
    pub label: &'a Label,
    /// The reader's direct dependencies, sorted.
    pub dependencies: &'a [Label],
}

/// Reports each reader of a made file that does not depend on the maker: it might run first.
#[must_use]
pub fn missing_dependencies(made: &[Made<'_>], read: &[Read<'_>]) -> Vec<Problem> {
    let makers: HashMap<&str, &Made<'_>> = made.iter().map(|it| (it.path.as_str(), it)).collect();
    let problem = |it: &Read<'_>| {
        let path = it.path.value.as_str();
        let maker = makers.get(path)?;
        if maker.label == it.label || it.dependencies.binary_search(maker.label).is_ok() {
            return None;
        }
        let message = format!("`{path}` is made by `{}`, which is not depended on", maker.label);
        let problem = Problem::new(message)
            .at(it.path.span.clone(), "read here")
            .at(maker.span.clone(), "made here");
        Some(problem.hint(format!("write the label `{}` instead of the path", maker.label)))
    };
    read.iter().filter_map(problem).collect()
}
