//! What the digest of a Go toolchain was, kept while all of it is as it was.
//!
//! One look at its files and folders stands for a walk through them. Each workspace keeps it beside
//! its last runs, which so need not tell of the toolchain themselves.
//!
//! Kept is what [`identity_of`](crate::effects::go_root::identity_of) found in a run, if everything
//! in the toolchain is older than that run.

use crate::effects::folders::Links;
use crate::effects::go_root::{FILES, PARTS, is_test_file, unread_sources};
use crate::effects::last_run::{Kept, LastRun, LastRuns};
use crate::effects::machine::Machine;
use crate::effects::scene::Scene;
use crate::effects::sight::Sight;
use crate::plan::fingerprint::Framed;
use crate::plan::go_choice::{GoChoice, Named};
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A toolchain that a run used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsedGo {
    /// The `go` program.
    pub program: PathBuf,
    /// `GOROOT`.
    pub root: PathBuf,
    /// What it was.
    pub identity: Digest,
}

/// What a toolchain was when it was looked at last, which need not be so today.
#[derive(Debug)]
pub struct Belief(Kept<Digest, ()>);

impl Belief {
    /// Reads what is kept of the toolchain at `root` whose `go` is `program`.
    #[must_use]
    pub fn of(runs: &LastRuns, program: &Path, root: &Path) -> Option<Self> {
        LastRun::kept(runs, &question(program, root), no_variables).map(Self)
    }

    /// Returns what the toolchain is, if that holds.
    #[must_use]
    pub fn identity(&self) -> Digest {
        *self.0.about()
    }

    /// Looks at all of the toolchain: tells whether it is what it was.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "held against file times, never shown or stored")]
    pub fn holds(&self) -> bool {
        self.0.holds(SystemTime::now()).is_some()
    }

    /// Looks at as much of the toolchain at `root` as packages of its standard library, by import
    /// path, are listed from where `choice` says which files count: tells whether that is what it
    /// was.
    ///
    /// Of the library's sources these are the folders of the packages, and the files in them but
    /// for those that their names leave out: Go does not open them (`matchFile` in
    /// `go/build/build.go`). What lies below the folders, such as embedded files, is none of it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "held against file times, never shown or stored")]
    pub fn holds_for<'p>(
        &self,
        root: &Path,
        packages: impl Iterator<Item = &'p str>,
        choice: &GoChoice,
    ) -> bool {
        let packages: HashSet<_> = packages.collect();
        let sources = root.join("src/").into_os_string();
        let counts = |base: &Path, name: &OsStr, sight: &Sight| {
            let path = [base.as_os_str().as_bytes(), b"/", name.as_bytes()].concat();
            let Some(below) = path.strip_prefix(sources.as_bytes()) else { return true };
            let below = below.strip_suffix(b"/.").unwrap_or(below);
            let Ok(below) = str::from_utf8(below) else { return true };
            match (sight, below.rsplit_once('/')) {
                (Sight::File(..), Some((folder, file))) => {
                    choice.by_name(file) != Named::Out && packages.contains(folder)
                }
                (Sight::File(..), None) => false,
                (_, above) => {
                    packages.contains(below) || above.is_some_and(|it| packages.contains(it.0))
                }
            }
        };
        planted(Defect::BelieveToolchain) || self.0.holds_where(counts, SystemTime::now())
    }
}

/// Returns what is kept of the toolchain at `root` whose `go` is `program`, if that holds.
#[must_use]
pub fn kept(runs: &LastRuns, program: &Path, root: &Path) -> Option<Digest> {
    Belief::of(runs, program, root).filter(Belief::holds).map(|it| it.identity())
}

/// Keeps what a run found a toolchain to be; tells whether it could.
#[must_use]
pub fn keep(folder: &Path, machine: &Machine, go: &UsedGo) -> bool {
    let Ok(sights) = scene(machine, go).clear() else { return false };
    let run = LastRun {
        question: question(&go.program, &go.root),
        variables: (Vec::new(), no_variables(&[])),
        drawn: machine.began,
        sights,
        about: go.identity,
        told: Vec::<()>::new(),
    };
    run.write(folder).is_ok()
}

/// Tells whether a file is one that is kept with the toolchain at `root`.
pub fn is_part(root: &Path) -> impl Fn(&Path) -> bool + use<> {
    let left_out = unread_sources(root);
    let parts = PARTS.map(|it| root.join(it));
    let files = FILES.map(|it| root.join(it));
    move |path| {
        let is_left_out = left_out.as_ref().is_some_and(|it| path.starts_with(it));
        let in_testdata = path.components().any(|it| it.as_os_str() == "testdata");
        let is_left_out = is_left_out || in_testdata || is_test_file(path);
        let is_below = parts.iter().any(|it| path.starts_with(it)) && !is_left_out;
        is_below || files.iter().any(|it| it == path)
    }
}

