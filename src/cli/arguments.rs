//! The command line as types: help texts, completions and man pages are made from these.
//!
//! Each command's own arguments stand beside the function that runs it. A flag that does nothing
//! for a command is refused there, so that a typing error is never a silent wish.
//!
//! **Negative patterns.** `-//dir:name` begins as a flag does. [`mask`] puts a NUL before every
//! argument that can only be a negative pattern, and [`unmask`] takes it away when the pattern is
//! read; no argument holds a NUL by itself, so nothing else is changed by it, and unknown flags are
//! refused with a suggestion as ever.

use crate::cli::build::BuildArgs;
use crate::cli::clean::CleanArgs;
use crate::cli::completions::CompletionsArgs;
use crate::cli::doctor::DoctorArgs;
use crate::cli::graph::GraphArgs;
use crate::cli::init::InitArgs;
use crate::cli::man::ManArgs;
use crate::cli::query::QueryArgs;
use crate::cli::run::RunArgs;
use crate::cli::verify::VerifyArgs;
use std::convert::Infallible;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Build Go programs the way they must be linked, and prove it
///
/// Targets and how they must be linked are declared in BUILD.ron files. linkwright builds what
/// changed and nothing else, takes each target down a ladder of link strategies until a result
/// verifies, and records the proof.
#[derive(Debug, clap::Parser)]
#[command(
    name = "linkwright",
    version,
    verbatim_doc_comment,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Patterns: //... everything, //dir/... below a folder, //dir:all in one, \
                  //dir:name one target,\n:name and ./... seen from here, and - before any of \
                  these to leave it out."
)]
pub struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

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

    /// Let Go keep its compile cache in DIR [env: LINKWRIGHT_GO_CACHE]
    ///
    /// Without it linkwright gives Go a cache of its own beside the store.
    #[arg(long, value_name = "DIR", global = true)]
    pub go_cache: Option<PathBuf>,

    /// Say nothing but what fails
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say each command and each warning in full
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The commands, in the order in which help lists them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[expect(missing_docs, reason = "the doc comment of the arguments is the help text")]
    Build(BuildArgs),
    #[expect(missing_docs, reason = "as above")]
    Run(RunArgs),
    #[expect(missing_docs, reason = "as above")]
    Verify(VerifyArgs),
    #[expect(missing_docs, reason = "as above")]
    Query(QueryArgs),
    #[expect(missing_docs, reason = "as above")]
    Graph(GraphArgs),
    #[expect(missing_docs, reason = "as above")]
    Init(InitArgs),
    #[expect(missing_docs, reason = "as above")]
    Doctor(DoctorArgs),
    #[expect(missing_docs, reason = "as above")]
    Clean(CleanArgs),
    #[expect(missing_docs, reason = "as above")]
    Completions(CompletionsArgs),
    #[expect(missing_docs, reason = "as above")]
    Man(ManArgs),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        let words = words.iter().map(OsString::from).collect();
        Arguments::try_parse_from(mask(words))
    }

    #[test]
    fn the_definitions_hold_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn negative_patterns_are_patterns_and_flags_are_flags() {
        let words =
            ["linkwright", "build", "//...", "-//a:b", "-k", "-:c", "-./d/...", "-j", "3", "-..."];
        let arguments = parse(&words).unwrap();
        let Command::Build(build) = arguments.command else { panic!() };
        assert_eq!(build.patterns, ["//...", "-//a:b", "-:c", "-./d/...", "-..."]);
        assert!(build.options.keep_going);
        assert_eq!(arguments.global.jobs, Jobs::Exactly(NonZeroUsize::new(3).unwrap()));
    }

    #[test]
    fn what_follows_two_dashes_belongs_to_the_program() {
        let arguments =
            parse(&["linkwright", "run", "//:x", "--", "-//a", "--json", "-n"]).unwrap();
        let Command::Run(run) = arguments.command else { panic!() };
        assert_eq!(run.arguments, ["-//a", "--json", "-n"]);
        assert!(!run.options.dry_run);
    }

    #[test]
    fn zero_jobs_are_refused() {
        assert!(parse(&["linkwright", "build", "-j0"]).is_err());
        assert!(parse(&["linkwright", "build", "--jobs=auto"]).is_ok());
        assert!(parse(&["linkwright", "build", "-q", "-v"]).is_err());
    }
}
