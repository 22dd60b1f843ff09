//! Go packages that a link without cgo takes without their cgo files.
//!
//! Such a package builds all the same if other files stand in for these, and a stub is good enough
//! for that: go-sqlite3 without cgo links, verifies, and fails when it is first used. Whether what
//! stands in works only its author knows; that it stands in is told.
//!
//! Which files cgo would bring is asked of `go list` with cgo on, and only where a file that was
//! left out imports "C": most of those are for other platforms.

use crate::effects::go_tool::GoTool;
use crate::engine::go_unit::Unit;
use crate::engine::session::Session;
use crate::formats::go_events::plain;
use crate::formats::go_list::GoPackage;
use crate::plan::configuration::Selection;
use crate::plan::record::LeftOut;
use std::path::Path;

/// Operating systems for which Go has no cgo.
const WITHOUT_CGO: [&str; 3] = ["js", "plan9", "wasip1"];

/// Files larger than this are not looked into.
const LARGEST: u64 = 4 << 20;

/// Returns the packages of an output of which the rung leaves cgo files out, by name, those of the
/// standard library excepted: what stands in for theirs is Go's own.
#[must_use]
pub fn left_out(session: &Session<'_>, go: &GoTool, unit: &Unit<'_>, rung: usize) -> Vec<LeftOut> {
    let selection = &unit.of.rungs[rung].selection;
    if selection.cgo || WITHOUT_CGO.contains(&selection.platform.goos.as_str()) {
        return Vec::new();
    }
    let from = unit.of.choice(selection);
    let Some(listing) = session.listings.listing_of(go, from, &unit.root) else {
        return Vec::new();
    };
    let closure = listing.graph.closure(&unit.root);
    let others = closure.values().filter(|it| !it.standard);
    let suspect = |it: &&GoPackage| {
        let folder = Path::new(&it.dir);
        session.leaves_c_out(folder, || imports_c(folder, it.files.ignored()))
    };
    if !others.copied().any(|it| suspect(&it)) {
        return Vec::new();
    }
    let Some(mut asked) = session.listings.question_of(go, from, &unit.root) else {
        return Vec::new();
    };
    asked.selection = Selection { cgo: true, ..selection.clone() };
    let Ok(with_cgo) = session.list(go, &asked) else { return Vec::new() };
    let brings = |it: &GoPackage| !it.standard && it.files.use_cgo();
    let mut found: Vec<LeftOut> = Vec::new();
    for (path, package) in with_cgo.graph.closure(&unit.root) {
        // What only the cgo files import is not in the output at all.
        if !brings(package) || !closure.contains_key(path) {
            continue;
        }
        let chain = listing.graph.chain_to(&unit.root, |it| it.import_path == path);
        let mut imported_by = chain.unwrap_or_default();
        imported_by.pop();
        let go_package = plain(path).to_owned();
        if !found.iter().any(|it| it.go_package == go_package) {
            found.push(LeftOut { go_package, imported_by });
        }
    }
    found
}

/// Tells whether one of these files imports "C".
fn imports_c<'f>(folder: &Path, mut files: impl Iterator<Item = &'f String>) -> bool {
    files.any(|file| {
        let path = folder.join(file);
        let is_small = std::fs::metadata(&path).is_ok_and(|it| it.is_file() && it.len() <= LARGEST);
        let text = std::fs::read(path).ok().filter(|_| is_small && !file.ends_with("_test.go"));
        let text = text.unwrap_or_default();
        let mut lines = text.split(|it| *it == b'\n').map(<[u8]>::trim_ascii);
        lines.any(|it| it.starts_with(b"import \"C\"") || it.starts_with(b"\"C\""))
    })
}
