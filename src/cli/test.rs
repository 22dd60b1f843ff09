//! `linkwright test`: test binaries, built and run.

use crate::cli::build::{BuildOptions, look, prepare};
use crate::cli::console::{Console, Stopped};
use crate::cli::flags::unmask;
use crate::cli::rooms::{self, check_report};
use crate::cli::test_rooms::{self, Tested};
use crate::engine::event::{Event, TestFinished};
use crate::engine::request::{BuildRequest, Effort, Shard, TestRequest};
use crate::engine::test_run;
use crate::model::run_in::RunIn;
use crate::report::annotation::annotations;
use crate::report::failure::Failure;
use crate::report::junit;
use crate::report::reporter::{Reporter, Stream};
use crate::report::terminal::Verbosity;
use crate::report::test_list::{write_json, write_list};
use crate::report::test_table::{summary, write_failures, write_tests};
use crate::words::amount::parse_time;
use crate::words::exit_code::ExitCode;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Build test binaries and run them
///
/// Builds the go_tests among the targets that the patterns match (without any: all), and runs each
/// test binary in the folder of its Go package, several at a time, while others are built. A pass
/// is kept, and not run again while the binary, its arguments and variables, and the files that it
/// read are the same.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "the doc comments are help texts")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct TestArgs {
    /// Which targets: //..., //dir/..., //dir:name, :name; -//dir:name leaves one out
    #[arg(value_name = "PATTERN", value_parser = unmask)]
    pub patterns: Vec<String>,

    /// Build, and list the test binaries and their tests; run none
    ///
    /// Each binary that can be started here is asked for its tests. With --json one object is
    /// printed.
    #[arg(long, conflicts_with_all = ["filter", "retries", "repeat", "stress", "no_cache", "stream",
          "junit", "coverprofile", "github", "dry_run"])]
    pub list: bool,

    /// Run only the tests that match REGEX, as `go test -run` has it
    #[arg(long, value_name = "REGEX")]
    pub filter: Option<String>,

    /// Run the I-th of N parts of the test binaries
    #[arg(long, value_name = "I/N", value_parser = parse_shard)]
    pub shard: Option<Shard>,

    /// Run a binary that does not pass up to N times more; one that passes then is flaky
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retries: usize,

    /// Give each binary this long, whatever its target says [default: the target's, or 10m]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub timeout: Option<Duration>,

    /// Run each binary there, whatever its target says [default: the target's, or host]
    ///
    /// `sealed` is a root that holds the binary, its testdata and the data of its target, and
    /// nothing else. See docs/sealed.md.
    #[arg(long, value_name = "PLACE")]
    pub run_in: Option<Place>,

    /// Run each binary N times
    #[arg(long, value_name = "N", conflicts_with_all = ["stress", "retries"])]
    pub repeat: Option<NonZeroUsize>,

    /// Run each binary until it fails, for TIME at the most
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "retries")]
    pub stress: Option<Duration>,

    /// Run what has a kept result, too
    #[arg(long, alias = "nocache_test_results")]
    pub no_cache: bool,

    /// Show what the tests print as it comes
    #[arg(long, conflicts_with = "json")]
    pub stream: bool,

    /// Write the results to FILE as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Write what the tests covered to FILE, for `go tool cover`: of targets that say `cover`
    #[arg(long, value_name = "FILE", alias = "coverage-profile")]
    pub coverprofile: Option<PathBuf>,

    /// Write annotations for GitHub Actions [default: where GITHUB_ACTIONS is set]
    #[arg(long)]
    pub github: bool,

    /// How to go about it.
    #[command(flatten)]
    pub options: BuildOptions,

    /// Print events, one JSON object a line; the last is "done"
    #[arg(long)]
    pub json: bool,
}

/// Where tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// On this machine as it is
    Host,
    /// In a root of their own
    Sealed,
}

/// Reads `i/n`.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let read = || {
        let (index, count) = text.split_once('/')?;
        let (index, count) = (index.parse().ok()?, count.parse::<NonZeroUsize>().ok()?);
        (1..=count.get()).contains(&index).then_some(Shard { index, count })
    };
    read().ok_or_else(|| "a part of all parts, as in `1/4`".to_owned())
}

impl TestArgs {
    /// Returns how the tests are to be run.
    fn request(&self) -> TestRequest {
        TestRequest {
            filter: self.filter.clone(),
            shard: self.shard,
            retries: self.retries,
            timeout: self.timeout,
            run_in: self.run_in.map(|it| match it {
                Place::Host => RunIn::Host,
                Place::Sealed => RunIn::Sealed,
            }),
            effort: match (self.repeat, self.stress) {
                (Some(times), _) => Effort::Repeat(times),
                (None, Some(time)) => Effort::Stress(time),
                (None, None) => Effort::Once,
            },
            fresh: self.no_cache,
        }
    }
}

