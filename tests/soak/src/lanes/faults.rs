//! Faults: runs that are killed, refused by the system, cut off from power, or find their files
//! damaged; and after each the next build is right, the one after it idle.
//!
//! A seed is one case, or a few that follow on each other in one workspace.

mod corrupt;
mod kill_real;
mod power;
mod racing;
mod strikes;

use crate::bench::{Programs, Toolchain};
use crate::lane::{About, Budget, Floor, Lane, Tally, Violation};
use std::time::Duration;

/// What a seed came to: how many cases, and what broke the contract.
type Came = (u64, Result<(), String>);

/// The cases of a lane.
trait Cases {
    /// Runs those of one seed.
    fn run(&self, programs: &Programs, seed: u64) -> Came;
}

/// A lane of such cases.
struct Faults {
    about: About,
    cases: Box<dyn Cases>,
}

/// Returns the lanes.
pub(super) fn all() -> Vec<Box<dyn Lane>> {
    let lane = |name, toolchain, share, (fewest, seconds), cases| -> Box<dyn Lane> {
        let in_ci = Floor { cases: fewest, time: Duration::from_secs(seconds), fewest };
        Box::new(Faults { about: About { name, toolchain, share, in_ci }, cases })
    };
    let (stub, real) = (Toolchain::Stub, Toolchain::Real);
    vec![
        lane("kill", stub, 15, (64, 120), Box::<strikes::Kills>::default()),
        lane("errno", stub, 10, (96, 150), Box::<strikes::Errors>::default()),
        lane("corrupt", stub, 5, (160, 120), Box::<corrupt::Damages>::default()),
        lane("power", stub, 10, (24, 90), Box::<power::PowerLosses>::default()),
        lane("racing", stub, 5, (16, 60), Box::<racing::Races>::default()),
        lane("kill_real", real, 15, (4, 180), Box::<kill_real::RealKills>::default()),
    ]
}

impl Faults {
    fn violation(&self, programs: &Programs, seed: u64, what: String) -> Violation {
        Violation::written(programs, (self.about.name, seed), None, &[], what)
    }
}

impl Lane for Faults {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, programs: &Programs, seed: u64, budget: Budget) -> Tally {
        let mut tally = Tally::default();
        while !budget.is_met_by(&tally) {
            let seed = seed + tally.seeds;
            let (cases, ended) = self.cases.run(programs, seed);
            tally.seeds += 1;
            tally.cases += cases;
            if let Err(what) = ended {
                tally.violations.push(self.violation(programs, seed, what));
            }
        }
        tally
    }

    fn replay(&self, programs: &Programs, seed: u64, _only: Option<&[usize]>) -> Tally {
        let (cases, ended) = self.cases.run(programs, seed);
        let violations = ended.err().map(|it| self.violation(programs, seed, it));
        Tally { cases, seeds: 1, violations: violations.into_iter().collect() }
    }
}
