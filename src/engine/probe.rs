//! Tries whether a strategy works on this machine: links a small program by it and verifies that.
//!
//! The program is a workspace like any other, in a temporary folder: what works here works in a
//! build, by the same code. A strategy that uses cgo gets C in its program.

use crate::effects::file::write_new;
use crate::effects::machine::Machine;
use crate::engine::build::{BuildError, build};
use crate::engine::event::{Event, Finished, State};
use crate::engine::request::{AfterFailure, BuildRequest, Mode};
use crate::formats::build_file::parse;
use crate::model::resolve::resolve;
use crate::model::strategy::{Cgo, RuleSet, Strategy};
use crate::words::label::PackagePath;
use crate::words::pattern::{Pattern, PatternSet};
use crate::words::span::Source;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PURE: &str = "package main\n\nimport (\n\t\"net\"\n\t\"os/user\"\n)\n\nfunc main() {\n\t_, _ = net.LookupHost(\"localhost\")\n\t_, _ = user.Current()\n}\n";

const WITH_C: &str = "package main\n\n// #include <stdio.h>\n// static int twice(int n) { return n + n; }\nimport \"C\"\n\nfunc main() {\n\tprintln(C.twice(21))\n}\n";

/// Why a strategy could not even be tried.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no place for the program.
    #[error("cannot write a program to try it with")]
    Write(#[from] io::Error),
    /// The build could not begin.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The program's rules do not resolve; it is ours.
    #[error("invariant: the probe's own rules are right")]
    Rules,
}

/// Builds a small program by `strategy`; what comes back says how it ended.
///
/// # Errors
///
/// Returns [`ProbeError`] if it could not be tried.
pub fn probe(
    strategy: &Strategy,
    rules: &RuleSet,
    machine: &Machine,
) -> Result<Finished, ProbeError> {
    let folder = tempfile::Builder::new().prefix("linkwright-doctor-").tempdir()?;
    let root = folder.path().canonicalize()?;
    let program = if strategy.cgo == Cgo::On { WITH_C } else { PURE };
    write_new(&root.join("go.mod"), b"module probe\n\ngo 1.21\n")?;
    write_new(&root.join("main.go"), program.as_bytes())?;
    let text = format!("build(targets: [go_binary(name: \"probe\", link: {:?})])\n", strategy.name);
    let source = Arc::new(Source { name: "BUILD.ron".to_owned(), text });
    let (spec, problems) = parse(&source, &PackagePath::root());
    let targets = resolve(vec![spec], rules).map_err(|_| ProbeError::Rules)?;
    if !problems.is_empty() {
        return Err(ProbeError::Rules);
    }
    let ended = Mutex::new(None);
    let sink = |event: Event| {
        if let (Event::Finished(it), Ok(mut ended)) = (event, ended.lock()) {
            *ended = Some(*it);
        }
    };
    build(&request(&root, machine), (&targets, rules), machine, &sink)?;
    ended.into_inner().ok().flatten().ok_or(ProbeError::Rules)
}

/// Tells whether a probe's end means that the strategy works here.
#[must_use]
pub fn works(finished: &Finished) -> bool {
    matches!(finished.state, State::Built | State::Restored | State::UpToDate)
}

fn request(root: &Path, machine: &Machine) -> BuildRequest {
    BuildRequest {
        root: root.to_owned(),
        patterns: PatternSet {
            wanted: vec![Pattern::Below(PackagePath::root())],
            left_out: vec![],
        },
        jobs: NonZeroUsize::MIN,
        after_failure: AfterFailure::Stop,
        mode: Mode::Build,
        store: machine.store.root().to_owned(),
        lock_limit: Duration::from_mins(1),
        go_cache: Some(machine.compile_cache.folder().to_owned()),
        program: None,
        only_tests: false,
        paranoid: false,
        smoke: false,
        variables: BTreeMap::new(),
        guard: machine.guard.clone(),
    }
}
