//! Which files C, C++, assembly and the C in Go's comments name: found by reading.
//!
//! | what is written | what it names |
//! |---|---|
//! | `#include`, `#include_next`, `#import`, `#embed` | a file in quotes or angle brackets; a macro: *computed* |
//! | `__has_include(…)`, `__has_include_next(…)`, `__has_embed(…)` | the same: that it is there, or not, decides |
//! | `#pragma GCC dependency "…"` | a file |
//! | `.incbin "…"`, `.include "…"`, also in a string of C | a file; a macro or a string joined from parts: *computed* |
//!
//! Conditions are not judged, so a name behind `#if 0` counts too, and so does one in a comment:
//! the answer holds every name that a compiler may see, and some that it does not. Where a name is
//! computed, [`literals`] returns whatever in the text looks like a file name.

use memchr::{memchr, memchr2, memmem};
use std::borrow::Cow;

/// One file that a text names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CName {
    /// As it is written.
    pub name: String,
    /// In quotes: looked for beside the file that names it first.
    pub quoted: bool,
}

/// The files that a text names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CNames {
    /// Names that stand there.
    pub names: Vec<CName>,
    /// There is a name that only the preprocessor, or the assembler, puts together.
    pub computed: bool,
}

/// Longer names than any system takes are none.
const LONGEST: usize = 4096;

/// What stands before a keyword decides what it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind `#`.
    Directive,
    /// Behind `__has_`.
    Question,
    /// Behind `.`, perhaps in a string of C.
    Assembly,
}

enum Found {
    Name(CName),
    Computed,
    Nothing,
}

/// Finds the names in `text`, which may be the C in a comment of Go.
#[must_use]
pub fn names(text: &[u8], is_go: bool) -> CNames {
    let joined = without_joints(text);
    let text = joined.as_ref();
    let mut all = CNames::default();
    for keyword in ["include", "import", "embed", "incbin", "dependency"] {
        for at in memmem::find_iter(text, keyword.as_bytes()) {
            let end = at + keyword.len();
            let Some(place) = place(&text[..at], keyword) else { continue };
            match name_behind(&text[end..], place) {
                Found::Name(name) => all.names.push(name),
                // Prose about an `#include` names nothing.
                Found::Computed if place == Place::Directive && !is_go => {
                    all.computed |= begins_a_line(&text[..at]);
                }
                Found::Computed => all.computed = true,
                Found::Nothing => {}
            }
        }
    }
    all.names.sort();
    all.names.dedup();
    all
}

/// Returns all that looks like a name of a file in `text`, as often as it stands there.
///
/// These are strings, and runs of the characters of paths with a `.` or `/` in them. With
/// `only_macros`, from lines that define a macro.
pub fn literals(text: &[u8], only_macros: bool) -> impl Iterator<Item = &[u8]> {
    let is_read = move |it: &&[u8]| !only_macros || memmem::find(it, b"define").is_some();
    let lines = text.split(|it| *it == b'\n').filter(is_read);
    let found = lines.flat_map(|line| {
        let runs = line.split(|it| !IN_PATHS[usize::from(*it)]);
        let runs = runs.filter(|it| memchr2(b'.', b'/', it).is_some());
        let strings = line.split(|it| matches!(it, b'"' | b'<' | b'>')).filter(|it| !it.is_empty());
        runs.chain(strings)
    });
    found.filter(|it| it.len() <= LONGEST)
}

/// Which bytes stand in paths that nothing quotes.
const IN_PATHS: [bool; 256] = {
    let mut table = [false; 256];
    let mut it = 0_u8;
    while it < 128 {
        table[it as usize] = it.is_ascii_alphanumeric()
            || matches!(it, b'_' | b'-' | b'+' | b'.' | b'/' | b'~' | b'@' | b'%');
        it += 1;
    }
    table
};

/// Joins lines that end in a backslash, as a compiler does before anything else.
fn without_joints(text: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(text, b"\\\n").is_none() && memmem::find(text, b"\\\r\n").is_none() {
        return Cow::Borrowed(text);
    }
    let mut joined = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|it| *it == b'\n') {
        let kept = line.strip_suffix(b"\\\n").or_else(|| line.strip_suffix(b"\\\r\n"));
        joined.extend_from_slice(kept.unwrap_or(line));
    }
    Cow::Owned(joined)
}

