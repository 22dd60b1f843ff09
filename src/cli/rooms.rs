//! What the commands ask of the rooms below, one function for each question.
//!
//! Here typed errors of the rooms become [`Failure`]s: it is known what the user was trying to do,
//! and so who has to act.

use crate::cli::Session;
use crate::effects::inspect::{InspectError, inspect_file};
use crate::engine::event::Sink;
use crate::engine::request::BuildRequest;
use crate::formats::inspection::Inspection;
use crate::model::policy::Policy;
use crate::model::strategy::{Promise, RuleSet};
use crate::model::target::Target;
use crate::plan::starter::GoModule;
use crate::plan::verify::verify;
use crate::report::doctor::{CheckOutcome, Fact};
use crate::report::failure::Failure;
use crate::report::verify::FileFacts;
use crate::words::exit_code::ExitCode;
use crate::words::label::{Label, PackagePath};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A folder's place in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder of the root `BUILD.ron`, absolute.
    pub root: PathBuf,
    /// The folder that one is in, relative to the root.
    pub here: PackagePath,
}

/// What a workspace declares.
#[derive(Debug)]
pub struct Declared {
    /// Every target.
    pub targets: BTreeMap<Label, Target>,
    /// Every strategy, ladder and policy, the built-in ones included.
    pub rules: RuleSet,
}

/// A program to start after its build.
#[derive(Debug, Clone)]
pub struct Program {
    /// The file, absolute.
    pub file: PathBuf,
    /// Its arguments, its own name not included.
    pub arguments: Vec<OsString>,
    /// The folder it starts in.
    pub folder: PathBuf,
}

fn not_joined(what: &str) -> Failure {
    Failure::new(ExitCode::Bug, format!("{what} is not joined to the command line"))
}

/// Finds the workspace that `folder` lies in.
///
/// # Errors
///
/// Blames the input if no folder above holds a `BUILD.ron`.
pub fn find_workspace(_folder: &Path) -> Result<Place, Failure> {
    Err(not_joined("the workspace"))
}

/// Reads and resolves the rule files of the workspace at `root`.
///
/// # Errors
///
/// Blames the input for all that is wrong in them.
pub fn load(_root: &Path) -> Result<Declared, Failure> {
    Err(not_joined("the workspace"))
}

/// Reads the built-in rules and those of the workspace that `folder` lies in, if it lies in one.
///
/// # Errors
///
/// Blames the input for what is wrong in rule files.
pub fn rules_at(_folder: &Path) -> Result<RuleSet, Failure> {
    Err(not_joined("the rules"))
}

/// Builds; what failed is told by events and by the code, which is a result and no error.
///
/// # Errors
///
/// Says why the build could not begin or go on.
pub fn build(_request: &BuildRequest, _sink: Sink<'_>) -> Result<ExitCode, Failure> {
    Err(not_joined("the engine"))
}

/// Starts a program with the caller's environment and streams, and waits for it; returns its exit
/// code, or 128 and the signal that ended it.
///
/// # Errors
///
/// Blames the machine if it cannot be started.
pub fn start(_program: &Program, _session: &Session<'_>) -> Result<u8, Failure> {
    Err(not_joined("the process room"))
}

/// Reads the linkage of any file and holds it against a policy, if one is named.
///
/// # Errors
///
/// Says why the file cannot be read, with an offset where its bytes are at fault.
pub fn inspect(file: &Path, policy: Option<&Policy>) -> Result<FileFacts, InspectError> {
    let inspection = inspect_file(file)?;
    let held = verify(inspection.clone().into(), Promise::Any, policy);
    let breaches = held.err().map(|it| it.breaches).unwrap_or_default();
    let violations = breaches.iter().map(|it| format!("{} ({})", it.clause, it.rule)).collect();
    let Inspection { linkage, build_info } = inspection;
    Ok(FileFacts { linkage, build_info, policy: policy.map(|it| it.name.clone()), violations })
}

/// Lists the Go modules at and below `folder` and their Go packages, as `go list` sees them.
///
/// # Errors
///
/// Blames the machine if there is no `go`, the input if a module cannot be read.
pub fn go_modules(_folder: &Path, _session: &Session<'_>) -> Result<Vec<GoModule>, Failure> {
    Err(not_joined("`go list`"))
}

/// Looks for the tools and places that builds need.
#[must_use]
pub fn machine_facts(_session: &Session<'_>) -> Vec<Fact> {
    Vec::new()
}

/// Links a small program by `strategy` and verifies it.
#[must_use]
pub fn probe(_strategy: &crate::model::strategy::Strategy, _session: &Session<'_>) -> CheckOutcome {
    let what = "the probe is not joined to the command line".to_owned();
    CheckOutcome::Missing { what, packages: Vec::new(), detail: None }
}
