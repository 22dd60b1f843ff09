//! Words of the command line that several commands share: global flags, colour, jobs, patterns.
//!
//! **Negative patterns.** `-//dir:name` begins as a flag does. [`mask`] puts a NUL before every
//! argument that can only be a negative pattern, and [`unmask`] takes it away when the pattern is
//! read; no argument holds a NUL by itself, so nothing else is changed by it, and unknown flags are
//! refused with a suggestion as ever.

use crate::words::amount::parse_time;
use std::convert::Infallible;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Flags that every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::doc_markdown, reason = "the doc comments are help texts")]
pub struct GlobalArgs {
    /// Run as if started in DIR
    #[arg(short = 'C', long, value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,

    /// Run at most N steps at a time; `auto` is one for each processor
    #[arg(short, long, value_name = "N", global = true, default_value = "auto")]
    pub jobs: Jobs,

    /// Colour what is printed
    ///
    /// `auto` colours on a terminal, unless NO_COLOR is set; CLICOLOR_FORCE colours elsewhere too.
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: ColorWhen,

    /// Keep artefacts in DIR [env: LINKWRIGHT_STORE]
    ///
    /// Without it they are kept in $XDG_CACHE_HOME/linkwright or ~/.cache/linkwright.
    #[arg(long, value_name = "DIR", global = true)]
    pub store: Option<PathBuf>,

    /// Keep Go's compile cache in DIR [env: LINKWRIGHT_GO_CACHE]
    ///
    /// Without it it is in the store's folder. Several workspaces may share one.
    #[arg(long, value_name = "DIR", global = true)]
    pub go_cache: Option<PathBuf>,

    /// Say nothing but what fails
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say each command and each warning in full
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// How long a command waits for others.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WaitOptions {
    /// Wait at most this long for another linkwright, then give up (exit code 9)
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_time)]
    pub lock_timeout: Duration,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self { lock_timeout: Duration::from_mins(10) }
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorWhen {
    /// As the stream and the environment say
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How many steps at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Jobs {
    /// One for each processor.
    #[default]
    Auto,
    /// This many.
    Exactly(NonZeroUsize),
}

/// A text that is no number of jobs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a number from 1 on, or `auto`")]
pub struct JobsError;

impl std::str::FromStr for Jobs {
    type Err = JobsError;

    fn from_str(text: &str) -> Result<Self, JobsError> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Exactly).map_err(|_| JobsError),
        }
    }
}

/// Puts a NUL before each argument that can only be a negative pattern, up to `--`.
#[must_use]
pub fn mask(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut past_end = false;
    let mask_one = |argument: OsString| {
        past_end |= argument == "--";
        let bytes = argument.as_encoded_bytes();
        let negative = [&b"-//"[..], b"-:", b"-./", b"-..."].iter().any(|it| bytes.starts_with(it));
        if past_end || !negative {
            return argument;
        }
        let mut masked = OsString::from("\0");
        masked.push(argument);
        masked
    };
    arguments.into_iter().map(mask_one).collect()
}

/// Reads a pattern that [`mask`] may have masked.
///
/// # Errors
///
/// Never; clap asks for a `Result`.
#[must_use]
pub fn unmask(text: &str) -> Result<String, Infallible> {
    Ok(text.strip_prefix('\0').unwrap_or(text).to_owned())
}
