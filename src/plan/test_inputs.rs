//! The key of a kept test result: every input that can change how a run ends, as two typed structs.
//!
//! | input | because |
//! |---|---|
//! | the binary, by content | it is what runs |
//! | arguments, the time limit among them | the test sees them |
//! | every variable that it is given | so no variable is missed, `GODEBUG` and those of its children neither |
//! | the folder that it runs in | it sees it |
//! | the root that it runs in: every file and limit of it, and the version of linkwright, which makes it | what passes in the one may fail in the other |
//! | declared files: `testdata` beside the sources, and `data` of the target, by content | the target says so |
//! | observed paths: what Go's own log says that the last run looked at or opened, by content | the test read them |
//!
//! What was observed is known only after a run. So all others make a key under which the list
//! of observed paths stands, and the key of the result is that key with what these paths are today.
//!
//! Left out: times of files that were opened and not looked at, the network, the clock, how many
//! processors there are, the kernel; paths below `/proc`, `/sys`, `/dev` and the run's own
//! temporary folder; and what Go's log does not tell ([`crate::formats::test_log`]), for which
//! there is `data`; and when the binary itself was put in place, if the test asks about its own
//! file.

use crate::formats::test_log::Manner;
use crate::plan::fingerprint::Framed;
use crate::plan::test_account::Case;
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is known before a test binary runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestInputs {
    /// The binary.
    pub binary: Digest,
    /// The folder that it runs in, absolute.
    pub folder: String,
    /// Its arguments, without places in its temporary folder.
    pub arguments: Vec<String>,
    /// Its variables, without those that name its temporary folder.
    pub environment: BTreeMap<String, String>,
    /// Declared files, by path.
    pub declared: BTreeMap<String, Digest>,
    /// What its root is, if it is not the machine's.
    pub root: Option<Vec<String>>,
}

/// The list of paths that a run looked at, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Each path, and how it was looked at.
    pub paths: Vec<(PathBuf, Manner)>,
}

/// A pass, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// How long the binary ran.
    pub milliseconds: u64,
    /// Its tests.
    pub cases: Vec<Case>,
    /// Its coverage profile, if it counts what it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

impl TestInputs {
    /// Returns the key under which the list of observed paths stands.
    #[must_use]
    pub fn key(&self) -> Digest {
        let Self { binary, folder, arguments, environment, declared, root } = self;
        let mut framed = Framed::new("linkwright test 2");
        framed.digest(binary);
        framed.text(folder);
        framed.list(arguments);
        framed.texts(environment);
        framed.digests(declared);
        framed.optional(root.as_ref(), |framed, it| framed.list(it));
        framed.finish()
    }
}

/// Returns the key of a result: what is known before the run, and what the observed paths are.
#[must_use]
pub fn result_key(inputs: &Digest, observed: &Digest) -> Digest {
    let mut framed = Framed::new("linkwright test result 1");
    framed.digest(inputs);
    framed.digest(observed);
    framed.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::collections::BTreeSet;

    fn inputs() -> TestInputs {
        TestInputs {
            binary: Digest::of(b"binary"),
            folder: "/m/a".into(),
            arguments: vec!["-test.timeout=600s".into()],
            environment: BTreeMap::from([("PATH".into(), "/bin".into())]),
            declared: BTreeMap::from([("testdata/x".into(), Digest::of(b"x"))]),
            root: None,
        }
    }

    #[test]
    fn each_field_alone_changes_the_key() {
        let changes: [fn(&mut TestInputs); 9] = [
            |it| it.binary = Digest::of(b"other"),
            |it| it.folder.push('b'),
            |it| it.arguments.push("-test.short".into()),
            |it| _ = it.environment.insert("GODEBUG".into(), "x=1".into()),
            |it| _ = it.environment.insert("PATH".into(), "/usr/bin".into()),
            |it| _ = it.declared.insert("testdata/x".into(), Digest::of(b"y")),
            |it| it.declared.clear(),
            |it| it.root = Some(Vec::new()),
            |it| it.root = Some(vec!["user".into(), "1000".into()]),
        ];
        let mut keys = BTreeSet::from([inputs().key()]);
        for (index, change) in changes.iter().enumerate() {
            let mut altered = inputs();
            change(&mut altered);
            assert!(keys.insert(altered.key()), "change {index} does not show in the key");
        }
    }

    /// Pins the meaning of stored keys: if this fails, raise the domain.
    #[test]
    fn the_key_of_known_inputs_is_known() {
        let key = inputs().key();
        expect!["949884f86bf9fe33"].assert_eq(&key.to_string()[..16]);
        let (same, other) = (result_key(&key, &key), result_key(&key, &Digest::of(b"")));
        expect!["79b10edbcce4e708"].assert_eq(&same.to_string()[..16]);
        assert_ne!(same, other);
    }
}
