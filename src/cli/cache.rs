//! `linkwright cache`: the store counted, checked, mended and cleaned.

use crate::cli::console::{Console, Stopped};
use crate::cli::flags::WaitOptions;
use crate::cli::rooms;
use crate::effects::compile_cache::{CompileCache, Statistics};
use crate::effects::limits::Space;
use crate::effects::lock::{Lock, LockError, Patience, Share};
use crate::effects::process::Interrupt;
use crate::effects::store::Store;
use crate::effects::store::check::Watch;
use crate::effects::store::collect::{Budget, Manner};
use crate::report::cache::{CacheStats, CheckProgress, write_check, write_collected, write_stats};
use crate::report::failure::Failure;
use crate::report::reporter::write_json_line;
use crate::report::terminal::{ProgressKind, Verbosity};
use crate::words::amount::{parse_size, parse_time};
use crate::words::exit_code::ExitCode;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// Look after the store: what is in it, whether it is sound, make room
///
/// The store keeps what was built, so that it is not built again. Nothing in it is believed
/// unread, so it can be removed at any time, and none of these commands is ever needed for a right
/// result.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CacheArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// The commands of `cache`.
#[derive(Debug, clap::Subcommand)]
pub enum CacheCommand {
    #[expect(missing_docs, reason = "the doc comment of the arguments is the help text")]
    Stats(CacheStatsArgs),
    #[expect(missing_docs, reason = "as above")]
    Verify(CacheVerifyArgs),
    #[expect(missing_docs, reason = "as above")]
    Gc(CacheGcArgs),
}

/// Which of the two stores is meant.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WhichArgs {
    /// Look after Go's compile cache in place of the store
    #[arg(long)]
    pub go: bool,
}

/// Count what is in the store
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CacheStatsArgs {
    /// Which store.
    #[command(flatten)]
    pub which: WhichArgs,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Read everything in the store and say what is damaged
///
/// Every blob is hashed, every record opened, and every blob that a record names must be there.
/// Exits with 12 if something is damaged and was not repaired. Builds may run meanwhile, unless
/// --repair is said.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CacheVerifyArgs {
    /// Which store.
    #[command(flatten)]
    pub which: WhichArgs,

    /// Set aside what is damaged, remove records whose blobs are gone
    #[arg(long)]
    pub repair: bool,

    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitOptions,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Remove what was not used for the longest time, and what is left over
///
/// First goes what was not used for --max-age, then the least recently used until the rest fits
/// --max-size; then blobs of no record, damaged files that were set aside and unfinished ones of
/// killed builds. Waits until no build runs that uses the store.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CacheGcArgs {
    /// Which store.
    #[command(flatten)]
    pub which: WhichArgs,

    /// Keep at most this much: 500M, 10G
    #[arg(long, value_name = "SIZE", default_value = "10G", value_parser = parse_size)]
    pub max_size: u64,

    /// Keep nothing that was not used for this time: 12h, 30d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    pub max_age: Duration,

    /// Count what would go, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// How long to wait.
    #[command(flatten)]
    pub wait: WaitOptions,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs `cache`.
///
/// # Errors
///
/// Blames the disk if the store cannot be read, is of another format, or cannot be changed where
/// that was asked for. Damage is not an error but a finding.
pub fn run(args: CacheArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let WhichArgs { go } = match &args.command {
        CacheCommand::Stats(it) => it.which,
        CacheCommand::Verify(it) => it.which,
        CacheCommand::Gc(it) => it.which,
    };
    let compile_cache = if go { Some(rooms::compile_cache_of(console)?) } else { None };
    let opened;
    let store = if let Some(it) = &compile_cache {
        it.store()
    } else {
        opened = Store::new(&console.settings.store()?);
        &opened
    };
    if !store.is_usable() {
        let failure = Failure::new(ExitCode::Disk, store.troubles().join("; "));
        let hint = "use the linkwright that made it, or another folder: `--store DIR`";
        return Err(failure.hint(hint).into());
    }
    let code = match args.command {
        CacheCommand::Stats(args) => {
            let served = compile_cache.as_ref().map(CompileCache::statistics);
            stats(args, (store, served), console)?
        }
        CacheCommand::Verify(args) => verify(args, store, console)?,
        CacheCommand::Gc(args) => gc(args, store, console)?,
    };
    Ok(code.number())
}

fn stats(
    args: CacheStatsArgs,
    (store, served): (&Store, Option<Statistics>),
    console: &mut Console<'_>,
) -> Result<ExitCode, Stopped> {
    let survey = store.survey().map_err(|it| unworkable(&it))?;
    let stats = CacheStats { survey, served };
    if args.json {
        write_json_line(&stats, console.out)?;
    } else {
        write_stats(&stats, console.settings.out_paint, console.out)?;
    }
    Ok(ExitCode::Done)
}

fn verify(
    args: CacheVerifyArgs,
    store: &Store,
    console: &mut Console<'_>,
) -> Result<ExitCode, Stopped> {
    let CacheVerifyArgs { which: _, repair, wait, json } = args;
    let interrupt = rooms::interrupt()?;
    let share = if repair { Share::Alone } else { Share::Shared };
    let lock = lock(store, share, wait, &interrupt, console)?;
    let settings = &console.settings;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.jobs.get()).build();
    let pool = pool.map_err(|error| {
        Failure::new(ExitCode::MachineLacks, "cannot start worker threads")
            .because(&error)
            .hint("say a smaller `--jobs`")
    })?;
    let kind = match settings.verbosity {
        Verbosity::Quiet => ProgressKind::Lines,
        _ => settings.progress,
    };
    let progress = CheckProgress::new(kind);
    let watch =
        Watch { progress: &|done, total| progress.show(done, total), stop: &|| interrupt.is_set() };
    let check = pool.install(|| store.check(repair, &watch));
    progress.clear();
    drop(lock);
    let check = check.map_err(|it| unworkable(&it))?;
    if json {
        write_json_line(&check, console.out)?;
    } else {
        let paints = (settings.out_paint, settings.err_paint);
        write_check(&check, paints, console.out, console.err)?;
    }
    Ok(match check.damaged.iter().any(|it| it.mended.is_none()) {
        _ if check.stopped => ExitCode::Interrupted,
        true => ExitCode::Disk,
        false => ExitCode::Done,
    })
}

