//! From bytes to proof: a linked file, or one from the store, is read, held against promise and
//! policy, and only then put in place and recorded.
//!
//! The order matters. A fresh file is read, and its bytes go into the store, while its inputs are
//! looked at again; no key leads to them before that. If an input changed while the file was built,
//! none ever does, and the link begins again. An output appears in `bin/` only after its own bytes
//! verified.

use crate::effects::c_files::CFilesError;
use crate::effects::go_tool::GoTool;
use crate::effects::inspect::inspect_file;
use crate::effects::limits::is_machines;
use crate::effects::outputs::{OutputError, Outputs};
use crate::effects::store::RestoreError;
use crate::engine::c_build::NotMade;
use crate::engine::event::State;
use crate::engine::go_batch::{Linked, arguments};
use crate::engine::go_inputs::{Gathered, InputsError, Planned, gather};
use crate::engine::go_left_out::left_out;
use crate::engine::go_unit::{Unfit, Unit};
use crate::engine::listing::Listing;
use crate::engine::session::{Delivery, Recorded, Session};
use crate::formats::link_warnings::link_warnings;
use crate::formats::linkage::{Hazard, HazardKind};
use crate::model::strategy::LinkMode;
use crate::plan::difference::{Change, of_links};
use crate::plan::fingerprint::LinkInputs;
use crate::plan::record::{LeftOut, Record, ToolchainNames};
use crate::plan::verify::{Evidence, Mismatch, Verified, verify};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::path::OUTPUT_FOLDER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What became of trying a rung.
#[derive(Debug)]
pub enum Settled {
    /// As promised, and in place.
    Verified(Box<Proof>),
    /// Built, and not as promised: why, and what would help.
    NotAsPromised(String, Vec<&'static str>),
    /// The tools could not build it.
    Failed(String),
    /// Inputs changed meanwhile: which, as far as that is known; nothing was kept.
    Changed(Vec<Change>),
    /// A dry run told the command.
    Told,
    /// The output cannot be brought to an end.
    Unfit(Unfit),
}

/// A verified output in place, with all that its record says.
#[derive(Debug)]
pub struct Proof {
    planned: Planned,
    made: Made,
    verified: Verified,
    state: State,
    toolchain: ToolchainNames,
    folder: String,
    advice: Vec<String>,
}

/// What the store keeps of a link under its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// The bytes.
    pub blake3: Digest,
    /// Their other digest.
    pub sha256: String,
    /// Their number.
    pub size: u64,
    /// What the linker warned of: it can be known only while linking.
    pub hazards: Vec<Hazard>,
    /// All warnings, a line each.
    pub warnings: Vec<String>,
    /// Go packages that were linked without their cgo files.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// The inputs behind the key, for people who ask why.
    pub inputs: LinkInputs,
}

impl Settled {
    /// Settles an output whose inputs cannot be read: one that has just gone away was changed.
    #[must_use]
    pub fn unreadable(session: &Session<'_>, error: &InputsError) -> Self {
        if let Some(path) = error.vanished() {
            return Self::Changed(vec![gone(session, path)]);
        }
        if let InputsError::Libraries(it) = error {
            let Unfit { error, hints, code } = &**it;
            return Self::Unfit(Unfit { error: error.clone(), hints: hints.clone(), code: *code });
        }
        let (mut text, mut code) = (error.to_string(), ExitCode::BuildFailed);
        if matches!(error, InputsError::C(CFilesError::RefusedFlag(_))) {
            code = ExitCode::Refused;
        }
        let mut cause = std::error::Error::source(error);
        while let Some(it) = cause {
            text = format!("{text}: {it}");
            if it.downcast_ref::<io::Error>().is_some_and(is_machines) {
                code = ExitCode::Disk;
            }
            cause = it.source();
        }
        Self::Unfit(Unfit { error: text, hints: Vec::new(), code })
    }

    /// Settles a link whose C libraries are not in place.
    #[must_use]
    pub fn not_made(session: &Session<'_>, why: &NotMade) -> Self {
        match why {
            NotMade::Failed(reason) => Self::Failed(reason.clone()),
            NotMade::Unfit { error, hints, code } => {
                Self::Unfit(Unfit { error: error.clone(), hints: hints.clone(), code: *code })
            }
            NotMade::Changed(paths) => {
                Self::Changed(paths.iter().map(|it| rewritten(session, it)).collect())
            }
        }
    }
}

