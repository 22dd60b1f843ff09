//! `linkwright clean`: the output folder goes.

use crate::cli::console::{Console, Stopped};
use crate::cli::rooms;
use crate::effects::out_folder::{self, RemoveError};
use crate::report::failure::Failure;
use crate::report::table::{count, human_size};
use crate::report::terminal::Verbosity;
use crate::words::exit_code::ExitCode;
use crate::words::path::OUTPUT_FOLDER;

/// Remove the workspace's linkwright-out folder
///
/// Never needed for a right result. Only a folder that linkwright made (it holds a file
/// .linkwright) is removed, and links in it are not followed. The store stays: the next build
/// restores from it.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CleanArgs {}

/// Runs `clean`.
///
/// # Errors
///
/// Refuses a folder that linkwright did not make; blames the disk if the system refuses.
pub fn run(args: CleanArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let CleanArgs {} = args;
    let root = rooms::find_workspace(&console.settings.folder)?.root;
    let removed = out_folder::remove(&root).map_err(|error| refusal(&error))?;
    let line = match removed {
        Some(removed) => {
            let files = count(removed.files, "file");
            format!("removed {}: {files}, {}", OUTPUT_FOLDER, human_size(removed.bytes))
        }
        None => format!("there is no {OUTPUT_FOLDER}"),
    };
    if console.settings.verbosity > Verbosity::Quiet {
        writeln!(console.err, "{line}")?;
    }
    Ok(ExitCode::Done.number())
}

fn refusal(error: &RemoveError) -> Failure {
    let code = match error {
        RemoveError::NotAFolder(_) | RemoveError::NotOurs(_) => ExitCode::Refused,
        RemoveError::Io(..) => ExitCode::Disk,
    };
    let failure = Failure::new(code, "the output folder stays").because(error);
    match code {
        ExitCode::Refused => failure.hint("look into it, and remove it by hand if it can go"),
        _ => failure,
    }
}
