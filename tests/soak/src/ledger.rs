//! The results file: one JSON object a line, only ever added to.

use crate::lane::{Lane, Tally};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

/// What is the same for all lanes of a run.
#[derive(Debug, Clone)]
pub struct Ledger {
    commit: String,
    kernel: String,
    file_system: String,
    go: String,
}

impl Ledger {
    /// Looks at the machine.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let said = |program: &str, words: &[&str]| {
            let output = Command::new(program).args(words).output().ok()?;
            output
                .status
                .success()
                .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=40"]);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            commit: commit.unwrap_or_else(|| "unknown".to_owned()),
            kernel: kernel.trim().to_owned(),
            file_system: file_system(&std::env::temp_dir()),
            go: said("go", &["env", "GOVERSION"]).unwrap_or_else(|| "none".to_owned()),
        }
    }

    /// Adds what a lane did from `seed` on, in so many seconds.
    pub fn add(
        &self,
        path: &Path,
        lane: &dyn Lane,
        seed: u64,
        tally: &Tally,
        seconds: f64,
    ) -> io::Result<()> {
        let violations: Vec<_> = tally.violations.iter().map(ToString::to_string).collect();
        let line = json!({
            "format": "linkwright-soak/1", "commit": self.commit, "lane": lane.about().name,
            "toolchain": lane.about().toolchain.name(), "cases": tally.cases, "seeds": [seed, tally.seeds],
            "seconds": (seconds * 10.0).round() / 10.0, "violations": violations,
            "kernel": self.kernel, "file_system": self.file_system, "go": self.go,
        });
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        // One write, so that two soaks on one file do not mix their lines.
        file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Returns the file system that `path` lies on.
fn file_system(path: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let rows = mounts.lines().filter_map(|it| {
        let mut words = it.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let above = rows.filter(|(folder, _)| path.starts_with(folder));
    above.max_by_key(|(folder, _)| folder.len()).map_or("unknown", |it| it.1).to_owned()
}
