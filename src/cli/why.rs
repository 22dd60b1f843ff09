//! `linkwright why`: what a build would do with a target, and why.

use crate::cli::build::{BuildOptions, prepare};
use crate::cli::console::{Console, Stopped};
use crate::cli::rooms;
use crate::report::failure::Failure;
use crate::report::why::{write_json, write_text};
use crate::words::exit_code::ExitCode;

/// Say what changed since a target was built, and why it is linked as it is
///
/// Compares the inputs of the last record with those of now, each with its old and new value; tells
/// what a build would do, which attempts failed, and, where a file is dynamic, which Go package
/// makes it so. Builds nothing and writes no output.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct WhyArgs {
    /// The target: //dir:name or :name
    #[arg(value_name = "LABEL")]
    pub label: String,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs `why`. Whatever a build would do, an answer is no failure.
///
/// # Errors
///
/// Blames the input if there is no such target or nothing is made of it, else what keeps it from
/// being looked at.
pub fn run(args: WhyArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let WhyArgs { label, json } = args;
    let request = prepare(&[label], BuildOptions::default(), console)?;
    if !request.patterns.is_one_target() {
        let failure = Failure::new(ExitCode::BadInput, "`why` takes one target");
        return Err(failure.hint("name it as `//dir:name`").into());
    }
    let explanation = rooms::why(&request)?;
    if json {
        write_json(&explanation, console.out)?;
    } else {
        write_text(&explanation, console.settings.out_paint, console.out)?;
    }
    Ok(ExitCode::Done.number())
}
