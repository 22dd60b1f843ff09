//! Reads from a linker's errors which libraries it did not find.
//!
//! | linker | line |
//! |---|---|
//! | GNU ld (bfd), gold | `ld: cannot find -lx`, with `: No such file or directory` or a question behind it |
//! | GNU ld | ``ld: attempted static link of dynamic object `/usr/lib/libx.so'`` |
//! | lld | `ld.lld: error: unable to find library -lx` |
//! | mold | `mold: fatal: library not found: x` |
//! | zig | `error: unable to find dynamic system library 'x' using strategy …` |

use std::collections::BTreeSet;

/// Returns the names of the libraries that the linker did not find, as behind `-l`.
#[must_use]
pub fn libraries_not_found(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(not_found).collect()
}

fn not_found(line: &str) -> Option<String> {
    for before in ["cannot find -l", "unable to find library -l", "library not found: "] {
        if let Some((_, rest)) = line.split_once(before) {
            return name(rest);
        }
    }
    if let Some((_, rest)) = line.split_once("attempted static link of dynamic object `") {
        let file = rest.split('\'').next()?.rsplit('/').next()?;
        return name(file.strip_prefix("lib")?.split(".so").next()?);
    }
    name(line.split_once("system library '")?.1)
}

fn name(text: &str) -> Option<String> {
    let is_end = |it: char| it.is_whitespace() || ":'\"`,;".contains(it);
    let name = text.split(is_end).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_linker_s_words_name_the_library() {
        for line in [
            "/usr/bin/ld: cannot find -lfoo: No such file or directory",
            "/usr/bin/ld: cannot find -lfoo",
            "/usr/bin/ld.gold: error: cannot find -lfoo",
            "/usr/bin/ld: attempted static link of dynamic object `/opt/x/libfoo.so.1'",
            "ld.lld: error: unable to find library -lfoo",
            "mold: fatal: library not found: foo",
            "error: unable to find dynamic system library 'foo' using strategy 'paths_first'",
        ] {
            let found: Vec<_> = libraries_not_found(line).into_iter().collect();
            assert_eq!(found, ["foo"], "{line}");
        }
    }

    #[test]
    fn other_words_name_none_and_each_stands_once() {
        assert!(libraries_not_found("collect2: error: ld returned 1 exit status").is_empty());
        let two =
            "ld: cannot find -lb\nld: cannot find -la: have you installed it?\nld: cannot find -lb";
        assert_eq!(libraries_not_found(two).into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
