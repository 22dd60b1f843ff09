//! What one run of a test binary amounts to: its tests, and the verdict over all.
//!
//! | the run | outcome |
//! |---|---|
//! | ended with 0, said PASS, every test that began has ended, and one has | `passed` |
//! | ended with 0, and no test began | `no_tests` |
//! | ended with 0, and what it printed is no whole account of that | `broken`: it closed its output, or somebody printed framing of his own |
//! | a test said FAIL, or it ended with another code | `failed` |
//! | ended with 2 after `panic: test timed out`, or its time was over and it was stopped | `timed_out` |
//! | ended with 2 after any other panic or fatal error of Go, or by a signal | `crashed` |
//!
//! Output is kept within bounds: of each test and of nobody in particular the first and the last
//! part; that of a test that passes is let go at once.

use crate::formats::test_stream::{End, Said};
use core::time::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How much output of one test is kept at each end.
const KEPT_AT_EACH_END: usize = 64 << 10;

/// How many tests that did not pass keep their output; one that is drowned in failures reads no
/// more of them.
const MOST_WITH_OUTPUT: usize = 200;

/// How many lines are searched for a panic.
const LONGEST_PANIC_LINE: usize = 400;

/// How a test binary, or what it was run for, ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every test passed or was skipped.
    Passed,
    /// There was nothing to run.
    NoTests,
    /// A test failed.
    Failed,
    /// Its time was over.
    TimedOut,
    /// A panic or a signal ended it.
    Crashed,
    /// It ended well, and what it printed does not show that its tests did.
    Broken,
    /// It was not run to its end: the run was interrupted, or the machine could not start it.
    NotRun,
}

/// How one test ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CaseOutcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was skipped.
    Skipped,
    /// It began, and the binary ended before it.
    Unfinished,
}

/// One test: a function, or a part of one that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// Its name: `TestA/sub`.
    pub name: String,
    /// How it ended.
    pub outcome: CaseOutcome,
    /// How long it took, as it says itself.
    pub milliseconds: u64,
    /// What it printed, where it did not pass; the middle of what is too long is left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessEnd {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Its time was over, and it was stopped.
    OutOfTime(Duration),
}

/// What one run amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The verdict.
    pub outcome: Outcome,
    /// Why, where a test does not say it.
    pub reason: Option<String>,
    /// Its tests, in the order in which they ended.
    pub cases: Vec<Case>,
    /// What was printed by no test in particular.
    pub output: String,
}

/// The books of a run that is not over.
#[derive(Debug, Default)]
pub struct Books {
    open: BTreeMap<String, Capture>,
    /// In the order in which they began; the count tells how often the name did.
    cases: Vec<Case>,
    rest: Capture,
    odd: Option<String>,
    verdict: Option<bool>,
    panic: Option<String>,
    with_output: usize,
}

/// The first and the last part of what was printed.
#[derive(Debug, Default)]
struct Capture {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: u64,
}

impl Books {
    /// Takes note of one thing that the stream says.
    pub fn note(&mut self, said: &Said) {
        match said {
            Said::Began(name) => {
                if self.open.insert(name.clone(), Capture::default()).is_some() {
                    self.note_odd(format!("`{name}` began again before it had ended"));
                }
            }
            Said::Paused(_) | Said::Continued(_) => {}
            Said::Ended(name, end, time) => self.note_end(name, *end, *time),
            Said::Output(test, bytes) => {
                let own = test.as_ref().and_then(|it| self.open.get_mut(it));
                own.unwrap_or(&mut self.rest).add(bytes);
                if self.panic.is_none() {
                    self.panic = panic_of(bytes);
                }
            }
            Said::Verdict(passed) => {
                let before = self.verdict.replace(*passed);
                if before.is_some() {
                    self.note_odd("it said twice how all of it ended".to_owned());
                }
            }
        }
    }

    fn note_end(&mut self, name: &str, end: End, time: Duration) {
        let Some(capture) = self.open.remove(name) else {
            return self.note_odd(format!("`{name}` ended and had not begun"));
        };
        let outcome = match end {
            End::Passed | End::Measured => CaseOutcome::Passed,
            End::Failed => CaseOutcome::Failed,
            End::Skipped => CaseOutcome::Skipped,
        };
        self.close(name, outcome, time, &capture);
    }

    fn close(&mut self, name: &str, outcome: CaseOutcome, time: Duration, capture: &Capture) {
        let keeps = outcome != CaseOutcome::Passed && self.with_output < MOST_WITH_OUTPUT;
        self.with_output += usize::from(keeps);
        self.cases.push(Case {
            name: name.to_owned(),
            outcome,
            milliseconds: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            output: if keeps { capture.text() } else { String::new() },
        });
    }

