//! The graph of Go packages: read by linkwright, and told by `go list`.
//!
//! linkwright's side is `query --packages`, which reads the rule files and looks at the toolchain
//! besides; and `build --dry-run`, which also looks at C tools and finds the key of each link. The
//! lane fails where that starts a `go` process.

use super::inputs::{self, OF_NET};
use super::lanes::{Ground, Measured, age, go, warm};
use super::{Side, Table, race};
use crate::bench::{Bench, Run};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A workspace whose packages are read.
struct Graph<'b> {
    bench: &'b Bench,
    /// The packages, as `go list` is told them.
    packages: &'b [&'static str],
    /// The package in which files come and go: its folder and its name.
    edited: (&'static str, &'static str),
    /// Variables that both sides get.
    variables: Vec<(&'static str, String)>,
    /// Whose packages they are, for people.
    what: &'static str,
}

/// Files of two modules change, so that nothing that was told of their packages holds any more;
/// then nothing does.
pub(super) fn lane(ground: &Ground) -> Result<Measured, String> {
    let own = inputs::real(&ground.programs);
    let own = Graph {
        bench: &own,
        packages: &["./..."],
        edited: ("lib3", "lib3"),
        variables: Vec::new(),
        what: "20 programs, 10 tests and what they import",
    };
    let (net, cache) = inputs::net(&ground.programs)?;
    let net = Graph {
        bench: &net,
        packages: &OF_NET,
        edited: ("idna", "idna"),
        variables: vec![("GOMODCACHE", cache), ("GOPROXY", "off".to_owned())],
        what: "packages of golang.org/x/net, their tests and what they import",
    };
    let mut tables = own.measure(ground.rounds)?;
    tables.extend(net.measure(ground.rounds)?);
    Ok(Measured { tables, curves: Vec::new() })
}

impl Graph<'_> {
    fn linkwright(&self, words: &[&str]) -> Command {
        let mut command = self.bench.command(words);
        command.envs(self.variables.clone());
        command
    }

    /// A file goes, another one comes, and a third imports another package than before.
    fn edit(&self, count: usize) {
        let (folder, name) = self.edited;
        let folder = self.bench.root().join(folder);
        let file = |count: usize| folder.join(format!("pace{count}.go"));
        let _ = fs::remove_file(file(count - 1));
        let text = format!("package {name}\n\nconst pace{count} = {count}\n");
        fs::write(file(count), text).unwrap();
        let import = ["bytes", "strings"][count % 2];
        let text = format!("package {name}\n\nimport _ {import:?}\n");
        fs::write(folder.join("pace.go"), text).unwrap();
        age();
    }

    fn measure(&self, rounds: usize) -> Result<Vec<Table>, String> {
        let build = || Side::new("build", vec![self.linkwright(&["build", "--quiet"])]);
        let query = || self.linkwright(&["query", "--packages", "--json"]);
        let dry = || self.linkwright(&["build", "--dry-run", "--json"]);
        let words = [&["list", "-deps", "-test", "-json"][..], self.packages].concat();
        let mut theirs = go(self.bench, &words, "plain-cache");
        theirs.envs(self.variables.clone());
        // What Go tells about the packages is remembered by a build alone.
        warm(&[build()])?;
        let count = Cell::new(0);
        let edit = || {
            count.set(count.get() + 1);
            self.edit(count.get());
        };
        let mut sides = [
            Side {
                name: "linkwright query --packages".to_owned(),
                before: Box::new(edit),
                commands: vec![query()],
            },
            // The same files, of which nothing is remembered by a query or a dry run.
            Side::new("linkwright build --dry-run", vec![dry()]),
            Side {
                name: "go list -deps -test -json".to_owned(),
                before: Box::new(|| without_go(dry())),
                commands: vec![theirs],
            },
        ];
        let title = format!("imports and files changed: {}", self.what);
        let changed = race("list", &title, rounds, &mut sides)?;
        self.take_back(count.get());
        // Now what was told holds.
        warm(&[build()])?;
        sides[0].before = Box::new(|| ());
        let title = format!("nothing changed since the last build: {}", self.what);
        let unchanged = race("list", &title, rounds, &mut sides)?;
        Ok(vec![changed, unchanged])
    }

    /// Takes back what the edits left.
    fn take_back(&self, count: usize) {
        let folder = self.bench.root().join(self.edited.0);
        for name in [Path::new("pace.go"), Path::new(&format!("pace{count}.go"))] {
            fs::remove_file(folder.join(name)).unwrap();
        }
        age();
    }
}

/// Runs a dry run once more.
///
/// # Panics
///
/// Panics if it started `go`: then it is no reading of linkwright's that is measured.
fn without_go(mut command: Command) {
    let run = Run::of(&command.output().unwrap());
    assert_eq!((run.code, run.count("go_processes")), (Some(0), 0), "{}", run.told());
}
