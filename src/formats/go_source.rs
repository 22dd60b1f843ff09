//! What the `go` command reads of one source file to know what belongs to a Go package.
//!
//! `None` says that the text is not fully understood, or that Go would call it an error: then Go
//! itself is to be asked. Files with letters beyond ASCII in names and import paths are among
//! these, since Go decides by tables of its own.
//!
//! # Source
//!
//! `readGoInfo`, `parseGoEmbed` and `readComments` in `go/build/read.go`; `saveCgo` and
//! `splitQuoted` in `go/build/build.go`.

use crate::formats::go_constraint::{Constraint, of_file};
use crate::formats::go_header::{GoHead, head_of};

/// A Go source file, as far as it decides what a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSource {
    /// The name in the package clause.
    pub package: String,
    /// Where it counts.
    pub constraint: Constraint,
    /// What it imports, as written.
    pub imports: Vec<String>,
    /// The patterns of `//go:embed` lines; nothing where "embed" is not imported.
    pub embeds: Vec<String>,
    /// The `#cgo` lines.
    pub cgo: Vec<CgoLine>,
}

/// One `#cgo` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgoLine {
    /// It counts where one of these holds, or there is none.
    pub conditions: Vec<String>,
    /// `CFLAGS`, `LDFLAGS`, `pkg-config` and the like.
    pub verb: String,
    /// The words behind the colon.
    pub words: Vec<String>,
}

/// Go's words that are no names.
const KEYWORDS: [&str; 25] = [
    "break",
    "case",
    "chan",
    "const",
    "continue",
    "default",
    "defer",
    "else",
    "fallthrough",
    "for",
    "func",
    "go",
    "goto",
    "if",
    "import",
    "interface",
    "map",
    "package",
    "range",
    "return",
    "select",
    "struct",
    "switch",
    "type",
    "var",
];

impl GoSource {
    /// Reads the text of a Go file.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        Self::of(text, head_of(text)?)
    }

    /// Reads a Go file of which this is the start; `None` also where what follows may count.
    #[must_use]
    pub fn read_start(start: &[u8]) -> Option<Self> {
        // Two more bytes say that what follows the head is no comment.
        let found = head_of(start).filter(|it| it.end + 1 < start.len())?;
        // Patterns of what is embedded stand behind the head.
        let embeds = found.imports.iter().any(|it| it == "embed");
        (!embeds).then(|| Self::of(start, found))?
    }

    fn of(text: &[u8], found: GoHead) -> Option<Self> {
        let head = std::str::from_utf8(text.get(..found.end)?).ok()?;
        let head = head.strip_prefix('\u{feff}').unwrap_or(head);
        // A mark of byte order is an error elsewhere. A line directive moves the lines by which
        // comments are found.
        let directs = |it: &str| {
            it.starts_with("//line ")
                || it.contains("/*line ") && !it.trim_start().starts_with("//")
        };
        if head.contains('\u{feff}') || head.lines().any(directs) {
            return None;
        }
        let is_name = |it: &String| it.is_ascii() && !KEYWORDS.contains(&it.as_str());
        let package = found.names.first().filter(|it| *it != "_")?.clone();
        if !found.names.iter().all(is_name) || !found.imports.iter().all(|it| is_import(it)) {
            return None;
        }
        let embeds = found.imports.iter().any(|it| it == "embed");
        let lines = found.preambles.iter().flat_map(|it| it.lines());
        let cgo = lines.filter_map(behind_cgo).map(cgo_line).collect::<Option<_>>()?;
        Some(Self {
            package,
            constraint: of_file(text)?,
            embeds: if embeds { embedded(text)? } else { Vec::new() },
            imports: found.imports,
            cgo,
        })
    }
}

/// Returns the constraint of a file of another language.
#[must_use]
pub fn constraint_of_other(text: &[u8]) -> Option<Constraint> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    // What is no whole comment makes Go take the file without reading on.
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|it| !it.is_empty()) {
        at += match rest {
            [b' ' | b'\x0c' | b'\t' | b'\r' | b'\n' | b';', ..] => 1,
            [b'/', b'/', ..] => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            [b'/', b'*', inside @ ..] => memchr::memmem::find(inside, b"*/")? + 4,
            [b'/', ..] => return None,
            _ => break,
        };
    }
    let is_whole = !text.get(..at + 1).unwrap_or(text).contains(&0);
    is_whole.then(|| of_file(text))?
}

