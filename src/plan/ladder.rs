//! Climbing a ladder: which rung to look at, which to try, when to give up.
//!
//! Pure state: the engine asks [`Climb::step`] what is next, does it, and tells what came of it.
//!
//! ```text
//!   each rung in order:  Look ──▶ impossible: noted, next rung
//!                             ──▶ breaks:     postponed, next rung
//!                             ──▶ holds:      Try ──▶ verified: done
//!                                                 ──▶ anything else: noted, next rung
//!   no rung left:        Try each postponed one, so that a file decides; then GiveUp
//! ```
//!
//! A rung that was postponed and never needed is noted as impossible, with its forecast.

use crate::model::strategy::Ladder;
use crate::plan::predict::{Forecast, Obstacle};
use crate::plan::record::{Attempt, AttemptOutcome};
use crate::words::exit_code::ExitCode;
use std::sync::Arc;

/// What to do next for one output; rungs are numbers into the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Forecast this rung.
    Look(usize),
    /// Build by this rung.
    Try(usize),
    /// A rung verified.
    Done(usize),
    /// No rung is left.
    GiveUp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rung {
    Unseen,
    Holds,
    Postponed(String),
    Ended(AttemptOutcome, Option<String>),
}

/// One output on its way down a ladder.
#[derive(Debug, Clone)]
pub struct Climb {
    ladder: Arc<Ladder>,
    rungs: Vec<Rung>,
    obstacles: Vec<Obstacle>,
    hints: Vec<String>,
}

impl Climb {
    /// Begins at the first rung.
    #[must_use]
    pub fn new(ladder: Arc<Ladder>) -> Self {
        let rungs = vec![Rung::Unseen; ladder.tries.len()];
        Self { ladder, rungs, obstacles: Vec::new(), hints: Vec::new() }
    }

    /// Returns the ladder.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// Says what is next.
    #[must_use]
    pub fn step(&self) -> Step {
        let at = |wanted: &dyn Fn(&Rung) -> bool| self.rungs.iter().position(wanted);
        if let Some(rung) = at(&|it| matches!(it, Rung::Ended(AttemptOutcome::Verified, _))) {
            return Step::Done(rung);
        }
        let open = at(&|it| matches!(it, Rung::Unseen | Rung::Holds));
        match open.map(|it| (it, &self.rungs[it])) {
            Some((rung, Rung::Holds)) => Step::Try(rung),
            Some((rung, _)) => Step::Look(rung),
            None => match at(&|it| matches!(it, Rung::Postponed(_))) {
                Some(rung) => Step::Try(rung),
                None => Step::GiveUp,
            },
        }
    }

    /// Takes the forecast of a rung.
    pub fn foresee(&mut self, rung: usize, forecast: Forecast) {
        self.rungs[rung] = match forecast {
            Forecast::Holds => Rung::Holds,
            Forecast::Breaks { reason } => Rung::Postponed(reason),
            Forecast::Impossible { reason, obstacle, hint } => {
                self.obstacles.push(obstacle);
                self.hints.extend(hint);
                Rung::Ended(AttemptOutcome::Impossible, Some(reason))
            }
        };
    }

    /// Takes what came of trying a rung.
    pub fn tried(&mut self, rung: usize, outcome: AttemptOutcome, reason: Option<String>) {
        self.rungs[rung] = Rung::Ended(outcome, reason);
    }

    /// Begins again: what was foreseen and tried rested on inputs that changed.
    pub fn again(&mut self) {
        *self = Self::new(Arc::clone(&self.ladder));
    }