/// Draws what decides the digest: every file, and every folder with the names in it.
fn scene(machine: &Machine, UsedGo { program, root, identity: _ }: &UsedGo) -> Scene {
    let (digests, left_out) = (&machine.digests, unread_sources(root));
    let is_read = |it: &Path| !it.ends_with("testdata") && Some(it) != left_out.as_deref();
    let mut scene = Scene::empty(machine.began);
    scene.file(program, digests);
    for part in PARTS.map(|it| root.join(it)) {
        if part.is_dir() {
            scene.tree((&part, Links::Followed), digests, is_read, |it| !is_test_file(it));
        } else {
            scene.nothing(&part);
        }
    }
    for name in FILES {
        scene.perhaps(&root.join(name), digests);
    }
    scene
}

fn question(program: &Path, root: &Path) -> Digest {
    let mut framed = Framed::new("linkwright go toolchain question 2");
    framed.text(env!("CARGO_PKG_VERSION"));
    for path in [program, root] {
        framed.bytes(path.as_os_str().as_encoded_bytes());
    }
    framed.finish()
}

/// No variable decides what a toolchain is.
fn no_variables(_: &[String]) -> Digest {
    Framed::new("linkwright variables 1").finish()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests edit files")]
mod tests {
    use super::*;
    use crate::effects::go_root::identity_of;
    use crate::effects::testing::{later, machine};
    use std::fs;

    /// A toolchain of one file for each part, its machine, and what it is.
    fn toolchain(folder: &Path) -> (Machine, UsedGo) {
        let root = folder.join("go");
        let parts = ["bin/go", "src/fmt/fmt.go", "src/cmd/go/go.go"];
        for file in parts.iter().chain(&["src/fmt/testdata/a", "src/fmt/fmt_test.go"]) {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), file).unwrap();
        }
        let mut machine = machine(folder);
        machine.began = later();
        let program = root.join("bin/go");
        let identity = identity_of(&machine.digests, &program, &root).unwrap();
        (machine, UsedGo { program, root, identity })
    }

    #[test]
    fn what_a_toolchain_is_holds_until_something_in_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (machine, go) = toolchain(folder.path());
        let runs = LastRuns { folder: folder.path().to_owned(), is_written: true };
        let kept = || kept(&runs, &go.program, &go.root);
        assert_eq!(kept(), None);
        assert!(keep(folder.path(), &machine, &go));
        assert_eq!(kept(), Some(go.identity));
        let again = |file: &str, change: &dyn Fn(&Path)| {
            change(&go.root.join(file));
            let held = kept();
            let now = identity_of(&machine.digests, &go.program, &go.root).unwrap();
            assert_eq!(held.is_some(), now == go.identity, "{file}");
            held.is_some()
        };
        let write = |it: &Path| fs::write(it, "other").unwrap();
        for file in ["src/fmt/testdata/a", "src/fmt/fmt_test.go"] {
            assert!(again(file, &write), "{file} is no part");
        }
        assert!(again("src/fmt/fmt.go", &|it| fs::write(it, "src/fmt/fmt.go").unwrap()));
        for file in ["src/fmt/fmt.go", "src/cmd/go/go.go", "bin/go"] {
            assert!(!again(file, &write), "{file}");
            assert!(again(file, &|it| fs::write(it, file).unwrap()), "{file}");
        }
        for file in ["src/fmt/new.go", "VERSION"] {
            assert!(!again(file, &write), "{file}");
            assert!(again(file, &|it| fs::remove_file(it).unwrap()), "{file}");
        }
    }

    #[test]
    fn a_belief_tells_what_was_and_holds_as_long_as_that_is_so() {
        let folder = tempfile::tempdir().unwrap();
        let (machine, go) = toolchain(folder.path());
        let runs = LastRuns { folder: folder.path().to_owned(), is_written: false };
        let belief = || Belief::of(&runs, &go.program, &go.root);
        assert!(belief().is_none());
        assert!(keep(folder.path(), &machine, &go));
        let before = belief().unwrap();
        assert!(before.identity() == go.identity && before.holds());
        fs::write(go.root.join("src/fmt/fmt.go"), "other").unwrap();
        assert!(!before.holds());
        let after = belief().unwrap();
        assert!(after.identity() == go.identity && !after.holds());
    }

    #[test]
    fn what_is_younger_than_the_run_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (mut machine, go) = toolchain(folder.path());
        machine.began = SystemTime::now();
        assert!(!keep(folder.path(), &machine, &go));
        let runs = LastRuns { folder: folder.path().to_owned(), is_written: true };
        assert_eq!(kept(&runs, &go.program, &go.root), None);
    }

    #[test]
    fn what_decides_a_digest_is_a_part_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (_, go) = toolchain(folder.path());
        let is_part = is_part(&go.root);
        for (file, is) in [
            ("bin/go", true),
            ("VERSION", true),
            ("src/fmt/fmt.go", true),
            ("src/fmt/testdata/a", false),
            ("src/fmt/fmt_test.go", false),
            ("test/a.go", false),
            ("README", false),
        ] {
            assert_eq!(is_part(&go.root.join(file)), is, "{file}");
        }
        assert!(!is_part(&folder.path().join("src/fmt.go")));
    }
}
