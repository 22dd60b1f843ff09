//! Runs a `command` target: a program on declared inputs that makes declared outputs.
//!
//! Its outputs are written into the source tree, where Go looks for generated code. They are kept
//! in the store under the key of the inputs; with the same inputs they are put back, not made
//! again. Before a run the old outputs are moved aside, so that one that the program does not write
//! cannot pass for new; if it fails they are put back.

use crate::effects::digests::Stamps;
use crate::effects::globs::expand_target;
use crate::effects::limits::{Space, is_machines};
use crate::effects::outputs::Outputs;
use crate::effects::process::{Invocation, OUTPUT_LIMIT};
use crate::effects::store::RestoreError;
use crate::engine::event::{Finished, State};
use crate::engine::go_unit::Unfit;
use crate::engine::session::{Delivery, Recorded, Session, finished};
use crate::formats::tool_limits::tool_limit;
use crate::model::target::{ArgPiece, Command, GoSettings, Rule, Target};
use crate::plan::difference::{Change, changed_lines, of_commands};
use crate::plan::fingerprint::CommandInputs;
use crate::plan::record::CommandRecord;
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::label::Label;
use crate::words::path::{OUTPUT_FOLDER, RelPath};
use crate::words::problem::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// How often a command is run again because its inputs changed meanwhile.
const RESTARTS: usize = 3;

/// What the store keeps of a command under its key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Made {
    /// By path relative to the workspace root: digest and permission bits.
    pub outputs: BTreeMap<String, (Digest, u32)>,
    /// The inputs behind the key, for people who ask why.
    pub inputs: CommandInputs,
}

/// What a command is run with.
struct Gathered {
    words: Vec<OsString>,
    inputs: CommandInputs,
    /// The files among the inputs, the program last.
    paths: Vec<PathBuf>,
}

/// How one run of a command, or the look into the store before it, ended.
enum Ended {
    /// The outputs are in place, with what made them; on a dry run they may not be.
    Well(State, Option<Made>),
    /// Inputs changed meanwhile, and perhaps it failed; the old outputs are in place.
    Changed(Vec<Change>, Option<Unfit>),
}

/// Runs the command of `target`, or puts back what it made before; tells whether its outputs are
/// in place.
#[must_use]
pub fn run_command(session: &Session<'_>, target: &Target, command: &Command) -> bool {
    session.plan(1);
    let job = Job { session, target, command };
    match job.bring() {
        Ok((state, record)) => {
            // A command is one step, however many files it makes; the first stands for all.
            let output = command.outputs.first().cloned();
            let finished = Finished { output, ..finished(target, state) };
            session.deliver(Delivery {
                finished,
                record: record.map(|it| Recorded::Command(Box::new(it))),
            });
            true
        }
        Err(unfit) => {
            session.fail(target, unfit.error, unfit.hints, unfit.code);
            false
        }
    }
}

/// Returns the inputs of a command as they are now.
///
/// # Errors
///
/// Returns what is wrong with its inputs.
pub fn inputs_now(
    session: &Session<'_>,
    target: &Target,
    command: &Command,
) -> Result<CommandInputs, Unfit> {
    Ok(Job { session, target, command }.gather()?.inputs)
}

/// Returns the files that a target stands for, relative to the workspace root; of a Go target, its
/// outputs below `linkwright-out/`.
///
/// # Errors
///
/// Returns what is wrong with its globs.
pub fn files_of(session: &Session<'_>, label: &Label) -> Result<Vec<PathBuf>, Vec<Problem>> {
    let root = &session.request.root;
    let (mut files, mut open, mut seen) = (Vec::new(), vec![label.clone()], Vec::new());
    while let Some(label) = open.pop() {
        let Some(target) = session.targets.get(&label).filter(|_| !seen.contains(&label)) else {
            continue;
        };
        match &target.rule {
            Rule::Command(it) => files.extend(it.outputs.iter().map(|it| it.below(root))),
            Rule::Files(_) => {
                let found = expand_target(root, target)?;
                files.extend(found.iter().map(|it| it.below(root)));
            }
            Rule::GoBinary(it) => {
                let bin = root.join(OUTPUT_FOLDER).join("bin");
                let program = |it: &GoSettings| bin.join(it.platform.program(&label));
                files.extend(it.settings.iter().map(program));
            }
            Rule::Bundle(it) => files.push(it.output.below(&root.join(OUTPUT_FOLDER))),
            Rule::CLibrary(_) | Rule::PkgConfig(_) => {}
            Rule::GoTests(_) | Rule::Suite => open.extend(target.dependencies.iter().cloned()),
        }
        seen.push(label);
    }
    files.sort();
    files.dedup();
    Ok(files)
}

