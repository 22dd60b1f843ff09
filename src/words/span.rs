//! Positions in rule files, for errors that are found only after parsing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One rule file: its name as shown to people, and its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Path relative to the workspace root, or `<built-in>/…` for an embedded file.
    pub name: String,
    /// The whole text; spans are byte offsets into it.
    pub text: String,
}

/// A place in a rule file: a byte range, end-exclusive, that lies inside the text.
///
/// A workspace holds millions of them, and a rule file at most 16 MiB: half a word will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The file.
    pub source: Arc<Source>,
    start: u32,
    end: u32,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl Span {
    /// Makes the span of a range of the text of `source`.
    #[must_use]
    pub fn new(source: Arc<Source>, range: Range<usize>) -> Self {
        let offset = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        Self { source, start: offset(range.start), end: offset(range.end) }
    }

    /// Returns its byte offsets into the text.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Returns the 1-based line and column (in characters) of the start.
    #[must_use]
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.start as usize).unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |it| it + 1);
        let line = before.matches('\n').count() + 1;
        (line, before.get(line_start..).unwrap_or("").chars().count() + 1)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl<T> Spanned<T> {
    /// Applies `change` to the value, keeping its place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), span: self.span }
    }
}