/// Settles a link from the store; `None` if the store does not hold it whole.
#[must_use]
pub fn from_store(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    planned: &Planned,
) -> Option<Settled> {
    let is_asked = !planted(Defect::AlwaysBuild);
    let made: Made = is_asked.then(|| session.machine.store.action(&planned.key))??;
    let Some(outputs) = session.outputs else {
        return Some(Settled::Told);
    };
    let place = unit.output.below(outputs.folder());
    if outputs.present().holds(&session.machine.digests, &unit.output, &made.blake3) {
        std::fs::metadata(&place).ok().filter(|it| it.len() == made.size)?;
        let settled = match prove(unit, planned, &place, &made.hazards) {
            Ok(verified) => proof(session, go, unit, planned, made, (verified, State::UpToDate)),
            Err(settled) => settled,
        };
        return Some(settled);
    }
    let scratch = match outputs.scratch() {
        Ok(scratch) => scratch,
        Err(error) => return Some(Settled::Unfit(Unfit::of_output(&error))),
    };
    let file = scratch.path().join("restored");
    match session.machine.store.restore(&made.blake3, &file, 0o555) {
        Ok(size) if size == made.size => {}
        // A record that lies about one thing is not believed about another.
        Ok(_) | Err(RestoreError::Missing(_)) => return None,
        Err(RestoreError::Output { path, source }) => {
            return Some(Settled::Unfit(Unfit::of_output(&OutputError::Write(path, source))));
        }
    }
    let settled = match prove(unit, planned, &file, &made.hazards) {
        Ok(verified) => match publish(session, outputs, unit, &file, &made.blake3) {
            Ok(()) => proof(session, go, unit, planned, made, (verified, State::Restored)),
            Err(error) => Settled::Unfit(Unfit::of_output(&error)),
        },
        Err(settled) => settled,
    };
    Some(settled)
}

/// What was read of a fresh file, which nobody can ask for before [`linked`] settles it.
#[derive(Debug)]
pub struct Weighed {
    /// What the store would keep; its bytes are there.
    made: Made,
    /// Whether it is as promised.
    proof: Result<Verified, Settled>,
}

/// Reads what a link made, and puts its bytes into the store. That takes as long as to look at the
/// inputs again, and both can go on at the same time.
///
/// # Errors
///
/// Returns the system's error if the file cannot be read or kept.
pub fn weigh(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    planned: &Planned,
    (path, text): (&Path, &str),
) -> io::Result<Weighed> {
    let put = || session.machine.store.put_file(path);
    let (sha256, copied) = rayon::join(|| sha256_of(path), put);
    let (sha256, copied) = (sha256?, copied?);
    let warnings = link_warnings(text);
    let proof = prove(unit, planned, path, &warnings.hazards);
    let made = Made {
        blake3: copied.digest,
        sha256,
        size: copied.size,
        hazards: warnings.hazards,
        warnings: warnings.lines,
        left_out: left_out(session, go, unit, planned.rung),
        inputs: planned.inputs.clone(),
    };
    Ok(Weighed { made, proof })
}

/// Settles a fresh link, whose inputs were looked at again meanwhile: `changes` is what differs.
#[must_use]
pub fn linked(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    planned: &Planned,
    changes: Vec<Change>,
    (made, weighed): (Linked, Option<io::Result<Weighed>>),
) -> Settled {
    let (path, is_shared) = match made {
        // A file that changed under the compiler may be why it failed.
        Linked::File { .. } | Linked::Failed(_) if !changes.is_empty() => {
            return Settled::Changed(changes);
        }
        Linked::File { path, text: _, is_shared } => (path, is_shared),
        Linked::Failed(reason) => return Settled::Failed(reason),
        Linked::Limited(limit, reason) => {
            let place = session.outputs.map_or(Path::new("."), Outputs::folder);
            return Settled::Unfit(Unfit::of_limit(limit, reason, place));
        }
        Linked::Stopped(error) => return Settled::Unfit(Unfit::of_process(&error)),
        Linked::NoRoom(error) => return Settled::Unfit(Unfit::of_output(&error)),
    };
    let Some(outputs) = session.outputs else { unreachable!("invariant: a dry run links nothing") };
    let Some(weighed) = weighed else { unreachable!("invariant: every file is weighed") };
    let Weighed { made, proof: proved } = match weighed {
        Ok(weighed) => weighed,
        Err(error) => return Settled::Unfit(Unfit::of_output(&OutputError::Write(path, error))),
    };
    session.machine.store.put_action(&planned.key, &made);
    match proved {
        Ok(verified) => {
            match publish_linked((session, outputs), unit, (&path, is_shared), &made.blake3) {
                Ok(()) => proof(session, go, unit, planned, made, (verified, State::Built)),
                Err(error) => Settled::Unfit(Unfit::of_output(&error)),
            }
        }
        Err(settled) => settled,
    }
}