    fn note_odd(&mut self, what: String) {
        self.odd.get_or_insert(what);
    }

    /// Ends the books of a run whose process ended so.
    #[must_use]
    pub fn close_with(mut self, end: ProcessEnd) -> Account {
        let open = std::mem::take(&mut self.open);
        let unfinished = open.keys().next().cloned();
        for (name, capture) in open {
            self.close(&name, CaseOutcome::Unfinished, Duration::ZERO, &capture);
        }
        let (outcome, reason) = self.judge(end, unfinished);
        Account { outcome, reason, output: self.rest.text(), cases: self.cases }
    }

    fn judge(&self, end: ProcessEnd, unfinished: Option<String>) -> (Outcome, Option<String>) {
        let any = |outcome| self.cases.iter().any(|it| it.outcome == outcome);
        let panic = self.panic.as_deref();
        match end {
            ProcessEnd::OutOfTime(limit) => {
                let seconds = limit.as_secs_f64();
                let why = format!("it did not end within {seconds} s and was stopped");
                (Outcome::TimedOut, Some(why))
            }
            ProcessEnd::Signal(signal) => {
                (Outcome::Crashed, Some(format!("signal {signal}{} ended it", signal_name(signal))))
            }
            ProcessEnd::Code(2) if panic.is_some_and(|it| it.contains("test timed out after")) => {
                (Outcome::TimedOut, panic.map(str::to_owned))
            }
            ProcessEnd::Code(2) if panic.is_some() => (Outcome::Crashed, panic.map(str::to_owned)),
            ProcessEnd::Code(0) if any(CaseOutcome::Failed) || self.verdict == Some(false) => {
                let why = "it ended with code 0, though a test said that it failed".to_owned();
                (Outcome::Failed, Some(why))
            }
            ProcessEnd::Code(0) if self.odd.is_some() => (Outcome::Broken, self.odd.clone()),
            ProcessEnd::Code(0) if let Some(name) = unfinished => {
                let why = format!("it ended with code 0, and `{name}` had begun and not ended");
                (Outcome::Broken, Some(why))
            }
            ProcessEnd::Code(0) if self.cases.is_empty() => (Outcome::NoTests, None),
            ProcessEnd::Code(0) if self.verdict.is_none() => {
                let why = "it ended with code 0 and did not say PASS".to_owned();
                (Outcome::Broken, Some(why))
            }
            ProcessEnd::Code(0) => (Outcome::Passed, None),
            ProcessEnd::Code(1) if any(CaseOutcome::Failed) => (Outcome::Failed, None),
            ProcessEnd::Code(code) => (Outcome::Failed, Some(format!("it ended with code {code}"))),
        }
    }
}

/// Returns the first line of a panic or of a fatal error of Go's runtime.
fn panic_of(line: &[u8]) -> Option<String> {
    let words = ["panic: ", "fatal error: ", "SIGQUIT: quit", "runtime: "];
    words.iter().find(|it| line.starts_with(it.as_bytes()))?;
    let line = line.get(..LONGEST_PANIC_LINE).unwrap_or(line);
    Some(String::from_utf8_lossy(line).trim_end().to_owned())
}

/// Returns a signal's name in brackets, after a blank.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL; the machine may be out of memory)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

impl Capture {
    fn add(&mut self, mut bytes: &[u8]) {
        let room = KEPT_AT_EACH_END - self.head.len();
        if room > 0 {
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.head.extend_from_slice(now);
            bytes = later;
        }
        self.tail.extend_from_slice(bytes);
        // Cut now and then rather than each time.
        if self.tail.len() > 2 * KEPT_AT_EACH_END {
            let over = self.tail.len() - KEPT_AT_EACH_END;
            self.tail.drain(..over);
            self.dropped += over as u64;
        }
    }

