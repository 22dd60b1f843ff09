//! Compiles C libraries for links that the store does not hold: objects that the store has not,
//! then the archive, put in place where the linker is told to look for it.
//!
//! An object that did not change is not compiled again, and an archive of the same objects is not
//! made again. What was compiled is kept only if its inputs, looked at again afterwards, are still
//! what they were.

use crate::effects::digests::Stamps;
use crate::effects::file;
use crate::effects::process::{Invocation, OUTPUT_LIMIT};
use crate::engine::go_unit::Unfit;
use crate::engine::session::Session;
use crate::formats::tool_limits::tool_limit;
use crate::plan::c_dependencies::{CProgram, PlannedLibrary, PlannedObject};
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the store keeps of an object, and of an archive, under its key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Made {
    blake3: Digest,
}

/// Why a library is not in place.
#[derive(Debug, Clone)]
pub enum NotMade {
    /// A compiler refuses it.
    Failed(String),
    /// The machine got in the way.
    Unfit {
        /// What is wrong.
        error: String,
        /// What to do.
        hints: Vec<String>,
        /// The exit code.
        code: ExitCode,
    },
    /// Files that it is made of were changed meanwhile.
    Changed(Vec<PathBuf>),
}

impl From<Unfit> for NotMade {
    fn from(Unfit { error, hints, code }: Unfit) -> Self {
        Self::Unfit { error, hints, code }
    }
}

/// Archives that are in place: where, and their content.
pub type Archives = BTreeMap<PathBuf, Digest>;

/// A library that a link needs.
pub struct Wanted<'a> {
    /// What is to be made.
    pub library: &'a PlannedLibrary,
    /// The files that it is made of, and others.
    pub paths: &'a [PathBuf],
    /// Looks at its files again and returns its key as it is by then.
    pub look_again: Box<dyn Fn() -> Option<Digest> + Sync + 'a>,
}