/// Reads the file's linkage from its bytes and holds it against promise and policy.
///
/// # Errors
///
/// Returns what became of the rung, if they are not kept.
pub fn prove(
    unit: &Unit<'_>,
    planned: &Planned,
    file: &Path,
    hazards: &[Hazard],
) -> Result<Verified, Settled> {
    let inspection = match inspect_file(file) {
        Ok(inspection) => inspection,
        Err(error) => {
            return Err(Settled::Failed(format!("the result is not to be read: {error}")));
        }
    };
    let evidence = Evidence { inspection, linker_hazards: hazards.to_vec() };
    let promise = &*unit.of.rungs[planned.rung].strategy;
    let policy = unit.of.settings.policy.as_deref();
    verify(evidence, promise, policy).map_err(|it: Mismatch| {
        let hints = it.breaches.iter().filter_map(|it| it.hint).collect();
        Settled::NotAsPromised(it.to_string(), hints)
    })
}

/// Returns what changed of the Go toolchain since it was found; then it is found anew.
#[must_use]
pub fn tool_changes(session: &Session<'_>, go: &GoTool) -> Vec<Change> {
    let now = go.identity_now(session.machine).ok();
    if now == Some(go.identity) {
        return Vec::new();
    }
    session.forget_go(&go.identity);
    let (old, new) = (Some(go.identity.to_string()), now.map(|it| it.to_string()));
    vec![Change { input: "Go toolchain".to_owned(), old, new }]
}

/// Returns what changed of a link's own inputs since it was planned: those with other content, and
/// files that were written and written back meanwhile.
#[must_use]
pub fn changes(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    planned: &Planned,
    listing: &Listing,
) -> Vec<Change> {
    let mut changes = Vec::new();
    match gather(session, go, unit, planned.rung, listing) {
        Ok(Gathered { planned: now, paths, .. }) if now.key == planned.key => {
            let touched = planned.stamps.touched(&paths).into_iter();
            changes.extend(touched.map(|it| rewritten(session, it)));
        }
        Ok(Gathered { planned: now, .. }) => {
            changes.extend(of_links(&planned.inputs, &now.inputs));
        }
        Err(error) => changes.push(match error.vanished() {
            Some(path) => gone(session, path),
            None => Change { input: error.to_string(), old: None, new: None },
        }),
    }
    changes
}

/// Returns which files came to the folders of a listing's packages, or went, since it was made.
#[must_use]
pub fn listing_changes(session: &Session<'_>, listing: &Listing) -> Vec<Change> {
    let files = listing.changes().into_iter();
    let change = |(path, there): (PathBuf, bool)| {
        let (old, new) = if there { (None, Some("new")) } else { (Some("there"), None) };
        file_change(session, &path, old, new)
    };
    files.map(change).collect()
}

/// Says that a file was written while it was used.
#[must_use]
pub fn rewritten(session: &Session<'_>, path: &Path) -> Change {
    file_change(session, path, Some("as read"), Some("written again"))
}

fn gone(session: &Session<'_>, path: &Path) -> Change {
    file_change(session, path, Some("there"), None)
}

fn file_change(session: &Session<'_>, path: &Path, old: Option<&str>, new: Option<&str>) -> Change {
    let (old, new) = (old.map(str::to_owned), new.map(str::to_owned));
    Change { input: format!("file {}", session.relative(path)), old, new }
}

