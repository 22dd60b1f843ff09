//! A machine for tests of this room: everything it writes is below one folder.

use crate::effects::c_answers::Answers;
use crate::effects::c_names::KnownNames;
use crate::effects::compile_cache::CompileCache;
use crate::effects::digests::Digests;
use crate::effects::looked::Looked;
use crate::effects::machine::{Machine, STEP_LIMIT};
use crate::effects::process::Interrupt;
use crate::effects::store::Store;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};

/// Makes a machine with the system's programs on PATH.
pub(crate) fn machine(folder: &Path) -> Machine {
    Machine {
        caller: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        compile_cache: CompileCache::new(&folder.join(".machine/go"), "linkwright".into()),
        store: Store::new(&folder.join(".machine/store")),
        digests: Digests::open(&folder.join(".machine/stamps"), false),
        interrupt: Interrupt::default(),
        guard: None,
        go_processes: AtomicUsize::new(0),
        steps: AtomicUsize::new(0),
        step_limit: STEP_LIMIT,
        began: SystemTime::UNIX_EPOCH,
        looked: Looked::default(),
        answers: Answers::default(),
        c_names: KnownNames::default(),
        last_runs: None,
    }
}

/// A moment at which all that there is has become old.
#[expect(clippy::disallowed_methods, reason = "held against file times")]
pub(crate) fn later() -> SystemTime {
    SystemTime::now() + Duration::from_mins(1)
}
