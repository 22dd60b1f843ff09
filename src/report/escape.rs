//! Text from outside, made safe for a terminal.
//!
//! A rule file, a compiler or the binary under inspection may hold escape sequences that move the
//! cursor, set a window's title or reorder what is read. They are shown as `\u{1b}` instead.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `text` with every control character escaped, line breaks and tabs too.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Returns `text` with every control character escaped but line breaks and tabs; `\r\n` is a line
/// break.
#[must_use]
pub fn block(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") {
        Cow::Owned(escape(&text.replace("\r\n", "\n"), |it| matches!(it, '\n' | '\t')).into_owned())
    } else {
        escape(text, |it| matches!(it, '\n' | '\t'))
    }
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let bad = |it: char| is_unsafe(it) && !keep(it);
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for it in text.chars() {
        match it {
            '\n' if bad(it) => out.push_str("\\n"),
            '\t' if bad(it) => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if bad(it) => _ = write!(out, "\\u{{{:x}}}", u32::from(it)),
            _ => out.push(it),
        }
    }
    Cow::Owned(out)
}

/// Tells whether a terminal may obey `it` instead of showing it: C0, C1, DEL, and the marks that
/// change the direction of what follows.
fn is_unsafe(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{2028}' | '\u{2029}')
        || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_that_came_from_outside() {
        assert_eq!(line("a\x1b]0;owned\x07b\n"), "a\\u{1b}]0;owned\\u{7}b\\n");
        assert_eq!(line("\u{202e}gpj.exe\u{9b}31m"), "\\u{202e}gpj.exe\\u{9b}31m");
        assert_eq!(
            block("x.go:1:2:\tbad\r\nnext\rover\x1b[2J"),
            "x.go:1:2:\tbad\nnext\\rover\\u{1b}[2J"
        );
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(line("größe 日本"), Cow::Borrowed(_)));
        assert!(matches!(block("a\n\tb"), Cow::Borrowed(_)));
    }
}
