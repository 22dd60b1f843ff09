//! A process as a line that can be pasted into a shell.
//!
//! linkwright itself never uses a shell; the line is for people.

use crate::report::escape;
use std::borrow::Cow;
use std::fmt::Write as _;

/// One process as the engine tells it.
#[derive(Debug, Clone, Copy)]
pub struct CommandLine<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// `NAME=value`, sorted.
    pub env: &'a [String],
    /// Relative to the workspace root; `.` is the root.
    pub folder: &'a str,
}

impl CommandLine<'_> {
    /// Returns the line, for a POSIX shell in the workspace root.
    #[must_use]
    pub fn render(&self) -> String {
        let mut words: Vec<String> = Vec::with_capacity(self.env.len() + self.argv.len());
        for variable in self.env {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            words.push(format!("{name}={}", quote(value)));
        }
        words.extend(self.argv.iter().map(|it| quote(it).into_owned()));
        let command = words.join(" ");
        match self.folder {
            "." | "" => command,
            folder => format!("(cd {} && {command})", quote(folder)),
        }
    }
}

/// Quotes one word for a POSIX shell; one with control characters becomes `$'…'`, so that the line
/// stays one line.
fn quote(word: &str) -> Cow<'_, str> {
    let plain = |it: char| it.is_ascii_alphanumeric() || "_-./=:,@%+".contains(it);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    let shown = escape::line(word);
    if shown == word {
        return Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")));
    }
    let mut quoted = String::from("$'");
    for byte in word.bytes() {
        match byte {
            b'\\' | b'\'' => quoted.extend(['\\', char::from(byte)]),
            0x20..=0x7e => quoted.push(char::from(byte)),
            _ => _ = write!(quoted, "\\x{byte:02x}"),
        }
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let strings = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let argv =
            strings(&["go", "build", "-ldflags=-extldflags \"-static\"", "it's", "", "./..."]);
        let env = strings(&["CGO_ENABLED=1", "GOFLAGS="]);
        assert_eq!(
            CommandLine { argv: &argv, env: &env, folder: "a b" }.render(),
            r#"(cd 'a b' && CGO_ENABLED=1 GOFLAGS='' go build '-ldflags=-extldflags "-static"' 'it'\''s' '' ./...)"#
        );
        let argv = strings(&["echo", "a\x1b[2J\n'"]);
        assert_eq!(
            CommandLine { argv: &argv, env: &[], folder: "." }.render(),
            r"echo $'a\x1b[2J\x0a\''"
        );
    }
}
