//! Coverage profiles: what a test binary writes for `-test.coverprofile`, for `go tool cover`.
//!
//! ```text
//! mode: count
//! example.com/m/a/a.go:3.24,5.2 1 7
//! │                    │    │   │ └ how often it ran; under `set` whether it did: 0 or 1
//! │                    │    │   └ statements in it
//! │                    │    └ where the block ends: line.column
//! │                    └ where it begins
//! └ import path and name of the file
//! ```
//!
//! A block that comes again adds to what is known of it: counts are summed up, under `set` it ran
//! if it did once.
//!
//! # Source
//!
//! `EmitTextual` in `internal/coverage/cformat/format.go`; `ParseProfiles` in
//! `cmd/vendor/golang.org/x/tools/cover/profile.go`.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoverMode {
    /// Whether a block ran.
    Set,
    /// How often it ran.
    Count,
    /// The same, right in programs whose goroutines run at the same time too.
    Atomic,
}

/// Where a block is in its file: lines and columns, as Go counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Extent {
    from: (u32, u32),
    to: (u32, u32),
}

/// What is known of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    statements: u32,
    count: u64,
}

/// A profile, each of its blocks once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    mode: CoverMode,
    files: BTreeMap<String, BTreeMap<Extent, Counted>>,
}

/// How much of something ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Coverage {
    /// All statements.
    pub statements: u64,
    /// Those that ran.
    pub covered: u64,
}

/// Why a text is no coverage profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// It does not begin with what was counted.
    #[error("a coverage profile begins with `mode: set`, `mode: count` or `mode: atomic`")]
    Mode,
    /// A line that is no block.
    #[error("line {0} of the coverage profile is no block")]
    Line(usize),
    /// One place with different numbers of statements.
    #[error("line {0} of the coverage profile contradicts an earlier one")]
    Contradiction(usize),
}

impl CoverMode {
    /// Every mode, with Go's word for it.
    pub const ALL: [(&'static str, Self); 3] =
        [("set", Self::Set), ("count", Self::Count), ("atomic", Self::Atomic)];

    /// Returns Go's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Count => "count",
            Self::Atomic => "atomic",
        }
    }

    /// Reads Go's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|it| it.0 == text).map(|it| it.1)
    }

    /// Returns what can be said of counts of both kinds.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Set, _) | (_, Self::Set) => Self::Set,
            (Self::Count, Self::Count) => Self::Count,
            (Self::Count | Self::Atomic, _) => Self::Atomic,
        }
    }

    fn sum(self, a: u64, b: u64) -> u64 {
        match self {
            Self::Set => (a | b).min(1),
            Self::Count | Self::Atomic => a.saturating_add(b),
        }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    ///
    /// Returns [`ProfileError`] for the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let mut lines = text.lines();
        let mode = lines.next().and_then(|it| CoverMode::parse(it.strip_prefix("mode: ")?));
        let mut this = Self { mode: mode.ok_or(ProfileError::Mode)?, files: BTreeMap::new() };
        for (at, line) in lines.enumerate() {
            let (file, extent, counted) = block(line).ok_or(ProfileError::Line(at + 2))?;
            if !this.add(file, extent, counted) {
                return Err(ProfileError::Contradiction(at + 2));
            }
        }
        Ok(this)
    }

    /// Adds what is known of a block; `false` if that contradicts what is known already.
    fn add(&mut self, file: &str, extent: Extent, counted: Counted) -> bool {
        if !self.files.contains_key(file) {
            self.files.insert(file.to_owned(), BTreeMap::new());
        }
        let Some(blocks) = self.files.get_mut(file) else { return false };
        let zero = Counted { count: 0, ..counted };
        let known = blocks.entry(extent).or_insert(zero);
        known.count = self.mode.sum(known.count, counted.count);
        known.statements == counted.statements
    }

    /// Adds what another profile of the same sources knows. If they do not count the same, what is
    /// left is what both know: a profile of mode `set` says of each block whether it ran.
    ///
    /// # Errors
    ///
    /// Returns the name of a file of which the two are not profiles of the same text.
    pub fn merge(&mut self, other: &Self) -> Result<(), String> {
        let mode = self.mode.and(other.mode);
        if mode == CoverMode::Set && self.mode != mode {
            for block in self.files.values_mut().flat_map(BTreeMap::values_mut) {
                block.count = block.count.min(1);
            }
        }
        self.mode = mode;
        for (file, blocks) in &other.files {
            for (extent, counted) in blocks {
                if !self.add(file, *extent, *counted) {
                    return Err(file.clone());
                }
            }
        }
        Ok(())
    }

    /// Returns the profile as Go writes it, sorted by file and place.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("mode: {}\n", self.mode.as_str());
        for (file, blocks) in &self.files {
            for (Extent { from, to }, Counted { statements, count }) in blocks {
                let _ = writeln!(
                    text,
                    "{file}:{}.{},{}.{} {statements} {count}",
                    from.0, from.1, to.0, to.1
                );
            }
        }
        text
    }

    /// Counts its statements.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for it in self.files.values().flat_map(BTreeMap::values) {
            coverage.statements += u64::from(it.statements);
            coverage.covered += if it.count > 0 { u64::from(it.statements) } else { 0 };
        }
        coverage
    }
}

