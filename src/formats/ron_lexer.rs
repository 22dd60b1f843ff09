//! Tokens of RON text, each with its bytes.
//!
//! | token | because |
//! |---|---|
//! | brackets, `,`, `:` | they make the tree of [`crate::formats::ron_syntax`] |
//! | strings, raw strings | values; escapes are decoded by `ron` itself, and only where there are any |
//! | words | names of records and fields, `true`, `static`: a bare name |
//! | numbers, characters, byte strings | no field takes one, but a message must be able to name them |
//! | `#`, `!` | the `#![enable(…)]` line that a RON file may begin with |
//!
//! White space and comments are skipped as in RON's grammar. Scanning is linear and never recurses.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// `(`, `[` or `{`.
    Open(u8),
    /// `)`, `]` or `}`.
    Close(u8),
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// `#`
    Hash,
    /// `!`
    Bang,
    /// `"…"`; whether it holds a `\`.
    Text {
        /// Whether anything in it is escaped.
        escaped: bool,
    },
    /// `r#"…"#`, with this many `#`.
    RawText {
        /// How many `#` stand on each side.
        hashes: usize,
    },
    /// A bare name.
    Word,
    /// A number, a character or a byte string: what people call it.
    Other(&'static str),
}

/// A token and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Byte offsets into the text.
    pub range: Range<usize>,
}

/// Why there is no next token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LexError {
    /// The sentence for people.
    pub message: String,
    /// Where to look.
    pub range: Range<usize>,
    /// What to do, if anything can be said.
    pub hint: Option<&'static str>,
}

/// Reads tokens from left to right.
#[derive(Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Begins at the start of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the next token, `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns [`LexError`] for a string or comment without an end and for a character that begins
    /// no token; the lexer is of no use after that.
    pub fn next_token(&mut self) -> Result<Option<Token>, LexError> {
        self.skip_blank()?;
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        let kind = match first {
            '(' | '[' | '{' => self.take(1, TokenKind::Open(self.text.as_bytes()[start])),
            ')' | ']' | '}' => self.take(1, TokenKind::Close(self.text.as_bytes()[start])),
            ',' => self.take(1, TokenKind::Comma),
            ':' => self.take(1, TokenKind::Colon),
            '#' => self.take(1, TokenKind::Hash),
            '!' => self.take(1, TokenKind::Bang),
            '"' => self.string()?,
            '\'' => self.character()?,
            'r' if self.is_raw(1) => self.raw_string(1)?,
            'b' => self.after_b()?,
            '0'..='9' | '+' | '-' | '.' => self.number(),
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            other => return Err(Self::unexpected(other, start)),
        };
        Ok(Some(Token { kind, range: start..self.at }))
    }

    fn unexpected(other: char, start: usize) -> LexError {
        let quotes = matches!(other, '“' | '”' | '„' | '‘' | '’' | '`');
        let hint = quotes.then_some("strings stand in straight double quotes, `\"…\"`");
        let hint = hint.or((other == '=').then_some("a field is written `name: value`"));
        let hint = hint.or((other == '/').then_some("a comment is `// …` or `/* … */`"));
        let message = format!("`{}` means nothing here", other.escape_default());
        // A printable character is shown as it is.
        let message =
            if other.is_control() { message } else { format!("`{other}` means nothing here") };
        LexError { message, range: start..start + other.len_utf8(), hint }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, bytes: usize, kind: TokenKind) -> TokenKind {
        self.at += bytes;
        kind
    }

    fn skip_blank(&mut self) -> Result<(), LexError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(is_blank);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').map_or(trimmed.len(), |it| it + 1);
            } else if trimmed.starts_with("/*") {
                self.skip_block()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Skips a block comment; they nest, which a counter follows without recursion.
    fn skip_block(&mut self) -> Result<(), LexError> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut depth = 0_usize;
        while let Some(pair) = bytes.get(self.at..self.at + 2) {
            match pair {
                b"/*" => (depth, self.at) = (depth + 1, self.at + 2),
                b"*/" => (depth, self.at) = (depth - 1, self.at + 2),
                _ => self.at += 1,
            }
            if depth == 0 {
                return Ok(());
            }
        }
        Err(LexError {
            message: "this comment is never closed".to_owned(),
            range: start..start + 2,
            hint: Some("close it with `*/`; comments nest"),
        })
    }

    fn string(&mut self) -> Result<TokenKind, LexError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let (mut at, mut escaped) = (start + 1, false);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    self.at = at + 1;
                    return Ok(TokenKind::Text { escaped });
                }
                b'\\' => (at, escaped) = (at + 2, true),
                _ => at += 1,
            }
        }
        let line_end = self.rest().find(['\r', '\n']).unwrap_or(self.rest().len());
        Err(LexError {
            message: "this string is never closed".to_owned(),
            range: start..start + line_end,
            hint: Some("close it with `\"`"),
        })
    }

    /// Tells whether `#…#"` or `"` follows after `skip` bytes.
    fn is_raw(&self, skip: usize) -> bool {
        self.rest().get(skip..).is_some_and(|it| it.trim_start_matches('#').starts_with('"'))
    }

    fn raw_string(&mut self, skip: usize) -> Result<TokenKind, LexError> {
        let rest = self.rest().get(skip..).unwrap_or("");
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = rest.get(hashes + 1..).unwrap_or("");
        let Some(length) = body.find(&end) else {
            return Err(LexError {
                message: "this raw string is never closed".to_owned(),
                range: self.at..self.at + skip + hashes + 1,
                hint: Some("close it with `\"` and as many `#` as it begins with"),
            });
        };
        self.at += skip + hashes + 1 + length + end.len();
        Ok(TokenKind::RawText { hashes })
    }

    fn after_b(&mut self) -> Result<TokenKind, LexError> {
        let rest = self.rest();
        if rest.starts_with("b\"") {
            self.at += 1;
            self.string()?;
        } else if rest.starts_with("br") && self.is_raw(2) {
            self.raw_string(2)?;
        } else if rest.starts_with("b'") {
            self.at += 1;
            self.character()?;
        } else {
            return Ok(self.word());
        }
        Ok(TokenKind::Other("a byte string"))
    }

    fn character(&mut self) -> Result<TokenKind, LexError> {
        let start = self.at;
        let mut chars = self.rest().char_indices().skip(1);
        let mut escaped = false;
        while let Some((index, it)) = chars.next() {
            match it {
                '\'' if index > 1 => {
                    // `'ab'` is a string in other languages; nobody means a character here.
                    self.at = start + index + 1;
                    return Ok(TokenKind::Other("a character"));
                }
                '\\' if !escaped => {
                    escaped = true;
                    chars.next();
                }
                '\n' | '\r' => break,
                _ => {}
            }
        }
        Err(LexError {
            message: "this `'` is never closed".to_owned(),
            range: start..start + 1,
            hint: Some("strings stand in straight double quotes, `\"…\"`"),
        })
    }

    fn number(&mut self) -> TokenKind {
        let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '+' | '-');
        let rest = self.rest();
        self.at += rest.find(|it| !part(it)).unwrap_or(rest.len());
        TokenKind::Other("a number")
    }

    fn word(&mut self) -> TokenKind {
        let part = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let rest = self.rest();
        self.at += rest.find(|it| !part(it)).unwrap_or(rest.len());
        TokenKind::Word
    }
}