struct Job<'s, 'a> {
    session: &'s Session<'a>,
    target: &'s Target,
    command: &'s Command,
}

impl Job<'_, '_> {
    fn bring(&self) -> Result<(State, Option<CommandRecord>), Unfit> {
        let mut restarts = 0;
        loop {
            let (changes, failed) = match self.attempt()? {
                Ended::Well(state, made) => {
                    return Ok((state, made.map(|it| self.record(&it))));
                }
                Ended::Changed(changes, failed) => (changes, failed),
            };
            if restarts == RESTARTS {
                return Err(failed.unwrap_or_else(|| Unfit {
                    error: format!("its inputs changed while it ran{}", changed_lines(&changes)),
                    hints: vec!["build again when the tree is quiet".to_owned()],
                    code: ExitCode::InputsChanged,
                }));
            }
            restarts += 1;
        }
    }

    fn attempt(&self) -> Result<Ended, Unfit> {
        let Gathered { words, inputs, paths } = self.gather()?;
        let key = inputs.key();
        let store = &self.session.machine.store;
        let dry = self.session.outputs.is_none();
        if let Some(made) = store.action::<Made>(&key)
            && let Some(state) = if dry { Some(State::UpToDate) } else { self.put_back(&made)? }
        {
            return Ok(Ended::Well(state, Some(made)));
        }
        let stamps = Stamps::of(&paths);
        let folder = self.session.request.root.join(self.target.label.package().as_str());
        let text: Vec<_> = words.iter().map(|it| it.to_string_lossy().into_owned()).collect();
        let [program, rest @ ..] = text.as_slice() else {
            return Err(input("its `argv` is empty".to_owned()));
        };
        let what = format!("run {}", self.target.label);
        let step = self.session.step(what, program, rest, &inputs.environment, &folder);
        if dry {
            self.session.step_ended(step, true);
            return Ok(Ended::Well(State::Skipped, None));
        }
        let aside = self.move_aside()?;
        let ran = self.spawn(&words, &inputs, folder);
        let ran = ran.and_then(|()| self.check_outputs());
        self.session.note_written();
        self.session.step_ended(step, ran.is_ok());
        let changes = match &ran {
            Err(unfit) if unfit.code == ExitCode::Interrupted => Ok(Vec::new()),
            _ => self.changes(&inputs, &stamps),
        };
        if ran.is_err() || !changes.as_ref().is_ok_and(Vec::is_empty) {
            self.move_back(aside);
        }
        match (ran, changes) {
            // An input that changed under the program may be why it failed.
            (ran, Ok(changes)) if !changes.is_empty() => {
                return Ok(Ended::Changed(changes, ran.err()));
            }
            (Err(unfit), _) | (Ok(()), Err(unfit)) => return Err(unfit),
            (Ok(()), Ok(_)) => {}
        }
        let made = self.keep(&key, inputs)?;
        Ok(Ended::Well(State::Built, Some(made)))
    }

    /// Returns what is recorded of the outputs in place.
    fn record(&self, made: &Made) -> CommandRecord {
        let outputs = made.outputs.iter().map(|(name, (digest, _))| (name.clone(), *digest));
        CommandRecord {
            label: self.target.label.clone(),
            key: made.inputs.key(),
            outputs: outputs.collect(),
        }
    }

    /// Gathers the argument vector as it is run, and the inputs behind the key.
    fn gather(&self) -> Result<Gathered, Unfit> {
        let Self { session, target, command } = self;
        let root = &session.request.root;
        let found = expand_target(root, target).map_err(Unfit::of_problems)?;
        let mut paths: Vec<_> = found.iter().map(|it| it.below(root)).collect();
        for label in &command.input_labels {
            paths.extend(files_of(session, label).map_err(Unfit::of_problems)?);
        }
        let (mut words, mut argv) = (Vec::new(), Vec::new());
        for pieces in &command.argv {
            let (mut word, mut shown) = (OsString::new(), String::new());
            for piece in pieces {
                match piece {
                    ArgPiece::Text(text) => {
                        word.push(text);
                        shown.push_str(text);
                    }
                    ArgPiece::OutputOf(label) => {
                        let files = files_of(session, label).map_err(Unfit::of_problems)?;
                        word.push(files.first().map_or(OsStr::new(""), |it| it.as_os_str()));
                        shown.push_str(&format_label(label));
                        paths.extend(files);
                    }
                }
            }
            words.push(word);
            argv.push(shown);
        }
        paths.sort();
        paths.dedup();
        let digests = session.machine.digests.digest_all(&paths);
        let digests = digests.map_err(|(path, error)| {
            let unfit = input(format!("cannot read `{}`: {error}", session.relative(&path)));
            let code = if is_machines(&error) { ExitCode::Disk } else { unfit.code };
            Unfit { code, ..unfit }
        })?;
        let names = paths.iter().map(|it| session.relative(it));
        let program = words.first().and_then(|it| self.resolve(it));
        let inputs = CommandInputs {
            folder: target.label.package().as_str().to_owned(),
            program: program.as_ref().and_then(|it| session.machine.digests.digest(it).ok()),
            argv,
            environment: self.environment(),
            files: names.zip(digests).collect(),
            outputs: command.outputs.iter().map(ToString::to_string).collect(),
        };
        paths.extend(program);
        Ok(Gathered { words, inputs, paths })
    }

