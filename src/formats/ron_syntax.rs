//! RON text as a tree in which every value, name and field knows its bytes.
//!
//! `ron` with serde gives values without positions, and stops at the first error. A rule file must
//! be told *all* that is wrong with it, each thing at its place, so the tree is built here, from
//! [`crate::formats::ron_lexer`]'s tokens, on a stack of its own: linear, without recursion, and
//! with the brackets that were opened at hand when one is missing. `ron` stays the judge: it
//! decodes every string with an escape, and the tests hold that what is accepted here is accepted
//! by it.
//!
//! | input | outcome |
//! |---|---|
//! | more than [`MAX_BYTES`] | refused before it is read as text |
//! | not UTF-8 | an error at the first bad byte |
//! | a byte-order mark | skipped; columns count from after it |
//! | CRLF | white space, as LF is |
//! | NUL | an error at it: no text holds one, a binary file does |
//! | nothing but white space and comments | an error that shows a minimal file |
//! | more than [`MAX_DEPTH`] open brackets | an error at the first that is too deep |
//! | `Some(x)` | `x`; the extension `implicit_some` is always on |

use crate::formats::ron_lexer::{LexError, Lexer, Token, TokenKind};
use crate::words::problem::Problem;
use crate::words::span::{Source, Span};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// The largest rule file that is read, in bytes: 16 MiB.
pub const MAX_BYTES: usize = 16 << 20;

/// How many brackets may be open at once.
pub const MAX_DEPTH: usize = 128;

/// A value and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<'a> {
    /// Byte offsets into the file.
    pub range: Range<usize>,
    /// What it is.
    pub shape: Shape<'a>,
}

/// A bare name and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'a> {
    /// The name.
    pub text: &'a str,
    /// Byte offsets into the file.
    pub range: Range<usize>,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape<'a> {
    /// `"…"`, decoded.
    Text(Cow<'a, str>),
    /// A bare name: `true`, `static`, `None`.
    Word(&'a str),
    /// A number, a character or a byte string; what people call it.
    Other(&'static str),
    /// `[…]`
    List(Vec<Node<'a>>),
    /// `{…}`
    Map(Vec<(Node<'a>, Node<'a>)>),
    /// `(name: value, …)`, with or without a word before it.
    Record {
        /// The word before the bracket.
        name: Option<Word<'a>>,
        /// The fields in the order written; a name may repeat.
        fields: Vec<(Word<'a>, Node<'a>)>,
    },
    /// `(value, …)` with at least one value, with or without a word before it.
    Tuple {
        /// The word before the bracket.
        name: Option<Word<'a>>,
        /// The values.
        items: Vec<Node<'a>>,
    },
}

impl Shape<'_> {
    /// Returns what people call such a value.
    #[must_use]
    pub fn noun(&self) -> String {
        match self {
            Self::Text(_) => "a string".to_owned(),
            Self::Word(word @ ("true" | "false")) => format!("`{word}`"),
            Self::Word(word) => format!("the word `{word}`"),
            Self::Other(noun) => (*noun).to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
            Self::Record { name: Some(name), .. } | Self::Tuple { name: Some(name), .. } => {
                format!("`{}(…)`", name.text)
            }
            Self::Record { name: None, .. } => "a record".to_owned(),
            Self::Tuple { name: None, .. } => "a tuple".to_owned(),
        }
    }
}

/// Makes a source of a file's bytes; `name` is what people call the file.
///
/// # Errors
///
/// Returns a problem if the bytes are too many, or are no text.
pub fn source_of(name: &str, bytes: Vec<u8>) -> Result<Arc<Source>, Box<Problem>> {
    let name = name.to_owned();
    if bytes.len() > MAX_BYTES {
        let mib = MAX_BYTES >> 20;
        return Err(Box::new(Problem::new(format!("`{name}` is larger than {mib} MiB"))));
    }
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.to_vec(),
        None => bytes,
    };
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(Arc::new(Source { name, text })),
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to();
    let utf16 =
        error.as_bytes().starts_with(b"\xff\xfe") || error.as_bytes().starts_with(b"\xfe\xff");
    // The text before the bad byte is valid, so the offset is the same in the repaired text.
    let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
    let end = at + '\u{fffd}'.len_utf8();
    let span = Span::new(Arc::new(Source { name, text }), at..end);
    let problem = Problem::new(format!("`{}` is not UTF-8", span.source.name))
        .at(span, format!("the byte at offset {at} begins no character"))
        .hint(if utf16 { "it looks like UTF-16; save it as UTF-8" } else { "save it as UTF-8" });
    Err(Box::new(problem))
}

/// Parses a file; `example` is a minimal file of its kind, for the message about an empty one.
///
/// # Errors
///
/// Returns what is wrong with the syntax. A missing comma does not end the search for more.
pub fn parse<'a>(source: &'a Arc<Source>, example: &str) -> Result<Node<'a>, Vec<Problem>> {
    let mut builder = Builder { source, stack: Vec::new(), root: None, problems: Vec::new() };
    match builder.run(example) {
        Ok(node) if builder.problems.is_empty() => Ok(node),
        Ok(_) => Err(builder.problems),
        Err(problem) => {
            builder.problems.push(*problem);
            Err(builder.problems)
        }
    }
}

