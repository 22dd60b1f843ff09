//! Colour, or none. Every report is readable without it; a colour repeats what a word says.

use std::fmt;

/// Whether one stream gets colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// Plain text.
    #[default]
    Plain,
    /// ANSI sequences.
    Ansi,
}

/// What a word means, which is what its colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something failed.
    Bad,
    /// Something to look at.
    Caution,
    /// Something was done.
    Good,
    /// What to do next.
    Hint,
    /// A heading.
    Strong,
    /// What is there for completeness.
    Faint,
}

/// A text with its tone, to be written.
#[derive(Debug, Clone, Copy)]
pub struct Painted<'a> {
    paint: Paint,
    tone: Tone,
    text: &'a str,
}

impl Paint {
    /// Gives `text` a tone; `text` is safe for a terminal already.
    #[must_use]
    pub fn say(self, tone: Tone, text: &str) -> Painted<'_> {
        Painted { paint: self, tone, text }
    }
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Bad => "1;31",
            Self::Caution => "1;33",
            Self::Good => "32",
            Self::Hint => "1;36",
            Self::Strong => "1",
            Self::Faint => "2",
        }
    }
}

impl fmt::Display for Painted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.paint {
            Paint::Plain => f.write_str(self.text),
            Paint::Ansi => write!(f, "\x1b[{}m{}\x1b[0m", self.tone.code(), self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_stream_gets_the_words_alone() {
        assert_eq!(Paint::Plain.say(Tone::Bad, "error").to_string(), "error");
        assert_eq!(Paint::Ansi.say(Tone::Bad, "error").to_string(), "\x1b[1;31merror\x1b[0m");
    }
}
