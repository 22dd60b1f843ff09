//! What a Go test binary prints under `-test.v=test2json`, read as it comes.
//!
//! Each line that the `testing` package itself prints begins with the byte 0x16 (`^V`); what a test
//! prints does not, unless it means to deceive. A marker also ends an unfinished line before it.
//!
//! ```text
//! ^V=== RUN   TestA            the test begins; what follows belongs to it
//! ^V=== PAUSE, CONT, NAME      waits for others, goes on, speaks again
//! ^V--- PASS: TestA (0.01s)    its end (PASS, FAIL, SKIP, BENCH); four blanks for each level below
//! ^VPASS                       the end of all (PASS, FAIL)
//! anything else                output of the test that was named last
//! ```
//!
//! The end of a test is told once something else follows that is not below it, so that indented
//! lines after it still are its output, as `go test -json` has it.
//!
//! Since Go 1.27 an error stands between `^O` and `^N`, and each of these bytes that a test itself
//! logs stands behind an escape (0x1b); these marks are taken out. An escape before anything else
//! is a test's own, as in the colours of a terminal.
//!
//! Without the marker a line of that look is what a test printed: one that prints `--- FAIL: x` has
//! printed a line, and nothing has failed. Only where the binary's Go knows no marker (before 1.20,
//! [`TestStream::unmarked`]) the look is all there is.
//!
//! # Source
//!
//! `cmd/internal/test2json/test2json.go`, and `testing/testing.go` for what is printed.

use core::time::Duration;

/// The byte before a line of the `testing` package.
const MARKER: u8 = 0x16;

/// The bytes around an error.
const ERROR_MARKS: [u8; 2] = [0x0f, 0x0e];

/// The byte before one of these that a test logged itself.
const ESCAPE: u8 = 0x1b;

/// The longest line that is looked at as a whole; Go reads 4 KiB.
const LONGEST: usize = 64 << 10;

/// How a test ended, as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `--- PASS`
    Passed,
    /// `--- FAIL`
    Failed,
    /// `--- SKIP`
    Skipped,
    /// `--- BENCH`
    Measured,
}

/// One thing that the stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A test begins.
    Began(String),
    /// It waits for those that do not run in parallel.
    Paused(String),
    /// It goes on.
    Continued(String),
    /// It has ended, after so long.
    Ended(String, End, Duration),
    /// It, or nobody in particular, has printed something: a line, or a part of one.
    Output(Option<String>, Vec<u8>),
    /// All has ended; whether it passed.
    Verdict(bool),
}

/// The state of a stream.
#[derive(Debug, Default)]
pub struct TestStream {
    line: Vec<u8>,
    /// Whether the line has grown too long, so that what came of it was told as output.
    in_long_line: bool,
    /// The test that output belongs to.
    current: Option<String>,
    /// Whether the `testing` package puts no marker before its lines.
    unmarked: bool,
    /// Ends that are not told yet, each a level below the one before.
    ended: Vec<(String, End, Duration)>,
}

impl TestStream {
    /// Begins the stream of a binary that knows `-test.v` alone.
    #[must_use]
    pub fn unmarked() -> Self {
        Self { unmarked: true, ..Self::default() }
    }

