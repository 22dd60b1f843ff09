//! `linkwright build`: declared targets become verified files.

use crate::cli::console::{Console, Stopped};
use crate::cli::flags::{WaitOptions, unmask};
use crate::cli::rooms::{self, Place};
use crate::engine::request::{AfterFailure, BuildRequest, Mode};
use crate::report::failure::Failure;
use crate::report::reporter::{Look, Reporter, Stream};
use crate::words::exit_code::ExitCode;
use crate::words::label::PackagePath;
use crate::words::pattern::PatternSet;

/// Build targets, verify how they are linked, and record it
///
/// Builds what changed among the targets that the patterns match (without any: all), and what they
/// depend on. Outputs go to linkwright-out/bin/<package>/<name>, the proof to
/// linkwright-out/ledger.json. What was built before is taken from the store.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct BuildArgs {
    /// Which targets: //..., //dir/..., //dir:name, :name; -//dir:name leaves one out
    #[arg(value_name = "PATTERN", value_parser = unmask)]
    pub patterns: Vec<String>,

    /// How to go about it.
    #[command(flatten)]
    pub options: BuildOptions,

    /// Start each program once in a sealed root, and fail where one does not start
    ///
    /// Programs that say how (`smoke`), and test binaries, whose tests are listed. What is known of
    /// the same bytes is not tried again. See docs/sealed.md.
    #[arg(long, conflicts_with = "dry_run")]
    pub smoke: bool,

    /// Print events, one JSON object a line; the last is "done"
    #[arg(long)]
    pub json: bool,
}

/// Flags of every command that builds.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct BuildOptions {
    /// Go on with what does not depend on a failure
    #[arg(short, long, alias = "keep_going")]
    pub keep_going: bool,

    /// Print the exact commands and run none
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Trust nothing that was remembered: read every file and ask `go list` again
    ///
    /// The result is the same, only later.
    #[arg(long)]
    pub paranoid: bool,

    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitOptions,
}

/// Runs `build`.
///
/// # Errors
///
/// Returns why the build could not begin or go on. A target that fails is not an error but a code.
pub fn run(args: BuildArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let BuildArgs { patterns, options, smoke, json } = args;
    let stream = match (json, options.dry_run) {
        (true, _) => Stream::JsonLines,
        (false, true) => Stream::Commands,
        (false, false) => Stream::Table,
    };
    let request = prepare(&patterns, options, console);
    let request = request.map(|it| BuildRequest { smoke, ..it });
    let look = look(stream, console);
    let reporter = Reporter::new(look, console.out, console.err);
    let result = request.and_then(|it| rooms::build(&it, &|event| reporter.event(event)));
    let told = reporter.finish(result.as_ref().err());
    match (result, told) {
        (Err(failure), _) => Err(failure.into()),
        // A reader that has gone away changes nothing about the build.
        (Ok(code), Err(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Ok(code.number())
        }
        (Ok(_), Err(error)) => Err(error.into()),
        (Ok(code), Ok(())) => Ok(code.number()),
    }
}

/// Makes the engine's request.
///
/// # Errors
///
/// Blames the input for a bad pattern or a missing workspace, the machine if no place for the store
/// is known.
pub fn prepare(
    patterns: &[String],
    options: BuildOptions,
    console: &Console<'_>,
) -> Result<BuildRequest, Failure> {
    let Place { root, here } = rooms::find_workspace(&console.settings.folder)?;
    let store = console.settings.store()?;
    Ok(BuildRequest {
        root,
        patterns: parse_patterns(patterns, &here)?,
        jobs: console.settings.jobs,
        after_failure: if options.keep_going {
            AfterFailure::KeepGoing
        } else {
            AfterFailure::Stop
        },
        mode: if options.dry_run { Mode::DryRun } else { Mode::Build },
        store,
        lock_limit: options.wait.lock_timeout,
        go_cache: console.settings.go_cache.clone(),
        program: std::env::current_exe().ok(),
        only_tests: false,
        paranoid: options.paranoid,
        smoke: false,
        variables: console.environment.variables.clone(),
        guard: console.environment.guard.clone(),
    })
}

/// Parses the patterns of a command line.
///
/// # Errors
///
/// Blames the input.
pub fn parse_patterns(patterns: &[String], here: &PackagePath) -> Result<PatternSet, Failure> {
    PatternSet::parse(patterns, here).map_err(|error| {
        Failure::new(ExitCode::BadInput, error.to_string())
            .hint("patterns are `//...`, `//dir/...`, `//dir:name`, `:name` and `./...`")
    })
}

/// Returns how a build that writes `stream` is told.
#[must_use]
pub fn look(stream: Stream, console: &Console<'_>) -> Look {
    let settings = &console.settings;
    Look {
        stream,
        progress: settings.progress,
        verbosity: settings.verbosity,
        streams: false,
        out_paint: settings.out_paint,
        err_paint: settings.err_paint,
    }
}
