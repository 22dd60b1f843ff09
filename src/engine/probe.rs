//! Tries whether a strategy works on this machine: links a small program by it and verifies that.
//!
//! The program is a workspace like any other, in a temporary folder: what works here works in a
//! build, by the same code. A strategy that uses cgo gets C in its program. What comes out is
//! started, for another architecture under qemu where that is here.

use crate::effects::file::write_new;
use crate::effects::go_sdk::own_platform;
use crate::effects::machine::Machine;
use crate::engine::build::{BuildError, build};
use crate::engine::event::{Event, Finished, State};
use crate::engine::request::{AfterFailure, BuildRequest, Mode};
use crate::formats::build_file::parse;
use crate::model::resolve::resolve;
use crate::model::strategy::{Cgo, RuleSet, Strategy};
use crate::model::toolchain::gnu_arch;
use crate::words::label::PackagePath;
use crate::words::path::OUTPUT_FOLDER;
use crate::words::pattern::{Pattern, PatternSet};
use crate::words::span::Source;
use std::collections::BTreeMap;
use std::ffi::OsString;
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

/// What came of a probe.
#[derive(Debug)]
pub struct Probed {
    /// How its build ended.
    pub finished: Finished,
    /// How its start ended, if it was built.
    pub start: Start,
}

/// How the start of a probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Well.
    Well,
    /// It cannot be started here: why, as a clause.
    NotHere(String),
    /// It was started and did not end well: how, as a clause.
    Badly(String),
}

/// Builds a small program by `strategy`, for `platform` or else for this machine, and starts it.
///
/// # Errors
///
/// Returns [`ProbeError`] if it could not be tried.
pub fn probe(
    strategy: &Strategy,
    platform: Option<&str>,
    rules: &RuleSet,
    machine: &Machine,
) -> Result<Probed, ProbeError> {
    let folder = tempfile::Builder::new().prefix("linkwright-doctor-").tempdir()?;
    let root = folder.path().canonicalize()?;
    let program = if strategy.cgo == Cgo::On { WITH_C } else { PURE };
    write_new(&root.join("go.mod"), b"module probe\n\ngo 1.21\n")?;
    write_new(&root.join("main.go"), program.as_bytes())?;
    let platforms = platform.map(|it| format!(", platforms: [{it:?}]")).unwrap_or_default();
    let text = format!(
        "build(targets: [go_binary(name: \"probe\", link: {:?}{platforms})])\n",
        strategy.name
    );
    let source = Arc::new(Source { name: "BUILD.ron".to_owned(), text });
    let (spec, problems) = parse(&source, &PackagePath::root());
    let targets = resolve(vec![spec], rules).map_err(|_| ProbeError::Rules)?;
    if !problems.is_empty() {
        return Err(ProbeError::Rules);
    }
    let ended = Mutex::new(None);
    let sink = |event: Event| {
        if let (Event::Finished(it), Ok(mut ended)) = (event, ended.lock()) {
            *ended = Some(std::sync::Arc::unwrap_or_clone(it));
        }
    };
    build(&request(&root, machine), (&targets, rules), machine, &sink)?;
    let finished: Finished = ended.into_inner().ok().flatten().ok_or(ProbeError::Rules)?;
    let file = finished.output.as_ref().map(|it| root.join(OUTPUT_FOLDER).join(it.as_str()));
    let start = match file.filter(|_| works(&finished)) {
        Some(file) => start(machine, rules, &file, platform),
        None => Start::NotHere("it was not built".to_owned()),
    };
    Ok(Probed { finished, start })
}

/// Starts a program made for `platform`, under qemu if that is another architecture's.
fn start(machine: &Machine, rules: &RuleSet, file: &Path, platform: Option<&str>) -> Start {
    let mut args: Vec<OsString> = Vec::new();
    let mut program = file.to_owned();
    if let Some((goos, goarch)) = foreign(platform) {
        if goos != "linux" {
            return Start::NotHere(format!("this machine starts no programs of {goos}"));
        }
        let arch = qemu_arch(goarch);
        let names = [format!("qemu-{arch}-static"), format!("qemu-{arch}")];
        let Some(qemu) = names.iter().find_map(|it| machine.program(it)) else {
            let hint = rules.install("qemu", &own_platform());
            return Start::NotHere(format!("there is no `{}` here ({hint})", names[0]));
        };
        let libraries = Path::new("/usr").join(format!("{}-linux-gnu", gnu_arch(goarch)));
        if libraries.is_dir() {
            args.extend(["-L".into(), libraries.into()]);
        }
        args.push(file.into());
        program = qemu;
    }
    let args: Vec<_> = args.iter().map(OsString::as_os_str).collect();
    let bounds = (&BTreeMap::new(), Duration::from_mins(1));
    match machine.ask_with(&program, &args, Path::new("/"), bounds) {
        Ok(ended) if ended.status.success() => Start::Well,
        Ok(ended) => {
            let said = ended.stderr_text();
            let said = said.lines().map(str::trim).find(|it| !it.is_empty());
            let said = said.map(|it| format!(": {it}")).unwrap_or_default();
            Start::Badly(format!("{}{said}", ended.how()))
        }
        Err(error) => Start::Badly(error.to_string()),
    }
}

/// Returns the operating system and the architecture of a platform that is not this machine's.
fn foreign(platform: Option<&str>) -> Option<(&str, &str)> {
    let (goos, rest) = platform?.split_once('/')?;
    let goarch = rest.split('/').next()?;
    (format!("{goos}/{goarch}") != own_platform()).then_some((goos, goarch))
}

/// Returns the name that qemu has for an architecture of Go's.
fn qemu_arch(goarch: &str) -> &str {
    match goarch {
        "386" => "i386",
        other => gnu_arch(other),
    }
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