/// Runs `test`.
///
/// # Errors
///
/// Returns why the build could not begin or go on. A test that fails is not an error but a code.
pub fn run(args: TestArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let TestArgs { patterns, options, json, coverprofile, github, stream, .. } = &args;
    let request = prepare(patterns, *options, console)?;
    let request = BuildRequest { only_tests: true, ..request };
    let tests = args.request();
    if coverprofile.is_some() && !test_rooms::covers(&request)? {
        let failure = Failure::new(ExitCode::BadInput, "none of these tests counts what it runs");
        let hint = "write `cover: true` in a `go_tests`";
        return Err(failure.hint(hint).into());
    }
    if args.list {
        return list((&request, &tests), *json, console);
    }
    let reports = Reports::of(&args, &console.settings.folder);
    let told = match (json, options.dry_run) {
        (true, _) => Stream::JsonLines,
        (false, true) => Stream::Commands,
        (false, false) => Stream::Nothing,
    };
    let mut look = look(told, console);
    look.streams = *stream;
    let reporter = Reporter::new(look, console.out, console.err);
    let result = reports
        .check()
        .and_then(|()| test_rooms::test(&request, &tests, &|event| reporter.event(event)));
    let (tested, unwritten) = match result {
        Ok(mut tested) => {
            // The last event says how all of it ended, so what can go wrong goes before it.
            let unwritten = reports.write(&tested).err();
            if let Some(failure) = &unwritten {
                tested.counts.exit_code = failure.code.number();
                reporter.event(Event::Error(failure.event()));
            }
            reporter.event(Event::Done(tested.counts));
            (tested, unwritten)
        }
        Err(failure) => {
            reporter.finish(Some(&failure))?;
            return Err(failure.into());
        }
    };
    reporter.finish(None)?;
    if !json && !options.dry_run {
        tell(&tested, console)?;
    }
    if *github || console.environment.get("GITHUB_ACTIONS").is_some_and(|it| it == "true") {
        annotate(&tested.finished, &request.root, console)?;
    }
    unwritten.map_or(Ok(tested.code.number()), |it| Err(it.into()))
}

/// Files that are written of a run; their paths are absolute.
struct Reports {
    junit: Option<PathBuf>,
    coverprofile: Option<PathBuf>,
}

impl Reports {
    /// Takes what the flags ask for; a dry run writes none.
    fn of(args: &TestArgs, folder: &Path) -> Self {
        let place = |file: &Option<PathBuf>| {
            let file = file.as_ref().filter(|_| !args.options.dry_run);
            file.map(|it| folder.join(it))
        };
        Self { junit: place(&args.junit), coverprofile: place(&args.coverprofile) }
    }

    /// Tells whether they can be written, before anything is built or run for them.
    fn check(&self) -> Result<(), Failure> {
        [&self.junit, &self.coverprofile].into_iter().flatten().try_for_each(|it| check_report(it))
    }

    fn write(&self, tested: &Tested) -> Result<(), Failure> {
        if let Some(file) = &self.junit {
            rooms::write_report(file, &junit::document(&tested.finished))?;
        }
        self.coverprofile.as_ref().map_or(Ok(()), |file| write_profile(tested, file))
    }
}

/// Builds, and lists what was built.
fn list(
    (request, tests): (&BuildRequest, &TestRequest),
    json: bool,
    console: &mut Console<'_>,
) -> Result<u8, Stopped> {
    let reporter = Reporter::new(look(Stream::Nothing, console), console.out, console.err);
    let result = test_rooms::list_tests(request, tests, &|event| reporter.event(event));
    let told = reporter.finish(result.as_ref().err());
    let (code, listed) = result?;
    told?;
    if json {
        write_json(&listed, console.out)?;
    } else {
        write_list(&listed, console.settings.out_paint, console.out)?;
    }
    if code == ExitCode::NoTests {
        tell_none(console)?;
    }
    Ok(code.number())
}

fn tell_none(console: &mut Console<'_>) -> Result<(), Stopped> {
    let failure = Failure::new(ExitCode::NoTests, "there are no tests to run");
    let failure = failure.hint("`linkwright query --kind go_tests` lists the targets");
    console.err.write_all(failure.render(console.settings.err_paint).as_bytes())?;
    Ok(())
}

/// Writes the table and the failures.
fn tell(tested: &Tested, console: &mut Console<'_>) -> Result<(), Stopped> {
    let (out_paint, err_paint) = (console.settings.out_paint, console.settings.err_paint);
    let quiet = console.settings.verbosity == Verbosity::Quiet;
    if !quiet {
        write_tests(&tested.finished, out_paint, console.out)?;
        console.out.flush()?;
    }
    write_failures(&tested.finished, err_paint, console.err)?;
    if tested.code == ExitCode::NoTests {
        tell_none(console)?;
    }
    console.err.flush()?;
    if !quiet && tested.counts.tests.is_some() {
        writeln!(console.out, "{}", summary(&tested.counts))?;
    }
    Ok(())
}

/// Writes what all test binaries counted.
fn write_profile(tested: &Tested, file: &Path) -> Result<(), Failure> {
    match test_run::profile(&tested.finished) {
        Ok(Some(profile)) => rooms::write_report(file, &profile.text()),
        // Nothing was counted, in this shard for example. So Go writes it.
        Ok(None) => rooms::write_report(file, "mode: set\n"),
        Err(file) => {
            let message = format!("the test binaries counted different texts of `{file}`");
            Err(Failure::new(ExitCode::InputsChanged, message))
        }
    }
}

/// Writes annotations to stderr, where GitHub reads them as on stdout.
fn annotate(tests: &[TestFinished], root: &Path, console: &mut Console<'_>) -> Result<(), Stopped> {
    let repository = console.environment.get("GITHUB_WORKSPACE").map(Path::new);
    let prefix = repository.and_then(|it| root.strip_prefix(it).ok());
    let prefix = prefix.map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    console.err.write_all(annotations(tests, &prefix).as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_part_of_all() {
        let shard = |index, count| Ok(Shard { index, count: NonZeroUsize::new(count).unwrap() });
        assert_eq!((parse_shard("1/1"), parse_shard("3/4")), (shard(1, 1), shard(3, 4)));
        for bad in ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3"] {
            assert!(parse_shard(bad).is_err(), "{bad:?}");
        }
    }
}
