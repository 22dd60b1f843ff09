//! `linkwright completions`: what a shell needs to complete our command lines.

use crate::cli::arguments::Arguments;
use crate::cli::{Session, Stopped};
use crate::words::exit_code::ExitCode;
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// For bash: linkwright completions bash > ~/.local/share/bash-completion/completions/linkwright
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Runs `completions`.
///
/// # Errors
///
/// Returns the writer's error.
pub fn run(args: CompletionsArgs, session: &mut Session<'_>) -> Result<u8, Stopped> {
    // The generator panics when a writer fails; a buffer never does.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "linkwright", &mut script);
    session.out.write_all(&script)?;
    Ok(ExitCode::Done.number())
}
