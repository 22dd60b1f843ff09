//! The lane `racing`: two to four builds at once, in one workspace or in several that share a
//! store; some are killed at a random moment. Those that were not succeed, and afterwards the
//! contract holds in each workspace.

use super::{Came, Cases};
use crate::bench::Programs;
use crate::faults::contract::{Moment, Oracle, Oracles, brief, old_or_new, quiet, recovers};
use crate::faults::subject::{LIMIT, Make, Subject, Version};
use crate::random::Random;
use std::process::Child;
use std::time::{Duration, Instant};

/// The lane.
#[derive(Default)]
pub(super) struct Races(Oracles);

/// One of the builds.
struct Racer {
    child: Child,
    /// In which of the workspaces.
    at: usize,
    is_killed: bool,
}

impl Cases for Races {
    fn run(&self, programs: &Programs, seed: u64) -> Came {
        let mut random = Random::new(seed);
        let make = Make::in_turn(seed);
        let oracle = match self.0.of(programs, make) {
            Ok(oracle) => oracle,
            Err(error) => return (0, Err(error)),
        };
        (1, race(programs, make, &oracle, &mut random))
    }
}

fn race(
    programs: &Programs,
    make: Make,
    oracle: &Oracle,
    random: &mut Random,
) -> Result<(), String> {
    let count = 2 + random.below(3);
    let alone = random.once_in(2);
    let mut subjects = Vec::new();
    for _ in 0..if alone { 1 } else { count } {
        subjects.push(Subject::new(programs, make)?);
    }
    let store = subjects[0].store();
    let mut versions = Vec::new();
    for subject in &mut subjects {
        subject.share(&store);
        if random.once_in(2) {
            subject.bring(Version::A);
            let ended = subject.build();
            if ended.code != Some(0) {
                return Err(format!("the first build fails: {}", brief(&ended)));
            }
        }
        let version = if random.once_in(2) { Version::A } else { Version::B };
        subject.bring(version);
        versions.push(version);
    }
    let old: Vec<_> = subjects.iter().map(Moment::of).collect();
    let told = format!("{make:?}, {count} builds in {} workspaces", subjects.len());
    let mut racers = Vec::new();
    for number in 0..count {
        let at = number % subjects.len();
        let child = subjects[at].linkwright_as(number, &["build", "--json"]).spawn();
        let child = child.map_err(|it| format!("cannot start: {it}"))?;
        racers.push(Racer { child, at, is_killed: random.once_in(3) });
        std::thread::sleep(Duration::from_millis(random.below(15) as u64));
    }
    std::thread::sleep(Duration::from_millis(random.below(60) as u64));
    for racer in racers.iter_mut().filter(|it| it.is_killed) {
        let _ = racer.child.kill();
        std::thread::sleep(Duration::from_millis(random.below(10) as u64));
    }
    for (number, racer) in racers.iter_mut().enumerate() {
        let code = end(&mut racer.child);
        let subject = &subjects[racer.at];
        if !racer.is_killed && code != Some(0) {
            let said = brief(&subject.said_as(number, code, code.is_none()));
            return Err(format!("{told}: build {number} was left alone and fails: {said}"));
        }
    }
    for ((subject, version), old) in subjects.iter().zip(versions).zip(&old) {
        quiet(subject, Duration::from_secs(5)).map_err(|it| format!("{told}: {it}"))?;
        let expected = oracle.expected(version);
        old_or_new(subject, old, expected).map_err(|it| format!("{told}: {it}"))?;
        recovers(subject, expected).map_err(|it| format!("{told}: {it}"))?;
    }
    Ok(())
}

/// Waits for the end; `None` if it had to be killed, or was.
fn end(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code(),
            Ok(None) if began.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}