impl Coverage {
    /// Returns it in percent, as Go rounds it: `66.7%`; `None` of nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 statements")]
    pub fn percent(self) -> Option<String> {
        let Self { statements, covered } = self;
        let share = || 100.0 * covered as f64 / statements as f64;
        (statements > 0).then(|| format!("{:.1}%", share()))
    }
}

/// Reads `file:line.column,line.column statements count`; the file may hold colons and blanks.
fn block(line: &str) -> Option<(&str, Extent, Counted)> {
    let (rest, count) = line.rsplit_once(' ')?;
    let (rest, statements) = rest.rsplit_once(' ')?;
    let (file, extent) = rest.rsplit_once(':')?;
    let (from, to) = extent.split_once(',')?;
    let place = |text: &str| -> Option<(u32, u32)> {
        let (line, column) = text.split_once('.')?;
        Some((number(line)?, number(column)?))
    };
    let extent = Extent { from: place(from)?, to: place(to)? };
    let counted = Counted { statements: number(statements)?, count: number(count)? };
    (!file.is_empty()).then_some((file, extent, counted))
}

/// Reads digits and nothing else: no sign.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Profile {
        Profile::parse(text).unwrap()
    }

    #[test]
    fn a_profile_is_read_sorted_and_written() {
        let text = "mode: count\nm/b.go:1.2,3.4 2 5\nm/a b:c.go:20.1,21.2 1 0\nm/a b:c.go:3.1,4.2 3 18446744073709551615\nm/b.go:1.2,3.4 2 7\n";
        let read = profile(text);
        let sorted = "mode: count\nm/a b:c.go:3.1,4.2 3 18446744073709551615\nm/a b:c.go:20.1,21.2 1 0\nm/b.go:1.2,3.4 2 12\n";
        assert_eq!(read.text(), sorted);
        assert_eq!(profile(sorted), read);
        assert_eq!(read.coverage(), Coverage { statements: 6, covered: 5 });
        assert_eq!(read.coverage().percent().unwrap(), "83.3%");
        assert_eq!(profile("mode: set\n").coverage().percent(), None);
    }

    #[test]
    fn what_is_no_profile_is_refused_with_its_line() {
        use ProfileError as E;
        for text in ["", "m/a.go:1.2,3.4 1 1\n", "mode: sets\n", "mode:set\n", "Mode: set\n"] {
            assert_eq!(Profile::parse(text), Err(E::Mode), "{text:?}");
        }
        for line in [
            "",
            "m/a.go:1.2,3.4 1",
            "m/a.go:1.2,3.4 1 -1",
            "m/a.go:1.2,3.4 +1 1",
            "m/a.go:1,3.4 1 1",
            "m/a.go:1.2 1 1",
            ":1.2,3.4 1 1",
            "m/a.go:1.2,3.4 1 18446744073709551616",
            "m/a.go:1.2,3.4 1 x",
        ] {
            let text = format!("mode: set\nm/a.go:9.2,9.4 1 1\n{line}\n");
            assert_eq!(Profile::parse(&text), Err(E::Line(3)), "{line:?}");
        }
        let twice = "mode: set\nm/a.go:1.2,3.4 1 1\nm/a.go:1.2,3.4 2 1\n";
        assert_eq!(Profile::parse(twice), Err(E::Contradiction(3)));
    }

    /// Merges two profiles of these modes, in both orders.
    #[track_caller]
    fn check(a: &str, b: &str, expected: &str) {
        let make = |mode: &str, blocks: &str| profile(&format!("mode: {mode}\n{blocks}"));
        let one = "x.go:1.1,2.2 1 2\nx.go:3.1,4.2 2 0\n";
        let other = "x.go:1.1,2.2 1 3\nx.go:3.1,4.2 2 0\ny.go:1.1,2.2 4 5\n";
        let of_set =
            |it: &str| it.replace(" 2\n", " 1\n").replace(" 3\n", " 1\n").replace(" 5\n", " 1\n");
        let blocks = |mode: &str, it: &str| if mode == "set" { of_set(it) } else { it.to_owned() };
        let (one, other) = (make(a, &blocks(a, one)), make(b, &blocks(b, other)));
        for (one, other) in [(&one, &other), (&other, &one)] {
            let mut merged = one.clone();
            merged.merge(other).unwrap();
            assert_eq!(merged.text(), expected);
        }
    }

    #[test]
    fn counts_are_summed_up_and_sets_are_united() {
        let counts = "x.go:1.1,2.2 1 5\nx.go:3.1,4.2 2 0\ny.go:1.1,2.2 4 5\n";
        let sets = "mode: set\nx.go:1.1,2.2 1 1\nx.go:3.1,4.2 2 0\ny.go:1.1,2.2 4 1\n";
        check("set", "set", sets);
        check("count", "count", &format!("mode: count\n{counts}"));
        check("atomic", "atomic", &format!("mode: atomic\n{counts}"));
        check("atomic", "count", &format!("mode: atomic\n{counts}"));
        check("set", "count", sets);
        check("set", "atomic", sets);
        let mut one = profile("mode: set\nx.go:1.1,2.2 1 1\n");
        let other = profile("mode: set\nx.go:1.1,2.2 2 1\n");
        assert_eq!(one.merge(&other), Err("x.go".to_owned()));
    }
}
