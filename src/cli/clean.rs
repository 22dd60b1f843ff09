//! `linkwright clean`: the output folder goes.

use crate::cli::console::{Console, Stopped};
use crate::cli::flags::WaitOptions;
use crate::cli::rooms;
use crate::effects::lock::Patience;
use crate::effects::out_folder::{self, RemoveError};
use crate::report::failure::Failure;
use crate::report::table::count;
use crate::report::terminal::Verbosity;
use crate::words::amount::human_size;
use crate::words::exit_code::ExitCode;
use crate::words::path::OUTPUT_FOLDER;
use std::sync::Mutex;

/// Remove the workspace's linkwright-out folder
///
/// Never needed for a right result. Only a folder that linkwright made (it holds a file
/// .linkwright) is removed, and links in it are not followed. The store stays: the next build
/// restores from it.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CleanArgs {
    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitOptions,
}

/// Runs `clean`.
///
/// # Errors
///
/// Refuses a folder that linkwright did not make; blames the disk if the system refuses.
pub fn run(args: CleanArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let CleanArgs { wait: WaitOptions { lock_timeout: limit } } = args;
    let root = rooms::find_workspace(&console.settings.folder)?.root;
    let interrupt = rooms::interrupt()?;
    let stop = || interrupt.is_set();
    let removed = {
        let err = Mutex::new(&mut *console.err);
        let waiting = |holders: &str| rooms::tell_wait(&err, holders, "works on this workspace");
        out_folder::remove(&root, &Patience { limit, waiting: &waiting, stop: &stop })
    };
    let removed = removed.map_err(|error| refusal(&error))?;
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
        RemoveError::Locked(_) => ExitCode::GaveUpWaiting,
        RemoveError::Interrupted => ExitCode::Interrupted,
        RemoveError::Io(..) => ExitCode::Disk,
    };
    let failure = Failure::new(code, "the output folder stays").because(error);
    match code {
        ExitCode::Refused => failure.hint("look into it, and remove it by hand if it can go"),
        _ => failure,
    }
}
