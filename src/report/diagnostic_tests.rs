//! How problems look, and that no file can talk to the terminal through them.

use super::{render, render_one, safe};
use crate::words::problem::Problem;
use crate::words::span::{Source, Span};
use expect_test::{Expect, expect};
use std::sync::Arc;

fn file(text: &str) -> Arc<Source> {
    Arc::new(Source { name: "cmd/BUILD.ron".to_owned(), text: text.to_owned() })
}

/// The place of the first `part` in a file.
fn at(source: &Arc<Source>, part: &str) -> Span {
    let start = source.text.find(part).unwrap();
    Span::new(Arc::clone(source), start..start + part.len())
}

#[track_caller]
fn check(problem: &Problem, expect: Expect) {
    expect.assert_eq(&render_one(problem, false));
}

#[test]
fn a_place_is_shown_with_its_line_and_carets() {
    let source = file("build(\r\n    targets: [\"é\", go_binry(name: \"a\")],\r\n)");
    let problem = Problem::new("`go_binry` is not known here");
    check(
        &problem.at(at(&source, "go_binry"), "").hint("did you mean `go_binary`?"),
        expect![[r#"
            error: `go_binry` is not known here
             --> cmd/BUILD.ron:2:20
              |
            2 |     targets: ["é", go_binry(name: "a")],
              |                    ^^^^^^^^
              |
              = help: did you mean `go_binary`?"#]],
    );
}

#[test]
fn second_places_are_shown_on_the_same_line_or_below() {
    let source = file("build(\n  a: 1, a: 2,\n\n\n\n  b: 3)");
    let other = Arc::new(Source { name: "other.ron".to_owned(), text: "x".to_owned() });
    let problem = Problem::new("twice")
        .at(at(&source, "a: 2"), "again here")
        .at(at(&source, "a: 1"), "first here")
        .at(at(&source, "b"), "and here")
        .at(at(&other, "x"), "in another file");
    check(
        &problem,
        expect![[r#"
            error: twice
             --> cmd/BUILD.ron:2:9
              |
            2 |   a: 1, a: 2,
              |   ----  ^^^^ again here
              |   |
              |   first here
              |
             ::: cmd/BUILD.ron:1:1
              |
            1 | build(
              | - and here
              |
             ::: other.ron:1:1
              |
            1 | x
              | - in another file"#]],
    );
}

#[test]
fn without_a_place_only_the_message_is_shown() {
    check(
        &Problem::new("`BUILD.ron` is a pipe, not a file"),
        expect!["error: `BUILD.ron` is a pipe, not a file"],
    );
}

#[test]
fn a_place_of_many_lines_is_shown_by_its_first() {
    let source = file("build(\n  x: [\n 1,\n 2],\n)");
    check(
        &Problem::new("wrong").at(at(&source, "[\n 1,\n 2]"), ""),
        expect![[r#"
            error: wrong
             --> cmd/BUILD.ron:2:6
              |
            2 |   x: [
              |      ^"#]],
    );
}

#[test]
fn the_end_of_a_file_and_an_empty_file_can_be_places() {
    let source = file("build(");
    let end = Span::new(Arc::clone(&source), 6..6);
    check(
        &Problem::new("ends").at(end, "here"),
        expect![[r#"
            error: ends
             --> cmd/BUILD.ron:1:7
              |
            1 | build(
              |       ^ here"#]],
    );
    let source = file("");
    check(
        &Problem::new("empty").at(Span::new(source, 0..0), ""),
        expect![[r#"
            error: empty
             --> cmd/BUILD.ron:1:1
              |
            1 |
              | ^"#]],
    );
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let source = file(&format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000)));
    check(
        &Problem::new("long").at(at(&source, "HERE"), "this"),
        expect![[r#"
            error: long
             --> cmd/BUILD.ron:1:5001
              |
            1 | …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaHEREbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
              |                                          ^^^^ this"#]],
    );
    let source = file(&format!("HERE{}", "b".repeat(5000)));
    check(
        &Problem::new("long").at(at(&source, "HERE"), "this"),
        expect![[r#"
            error: long
             --> cmd/BUILD.ron:1:1
              |
            1 | HEREbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
              | ^^^^ this"#]],
    );
}

#[test]
fn nothing_in_a_file_reaches_the_terminal_as_a_command() {
    let source = file("x:\t\"\u{1b}[31mred\u{7} \u{202e}evil\u{200b}\" y");
    let problem = Problem::new("bad \u{1b}[2J").at(at(&source, "evil"), "w\u{1b}").hint("h\u{9b}");
    check(
        &problem,
        expect![[r#"
            error: bad \u{1b}[2J
             --> cmd/BUILD.ron:1:16
              |
            1 | x:    "\u{1b}[31mred\u{7} \u{202e}evil\u{200b}" y
              |                                   ^^^^ w\u{1b}
              |
              = help: h\u{9b}"#]],
    );
    assert!(!render_one(&problem, false).contains(|it: char| it.is_control() && it != '\n'));
    assert_eq!(safe("abc", 2), "ab…");
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let source = file("x: 1");
    let problem = Problem::new("bad").at(at(&source, "1"), "here").hint("do");
    let colored = render_one(&problem, true);
    assert!(colored.contains("\u{1b}["));
    let mut plain = String::new();
    let mut parts = colored.split('\u{1b}');
    plain.push_str(parts.next().unwrap());
    parts.for_each(|it| plain.push_str(it.split_once('m').unwrap().1));
    assert_eq!(plain, render_one(&problem, false));
}

#[test]
fn many_problems_are_counted() {
    let problems = vec![Problem::new("bad"); 103];
    let out = render(&problems, false);
    assert_eq!(out.matches("error: bad").count(), 100);
    assert!(out.ends_with("\n\n... and 3 more problems\n\n"), "{out}");
}