    fn text(&self) -> String {
        let over = self.tail.len().saturating_sub(KEPT_AT_EACH_END);
        let over = if self.dropped > 0 { over } else { 0 };
        let dropped = self.dropped + over as u64;
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if dropped > 0 {
            let _ = write!(text, "\n… {dropped} bytes are left out …\n");
        }
        text + &String::from_utf8_lossy(self.tail.get(over..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::test_stream::TestStream;

    fn account(printed: &str, end: ProcessEnd) -> Account {
        let (mut stream, mut books) = (TestStream::default(), Books::default());
        let printed = printed.replace('^', "\u{16}");
        stream.feed(printed.as_bytes(), &mut |it| books.note(&it));
        stream.finish(&mut |it| books.note(&it));
        books.close_with(end)
    }

    #[track_caller]
    fn check(printed: &str, end: ProcessEnd, expected: (Outcome, &str)) {
        let it = account(printed, end);
        assert_eq!((it.outcome, it.reason.as_deref().unwrap_or("")), expected, "{it:#?}");
    }

    const GOOD: &str = "^=== RUN   TestA\n^--- PASS: TestA (0.01s)\n";
    const OPEN: &str = "^=== RUN   TestA\n";

    #[test]
    fn only_a_whole_account_is_a_pass() {
        use Outcome as O;
        let zero = ProcessEnd::Code(0);
        check(&format!("{GOOD}^PASS\n"), zero, (O::Passed, ""));
        check("", zero, (O::NoTests, ""));
        check("testing: warning: no tests to run\n^PASS\n", zero, (O::NoTests, ""));
        check(GOOD, zero, (O::Broken, "it ended with code 0 and did not say PASS"));
        check(
            &format!("{GOOD}PASS\n"),
            zero,
            (O::Broken, "it ended with code 0 and did not say PASS"),
        );
        let open = "it ended with code 0, and `TestA` had begun and not ended";
        check(OPEN, zero, (O::Broken, open));
        check(&format!("{OPEN}^PASS\n"), zero, (O::Broken, open));
        let forged = format!("{OPEN}^--- PASS: TestB (0.00s)\n^--- PASS: TestA (0.00s)\n^PASS\n");
        check(&forged, zero, (O::Broken, "`TestB` ended and had not begun"));
        let twice = format!("{GOOD}^PASS\n^PASS\n");
        check(&twice, zero, (O::Broken, "it said twice how all of it ended"));
    }

    #[test]
    fn each_other_end_has_its_word() {
        use Outcome as O;
        let failed = "^=== RUN   TestA\n^--- FAIL: TestA (0.00s)\n^FAIL\n";
        check(failed, ProcessEnd::Code(1), (O::Failed, ""));
        check(GOOD, ProcessEnd::Code(1), (O::Failed, "it ended with code 1"));
        check(OPEN, ProcessEnd::Code(7), (O::Failed, "it ended with code 7"));
        let lie = "it ended with code 0, though a test said that it failed";
        check(failed, ProcessEnd::Code(0), (O::Failed, lie));
        let panic = format!("{OPEN}panic: boom\n\ngoroutine 1\n");
        check(&panic, ProcessEnd::Code(2), (O::Crashed, "panic: boom"));
        let late = format!("{OPEN}panic: test timed out after 1s\n");
        check(&late, ProcessEnd::Code(2), (O::TimedOut, "panic: test timed out after 1s"));
        check(
            &late,
            ProcessEnd::Code(0),
            (O::Broken, "it ended with code 0, and `TestA` had begun and not ended"),
        );
        check(OPEN, ProcessEnd::Signal(11), (O::Crashed, "signal 11 (SIGSEGV) ended it"));
        let out = ProcessEnd::OutOfTime(Duration::from_secs(3));
        check(OPEN, out, (O::TimedOut, "it did not end within 3 s and was stopped"));
    }

    #[test]
    fn the_output_of_what_did_not_pass_is_kept_and_bounded() {
        let it = account(
            "before\n^=== RUN   TestA\nseen\n^--- PASS: TestA (0.00s)\n^=== RUN   TestB\nwhy\n",
            ProcessEnd::Code(1),
        );
        let cases: Vec<_> = it.cases.iter().map(|it| (it.outcome, it.output.as_str())).collect();
        let unfinished = (CaseOutcome::Unfinished, "=== RUN   TestB\nwhy\n");
        assert_eq!(cases, [(CaseOutcome::Passed, ""), unfinished]);
        assert_eq!(it.output, "before\n");
        let mut capture = Capture::default();
        capture.add(b"first ");
        for _ in 0..1000 {
            capture.add(&[b'x'; 1000]);
        }
        capture.add(b" last");
        let text = capture.text();
        assert!(text.starts_with("first x") && text.ends_with("x last"), "{}", text.len());
        assert!(text.contains(" bytes are left out") && text.len() < 140_000);
        let left_out: usize =
            text.split("… ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(left_out + 2 * KEPT_AT_EACH_END, 6 + 1_000_000 + 5);
        let mut exact = Capture::default();
        exact.add(&vec![b'y'; 2 * KEPT_AT_EACH_END]);
        assert_eq!(exact.text().len(), 2 * KEPT_AT_EACH_END);
    }
}