    /// Returns the attempts so far, in ladder order; rungs that were never needed are left out.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for (strategy, rung) in self.ladder.tries.iter().zip(&self.rungs) {
            let (outcome, reason) = match rung {
                Rung::Unseen | Rung::Holds => continue,
                Rung::Postponed(reason) => (AttemptOutcome::Impossible, Some(reason.clone())),
                Rung::Ended(outcome, reason) => (*outcome, reason.clone()),
            };
            attempts.push(Attempt { strategy: strategy.name.clone(), outcome, reason });
        }
        attempts
    }

    /// Tells whether the rung of the strategy `name` is forecast to break its promise.
    #[must_use]
    pub fn is_postponed(&self, name: &str) -> bool {
        let mut rungs = self.ladder.tries.iter().zip(&self.rungs);
        rungs.any(|(it, rung)| it.name == name && matches!(rung, Rung::Postponed(_)))
    }

    /// Takes what would make a rung that was tried hold.
    pub fn advise(&mut self, hints: impl IntoIterator<Item = String>) {
        self.hints.extend(hints);
    }

    /// Returns what would make a rung possible or hold, each once.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for hint in &self.hints {
            if !hints.contains(hint) {
                hints.push(hint.clone());
            }
        }
        hints
    }

    /// Returns the exit code of having given up: a failed build before a broken promise, and what
    /// the machine lacks only where nothing else was tried.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let ended = |outcome| {
            self.rungs.iter().any(|it| matches!(it, Rung::Ended(got, _) if *got == outcome))
        };
        if ended(AttemptOutcome::Failed) {
            ExitCode::BuildFailed
        } else if ended(AttemptOutcome::NotAsPromised) {
            ExitCode::PromiseBroken
        } else if self.obstacles.contains(&Obstacle::Machine) {
            ExitCode::MachineLacks
        } else if self.obstacles.iter().all(|it| *it == Obstacle::Load) {
            ExitCode::BuildFailed
        } else {
            ExitCode::PromiseBroken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::strategy::{Promise, Strategy};

    fn climb(rungs: usize) -> Climb {
        let strategy = |name: usize| {
            Arc::new(Strategy {
                name: format!("s{name}"),
                promise: Promise::Static,
                ..Strategy::default()
            })
        };
        let tries = (0..rungs).map(strategy).collect();
        Climb::new(Arc::new(Ladder { name: "l".into(), doc: String::new(), tries }))
    }

    fn breaks() -> Forecast {
        Forecast::Breaks { reason: "it will break".into() }
    }

    fn impossible(obstacle: Obstacle) -> Forecast {
        Forecast::Impossible { reason: "it cannot be".into(), obstacle, hint: None }
    }

    #[test]
    fn a_rung_that_holds_is_tried_before_one_that_breaks() {
        let mut climb = climb(2);
        assert_eq!(climb.step(), Step::Look(0));
        climb.foresee(0, breaks());
        assert_eq!(climb.step(), Step::Look(1));
        climb.foresee(1, Forecast::Holds);
        assert_eq!(climb.step(), Step::Try(1));
        climb.tried(1, AttemptOutcome::Verified, None);
        assert_eq!(climb.step(), Step::Done(1));
        let outcomes: Vec<_> = climb.attempts().into_iter().map(|it| it.outcome).collect();
        assert_eq!(outcomes, [AttemptOutcome::Impossible, AttemptOutcome::Verified]);
    }

    #[test]
    fn a_rung_that_breaks_is_built_when_none_is_left_so_that_a_file_decides() {
        let mut climb = climb(2);
        climb.foresee(0, breaks());
        climb.foresee(1, impossible(Obstacle::Machine));
        assert_eq!(climb.step(), Step::Try(0));
        climb.tried(0, AttemptOutcome::NotAsPromised, Some("it needs `libc.so.6`".into()));
        assert_eq!(climb.step(), Step::GiveUp);
        assert_eq!(climb.exit_code(), ExitCode::PromiseBroken);
    }

    #[test]
    fn a_later_rung_is_not_looked_at_once_one_verified() {
        let mut climb = climb(3);
        climb.foresee(0, Forecast::Holds);
        climb.tried(0, AttemptOutcome::Verified, None);
        assert_eq!(climb.step(), Step::Done(0));
        assert_eq!(climb.attempts().len(), 1);
    }

    #[test]
    fn the_exit_code_says_whose_fault_it_is() {
        let all = |obstacle| {
            let mut climb = climb(1);
            climb.foresee(0, impossible(obstacle));
            climb.exit_code()
        };
        assert_eq!(all(Obstacle::Machine), ExitCode::MachineLacks);
        assert_eq!(all(Obstacle::Load), ExitCode::BuildFailed);
        assert_eq!(all(Obstacle::Rule), ExitCode::PromiseBroken);
    }
}
