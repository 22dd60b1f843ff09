//! Typed reading of records: fields taken by name, everything wrong with them collected.
//!
//! A [`Reader`] never stops at an error. It reports, and hands out `None` for what it could not
//! read, so that one wrong field hides no other.

use crate::formats::ron_syntax::{Node, Shape, Word};
use crate::words::near::{list, nearest, suggestion};
use crate::words::problem::Problem;
use crate::words::span::{Source, Span, Spanned};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Names to texts, in the order written, each name once.
pub type Table = Vec<Entry>;

/// One of a table.
pub type Entry = (Spanned<String>, Spanned<String>);

/// Reads the values of one file.
#[derive(Debug)]
pub struct Reader<'s> {
    source: &'s Arc<Source>,
    problems: Vec<Problem>,
}

/// The fields of one record, by name.
#[derive(Debug)]
pub struct Fields<'n, 's> {
    /// What the record is called in messages.
    pub noun: String,
    /// The record's place.
    pub range: Range<usize>,
    by_name: BTreeMap<&'s str, &'n Node<'s>>,
}

impl<'n, 's> Fields<'n, 's> {
    /// Returns a field's value; `None` if it is not written, or written as `None`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'n Node<'s>> {
        self.by_name.get(name).copied().filter(|it| it.shape != Shape::Word("None"))
    }
}

impl<'s> Reader<'s> {
    /// Begins to read the values of `source`.
    #[must_use]
    pub fn new(source: &'s Arc<Source>) -> Self {
        Self { source, problems: Vec::new() }
    }

    /// Returns everything that was found wrong.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Makes a span of a range of the file.
    #[must_use]
    pub fn span(&self, range: Range<usize>) -> Span {
        Span::new(Arc::clone(self.source), range)
    }

