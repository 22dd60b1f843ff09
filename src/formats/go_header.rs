//! The head of a Go source file: all that the `go` command reads of it to know what belongs to a
//! package and what that imports.
//!
//! ```text
//! comments, build constraints ▸ package clause ▸ imports and comments ▸ first declaration
//! └───────────────────────── the head ──────────────────────────────┘
//! ```
//!
//! Two texts with the same head are the same to `go list`, but for two things that are told here:
//! `//go:embed` lines stand behind it, and in test files functions are looked for by name.
//!
//! It never guesses: where the text is not what Go's grammar says, the whole file is the head.
//!
//! # Source
//!
//! `readGoInfo` in `go/build/read.go`.

/// What stands in the head of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoHead {
    /// Where it ends: at the first word behind the imports, or where the text does.
    pub end: usize,
    /// What is imported, in order, as written.
    pub imports: Vec<String>,
    /// The package's name, then the names that imports are given.
    pub names: Vec<String>,
    /// For each `import "C"` that has a comment, the text of that comment.
    pub preambles: Vec<String>,
}

/// Reads the head of a Go file; `None` if it is not what the grammar says.
#[must_use]
pub fn head_of(text: &[u8]) -> Option<GoHead> {
    let mut rest = Text { bytes: text, at: 0, gap: Gap::default(), names: Vec::new() };
    rest.take(b"\xEF\xBB\xBF");
    rest.gap()?;
    if !rest.take_word(b"package") {
        return None;
    }
    rest.gap()?;
    rest.name()?;
    rest.end_of_statement()?;
    let (mut imports, mut preambles) = (Vec::new(), Vec::new());
    while rest.is_at(b"import") {
        let of_all = rest.gap.clone();
        if !rest.take_word(b"import") {
            break;
        }
        rest.gap()?;
        // The import of "C", and what stands before it.
        let (mut count, mut of_c) = (0, None);
        let grouped = rest.take(b"(");
        if grouped {
            rest.gap()?;
        }
        while !(grouped && rest.take(b")")) {
            let before = rest.gap.clone();
            imports.push(rest.import()?);
            count += 1;
            if imports.last().is_some_and(|it| it == "C") {
                let own = lead_comment(text, &before).filter(|_| grouped);
                let of_c = of_c.get_or_insert(Vec::new());
                of_c.push(own);
            }
            if !grouped {
                break;
            }
            if !rest.is_at(b")") {
                rest.end_of_statement()?;
            }
        }
        let of_all = || lead_comment(text, &of_all).filter(|_| count == 1);
        preambles.extend(of_c.into_iter().flatten().filter_map(|own| own.or_else(of_all)));
        rest.end_of_statement()?;
    }
    // Go reads on where a word begins as `import` does, to see whether it is one.
    let is_clear = !rest.is_at(b"i") && !text.get(..rest.at)?.contains(&0);
    is_clear.then_some(GoHead { end: rest.at, imports, names: rest.names, preambles })
}

/// Returns the bytes that decide what a Go file is to `go list`, test functions left aside.
#[must_use]
pub fn decisive(text: &[u8]) -> &[u8] {
    match head_of(text) {
        Some(head) if !embeds(text, &head) => text.get(..head.end).unwrap_or(text),
        _ => text,
    }
}

/// Tells whether files may be embedded: whether a line is one of `//go:embed` or a part of a text
/// that spans lines is not decided here.
fn embeds(text: &[u8], head: &GoHead) -> bool {
    head.imports.iter().any(|it| it == "embed") && memchr::memmem::find(text, b"go:embed").is_some()
}

/// The space and the comments between two words.
#[derive(Debug, Clone, Default)]
struct Gap {
    from: usize,
    to: usize,
    /// Where each comment begins and ends.
    comments: Vec<(usize, usize)>,
}

/// Returns the words of the comments that stand right above what follows a gap, without their
/// marks: what `go/parser` takes for its documentation.
///
/// # Source
///
/// `parser.next` in `go/parser/parser.go`; `CommentGroup.Text` in `go/ast/ast.go`.
fn lead_comment(text: &[u8], gap: &Gap) -> Option<String> {
    let line = |to: usize| memchr::memchr_iter(b'\n', text.get(..to).unwrap_or(text)).count();
    let mut comments = gap.comments.as_slice();
    // What begins on the line of the word before belongs to that word.
    let mut end = line(gap.from);
    while let Some(((from, to), rest)) = comments.split_first()
        && gap.from > 0
        && line(*from) <= end
    {
        (end, comments) = (line(*to), rest);
    }
    let mut next = line(gap.to).checked_sub(1)?;
    let mut first = comments.len();
    for (at, (from, to)) in comments.iter().enumerate().rev() {
        let is_near = line(*to) == next || (first < comments.len() && line(*to) >= next);
        if !is_near {
            break;
        }
        (first, next) = (at, line(*from).saturating_sub(1));
    }
    let group = comments.get(first..).filter(|it| !it.is_empty())?;
    let words = group.iter().map(|(from, to)| {
        let inside = String::from_utf8_lossy(text.get(from + 2..*to).unwrap_or_default());
        let is_block = text.get(from + 1) == Some(&b'*');
        let inside = if is_block { inside.strip_suffix("*/").unwrap_or(&inside) } else { &inside };
        inside.replace('\r', "")
    });
    Some(words.collect::<Vec<_>>().join("\n"))
}

struct Text<'t> {
    bytes: &'t [u8],
    at: usize,
    /// The gap before the next word.
    gap: Gap,
    names: Vec<String>,
}

