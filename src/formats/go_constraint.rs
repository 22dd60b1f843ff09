//! Build constraints of a file: `//go:build` and, where there is none, lines of `// +build`.
//!
//! `None` from a function here says that the text is none that is understood, or that Go would call
//! it an error: then Go itself is to be asked.
//!
//! # Source
//!
//! `shouldBuild` and `parseFileHeader` in `go/build/build.go`; `go/build/constraint/expr.go`.

/// A constraint over tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// A tag that must hold.
    Tag(String),
    /// What must not hold.
    Not(Box<Constraint>),
    /// All of these; nothing is a constraint that holds.
    All(Vec<Constraint>),
    /// One of these.
    Any(Vec<Constraint>),
}

/// The deepest that parentheses may stand in each other; Go sets a limit as well.
const DEEPEST: usize = 50;

/// The most that one line may hold; Go's own limits are higher for `//go:build`, and the same for
/// `// +build`.
const MOST_PARTS: usize = 100;

impl Constraint {
    /// Says whether it holds, where `holds` says it of a tag; `None` where it hangs on a tag of
    /// which that is not known.
    #[must_use]
    pub fn eval(&self, holds: &dyn Fn(&str) -> Option<bool>) -> Option<bool> {
        // Nesting is bound when a constraint is read.
        let decided = |all: &[Self], by: bool| {
            let mut unknown = false;
            for one in all {
                match one.eval(holds) {
                    Some(it) if it == by => return Some(by),
                    Some(_) => {}
                    None => unknown = true,
                }
            }
            (!unknown).then_some(!by)
        };
        match self {
            Self::Tag(tag) => holds(tag),
            Self::Not(it) => it.eval(holds).map(|it| !it),
            Self::All(all) => decided(all, false),
            Self::Any(any) => decided(any, true),
        }
    }

    /// Reads what stands in a `#cgo` line: either syntax.
    #[must_use]
    pub fn of_cgo(text: &str) -> Option<Self> {
        if text.contains(['&', '|', '(', ')']) { go_build(text) } else { plus_build(text) }
    }
}

/// Returns the constraint of a file: of Go, as a whole; of another language, at least its first
/// comments.
#[must_use]
pub fn of_file(text: &[u8]) -> Option<Constraint> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let header = header(text)?;
    if let Some(line) = header.go_build {
        return go_build(&line);
    }
    let above = String::from_utf8_lossy(text.get(..header.end)?);
    let lines = above.lines().map(str::trim).filter_map(|it| it.strip_prefix("//"));
    let plus = lines.map(str::trim).filter_map(|it| it.strip_prefix("+build"));
    let plus = plus.filter(|it| it.is_empty() || it.starts_with(char::is_whitespace));
    Some(Constraint::All(plus.map(plus_build).collect::<Option<_>>()?))
}

/// The comments at the top of a file.
#[derive(Default)]
struct Header {
    /// Up to where `// +build` counts: the last blank line before the first that is no `//`.
    end: usize,
    go_build: Option<String>,
}

fn header(text: &[u8]) -> Option<Header> {
    let (mut header, mut at) = (Header::default(), 0);
    let (mut ended, mut inside) = (false, false);
    while at < text.len() {
        let rest = text.get(at..)?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |it| it + 1);
        let line = String::from_utf8_lossy(rest.get(..length)?);
        at += length;
        let mut line = line.trim();
        if line.is_empty() && !ended {
            header.end = at;
            continue;
        }
        ended |= !line.starts_with("//");
        let is_apart = |it: &&str| it.is_empty() || it.starts_with(char::is_whitespace);
        let words = line.strip_prefix("//go:build").filter(is_apart).filter(|_| !inside);
        if let Some(words) = words
            && header.go_build.replace(words.trim().to_owned()).is_some()
        {
            // Two of them are an error.
            return None;
        }
        // Such a package has no source, which is an error when it is built.
        if !inside && line == "//go:binary-only-package" {
            return None;
        }
        while !line.is_empty() {
            if inside {
                let Some((_, rest)) = line.split_once("*/") else { break };
                (inside, line) = (false, rest.trim());
            } else if line.starts_with("//") {
                break;
            } else if let Some(rest) = line.strip_prefix("/*") {
                (inside, line) = (true, rest.trim());
            } else {
                return Some(header);
            }
        }
    }
    Some(header)
}

/// Reads the words behind `//go:build`.
fn go_build(text: &str) -> Option<Constraint> {
    let mut rest = Words { rest: text, parts: 0 };
    let read = rest.any(0)?;
    rest.peek().is_none().then_some(read).filter(|_| rest.rest.trim().is_empty())
}

struct Words<'t> {
    rest: &'t str,
    parts: usize,
}

