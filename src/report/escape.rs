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

/// Tells whether a terminal may obey `it` instead of showing it, or the eye is led astray.
///
/// The first are C0, C1 and DEL. The second are marks that change the direction of what follows,
/// that join it or have no width, and characters that mean something else on each machine.
#[must_use]
pub fn is_unsafe(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(it, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(it, '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e007f}')
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
