//! Starts one test binary, in the folder and with the variables that a test is promised.
//!
//! This is the one seam behind which a test runs, be it on the machine as it is or in a root of its
//! own ([`crate::effects::sealed`]).
//!
//! | the test has | on the machine | in a sealed root |
//! |---|---|---|
//! | a working folder | that of its Go package's sources, as under `go test`; `PWD` says so | the same, at its place there |
//! | `TMPDIR` | a folder of its own, which goes with the run | `/tmp` of its own |
//! | `HOME` | an empty folder of its own, which goes with the run, unless the target passes the caller's | `/tmp`, or as the target passes it |
//! | other variables | those of [`PASSED`], and what the target passes; none besides | `PATH=/bin`, and what the target passes |
//! | standard input | nothing | nothing |
//! | standard output and error | one pipe, so that their order is kept | the same |

use crate::effects::file::write_new;
use crate::effects::machine::Machine;
use crate::effects::process::{self, Invocation, OUTPUT_LIMIT};
use crate::effects::sealed::{COUNTERS, PROFILE, Root, Sealed, SealedError};
use crate::plan::test_account::ProcessEnd;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Variables that every test sees as the caller has them.
pub const PASSED: [&str; 5] = ["PATH", "USER", "LOGNAME", "LANG", "TZ"];

/// What is added to a test's own time limit before it is ended from outside: it may take that long
/// to tell what its goroutines do.
const GRACE: Duration = Duration::from_secs(2);

/// A test binary to run.
#[derive(Debug)]
pub struct TestCommand {
    /// The binary, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The variables, those of [`Scratch::environment`] apart.
    pub env: BTreeMap<OsString, OsString>,
    /// Its working folder: a place in the root, if it has one.
    pub folder: PathBuf,
    /// The root that it runs in, if it is not the machine's.
    pub root: Option<Root>,
    /// How long it may take by its own clock.
    pub limit: Duration,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub struct TestEnd {
    /// Its code, signal, or that it was stopped.
    pub end: ProcessEnd,
    /// Whether it left processes behind, which were killed.
    pub left_behind: bool,
}

/// A folder for one run; it goes with the value.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes it where the caller's temporary files go.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn new(machine: &Machine) -> std::io::Result<Self> {
        let place = machine.caller.get(OsStr::new("TMPDIR")).filter(|it| !it.is_empty());
        let place = place.map_or(Path::new("/tmp"), Path::new);
        let folder = tempfile::Builder::new().prefix("linkwright-test-").tempdir_in(place)?;
        for name in ["home", "tmp"] {
            std::fs::create_dir(folder.path().join(name))?;
        }
        Ok(Self(folder))
    }

    /// Returns the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns where the test notes what it reads.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path().join("testlog")
    }

    /// Returns where the test writes its coverage profile.
    #[must_use]
    pub fn profile(&self) -> PathBuf {
        self.path().join("profile")
    }

    /// Makes the places where a test, and what it starts, counts while it runs, and where it writes
    /// what was counted; in `root`, if it has one.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn counting(&self, root: Option<&mut Root>) -> std::io::Result<(PathBuf, PathBuf)> {
        let profile = self.profile();
        let Some(root) = root else {
            let folder = self.path().join("counters");
            std::fs::create_dir(&folder)?;
            return Ok((folder, profile));
        };
        // Another user writes it, and nobody else reaches it.
        write_new(&profile, b"")?;
        std::fs::set_permissions(&profile, std::fs::Permissions::from_mode(0o666))?;
        root.profile = Some(profile);
        Ok((COUNTERS.into(), PROFILE.into()))
    }

    /// Returns the variables that name places in it.
    #[must_use]
    pub fn environment(&self) -> [(OsString, OsString); 2] {
        ["HOME", "TMPDIR"].map(|name| {
            let folder = if name == "HOME" { "home" } else { "tmp" };
            (name.into(), self.path().join(folder).into())
        })
    }

    /// Returns what the test left in its home.
    #[must_use]
    pub fn in_home(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("home")).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Returns the variables of a test of which `pass` are the caller's, besides those that name
/// places in its scratch folder.
#[must_use]
pub fn environment(
    machine: &Machine,
    pass: &[String],
    folder: &Path,
) -> BTreeMap<OsString, OsString> {
    let names = PASSED.into_iter().chain(pass.iter().map(String::as_str));
    let passed = names.filter_map(|it| machine.caller.get_key_value(OsStr::new(it)));
    let mut env: BTreeMap<_, _> = passed.map(|(a, b)| (a.clone(), b.clone())).collect();
    env.insert("PWD".into(), folder.into());
    env
}

/// Returns the variables of a test in a sealed root.
#[must_use]
pub fn sealed_environment(
    machine: &Machine,
    pass: &[String],
    folder: &Path,
) -> BTreeMap<OsString, OsString> {
    let fixed = [("HOME", "/tmp"), ("PATH", "/bin"), ("TMPDIR", "/tmp")];
    let mut env: BTreeMap<OsString, OsString> =
        fixed.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let passed = pass.iter().filter_map(|it| machine.caller.get_key_value(OsStr::new(it)));
    env.extend(passed.map(|(name, value)| (name.clone(), value.clone())));
    env.insert("PWD".into(), folder.into());
    env
}

/// Runs a test binary to its end; `hear` gets what it prints, as it comes.
///
/// # Errors
///
/// Returns [`SealedError`] if it cannot be started where it is to run, or the run is interrupted.
pub fn run(
    machine: &Machine,
    command: &TestCommand,
    scratch: &Scratch,
    hear: &mut dyn FnMut(&[u8]),
) -> Result<TestEnd, SealedError> {
    let TestCommand { program, args, env, folder, root, limit } = command;
    let mut all = BTreeMap::new();
    if root.is_none() {
        all.extend(scratch.environment());
    }
    all.extend(env.clone());
    let invocation = Invocation {
        program: program.clone(),
        args: args.clone(),
        env: all,
        folder: folder.clone(),
        limit: *limit + GRACE + *limit / 20,
        most_output: OUTPUT_LIMIT,
    };
    let guard = machine.guard.as_ref();
    let sealed = match (root, guard) {
        (None, _) => None,
        (Some(root), Some(guard)) => Some(Sealed::new(root, &invocation, guard)?),
        (Some(_), None) => {
            let why = "there is no guard, which a sealed run needs";
            return Err(SealedError::NotSealed(why.to_owned()));
        }
    };
    let invocation = sealed.as_ref().map_or(&invocation, |it| &it.invocation);
    let heard = process::listen(invocation, guard, &machine.interrupt, hear)?;
    let left_inside = sealed.as_ref().map_or(Ok(false), Sealed::left_behind)?;
    let end = match (heard.out_of_time, heard.status.code(), heard.status.signal()) {
        (true, ..) => ProcessEnd::OutOfTime(*limit),
        (false, Some(code), _) => ProcessEnd::Code(code),
        (false, None, signal) => ProcessEnd::Signal(signal.unwrap_or(0)),
    };
    Ok(TestEnd { end, left_behind: heard.left_behind || left_inside })
}
