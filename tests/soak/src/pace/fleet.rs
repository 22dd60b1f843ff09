//! Tests that are run, by `linkwright test` and by `go test` over the same packages: from nothing,
//! unchanged, after one edit.

use super::inputs::{self, FLAGS, TESTS};
use super::lanes::{Ground, Measured, age, cleared, go, warm};
use super::{Side, race, race_turned};
use crate::bench::Bench;
use std::cell::Cell;
use std::fs;
use std::process::Command;

/// What is run on both sides.
struct Fleet<'b> {
    lane: &'static str,
    bench: &'b Bench,
    /// The packages, as `go test` is told them.
    packages: Vec<&'static str>,
    /// Variables that both sides get.
    variables: Vec<(&'static str, String)>,
    /// Of what tests are run, for people.
    what: String,
    /// What is edited, for people.
    edited: &'static str,
}

/// Small tests of a made module, and of a part of the standard library.
pub(super) fn small(ground: &Ground) -> Result<Measured, String> {
    let bench = inputs::tested(&ground.programs);
    let fleet = Fleet {
        lane: "test",
        bench: &bench,
        packages: ["./..."].into_iter().chain(inputs::STANDARD).collect(),
        variables: Vec::new(),
        what: format!("the tests of {} Go packages", TESTS + inputs::STANDARD.len()),
        edited: "the body of a function changed, on which one test depends",
    };
    fleet.measure(ground.rounds, |count| {
        fs::write(bench.root().join("lib3/lib.go"), inputs::library(3, count)).unwrap();
    })
}

/// The tests of most of the standard library, and of two modules that others wrote.
pub(super) fn large(ground: &Ground) -> Result<Measured, String> {
    let (bench, cache) = inputs::fleet(&ground.programs)?;
    let (standard, others) = (inputs::MORE_STANDARD.len(), "go-cmp and golang.org/x/net");
    let fleet = Fleet {
        lane: "fleet",
        bench: &bench,
        packages: inputs::OTHERS.into_iter().chain(inputs::MORE_STANDARD).collect(),
        variables: vec![("GOMODCACHE", cache), ("GOPROXY", "off".to_owned())],
        what: format!("the tests of {standard} packages of the standard library, {others}"),
        edited: "a function of go-cmp's package `cmp` changed",
    };
    let source = bench.root().join("go-cmp/cmp/compare.go");
    let text = fs::read_to_string(&source).map_err(|it| it.to_string())?;
    fleet.measure(ground.rounds.min(2), |count| {
        fs::write(&source, format!("{text}\nfunc pace() int {{ return {count} }}\n")).unwrap();
    })
}

impl Fleet<'_> {
    fn measure(&self, rounds: usize, edit: impl Fn(usize)) -> Result<Measured, String> {
        let bench = self.bench;
        let ours = || {
            let mut command = bench.command(&["test", "--quiet"]);
            command.env("LINKWRIGHT_STORE", bench.home().join("cold-store"));
            command.env("LINKWRIGHT_GO_CACHE", bench.home().join("cold-go-cache"));
            command.envs(self.variables.clone());
            command
        };
        let words: Vec<_> = ["test", "-vet=off"].into_iter().chain(FLAGS).collect();
        let words = [&words[..], &self.packages].concat();
        let theirs = || {
            let mut command: Command = go(bench, &words, "cold-plain-cache");
            command.envs(self.variables.clone());
            command
        };
        let count = Cell::new(1000);
        let (own, other) = ("linkwright test", "go test");
        let side = |name: &str, before: Box<dyn Fn()>, command| Side {
            name: name.to_owned(),
            before,
            commands: vec![command],
        };
        let own_places = &["cold-store", "cold-go-cache", "w/linkwright-out"];
        let mut cold = [
            side(own, Box::new(cleared(bench, own_places)), ours()),
            side(other, Box::new(cleared(bench, &["cold-plain-cache"])), theirs()),
        ];
        let title = format!("from nothing: {}", self.what);
        let cold = race_turned(self.lane, &title, rounds.min(2), &mut cold)?;
        // What the last round from nothing has left is warm.
        let mut sides = [Side::new(own, vec![ours()]), Side::new(other, vec![theirs()])];
        warm(&sides)?;
        let title = format!("nothing changed: {}", self.what);
        let unchanged = race(self.lane, &title, rounds, &mut sides)?;
        let change = || {
            count.set(count.get() + 1);
            edit(count.get());
            age();
        };
        for side in &mut sides {
            side.before = Box::new(change);
        }
        let edited = race(self.lane, self.edited, rounds, &mut sides)?;
        Ok(Measured { tables: vec![cold, unchanged, edited], curves: Vec::new() })
    }
}
