//! The process's surroundings, read once and passed down; nothing else reads a variable.

use crate::effects::process::Guard;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The width of a report where there is no terminal to ask.
const PLAIN_WIDTH: usize = 80;

/// Variables that say by their presence that no person is watching.
const CI_VARIABLES: [&str; 5] = ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "TF_BUILD"];

/// Where and how the program was started.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Every variable.
    pub variables: BTreeMap<OsString, OsString>,
    /// The folder it was started in.
    pub folder: PathBuf,
    /// How many processors it may use.
    pub processors: NonZeroUsize,
    /// Columns of the terminal on stderr, else [`PLAIN_WIDTH`].
    pub width: usize,
    /// Whether a person sees stdout.
    pub stdout_is_terminal: bool,
    /// Whether a person sees stderr.
    pub stderr_is_terminal: bool,
    /// What stands between us and each child; `main` says it, who answers for this program.
    pub guard: Option<Guard>,
}

impl Environment {
    /// Reads the surroundings of this process.
    ///
    /// # Errors
    ///
    /// Returns the system's error if the current folder is gone or may not be read.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads them")]
    pub fn of_this_process() -> io::Result<Self> {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
        let width = size.map_or(0, |it| usize::from(it.ws_col));
        Ok(Self {
            variables: std::env::vars_os().collect(),
            folder: std::env::current_dir()?,
            processors: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            width: if width == 0 { PLAIN_WIDTH } else { width },
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            guard: None,
        })
    }

    /// Returns a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// Tells whether a pipeline rather than a person started the program.
    #[must_use]
    pub fn is_ci(&self) -> bool {
        let says_yes = |it: &&str| self.get(it).is_some_and(|it| it != "false" && it != "0");
        CI_VARIABLES.iter().any(says_yes)
    }

    /// Tells whether the terminal, if there is one, can only print.
    #[must_use]
    pub fn is_dumb(&self) -> bool {
        self.get("TERM").is_some_and(|it| it == "dumb")
    }
}

/// Makes environments for tests: no terminal, these variables alone.
#[cfg(test)]
pub(crate) fn sample(variables: &[(&str, &str)]) -> Environment {
    Environment {
        variables: variables.iter().map(|it| (it.0.into(), it.1.into())).collect(),
        folder: PathBuf::from("/work"),
        processors: NonZeroUsize::MIN,
        width: PLAIN_WIDTH,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        guard: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_known_by_its_variables() {
        assert!(!sample(&[]).is_ci());
        assert!(sample(&[("CI", "true")]).is_ci());
        assert!(sample(&[("CI", ""), ("GITLAB_CI", "1")]).is_ci());
        assert!(!sample(&[("CI", "false")]).is_ci());
    }
}
