//! The log in which a Go test binary notes what it read: `-test.testlogfile`.
//!
//! ```text
//! # test log
//! getenv NAME        a variable was looked at
//! stat PATH          what a path is was looked at
//! open PATH          a file or folder was opened, be it to read or to write
//! chdir PATH         relative paths start there from now on
//! ```
//!
//! It is written by package `os` of the test's own process. What a process that the test starts
//! reads, and what is read past package `os` (by cgo, by system calls), is not in it.
//!
//! # Source
//!
//! `testing/internal/testdeps/deps.go`; its reader in Go is `computeTestInputsID` in
//! `cmd/go/internal/test/test.go`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The first line.
const HEAD: &[u8] = b"# test log\n";

/// How a path was looked at.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Manner {
    /// What is there.
    Stat,
    /// What is in it.
    Open,
}

/// What a test binary read, as far as Go tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestLog {
    /// Paths, absolute; none of them twice in one manner.
    pub paths: BTreeSet<(PathBuf, Manner)>,
}

impl TestLog {
    /// Reads the log of a binary that began in `folder`; `None` if it is no whole log, which is so
    /// when the binary did not come to its end.
    #[must_use]
    pub fn parse(bytes: &[u8], folder: &Path) -> Option<Self> {
        let lines = bytes.strip_prefix(HEAD)?;
        if !lines.is_empty() && !lines.ends_with(b"\n") {
            return None;
        }
        let mut this = Self::default();
        let mut base = folder.to_owned();
        for line in lines.split(|it| *it == b'\n').filter(|it| !it.is_empty()) {
            let at = line.iter().position(|it| *it == b' ')?;
            let path = base.join(OsStr::from_bytes(&line[at + 1..]));
            match &line[..at] {
                b"getenv" => {}
                b"chdir" => {
                    base.clone_from(&path);
                    this.paths.insert((path, Manner::Stat));
                }
                b"stat" => _ = this.paths.insert((path, Manner::Stat)),
                b"open" => _ = this.paths.insert((path, Manner::Open)),
                _ => return None,
            }
        }
        Some(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Vec<(String, Manner)>> {
        let log = TestLog::parse(text.as_bytes(), Path::new("/m/pkg"))?;
        let shown = |(path, manner): (PathBuf, Manner)| (path.display().to_string(), manner);
        Some(log.paths.into_iter().map(shown).collect())
    }

    #[test]
    fn paths_are_seen_from_where_the_test_is() {
        let text = "# test log\ngetenv HOME\nopen testdata/a b\nstat /etc\nchdir /tmp/x\nopen c\n";
        let expected = [
            ("/etc", Manner::Stat),
            ("/m/pkg/testdata/a b", Manner::Open),
            ("/tmp/x", Manner::Stat),
            ("/tmp/x/c", Manner::Open),
        ];
        let expected = expected.map(|(path, manner)| (path.to_owned(), manner));
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn half_a_log_is_none() {
        assert_eq!(parse("# test log\n"), Some(vec![]));
        for bad in [
            "",
            "# test",
            "open x\n",
            "# test log\nopen x",
            "# test log\nread x\n",
            "# test log\nx\n",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
