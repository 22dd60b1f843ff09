//! The command line as types: help texts, completions and man pages are made from these.
//!
//! Each command's own arguments stand beside the function that runs it. A flag that does nothing
//! for a command is refused there, so that a typing error is never a silent wish.
//!
use crate::cli::build::BuildArgs;
use crate::cli::cache::CacheArgs;
use crate::cli::cacheprog::CacheprogArgs;
use crate::cli::clean::CleanArgs;
use crate::cli::completions::CompletionsArgs;
use crate::cli::doctor::DoctorArgs;
use crate::cli::flags::GlobalArgs;
use crate::cli::graph::GraphArgs;
use crate::cli::init::InitArgs;
use crate::cli::man::ManArgs;
use crate::cli::query::QueryArgs;
use crate::cli::run::RunArgs;
use crate::cli::test::TestArgs;
use crate::cli::verify::VerifyArgs;
use crate::cli::why::WhyArgs;

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

/// The commands, in the order in which help lists them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    #[expect(missing_docs, reason = "the doc comment of the arguments is the help text")]
    Build(BuildArgs),
    #[expect(missing_docs, reason = "as above")]
    Test(TestArgs),
    #[expect(missing_docs, reason = "as above")]
    Run(RunArgs),
    #[expect(missing_docs, reason = "as above")]
    Verify(VerifyArgs),
    #[expect(missing_docs, reason = "as above")]
    Why(WhyArgs),
    #[expect(missing_docs, reason = "as above")]
    Query(QueryArgs),
    #[expect(missing_docs, reason = "as above")]
    Graph(GraphArgs),
    #[expect(missing_docs, reason = "as above")]
    Init(InitArgs),
    #[expect(missing_docs, reason = "as above")]
    Doctor(DoctorArgs),
    #[expect(missing_docs, reason = "as above")]
    Cache(CacheArgs),
    #[expect(missing_docs, reason = "as above")]
    Clean(CleanArgs),
    #[expect(missing_docs, reason = "as above")]
    Cacheprog(CacheprogArgs),
    #[expect(missing_docs, reason = "as above")]
    Completions(CompletionsArgs),
    #[expect(missing_docs, reason = "as above")]
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags::{Jobs, mask};
    use clap::{CommandFactory as _, Parser as _};
    use std::ffi::OsString;
    use std::num::NonZeroUsize;

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
