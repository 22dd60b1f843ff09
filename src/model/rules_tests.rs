//! How definitions come together, and every way in which one is refused.

use super::{
    BUILD_MODES, CGO, CLASSES, DEMAND_WORDS, LINK_MODES, NEEDS, PROMISES, RELROS, assemble,
};
use crate::formats::rules_file::{built_in, parse};
use crate::formats::testing::told;
use crate::model::strategy::RuleSet;
use crate::words::problem::Problem;
use crate::words::span::Source;
use expect_test::{Expect, expect};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

fn rules(own: &[&str]) -> Result<RuleSet, Vec<Problem>> {
    let files = own.iter().enumerate().map(|(index, text)| {
        let name = format!("rules/{index}.ron");
        let (spec, problems) = parse(&Arc::new(Source { name, text: (*text).to_owned() }));
        assert_eq!(told(&problems), "");
        spec
    });
    assemble(parse(&built_in()).0, files.collect())
}

#[track_caller]
fn refused(own: &[&str], expect: Expect) {
    expect.assert_eq(&told(&rules(own).unwrap_err()));
}

#[test]
fn the_built_in_rules_are_right() {
    let rules = rules(&[]).map_err(|it| told(&it)).unwrap();
    let tries = |name| -> Vec<String> {
        rules.ladder(name).unwrap().tries.iter().map(|it| it.name.clone()).collect()
    };
    assert_eq!(tries("static"), ["netgo", "static_glibc", "pure"]);
    assert_eq!(tries("pure"), ["pure"]);
    assert!(rules.ladder("release").is_none() && rules.policies.contains_key("release"));
}

