//! What is read of a rules file, and every way in which one is refused.

use super::{built_in, parse};
use crate::formats::testing::told;
use crate::words::span::Source;
use expect_test::{Expect, expect};
use std::sync::Arc;

#[track_caller]
fn check(text: &str, expect: Expect) {
    let source = Arc::new(Source { name: "rules/a.ron".to_owned(), text: text.to_owned() });
    expect.assert_eq(&told(&parse(&source).1));
}

#[test]
fn the_built_in_rules_are_read_without_a_problem() {
    let (spec, problems) = parse(&built_in());
    assert_eq!(told(&problems), "");
    assert!(spec.strategies.len() >= 10 && spec.ladders.len() >= 3 && spec.policies.len() >= 2);
}

#[test]
fn the_file_must_be_rules_with_records_of_the_right_kind() {
    check(
        "rule()",
        expect![[r#"
        `rule` is not known here
          rules/a.ron:1:1: rule
          hint: did you mean `rules`?
    "#]],
    );
    check(
        "build()",
        expect![[r#"
            `build` is not known here
              rules/a.ron:1:1: build
              hint: write `rules(…)`
        "#]],
    );
    check(
        "rules(strategys: [])",
        expect![[r#"
        `rules` has no field `strategys`
          rules/a.ron:1:7: strategys
          hint: did you mean `strategies`?
    "#]],
    );
    check(
        "rules(strategies: [ladder(name: \"a\"), \"x\"], ladders: strategy(name: \"b\"))",
        expect![[r#"
            `ladder` is not known here
              rules/a.ron:1:20: ladder
              hint: write `strategy(…)`
            here stands a string, not `strategy(…)`
              rules/a.ron:1:39: "x"
            `ladders` takes a list of `ladder(…)`, not `strategy(…)`
              rules/a.ron:1:54: strategy(name: "b")
        "#]],
    );
}

#[test]
fn fields_are_checked_in_every_record() {
    check(
        r#"rules(
    strategies: [strategy(link_mode: internal, cgo: "off", race: on, tags: netgo)],
    ladders: [ladder(name: "l"), ladder(tries: ["a", b])],
    policies: [policy(name: "p", nx: true, glibc_max: 2.17, needed: "libc.so.6", class: static)],
)"#,
        expect![[r#"
            `strategy` has no field `link_mode`
              rules/a.ron:2:27: link_mode
              hint: did you mean `linkmode`?
            `strategy` lacks the field `name`
              rules/a.ron:2:18: strategy(link_mode: internal, cgo: "off", race: on, tags: netgo)
            `cgo` takes a bare word, not a string
              rules/a.ron:2:53: "off"
              hint: write it without quotes: `off`
            `race` takes `true` or `false`, not the word `on`
              rules/a.ron:2:66: on
            `tags` takes a list of strings, not the word `netgo`
              rules/a.ron:2:76: netgo
            `ladder` lacks the field `tries`
              rules/a.ron:3:15: ladder(name: "l")
            `ladder` lacks the field `name`
              rules/a.ron:3:34: ladder(tries: ["a", b])
            `tries` takes a string, not the word `b`
              rules/a.ron:3:54: b
              hint: write it in quotes: `"b"`
            `class` takes a list of bare words, not the word `static`
              rules/a.ron:4:89: static
            `needed` takes a list of strings, not a string
              rules/a.ron:4:69: "libc.so.6"
              hint: write `["libc.so.6"]`
            `glibc_max` takes a string, not a number
              rules/a.ron:4:55: 2.17
              hint: write the number in quotes
        "#]],
    );
}
