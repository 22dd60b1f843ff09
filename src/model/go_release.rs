//! What a Go of some release can be asked, and what is done where it cannot.
//!
//! | since | is needed for | without it |
//! |---|---|---|
//! | 1.19 | `go list -json=FIELDS` | that Go is not driven |
//! | 1.20 | `-test.v=test2json`, which marks the lines of the `testing` package | these lines are told by their look |
//! | 1.21 | `go test -c` of several Go packages | a process for each test binary |
//! | 1.24 | `go build -json`, which names the package of each message | a batch that fails is linked again one by one |
//! | 1.24 | `GOCACHEPROG` | a GOCACHE for each process, filled from the store and emptied after it |
//!
//! A variable that a Go does not know it ignores in silence, so that the output is another one than
//! was asked for; [`GoRelease::ignores`] has them.

use std::collections::BTreeMap;
use std::fmt;

/// A release of Go: `1.26`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoRelease(u32, u32);

/// What not every Go that is driven can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Its test binaries mark what they say of tests.
    MarkedTests,
    /// It makes several test binaries in one process.
    ManyTests,
    /// It names the package of each message.
    Messages,
    /// It asks a program for what was compiled.
    CacheProgram,
}

impl Ability {
    const ALL: [Self; 4] = [Self::MarkedTests, Self::ManyTests, Self::Messages, Self::CacheProgram];

    const fn since(self) -> GoRelease {
        match self {
            Self::MarkedTests => GoRelease(1, 20),
            Self::ManyTests => GoRelease(1, 21),
            Self::Messages | Self::CacheProgram => GoRelease(1, 24),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::MarkedTests => {
                "no `-test.v=test2json`: how a test ended is told by the look of a line; no bundles"
            }
            Self::ManyTests => {
                "no `go test -c` of several packages: a process for each test binary"
            }
            Self::Messages => "no `go build -json`: what fails together is linked again one by one",
            Self::CacheProgram => {
                "no `GOCACHEPROG`: a compile cache for each process, filled and emptied by linkwright"
            }
        }
    }
}

/// Variables that older releases do not know, with the first that does.
const VARIABLES: [(&str, GoRelease); 3] = [
    ("GOARM64", GoRelease(1, 23)),
    ("GORISCV64", GoRelease(1, 23)),
    ("GOFIPS140", GoRelease(1, 24)),
];

impl GoRelease {
    /// The oldest that is driven.
    pub const OLDEST: Self = Self(1, 19);

    /// The first that is known to vet packages with files that are only shown (`-overlay`); in 1.21
    /// `go vet` looks for them on the disk.
    pub const VETS_SHOWN_FILES: Self = Self(1, 26);

    /// Reads `go1.26.8`, `go1.27rc1` or `devel go1.28-…`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let start = text.find("go1.")?;
        let mut numbers = text.get(start + 2..)?.split(|it: char| !it.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// Tells whether it has an ability.
    #[must_use]
    pub fn can(self, ability: Ability) -> bool {
        self >= ability.since()
    }

    /// Returns what it cannot do, and what is done instead, a clause each.
    #[must_use]
    pub fn lacks(self) -> Vec<String> {
        let lacking = Ability::ALL.into_iter().filter(|it| !self.can(*it));
        lacking.map(|it| it.words().to_owned()).collect()
    }

    /// Returns the first of these variables that it would ignore, as a clause.
    #[must_use]
    pub fn ignores(self, variables: &BTreeMap<String, String>) -> Option<String> {
        let unknown = |it: &&(&str, Self)| self < it.1 && variables.contains_key(it.0);
        let (name, since) = VARIABLES.iter().find(unknown)?;
        Some(format!("Go {self} ignores `{name}`, which is of Go {since}"))
    }
}

impl fmt::Display for GoRelease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_from_every_spelling() {
        assert_eq!(GoRelease::read("go1.26.8"), Some(GoRelease(1, 26)));
        assert_eq!(GoRelease::read("go1.27rc1"), Some(GoRelease(1, 27)));
        assert_eq!(GoRelease::read("devel go1.28-abc123 Mon"), Some(GoRelease(1, 28)));
        assert_eq!(GoRelease::read("gccgo 12"), None);
    }

    #[test]
    fn what_an_old_release_lacks_is_said_and_a_new_one_lacks_nothing() {
        let lacks = |it: (u32, u32)| GoRelease(it.0, it.1).lacks().len();
        assert_eq!([(1, 19), (1, 20), (1, 21), (1, 23), (1, 24)].map(lacks), [4, 3, 2, 2, 0]);
        assert!(GoRelease::read("go1.9").is_some_and(|it| it < GoRelease::OLDEST));
    }

    #[test]
    fn a_variable_that_would_be_ignored_is_told() {
        let of = |name: &str| BTreeMap::from([(name.to_owned(), "v9.0".to_owned())]);
        let told = GoRelease(1, 22).ignores(&of("GOARM64"));
        assert_eq!(told.as_deref(), Some("Go 1.22 ignores `GOARM64`, which is of Go 1.23"));
        assert_eq!(GoRelease(1, 23).ignores(&of("GOARM64")), None);
        assert_eq!(GoRelease(1, 19).ignores(&of("GOAMD64")), None);
    }
}
