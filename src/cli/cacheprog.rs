//! `linkwright cacheprog`: the server of Go's compile cache, on stdin and stdout.

use crate::cli::console::{Console, Stopped};
use crate::cli::rooms;
use crate::effects::compile_cache::Statistics;
use crate::report::terminal::Verbosity;
use crate::words::exit_code::ExitCode;

/// Serve Go's compile cache to a go command
///
/// Not typed, but named to Go: GOCACHEPROG="linkwright cacheprog" go build ./... Every object is
/// checked against its digest before Go gets it. The cache is where --go-cache says.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct CacheprogArgs {
    /// Print a line of statistics to stderr at the end
    #[arg(long)]
    pub stats: bool,
}

/// Runs `cacheprog`.
///
/// # Errors
///
/// Blames the disk if stdout is closed before the end.
pub fn run(args: CacheprogArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let served = rooms::serve_compile_cache(console)?;
    if served.is_alone && console.settings.verbosity > Verbosity::Quiet {
        for trouble in &served.report.troubles {
            writeln!(console.err, "linkwright cacheprog: warning: {trouble}")?;
        }
    }
    if args.stats {
        writeln!(console.err, "linkwright cacheprog: {}", line(&served.report.statistics))?;
    }
    Ok(ExitCode::Done.number())
}

fn line(statistics: &Statistics) -> String {
    let Statistics { sessions: _, hits, misses, puts, damaged, late, bytes_read, bytes_written } =
        statistics;
    format!(
        "hits {hits}, misses {misses}, puts {puts}, damaged {damaged}, late {late}, \
         bytes read {bytes_read}, bytes written {bytes_written}"
    )
}