/// Tells whether RON's grammar counts `it` as white space.
fn is_blank(it: char) -> bool {
    matches!(
        it,
        ' ' | '\t'
            | '\n'
            | '\r'
            | '\u{b}'
            | '\u{c}'
            | '\u{85}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(text: &str, expect: Expect) {
        let mut lexer = Lexer::new(text);
        let mut lines = Vec::new();
        loop {
            match lexer.next_token() {
                Ok(Some(token)) => lines.push(format!("{:?} {}", token.kind, &text[token.range])),
                Ok(None) => break,
                Err(error) => {
                    let place = &text[error.range];
                    lines.push(format!("{}: {place:?}, {:?}", error.message, error.hint));
                    break;
                }
            }
        }
        expect.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn comments_and_white_space_are_skipped_and_comments_nest() {
        check("// a\r\n /* b /* c */ d */ x\u{2028}", expect![[r#"Word x"#]]);
    }

    #[test]
    fn strings_of_all_kinds_keep_their_bytes() {
        check(
            r##""a\"b" r#"c"d"# b"e" br"f" 'g' '\'' b'h'"##,
            expect![[r##"
                Text { escaped: true } "a\"b"
                RawText { hashes: 1 } r#"c"d"#
                Other("a byte string") b"e"
                Other("a byte string") br"f"
                Other("a character") 'g'
                Other("a character") '\''
                Other("a byte string") b'h'"##]],
        );
    }

    #[test]
    fn what_has_no_end_is_told_at_its_start() {
        check(
            "/* /* */",
            expect![[
                r#"this comment is never closed: "/*", Some("close it with `*/`; comments nest")"#
            ]],
        );
        check(
            "\"abc\nnext",
            expect![[r#"this string is never closed: "\"abc", Some("close it with `\"`")"#]],
        );
        check(
            "r#\"abc\"",
            expect![[
                r##"this raw string is never closed: "r#\"", Some("close it with `\"` and as many `#` as it begins with")"##
            ]],
        );
        check(
            "'",
            expect![[
                r#"this `'` is never closed: "'", Some("strings stand in straight double quotes, `\"…\"`")"#
            ]],
        );
    }

    #[test]
    fn a_character_that_begins_nothing_is_told_with_what_was_meant() {
        check(
            "“a”",
            expect![[
                r#"`“` means nothing here: "“", Some("strings stand in straight double quotes, `\"…\"`")"#
            ]],
        );
        check(
            "=",
            expect![[r#"`=` means nothing here: "=", Some("a field is written `name: value`")"#]],
        );
        check("\u{1b}[31m", expect![[r#"`\u{1b}` means nothing here: "\u{1b}", None"#]]);
    }
}
