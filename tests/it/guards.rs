//! The process between linkwright and a program, used as a library: everything passes through.

use crate::workspace::holds;
use linkwright::effects::process::{Ended, Guard, Interrupt, Invocation, OUTPUT_LIMIT, run};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn guarded(script: &str, limit: Duration, interrupt: &Interrupt) -> Option<Ended> {
    let invocation = Invocation {
        program: PathBuf::from("/bin/sh"),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        folder: PathBuf::from("/"),
        limit,
        most_output: OUTPUT_LIMIT,
    };
    let guard = Guard::at(Path::new(env!("CARGO_BIN_EXE_linkwright")));
    run(&invocation, Some(&guard), interrupt).ok()
}

#[test]
fn a_guard_passes_everything_through() {
    let limit = Duration::from_mins(1);
    let ended = |script| guarded(script, limit, &Interrupt::default()).unwrap();
    let it = ended("echo out; echo err >&2; exit 3");
    assert_eq!((it.stdout_text().as_str(), it.stderr_text().as_str()), ("out\n", "err\n"));
    assert_eq!(it.how(), "it ended with code 3");
    assert_eq!(ended("kill -11 $$").status.signal(), Some(11));
    assert_eq!(ended("ps -o args= -p $PPID").stdout_text(), "lw-guard\n");
    assert_eq!(ended("cat; test -t 0 || echo none").stdout_text(), "none\n");
    let zeros = ended("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2");
    assert_eq!((zeros.stdout.len(), zeros.stderr.len()), (3_000_000, 3_000_000));
    // What is still to be written when the shell has ended is waited for.
    assert_eq!(ended("(sleep 0.2; echo late) & echo early").stdout_text(), "early\nlate\n");
}

#[test]
fn a_program_that_is_not_there_is_told_as_such_through_the_guard() {
    let mut invocation = Invocation {
        program: PathBuf::from("/no/such/program"),
        args: vec![],
        env: BTreeMap::new(),
        folder: PathBuf::from("/"),
        limit: Duration::from_mins(1),
        most_output: OUTPUT_LIMIT,
    };
    let guard = Guard::at(Path::new(env!("CARGO_BIN_EXE_linkwright")));
    let message =
        |it: &Invocation| run(it, Some(&guard), &Interrupt::default()).unwrap_err().to_string();
    holds(&message(&invocation), &["cannot start `/no/such/program`: No such file"]);
    invocation.program = PathBuf::from("/etc/passwd");
    holds(&message(&invocation), &["Permission denied"]);
    invocation.program = PathBuf::from("/bin/true");
    invocation.args = vec!["x".repeat(3 << 20).into()];
    holds(&message(&invocation), &["Argument list too long"]);
}