fn gc(args: CacheGcArgs, store: &Store, console: &mut Console<'_>) -> Result<ExitCode, Stopped> {
    let CacheGcArgs { which: _, max_size, max_age, dry_run, wait, json } = args;
    let interrupt = rooms::interrupt()?;
    let share = if dry_run { Share::Shared } else { Share::Alone };
    let lock = lock(store, share, wait, &interrupt, console)?;
    let budget = Budget { size: max_size, age: max_age };
    let manner = Manner { dry_run, stop: &|| interrupt.is_set() };
    let collected = store.collect(budget, &manner).map_err(|it| unworkable(&it))?;
    drop(lock);
    if json {
        write_json_line(&collected, console.out)?;
    } else if console.settings.verbosity > Verbosity::Quiet {
        write_collected(&collected, dry_run, console.out)?;
    }
    Ok(if collected.stopped { ExitCode::Interrupted } else { ExitCode::Done })
}

fn lock(
    store: &Store,
    share: Share,
    wait: WaitOptions,
    interrupt: &Interrupt,
    console: &mut Console<'_>,
) -> Result<Option<Lock>, Failure> {
    // What is not there needs no lock, and is not made by looking after it.
    if !store.root().exists() {
        return Ok(None);
    }
    let err = Mutex::new(&mut *console.err);
    let waiting = |holders: &str| rooms::tell_wait(&err, holders, "uses the store");
    let stop = || interrupt.is_set();
    let patience = Patience { limit: wait.lock_timeout, waiting: &waiting, stop: &stop };
    store.lock(share, &patience).map_err(|error| match &error {
        LockError::Busy(busy) => Failure::new(ExitCode::GaveUpWaiting, busy.to_string())
            .hint("end the other one, or say a longer `--lock-timeout`"),
        LockError::Stopped => Failure::new(ExitCode::Interrupted, "interrupted"),
        LockError::Io(_, source) => Failure::new(ExitCode::Disk, error.to_string()).because(source),
    })
}

fn unworkable((path, error): &(PathBuf, io::Error)) -> Failure {
    let message = format!("cannot work on `{}`{}", path.display(), Space::note(path));
    Failure::new(ExitCode::Disk, message).because(error)
}
