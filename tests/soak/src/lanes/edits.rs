//! Incremental equals clean: random edits of a random module, and after each the same result as if
//! nothing had ever been built before.
//!
//! After each step:
//!
//! | check | against |
//! |---|---|
//! | exit code | the model: 0, or 1 where something does not compile |
//! | bytes of each output (stub), its words (real) | what the model computes |
//! | bytes of each output, sampled | a build elsewhere with an empty store |
//! | what does not compile left the old output alone | the bytes before |
//! | no output that no target makes | the model |
//! | only what had to be linked was | inputs that were linked before are not linked again |
//! | the ledger says the size and the class of each file | the file |
//! | a second run does nothing and changes no byte of the ledger | its counts |
//!
//! A failing sequence is shrunk by leaving out steps, each of which has random numbers of its own.

mod sequence;

use crate::bench::{Programs, Toolchain};
use crate::lane::{About, Budget, Floor, Lane, Tally, Violation};
use sequence::Sequence;
use std::time::{Duration, Instant};

/// The longest that a failing sequence is made shorter.
const SHRINK: Duration = Duration::from_secs(90);

/// Edits with one toolchain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edits {
    about: About,
    steps: usize,
}

/// With the stand-in.
pub(super) const FAKE: Edits = Edits {
    about: About {
        name: "edits_fake",
        toolchain: Toolchain::Stub,
        share: 10,
        in_ci: Floor { cases: 300, time: Duration::from_mins(5), fewest: 300 },
    },
    steps: 120,
};

/// With the real Go and C.
pub(super) const REAL: Edits = Edits {
    about: About {
        name: "edits_real",
        toolchain: Toolchain::Real,
        share: 15,
        in_ci: Floor { cases: 12, time: Duration::from_mins(10), fewest: 12 },
    },
    steps: 12,
};

impl Edits {
    /// Runs the named steps of a seed; counts them, and tells of the first that broke a promise.
    fn sequence(
        &self,
        programs: &Programs,
        seed: u64,
        only: Option<&[usize]>,
        budget: Option<Budget>,
    ) -> (Vec<String>, Result<(), String>) {
        let mut sequence = Sequence::new(programs, self.about.toolchain, seed);
        let mut told = vec![sequence.begun()];
        if let Err(error) = sequence.first() {
            return (told, Err(error));
        }
        let all: Vec<_> = (0..self.steps).collect();
        for step in only.unwrap_or(&all) {
            if budget.is_some_and(|it| it.is_over(told.len() as u64 - 1)) {
                break;
            }
            let (what, ended) = sequence.step(*step);
            told.push(format!("step {step}: {what}"));
            if ended.is_err() {
                return (told, ended);
            }
        }
        (told, Ok(()))
    }

    /// Leaves out steps for as long as the sequence still fails.
    fn shrink(&self, programs: &Programs, seed: u64, steps: usize) -> Vec<usize> {
        let began = Instant::now();
        let mut only: Vec<_> = (0..steps).collect();
        // The last step is the one that failed.
        let mut at = only.len().saturating_sub(1);
        let mut width = only.len() / 2;
        while width > 0 && began.elapsed() < SHRINK {
            at = at.saturating_sub(width);
            let mut fewer = only.clone();
            fewer.drain(at..(at + width).min(only.len().saturating_sub(1)));
            if fewer.len() < only.len()
                && self.sequence(programs, seed, Some(&fewer), None).1.is_err()
            {
                only = fewer;
            }
            if at == 0 {
                width /= 2;
                at = only.len().saturating_sub(1);
            }
        }
        only
    }

    fn violation(&self, programs: &Programs, seed: u64, only: Option<Vec<usize>>) -> Violation {
        let (told, ended) = self.sequence(programs, seed, only.as_deref(), None);
        let what = ended.err().unwrap_or_else(|| "it did not happen again".to_owned());
        Violation::written(programs, (self.about.name, seed), only, &told, what)
    }
}

impl Lane for Edits {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, programs: &Programs, seed: u64, budget: Budget) -> Tally {
        let mut tally = Tally::default();
        while !budget.is_met_by(&tally) {
            let seed = seed + tally.seeds;
            let left = budget.after(tally.cases);
            let (told, ended) = self.sequence(programs, seed, None, Some(left));
            tally.seeds += 1;
            tally.cases += told.len() as u64 - 1;
            let Err(what) = ended else { continue };
            let violation = if budget.is_for_one {
                Violation::written(programs, (self.about.name, seed), None, &told, what)
            } else {
                let only = self.shrink(programs, seed, told.len() - 1);
                let shrunk = self.violation(programs, seed, Some(only));
                Violation { what: format!("{}\n  at first: {what}", shrunk.what), ..shrunk }
            };
            tally.violations.push(violation);
        }
        tally
    }

    fn replay(&self, programs: &Programs, seed: u64, only: Option<&[usize]>) -> Tally {
        let (told, ended) = self.sequence(programs, seed, only, None);
        for line in &told {
            println!("{line}");
        }
        let mut tally = Tally { cases: told.len() as u64 - 1, seeds: 1, violations: Vec::new() };
        if let Err(what) = ended {
            let only = only.map(<[usize]>::to_vec);
            let id = (self.about.name, seed);
            tally.violations.push(Violation::written(programs, id, only, &told, what));
        }
        tally
    }
}
