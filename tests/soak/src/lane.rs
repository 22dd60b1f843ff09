//! One kind of case, which can be run any number of times from a seed.

use crate::bench::{Programs, Toolchain};
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A kind of case.
pub trait Lane {
    /// What it is.
    fn about(&self) -> &About;

    /// Runs cases from `seed` on until the budget is used up.
    fn run(&self, programs: &Programs, seed: u64, budget: Budget) -> Tally;

    /// Runs one seed again, with these steps alone where they are named.
    fn replay(&self, programs: &Programs, seed: u64, only: Option<&[usize]>) -> Tally;
}

/// What a lane is.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its name on the command line and in the ledger.
    pub name: &'static str,
    /// With which `go`: stub and real counts are never added up.
    pub toolchain: Toolchain,
    /// Its part of a soak's time, against the parts of the others.
    pub share: u32,
    /// The cases that CI runs, and the fewest that must come out of them.
    pub in_ci: Floor,
}

/// What CI asks of a lane.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// It stops after so many cases, or this time.
    pub cases: u64,
    /// The longest.
    pub time: Duration,
    /// Fewer are a failure.
    pub fewest: u64,
}

/// How long a lane may go on: it ends with the case that reaches either.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    cases: u64,
    until: Instant,
    /// The first violation is enough, as it came.
    pub is_for_one: bool,
}

/// What a lane did.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Cases that were run to their end.
    pub cases: u64,
    /// Seeds that were begun, from the first.
    pub seeds: u64,
    /// What broke a promise.
    pub violations: Vec<Violation>,
}

/// A broken promise, and how to see it again.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The lane.
    pub lane: &'static str,
    /// The seed.
    pub seed: u64,
    /// The fewest steps that show it, if it was shrunk.
    pub only: Option<Vec<usize>>,
    /// What was promised and what came.
    pub what: String,
    /// Where it is written down.
    pub repro: Option<PathBuf>,
}

impl Budget {
    /// Allows so many cases in so much time.
    #[must_use]
    pub fn new(cases: u64, time: Duration) -> Self {
        Self { cases, until: Instant::now() + time, is_for_one: false }
    }

    /// Ends at the first violation, which is told as it came.
    #[must_use]
    pub fn for_one_violation(self) -> Self {
        Self { is_for_one: true, ..self }
    }

    /// Returns what is left of it after so many cases.
    #[must_use]
    pub fn after(self, cases: u64) -> Self {
        Self { cases: self.cases.saturating_sub(cases), ..self }
    }

    /// Tells whether what was found ends it.
    #[must_use]
    pub fn is_met_by(&self, tally: &Tally) -> bool {
        self.is_over(tally.cases) || (self.is_for_one && !tally.violations.is_empty())
    }

    /// Tells whether it is used up after so many cases.
    #[must_use]
    pub fn is_over(&self, cases: u64) -> bool {
        cases >= self.cases || Instant::now() >= self.until
    }
}

impl Violation {
    /// Writes down what was done and what broke, below the folder that is kept between runs.
    #[must_use]
    pub fn written(
        programs: &Programs,
        (lane, seed): (&'static str, u64),
        only: Option<Vec<usize>>,
        told: &[String],
        what: String,
    ) -> Self {
        let folder = programs.target.join("repro");
        let path = folder.join(format!("{lane}-{seed}.txt"));
        let lines = [told, std::slice::from_ref(&what), &[String::new()]].concat().join("\n");
        let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, lines));
        let repro = written.is_ok().then_some(path);
        Self { lane, seed, only, what, repro }
    }
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        let Self { cases, seeds, violations } = other;
        self.cases += cases;
        self.seeds += seeds;
        self.violations.extend(violations);
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "VIOLATION of {} at seed {}: {}", self.lane, self.seed, self.what)?;
        if let Some(path) = &self.repro {
            writeln!(out, "  written to {}", path.display())?;
        }
        write!(out, "  again: soak --lanes {} --replay {}", self.lane, self.seed)?;
        if let Some(only) = &self.only {
            let only: Vec<_> = only.iter().map(ToString::to_string).collect();
            write!(out, " --only {}", only.join(","))?;
        }
        Ok(())
    }
}