/// Says what a keyword is from what stands `before` it.
fn place(before: &[u8], keyword: &str) -> Option<Place> {
    if keyword == "incbin" || keyword == "include" && before.ends_with(b".") {
        return before.ends_with(b".").then_some(Place::Assembly);
    }
    if before.ends_with(b"__has_") {
        return Some(Place::Question);
    }
    let is_directive = match keyword {
        // `#pragma GCC dependency`, or `clang`.
        "dependency" => without_blanks(before).ends_with(b"GCC"),
        _ => before_sign(before).is_some(),
    };
    is_directive.then_some(Place::Directive)
}

/// Returns what stands before the sign of a directive, whose keyword comes next.
fn before_sign(before: &[u8]) -> Option<&[u8]> {
    let before = without_blanks(before);
    [&b"#"[..], b"%:", b"??="].iter().find_map(|it| before.strip_suffix(*it))
}

/// Tells whether a directive, whose keyword comes next, is the first of its line; what a comment
/// that ends there has before it is not looked at.
fn begins_a_line(before: &[u8]) -> bool {
    let Some(before) = before_sign(before) else { return true };
    let is_blank = |it: &u8| matches!(it, b' ' | b'\t' | b'\x0b' | b'\x0c');
    let blanks = before.iter().rev().take_while(|it| is_blank(it)).count();
    let before = &before[..before.len() - blanks];
    // A mark of UTF-8 may stand before all else.
    matches!(before, [] | [.., b'\n' | b'\r'] | [.., b'*', b'/'] | [0xef, 0xbb, 0xbf])
}

/// Takes blanks and comments from the end.
fn without_blanks(mut text: &[u8]) -> &[u8] {
    loop {
        let before = text.len();
        text = match text {
            [rest @ .., b' ' | b'\t' | b'\x0b' | b'\x0c' | b'\r'] => rest,
            [rest @ .., b'*', b'/'] => match memmem::rfind(rest, b"/*") {
                Some(start) => &rest[..start],
                None => rest,
            },
            _ => text,
        };
        if text.len() == before {
            return text;
        }
    }
}

/// Takes blanks and comments from the beginning.
fn after_blanks(mut text: &[u8]) -> &[u8] {
    loop {
        let before = text.len();
        text = match text {
            [b' ' | b'\t' | b'\x0b' | b'\x0c' | b'\r', rest @ ..] => rest,
            [b'/', b'*', rest @ ..] => match memmem::find(rest, b"*/") {
                Some(end) => &rest[end + 2..],
                None => &[],
            },
            _ => text,
        };
        if text.len() == before {
            return text;
        }
    }
}

/// Reads the name behind a keyword.
fn name_behind(text: &[u8], place: Place) -> Found {
    let text = text.strip_prefix(b"_next").unwrap_or(text);
    if text.first().is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_') {
        return Found::Nothing;
    }
    let mut rest = after_blanks(text);
    if place == Place::Question {
        // Without a bracket it is only asked whether the question can be asked.
        let Some(inside) = rest.strip_prefix(b"(") else { return Found::Nothing };
        rest = after_blanks(inside);
    }
    let computed = if place == Place::Assembly && text.len() == rest.len() {
        // `x.include(…)` is no directive of an assembler.
        Found::Nothing
    } else {
        Found::Computed
    };
    match rest {
        [b'"', inside @ ..] => up_to(inside, b"\"", true),
        // A string of C that holds a line of assembly.
        [b'\\', b'"', inside @ ..] if place == Place::Assembly => up_to(inside, b"\\\"", true),
        [b'<', inside @ ..] if place != Place::Assembly => up_to(inside, b">", false),
        [b'\\', ..] if place == Place::Assembly => computed,
        [first, ..] if first.is_ascii_alphabetic() || *first == b'_' => computed,
        _ => Found::Nothing,
    }
}

