//! `linkwright run`: a build, then the program.

use crate::cli::build::{BuildOptions, look, prepare};
use crate::cli::console::{Console, Stopped};
use crate::cli::rooms::{self, Program};
use crate::cli::seal::{self, SealOptions};
use crate::engine::event::Finished;
use crate::report::command_line::CommandLine;
use crate::report::failure::Failure;
use crate::report::reporter::{Reporter, Stream};
use crate::words::exit_code::ExitCode;
use crate::words::path::OUTPUT_FOLDER;
use std::ffi::OsString;

/// Build one target, then run it
///
/// linkwright becomes the program: it gets the caller's environment, streams, folder and signals,
/// and its exit code is the last word. Nothing is printed on stdout before it. With --sealed the
/// program starts in a root of its own, and finds there what is declared and nothing else.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct RunArgs {
    /// The target: //dir:name or :name
    #[arg(value_name = "LABEL")]
    pub label: String,

    /// What the program is given
    #[arg(value_name = "ARGS", last = true)]
    pub arguments: Vec<OsString>,

    /// How to go about it.
    #[command(flatten)]
    pub options: BuildOptions,

    /// What it finds around it.
    #[command(flatten)]
    pub seal: SealOptions,
}

/// Runs `run`.
///
/// # Errors
///
/// Blames the input if the target is no single program; else as `build`.
pub fn run(args: RunArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let RunArgs { label, arguments, options, seal } = args;
    let request = prepare(&[label], options, console)?;
    if !request.patterns.is_one_target() {
        let failure = Failure::new(ExitCode::BadInput, "`run` takes one target");
        return Err(failure.hint("name it as `//dir:name`").into());
    }
    let stream = if options.dry_run { Stream::Commands } else { Stream::Nothing };
    let reporter = Reporter::new(look(stream, console), console.out, console.err);
    let result = rooms::build(&request, &|event| reporter.event(event));
    let finished = reporter.finished(&request.patterns);
    reporter.finish(result.as_ref().err())?;
    let code = result?;
    if code != ExitCode::Done {
        return Ok(code.number());
    }
    let file = request.root.join(OUTPUT_FOLDER);
    if options.dry_run {
        let output = finished.iter().find_map(|it| it.output.as_ref());
        if let Some(output) = output {
            let mut words = vec![format!("{}/{output}", OUTPUT_FOLDER)];
            words.extend(arguments.iter().map(|it| it.to_string_lossy().into_owned()));
            let line = CommandLine { argv: &words, env: &[], folder: "." };
            writeln!(console.out, "{}", line.render())?;
        }
        return Ok(code.number());
    }
    let output = the_program(&finished)?;
    let folder = console.settings.folder.clone();
    let program = Program { file: output.below(&file), arguments, folder };
    // From here on this process is the program: nobody stands between it and the terminal.
    console.out.flush()?;
    console.err.flush()?;
    if seal.sealed {
        return Err(become_sealed(&program, &seal, console).into());
    }
    Err(rooms::become_program(&program, console).into())
}

/// Becomes the program in a sealed root; returns only if that fails.
fn become_sealed(program: &Program, options: &SealOptions, console: &Console<'_>) -> Failure {
    let ready = seal::root(options, &console.settings.folder)
        .and_then(|root| Ok((root, seal::variables(options, console.environment)?)));
    match ready {
        Ok((root, variables)) => rooms::become_sealed(program, &root, variables, console),
        Err(failure) => failure,
    }
}

/// Returns the one output that can be started.
fn the_program(finished: &[Finished]) -> Result<&crate::words::path::RelPath, Failure> {
    let refuse = |message: String| Err(Failure::new(ExitCode::BadInput, message));
    match finished {
        [Finished { rule: "go_binary" | "go_tests", output: Some(output), .. }] => Ok(output),
        [] => refuse("the target makes nothing that can be run".to_owned()),
        [one] => refuse(format!("`{}` is a `{}`, not a program", one.label, one.rule)),
        [first, ..] => refuse(format!("`{}` makes {} programs", first.label, finished.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::State;
    use crate::report::outcome::samples::finished;

    #[test]
    fn only_a_single_program_is_run() {
        let binary = finished("//:server", "m/server", State::Built);
        assert!(the_program(std::slice::from_ref(&binary)).is_ok());
        let message = |it: &[Finished]| the_program(it).unwrap_err().message;
        assert_eq!(message(&[]), "the target makes nothing that can be run");
        let command = finished("//:protos", "", State::Built);
        assert_eq!(message(&[command]), "`//:protos` is a `command`, not a program");
        let tests = ["m/a", "m/b"].map(|it| finished("//:tests", it, State::Built));
        assert_eq!(message(&tests), "`//:tests` makes 2 programs");
    }
}
