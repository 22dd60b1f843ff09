//! The root that a test binary runs in, when it is not the machine's.
//!
//! | place in the root | what |
//! |---|---|
//! | `/src/FOLDER` | a folder of the workspace: its `testdata`, and what `data` names |
//! | `/go/src/PACKAGE` | the folder of any other Go package, as of the standard library: its `testdata` |
//!
//! The sources are not there: what is shipped is tested, and what of them a test reads is declared.

use crate::effects::globs::expand_target;
use crate::effects::observe;
use crate::effects::process::ProcessError;
use crate::effects::sealed::{Extra, Limits, Root, SealedError};
use crate::model::run_in::{SealedRoot, With};
use crate::model::target::Target;
use crate::plan::test_account::Outcome;
use crate::words::path::RelPath;
use std::io;
use std::path::{Path, PathBuf};

/// Why a binary was not run to its end, and what that makes of it.
#[derive(Debug)]
pub struct Unrun {
    /// That it was not run, or that it cannot be.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

/// Returns where the folder of a Go package lies in a root, as it lies in `workspace`.
#[must_use]
pub fn place((workspace, folder): (&Path, &Path), go_package: &str) -> PathBuf {
    match folder.strip_prefix(workspace) {
        Ok(below) if below.as_os_str().is_empty() => PathBuf::from("/src"),
        Ok(below) => Path::new("/src").join(below),
        Err(_) => Path::new("/go/src").join(go_package),
    }
}

/// Returns what `data` of the target stands for, from the root of the workspace.
///
/// # Errors
///
/// Returns what is wrong with it.
pub fn data((workspace, target): (&Path, &Target)) -> Result<Vec<RelPath>, Unrun> {
    expand_target(workspace, target).map_err(|problems| {
        let messages: Vec<_> = problems.into_iter().map(|it| it.message).collect();
        messages.join("; ").into()
    })
}

/// Returns the files that a test whose sources lie in `folder` is known to read: `testdata` beside
/// them, what `data` stands for, and those that are `shown` in its root; sorted, each once.
///
/// # Errors
///
/// Returns what is wrong with `data`.
pub fn declared<'a>(
    (workspace, target): (&Path, &Target),
    folder: &Path,
    shown: impl Iterator<Item = &'a PathBuf>,
) -> Result<Vec<PathBuf>, Unrun> {
    let mut declared = observe::below(&folder.join("testdata"));
    declared.extend(data((workspace, target))?.iter().map(|it| it.below(workspace)));
    declared.extend(shown.cloned());
    declared.retain(|it| it.is_file());
    declared.sort();
    declared.dedup();
    Ok(declared)
}

/// Makes the root of a test of `target` whose sources lie in `folder`, at `place` in the root.
///
/// # Errors
///
/// Returns what this machine does not have of what is to be in it.
pub fn root(
    sealed: &SealedRoot,
    (workspace, target): (&Path, &Target),
    (folder, place): (&Path, &Path),
) -> Result<Root, Unrun> {
    let mut root = furnished(sealed).map_err(|it| Unrun::of(&it))?;
    for it in data((workspace, target))? {
        root.files.insert(it.below(Path::new("/src")), it.below(workspace));
    }
    let testdata = folder.join("testdata");
    if testdata.is_dir() {
        root.files.insert(place.join("testdata"), testdata);
    }
    root.folders.insert(place.to_owned());
    Ok(root)
}

/// Makes a root without the files of a test.
fn furnished(sealed: &SealedRoot) -> Result<Root, SealedError> {
    let SealedRoot { with, hosts, host_name, tmp_size, .. } = sealed;
    let mut root = Root { limits: limits(sealed), ..Root::default() };
    if let Some(name) = host_name {
        root.host_name.clone_from(name);
    }
    root.tmp_size = tmp_size.unwrap_or(root.tmp_size);
    for (name, address) in hosts {
        root.add_host(address, name);
    }
    for with in with {
        root.add(match with {
            With::Hosts => Extra::Hosts,
            With::Resolver => Extra::Resolver,
            With::Certificates => Extra::Certificates,
            With::Users => Extra::Users,
        })?;
    }
    Ok(root)
}

/// What is not said is as in every sealed root.
fn limits(sealed: &SealedRoot) -> Limits {
    let SealedRoot { address_space, processes, open_files, file_size, cpu_seconds, .. } = *sealed;
    let usual = Limits::default();
    Limits {
        address_space: address_space.or(usual.address_space),
        processes: processes.or(usual.processes),
        open_files: open_files.or(usual.open_files),
        file_size: file_size.or(usual.file_size),
        cpu_seconds: cpu_seconds.or(usual.cpu_seconds),
    }
}

impl From<String> for Unrun {
    /// The machine is at fault, or the run was interrupted.
    fn from(reason: String) -> Self {
        Self { outcome: Outcome::NotRun, reason }
    }
}

impl Unrun {
    /// Says why a binary could not be started where it is to run.
    #[must_use]
    pub fn of(error: &SealedError) -> Self {
        match error {
            // Its bytes say so, on every machine: the binary is at fault.
            SealedError::Loader { .. } => {
                let hint = error.hint().unwrap_or_default();
                Self { outcome: Outcome::Failed, reason: format!("{error}: {hint}") }
            }
            SealedError::Process(ProcessError::Interrupted) => "interrupted".to_owned().into(),
            SealedError::Process(ProcessError::Spawn { source, .. }) if is_foreign(source) => {
                format!("{error}: it is built for another platform").into()
            }
            SealedError::NotSealed(_) => {
                format!("{error}; {}", error.hint().unwrap_or_default()).into()
            }
            SealedError::Missing { source, .. } => format!("{error}: {source}").into(),
            SealedError::Process(_)
            | SealedError::Place { .. }
            | SealedError::NotStarted { .. } => error.to_string().into(),
        }
    }
}

/// Tells whether a binary could not be started because it is for another platform.
#[must_use]
pub fn is_foreign(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_folder_lies_in_the_root_as_in_the_workspace() {
        let place = |folder: &str| place((Path::new("/w"), Path::new(folder)), "a/b");
        assert_eq!(place("/w"), Path::new("/src"));
        assert_eq!(place("/w/x/y"), Path::new("/src/x/y"));
        assert_eq!(place("/usr/lib/go/src/a/b"), Path::new("/go/src/a/b"));
    }

    #[test]
    fn a_root_holds_what_is_declared() {
        let sealed = SealedRoot {
            with: BTreeSet::from([With::Users]),
            hosts: BTreeMap::from([("beta".to_owned(), "::1".to_owned())]),
            processes: Some(7),
            tmp_size: Some(8),
            ..SealedRoot::default()
        };
        let root = furnished(&sealed).unwrap();
        assert_eq!(root.texts[Path::new("/etc/hosts")], "::1 beta\n");
        assert!(root.texts.contains_key(Path::new("/etc/passwd")) && root.files.is_empty());
        assert_eq!((root.limits.processes, root.tmp_size), (Some(7), 8));
        assert_eq!(root.limits.open_files, Limits::default().open_files);
    }
}
