//! Which words a rule file may hand to Go's linker and compiler and to the C toolchain.
//!
//! A `BUILD.ron` is read before anybody has looked at it: in a fresh clone, in CI, in a review. So
//! no word in it may make a tool run a program of the file's choosing (`-extld=./x`, `-fplugin=`),
//! read more words from a file (`@file`) or write elsewhere (`-o`, `-Wl,-Map=`). The spirit, and
//! most of the list for C, is that of Go's own guard against flags in cgo files.
//!
//! | words | rule | because |
//! |---|---|---|
//! | Go's linker and compiler | each flag of the tool is in one list or the other | the tools are few and known whole |
//! | the C compiler and linker | only what is listed | nobody knows all flags of all C compilers |
//! | what linkwright itself says (`-o`, `-linkmode`) | refused, with the field that says it | two places would disagree |

use crate::model::flag_lists::{
    C_COMPILER, C_COMPILER_PAIRS, C_LINKER, C_LINKER_PAIRS, GO_COMPILER, GO_LINKER, GO_REFUSED, LD,
    LD_PAIRS, PKG_CONFIG,
};
use crate::words::near::nearest;
use crate::words::problem::Problem;
use crate::words::span::{Span, Spanned};

/// Who gets the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `go build -ldflags`
    GoLinker,
    /// `go build -gcflags`
    GoCompiler,
    /// `-extldflags` and `CGO_LDFLAGS`
    CLinker,
    /// `CGO_CFLAGS` and its sisters.
    CCompiler,
}

/// Checks the words that a field hands to a tool; `field` is what the words are called.
#[must_use]
pub fn check(tool: Tool, field: &str, words: &[Spanned<String>]) -> Vec<Problem> {
    let mut check = Check { field, problems: Vec::new() };
    let words: Vec<_> = words.iter().filter(|it| check.is_passable(it)).collect();
    match tool {
        Tool::GoLinker => check.go(&words, GO_LINKER),
        Tool::GoCompiler => check.go(&words, GO_COMPILER),
        Tool::CLinker => check.c(&words, C_LINKER, C_LINKER_PAIRS, true),
        Tool::CCompiler => check.c(&words, C_COMPILER, C_COMPILER_PAIRS, false),
    }
    check.problems
}

/// Tells whether a `#cgo pkg-config:` line may hand `word`, which begins with `-`, to pkg-config:
/// nothing that writes a file or reads words from one.
///
/// # Source
///
/// `validPkgConfigFlags` in `cmd/go/internal/work/security.go` of Go 1.26; those that ask for
/// something else than flags are left out.
#[must_use]
pub fn is_pkg_config_flag(word: &str) -> bool {
    if PKG_CONFIG.contains(&word) {
        return true;
    }
    let Some((name, value)) =
        word.strip_prefix("--define-variable=").and_then(|it| it.split_once('='))
    else {
        return false;
    };
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    !name.is_empty() && name.chars().all(is_name) && !value.contains(['@', '-', '\n', '\0'])
}