    /// Adds a problem.
    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reads the name before a bracket, which must be one of `kinds`.
    pub fn kind<'n>(&mut self, node: &'n Node<'s>, kinds: &[&'static str]) -> Option<&'static str> {
        let (found, name) = match &node.shape {
            Shape::Record { name: Some(it), .. } | Shape::Tuple { name: Some(it), .. } => {
                (it.text, it.range.clone())
            }
            Shape::Word(word) => (*word, node.range.clone()),
            other => {
                let message = format!("here stands {}, not {}", other.noun(), calls(kinds));
                let problem = Problem::new(message).at(self.head(&node.range), "");
                self.report(problem);
                return None;
            }
        };
        let known = kinds.iter().find(|it| **it == found);
        if known.is_none() {
            let problem = Problem::new(format!("`{found}` is not known here"));
            let near = nearest(found, kinds.iter().copied());
            let hint = near.map_or_else(
                || {
                    format!(
                        "write {}{}",
                        if kinds.len() == 1 { "" } else { "one of " },
                        calls(kinds)
                    )
                },
                |it| format!("did you mean `{it}`?"),
            );
            let problem = problem.at(self.span(name), "").hint(hint);
            self.report(problem);
        }
        known.copied()
    }

    /// Reads a record whose fields are among `known`; doubled and unknown fields are reported.
    pub fn fields<'n>(
        &mut self,
        node: &'n Node<'s>,
        noun: &str,
        known: &[&str],
    ) -> Option<Fields<'n, 's>> {
        let Shape::Record { fields, .. } = &node.shape else {
            return self.not_a_record(node, noun);
        };
        let mut places: BTreeMap<&str, &Word<'_>> = BTreeMap::new();
        let mut by_name = BTreeMap::new();
        for (name, value) in fields {
            if !known.contains(&name.text) {
                let message = format!("`{noun}` has no field `{}`", name.text);
                let problem = Problem::new(message).at(self.span(name.range.clone()), "");
                self.report(problem.hint(suggestion(name.text, known)));
            } else if let Some(first) = places.insert(name.text, name) {
                let problem = Problem::new(format!("the field `{}` is written twice", name.text))
                    .at(self.span(name.range.clone()), "again here")
                    .at(self.span(first.range.clone()), "first here");
                self.report(problem);
            }
            by_name.entry(name.text).or_insert(value);
        }
        Some(Fields { noun: noun.to_owned(), range: node.range.clone(), by_name })
    }

    fn not_a_record<T>(&mut self, node: &Node<'_>, noun: &str) -> Option<T> {
        let found = match &node.shape {
            Shape::Tuple { .. } => "values without names".to_owned(),
            other => other.noun(),
        };
        let message = format!("`{noun}` takes named fields, not {found}");
        let problem = Problem::new(message).at(self.head(&node.range), "");
        self.report(problem.hint("fields are written `(name: value, …)`"));
        None
    }

    /// Reads a field that must be there.
    pub fn required<'n>(&mut self, fields: &Fields<'n, 's>, name: &str) -> Option<&'n Node<'s>> {
        let value = fields.get(name);
        if value.is_none() {
            let message = format!("`{}` lacks the field `{name}`", fields.noun);
            let problem = Problem::new(message).at(self.head(&fields.range), "");
            self.report(problem);
        }
        value
    }

    /// Reads a string.
    pub fn text(&mut self, name: &str, node: &Node<'_>) -> Option<Spanned<String>> {
        if let Shape::Text(text) = &node.shape {
            return Some(Spanned { value: text.to_string(), span: self.span(node.range.clone()) });
        }
        let hint = match &node.shape {
            Shape::Word(word) => Some(format!("write it in quotes: `\"{word}\"`")),
            Shape::Other("a number") => Some("write the number in quotes".to_owned()),
            _ => None,
        };
        self.wrong_type(name, "a string", node, hint)
    }

    /// Reads a bare word, such as `static`.
    pub fn word(&mut self, name: &str, node: &Node<'_>) -> Option<Spanned<String>> {
        match &node.shape {
            Shape::Word(word) => {
                Some(Spanned { value: (*word).to_owned(), span: self.span(node.range.clone()) })
            }
            Shape::Text(text) => {
                let hint = format!("write it without quotes: `{}`", text.escape_default());
                self.wrong_type(name, "a bare word", node, Some(hint))
            }
            _ => self.wrong_type(name, "a bare word", node, None),
        }
    }

    /// Reads `true` or `false`.
    pub fn flag(&mut self, name: &str, node: &Node<'_>) -> Option<bool> {
        match node.shape {
            Shape::Word("true") => Some(true),
            Shape::Word("false") => Some(false),
            _ => self.wrong_type(name, "`true` or `false`", node, None),
        }
    }

    /// Reads a list of strings; those that are none are reported and left out.
    pub fn texts(&mut self, name: &str, node: &Node<'s>) -> Option<Vec<Spanned<String>>> {
        let items = self.list(name, "a list of strings", node)?;
        let mut texts = Vec::with_capacity(items.len());
        texts.extend(items.iter().filter_map(|it| self.text(name, it)));
        Some(texts)
    }

    /// Reads a list of bare words.
    pub fn words(&mut self, name: &str, node: &Node<'s>) -> Option<Vec<Spanned<String>>> {
        let items = self.list(name, "a list of bare words", node)?;
        Some(items.iter().filter_map(|it| self.word(name, it)).collect())
    }

    /// Reads a list of anything.
    pub fn list<'n>(
        &mut self,
        name: &str,
        wanted: &str,
        node: &'n Node<'s>,
    ) -> Option<&'n [Node<'s>]> {
        match &node.shape {
            Shape::List(items) => Some(items),
            Shape::Text(_) => {
                let written = self.source.text.get(node.range.clone()).unwrap_or("\"…\"");
                let hint = if written.len() < 80 { written } else { "\"…\"" };
                self.wrong_type(name, wanted, node, Some(format!("write `[{hint}]`")))
            }
            _ => self.wrong_type(name, wanted, node, None),
        }
    }

    /// Reads a map of strings to strings; a doubled key is reported.
    pub fn table(&mut self, name: &str, node: &Node<'_>) -> Option<Table> {
        let Shape::Map(entries) = &node.shape else {
            let hint = Some("write `{\"NAME\": \"value\"}`".to_owned());
            return self.wrong_type(name, "a map of strings", node, hint);
        };
        let mut table: Table = Vec::new();
        let mut places: BTreeMap<String, Span> = BTreeMap::new();
        for (key, value) in entries {
            let key = self.text(name, key);
            let value = self.text(name, value);
            let (Some(key), Some(value)) = (key, value) else { continue };
            if let Some(first) = places.insert(key.value.clone(), key.span.clone()) {
                let message = format!("`{}` is written twice in `{name}`", key.value);
                let problem = Problem::new(message).at(key.span, "again here");
                self.report(problem.at(first, "first here"));
            } else {
                table.push((key, value));
            }
        }
        Some(table)
    }

    fn wrong_type<T>(
        &mut self,
        name: &str,
        wanted: &str,
        node: &Node<'_>,
        hint: Option<String>,
    ) -> Option<T> {
        let message = format!("`{name}` takes {wanted}, not {}", node.shape.noun());
        let problem = Problem::new(message).at(self.head(&node.range), "");
        self.report(match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
        None
    }

    /// Returns the first line of a place: a value of many lines is shown by its head.
    fn head(&self, range: &Range<usize>) -> Span {
        let text = self.source.text.get(range.clone()).unwrap_or("");
        let length = text.find(['\r', '\n']).unwrap_or(text.len());
        self.span(range.start..range.start + length)
    }
}

fn calls(kinds: &[&str]) -> String {
    let calls: Vec<String> = kinds.iter().map(|it| format!("{it}(…)")).collect();
    list(&calls.iter().map(String::as_str).collect::<Vec<_>>())
}
