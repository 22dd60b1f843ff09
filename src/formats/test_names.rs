//! The names that a test binary tells when it is asked for them: `-test.list`.
//!
//! It prints a name a line: tests, benchmarks, fuzz tests and examples that have an output to be
//! compared, each kind in the order of the sources. What the package itself prints while it is
//! initialised stands between them; a line that is no name of a test is left out.
//!
//! # Source
//!
//! `listTests` in `testing/testing.go`; which names are those of tests is said by `isTest` in
//! `cmd/go/internal/load/test.go`.

use schemars::JsonSchema;
use serde::Serialize;

/// The longest line that may be a name.
const LONGEST: usize = 4096;

/// More names than any package has; what lists more of them does not come to an end.
const MOST: usize = 100_000;

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestKind {
    /// `func TestX(t *testing.T)`
    Test,
    /// `func BenchmarkX(b *testing.B)`
    Benchmark,
    /// `func FuzzX(f *testing.F)`
    Fuzz,
    /// `func ExampleX()` with a comment that says what it prints.
    Example,
}

/// One of the tests of a binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TestName {
    /// The function's name.
    pub name: String,
    /// What it is.
    pub kind: TestKind,
}

/// Takes names out of what a binary prints, as it comes.
#[derive(Debug, Default)]
pub struct TestNames {
    line: Vec<u8>,
    names: Vec<TestName>,
}

impl TestKind {
    /// Every kind, with the word that its names begin with.
    const ALL: [(&'static str, Self); 4] = [
        ("Test", Self::Test),
        ("Benchmark", Self::Benchmark),
        ("Fuzz", Self::Fuzz),
        ("Example", Self::Example),
    ];

    /// Returns what `name` is the name of, if it is a test's.
    fn of(name: &str) -> Option<Self> {
        let of = |(word, kind): &(&str, Self)| {
            let rest = name.strip_prefix(word)?;
            let fits = rest.chars().all(|it| it == '_' || it.is_alphanumeric());
            let begins = rest.chars().next().is_none_or(|it| !it.is_lowercase());
            (fits && begins).then_some(*kind)
        };
        Self::ALL.iter().find_map(of)
    }
}

impl TestNames {
    /// Takes a piece of what is printed.
    pub fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|it| *it == b'\n') {
            // Of a line that is too long nothing is kept but that.
            if self.line.len() <= LONGEST {
                self.line.extend_from_slice(piece.get(..=LONGEST).unwrap_or(piece));
            }
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let Ok(line) = std::str::from_utf8(&line) else { return };
        let name = line.trim_end_matches(['\n', '\r']);
        let known = self.names.len() <= MOST && line.len() <= LONGEST;
        if let Some(kind) = TestKind::of(name).filter(|_| known) {
            self.names.push(TestName { name: name.to_owned(), kind });
        }
    }

    /// Returns the names in the order in which they came; `None` if there were too many.
    #[must_use]
    pub fn finish(mut self) -> Option<Vec<TestName>> {
        self.end_line();
        (self.names.len() <= MOST).then_some(self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pieces: &[&[u8]]) -> Vec<(String, TestKind)> {
        let mut names = TestNames::default();
        for piece in pieces {
            names.feed(piece);
        }
        names.finish().unwrap().into_iter().map(|it| (it.name, it.kind)).collect()
    }

    #[test]
    fn only_names_of_tests_are_names() {
        use TestKind as K;
        let printed = "TestA\nTest\nTest_b\nTest1\nTestÄ\nBenchmarkX\nFuzzY\r\nExampleZ_suffix\n";
        let expected = [
            ("TestA", K::Test),
            ("Test", K::Test),
            ("Test_b", K::Test),
            ("Test1", K::Test),
            ("TestÄ", K::Test),
            ("BenchmarkX", K::Benchmark),
            ("FuzzY", K::Fuzz),
            ("ExampleZ_suffix", K::Example),
        ];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
        assert_eq!(names(&[printed.as_bytes()]), expected);
        let noise = "Testing 1 2\nTestify\nTest A\n TestA\ntesting: warning\n\nTest\u{a0}\nok\n";
        assert_eq!(names(&[noise.as_bytes(), b"Test\xff\n"]), []);
    }

    #[test]
    fn lines_may_come_in_pieces_and_be_of_any_length() {
        let long = [b"Test".as_slice(), &[b'x'; 3 * LONGEST]].concat();
        let long_name = [b"Test".as_slice(), &[b'X'; 2 * LONGEST], b"\nTestB\n"].concat();
        let all: [&[u8]; 6] = [b"Te", b"st", b"A\nTe", &long, b"\n", &long_name];
        let found = names(&[all.as_slice(), &[b"TestC"]].concat());
        let found: Vec<_> = found.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(found, ["TestA", "TestB", "TestC"]);
    }

    #[test]
    fn names_without_end_are_none() {
        let mut names = TestNames::default();
        for _ in 0..=MOST + 10 {
            names.feed(b"TestA\n");
        }
        assert_eq!(names.finish(), None);
    }
}