/// Makes libraries that lie at different places, with all the objects that they lack compiled at
/// the same time.
#[must_use]
pub fn make_all(
    session: &Session<'_>,
    libraries: &[Wanted<'_>],
) -> BTreeMap<PathBuf, Result<Digest, NotMade>> {
    let made = libraries.par_iter().map(|it| (it.library.place.clone(), make(session, it)));
    made.collect()
}

/// Tells what would be run for a library, without running it.
pub fn tell(session: &Session<'_>, library: &PlannedLibrary) {
    let store = &session.machine.store;
    if store.action::<Made>(&library.key).is_some() {
        return;
    }
    for object in &library.objects {
        if store.action::<Made>(&object.key).is_none() {
            let place = PathBuf::from(&object.member);
            let (_, step) = compilation(session, library, object, &place);
            session.step_ended(step, true);
        }
    }
}

/// Returns the archives that are no longer what was put in place.
pub fn disturbed<'a>(session: &Session<'_>, archives: &'a Archives) -> Vec<&'a Path> {
    let is_other = |(path, digest): &(&PathBuf, &Digest)| {
        session.machine.digests.digest(path).ok() != Some(**digest)
    };
    archives.iter().filter(is_other).map(|it| it.0.as_path()).collect()
}

fn make(session: &Session<'_>, wanted: &Wanted<'_>) -> Result<Digest, NotMade> {
    let Wanted { library, paths, look_again } = wanted;
    let machine = session.machine;
    if let Some(Made { blake3 }) = machine.store.action(&library.key) {
        if machine.digests.digest(&library.place).is_ok_and(|it| it == blake3) {
            return Ok(blake3);
        }
        let scratch = scratch(session)?;
        let file = scratch.path().join("archive");
        if machine.store.restore(&blake3, &file, 0o444).is_ok() {
            return put(session, library, &file, blake3);
        }
    }
    let scratch = scratch(session)?;
    let stamps = Stamps::of(paths);
    let place = |it: &PlannedObject| scratch.path().join(&it.member);
    let bring = |it: &PlannedObject| bring(session, library, it, &place(it));
    let brought: Vec<_> = library.objects.par_iter().map(bring).collect();
    let touched: Vec<_> = stamps.touched(paths).into_iter().map(Path::to_owned).collect();
    // What was compiled of other files than those behind the keys must not be kept under them.
    session.forget_files();
    if !touched.is_empty() || look_again() != Some(library.key) {
        return Err(NotMade::Changed(touched));
    }
    for (object, brought) in library.objects.iter().zip(&brought) {
        if let Ok(Brought::Compiled) = brought {
            let copied = machine.store.put_file(&place(object));
            let copied = copied.map_err(|it| disk(&place(object), &it))?;
            machine.store.put_action(&object.key, &Made { blake3: copied.digest });
        }
    }
    brought.into_iter().collect::<Result<Vec<_>, _>>()?;
    let file = archive(session, library, scratch.path())?;
    let copied = machine.store.put_file(&file).map_err(|it| disk(&file, &it))?;
    machine.store.put_action(&library.key, &Made { blake3: copied.digest });
    put(session, library, &file, copied.digest)
}

/// How an object came to be there.
enum Brought {
    Stored,
    Compiled,
}

fn bring(
    session: &Session<'_>,
    library: &PlannedLibrary,
    object: &PlannedObject,
    place: &Path,
) -> Result<Brought, NotMade> {
    let store = &session.machine.store;
    if let Some(Made { blake3 }) = store.action(&object.key)
        && store.restore(&blake3, place, 0o644).is_ok()
    {
        return Ok(Brought::Stored);
    }
    let (invocation, step) = compilation(session, library, object, place);
    let ended = session.machine.run(&invocation);
    session.step_ended(step, ended.as_ref().is_ok_and(|it| it.status.success()));
    let ended = ended.map_err(|it| Unfit::of_process(&it))?;
    if ended.status.success() && place.is_file() {
        return Ok(Brought::Compiled);
    }
    let words = format!("{}{}", ended.stdout_text(), ended.stderr_text());
    let (label, shown, by) = (&library.label, &object.shown, &library.by);
    let error = format!("`{shown}` of `{label}` does not compile by {by}\n{}", words.trim());
    match tool_limit(&words) {
        Some((limit, _)) => Err(Unfit::of_limit(limit, error, place).into()),
        None if ended.was_killed() => {
            let hints = vec!["the machine may be out of memory; say a smaller `--jobs`".to_owned()];
            let error = format!("{error}{}", ended.how());
            Err(NotMade::Unfit { error, hints, code: ExitCode::BuildFailed })
        }
        None => Err(NotMade::Failed(error)),
    }
}

/// Says how an object is compiled, and tells that it is.
fn compilation(
    session: &Session<'_>,
    library: &PlannedLibrary,
    object: &PlannedObject,
    place: &Path,
) -> (Invocation, usize) {
    let CProgram { program, words, variables } = &object.compiler;
    let mut all: Vec<String> =
        [words, &object.words, &object.maps].into_iter().flatten().cloned().collect();
    all.extend(["-c", "-o"].map(str::to_owned));
    all.extend([place.to_string_lossy().into_owned(), object.source.clone()]);
    let what = format!("compile {} of {}", object.shown, library.label);
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let step = session.step(what, &name, &all, variables, &library.folder);
    let args = all.into_iter().map(OsString::from).collect();
    (invocation(session, program, args, variables, &library.folder), step)
}

fn invocation(
    session: &Session<'_>,
    program: &Path,
    args: Vec<OsString>,
    variables: &BTreeMap<String, String>,
    folder: &Path,
) -> Invocation {
    let mut env = session.machine.base_environment();
    env.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
    let (program, folder) = (program.to_owned(), folder.to_owned());
    let (limit, most_output) = (session.machine.step_limit, OUTPUT_LIMIT);
    Invocation { program, args, env, folder, limit, most_output }
}

/// Makes an archive of the objects in `folder`: names and bytes of the members, no times or owners.
fn archive(
    session: &Session<'_>,
    library: &PlannedLibrary,
    folder: &Path,
) -> Result<PathBuf, NotMade> {
    let CProgram { program, words, variables } = &library.archiver;
    let mut args: Vec<OsString> = words.iter().map(OsString::from).collect();
    args.extend(["qcsD", "archive.a"].map(OsString::from));
    args.extend(library.objects.iter().map(|it| OsString::from(format!("./{}", it.member))));
    let invocation = invocation(session, program, args, variables, folder);
    let ended = session.machine.run(&invocation).map_err(|it| Unfit::of_process(&it))?;
    let file = folder.join("archive.a");
    if ended.status.success() && file.is_file() {
        return Ok(file);
    }
    let (label, words) = (&library.label, ended.stderr_text());
    let error = format!("`{}` makes no archive of `{label}`\n{}", program.display(), words.trim());
    match tool_limit(&words) {
        Some((limit, _)) => Err(Unfit::of_limit(limit, error, folder).into()),
        None => Err(NotMade::Failed(error)),
    }
}

/// Puts an archive in place, whole or not at all.
#[expect(clippy::disallowed_methods, reason = "archives are placed by rename, as outputs are")]
fn put(
    session: &Session<'_>,
    library: &PlannedLibrary,
    made: &Path,
    digest: Digest,
) -> Result<Digest, NotMade> {
    let place = &library.place;
    let folder = place.parent().map_or(Ok(()), file::make_folder);
    folder.and_then(|()| std::fs::rename(made, place)).map_err(|it| disk(place, &it))?;
    session.machine.digests.learn(place, digest);
    Ok(digest)
}

fn scratch(session: &Session<'_>) -> Result<tempfile::TempDir, NotMade> {
    let Some(outputs) = session.outputs else {
        unreachable!("invariant: a dry run compiles nothing")
    };
    outputs.scratch().map_err(|it| Unfit::of_output(&it).into())
}

fn disk(path: &Path, error: &std::io::Error) -> NotMade {
    let hints = vec!["free some space, or make the folder writable".to_owned()];
    let error = format!("cannot write `{}`: {error}", path.display());
    NotMade::Unfit { error, hints, code: ExitCode::Disk }
}
