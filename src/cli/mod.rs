//! The command line: one file for each command, and nothing here that decides anything.
//!
//! A command is an `…Args` struct, whose doc comments are its help, and a `run` function that asks
//! the rooms below ([`rooms`]) and hands the answer to `report`. Everything it writes goes to the
//! writers of its [`Console`]; only `main` knows that these are stdout and stderr.

pub mod arguments;
pub mod build;
pub mod cache;
pub mod cacheprog;
pub mod clean;
pub mod completions;
pub mod console;
pub mod doctor;
pub mod environment;
pub mod examination;
pub mod flags;
pub mod graph;
pub mod init;
pub mod man;
pub mod query;
pub mod rooms;
pub mod run;
pub mod seal;
pub mod settings;
pub mod test;
pub mod test_rooms;
pub mod verify;
pub mod why;

use crate::cli::arguments::{Arguments, Command};
use crate::cli::console::{Console, Lenient, Stopped};
use crate::cli::environment::Environment;
use crate::cli::flags::{ColorWhen, mask};
use crate::cli::settings::{Settings, paint};
use crate::report::failure::Failure;
use crate::report::paint::Paint;
use crate::words::exit_code::ExitCode;
use clap::CommandFactory as _;
use clap::Parser as _;
use std::ffi::OsString;
use std::io::{self, Write};

/// Runs the program with `arguments`, the program's name first, and returns its exit code.
pub fn run(
    arguments: Vec<OsString>,
    environment: &Environment,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> u8 {
    // What goes to stderr is for whoever listens; a build does not fail for want of a listener.
    let err: &mut (dyn Write + Send) = &mut Lenient(err);
    let arguments = mask(arguments);
    let parsed = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return show_clap_error(&error, &arguments, environment, out, err),
    };
    let err_paint = paint(parsed.global.color, environment, environment.stderr_is_terminal);
    let settings = match Settings::new(&parsed.global, environment) {
        Ok(settings) => settings,
        Err(failure) => return show_failure(&failure, err_paint, err),
    };
    if let Err(failure) = rooms::start_threads(settings.jobs) {
        return show_failure(&failure, err_paint, err);
    }
    let mut console = Console { environment, settings, out, err };
    let ended = dispatch(parsed.command, &mut console).and_then(|code| {
        console.out.flush()?;
        Ok(code)
    });
    match ended {
        Ok(code) => code,
        Err(Stopped::Failure(failure)) => show_failure(&failure, err_paint, console.err),
        Err(Stopped::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::Done.number()
        }
        Err(Stopped::Output(error)) => {
            let failure = Failure::new(ExitCode::Disk, "cannot write the output").because(&error);
            show_failure(&failure, err_paint, console.err)
        }
    }
}

fn dispatch(command: Command, console: &mut Console<'_>) -> Result<u8, Stopped> {
    match command {
        Command::Build(args) => build::run(args, console),
        Command::Test(args) => test::run(args, console),
        Command::Run(args) => run::run(args, console),
        Command::Verify(args) => verify::run(args, console),
        Command::Why(args) => why::run(args, console),
        Command::Query(args) => query::run(args, console),
        Command::Graph(args) => graph::run(args, console),
        Command::Init(args) => init::run(args, console),
        Command::Doctor(args) => doctor::run(args, console),
        Command::Cache(args) => cache::run(args, console),
        Command::Clean(args) => clean::run(args, console),
        Command::Cacheprog(args) => cacheprog::run(args, console),
        Command::Completions(args) => completions::run(args, Arguments::command(), console),
        Command::Man(args) => man::run(args, Arguments::command(), console),
    }
}

fn show_failure(failure: &Failure, paint: Paint, err: &mut dyn Write) -> u8 {
    // Whoever closed stderr does not want to be told.
    let _ = err.write_all(failure.render(paint).as_bytes()).and_then(|()| err.flush());
    failure.code.number()
}

/// Prints what clap has to say: help and the version on stdout, a refusal on stderr.
fn show_clap_error(
    error: &clap::Error,
    arguments: &[OsString],
    environment: &Environment,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> u8 {
    let (stream, is_terminal): (&mut dyn Write, bool) = if error.use_stderr() {
        (err, environment.stderr_is_terminal)
    } else {
        (out, environment.stdout_is_terminal)
    };
    let styled = error.render();
    let text = match paint(color_asked_for(arguments), environment, is_terminal) {
        Paint::Ansi => styled.ansi().to_string(),
        Paint::Plain => styled.to_string(),
    };
    // The mask of a negative pattern is ours; the user typed none.
    let text = text.replace('\0', "");
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    if error.use_stderr() { ExitCode::BadInput.number() } else { ExitCode::Done.number() }
}

/// Finds `--color` where the whole command line could not be read.
fn color_asked_for(arguments: &[OsString]) -> ColorWhen {
    let words: Vec<&str> = arguments.iter().filter_map(|it| it.to_str()).collect();
    let after = words.iter().position(|it| *it == "--color").and_then(|it| words.get(it + 1));
    let joined = words.iter().find_map(|it| it.strip_prefix("--color="));
    match joined.or(after.copied()) {
        Some("always") => ColorWhen::Always,
        Some("never") => ColorWhen::Never,
        _ => ColorWhen::Auto,
    }
}