impl Text<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is_at(&self, words: &[u8]) -> bool {
        self.bytes.get(self.at..).is_some_and(|it| it.starts_with(words))
    }

    fn take(&mut self, words: &[u8]) -> bool {
        let is_here = self.is_at(words);
        self.at += if is_here { words.len() } else { 0 };
        is_here
    }

    /// Takes a keyword that ends here.
    fn take_word(&mut self, word: &[u8]) -> bool {
        let follows = self.bytes.get(self.at + word.len()).copied();
        !follows.is_some_and(is_of_name) && self.take(word)
    }

    /// Passes over space and comments; tells whether there was a line's end among them.
    fn gap(&mut self) -> Option<bool> {
        let mut ended = false;
        if self.gap.to != self.at {
            self.gap = Gap { from: self.at, to: self.at, comments: Vec::new() };
        }
        loop {
            let from = self.at;
            match self.peek() {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\n') => {
                    ended = true;
                    self.at += 1;
                }
                Some(b'/') if self.is_at(b"//") => {
                    let line = self.bytes.get(self.at..)?;
                    self.at += memchr::memchr(b'\n', line).unwrap_or(line.len());
                    self.gap.comments.push((from, self.at));
                }
                Some(b'/') if self.is_at(b"/*") => {
                    let inside = self.bytes.get(self.at + 2..)?;
                    let length = memchr::memmem::find(inside, b"*/")?;
                    // One that spans lines ends the line that it begins on.
                    ended |= inside.get(..length)?.contains(&b'\n');
                    self.at += length + 4;
                    self.gap.comments.push((from, self.at));
                }
                _ => {
                    self.gap.to = self.at;
                    return Some(ended);
                }
            }
        }
    }

    /// A statement ends with `;`, a line, or the text.
    fn end_of_statement(&mut self) -> Option<()> {
        let mut ended = self.gap()?;
        while self.take(b";") {
            // Another one is an empty statement, which the grammar does not have here.
            self.gap()?;
            if self.is_at(b";") {
                return None;
            }
            ended = true;
        }
        (ended || self.at == self.bytes.len()).then_some(())
    }

    fn name(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(is_of_name) {
            self.at += 1;
        }
        let name = self.bytes.get(from..self.at)?;
        let is_name = !name.first()?.is_ascii_digit();
        self.names.push(String::from_utf8_lossy(name).into_owned());
        is_name.then_some(())
    }

    /// One import: perhaps a name, `_` or `.`, then the path.
    fn import(&mut self) -> Option<String> {
        if self.take(b".") || self.name().is_some() {
            self.gap()?;
        }
        let quote = self.peek().filter(|it| matches!(it, b'"' | b'`'))?;
        let inside = self.bytes.get(self.at + 1..)?;
        let length = memchr::memchr(quote, inside)?;
        let path = std::str::from_utf8(inside.get(..length)?).ok()?;
        // Escapes are allowed in Go, and nobody writes them.
        let is_plain = !path.is_empty() && !path.contains(['\\', '\n', '\r']);
        self.at += length + 2;
        is_plain.then(|| path.to_owned())
    }
}

/// Letters beyond ASCII are bytes of 128 and more.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, body: &str, imports: &[&str]) {
        let text = format!("{head}{body}");
        let found = head_of(text.as_bytes());
        let found = found.map(|it| (it.end, it.imports));
        let imports = imports.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(found, Some((head.len(), imports)), "{text:?}");
    }

    #[track_caller]
    fn whole(text: &str) {
        assert_eq!(head_of(text.as_bytes()), None, "{text:?}");
        assert_eq!(decisive(text.as_bytes()), text.as_bytes());
    }

    #[test]
    fn the_head_ends_at_the_first_declaration() {
        check("package a\n", "", &[]);
        check("package a", "", &[]);
        check("\u{feff}package a;", "func f() {}", &[]);
        check("//go:build x\n\n/* a\n*/ package a // b\n", "var x = 1\n", &[]);
        check("package a\nimport \"fmt\"\n\n// Of f.\n", "func f() {}\n", &["fmt"]);
        check("package a;import `fmt`;import _ \"os\"\n", "const c = 1\n", &["fmt", "os"]);
        check(
            "package ä\r\nimport (\n\t. \"a\" // x\n\tb \"b\";c \"c\"\n\n)\nimport()\n",
            "type importer int\n",
            &["a", "b", "c"],
        );
        check("package a\nimport (\"a\"; \"b\")\n/* #include <x.h> */\n", "var v", &["a", "b"]);
        check("package a\nimport/**/\"a\"/* two\nlines */", "var v", &["a"]);
    }

    #[test]
    fn what_is_no_grammar_is_head_as_a_whole() {
        for text in [
            "",
            "pack a\n",
            "package\n",
            "package 1a\n",
            "package a func f()\n",
            "package a; ; var v\n",
            "package a\nimport \"a\" \"b\"\n",
            "package a\nimport \"a\n\"\n",
            "package a\nimport \"\\x61\"\n",
            "package a\nimport (\"a\"\n",
            "package a\nimport \"\"\n",
            "package a\n/* never ends",
            "package a\nimport fmt\n",
            "package a\nimport \"a\"; if x {}\n",
            "package a\n// \0\nvar v\n",
        ] {
            whole(text);
        }
    }

    #[test]
    fn embedding_is_looked_for_in_the_whole_file() {
        let plain = "package a\nimport \"embed\"\n\nvar v embed.FS\n";
        assert_eq!(decisive(plain.as_bytes()), b"package a\nimport \"embed\"\n\n");
        let embeds = plain.replace("var", "//go:embed x\nvar");
        assert_eq!(decisive(embeds.as_bytes()), embeds.as_bytes());
        let other = embeds.replace("import \"embed\"", "import \"other\"");
        assert_ne!(decisive(other.as_bytes()), other.as_bytes());
    }
}
