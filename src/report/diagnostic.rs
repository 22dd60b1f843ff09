//! Problems as people read them.
//!
//! Each problem is shown with its places: file, line, column, the line, carets, a word about it;
//! then what to do. Lines come from files that anybody may have written, so they are made safe
//! before they reach a terminal:
//!
//! | in the source | shown as | because |
//! |---|---|---|
//! | control characters, escape sequences | `\u{1b}` | a terminal obeys them |
//! | characters that turn the direction of text, or have no width | `\u{202e}` | the eye is led astray |
//! | a tab | four spaces | carets stand where they should |
//! | a line of more than [`WIDTH`] characters | its part around the place, with `…` | a minified file fills the screen |
//! | a place of many lines | its first line | the rest says nothing more |

use crate::report::escape::is_unsafe;
use crate::words::problem::Problem;
use crate::words::span::{Source, Span};
use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// How many characters of a line are shown.
pub const WIDTH: usize = 120;

/// How many characters of a message or hint are shown.
const MESSAGE_WIDTH: usize = 2000;

/// How many problems [`render`] shows.
pub const SHOWN: usize = 100;

/// Renders problems one after the other, an empty line between them, with a line at the end that
/// counts those that are not shown.
#[must_use]
pub fn render(problems: &[Problem], color: bool) -> String {
    let mut out = String::new();
    for problem in problems.iter().take(SHOWN) {
        out.push_str(&render_one(problem, color));
        out.push_str("\n\n");
    }
    if problems.len() > SHOWN {
        let _ = write!(out, "... and {} more problems\n\n", problems.len() - SHOWN);
    }
    out
}

/// Renders one problem, without a line break at its end.
#[must_use]
pub fn render_one(problem: &Problem, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let message = safe(&problem.message, MESSAGE_WIDTH);
    let hints: Vec<String> = problem.hints.iter().map(|it| safe(it, MESSAGE_WIDTH)).collect();
    let windows = windows(problem);
    let marks: Vec<String> = (0..windows.len()).map(|it| format!("{PLACEHOLDER}{it}")).collect();
    let snippets = windows.iter().zip(&marks).map(|(window, path)| {
        let annotations = window.marks.iter().map(|it| {
            let kind = if it.is_first { AnnotationKind::Primary } else { AnnotationKind::Context };
            let word = (!it.word.is_empty()).then_some(it.word.as_str());
            kind.span(it.range.clone()).label(word)
        });
        let snippet = Snippet::source(window.text.as_str()).line_start(window.line);
        Element::from(snippet.path(path.as_str()).fold(false).annotations(annotations))
    });
    let hints = hints.iter().map(|it| Element::from(Level::HELP.message(it.as_str())));
    let elements: Vec<_> = snippets.chain(hints).collect();
    let title = Level::ERROR.primary_title(message.as_str());
    with_locations(renderer.render(&[title.elements(elements)]), &windows)
}

/// Stands for the name of a file while the library renders; [`safe`] lets none through.
const PLACEHOLDER: char = '\u{e000}';

/// Writes the locations of the windows over those that the library has counted in their text as
/// shown, which is cut and escaped.
fn with_locations(rendered: String, windows: &[Window]) -> String {
    let mut parts = rendered.split(PLACEHOLDER);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|it: char| it.is_ascii_digit() || it == ':');
        let index = part.split(':').next().and_then(|it| it.parse::<usize>().ok());
        if let Some(window) = index.and_then(|it| windows.get(it)) {
            let mark = window.marks.iter().find(|it| it.is_first).or(window.marks.first());
            let (line, column) = mark.map_or((window.line, 1), |it| (it.line, it.column));
            out.push_str(&safe(&window.source.name, WIDTH));
            let _ = write!(out, ":{line}:{column}");
        }
        out.push_str(rest);
    }
    out
}

/// Lines of one file that stand together, safe to be shown, with marks in them.
struct Window {
    source: Arc<Source>,
    /// The number of the first line.
    line: usize,
    text: String,
    marks: Vec<Mark>,
}

