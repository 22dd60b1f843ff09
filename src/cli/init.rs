//! `linkwright init`: a `BUILD.ron` for Go modules that have none.

use crate::cli::console::{Console, Stopped};
use crate::cli::rooms;
use crate::effects::file::write_new;
use crate::plan::starter::{StarterFile, starter_files};
use crate::report::failure::Failure;
use crate::report::terminal::Verbosity;
use crate::words::exit_code::ExitCode;
use std::io;

/// Write a BUILD.ron for the Go module in this folder
///
/// Declares a `go_binary` for each program and one `go_tests` for the tests; `linkwright build`
/// works right after it. Go modules in folders below get files of their own. Nothing is
/// overwritten.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct InitArgs {
    /// The strategy or ladder that links the targets
    #[arg(long, value_name = "NAME", default_value = "static")]
    pub link: String,

    /// Print what would be written, and write nothing
    #[arg(long)]
    pub stdout: bool,
}

/// Runs `init`.
///
/// # Errors
///
/// Blames the input if there is no Go module, if a `BUILD.ron` is there already, or for an unknown
/// strategy; the disk if a file cannot be written.
pub fn run(args: InitArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let InitArgs { link, stdout } = args;
    let folder = console.settings.folder.clone();
    if rooms::rules_at(&folder)?.ladder(&link).is_none() {
        let failure = Failure::new(ExitCode::BadInput, format!("no strategy is called `{link}`"));
        return Err(failure.hint("`linkwright doctor` lists the strategies").into());
    }
    let modules = rooms::go_modules(&folder, console)?;
    if modules.is_empty() {
        let message = format!("there is no Go module in `{}`", folder.display());
        let failure = Failure::new(ExitCode::BadInput, message);
        return Err(failure.hint("`go mod init` makes one").into());
    }
    let files = starter_files(&modules, &link);
    if stdout {
        print(&files, console)?;
        return Ok(ExitCode::Done.number());
    }
    let present = files.iter().find(|it| folder.join(&it.path).symlink_metadata().is_ok());
    if let Some(file) = present {
        return Err(already_there(&file.path).into());
    }
    for file in &files {
        write_new(&folder.join(&file.path), file.text.as_bytes()).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => already_there(&file.path),
                _ => Failure::new(ExitCode::Disk, format!("cannot write `{}`", file.path))
                    .because(&error),
            }
        })?;
        if console.settings.verbosity > Verbosity::Quiet {
            writeln!(console.err, "wrote {}", file.path)?;
        }
    }
    Ok(ExitCode::Done.number())
}

fn print(files: &[StarterFile], console: &mut Console<'_>) -> io::Result<()> {
    for (index, file) in files.iter().enumerate() {
        if files.len() > 1 {
            let gap = if index == 0 { "" } else { "\n" };
            writeln!(console.out, "{gap}// ---- {}", file.path)?;
        }
        console.out.write_all(file.text.as_bytes())?;
    }
    Ok(())
}

fn already_there(path: &str) -> Failure {
    Failure::new(ExitCode::BadInput, format!("`{path}` is there already"))
        .hint("`linkwright init --stdout` prints what it would write, to compare")
}