impl<'t> Words<'t> {
    fn peek(&mut self) -> Option<&'t str> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let first = self.rest.chars().next()?;
        let length = match first {
            '(' | ')' | '!' => 1,
            '&' | '|' => 2,
            _ => self.rest.find(|it: char| !is_of_tag(it)).unwrap_or(self.rest.len()),
        };
        self.rest.get(..length).filter(|it| !it.is_empty())
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(word);
        self.rest = if is_next { self.rest.get(word.len()..).unwrap_or("") } else { self.rest };
        is_next
    }

    fn any(&mut self, depth: usize) -> Option<Constraint> {
        let mut any = vec![self.all(depth)?];
        while self.take("||") {
            any.push(self.all(depth)?);
        }
        Some(Constraint::Any(any))
    }

    fn all(&mut self, depth: usize) -> Option<Constraint> {
        let mut all = vec![self.not(depth)?];
        while self.take("&&") {
            all.push(self.not(depth)?);
        }
        Some(Constraint::All(all))
    }

    fn not(&mut self, depth: usize) -> Option<Constraint> {
        self.parts += 1;
        if self.parts > MOST_PARTS || depth > DEEPEST {
            return None;
        }
        // A second one is an error, which no tag is called.
        let not = self.take("!");
        let one = if self.take("(") {
            let inside = self.any(depth + 1)?;
            self.take(")").then_some(inside)?
        } else {
            let tag = self.peek().filter(|it| it.chars().all(is_of_tag))?;
            self.take(tag);
            Constraint::Tag(tag.to_owned())
        };
        Some(if not { Constraint::Not(Box::new(one)) } else { one })
    }
}

/// Reads the words behind `// +build`: alternatives, each of parts joined by commas.
fn plus_build(text: &str) -> Option<Constraint> {
    let ignore = || Constraint::Tag("ignore".to_owned());
    let tag = |it: &str| match it {
        it if !it.is_empty() && it.chars().all(is_of_tag) => Constraint::Tag(it.to_owned()),
        _ => ignore(),
    };
    let one = |it: &str| match it.strip_prefix('!') {
        Some(rest) if rest.is_empty() || rest.starts_with('!') => ignore(),
        Some(rest) => Constraint::Not(Box::new(tag(rest))),
        None => tag(it),
    };
    let all = |it: &str| Constraint::All(it.split(',').map(one).collect());
    let any: Vec<_> = text.split_whitespace().map(all).collect();
    let parts = text.split_whitespace().flat_map(|it| it.split(',')).count();
    match any {
        _ if parts > MOST_PARTS => None,
        any if any.is_empty() => Some(ignore()),
        any => Some(Constraint::Any(any)),
    }
}

/// Letters and digits of other scripts are left to Go, whose tables are its own.
fn is_of_tag(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says whether a file counts where `a` and `b` hold and of `unknown` it is not known.
    fn counts(text: &str) -> Result<bool, &'static str> {
        let holds = |tag: &str| match tag {
            "unknown" => None,
            it => Some(it == "a" || it == "b"),
        };
        let read = of_file(text.as_bytes()).ok_or("not understood")?;
        read.eval(&holds).ok_or("not known")
    }

    #[test]
    fn constraints_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("package p\n", Ok(true)),
            ("//go:build a\npackage p\n", Ok(true)),
            ("//go:build !a\n\npackage p\n", Ok(false)),
            ("//go:build a && !(x || b)\n\npackage p\n", Ok(false)),
            ("//go:build x || a && b\n\npackage p\n", Ok(true)),
            ("//go:build unknown && x\n\npackage p\n", Ok(false)),
            ("//go:build unknown || a\n\npackage p\n", Ok(true)),
            ("//go:build unknown || x\n\npackage p\n", Err("not known")),
            ("//go:build !unknown\n\npackage p\n", Err("not known")),
            ("//go:build\n\npackage p\n", Err("not understood")),
            ("//go:build !!a\n\npackage p\n", Err("not understood")),
            ("//go:build a b\n\npackage p\n", Err("not understood")),
            ("//go:build (a\n\npackage p\n", Err("not understood")),
            ("//go:build a)\n\npackage p\n", Err("not understood")),
            ("//go:build a & b\n\npackage p\n", Err("not understood")),
            ("//go:build a,b\n\npackage p\n", Err("not understood")),
            ("//go:build a\n//go:build b\n\npackage p\n", Err("not understood")),
            ("//go:buildx\n\npackage p\n", Ok(true)),
            ("// //go:build x\n\npackage p\n", Ok(true)),
            ("package p\n//go:build x\n", Ok(true)),
            ("/* c */\n//go:build x\n\npackage p\n", Ok(false)),
            ("/*\n//go:build x\n*/\n\npackage p\n", Ok(true)),
            ("\u{feff}//go:build x\n\npackage p\n", Ok(false)),
            ("//go:build x\r\n\r\npackage p\r\n", Ok(false)),
            ("// +build x\n\npackage p\n", Ok(false)),
            ("//+build x\n\npackage p\n", Ok(false)),
            ("// +build x\npackage p\n", Ok(true)),
            ("// +build x\n/* c */\n\npackage p\n", Ok(true)),
            ("// +build a,x b\n\npackage p\n", Ok(true)),
            ("// +build a\n// +build x\n\npackage p\n", Ok(false)),
            ("// +build\n\npackage p\n", Ok(false)),
            ("// +build !!a\n\npackage p\n", Ok(false)),
            ("// +build !x,a\n\npackage p\n", Ok(true)),
            ("// +build a&b\n\npackage p\n", Ok(false)),
            ("// +buildx\n\npackage p\n", Ok(true)),
            ("// +build x\n//go:build a\n\npackage p\n", Ok(true)),
            ("//go:binary-only-package\n\npackage p\n", Err("not understood")),
        ] {
            assert_eq!(counts(text), expected, "{text:?}");
        }
        let deep = format!("//go:build {}a{}\n\npackage p\n", "(".repeat(99), ")".repeat(99));
        assert_eq!(counts(&deep), Err("not understood"));
        let long = format!("//go:build a{}\n\npackage p\n", " && a".repeat(200));
        assert_eq!(counts(&long), Err("not understood"));
    }
}
