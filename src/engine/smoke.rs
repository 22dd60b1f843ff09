//! Starts a verified program once in a sealed root: the proof by experiment beside that by bytes.
//!
//! A program is started as its target says (`smoke`), a test binary with `-test.list=.`, which runs
//! what initialises its packages and no test. It must end by itself with code 0, or that which its
//! target says, and, if that is said, print something. What ended well is remembered under the
//! bytes of the program and all that decided the run, so that the same bytes are not started again.
//!
//! What fails here has failed: its file stays where a verified file stands, and the ledger says of
//! its linkage what its bytes show, but the build ends with 6. Where no sealed root can be made
//! nothing is claimed, and the build ends with 36.

use crate::effects::process::{Ended, Invocation, OUTPUT_LIMIT, ProcessError};
use crate::effects::sealed::{self, Root, SealedError};
use crate::engine::event::{Finished, Smoked, State};
use crate::engine::go_unit::Unit;
use crate::engine::session::{Delivery, Recorded, Session};
use crate::model::target::{Rule, Smoke};
use crate::words::digest::Digest;
use crate::words::exit_code::ExitCode;
use crate::words::path::OUTPUT_FOLDER;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The most of a program's words that is shown.
const MOST_LINES: usize = 10;

/// Why a program did not pass.
struct Unpassed {
    error: String,
    hint: Option<&'static str>,
    code: ExitCode,
}

/// Starts what is delivered, if that is asked for, and adds what came of it.
#[must_use]
pub fn smoke(session: &Session<'_>, unit: &Unit<'_>, delivery: Delivery) -> Delivery {
    let Delivery { finished, record } = delivery;
    if !session.request.smoke || session.outputs.is_none() {
        return Delivery { finished, record };
    }
    let (Some(smoke), Some(Recorded::Linkage(linkage))) = (meant(unit), &record) else {
        return Delivery {
            finished: Finished { smoke: Some(Smoked::NotMeant), ..finished },
            record,
        };
    };
    let key = key(&linkage.blake3, &smoke);
    let store = &session.machine.store;
    if store.action::<Passed>(&key).is_some() {
        return Delivery { finished: Finished { smoke: Some(Smoked::Known), ..finished }, record };
    }
    let finished = match start(session, unit, &smoke) {
        Ok(()) => {
            store.put_action(&key, &Passed { smoke: linkage.blake3 });
            Finished { smoke: Some(Smoked::Passed), ..finished }
        }
        Err(Unpassed { error, hint, code }) => Finished {
            state: State::Failed,
            smoke: Some(match code {
                ExitCode::PromiseBroken => Smoked::Failed,
                _ => Smoked::NotTried,
            }),
            error: Some(error),
            hints: hint.into_iter().map(str::to_owned).collect(),
            exit_code: code.number(),
            ..finished
        },
    };
    Delivery { finished, record }
}

/// What the store keeps of a start that ended well.
#[derive(serde::Serialize, serde::Deserialize)]
struct Passed {
    /// The program's bytes.
    smoke: Digest,
}

/// Returns how a program is to be started; `None` if it does not say, or is not for this machine.
fn meant(unit: &Unit<'_>) -> Option<Smoke> {
    let platform = &unit.of.settings.platform;
    let own = |said: &Option<String>, own: &str| said.as_deref().is_none_or(|it| it == own);
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    if !own(&platform.goos, std::env::consts::OS) || !own(&platform.goarch, architecture) {
        return None;
    }
    match &unit.of.target.rule {
        Rule::GoBinary(it) => it.smoke.as_deref().cloned(),
        _ => Some(Smoke { args: vec!["-test.list=.".to_owned()], ..Smoke::default() }),
    }
}

/// Everything that decides how such a start ends, as far as it is ours.
fn key(program: &Digest, smoke: &Smoke) -> Digest {
    let Smoke { args, stdout, exit, timeout } = smoke;
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    add(b"linkwright smoke 2");
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(program.as_bytes());
    add(&timeout.as_nanos().to_le_bytes());
    add(&[*exit]);
    // What is not said differs from what is said to be empty.
    add(&[u8::from(stdout.is_some())]);
    add(stdout.as_deref().unwrap_or_default().as_bytes());
    for arg in args {
        add(arg.as_bytes());
    }
    Digest::from_hasher(&hasher)
}