/// Tells whether Go takes this for an import path, if all of it is ASCII.
fn is_import(path: &str) -> bool {
    let is_fit = |it: u8| it.is_ascii_graphic() && !b"!\"#$%&'()*,:;<=>?[\\]^`{|}".contains(&it);
    !path.is_empty() && path.bytes().all(is_fit)
}

/// Reads the patterns of all `//go:embed` lines of a Go file.
fn embedded(text: &[u8]) -> Option<Vec<String>> {
    let (mut patterns, mut at) = (Vec::new(), 0);
    while let Some(rest) = text.get(at..).filter(|it| !it.is_empty()) {
        at += match rest {
            [b'/', b'/', ..] => {
                let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                if let Some(words) = rest.get(..length)?.strip_prefix(b"//go:embed") {
                    patterns.extend(embed_words(words)?);
                }
                length
            }
            [b'/', b'*', inside @ ..] => memchr::memmem::find(inside, b"*/")? + 4,
            [b'`', inside @ ..] => memchr::memchr(b'`', inside)? + 2,
            [quote @ (b'"' | b'\''), inside @ ..] => literal(inside, *quote)? + 2,
            _ => 1,
        };
    }
    Some(patterns)
}

/// Returns the length of what stands in quotes on one line.
fn literal(inside: &[u8], quote: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        match inside.get(at)? {
            b'\n' => return None,
            b'\\' => at += 2,
            it if *it == quote => return Some(at),
            _ => at += 1,
        }
    }
}

/// Reads the words behind `//go:embed`; quoted ones without escapes.
fn embed_words(words: &[u8]) -> Option<Vec<String>> {
    let mut rest = std::str::from_utf8(words).ok().filter(|it| it.is_ascii())?;
    let is_apart = |it: &str| it.is_empty() || it.starts_with([' ', '\t', '\r']);
    if !is_apart(rest) {
        return None;
    }
    let mut patterns = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        let Some(first) = rest.chars().next() else { return Some(patterns) };
        let length = if matches!(first, '"' | '`') {
            let inside = rest.get(1..)?;
            let length = inside.find(first)?;
            patterns.push(inside.get(..length)?.to_owned());
            length + 2
        } else {
            let length = rest.find(|it: char| it.is_ascii_whitespace()).unwrap_or(rest.len());
            patterns.push(rest.get(..length)?.to_owned());
            length
        };
        // An escape, or a quote within a word.
        let word = patterns.last()?;
        if word.contains(['\\', '"', '`', '\x0b', '\r']) {
            return None;
        }
        rest = rest.get(length..)?;
        if !is_apart(rest) {
            return None;
        }
    }
}

/// Returns what stands behind `#cgo` in a line of the comment above `import "C"`, if it is one that
/// says how C is compiled.
fn behind_cgo(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("#cgo")?;
    let words: Vec<_> = rest.split_whitespace().collect();
    let is_hint = matches!(words.as_slice(), ["nocallback" | "noescape", _]);
    (rest.starts_with([' ', '\t']) && !is_hint).then_some(rest)
}

/// Reads a `#cgo` line; `None` if Go would refuse it.
fn cgo_line(rest: &str) -> Option<CgoLine> {
    let (what, words) = rest.split_once(':')?;
    let mut conditions: Vec<_> = what.split_whitespace().map(str::to_owned).collect();
    let verb = conditions.pop()?;
    Some(CgoLine { conditions, verb, words: quoted_words(words)? })
}