#[test]
fn an_own_definition_replaces_the_built_in_one_everywhere() {
    let own = r#"rules(
        strategies: [strategy(name: "pure", cgo: off, tags: ["mine"]), strategy(name: "own")],
        ladders: [ladder(name: "smallest_risk", tries: ["own", "pure"])],
        policies: [policy(name: "release", nx: require, pie: require, relro: full, glibc_max: "2.17")],
    )"#;
    let rules = rules(&[own]).unwrap();
    assert_eq!(rules.ladder("static").unwrap().tries[2].tags, ["mine"]);
    assert_eq!(rules.ladder("smallest_risk").unwrap().tries[0].name, "own");
    expect![[r#"Policy { name: "release", doc: "", class: [], nss: Allow, dlopen: Allow, rpath: Allow, nx: Require, pie: Require, textrel: Allow, relro: Some(Full), needed: None, interpreters: None, glibc_max: Some("2.17"), glibcxx_max: None }"#]].assert_eq(&format!("{:?}", rules.policies["release"]));
}

#[test]
fn two_own_definitions_of_one_name_are_told_with_both_places() {
    refused(
        &[
            "rules(strategies: [strategy(name: \"a\"), strategy(name: \"a\")])",
            "rules(strategies: [strategy(name: \"a\")], policies: [policy(name: \"a\")])",
        ],
        expect![[r#"
            the strategy `a` is defined twice
              rules/0.ron:1:56: "a" again here
              rules/0.ron:1:35: "a" first here
            the strategy `a` is defined twice
              rules/1.ron:1:35: "a" again here
              rules/0.ron:1:35: "a" first here
        "#]],
    );
}

#[test]
fn a_strategy_and_a_ladder_share_no_name() {
    refused(
        &["rules(strategies: [strategy(name: \"static\")])"],
        expect![[r#"
            `static` is both a strategy and a ladder
              rules/0.ron:1:35: "static" the strategy
              <built-in>/rules/builtin.ron:239:19: "static" the ladder
              hint: `link` takes either, so their names must differ
        "#]],
    );
    refused(
        &["rules(ladders: [ladder(name: \"pure\", tries: [\"netgo\"])])"],
        expect![[r#"
            `pure` is both a strategy and a ladder
              rules/0.ron:1:30: "pure" the ladder
              <built-in>/rules/builtin.ron:181:19: "pure" the strategy
              hint: `link` takes either, so their names must differ
        "#]],
    );
}

#[test]
fn a_ladder_tries_known_strategies_each_once() {
    refused(
        &[r#"rules(ladders: [
    ladder(name: "a", tries: ["netgoo", "pure", "pure", "static", "zzzzzz"]),
    ladder(name: "b", tries: []),
])"#],
        expect![[r#"
            no strategy `netgoo`
              rules/0.ron:2:31: "netgoo"
              hint: did you mean `netgo`?
            `pure` is tried twice
              rules/0.ron:2:49: "pure" again here
              rules/0.ron:2:41: "pure" first here
            no strategy `static`
              rules/0.ron:2:57: "static"
              hint: it is a ladder; a ladder tries strategies
            no strategy `zzzzzz`
              rules/0.ron:2:67: "zzzzzz"
              hint: a ladder tries strategies; docs/rules.md lists them
            the ladder `b` tries nothing
              rules/0.ron:3:18: "b"
        "#]],
    );
}

#[test]
fn unknown_words_are_told_with_the_known_ones() {
    refused(
        &[r#"rules(
    strategies: [strategy(name: "a", cgo: of, linkmode: extern, buildmode: pic, promise: statically, needs: [libc, c_compilr])],
    policies: [policy(name: "p", class: [statik], nss: forbid, relro: all, glibc_max: "2", glibcxx_max: "3.x")],
)"#],
        expect![[r#"
            `of` is no word for `cgo`
              rules/0.ron:2:43: of
              hint: did you mean `off`?
            `extern` is no word for `linkmode`
              rules/0.ron:2:57: extern
              hint: did you mean `external`?
            `pic` is no word for `buildmode`
              rules/0.ron:2:76: pic
              hint: did you mean `pie`?
            `statically` is no word for `promise`
              rules/0.ron:2:90: statically
              hint: write one of `any`, `static`, `static_pie`, `libc_only`
            `libc` is no word for `needs`
              rules/0.ron:2:110: libc
              hint: write one of `c_compiler`, `static_libc`, `static_libstdcxx`, `static_pie_start`
            `c_compilr` is no word for `needs`
              rules/0.ron:2:116: c_compilr
              hint: did you mean `c_compiler`?
            `statik` is no word for `class`
              rules/0.ron:3:42: statik
              hint: did you mean `static`?
            `forbid` is no word for `nss`
              rules/0.ron:3:56: forbid
              hint: write one of `allow`, `deny`, `require`
            `all` is no word for `relro`
              rules/0.ron:3:71: all
              hint: write one of `none`, `partial`, `full`
            `2` is no version for `glibc_max`
              rules/0.ron:3:87: "2"
              hint: write numbers with dots between them, such as `"2.17"`
            `3.x` is no version for `glibcxx_max`
              rules/0.ron:3:105: "3.x"
              hint: write numbers with dots between them, such as `"2.17"`
        "#]],
    );
}

#[test]
fn names_and_tags_are_plain() {
    refused(
        &[
            "rules(strategies: [strategy(name: \"a b\"), strategy(name: \"\"), strategy(name: \"c\", tags: [\"a,b\", \"\"])])",
        ],
        expect![[r#"
            `a b` is no name of a strategy
              rules/0.ron:1:35: "a b"
              hint: use letters, digits, `_`, `-`, `.` and `+`, and do not begin with `-`
            `` is no name of a strategy
              rules/0.ron:1:58: ""
              hint: use letters, digits, `_`, `-`, `.` and `+`, and do not begin with `-`
            `a,b` is no build tag
              rules/0.ron:1:90: "a,b"
              hint: a tag holds letters, digits, `_` and `.`; each is one string of the list
            `` is no build tag
              rules/0.ron:1:97: ""
              hint: a tag holds letters, digits, `_` and `.`; each is one string of the list
        "#]],
    );
}

#[test]
fn dangerous_words_are_refused() {
    refused(
        &[r#"rules(strategies: [
    strategy(name: "a", cc: "./evil", cxx: "-o", go_flags: ["-toolexec=x", "-installsuffix", "-o"]),
    strategy(name: "b", ldflags: ["-extld=x"], extldflags: ["-fplugin=x"]),
])"#],
        expect![[r#"
            [refused] `./evil` in `cc` is no name of a program
              rules/0.ron:2:29: "./evil"
              hint: write the bare name of a compiler on `PATH`, such as `musl-gcc`
            [refused] `-o` in `cxx` is no name of a program
              rules/0.ron:2:44: "-o"
              hint: write the bare name of a compiler on `PATH`, such as `musl-gcc`
            [refused] `-toolexec=x` is refused in `go_flags`
              rules/0.ron:2:61: "-toolexec=x"
              hint: only `-a` and `-installsuffix`, with a plain word after it, are allowed
            [refused] `-installsuffix` is refused in `go_flags`
              rules/0.ron:2:76: "-installsuffix"
              hint: only `-a` and `-installsuffix`, with a plain word after it, are allowed
            [refused] `-extld=x` is refused in `ldflags`: it names a program to run; say `cc` in a strategy
              rules/0.ron:3:35: "-extld=x"
              hint: docs/rules.md lists the flags that are allowed
            [refused] `-fplugin=x` is refused in `extldflags`: it is not on the list
              rules/0.ron:3:61: "-fplugin=x"
              hint: only words that cannot run programs or write files are allowed; docs/rules.md lists them
        "#]],
    );
}

#[test]
fn the_race_detector_without_cgo_is_refused() {
    refused(
        &["rules(strategies: [strategy(name: \"a\", cgo: off, race: true)])"],
        expect![[r#"
        the race detector needs cgo
          rules/0.ron:1:45: off
          hint: write `cgo: on`, or leave `race` out
    "#]],
    );
}

#[test]
fn the_words_are_those_of_the_formats_that_are_written() {
    fn agree<T: DeserializeOwned + PartialEq + Debug>(words: &[(&str, T)]) {
        for (word, value) in words {
            let read: T = serde_json::from_str(&format!("\"{word}\"")).unwrap();
            assert_eq!(read, *value);
        }
    }
    agree(&CGO);
    agree(&LINK_MODES);
    agree(&BUILD_MODES);
    agree(&NEEDS);
    agree(&PROMISES);
    agree(&CLASSES);
    agree(&DEMAND_WORDS);
    agree(&RELROS);
}