/// An open bracket and what has been read since.
struct Frame<'a> {
    bracket: u8,
    name: Option<Word<'a>>,
    /// Where the value begins, and where the bracket ends.
    open: Range<usize>,
    fields: Vec<(Word<'a>, Node<'a>)>,
    entries: Vec<(Node<'a>, Node<'a>)>,
    items: Vec<Node<'a>>,
    pending: Pending<'a>,
    /// Whether a comma or the closing bracket must come.
    full: bool,
}

/// The part of a field or entry before its `:`.
enum Pending<'a> {
    Nothing,
    Field(Word<'a>),
    Key(Node<'a>),
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    stack: Vec<Frame<'a>>,
    root: Option<Node<'a>>,
    problems: Vec<Problem>,
}

type Step<T> = Result<T, Box<Problem>>;

impl<'a> Builder<'a> {
    fn run(&mut self, example: &str) -> Step<Node<'a>> {
        let text = &self.source.text;
        if let Some(at) = text.find('\0') {
            let hint = "a rule file is text; is this a binary file?";
            return Err(Box::new(self.problem("a NUL byte", at..at + 1, "").hint(hint)));
        }
        let mut lexer = Lexer::new(text);
        let mut token = self.next(&mut lexer)?;
        if token.as_ref().is_some_and(|it| it.kind == TokenKind::Hash) {
            token = self.skip_attribute(&mut lexer)?;
        }
        if token.is_none() {
            let problem = Problem::new(format!("`{}` is empty", self.source.name));
            return Err(Box::new(problem.hint(format!("a minimal file is `{example}`"))));
        }
        while let Some(current) = token {
            token = self.next(&mut lexer)?;
            token = self.step(current, token, &mut lexer)?;
        }
        self.finish()
    }

    /// Handles `token`, having seen `ahead`; returns the token to go on with.
    fn step(
        &mut self,
        token: Token,
        ahead: Option<Token>,
        lexer: &mut Lexer<'a>,
    ) -> Step<Option<Token>> {
        if self.stack.is_empty() && self.root.is_some() {
            let word = "this stands after the end";
            return Err(Box::new(self.problem(
                "more than one value in the file",
                token.range,
                word,
            )));
        }
        if self.stack.last().is_some_and(|it| it.full) && !self.separator(&token) {
            return Ok(ahead);
        }
        let colon = ahead.as_ref().is_some_and(|it| it.kind == TokenKind::Colon);
        match token.kind {
            TokenKind::Close(bracket) => self.close(bracket, &token.range)?,
            TokenKind::Open(bracket) => self.open(bracket, None, &token.range)?,
            TokenKind::Word if colon && self.wants_field() => {
                let name = self.word(token.range);
                self.set_pending(Pending::Field(name));
                return self.next(lexer);
            }
            TokenKind::Word => {
                let name = self.word(token.range);
                if let Some(Token { kind: TokenKind::Open(b'('), range }) = &ahead {
                    self.open(b'(', Some(name), range)?;
                    return self.next(lexer);
                }
                self.deliver(Node { range: name.range, shape: Shape::Word(name.text) });
            }
            TokenKind::Text { .. } | TokenKind::RawText { .. } => {
                let text = self.decode(&token)?;
                self.deliver(Node { range: token.range, shape: Shape::Text(text) });
            }
            TokenKind::Other(noun) => {
                self.deliver(Node { range: token.range, shape: Shape::Other(noun) });
            }
            TokenKind::Comma | TokenKind::Colon | TokenKind::Hash | TokenKind::Bang => {
                return Err(Box::new(self.no_value(token.range)));
            }
        }
        self.key_needs_colon(ahead, lexer)
    }

    /// In a map, takes the `:` that must follow a key.
    fn key_needs_colon(
        &mut self,
        ahead: Option<Token>,
        lexer: &mut Lexer<'a>,
    ) -> Step<Option<Token>> {
        let Some(frame) = self.stack.last_mut() else { return Ok(ahead) };
        if frame.bracket != b'{' || frame.full {
            return Ok(ahead);
        }
        match (&ahead, frame.items.pop()) {
            (Some(Token { kind: TokenKind::Colon, .. }), Some(key)) => {
                frame.pending = Pending::Key(key);
                self.next(lexer)
            }
            (_, Some(key)) => {
                let problem = self.problem("this key of a map has no value", key.range, "");
                Err(Box::new(problem.hint("an entry is written `\"key\": \"value\"`")))
            }
            (_, None) => Ok(ahead),
        }
    }

    fn wants_field(&self) -> bool {
        let waits = |it: &Frame<'_>| it.bracket == b'(' && matches!(it.pending, Pending::Nothing);
        self.stack.last().is_some_and(waits)
    }

    fn set_pending(&mut self, pending: Pending<'a>) {
        if let Some(frame) = self.stack.last_mut() {
            frame.pending = pending;
        }
    }

    /// After a complete item: returns whether `token` must still be handled.
    ///
    /// A missing comma is reported and taken as if it were there.
    fn separator(&mut self, token: &Token) -> bool {
        match token.kind {
            TokenKind::Close(_) => return true,
            TokenKind::Comma => {}
            _ => {
                let at = token.range.start;
                let end = self.source.text.get(..at).map_or(at, |it| it.trim_end().len());
                let problem = self.problem("a `,` is missing before this", token.range.clone(), "");
                let same_line = self.source.text.get(end..at).is_some_and(|it| !it.contains('\n'));
                self.problems.push(if same_line || end == 0 {
                    problem
                } else {
                    problem.at(self.span(end - 1..end), "the value before it ends here")
                });
            }
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.full = false;
        }
        token.kind != TokenKind::Comma
    }

    fn open(&mut self, bracket: u8, name: Option<Word<'a>>, range: &Range<usize>) -> Step<()> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("brackets are nested more than {MAX_DEPTH} deep");
            return Err(Box::new(self.problem(message, range.clone(), "")));
        }
        let start = name.as_ref().map_or(range.start, |it| it.range.start);
        self.stack.push(Frame {
            bracket,
            name,
            open: start..range.end,
            fields: Vec::new(),
            entries: Vec::new(),
            items: Vec::new(),
            pending: Pending::Nothing,
            full: false,
        });
        Ok(())
    }

    fn close(&mut self, bracket: u8, range: &Range<usize>) -> Step<()> {
        let Some(frame) = self.stack.pop() else {
            let message = format!("`{}` closes nothing", char::from(bracket));
            return Err(Box::new(self.problem(message, range.clone(), "")));
        };
        let partner = closing(frame.bracket);
        if partner != bracket {
            let (found, open) = (char::from(bracket), char::from(frame.bracket));
            let message = format!("`{open}` is closed by `{found}`");
            let word = format!("`{}` must come first", char::from(partner));
            let opened = frame.open.end - 1..frame.open.end;
            let problem = self.problem(message, range.clone(), &word);
            return Err(Box::new(problem.at(self.span(opened), "opened here")));
        }
        let without = match &frame.pending {
            Pending::Nothing => None,
            Pending::Field(name) => Some(name.range.clone()),
            Pending::Key(key) => Some(key.range.clone()),
        };
        if let Some(name) = without {
            return Err(Box::new(self.problem("this has no value after its `:`", name, "")));
        }
        let node = self.node(frame, range.end)?;
        self.deliver(node);
        Ok(())
    }

    /// Makes the value of a complete frame.
    fn node(&self, frame: Frame<'a>, end: usize) -> Step<Node<'a>> {
        let range = frame.open.start..end;
        let name = frame.name;
        let shape = match frame.bracket {
            b'[' => Shape::List(frame.items),
            b'{' => Shape::Map(frame.entries),
            _ if frame.items.is_empty() => Shape::Record { name, fields: frame.fields },
            _ if frame.fields.is_empty() => Shape::Tuple { name, items: frame.items },
            _ => {
                let place = frame.items.first().map_or(range, |it| it.range.clone());
                let problem = self.problem("a value without a name among fields", place, "");
                return Err(Box::new(problem.hint("a field is written `name: value`")));
            }
        };
        Ok(Node { range, shape })
    }

    /// Puts a complete value where it belongs.
    fn deliver(&mut self, node: Node<'a>) {
        let node = without_some(node);
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.full = true;
        match std::mem::replace(&mut frame.pending, Pending::Nothing) {
            Pending::Field(name) => frame.fields.push((name, node)),
            Pending::Key(key) => frame.entries.push((key, node)),
            Pending::Nothing => {
                // The first half of a map's entry; `key_needs_colon` takes it from here.
                frame.full = frame.bracket != b'{';
                frame.items.push(node);
            }
        }
    }

    fn finish(&mut self) -> Step<Node<'a>> {
        if let Some(frame) = self.stack.last() {
            let bracket = char::from(frame.bracket);
            let place = frame.open.end - 1..frame.open.end;
            let problem =
                self.problem(format!("`{bracket}` is never closed"), place, "opened here");
            let end = self.source.text.trim_end().len();
            let last = self.source.text.get(..end).and_then(|it| it.chars().next_back());
            let last = end - last.map_or(0, char::len_utf8)..end;
            let word = format!("the file ends without `{}`", char::from(closing(frame.bracket)));
            return Err(Box::new(problem.at(self.span(last), word)));
        }
        let Some(root) = self.root.take() else {
            unreachable!("invariant: a token was delivered, opened or refused")
        };
        Ok(root)
    }

    /// Skips `#![enable(…)]`, having read its `#`, and returns the token after it.
    fn skip_attribute(&self, lexer: &mut Lexer<'a>) -> Step<Option<Token>> {
        let wanted =
            [TokenKind::Bang, TokenKind::Open(b'['), TokenKind::Word, TokenKind::Open(b'(')];
        for kind in wanted {
            self.expect(lexer, kind)?;
        }
        loop {
            let name = self.expect(lexer, TokenKind::Word)?;
            let known = ["implicit_some", "unwrap_newtypes", "unwrap_variant_newtypes"];
            let name = self.word(name.range);
            if !known.contains(&name.text) {
                let message = format!("no such RON extension: `{}`", name.text);
                let problem = self.problem(message, name.range, "");
                return Err(Box::new(problem.hint("rule files need none; leave the line out")));
            }
            let after = self.next(lexer)?;
            match after.map(|it| it.kind) {
                Some(TokenKind::Comma) => {}
                Some(TokenKind::Close(b')')) => break,
                _ => return Err(Box::new(self.bad_attribute())),
            }
        }
        self.expect(lexer, TokenKind::Close(b']'))?;
        self.next(lexer)
    }

    fn expect(&self, lexer: &mut Lexer<'a>, kind: TokenKind) -> Step<Token> {
        match self.next(lexer)? {
            Some(token) if token.kind == kind => Ok(token),
            _ => Err(Box::new(self.bad_attribute())),
        }
    }

    fn bad_attribute(&self) -> Problem {
        let at = self.source.text.find('#').unwrap_or(0);
        let hint = "rule files need none; leave the line out";
        self.problem("this is no `#![enable(…)]`", at..at + 1, "").hint(hint)
    }

    fn no_value(&self, range: Range<usize>) -> Problem {
        let found = self.source.text.get(range.clone()).unwrap_or("");
        self.problem(format!("a value must stand before this `{found}`"), range, "")
    }

    fn decode(&self, token: &Token) -> Step<Cow<'a, str>> {
        let text = self.source.text.get(token.range.clone()).unwrap_or("");
        let body = |before: usize, after: usize| text.get(before..text.len() - after).unwrap_or("");
        match token.kind {
            TokenKind::RawText { hashes } => Ok(Cow::Borrowed(body(hashes + 2, hashes + 1))),
            TokenKind::Text { escaped: true } => match ron::from_str::<String>(text) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(error) => {
                    let message = "this string holds an escape that RON does not know";
                    let problem =
                        self.problem(message, token.range.clone(), &error.code.to_string());
                    Err(Box::new(problem.hint("a `\\` itself is written `\\\\`")))
                }
            },
            _ => Ok(Cow::Borrowed(body(1, 1))),
        }
    }

    fn next(&self, lexer: &mut Lexer<'a>) -> Step<Option<Token>> {
        lexer.next_token().map_err(|LexError { message, range, hint }| {
            let problem = self.problem(message, range, "");
            Box::new(match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            })
        })
    }

    fn word(&self, range: Range<usize>) -> Word<'a> {
        Word { text: self.source.text.get(range.clone()).unwrap_or(""), range }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(Arc::clone(self.source), range)
    }

    fn problem(&self, message: impl Into<String>, range: Range<usize>, word: &str) -> Problem {
        Problem::new(message).at(self.span(range), word)
    }
}

fn closing(bracket: u8) -> u8 {
    match bracket {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    }
}

/// Takes `Some(x)` for `x`, as if `implicit_some` were reversed.
fn without_some(mut node: Node<'_>) -> Node<'_> {
    match &mut node.shape {
        Shape::Tuple { name: Some(Word { text: "Some", .. }), items } if items.len() == 1 => {
            items.pop().unwrap_or(node)
        }
        _ => node,
    }
}

#[cfg(test)]
#[path = "ron_syntax_tests.rs"]
mod tests;
