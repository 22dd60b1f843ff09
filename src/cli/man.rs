//! `linkwright man`: manual pages from the same definitions as the help.

use crate::cli::console::{Console, Stopped};
use crate::effects::file::{make_folder, write_over};
use crate::report::failure::Failure;
use crate::words::exit_code::ExitCode;
use clap_mangen::Man;
use std::io;
use std::path::PathBuf;

/// Print the manual page, or write all of them into a folder
///
/// Without --dir the page of linkwright itself is printed; read it with
/// `linkwright man | man -l -`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct ManArgs {
    /// Write linkwright.1 and a page for each command into DIR, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Runs `man` for the program whose definitions `command` holds.
///
/// # Errors
///
/// Blames the disk if a page cannot be written.
pub fn run(
    args: ManArgs,
    command: clap::Command,
    console: &mut Console<'_>,
) -> Result<u8, Stopped> {
    let pages = pages(command)?;
    let Some(dir) = args.dir else {
        if let Some((_, page)) = pages.first() {
            console.out.write_all(page)?;
        }
        return Ok(ExitCode::Done.number());
    };
    let dir = console.settings.folder.join(dir);
    let write_all = || -> io::Result<()> {
        make_folder(&dir)?;
        pages.iter().try_for_each(|(name, page)| write_over(&dir.join(name), page))
    };
    write_all().map_err(|error| {
        let message = format!("cannot write manual pages into `{}`", dir.display());
        Failure::new(ExitCode::Disk, message).because(&error)
    })?;
    Ok(ExitCode::Done.number())
}

/// Returns every page with its file name, the program's own first.
fn pages(command: clap::Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut commands = vec![command.clone()];
    for command in command.get_subcommands() {
        commands.push(command.clone());
        let nested = command.get_subcommands().filter(|it| it.get_name() != "help");
        commands.extend(nested.cloned());
    }
    let render = |command: clap::Command| {
        let man = Man::new(command);
        let mut page = Vec::new();
        man.render(&mut page)?;
        Ok((man.get_filename(), page))
    };
    commands.into_iter().map(render).collect()
}
