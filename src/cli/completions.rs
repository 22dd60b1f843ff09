//! `linkwright completions`: what a shell needs to complete our command lines.

use crate::cli::console::{Console, Stopped};
use crate::words::exit_code::ExitCode;
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

/// Runs `completions` for the program whose definitions `command` holds.
///
/// # Errors
///
/// Returns the writer's error.
pub fn run(
    args: CompletionsArgs,
    mut command: clap::Command,
    console: &mut Console<'_>,
) -> Result<u8, Stopped> {
    // The generator panics when a writer fails; a buffer never does.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "linkwright", &mut script);
    console.out.write_all(&script)?;
    Ok(ExitCode::Done.number())
}