/// A marked part of a window's text.
struct Mark {
    range: Range<usize>,
    line: usize,
    column: usize,
    word: String,
    is_first: bool,
}

/// A place of a problem, and whether it is the first one.
struct Place<'p> {
    span: &'p Span,
    word: &'p str,
    is_first: bool,
}

/// Returns the windows of a problem: one for each line that holds places.
///
/// The window of the first place stands first; it is what the user must look at.
fn windows(problem: &Problem) -> Vec<Window> {
    let mut lines: Vec<(Range<usize>, Vec<Place<'_>>)> = Vec::new();
    for (index, (span, word)) in problem.places.iter().enumerate() {
        let line = line_of(span);
        let place = Place { span, word, is_first: index == 0 };
        let source = &span.source;
        let same = lines.iter_mut().find(|it| it.0 == line && it.1[0].span.source == *source);
        match same {
            Some((_, places)) => places.push(place),
            None => lines.push((line, vec![place])),
        }
    }
    lines.iter().map(|(line, places)| window(line, places)).collect()
}

/// Returns the bytes of the line that a place begins in.
fn line_of(span: &Span) -> Range<usize> {
    let text = &span.source.text;
    let at = span.range().start.min(text.len());
    let start = text.get(..at).and_then(|it| it.rfind('\n')).map_or(0, |it| it + 1);
    let end = text.get(at..).and_then(|it| it.find('\n')).map_or(text.len(), |it| at + it);
    let end = if text.get(start..end).is_some_and(|it| it.ends_with('\r')) { end - 1 } else { end };
    start..end.max(start)
}

/// Copies the part of a line around its first place, character by character made safe.
fn window(line: &Range<usize>, places: &[Place<'_>]) -> Window {
    let source = Arc::clone(&places[0].span.source);
    let text = source.text.get(line.clone()).unwrap_or("");
    let first = places.iter().map(|it| it.span.range().start).min().unwrap_or(line.start);
    let before = text.get(..first.saturating_sub(line.start)).unwrap_or("").chars().count();
    let length = text.chars().count();
    // The place stands a third into what is shown, so that what leads to it is seen.
    let skipped = if length <= WIDTH { 0 } else { before.saturating_sub(WIDTH / 3) };
    let mut shown = String::new();
    // Where each shown character begins: in the file, and in what is shown.
    let mut offsets: Vec<(usize, usize)> = Vec::new();
    if skipped > 0 {
        shown.push('…');
    }
    for (offset, it) in text.char_indices().skip(skipped).take(WIDTH) {
        offsets.push((line.start + offset, shown.len()));
        push_safe(&mut shown, it);
    }
    let end = shown.len();
    if length > skipped + WIDTH {
        shown.push('…');
    }
    let shown_at = |at: usize| offsets.iter().find(|it| it.0 >= at).map_or(end, |it| it.1);
    let mark = |it: &Place<'_>| {
        let (line, column) = it.span.line_and_column();
        let range = shown_at(it.span.range().start)..shown_at(it.span.range().end);
        Mark { range, line, column, word: safe(it.word, WIDTH), is_first: it.is_first }
    };
    let marks: Vec<_> = places.iter().map(mark).collect();
    Window { line: marks[0].line, text: shown, marks, source }
}

/// Makes a text safe for a terminal, and cuts it.
#[must_use]
pub fn safe(text: &str, width: usize) -> String {
    let mut out = String::new();
    for it in text.chars().take(width) {
        push_safe(&mut out, it);
    }
    if text.chars().nth(width).is_some() {
        out.push('…');
    }
    out
}

fn push_safe(out: &mut String, it: char) {
    match it {
        '\t' => out.push_str("    "),
        _ if is_unsafe(it) => out.extend(it.escape_unicode()),
        _ => out.push(it),
    }
}

#[cfg(test)]
#[path = "diagnostic_tests.rs"]
mod tests;