    /// Takes what was printed, and tells what it says.
    pub fn feed(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Said)) {
        for piece in bytes.split_inclusive(|it| *it == b'\n') {
            let mut rest = piece;
            while let Some(at) = rest.iter().position(|it| *it == MARKER) {
                self.line.extend_from_slice(&rest[..at]);
                self.end_line(tell);
                self.line.push(MARKER);
                rest = &rest[at + 1..];
            }
            self.line.extend_from_slice(rest);
            if rest.ends_with(b"\n") {
                self.end_line(tell);
            } else if self.line.len() > LONGEST {
                let line = std::mem::take(&mut self.line);
                tell(Said::Output(self.current.clone(), without_marks(&line)));
                self.in_long_line = true;
            }
        }
    }

    /// Takes note that the stream has ended.
    pub fn finish(mut self, tell: &mut dyn FnMut(Said)) {
        self.end_line(tell);
        self.tell_ends(0, tell);
    }

    fn end_line(&mut self, tell: &mut dyn FnMut(Said)) {
        let line = std::mem::take(&mut self.line);
        let is_rest = std::mem::take(&mut self.in_long_line);
        if line.is_empty() {
            return;
        }
        match line.strip_prefix(&[MARKER]).filter(|_| !is_rest) {
            Some(framed) => self.framed(framed, tell),
            None if self.unmarked && !is_rest => self.told_by_look(&line, tell),
            None => self.output(&line, tell),
        }
    }

    fn output(&mut self, line: &[u8], tell: &mut dyn FnMut(Said)) {
        let line = without_marks(line);
        if line.is_empty() {
            return;
        }
        let indent = line.chunks(4).take_while(|it| *it == b"    ").count();
        if let Some((name, ..)) = indent.checked_sub(1).and_then(|it| self.ended.get(it)) {
            self.current = Some(name.clone());
        }
        tell(Said::Output(self.current.clone(), line));
    }

    /// Takes a line of a stream without markers. The end of a test may stand behind what the test
    /// printed last, if that ended in no new line.
    fn told_by_look(&mut self, line: &[u8], tell: &mut dyn FnMut(Said)) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        if matches!(text, "PASS" | "FAIL") || update(text).is_some() || report(text).is_some() {
            return self.framed(line, tell);
        }
        let is_end = |at: &usize| {
            let rest = String::from_utf8_lossy(&line[*at..]);
            rest.trim_end().ends_with("s)") && report(rest.trim_end()).is_some()
        };
        match (0..line.len()).filter(|it| line[*it..].starts_with(b"--- ")).find(is_end) {
            Some(at) => {
                self.output(&line[..at], tell);
                self.framed(&line[at..], tell);
            }
            None => self.output(line, tell),
        }
    }

    fn framed(&mut self, line: &[u8], tell: &mut dyn FnMut(Said)) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        if matches!(text, "PASS" | "FAIL") || text.starts_with("FAIL\t") {
            self.tell_ends(0, tell);
            self.current = None;
            tell(Said::Output(None, line.to_vec()));
            tell(Said::Verdict(text == "PASS"));
        } else if let Some((word, name)) = update(text) {
            self.tell_ends(0, tell);
            self.current = Some(name.clone()).filter(|it| !it.is_empty());
            match word {
                "RUN" => tell(Said::Began(name)),
                "PAUSE" => tell(Said::Paused(name)),
                "CONT" => tell(Said::Continued(name)),
                // It only says whose output follows; the others carry what is no outcome.
                _ => return,
            }
            tell(Said::Output(self.current.clone(), line.to_vec()));
        } else if let Some((level, end)) = report(text).filter(|it| it.0 <= self.ended.len()) {
            self.tell_ends(level, tell);
            self.current = Some(end.0.clone());
            self.ended.push(end);
            tell(Said::Output(self.current.clone(), line.to_vec()));
        } else {
            self.output(line, tell);
        }
    }

    /// Tells the ends that are `level` levels down or more, the lowest first.
    fn tell_ends(&mut self, level: usize, tell: &mut dyn FnMut(Said)) {
        while self.ended.len() > level {
            if let Some((name, end, time)) = self.ended.pop() {
                tell(Said::Ended(name, end, time));
            }
        }
    }
}

/// Takes the marks around errors out, and escapes before what could be one.
fn without_marks(line: &[u8]) -> Vec<u8> {
    let is_mark = |it: u8| ERROR_MARKS.contains(&it);
    let mut rest = line.iter().copied().peekable();
    let mut kept = Vec::with_capacity(line.len());
    while let Some(byte) = rest.next() {
        let escaped = |it: u8| is_mark(it) || it == MARKER || it == ESCAPE;
        match rest.next_if(|it| byte == ESCAPE && escaped(*it)) {
            Some(escaped) => kept.push(escaped),
            None if is_mark(byte) => {}
            None => kept.push(byte),
        }
    }
    kept
}

