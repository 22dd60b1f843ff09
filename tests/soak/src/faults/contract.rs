//! What must hold after any fault, whatever it was (`docs/trust.md`, "Faults").
//!
//! * Old or new: a published output, and the ledger, are one of the two, whole.
//! * The next ordinary build succeeds, and its bytes are those of a clean build.
//! * The build after that one does nothing.
//! * Nothing is left beside the outputs and the store, and no process lives on.
//! * A run ends in time, by itself, with a code that is documented; what it says names a path.

use crate::bench::Programs;
use crate::faults::subject::{Ended, Make, Published, Subject, Version, read_regular};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What a version makes.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The outputs.
    pub published: Published,
    /// The ledger.
    pub ledger: Option<Vec<u8>>,
}

/// What every version of one kind of workspace makes.
#[derive(Debug, Clone)]
pub struct Oracle {
    by_version: [Expected; 3],
}

impl Oracle {
    /// Builds every version clean.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with a clean build.
    pub fn of(programs: &Programs, make: Make) -> Result<Self, String> {
        let of = |version| {
            let (published, ledger) = make.expected(programs, version)?;
            Ok::<_, String>(Expected { published, ledger })
        };
        Ok(Self { by_version: [of(Version::A)?, of(Version::B)?, of(Version::Less)?] })
    }

    /// Returns what `version` makes.
    #[must_use]
    pub fn expected(&self, version: Version) -> &Expected {
        match version {
            Version::A => &self.by_version[0],
            Version::B => &self.by_version[1],
            Version::Less => &self.by_version[2],
        }
    }
}

/// The oracles of every kind of workspace, each made when it is first asked.
#[derive(Debug, Default)]
pub struct Oracles(Mutex<HashMap<Make, Oracle>>);

impl Oracles {
    /// Returns the one of `make`.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with a clean build.
    ///
    /// # Panics
    ///
    /// Panics if another thread did so before.
    pub fn of(&self, programs: &Programs, make: Make) -> Result<Oracle, String> {
        let mut known = self.0.lock().unwrap();
        if let Some(oracle) = known.get(&make) {
            return Ok(oracle.clone());
        }
        let oracle = Oracle::of(programs, make)?;
        known.insert(make, oracle.clone());
        Ok(oracle)
    }
}

/// What is published at one moment.
#[derive(Debug, Clone)]
pub struct Moment {
    published: Published,
    ledger: Option<Vec<u8>>,
}

impl Moment {
    /// Looks.
    #[must_use]
    pub fn of(subject: &Subject<'_>) -> Self {
        Self { published: subject.published(), ledger: subject.ledger() }
    }
}

/// Checks that what is published is as it was, or as it was to become.
///
/// # Errors
///
/// Returns what is neither.
pub fn old_or_new(subject: &Subject<'_>, old: &Moment, new: &Expected) -> Result<(), String> {
    for (name, now) in subject.published() {
        let (before, after) = (&old.published[&name], &new.published[&name]);
        // While a command runs, what its output was stands beside it.
        let is_aside = before.is_some() && subject.aside(&name) == *before;
        // What was made by a command that was killed is known to nobody yet.
        let is_in_the_making = before.is_none() && !name.starts_with("linkwright-out");
        if now != *before && now != *after && !is_aside && !is_in_the_making {
            return Err(format!(
                "`{name}` is neither old nor new: {}, was {}, was to be {}",
                shown(now.as_ref()),
                shown(before.as_ref()),
                shown(after.as_ref())
            ));
        }
    }
    Ok(())
}

/// Checks that the ledger is as it was, or as it was to become.
///
/// # Errors
///
/// Returns what it is.
pub fn old_or_new_ledger(
    subject: &Subject<'_>,
    old: &Moment,
    new: &Expected,
) -> Result<(), String> {
    let ledger = subject.ledger();
    if ledger == old.ledger || ledger == new.ledger {
        return Ok(());
    }
    Err(format!("the ledger is neither old nor new: {}", shown(ledger.as_ref())))
}

/// Checks that each record is of a file that is there, as it says.
///
/// # Errors
///
/// Returns the record that lies.
pub fn records_are_true(subject: &Subject<'_>) -> Result<(), String> {
    let Some(ledger) = subject.ledger() else { return Ok(()) };
    let ledger: Value = serde_json::from_slice(&ledger)
        .map_err(|it| format!("the ledger is not to be read: {it}"))?;
    for record in ledger["records"].as_array().into_iter().flatten() {
        let output = record["output"].as_str().unwrap_or_default();
        let bytes = read_regular(&subject.path("linkwright-out").join(output)).unwrap_or_default();
        let sum = Sha256::digest(&bytes);
        if record["sha256"] != format!("{sum:x}") {
            return Err(format!("the record of `{output}` is not of what is there"));
        }
    }
    Ok(())
}

