//! Tells from what tools print that the machine failed them, and not the sources.
//!
//! It matters because a link that fails makes room for the next strategy. A compiler that was
//! killed has said nothing about the strategy; to go on would give a program that is linked in
//! another way than the same sources give tomorrow.
//!
//! Only the words of the Go command, of its run-time system, of gcc and of binutils are known; what
//! is not recognized counts as the sources' fault. A line must end, or begin, with the words, so
//! that a text in a source that speaks of them is none of them.

/// What kept a tool from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A signal from outside ended it.
    Killed,
    /// No room for one more process, thread, file or page.
    Crowded,
    /// No room on the disk.
    DiskFull,
}

const ENDS: [(&str, Trouble); 14] = [
    ("signal: killed", Trouble::Killed),
    ("signal: terminated", Trouble::Killed),
    ("signal: hangup", Trouble::Killed),
    ("signal: interrupt", Trouble::Killed),
    ("terminated with signal 9 [Killed]", Trouble::Killed),
    ("terminated with signal 15 [Terminated]", Trouble::Killed),
    (": resource temporarily unavailable", Trouble::Crowded),
    (": cannot allocate memory", Trouble::Crowded),
    (": too many open files", Trouble::Crowded),
    (": too many open files in system", Trouble::Crowded),
    (": out of memory", Trouble::Crowded),
    (": no space left on device", Trouble::DiskFull),
    (": disk quota exceeded", Trouble::DiskFull),
    (": file too large", Trouble::DiskFull),
];

const STARTS: [(&str, Trouble); 5] = [
    ("runtime: failed to create new os thread", Trouble::Crowded),
    ("runtime: may need to increase max user processes", Trouble::Crowded),
    ("fatal error: runtime: out of memory", Trouble::Crowded),
    ("fatal error: runtime: cannot allocate memory", Trouble::Crowded),
    ("fatal error: newosproc", Trouble::Crowded),
];

/// Looks for trouble in what a tool printed.
#[must_use]
pub fn trouble(text: &str) -> Option<Trouble> {
    text.lines().find_map(|line| {
        let line = line.trim().to_lowercase();
        let ends = |it: &&(&str, Trouble)| line.ends_with(&it.0.to_lowercase());
        let starts = |it: &&(&str, Trouble)| line.starts_with(it.0);
        let known = ENDS.iter().find(ends).or_else(|| STARTS.iter().find(starts));
        // gcc: `fatal error: Killed signal terminated program cc1`.
        let driver = line.contains("fatal error: killed signal terminated program");
        known.map(|it| it.1).or_else(|| driver.then_some(Trouble::Killed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_each_tool_are_known() {
        for (text, expected) in [
            ("go build m: /go/pkg/tool/linux_amd64/link: signal: killed", Trouble::Killed),
            ("collect2: fatal error: ld terminated with signal 9 [Killed]", Trouble::Killed),
            ("gcc: fatal error: Killed signal terminated program cc1", Trouble::Killed),
            ("fork/exec /go/compile: resource temporarily unavailable", Trouble::Crowded),
            (
                "a\nruntime: failed to create new OS thread (have 5 already; errno=11)\nb",
                Trouble::Crowded,
            ),
            ("cc1: out of memory", Trouble::Crowded),
            ("/usr/bin/ld: final link failed: No space left on device", Trouble::DiskFull),
        ] {
            assert_eq!(trouble(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_sources_do_wrong_is_none() {
        for text in [
            "",
            "main.go:3:2: undefined: x",
            "main.go:3:2: \"signal: killed\" (untyped string constant) is not used",
            "x.c:1:2: error: #error out of memory, no space left on device!",
            "ld: cannot find -lz",
            "link: running gcc failed: exit status 1",
        ] {
            assert_eq!(trouble(text), None, "{text}");
        }
    }
}
