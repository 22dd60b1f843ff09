//! The words with which tools say that the machine, and not what they were given, is at fault.
//!
//! `go`, the compilers and the linkers pass the system's own sentence on, whatever they were
//! doing. A step that ended so says nothing about its target: another strategy that would fit
//! through the same hole must not be taken instead.
//!
//! # Source
//!
//! The sentences are those of Go's `syscall` package and of glibc's `strerror`, in the C locale.

/// What a tool ran out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolLimit {
    /// The disk: full, read-only, broken.
    Disk,
    /// Open files, processes or memory.
    System,
    /// Something killed a tool; most often the kernel, for its memory.
    Killed,
}

/// In lower case.
const SENTENCES: [(&str, ToolLimit); 11] = [
    ("no space left on device", ToolLimit::Disk),
    ("disk quota exceeded", ToolLimit::Disk),
    ("read-only file system", ToolLimit::Disk),
    ("input/output error", ToolLimit::Disk),
    ("file too large", ToolLimit::Disk),
    ("too many open files", ToolLimit::System),
    ("resource temporarily unavailable", ToolLimit::System),
    ("cannot allocate memory", ToolLimit::System),
    ("failed to create new os thread", ToolLimit::System),
    ("signal: killed", ToolLimit::Killed),
    ("signal 9 (sigkill)", ToolLimit::Killed),
];

/// Finds such a sentence in what a failed tool said: at the beginning of a line or behind a colon,
/// where the system speaks, and not in a line of source code. Returns it with its line.
#[must_use]
pub fn tool_limit(said: &str) -> Option<(ToolLimit, &str)> {
    said.lines().find_map(|line| {
        let words = line.trim_start().to_ascii_lowercase();
        let speaks = |sentence: &str| {
            words.starts_with(sentence) || words.contains(&format!(": {sentence}"))
        };
        let found = SENTENCES.iter().find(|(sentence, _)| speaks(sentence));
        found.map(|(_, limit)| (*limit, line.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_sentences_are_known_and_others_are_not() {
        for (said, limit) in [
            ("open /t/b001/x.a: no space left on device", Some(ToolLimit::Disk)),
            ("/usr/bin/ld: final link failed: No space left on device", Some(ToolLimit::Disk)),
            ("# m\nlink: writing: input/output error\n", Some(ToolLimit::Disk)),
            ("go: creating work dir: mkdir /t: read-only file system", Some(ToolLimit::Disk)),
            ("fork/exec /go/compile: too many open files", Some(ToolLimit::System)),
            ("runtime: failed to create new OS thread (have 5)", Some(ToolLimit::System)),
            ("fork/exec /x: resource temporarily unavailable", Some(ToolLimit::System)),
            ("# m\n/go/link: signal: killed", Some(ToolLimit::Killed)),
            ("signal 9 (SIGKILL) ended it", Some(ToolLimit::Killed)),
            ("./main.go:3:5: undefined: x", None),
            ("./main.go:3:5: \"no space left on device\" redeclared", None),
        ] {
            assert_eq!(tool_limit(said).map(|it| it.0), limit, "{said}");
        }
    }
}
