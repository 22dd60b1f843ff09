//! The lanes `kill` and `errno`: one chosen system call of a run is struck, and the contract held
//! against what follows.
//!
//! The points of a scene are counted once, in a run that nothing strikes. Seeds that follow on each
//! other go through the scenes in turn and through the points of each in strides that miss none:
//! so a few seeds are a sample, and as many seeds as there are points are all of them.

use super::{Came, Cases};
use crate::bench::Programs;
use crate::faults::calls::{Call, Family};
use crate::faults::contract::{
    Moment, Oracle, Oracles, brief, ends_well, is_right, old_or_new, old_or_new_ledger, quiet,
    records_are_true, recovers,
};
use crate::faults::scene::Scene;
use crate::faults::subject::{LIMIT, Make, Subject, Version};
use crate::faults::tracer::{Plan, Strike, Traced, trace};
use crate::random::Random;
use nix::errno::Errno;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// The longest that a child may live on after linkwright was killed.
const AFTERLIFE: Duration = Duration::from_secs(5);

/// Where a fault is, as a user would see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// In the store alone.
    Store,
    /// In the workspace alone.
    Workspace,
    /// In both.
    Everywhere,
}

/// The errors that are injected: each with the calls that may return it.
const ERRORS: [(Errno, Family); 6] = [
    (Errno::ENOSPC, Family::Grow),
    (Errno::EIO, Family::Any),
    (Errno::EMFILE, Family::Open),
    (Errno::EROFS, Family::Alter),
    (Errno::EDQUOT, Family::Grow),
    (Errno::EACCES, Family::Open),
];

/// One case.
#[derive(Debug, Clone)]
struct Case {
    make: Make,
    scene: Scene,
    place: Place,
    /// Which calls are counted.
    family: Family,
    strike: Strike,
    /// Which of them is struck.
    at: u64,
    /// The number of the call at which the run that recovers is killed too.
    again: Option<u64>,
}

/// What was learnt of the scenes so far.
#[derive(Default)]
struct Known {
    oracles: Oracles,
    calls: Mutex<HashMap<(Make, Scene), Calls>>,
}

/// The calls of a run, each with whether it touches the store.
type Calls = Vec<(bool, Call)>;

/// SIGKILL before each change of the disk.
#[derive(Default)]
pub(super) struct Kills(Known);

/// An error of the system, once or from one call on.
#[derive(Default)]
pub(super) struct Errors(Known);

impl Cases for Kills {
    fn run(&self, programs: &Programs, seed: u64) -> Came {
        let (round, make, scene) = turn(seed);
        let again = Random::new(seed).once_in(4);
        let case = |at: u64, count: u64| Case {
            make,
            scene,
            place: Place::Everywhere,
            family: Family::Change,
            strike: Strike::Kill,
            at,
            again: again.then_some(1 + round % count),
        };
        self.0.came(programs, (make, scene), (Place::Everywhere, Family::Change), round, case)
    }
}

impl Cases for Errors {
    fn run(&self, programs: &Programs, seed: u64) -> Came {
        let (round, make, scene) = turn(seed);
        // Which error and which place follow each other, for every scene.
        let kinds = ERRORS.len() as u64 * 4;
        let (kind, round) = (round.wrapping_add(seed % 16 * 5) % kinds, round / kinds);
        let (error, family) = ERRORS[usize::try_from(kind / 4).unwrap()];
        let place = if kind.is_multiple_of(2) { Place::Store } else { Place::Workspace };
        let strike =
            if (kind / 2).is_multiple_of(2) { Strike::Fail(error) } else { Strike::FailOn(error) };
        let case = |at, _| Case { make, scene, place, family, strike, at, again: None };
        self.0.came(programs, (make, scene), (place, family), round, case)
    }
}

/// What a seed is about: a scene, and how often it had its turn before.
fn turn(seed: u64) -> (u64, Make, Scene) {
    let scenes = Scene::ALL.len() as u64;
    let make = Make::in_turn(seed / scenes);
    let scene = Scene::ALL[usize::try_from(seed % scenes).unwrap()];
    (seed / (2 * scenes), make, scene)
}

/// The point of a round: strides of about the golden section of the count, with which it has no
/// common divisor, come to every point once before they come to any again.
fn point(round: u64, count: u64) -> u64 {
    let common = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let stride = (count * 5 / 8..count).find(|it| common(*it, count) == 1).unwrap_or(1);
    1 + (round % count) * stride % count
}

