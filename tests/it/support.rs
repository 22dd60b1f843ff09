//! What several tests need: whether a program is here, and where things are.

use linkwright::effects::c_answers::Answers;
use linkwright::effects::c_names::KnownNames;
use linkwright::effects::compile_cache::CompileCache;
use linkwright::effects::digests::Digests;
use linkwright::effects::looked::Looked;
use linkwright::effects::machine::{Machine, STEP_LIMIT};
use linkwright::effects::process::Interrupt;
use linkwright::effects::store::Store;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::SystemTime;

/// Returns whether `program` is here. With `REQUIRE_ALL=1`, as in CI, its absence fails the test:
/// a green run there means that nothing was passed over.
#[must_use]
#[track_caller]
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let required = std::env::var_os("REQUIRE_ALL").is_some();
    assert!(found || !required, "REQUIRE_ALL is set and `{program}` is missing");
    if !found {
        println!("passed over: no `{program}`");
    }
    found
}

/// The project's folder.
pub(crate) fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A machine as a run of linkwright sees it, without a guard and without a memory of runs.
pub(crate) fn machine(
    caller: BTreeMap<OsString, OsString>,
    compile_cache: &Path,
    store: &Path,
    stamps: &Path,
) -> Machine {
    Machine {
        caller,
        compile_cache: CompileCache::new(compile_cache, env!("CARGO_BIN_EXE_linkwright").into()),
        store: Store::new(store),
        digests: Digests::open(stamps, false),
        interrupt: Interrupt::default(),
        guard: None,
        go_processes: 0.into(),
        steps: 0.into(),
        step_limit: STEP_LIMIT,
        began: SystemTime::UNIX_EPOCH,
        looked: Looked::default(),
        answers: Answers::default(),
        c_names: KnownNames::default(),
        last_runs: None,
    }
}
