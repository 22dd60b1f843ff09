//! The lane `kill_real`: builds with the real Go are killed at random moments, one after the other
//! in one workspace whose sources go to and fro; after each the contract holds.

use super::{Came, Cases};
use crate::bench::Programs;
use crate::faults::contract::{Moment, Oracle, old_or_new, old_or_new_ledger, quiet, recovers};
use crate::faults::subject::{Make, Subject, Version};
use crate::random::Random;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many kills follow on each other in one workspace.
const ROUNDS: u64 = 4;

/// The lane.
#[derive(Default)]
pub(super) struct RealKills {
    /// What is right, and how long a build takes.
    known: Mutex<Option<(Oracle, Duration)>>,
}

impl Cases for RealKills {
    fn run(&self, programs: &Programs, seed: u64) -> Came {
        match self.known(programs) {
            Ok((oracle, time)) => kills(programs, &oracle, time, seed),
            Err(error) => (0, Err(error)),
        }
    }
}

impl RealKills {
    fn known(&self, programs: &Programs) -> Result<(Oracle, Duration), String> {
        let mut known = self.known.lock().unwrap();
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let oracle = Oracle::of(programs, Make::RealGo)?;
        // Timed in a second round, with everything of the standard library compiled.
        let began = Instant::now();
        Make::RealGo.expected(programs, Version::B)?;
        Ok(known.insert((oracle, began.elapsed())).clone())
    }
}

fn kills(programs: &Programs, oracle: &Oracle, time: Duration, seed: u64) -> Came {
    let subject = match Subject::new(programs, Make::RealGo) {
        Ok(subject) => subject,
        Err(error) => return (0, Err(error)),
    };
    let mut version = Version::A;
    for round in 0..ROUNDS {
        let mut random = Random::at(seed, round);
        subject.bring(version);
        let old = Moment::of(&subject);
        let most = u64::try_from(time.as_millis()).unwrap_or(1000) * 11 / 10;
        let wait = Duration::from_millis(random.next() % most.max(1));
        let ended = kill_after(&subject, wait)
            .and_then(|()| quiet(&subject, Duration::from_secs(10)))
            .and_then(|()| old_or_new(&subject, &old, oracle.expected(version)))
            .and_then(|()| old_or_new_ledger(&subject, &old, oracle.expected(version)))
            .and_then(|()| recovers(&subject, oracle.expected(version)));
        if let Err(what) = ended {
            return (round + 1, Err(format!("round {round}, killed after {wait:?}: {what}")));
        }
        // The third version has no second target to lose here: it is the second again.
        version = if version == Version::A { Version::B } else { Version::A };
    }
    (ROUNDS, Ok(()))
}

/// Starts a build and kills its process group.
fn kill_after(subject: &Subject<'_>, wait: Duration) -> Result<(), String> {
    let mut command = subject.linkwright(&["build", "--json"]);
    let mut child = command.process_group(0).spawn().map_err(|it| it.to_string())?;
    std::thread::sleep(wait);
    // It may have ended before; then this was no kill but a build.
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    child.wait().map_err(|it| it.to_string())?;
    Ok(())
}