/// Reads `=== WORD  name`.
fn update(text: &str) -> Option<(&'static str, String)> {
    let rest = text.strip_prefix("=== ")?;
    let words = ["RUN", "PAUSE", "CONT", "NAME", "PASS", "FAIL", "SKIP", "ATTR", "ARTIFACTS"];
    let word = words.into_iter().find(|it| rest.split(' ').next() == Some(it))?;
    let name = rest[word.len()..].trim();
    let name = match word {
        "ATTR" | "ARTIFACTS" => name.split(' ').next().unwrap_or_default(),
        _ => name,
    };
    Some((word, name.to_owned()))
}

/// Reads `--- WORD: name (1.23s)` and how far it is indented.
fn report(text: &str) -> Option<(usize, (String, End, Duration))> {
    let rest = text.trim_start_matches(' ');
    let indent = text.len() - rest.len();
    let words = [
        ("--- PASS: ", End::Passed),
        ("--- FAIL: ", End::Failed),
        ("--- SKIP: ", End::Skipped),
        ("--- BENCH: ", End::Measured),
    ];
    let (name, end) = words.into_iter().find_map(|it| Some((rest.strip_prefix(it.0)?, it.1)))?;
    let (name, seconds) = match name.split_once(" (") {
        Some((name, time)) => {
            let seconds = time.strip_suffix("s)").and_then(|it| it.parse::<f64>().ok());
            (name, seconds.unwrap_or(0.0))
        }
        None => (name, 0.0),
    };
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    indent.is_multiple_of(4).then(|| (indent / 4, (name.trim().to_owned(), end, time)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn lines(input: &[u8], pieces: usize) -> String {
        use std::fmt::Write as _;
        let (mut stream, mut text) = (TestStream::default(), String::new());
        let mut tell = |it: Said| {
            let _ = match it {
                Said::Output(test, bytes) => {
                    let shown = String::from_utf8_lossy(&bytes).into_owned();
                    writeln!(text, "  {}: {shown:?}", test.as_deref().unwrap_or("-"))
                }
                other => writeln!(text, "{other:?}"),
            };
        };
        for piece in input.chunks(pieces) {
            stream.feed(piece, &mut tell);
        }
        stream.finish(&mut tell);
        text
    }

    #[track_caller]
    fn check(input: &str, expect: Expect) {
        let input = input.replace('^', "\u{16}");
        let whole = lines(input.as_bytes(), usize::MAX);
        for pieces in 1..9 {
            assert_eq!(lines(input.as_bytes(), pieces), whole, "in pieces of {pieces}");
        }
        expect.assert_eq(&whole);
    }

    #[test]
    fn tests_and_their_output_are_told_apart() {
        check(
            "^=== RUN   TestA\nhello\n^=== RUN   TestA/sub\n    a_test.go:7: log\n\
             ^--- FAIL: TestA (1.25s)\n^    --- FAIL: TestA/sub (0.00s)\n        more\n^FAIL\nexit\n",
            expect![[r#"
                Began("TestA")
                  TestA: "=== RUN   TestA\n"
                  TestA: "hello\n"
                Began("TestA/sub")
                  TestA/sub: "=== RUN   TestA/sub\n"
                  TestA/sub: "    a_test.go:7: log\n"
                  TestA: "--- FAIL: TestA (1.25s)\n"
                  TestA/sub: "    --- FAIL: TestA/sub (0.00s)\n"
                  TestA/sub: "        more\n"
                Ended("TestA/sub", Failed, 0ns)
                Ended("TestA", Failed, 1.25s)
                  -: "FAIL\n"
                Verdict(false)
                  -: "exit\n"
            "#]],
        );
    }

    #[test]
    fn without_markers_lines_are_told_by_their_look() {
        let marked = "^=== RUN   TestA\nno newline^--- PASS: TestA (0.01s)\n^=== RUN   TestB\nx --- y\n\
                      ^--- FAIL: TestB (0.00s)\n^    --- FAIL: TestB/sub (0.00s)\n^FAIL\nexit\n";
        let told = |mut stream: TestStream, text: String| {
            let mut all = Vec::new();
            stream.feed(text.as_bytes(), &mut |it| all.push(it));
            stream.finish(&mut |it| all.push(it));
            all
        };
        let plain = marked.replace('^', "");
        let expected = told(TestStream::default(), marked.replace('^', "\u{16}"));
        assert_eq!(told(TestStream::unmarked(), plain.clone()), expected);
        let all = told(TestStream::default(), plain);
        assert!(all.iter().all(|it| matches!(it, Said::Output(None, _))), "{all:?}");
    }

    #[test]
    fn a_marker_ends_an_unfinished_line_and_parallel_tests_are_named() {
        check(
            "^=== RUN   TestP\n^=== PAUSE TestP\n^=== CONT  TestP\nno newline^--- PASS: TestP (0.00s)\n\
             ^=== NAME  \nnobody\n^=== ATTR  TestP key value\n^PASS\n",
            expect![[r#"
                Began("TestP")
                  TestP: "=== RUN   TestP\n"
                Paused("TestP")
                  TestP: "=== PAUSE TestP\n"
                Continued("TestP")
                  TestP: "=== CONT  TestP\n"
                  TestP: "no newline"
                  TestP: "--- PASS: TestP (0.00s)\n"
                Ended("TestP", Passed, 0ns)
                  -: "nobody\n"
                  -: "PASS\n"
                Verdict(true)
            "#]],
        );
    }

    #[test]
    fn what_a_test_prints_is_no_framing() {
        check(
            "^=== RUN   TestA\n--- FAIL: TestB (0.00s)\nFAIL\n=== RUN   TestC\n\
             ^        --- PASS: TestA/too/deep (0.00s)\n^junk\n^--- SKIP: TestA (0.00s)",
            expect![[r#"
                Began("TestA")
                  TestA: "=== RUN   TestA\n"
                  TestA: "--- FAIL: TestB (0.00s)\n"
                  TestA: "FAIL\n"
                  TestA: "=== RUN   TestC\n"
                  TestA: "        --- PASS: TestA/too/deep (0.00s)\n"
                  TestA: "junk\n"
                  TestA: "--- SKIP: TestA (0.00s)"
                Ended("TestA", Skipped, 0ns)
            "#]],
        );
    }

    #[test]
    fn marks_around_errors_are_taken_out_and_what_a_test_logs_is_not() {
        check(
            "^=== RUN   TestA\n\u{f}    a_test.go:7: wrong\n        \u{1b}\u{f} \u{1b}\u{1b}[31m\u{e}\n\
             \u{1b}[0m\n^--- FAIL: TestA (0.00s)\n",
            expect![[r#"
                Began("TestA")
                  TestA: "=== RUN   TestA\n"
                  TestA: "    a_test.go:7: wrong\n"
                  TestA: "        \u{f} \u{1b}[31m\n"
                  TestA: "\u{1b}[0m\n"
                  TestA: "--- FAIL: TestA (0.00s)\n"
                Ended("TestA", Failed, 0ns)
            "#]],
        );
    }

    #[test]
    fn a_line_without_end_is_let_go_in_parts() {
        let mut stream = TestStream::default();
        let mut bytes = 0;
        let mut tell = |it| match it {
            Said::Output(None, part) => bytes += part.len(),
            other => panic!("{other:?}"),
        };
        for _ in 0..100 {
            stream.feed(&[b'x'; 5000], &mut tell);
            assert!(stream.line.len() <= LONGEST + 5000);
        }
        stream.finish(&mut tell);
        assert_eq!(bytes, 500_000);
    }
}