impl Known {
    fn came(
        &self,
        programs: &Programs,
        (make, scene): (Make, Scene),
        (place, family): (Place, Family),
        round: u64,
        case: impl FnOnce(u64, u64) -> Case,
    ) -> Came {
        let counted = self.count(programs, make, scene, |it, call| {
            let is_there = match place {
                Place::Store => it,
                Place::Workspace => !it,
                Place::Everywhere => true,
            };
            is_there && call.families.contains(&family)
        });
        let oracle = self.oracles.of(programs, make);
        match (counted, oracle) {
            // There is no such call, so no such case.
            (Ok(0), _) => (0, Ok(())),
            (Ok(count), Ok(oracle)) => {
                let case = case(point(round, count), count);
                (1, case.run(programs, &oracle))
            }
            (Err(error), _) | (_, Err(error)) => (0, Err(error)),
        }
    }

    fn count(
        &self,
        programs: &Programs,
        make: Make,
        scene: Scene,
        counts: impl Fn(bool, &Call) -> bool,
    ) -> Result<u64, String> {
        let mut known = self.calls.lock().unwrap();
        let calls = match known.entry((make, scene)) {
            Entry::Occupied(it) => it.into_mut(),
            Entry::Vacant(it) => it.insert(calls_of(programs, make, scene)?),
        };
        let counted = calls.iter().filter(|(is_in_store, call)| counts(*is_in_store, call));
        Ok(counted.count() as u64)
    }
}

/// Lists the calls of a scene's run, which nothing strikes.
fn calls_of(programs: &Programs, make: Make, scene: Scene) -> Result<Calls, String> {
    let subject = Subject::new(programs, make)?;
    scene.set(&subject)?;
    let (place, family, strike) = (Place::Everywhere, Family::Any, Strike::Count);
    let case = Case { make, scene, place, family, strike, at: 0, again: None };
    let traced = case.strike(&subject, 0, strike)?;
    let is_in_store = |it: &Call| it.path.starts_with(subject.store());
    Ok(traced.seen.into_iter().map(|it| (is_in_store(&it), it)).collect())
}

impl Case {
    fn run(&self, programs: &Programs, oracle: &Oracle) -> Result<(), String> {
        let subject = Subject::new(programs, self.make)?;
        let version = self.scene.set(&subject)?;
        let old = Moment::of(&subject);
        let traced = self.strike(&subject, self.at, self.strike)?;
        let broken = |it: String| {
            let struck = traced.struck.as_deref().unwrap_or("nothing was struck");
            format!("{self:?} ({struck}): {it}")
        };
        self.judge(&subject, oracle, version, (&old, &traced)).map_err(broken)
    }

    fn judge(
        &self,
        subject: &Subject<'_>,
        oracle: &Oracle,
        version: Version,
        (old, traced): (&Moment, &Traced),
    ) -> Result<(), String> {
        let expected = oracle.expected(version);
        quiet(subject, AFTERLIFE)?;
        old_or_new(subject, old, expected)?;
        if traced.hung {
            return Err("it hangs".to_owned());
        }
        let ledger = old_or_new_ledger(subject, old, expected);
        if self.strike == Strike::Kill {
            ledger?;
        } else {
            // A target that could not be brought to its end has no record.
            ledger.or_else(|_| records_are_true(subject))?;
            let ended = subject.said(traced.code, traced.hung);
            ends_well(&ended, subject)?;
            if ended.code == Some(0) && self.scene != Scene::Collect {
                is_right(subject, expected).map_err(|it| format!("with code 0 {it}"))?;
            }
            let needs_store = self.scene == Scene::Collect;
            if self.place == Place::Store && !needs_store && ended.code != Some(0) {
                let said = brief(&ended);
                return Err(format!("trouble with the store alone fails the run: {said}"));
            }
        }
        if let Some(again) = self.again {
            self.strike(subject, again, Strike::Kill)?;
            quiet(subject, AFTERLIFE)?;
            old_or_new(subject, old, expected).map_err(|it| format!("killed again: {it}"))?;
        }
        recovers(subject, expected)
    }

    fn strike(&self, subject: &Subject<'_>, at: u64, strike: Strike) -> Result<Traced, String> {
        let below: Vec<PathBuf> = match self.place {
            Place::Store => vec![subject.store()],
            Place::Workspace => vec![subject.path("")],
            Place::Everywhere => vec![subject.store(), subject.path("")],
        };
        let plan = Plan { family: self.family, below, at, strike };
        let mut command = subject.linkwright(self.scene.arguments());
        trace(&mut command, &plan, LIMIT).map_err(|it| format!("cannot be traced: {it}"))
    }
}

#[cfg(test)]
mod tests {
    use super::point;
    use std::collections::BTreeSet;

    #[test]
    fn as_many_rounds_as_points_come_to_every_point() {
        for count in 1..200 {
            let points: BTreeSet<_> = (0..count).map(|it| point(it, count)).collect();
            assert_eq!(points, (1..=count).collect(), "of {count}");
        }
    }
}