/// Puts a fresh file in place: a copy of it where several targets are made of one file.
fn publish_linked(
    (session, outputs): (&Session<'_>, &Outputs),
    unit: &Unit<'_>,
    (file, is_shared): (&Path, bool),
    digest: &Digest,
) -> Result<(), OutputError> {
    if !is_shared {
        return publish(session, outputs, unit, file, digest);
    }
    let copy = file.with_extension(format!("for-{}", unit.of.target.label.name()));
    match std::fs::copy(file, &copy) {
        Ok(_) => publish(session, outputs, unit, &copy, digest),
        Err(error) => Err(OutputError::Write(copy, error)),
    }
}

fn publish(
    session: &Session<'_>,
    outputs: &Outputs,
    unit: &Unit<'_>,
    file: &Path,
    digest: &Digest,
) -> Result<(), OutputError> {
    let placed = match outputs.place(file, &unit.output) {
        Err(_) if planted(Defect::SwallowOutputErrors) => return Ok(()),
        placed => placed?,
    };
    session.machine.digests.learn(&placed, *digest);
    Ok(())
}

fn proof(
    session: &Session<'_>,
    go: &GoTool,
    unit: &Unit<'_>,
    planned: &Planned,
    made: Made,
    (verified, state): (Verified, State),
) -> Settled {
    let rung = &unit.of.rungs[planned.rung];
    let takes_part = planned.inputs.c_tools.is_some();
    let cc = rung.c_tools.as_ref().filter(|_| takes_part).map(|it| it.name.clone());
    let links = takes_part && rung.strategy.linkmode == LinkMode::External;
    let tools = rung.c_tools.as_ref().filter(|_| links);
    let linker = tools.and_then(|it| session.linker_name(it, rung.linker));
    let (version, go_lacks) = (go.version.clone(), go.release.lacks());
    let toolchain = ToolchainNames { go: version, go_lacks, cc, linker };
    let folder = session.relative(&unit.of.module.folder);
    let planned = planned.clone();
    let advice = Vec::new();
    Settled::Verified(Box::new(Proof { planned, made, verified, state, toolchain, folder, advice }))
}

impl Proof {
    /// Tells whether the linker warned of calls of `dlopen`.
    #[must_use]
    pub fn loads_libraries(&self) -> bool {
        self.made.hazards.iter().any(|it| it.kind == HazardKind::Dlopen)
    }

    /// Takes what would leave a warning of the linker out.
    pub fn advise(&mut self, advice: Vec<String>) {
        self.advice = advice;
    }

    /// Returns what is told and recorded of the output.
    #[must_use]
    pub fn deliver(self, unit: &Unit<'_>) -> Delivery {
        let Self { planned, made, verified, state, toolchain, folder, advice } = self;
        let strategy = &unit.of.rungs[planned.rung].strategy;
        let mut finished = unit.finished(state);
        finished.class = Some(verified.linkage().class.as_str().to_owned());
        finished.strategy = Some(strategy.name.clone());
        finished.size = Some(made.size);
        finished.go = Some(toolchain.go.clone());
        let left_out = made.left_out.iter().map(LeftOut::sentence);
        finished.warnings = made.warnings.iter().cloned().chain(left_out).chain(advice).collect();
        let output = format!("{OUTPUT_FOLDER}/{}", unit.output);
        let args = arguments(unit.kind, &planned.configuration, &output, &[&unit.go_package]);
        let environment = planned.configuration.shown_environment();
        let record = Record {
            label: unit.of.target.label.clone(),
            go_package: unit.go_package.clone(),
            platform: unit.platform(),
            output: unit.output.clone(),
            blake3: made.blake3,
            sha256: made.sha256,
            size: made.size,
            key: planned.key,
            promise: strategy.promise,
            policy: unit.of.settings.policy.as_ref().map(|it| it.name.clone()),
            strategy: strategy.name.clone(),
            attempts: unit.climb.attempts(),
            linkage: verified.linkage().clone(),
            build_info: verified.build_info().cloned(),
            left_out: made.left_out,
            toolchain,
            commands: vec![std::iter::once("go".to_owned()).chain(args).collect()],
            folder,
            environment,
        };
        Delivery { finished, record: Some(Recorded::Linkage(Box::new(record))) }
    }
}

fn sha256_of(path: &Path) -> io::Result<String> {
    use std::fmt::Write as _;
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