fn start(session: &Session<'_>, unit: &Unit<'_>, smoke: &Smoke) -> Result<(), Unpassed> {
    let machine = session.machine;
    let Some(guard) = &machine.guard else {
        return Err(not_tried("there is no guard, which a sealed run needs".to_owned(), None));
    };
    let program = unit.output.below(&session.request.root.join(OUTPUT_FOLDER));
    let fixed = [("HOME", "/tmp"), ("PATH", "/bin"), ("TMPDIR", "/tmp")];
    let invocation = Invocation {
        program,
        args: smoke.args.iter().map(Into::into).collect(),
        env: BTreeMap::from(fixed.map(|(name, value)| (name.into(), value.into()))),
        folder: PathBuf::from("/"),
        limit: smoke.timeout,
        most_output: OUTPUT_LIMIT,
    };
    let shown = format!("{OUTPUT_FOLDER}/{}", unit.output);
    let step = session.step(
        format!("start {shown} in a sealed root"),
        &shown,
        &smoke.args,
        &BTreeMap::new(),
        &session.request.root,
    );
    let ended = sealed::run(&Root::default(), &invocation, guard, &machine.interrupt);
    let passed = ended.map_err(|it| unpassed(&it)).and_then(|it| judge(&it, smoke));
    session.step_ended(step, passed.is_ok());
    passed
}

fn judge(ended: &Ended, smoke: &Smoke) -> Result<(), Unpassed> {
    let broken = |why: String| {
        let words = ended.stdout_text() + &ended.stderr_text();
        let lines: Vec<_> = std::iter::once("").chain(words.lines()).take(MOST_LINES).collect();
        let lines = lines.join("\n    ");
        Unpassed {
            error: format!("verified, and does not start in a sealed root: {why}{lines}"),
            hint: None,
            code: ExitCode::PromiseBroken,
        }
    };
    if ended.status.code() != Some(i32::from(smoke.exit)) {
        let wanted = if smoke.exit == 0 { String::new() } else { format!(", not {}", smoke.exit) };
        return Err(broken(format!("{}{wanted}", ended.how())));
    }
    match &smoke.stdout {
        Some(text) if !ended.stdout_text().contains(text) => {
            Err(broken(format!("it does not print `{text}`")))
        }
        _ => Ok(()),
    }
}

fn unpassed(error: &SealedError) -> Unpassed {
    match error {
        SealedError::Process(ProcessError::Interrupted) => {
            Unpassed { error: "interrupted".to_owned(), hint: None, code: ExitCode::Interrupted }
        }
        SealedError::NotSealed(_)
        | SealedError::Process(ProcessError::Spawn { .. })
        | SealedError::Missing { .. }
        | SealedError::Place { .. } => not_tried(error.to_string(), error.hint()),
        SealedError::Loader { .. }
        | SealedError::NotStarted { .. }
        | SealedError::Process(ProcessError::TooLong { .. }) => Unpassed {
            error: format!("verified, and does not start in a sealed root: {error}"),
            hint: error.hint(),
            code: ExitCode::PromiseBroken,
        },
    }
}

fn not_tried(why: String, hint: Option<&'static str>) -> Unpassed {
    let error = format!("verified, and not started in a sealed root: {why}");
    Unpassed { error, hint, code: ExitCode::MachineLacks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn whatever_decides_a_start_is_in_its_key() {
        let program = Digest::of(b"a");
        let smoke = Smoke { args: vec!["a".into(), "b".into()], ..Smoke::default() };
        let keys = [
            key(&program, &smoke),
            key(&Digest::of(b"b"), &smoke),
            key(&program, &Smoke { args: vec!["ab".into()], ..smoke.clone() }),
            key(&program, &Smoke { stdout: Some(String::new()), ..smoke.clone() }),
            key(&program, &Smoke { stdout: Some("a".into()), ..smoke.clone() }),
            key(&program, &Smoke { exit: 1, ..smoke.clone() }),
            key(&program, &Smoke { timeout: Duration::from_secs(1), ..smoke }),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(one), "{at}");
        }
    }
}