/// Splits at space, except in quotes; a backslash takes the next character as it is.
fn quoted_words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.push(letters.next()?),
            (it, Some(open)) if it == open => quote = None,
            ('"' | '\'', None) => (quoted, quote) = (true, Some(letter)),
            (it, None) if it.is_whitespace() => {
                if quoted || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                quoted = false;
            }
            (it, _) => word.push(it),
        }
    }
    if quoted || !word.is_empty() {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<GoSource> {
        GoSource::read(text.as_bytes())
    }

    #[test]
    fn embed_lines_are_comments_and_nothing_else() {
        let text = "package p\n\nimport _ \"embed\"\n\nvar s = `\n//go:embed raw\n` + \"//go:embed string\"\n\
            /*\n//go:embed block\n*/\nvar r = '\"' //go:embed behind \"with space\" `all:x`\n//go:embed a b\r\n//go:embed\nvar t int\n";
        let source = read(text).unwrap();
        assert_eq!(source.embeds, ["behind", "with space", "all:x", "a", "b"]);
        assert!(read(&text.replace("\"embed\"", "\"other\"")).unwrap().embeds.is_empty());
        for odd in ["//go:embedded x", "//go:embed \"\\x61\"", "//go:embed \"a\"b", "var x = \"a"] {
            assert_eq!(read(&format!("{text}{odd}\n")), None, "{odd}");
        }
    }

    #[test]
    fn the_start_of_a_file_says_what_all_of_it_does_or_nothing() {
        let head = "\u{feff}// Words.\n\n//go:build linux && !x\n\npackage p // p\n\n/* a\n */\nimport (\n\t\"fmt\"\n\tq \"x/y\"\n)\n\n\
            // #cgo LDFLAGS: -lm\nimport \"C\"\n";
        for body in
            ["", "\n", "// End", "/* End */", "var x int\n", "import . \"z\"\n\nfunc f() {}\n", "/"]
        {
            let text = format!("{head}{body}");
            let whole = read(&text);
            let starts = (0..=text.len()).map(|it| GoSource::read_start(&text.as_bytes()[..it]));
            let mut told = 0;
            for (length, start) in starts.enumerate().filter(|it| it.1.is_some()) {
                assert_eq!(start, whole, "{length} bytes of {text:?}");
                told += 1;
            }
            assert_eq!(told > 0, body.starts_with("var") || body.contains("func"), "{body:?}");
            let embeds = text.replace("\"fmt\"", "\"embed\"");
            assert_eq!(GoSource::read_start(embeds.as_bytes()), None);
        }
    }

    #[test]
    fn cgo_lines_are_those_right_above_the_import() {
        let lines = |text: &str| -> Option<Vec<String>> {
            let cgo = read(text)?.cgo;
            Some(cgo.into_iter().map(|it| format!("{}={}", it.verb, it.words.join("|"))).collect())
        };
        let one =
            "package p\n\n// #cgo LDFLAGS: -lm \"a b\" 'c'd\n// #include <x.h>\nimport \"C\"\n";
        assert_eq!(lines(one).unwrap(), ["LDFLAGS=-lm|a b|cd"]);
        assert!(lines(&one.replace("\nimport", "\n\nimport")).unwrap().is_empty());
        let block = "package p\n/*\n#cgo linux,!x CFLAGS: -Dx=\\\"y\\\"\n#cgo noescape f\n*/\nimport (\n\t\"C\"\n)\n";
        assert_eq!(lines(block).unwrap(), ["CFLAGS=-Dx=\"y\""]);
        let two = block.replace("\t\"C\"", "\t\"C\"\n\t\"fmt\"");
        assert!(lines(&two).unwrap().is_empty(), "it belongs to the group");
        let own =
            "package p\nimport (\n\t\"fmt\" // #cgo CFLAGS: -a\n\t// #cgo CFLAGS: -b\n\t\"C\"\n)\n";
        assert_eq!(lines(own).unwrap(), ["CFLAGS=-b"]);
        for odd in ["#cgo CFLAGS -x", "#cgo : -x", "#cgo CFLAGS: \"x"] {
            assert_eq!(lines(&format!("package p\n// {odd}\nimport \"C\"\n")), None, "{odd}");
        }
    }

    #[test]
    fn what_go_would_refuse_is_not_read() {
        for text in [
            "package _\n",
            "package func\n",
            "package p\nimport type \"fmt\"\n",
            "package p\nimport \"a b\"\n",
            "package p\nimport \"\u{e4}\"\n",
            "package \u{e4}\n",
            "// \u{feff}\npackage p\n",
            "//line x:1\npackage p\n",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(GoSource::read(b"// \xff\npackage p\n"), None);
        assert!(read("\u{feff}package p\r\n\r\nimport \"fmt\"\r\n").is_some());
    }

    #[test]
    fn files_of_other_languages_have_constraints_too() {
        let a = Constraint::All(vec![Constraint::Tag("a".to_owned())]);
        assert_eq!(
            constraint_of_other(b"//go:build a\n\n#include <x.h>\n"),
            Some(Constraint::Any(vec![a]))
        );
        assert_eq!(constraint_of_other(b"#define X /\n"), Some(Constraint::All(vec![])));
        assert_eq!(constraint_of_other(b""), Some(Constraint::All(vec![])));
        for odd in [&b"/* never ends"[..], b"/ x", b"// \0\n", b"\0"] {
            assert_eq!(constraint_of_other(odd), None, "{odd:?}");
        }
    }
}