struct Check<'a> {
    field: &'a str,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn refuse(&mut self, span: &Span, message: String, hint: &str) {
        let problem = Problem::new(message).at(span.clone(), "").refused();
        self.problems.push(problem.hint(hint));
    }

    /// What no word may be, whoever gets it.
    fn is_passable(&mut self, word: &Spanned<String>) -> bool {
        let (text, field) = (word.value.as_str(), self.field);
        let why = if text.is_empty() {
            "it is empty"
        } else if text.contains(['\n', '\r', '\0']) {
            "it holds a line break or a NUL"
        } else if text.starts_with('@') {
            "the tools read more words from the file that it names"
        } else if text.contains('\'') && text.contains('"') {
            "Go can hand on one kind of quotes in a word, not both"
        } else {
            return true;
        };
        let message = format!("`{text}` cannot stand in `{field}`: {why}");
        self.refuse(&word.span, message, "write each word as one string of the list");
        false
    }

    fn go(&mut self, words: &[&Spanned<String>], allowed: &[&str]) {
        let mut words = words.iter().enumerate();
        while let Some((index, word)) = words.next() {
            let text = match word.value.split_once('=') {
                // `all=-N`: the flags of this list are for the Go packages of a pattern.
                Some((pattern, rest)) if index == 0 && self.is_pattern(pattern) => rest,
                _ => word.value.as_str(),
            };
            let bare = text.strip_prefix("--").or_else(|| text.strip_prefix('-'));
            let (name, value) = match bare.unwrap_or("").split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (bare.unwrap_or(""), None),
            };
            if allowed.contains(&name) {
                continue;
            }
            if allowed.iter().any(|it| it.strip_suffix('=') == Some(name)) && !name.is_empty() {
                let next = if value.is_none() { words.next().map(|it| it.1) } else { None };
                let value = value.or(next.map(|it| it.value.as_str()));
                self.go_value(word, name, value);
                continue;
            }
            self.go_unknown(word, name, allowed);
        }
    }

    fn is_pattern(&self, text: &str) -> bool {
        self.field == "gcflags" && !text.starts_with('-')
    }

    fn go_value(&mut self, word: &Spanned<String>, name: &str, value: Option<&str>) {
        match value {
            None => {
                let message = format!("`-{name}` in `{}` needs a value", self.field);
                self.problems.push(Problem::new(message).at(word.span.clone(), ""));
            }
            Some(value) if name == "d" && value.contains("dump") => {
                let message = format!("`{value}` is refused in `{}`: it writes files", self.field);
                self.refuse(&word.span, message, "leave it out");
            }
            Some(_) => {}
        }
    }

    fn go_unknown(&mut self, word: &Spanned<String>, name: &str, allowed: &[&str]) {
        let (text, field) = (&word.value, self.field);
        if let Some((_, why)) = GO_REFUSED.iter().find(|(it, _)| *it == name) {
            let message = format!("`{text}` is refused in `{field}`: {why}");
            return self.refuse(
                &word.span,
                message,
                "docs/rules.md lists the flags that are allowed",
            );
        }
        let message = format!("`{text}` is no flag that `{field}` takes");
        let problem = Problem::new(message).at(word.span.clone(), "");
        let near = nearest(name, allowed.iter().map(|it| it.trim_end_matches('=')));
        self.problems.push(match near {
            _ if !text.starts_with('-') => problem.hint("a flag begins with `-`"),
            Some(near) => problem.hint(format!("did you mean `-{near}`?")),
            None => problem.hint("docs/rules.md lists the flags that are allowed"),
        });
    }

    fn c(&mut self, words: &[&Spanned<String>], allowed: &[&str], pairs: &[&str], links: bool) {
        let mut words = words.iter();
        let mut linker_words: Vec<(&str, Span)> = Vec::new();
        while let Some(word) = words.next() {
            let text = word.value.as_str();
            if let Some(list) = text.strip_prefix("-Wl,").filter(|_| links) {
                linker_words.extend(list.split(',').map(|it| (it, word.span.clone())));
            } else if text == "-Xlinker" && links {
                linker_words.extend(words.next().map(|it| (it.value.as_str(), it.span.clone())));
            } else if pairs.contains(&text) {
                match words.next() {
                    Some(next) if is_value(&next.value) => {}
                    _ => self.unlisted(&format!("{text} …"), &word.span),
                }
            } else if !(is_listed(text, allowed) || (links && is_object(text))) {
                self.unlisted(text, &word.span);
            }
        }
        let mut linker_words = linker_words.into_iter();
        while let Some((text, span)) = linker_words.next() {
            if LD_PAIRS.contains(&text) {
                match linker_words.next() {
                    Some((value, _)) if is_value(value) => {}
                    _ => self.unlisted(&format!("-Wl,{text}"), &span),
                }
            } else if !is_listed(text, LD) {
                self.unlisted(&format!("-Wl,{text}"), &span);
            }
        }
    }

    fn unlisted(&mut self, text: &str, span: &Span) {
        let message = format!("`{text}` is refused in `{}`: it is not on the list", self.field);
        let hint = "only words that cannot run programs or write files are allowed; docs/rules.md lists them";
        self.refuse(span, message, hint);
    }
}

fn is_value(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(['@', '-']) && !text.contains(',')
}

fn is_listed(text: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => text.strip_prefix(prefix).is_some_and(is_value),
        None => text == *pattern,
    })
}

/// Tells whether it is a file for the linker, by its suffix; never an option.
fn is_object(text: &str) -> bool {
    let suffix = text.rsplit_once('.').map_or("", |it| it.1);
    is_value(text) && matches!(suffix, "a" | "o" | "so" | "obj" | "lib" | "dylib" | "tbd")
}

/// Returns the words of a `CGO_*FLAGS` value as Go splits it: at white space, quotes around a whole
/// word; `None` if a quote is not closed.
#[must_use]
pub fn split_quoted(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '\'' | '"') {
            rest.get(1..)?.split_once(first)?
        } else {
            rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Some(words)
}

#[cfg(test)]
#[path = "flags_tests.rs"]
mod tests;
