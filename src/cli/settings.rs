//! The global flags and the environment, weighed against each other once.

use crate::cli::environment::Environment;
use crate::cli::flags::{ColorWhen, GlobalArgs, Jobs};
use crate::report::failure::Failure;
use crate::report::paint::Paint;
use crate::report::terminal::{ProgressKind, Verbosity};
use crate::words::exit_code::ExitCode;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// What holds for a command, whoever said it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder it runs in, absolute; relative paths on the command line start here.
    pub folder: PathBuf,
    /// How many steps at a time.
    pub jobs: NonZeroUsize,
    /// Colour on stdout.
    pub out_paint: Paint,
    /// Colour on stderr.
    pub err_paint: Paint,
    /// How much is told.
    pub verbosity: Verbosity,
    /// What progress looks like.
    pub progress: ProgressKind,
    /// The store's folder, absolute; `None` where neither a flag, a variable nor a home names one.
    pub store: Option<PathBuf>,
    /// Go's compile cache, absolute, if the user says where.
    pub go_cache: Option<PathBuf>,
}

impl Settings {
    /// Resolves the settings.
    ///
    /// # Errors
    ///
    /// Returns a failure if `--directory` names no folder.
    pub fn new(global: &GlobalArgs, environment: &Environment) -> Result<Self, Failure> {
        let folder = match &global.directory {
            Some(directory) => environment.folder.join(directory),
            None => environment.folder.clone(),
        };
        if !folder.is_dir() {
            let message = format!("`{}` is not a folder", folder.display());
            return Err(Failure::new(ExitCode::BadInput, message).hint("`-C` takes a folder"));
        }
        let place = |flag: Option<&PathBuf>, variable: &str| match flag {
            Some(flag) => Some(folder.join(flag)),
            None => environment.get(variable).map(|it| environment.folder.join(it)),
        };
        let animated = environment.stderr_is_terminal && !environment.is_ci();
        Ok(Self {
            jobs: match global.jobs {
                Jobs::Auto => environment.processors,
                Jobs::Exactly(jobs) => jobs,
            },
            out_paint: paint(global.color, environment, environment.stdout_is_terminal),
            err_paint: paint(global.color, environment, environment.stderr_is_terminal),
            verbosity: match (global.quiet, global.verbose) {
                (true, _) => Verbosity::Quiet,
                (false, true) => Verbosity::Verbose,
                (false, false) => Verbosity::Normal,
            },
            progress: if animated && !environment.is_dumb() {
                ProgressKind::Bars
            } else {
                ProgressKind::Lines
            },
            store: place(global.store.as_ref(), "LINKWRIGHT_STORE")
                .or_else(|| default_store(environment)),
            go_cache: place(global.go_cache.as_ref(), "LINKWRIGHT_GO_CACHE"),
            folder,
        })
    }

    /// Returns the store's folder.
    ///
    /// # Errors
    ///
    /// Blames the machine if nothing names one.
    pub fn store(&self) -> Result<PathBuf, Failure> {
        self.store.clone().ok_or_else(|| {
            Failure::new(ExitCode::MachineLacks, "there is no place for the store")
                .hint("set HOME or XDG_CACHE_HOME, or say `--store DIR`")
        })
    }
}

/// Returns `linkwright` in the user's cache folder, as the XDG Base Directory Specification says: a
/// relative `XDG_CACHE_HOME` is as good as none.
fn default_store(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name: &str| environment.get(name).map(Path::new).filter(|it| it.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").map(Path::to_path_buf);
    cache.or_else(|| Some(absolute("HOME")?.join(".cache"))).map(|it| it.join("linkwright"))
}

/// Decides on colour for one stream. # Source: no-color.org, bixense.com/clicolors.
#[must_use]
pub fn paint(when: ColorWhen, environment: &Environment, is_terminal: bool) -> Paint {
    let says = |name: &str| environment.get(name).is_some_and(|it| it != "0");
    let coloured = match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if environment.get("NO_COLOR").is_some() => false,
        ColorWhen::Auto if says("CLICOLOR_FORCE") => true,
        ColorWhen::Auto => is_terminal && !environment.is_dumb(),
    };
    if coloured { Paint::Ansi } else { Paint::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::environment::sample;
    use ColorWhen::{Always, Auto, Never};

    #[test]
    fn a_flag_outweighs_the_environment_and_that_the_terminal() {
        let painted = |when, variables: &[(&str, &str)], terminal| {
            paint(when, &sample(variables), terminal) == Paint::Ansi
        };
        assert!(painted(Auto, &[], true) && !painted(Auto, &[], false));
        assert!(!painted(Auto, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true));
        assert!(painted(Auto, &[("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")], false));
        assert!(!painted(Auto, &[("CLICOLOR_FORCE", "0")], false));
        assert!(!painted(Auto, &[("TERM", "dumb")], true));
        assert!(painted(Always, &[("NO_COLOR", "1")], false) && !painted(Never, &[], true));
    }

    #[test]
    fn the_store_is_where_the_user_says_else_in_the_cache_folder() {
        let store = |flag: Option<&str>, variables: &[(&str, &str)]| {
            let environment = Environment { folder: PathBuf::from("/"), ..sample(variables) };
            let global = GlobalArgs {
                directory: Some(PathBuf::from("/usr")),
                store: flag.map(PathBuf::from),
                ..GlobalArgs::default()
            };
            Settings::new(&global, &environment).unwrap().store
        };
        let home = ("HOME", "/home/ada");
        let path = |it: &str| Some(PathBuf::from(it));
        assert_eq!(store(None, &[home]), path("/home/ada/.cache/linkwright"));
        assert_eq!(store(None, &[home, ("XDG_CACHE_HOME", "/c")]), path("/c/linkwright"));
        assert_eq!(store(None, &[home, ("XDG_CACHE_HOME", "c")]), store(None, &[home]));
        assert_eq!(store(None, &[home, ("LINKWRIGHT_STORE", "s")]), path("/s"));
        assert_eq!(store(Some("s"), &[("LINKWRIGHT_STORE", "/v")]), path("/usr/s"));
        assert_eq!(store(None, &[]), None);
    }
}
