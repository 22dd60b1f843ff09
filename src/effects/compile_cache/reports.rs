//! What the servers of Go's compile cache leave: a report for the build around them, in the folder
//! of its run, and counters of all runs.

use crate::effects::compile_cache::{REPORT_ROOM, Report, Statistics};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Returns what the servers of a run have left.
pub(super) fn report_of(pending: &Path) -> Report {
    let bytes = fs::read(pending.join("report")).unwrap_or_default();
    let text = bytes.split(|it| *it == 0).next().unwrap_or_default();
    serde_json::from_slice(text).unwrap_or_default()
}

/// Adds a server's report to that of the run, in the room that is there.
pub(super) fn add_report(pending: &Path, report: &Report) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let mut all = report_of(pending);
    all.statistics = all.statistics.and(report.statistics);
    all.troubles.extend(report.troubles.iter().cloned());
    all.troubles.dedup();
    let mut text = serde_json::to_vec(&all)?;
    while text.len() > REPORT_ROOM && all.troubles.pop().is_some() {
        text = serde_json::to_vec(&all)?;
    }
    text.resize(REPORT_ROOM, 0);
    File::options().write(true).open(pending.join("report"))?.write_all_at(&text, 0)
}

/// Returns the counters of all runs so far.
pub(super) fn statistics_of(root: &Path) -> Statistics {
    let text = fs::read(root.join("statistics.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Adds to the counters. They are only told, so trouble with them is nobody's.
pub(super) fn count(root: &Path, report: &Report) {
    let add = || -> io::Result<()> {
        let lock = root.join("statistics.lock");
        let lock = File::options().create(true).append(true).open(lock)?;
        lock.lock()?;
        let sum = statistics_of(root).and(report.statistics);
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(root)?;
        serde_json::to_writer(&mut file, &sum)?;
        file.persist(root.join("statistics.json")).map(drop).map_err(|it| it.error)
    };
    let _ = add();
}

impl Statistics {
    /// Returns both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let Self { sessions, hits, misses, puts, damaged, late, bytes_read, bytes_written } = other;
        Self {
            sessions: self.sessions.saturating_add(sessions),
            hits: self.hits.saturating_add(hits),
            misses: self.misses.saturating_add(misses),
            puts: self.puts.saturating_add(puts),
            damaged: self.damaged.saturating_add(damaged),
            late: self.late.saturating_add(late),
            bytes_read: self.bytes_read.saturating_add(bytes_read),
            bytes_written: self.bytes_written.saturating_add(bytes_written),
        }
    }
}