/// Checks that the next build is right, the one after it idle, and nothing is left.
///
/// # Errors
///
/// Returns what is not so.
pub fn recovers(subject: &Subject<'_>, expected: &Expected) -> Result<(), String> {
    let next = subject.build();
    if next.hung || next.code != Some(0) {
        return Err(format!("the next build fails: {}", brief(&next)));
    }
    is_right(subject, expected).map_err(|it| format!("after the next build {it}"))?;
    let again = subject.build();
    if again.code != Some(0) {
        return Err(format!("the build after the next fails: {}", brief(&again)));
    }
    let done = done(&again).ok_or_else(|| format!("no last event: {}", brief(&again)))?;
    for count in ["built", "restored", "failed", "skipped"] {
        if done[count] != 0 {
            return Err(format!("the repeat is not idle: {done}"));
        }
    }
    is_right(subject, expected).map_err(|it| format!("after the repeat {it}"))?;
    let strays = subject.strays();
    if !strays.is_empty() {
        return Err(format!("left behind: {}", strays.join(", ")));
    }
    Ok(())
}

/// Checks that what is published is what is expected, the ledger with it.
///
/// # Errors
///
/// Returns the first difference.
pub fn is_right(subject: &Subject<'_>, expected: &Expected) -> Result<(), String> {
    for (name, now) in subject.published() {
        let due = &expected.published[&name];
        // A command's target that is gone leaves its output: it is the user's tree.
        let is_kept = due.is_none() && !name.starts_with("linkwright-out");
        if now != *due && !is_kept {
            let (now, due) = (shown(now.as_ref()), shown(due.as_ref()));
            return Err(format!("`{name}` is wrong: {now}, was to be {due}"));
        }
    }
    if subject.ledger() != expected.ledger {
        return Err(format!("the ledger is wrong: {}", shown(subject.ledger().as_ref())));
    }
    Ok(())
}

/// Checks the end of a run that a fault was put into: documented, in time, and in words.
///
/// # Errors
///
/// Returns what is not so.
pub fn ends_well(ended: &Ended, subject: &Subject<'_>) -> Result<(), String> {
    if ended.hung {
        return Err(format!("it hangs: {}", brief(ended)));
    }
    if ended.stderr.contains("panicked") {
        return Err(format!("it panics: {}", brief(ended)));
    }
    let known = [0, 1, 2, 6, 8, 9, 10, 11, 12, 36];
    let Some(code) = ended.code.filter(|it| known.contains(it)) else {
        return Err(format!("it ends with {:?}: {}", ended.code, brief(ended)));
    };
    let home = subject.home().to_string_lossy().into_owned();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let names = ["linkwright-out", ".out", ".ron", ".go", ".txt", ".sh", &home];
    if code == 12 && !names.iter().any(|it| said.contains(it)) {
        return Err(format!("code 12 and no path: {}", brief(ended)));
    }
    if code != 0 && ended.stderr.trim().is_empty() && !ended.stdout.contains("\"error\"") {
        return Err(format!("code {code} and no word: {}", brief(ended)));
    }
    Ok(())
}

/// Waits until no process works in the subject's home.
///
/// # Errors
///
/// Returns those that live longer than they may.
pub fn quiet(subject: &Subject<'_>, limit: Duration) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let alive = processes_in(subject.home());
        if alive.is_empty() {
            return Ok(());
        }
        if began.elapsed() > limit {
            return Err(format!("still alive: {}", alive.join(", ")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn processes_in(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let folder = entry.path();
        if std::fs::read_link(folder.join("cwd")).is_ok_and(|it| it.starts_with(home)) {
            let words = std::fs::read(folder.join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            found.push(format!("{} {words}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

/// The last event of a run.
#[must_use]
pub fn done(ended: &Ended) -> Option<Value> {
    let last: Value = serde_json::from_str(ended.stdout.lines().last()?).ok()?;
    (last["event"] == "done").then_some(last)
}

/// What a run said, without its small talk.
#[must_use]
pub fn brief(ended: &Ended) -> String {
    let telling = |it: &&str| ["error", "warning", "done"].iter().any(|word| it.contains(word));
    let lines: Vec<_> = ended.stdout.lines().filter(telling).collect();
    format!(
        "code {:?}{}\n{}\n{}",
        ended.code,
        if ended.hung { ", killed at the limit" } else { "" },
        lines.join("\n"),
        ended.stderr.trim()
    )
}

fn shown(bytes: Option<&Vec<u8>>) -> String {
    match bytes {
        None => "absent".to_owned(),
        Some(it) if it.len() <= 60 => format!("{:?}", String::from_utf8_lossy(it)),
        Some(it) => {
            let words = ["alpha", "beta-longer"];
            let holds = |word: &&&str| it.windows(word.len()).any(|part| part == word.as_bytes());
            let of: Vec<_> = words.iter().filter(holds).copied().collect();
            format!("{} bytes of {}", it.len(), of.join(" and "))
        }
    }
}