    /// Finds the program as it will be found when it is run.
    fn resolve(&self, program: &OsStr) -> Option<PathBuf> {
        let text = program.to_string_lossy();
        if text.contains('/') {
            let folder = self.session.request.root.join(self.target.label.package().as_str());
            return Some(folder.join(program)).filter(|it| it.is_file());
        }
        // A dry run makes nothing that could be found later.
        match self.session.outputs {
            None => self.session.machine.program_once(&text),
            Some(_) => self.session.machine.program(&text),
        }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut env = self.command.env.clone();
        for name in &self.command.pass_env {
            if let Some(value) = self.session.machine.caller.get(OsStr::new(name)) {
                env.insert(name.clone(), value.to_string_lossy().into_owned());
            }
        }
        env
    }

    fn spawn(
        &self,
        argv: &[OsString],
        inputs: &CommandInputs,
        folder: PathBuf,
    ) -> Result<(), Unfit> {
        let machine = self.session.machine;
        let name = argv.first().map(OsString::as_os_str).unwrap_or_default();
        let Some(program) = self.resolve(name) else {
            let name = name.to_string_lossy();
            return Err(Unfit {
                error: format!("there is no program `{name}`"),
                hints: vec![format!(
                    "install `{name}`, or name a target that makes it: `{{:label}}`"
                )],
                code: ExitCode::MachineLacks,
            });
        };
        let mut env = machine.base_environment();
        env.extend(inputs.environment.iter().map(|(name, value)| (name.into(), value.into())));
        let args = argv.iter().skip(1).cloned().collect();
        let limit = machine.step_limit;
        let most_output = OUTPUT_LIMIT;
        let invocation = Invocation { program, args, env, folder, limit, most_output };
        let ended = machine.run(&invocation).map_err(|it| Unfit::of_process(&it))?;
        if ended.status.success() {
            return Ok(());
        }
        let words = format!("{}{}", ended.stdout_text(), ended.stderr_text());
        let program = name.to_string_lossy();
        let error = format!("`{program}`: {}\n{}", ended.how(), words.trim());
        if let Some((limit, _)) = tool_limit(&error) {
            let root = &self.session.request.root;
            return Err(Unfit::of_limit(limit, error.trim().to_owned(), root));
        }
        Err(Unfit {
            error: error.trim().to_owned(),
            hints: Vec::new(),
            code: ExitCode::BuildFailed,
        })
    }

    /// Looks at the inputs again: what was made of others may not be kept under their key. One that
    /// was written and written back counts: the program may have read it in between.
    fn changes(&self, inputs: &CommandInputs, stamps: &Stamps) -> Result<Vec<Change>, Unfit> {
        let Gathered { words: _, inputs: now, paths } = self.gather()?;
        let changes = of_commands(inputs, &now);
        if !changes.is_empty() {
            return Ok(changes);
        }
        let touched = stamps.touched(&paths).into_iter();
        let change = |path: &Path| Change {
            input: format!("file {}", self.session.relative(path)),
            old: Some("as read".to_owned()),
            new: Some("written again".to_owned()),
        };
        Ok(touched.map(change).collect())
    }

