//! Which files C texts name, kept by the digest of the text while the program runs: headers of the
//! system are come by again for each package, and once more when inputs are looked at after a link.

use crate::formats::c_text::{CNames, names};
use crate::words::digest::Digest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What texts name, by their digest and whether they are Go's.
#[derive(Debug, Default)]
pub struct KnownNames(Mutex<HashMap<(Digest, bool), Arc<CNames>>>);

impl KnownNames {
    /// Returns what the text with this digest names, if it was read.
    #[must_use]
    pub fn of(&self, digest: Digest, is_go: bool) -> Option<Arc<CNames>> {
        self.0.lock().ok()?.get(&(digest, is_go)).cloned()
    }

    /// Reads a text, which is known by its own digest from now on.
    pub fn learn(&self, text: &[u8], is_go: bool) -> Arc<CNames> {
        let names = Arc::new(names(text, is_go));
        if let Ok(mut known) = self.0.lock() {
            known.insert((Digest::of(text), is_go), Arc::clone(&names));
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_by_its_own_bytes_and_language() {
        let known = KnownNames::default();
        let text = b"#include \"a.h\"\n";
        assert_eq!(known.of(Digest::of(text), false), None);
        let read = known.learn(text, false);
        assert_eq!(read.names.len(), 1);
        assert_eq!(known.of(Digest::of(text), false), Some(read));
        assert_eq!(known.of(Digest::of(text), true), None);
        assert_eq!(known.of(Digest::of(b"#include \"b.h\"\n"), false), None);
    }
}
