//! What one `go list` read, and whether it is still true.
//!
//! A file that appears in a package's folder after it was listed would be compiled and not be in
//! the key. So the folders' modification times are kept, those of embedded files too: one that
//! changed since, or that changed while `go list` ran, says that the listing may be stale.

use crate::effects::go_tool::GoModuleFolder;
use crate::effects::stamp::Stamp;
use crate::formats::go_list::GoPackage;
use crate::plan::configuration::Selection;
use crate::plan::go_graph::GoGraph;
use crate::plan::origin::Origin;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// File systems stamp with a clock that may lag behind by a tick.
const TICK: Duration = Duration::from_millis(10);

/// A question to `go list`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListingKey {
    /// Who is asked.
    pub go: Digest,
    /// Where from.
    pub module: GoModuleFolder,
    /// With what settings.
    pub selection: Selection,
    /// Package patterns.
    pub patterns: BTreeSet<String>,
    /// With the packages' tests.
    pub tests: bool,
    /// How many commands had written into the source tree before: what was told of it before the
    /// last of them may be old.
    pub written: usize,
}

/// How the packages of an output are chosen.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// Where from.
    pub module: &'a GoModuleFolder,
    /// With what settings.
    pub selection: &'a Selection,
    /// After how many commands.
    pub written: usize,
}

/// When something began; only ever held against the times of files.
#[derive(Debug, Clone, Copy)]
pub struct Moment(SystemTime);

/// What one `go list` read.
#[derive(Debug)]
pub struct Listing {
    /// The packages.
    pub graph: GoGraph,
    folders: BTreeMap<PathBuf, SystemTime>,
    during: (SystemTime, SystemTime),
}

impl Moment {
    /// Returns this moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "held against file times, never shown or stored")]
    pub fn now() -> Self {
        Self(SystemTime::now())
    }

    /// Returns this moment; if something has just been written on purpose, a moment so much later
    /// that no file time can be taken for one after it.
    #[must_use]
    pub fn after(writing: bool) -> Self {
        if writing {
            std::thread::sleep(2 * TICK);
        }
        Self::now()
    }
}

impl Listing {
    /// Takes what `go list`, begun at `began`, has just read.
    #[must_use]
    pub fn new(graph: GoGraph, began: Moment) -> Self {
        let during = (began.0.checked_sub(TICK).unwrap_or(began.0), Moment::now().0);
        let local = graph.packages().filter(|it| Origin::of(it) == Origin::Local);
        let folders = local.flat_map(watched).collect::<BTreeSet<_>>().into_iter();
        let folders =
            folders.filter_map(|it| Some((modified(&it)?, it))).map(|(time, it)| (it, time));
        Self { folders: folders.collect(), graph, during }
    }

    /// Returns the files that came (`true`) to a local package's folder or went since `go list`
    /// began; the folder itself where it changed and neither is seen.
    #[must_use]
    pub fn changes(&self) -> Vec<(PathBuf, bool)> {
        let mut changes = Vec::new();
        if planted(Defect::StaleListing) {
            return changes;
        }
        for (folder, then) in &self.folders {
            let meanwhile = *then >= self.during.0 && *then <= self.during.1;
            if !meanwhile && modified(folder) == Some(*then) {
                continue;
            }
            let before = changes.len();
            let dir = folder.to_string_lossy();
            let packages = self.graph.packages().filter(|it| it.dir == dir);
            let listed: BTreeSet<_> =
                packages.flat_map(|it| it.files.compiled()).map(|it| folder.join(it)).collect();
            changes.extend(listed.into_iter().filter(|it| !it.exists()).map(|it| (it, false)));
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let came = entries.map(|it| it.path()).filter(|it| self.came(it));
            changes.extend(came.map(|it| (it, true)));
            if changes.len() == before {
                changes.push((folder.clone(), folder.exists()));
            }
        }
        changes.sort();
        changes
    }

    /// Tells whether a file may have come, by its inode's change time.
    fn came(&self, path: &Path) -> bool {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|it| it.is_file() && Stamp::of(&it).is_changed_since(self.during.0))
    }
}

/// Returns the folders in which a new file may become a part of `package`: its own, and those that
/// it embeds files of, with all below them.
fn watched(package: &GoPackage) -> BTreeSet<PathBuf> {
    let own = Path::new(&package.dir);
    let embedded = package.files.embedded();
    let tops: BTreeSet<_> = embedded.filter_map(|it| Some(it.split_once('/')?.0)).collect();
    let below = tops.into_iter().flat_map(|it| walkdir::WalkDir::new(own.join(it)));
    let below = below.filter_map(Result::ok).filter(|it| it.file_type().is_dir());
    let mut folders: BTreeSet<_> = below.map(walkdir::DirEntry::into_path).collect();
    folders.insert(own.to_owned());
    folders
}

fn modified(folder: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder).and_then(|it| it.modified()).ok()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files")]
mod tests {
    use super::*;
    use crate::formats::go_list::parse;

    #[test]
    fn a_file_that_appears_among_embedded_ones_makes_a_listing_stale() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("one.txt"), "1").unwrap();
        std::thread::sleep(3 * TICK);
        let text = format!(
            r#"{{"ImportPath": "m", "Dir": {dir:?}, "EmbedFiles": ["data/one.txt"],
                "Module": {{"Path": "m", "Main": true, "Dir": {dir:?}}}}}"#,
            dir = folder.path()
        );
        let graph = GoGraph::new(parse(text.as_bytes()).unwrap());
        let listing = Listing::new(graph, Moment::now());
        assert!(listing.changes().is_empty());
        std::thread::sleep(3 * TICK);
        std::fs::write(data.join("two.txt"), "2").unwrap();
        assert!(!listing.changes().is_empty());
    }
}