    fn check_outputs(&self) -> Result<(), Unfit> {
        let root = &self.session.request.root;
        let missing = self
            .command
            .outputs
            .iter()
            .find(|it| !std::fs::symlink_metadata(it.below(root)).is_ok_and(|it| it.is_file()));
        match missing {
            None => Ok(()),
            Some(output) => Err(Unfit {
                error: format!("it ended well and did not make its output `{output}`"),
                hints: vec!["`outputs` are relative to the folder of the BUILD.ron".to_owned()],
                code: ExitCode::BuildFailed,
            }),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "outputs of a command are moved, not copied")]
    fn move_aside(&self) -> Result<Vec<(PathBuf, PathBuf)>, Unfit> {
        let root = &self.session.request.root;
        let mut aside = Vec::new();
        for output in &self.command.outputs {
            let from = output.below(root);
            let to = aside_of(&from);
            if to.exists() {
                // A killed build has moved the old output there; what stands here it only began.
                let _ = std::fs::remove_file(&from);
                aside.push((from, to));
                continue;
            }
            match std::fs::rename(&from, &to) {
                Ok(()) => aside.push((from, to)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let folder = from.parent().map(std::fs::create_dir_all);
                    folder.transpose().map_err(|it| self.disk(output, &it))?;
                }
                Err(error) => return Err(self.disk(output, &error)),
            }
        }
        Ok(aside)
    }

    /// Leaves the outputs as they were before the run: what it made of them goes.
    #[expect(clippy::disallowed_methods, reason = "outputs of a command are moved, not copied")]
    fn move_back(&self, aside: Vec<(PathBuf, PathBuf)>) {
        for output in &self.command.outputs {
            let _ = std::fs::remove_file(output.below(&self.session.request.root));
        }
        for (from, to) in aside {
            let _ = std::fs::rename(to, from);
        }
    }

    /// Keeps the outputs, and forgets the old ones.
    fn keep(&self, key: &Digest, inputs: CommandInputs) -> Result<Made, Unfit> {
        use std::os::unix::fs::PermissionsExt;
        let session = self.session;
        let mut outputs = BTreeMap::new();
        for output in &self.command.outputs {
            let path = output.below(&session.request.root);
            let _ = std::fs::remove_file(aside_of(&path));
            let copied =
                session.machine.store.put_file(&path).map_err(|it| self.disk(output, &it))?;
            let mode = std::fs::metadata(&path).map_or(0o644, |it| it.permissions().mode() & 0o777);
            outputs.insert(output.to_string(), (copied.digest, mode));
        }
        let made = Made { outputs, inputs };
        session.machine.store.put_action(key, &made);
        Ok(made)
    }

    /// Puts back what was made before; `None` if the store does not hold it whole.
    fn put_back(&self, made: &Made) -> Result<Option<State>, Unfit> {
        let machine = self.session.machine;
        let mut state = State::UpToDate;
        for output in &self.command.outputs {
            let Some((digest, mode)) = made.outputs.get(output.as_str()) else { return Ok(None) };
            let path = output.below(&self.session.request.root);
            // Whatever a killed build moved here is nobody's.
            let _ = std::fs::remove_file(aside_of(&path));
            if machine.digests.digest(&path).is_ok_and(|it| it == *digest) {
                continue;
            }
            match self.restore(digest, &path, *mode) {
                Ok(()) => {
                    self.session.note_written();
                    state = State::Restored;
                }
                Err(RestoreError::Missing(_)) => return Ok(None),
                Err(RestoreError::Output { source, .. }) => return Err(self.disk(output, &source)),
            }
        }
        Ok(Some(state))
    }

    /// Copies an output from the store to its place, by way of our own folder: the source tree is
    /// no place for what a killed build leaves half written.
    #[expect(clippy::disallowed_methods, reason = "outputs of a command are moved, not copied")]
    fn restore(&self, digest: &Digest, path: &Path, mode: u32) -> Result<(), RestoreError> {
        let store = &self.session.machine.store;
        let refused = |source| RestoreError::Output { path: path.to_owned(), source };
        let scratch = self.session.outputs.map(Outputs::scratch);
        let scratch = scratch.transpose().map_err(|it| refused(io::Error::other(it)))?;
        let Some(scratch) = scratch else { return Err(RestoreError::Missing(*digest)) };
        let file = scratch.path().join("restored");
        store.restore(digest, &file, mode)?;
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(refused)?;
        match std::fs::rename(&file, path) {
            // A folder of the workspace may be another file system.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                store.restore(digest, path, mode).map(drop)
            }
            done => done.map_err(refused),
        }
    }

    fn disk(&self, output: &RelPath, error: &io::Error) -> Unfit {
        let note = Space::note(&output.below(&self.session.request.root));
        let hints = vec!["free some space, or make the folder writable".to_owned()];
        let error = format!("cannot write `{output}`{note}: {error}");
        Unfit { error, hints, code: ExitCode::Disk }
    }
}

/// Where the old output `path` waits while a new one is made.
fn aside_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.linkwright-old"))
}

fn format_label(label: &Label) -> String {
    format!("{{{label}}}")
}

fn input(error: String) -> Unfit {
    Unfit { error, hints: Vec::new(), code: ExitCode::BadInput }
}
