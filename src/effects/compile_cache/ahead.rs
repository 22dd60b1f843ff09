//! What a run of `go` will ask for, found and hashed before it does.
//!
//! `go` asks for hundreds of objects, one after the other, and waits for each. What the last run
//! like this one asked for stands in a list, a hint and no more: what is on it is looked up and
//! hashed while `go` reads sources, and what is not is when it is asked for. An object is handed
//! out once for each time that it was hashed, and only as long as its file has the stamp that it
//! had then.

use crate::effects::compile_cache::{Found, bytes_of, hex};
use crate::effects::stamp::Stamp;
use crate::effects::store::Store;
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// How many objects a list names at the most.
const MOST: usize = 1 << 14;

/// Keys one behind the other, in hexadecimal, as the store holds them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Asked(String);

/// What is known of an object that will be asked for, or was.
#[derive(Debug)]
enum State {
    /// Somebody looks.
    Sought,
    /// It was hashed; its file had this stamp before.
    Ready(Found, Stamp),
    /// It was asked for. Whoever asks again has it hashed again.
    Taken,
}

/// What one run of `go` is expected to ask for, and what it asked for.
#[derive(Debug)]
pub(super) struct Ahead {
    list: Digest,
    expected: Vec<Digest>,
    states: Mutex<HashMap<Digest, State>>,
    asked: Mutex<Vec<Digest>>,
}

impl Ahead {
    /// Reads the list of runs that are like `hint`, of the toolchain `domain`.
    pub(super) fn of(settled: &Store, domain: &Digest, hint: &Digest) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("linkwright compile cache asked 1");
        hasher.update(domain.as_bytes()).update(hint.as_bytes());
        let list = Digest::from_hasher(&hasher);
        let Asked(text) = settled.action(&list).unwrap_or_default();
        let bytes = bytes_of(&text).unwrap_or_default();
        let keys = bytes.as_chunks::<32>().0.iter().map(|it| Digest::from_bytes(*it));
        let expected = keys.take(MOST).collect();
        Self { list, expected, states: Mutex::default(), asked: Mutex::default() }
    }

    /// Finds what is expected with `look`, until all was looked for. Several may do so together.
    pub(super) fn look(&self, look: impl Fn(&Digest) -> Option<(Found, Stamp)>) {
        for key in &self.expected {
            let is_new = |it: &mut HashMap<_, _>| {
                let is_new = !it.contains_key(key);
                if is_new {
                    it.insert(*key, State::Sought);
                }
                is_new
            };
            if !self.states.lock().is_ok_and(|mut it| is_new(&mut it)) {
                continue;
            }
            let found = look(key);
            let Ok(mut states) = self.states.lock() else { return };
            if let Some(state @ State::Sought) = states.get_mut(key) {
                *state = found.map_or(State::Taken, |(it, stamp)| State::Ready(it, stamp));
            }
        }
    }

    /// Takes what was found, if its file is as it was when it was hashed; notes what was asked for.
    pub(super) fn take(&self, key: &Digest) -> Option<Found> {
        if let Ok(mut asked) = self.asked.lock()
            && asked.len() < MOST
        {
            asked.push(*key);
        }
        let state = self.states.lock().ok()?.insert(*key, State::Taken);
        let Some(State::Ready(found, stamp)) = state else { return None };
        (stamp_of(&found.path)? == stamp).then_some(found)
    }

    /// Keeps what was asked for, unless the list has most of it.
    pub(super) fn keep(&self, settled: &Store) {
        let Ok(asked) = self.asked.lock() else { return };
        let known: HashSet<_> = self.expected.iter().collect();
        let unknown = asked.iter().filter(|it| !known.contains(it)).count();
        let is_long = asked.len() * 2 < self.expected.len() && !asked.is_empty();
        if unknown * 8 > asked.len() || is_long {
            let bytes: Vec<u8> = asked.iter().flat_map(|it| *it.as_bytes()).collect();
            settled.put_action(&self.list, &Asked(hex(&bytes)));
        }
    }
}

/// Returns what the inode of a body says.
pub(super) fn stamp_of(path: &Path) -> Option<Stamp> {
    fs::symlink_metadata(path).ok().map(|it| Stamp::of(&it))
}
