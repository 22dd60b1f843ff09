//! What would help a rung that did not hold, where its end alone does not say so.
//!
//! | what came of it | is looked for |
//! |---|---|
//! | the linker did not find a library | whether a shared one is where an archive should be |
//! | dynamic, and cgo is not why | `//go:cgo_import_dynamic` in the closure: libraries without a C compiler |
//! | a newer glibc than the strategy allows | a toolchain of the strategy's that is looked for earlier, and is not here |
//! | a call of `dlopen`, also where that is no more than a warning | a package that is known for it, and the tag that leaves it out |
//!
//! It reads files only after something went wrong; a build that holds costs nothing.

use crate::engine::c_dependencies::{Whereabouts, whereabouts};
use crate::engine::go_inputs::Planned;
use crate::engine::go_settle::Settled;
use crate::engine::go_unit::{Rung, Unit};
use crate::formats::c_words::CWords;
use crate::formats::go_events::plain;
use crate::formats::go_list::GoPackage;
use crate::formats::link_errors::libraries_not_found;
use crate::plan::go_graph::GoGraph;
use std::path::{Path, PathBuf};

/// Packages that load libraries at run time only where a tag does not say otherwise.
const LOADERS: [(&str, &str, &str); 1] = [(
    "github.com/mattn/go-sqlite3",
    "sqlite_omit_load_extension",
    "SQLite loads extensions by `dlopen`",
)];

/// The line that imports from a shared library without cgo.
const IMPORTS_DYNAMIC: &str = "//go:cgo_import_dynamic ";

/// Go files larger than this are not read for the sake of a message.
const LARGEST: u64 = 4 << 20;

/// Returns what would help the link that `planned` says, given what came of it.
#[must_use]
pub fn advice(
    unit: &Unit<'_>,
    planned: &Planned,
    graph: &GoGraph,
    settled: &Settled,
) -> Vec<String> {
    let rung = &unit.of.rungs[planned.rung];
    match settled {
        Settled::Failed(reason) => {
            libraries_not_found(reason).iter().map(|it| missing(unit, rung, graph, it)).collect()
        }
        Settled::NotAsPromised(reason, _) => {
            let mut advice: Vec<_> = imports_dynamic(graph, &unit.root)
                .filter(|_| reason.contains("it needs"))
                .map(|(chain, library)| dynamic_clause(&chain, &library))
                .into_iter()
                .collect();
            advice.extend(loaders(graph, &unit.root).filter(|_| reason.contains("`dlopen`")));
            let above = rung.strategy.glibc_max.is_some() && reason.contains("it needs glibc ");
            advice.extend(rung.absent.clone().filter(|_| above));
            advice
        }
        Settled::Verified(proof) if proof.loads_libraries() => {
            loaders(graph, &unit.root).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Says what brings a library without cgo: the chain, and the library.
#[must_use]
pub fn imports_dynamic(graph: &GoGraph, root: &str) -> Option<(Vec<String>, String)> {
    let found = |it: &GoPackage| !it.standard && library_of(it).is_some();
    let chain = graph.chain_to(root, found)?;
    let package = chain.last().and_then(|it| graph.package(it))?;
    Some((chain, library_of(package)?))
}

/// Says it as a clause.
#[must_use]
pub fn dynamic_clause(chain: &[String], library: &str) -> String {
    let package = chain.last().map_or("", String::as_str);
    let through = match chain.split_last() {
        Some((_, rest)) if !rest.is_empty() => format!(" (imported by `{}`)", rest.join("` → `")),
        _ => String::new(),
    };
    format!(
        "`{package}`{through} imports from `{library}` without cgo (`{}`): no strategy links that in; leave it out by a build tag",
        IMPORTS_DYNAMIC.trim_end()
    )
}

fn loaders(graph: &GoGraph, root: &str) -> Option<String> {
    let closure = graph.closure(root);
    // A package under test stands there as the variant of it that its test binary holds.
    let known = LOADERS.iter().find(|it| closure.keys().any(|key| plain(key) == it.0));
    known.map(|(package, tag, what)| {
        format!("{what}; `tags: [\"{tag}\"]` leaves that out of `{package}`")
    })
}

/// Returns the first library that Go files of a package import from without cgo.
fn library_of(package: &GoPackage) -> Option<String> {
    package.files.compiled().find_map(|file| {
        let path = Path::new(&package.dir).join(file);
        let is_go = path.extension().is_some_and(|it| it == "go");
        let is_small = std::fs::metadata(&path).is_ok_and(|it| it.is_file() && it.len() <= LARGEST);
        let text = std::fs::read_to_string(path).ok().filter(|_| is_go && is_small)?;
        let mut lines = text.lines().filter_map(|it| it.strip_prefix(IMPORTS_DYNAMIC));
        lines.find_map(|it| Some(it.split('"').nth(1)?.to_owned()))
    })
}

/// Says where a library that the linker did not find is, and in which form.
fn missing(unit: &Unit<'_>, rung: &Rung, graph: &GoGraph, library: &str) -> String {
    let mut folders: Vec<PathBuf> =
        rung.c_tools.iter().flat_map(|it| it.folders.libraries.iter().cloned()).collect();
    for package in graph.closure(&unit.root).into_values().filter(|it| it.files.use_cgo()) {
        let words = CWords::read(package.cgo_ldflags.iter().map(String::as_str));
        let named = words.library_folders.into_iter();
        folders.extend(named.map(|it| Path::new(&package.dir).join(it)));
    }
    let own = rung.strategy.extldflags.iter().chain(&unit.of.settings.extldflags);
    let words = CWords::read(own.map(String::as_str));
    folders.extend(words.library_folders.into_iter().map(PathBuf::from));
    match whereabouts(library, &folders) {
        Whereabouts::Shared(clause) => {
            format!("{clause}; install or build the archive, or link it dynamically")
        }
        Whereabouts::Archive | Whereabouts::Nowhere(_) => format!(
            "`-l{library}` is nowhere: neither `lib{library}.a` nor `lib{library}.so`; install the library's development package, or say its folder with `-L`"
        ),
    }
}