/// Reads a name up to its end; one that is broken off by a line or by the end of a string is put
/// together from parts.
fn up_to(text: &[u8], end: &[u8], quoted: bool) -> Found {
    let line = &text[..memchr(b'\n', text).unwrap_or(text.len()).min(LONGEST)];
    let Some(length) = memmem::find(line, end) else { return Found::Computed };
    let name = &line[..length];
    if end.len() > 1 && memchr(b'"', name).is_some() {
        return Found::Computed;
    }
    if name.is_empty() {
        return Found::Nothing;
    }
    Found::Name(CName { name: String::from_utf8_lossy(name).into_owned(), quoted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str], computed: bool) {
        let found = names(text.as_bytes(), false);
        let shown: Vec<_> = found.names.iter().map(|it| it.name.as_str()).collect();
        assert_eq!((shown.as_slice(), found.computed), (expected, computed), "{text}");
    }

    #[test]
    fn every_way_to_name_a_file_is_found() {
        check("#include <stdio.h>\n  #  include \"a/b.h\" // why\n", &["a/b.h", "stdio.h"], false);
        check("// #include \"c.h\"\n/* x\n#include \"d.data\"\n*/\n", &["c.h", "d.data"], false);
        check("#include_next <limits.h>\n#import \"x.h\"\n", &["limits.h", "x.h"], false);
        check("#embed \"table.bin\" limit(4)\n", &["table.bin"], false);
        check(
            "#if __has_include(<a.h>) && __has_include_next ( \"b.h\" )\n",
            &["a.h", "b.h"],
            false,
        );
        check("#if __has_embed(\"c\")\n", &["c"], false);
        check("#pragma GCC dependency \"grammar.y\" rerun\n", &["grammar.y"], false);
        check("v:\t.incbin \"blob\"\n\t.include \"m.inc\"\n", &["blob", "m.inc"], false);
        check(r#"__asm__(".incbin \"blob\"\n");"#, &["blob"], false);
        check("%: include \"x.h\"\n??=include \"y.h\"\n", &["x.h", "y.h"], false);
        check("#inc\\\nlude \"x.h\"\n", &["x.h"], false);
        check(
            "# /* why */ include /* what */ \"x.h\"\n#\\\n include \\\n \"y.h\"",
            &["x.h", "y.h"],
            false,
        );
    }

    #[test]
    fn a_name_that_is_put_together_is_told() {
        for text in [
            "#include MACRO\n",
            "#include STR(x.h)\n",
            "#if __has_include(MACRO)\n",
            "  .incbin FILE\n",
            r#"__asm__(".incbin \"" FILE "\"");"#,
            "\t.macro x name\n\t.incbin \\name\n",
            "#embed FILE\n",
        ] {
            check(text, &[], true);
        }
    }

    #[test]
    fn prose_about_directives_is_none() {
        for text in [
            " * code should #include this file\n",
            "// You should @c \\#include this file.\n",
            "/* Optionally #include a header */\n",
            "/* the #import of names */ int x;\n",
        ] {
            check(text, &[], false);
        }
        for text in [
            "int x;\n/* why,\n   #include this */ # include MACRO\n",
            "#/**/include MACRO\n",
            "\t#\tembed MACRO\n",
            "%:import MACRO\n",
            "/* a /* b */ #include MACRO\n",
            "int x;\r #include MACRO\n",
            "\u{feff}#include MACRO\n",
        ] {
            check(text, &[], true);
        }
        for text in ["// #include MACRO\nimport \"C\"\n", "/* #include MACRO\n*/\n"] {
            assert!(names(text.as_bytes(), true).computed, "{text}");
        }
    }

    #[test]
    fn what_names_no_file_is_passed_over() {
        for text in [
            "#define include \"no\"\nimport \"C\"\nx.include(\"y\")\n",
            "#ifdef __has_include\n#if defined(__has_include)\n",
            "it includes \"this\"; #includes \"that\"\n//go:embed x\n",
            "",
            "#include",
            "#include \"\"",
        ] {
            check(text, &[], false);
        }
    }

    #[test]
    fn whatever_looks_like_a_file_is_a_literal() {
        let text = b"#define H <a/b.h>\nINCBIN(x, \"data 1\");\n#include STR(../up.h)\n";
        for name in ["a/b.h", "data 1", "../up.h"] {
            assert!(literals(text, false).any(|it| it == name.as_bytes()), "{name}");
        }
        let macros: Vec<_> = literals(text, true).map(String::from_utf8_lossy).collect();
        assert_eq!(macros, ["a/b.h", "#define H ", "a/b.h"]);
    }

    /// A text of any bytes is read to its end.
    #[test]
    fn odd_bytes_do_no_harm() {
        let text = b"#include \"x\xff.h\"\n#include <\n.incbin \"\\\"\n__has_include(\n*/include \"y\"\n#include \"z";
        for cut in 0..=text.len() {
            let _ = (names(&text[..cut], false), literals(&text[..cut], false).count());
        }
    }
}
