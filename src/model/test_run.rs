//! What a `go_tests(…)` says of how its binaries are run, checked.

use crate::formats::build_file::GoTestsSpec;
use crate::formats::cover_profile::CoverMode;
use crate::model::command::glob;
use crate::model::run_in::SealedRoot;
use crate::model::target::{Cover, GoPattern, GoSettings, TestRun};
use crate::words::amount::parse_time;
use crate::words::near::suggestion;
use crate::words::problem::Problem;
use crate::words::span::Spanned;

/// Flags of a test binary that the runner sets itself, with what to say instead.
const OURS: [(&str, &str); 11] = [
    ("v", "what the tests print is always read, and shown with `--stream`"),
    ("timeout", "write `timeout`"),
    ("run", "say `--filter` on the command line"),
    ("list", "the events of `linkwright test --json` name every test"),
    ("count", "say `--repeat` on the command line"),
    ("testlogfile", "it is how linkwright learns what a test reads"),
    ("paniconexit0", "it is always set"),
    ("coverprofile", "write `cover: true`, and say `--coverprofile` on the command line"),
    ("gocoverdir", "write `cover: true`, and say `--coverprofile` on the command line"),
    ("outputdir", "files that a test writes go with its run"),
    ("test2json", "what the tests print is always read"),
];

/// Variables that the runner sets itself.
const OUR_VARIABLES: [&str; 2] = ["PWD", "TMPDIR"];

/// Checks how the binaries of a `go_tests` are run.
pub(in crate::model) fn check(spec: &GoTestsSpec, problems: &mut Vec<Problem>) -> TestRun {
    let mut run = TestRun::default();
    if let Some(text) = &spec.timeout {
        match parse_time(&text.value) {
            Ok(time) if !time.is_zero() => run.timeout = Some(time),
            Ok(_) => {
                let problem = Problem::new("a test that may take no time cannot pass");
                problems.push(problem.at(text.span.clone(), "").hint("write `timeout: \"10m\"`"));
            }
            Err(error) => {
                let problem = Problem::new(format!("`{}` is no time", text.value));
                let problem = problem.at(text.span.clone(), "");
                problems.push(problem.hint(format!("write {error}")));
            }
        }
    }
    run.args = spec.args.iter().filter_map(|it| argument(it, problems)).collect();
    for text in &spec.data {
        if let Some(glob) = glob(text, problems) {
            run.data.push(glob);
            run.data_at.push(text.span.clone());
        }
    }
    run.pass_env = spec.pass_env.iter().filter_map(|it| variable(it, problems)).collect();
    run.pass_env.sort();
    run.pass_env.dedup();
    run.sealed = spec.sealed.as_ref().map(|it| SealedRoot::check(it, problems));
    run
}

/// Checks what a `go_tests` says of coverage; `go_packages` are those of its `coverpkg`, and
/// `settings` how it is linked.
///
/// As with `go test`, saying how or where is to be counted is saying that it is.
pub(in crate::model) fn cover(
    spec: &GoTestsSpec,
    go_packages: Vec<GoPattern>,
    settings: &[GoSettings],
    problems: &mut Vec<Problem>,
) -> Option<Cover> {
    let mut mode = None;
    if let Some(text) = &spec.covermode {
        mode = CoverMode::parse(&text.value);
        let race = settings.iter().any(|it| it.ladder.tries.iter().any(|it| it.race));
        if mode.is_none() {
            let names = CoverMode::ALL.map(|it| it.0);
            let problem = Problem::new(format!("`{}` is no `covermode`", text.value));
            let problem = problem.at(text.span.clone(), "");
            problems.push(problem.hint(suggestion(&text.value, &names)));
        } else if race && mode != Some(CoverMode::Atomic) {
            let message = format!("`{}` counts wrong under the race detector", text.value);
            let problem = Problem::new(message).at(text.span.clone(), "");
            problems.push(problem.hint("write `covermode: \"atomic\"`, or leave it out"));
        }
    }
    let said = spec.covermode.is_some() || !spec.coverpkg.is_empty();
    spec.cover.unwrap_or(said).then_some(Cover { mode, go_packages })
}

fn argument(text: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<String> {
    let value = &text.value;
    if value.contains('\0') {
        problems.push(Problem::new("an argument holds a NUL").at(text.span.clone(), ""));
        return None;
    }
    let name = value.strip_prefix("--test.").or_else(|| value.strip_prefix("-test."));
    let name = name.and_then(|it| it.split('=').next()).unwrap_or_default();
    if let Some((_, hint)) = OURS.iter().find(|it| it.0 == name) {
        let message = format!("`-test.{name}` is set by linkwright");
        problems.push(Problem::new(message).at(text.span.clone(), "").hint(*hint));
        return None;
    }
    Some(value.clone())
}

fn variable(text: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<String> {
    let name = &text.value;
    let problem = if name.is_empty() || name.contains(['=', '\0']) {
        Problem::new(format!("`{}` names no variable", name.escape_debug()))
    } else if OUR_VARIABLES.contains(&name.as_str()) {
        Problem::new(format!("`{name}` is set by linkwright: it names a folder of the run"))
    } else {
        return Some(name.clone());
    };
    problems.push(problem.at(text.span.clone(), ""));
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::build_file::parse as parse_build;
    use crate::formats::rules_file::{built_in, parse as parse_rules};
    use crate::formats::testing::told;
    use crate::model::resolve::resolve;
    use crate::model::rules::assemble;
    use crate::model::target::{Glob, GoTests};
    use crate::words::label::PackagePath;
    use crate::words::span::Source;
    use expect_test::{Expect, expect};
    use std::sync::Arc;
    use std::time::Duration;

    /// Resolves one `go_tests` with these fields.
    fn tests(fields: &str) -> Result<GoTests, String> {
        let text = format!("build(targets: [go_tests(name: \"t\", packages: [\".\"], {fields})])");
        let source = Arc::new(Source { name: "BUILD.ron".to_owned(), text });
        let (spec, problems) = parse_build(&source, &PackagePath::root());
        assert_eq!(told(&problems), "");
        let rules = assemble(parse_rules(&built_in()).0, Vec::new()).unwrap();
        let targets = resolve(vec![spec], &rules).map_err(|it| told(&it))?;
        Ok(targets.iter().next().unwrap().rule.tests().unwrap().clone())
    }

    #[track_caller]
    fn refused(fields: &str, expect: Expect) {
        expect.assert_eq(&tests(fields).unwrap_err());
    }

    #[test]
    fn what_is_said_of_a_run_is_taken() {
        let said = r#"timeout: "90s", args: ["-test.short", "-own", "x"], data: ["d/*", "e"],
            pass_env: ["TOKEN", "HOME", "TOKEN"]"#;
        let run = tests(said).unwrap().run;
        assert_eq!(run.timeout, Some(Duration::from_secs(90)));
        assert_eq!(run.args, ["-test.short", "-own", "x"]);
        let data: Vec<_> = run.data.iter().map(Glob::as_str).collect();
        assert_eq!((data, run.data_at.len()), (vec!["d/*", "e"], 2));
        assert_eq!(run.pass_env, ["HOME", "TOKEN"]);
        assert_eq!(tests("").unwrap().run, TestRun::default());
    }

    #[test]
    fn what_linkwright_sets_itself_is_refused_however_it_is_written() {
        for (name, _) in OURS {
            for flag in [format!("-test.{name}"), format!("--test.{name}=1")] {
                let told = tests(&format!("args: [{flag:?}]")).unwrap_err();
                assert!(
                    told.starts_with(&format!("`-test.{name}` is set by linkwright")),
                    "{told}"
                );
            }
        }
        for fine in ["-test.short", "-test.cpu=1", "-v", "-test.vx", "test.v", "-test.listen=1"] {
            assert_eq!(tests(&format!("args: [{fine:?}]")).unwrap().run.args, [fine]);
        }
        refused(
            r#"args: ["a\u{0}", "-test.run=X"], pass_env: ["PWD", "", "A=B", "TMPDIR"]"#,
            expect![[r#"
                an argument holds a NUL
                  BUILD.ron:1:61: "a\u{0}"
                `-test.run` is set by linkwright
                  BUILD.ron:1:71: "-test.run=X"
                  hint: say `--filter` on the command line
                `PWD` is set by linkwright: it names a folder of the run
                  BUILD.ron:1:98: "PWD"
                `` names no variable
                  BUILD.ron:1:105: ""
                `A=B` names no variable
                  BUILD.ron:1:109: "A=B"
                `TMPDIR` is set by linkwright: it names a folder of the run
                  BUILD.ron:1:116: "TMPDIR"
            "#]],
        );
    }

    #[test]
    fn a_time_limit_is_a_time() {
        refused(
            r#"timeout: "soon""#,
            expect![[r#"
                `soon` is no time
                  BUILD.ron:1:63: "soon"
                  hint: write a time: a number, then `s`, `m`, `h`, `d` or `w`, as in `30d`
            "#]],
        );
        refused(
            r#"timeout: "0s""#,
            expect![[r#"
            a test that may take no time cannot pass
              BUILD.ron:1:63: "0s"
              hint: write `timeout: "10m"`
        "#]],
        );
    }

    #[test]
    fn how_or_where_to_count_says_that_it_is_counted() {
        let cover = |fields: &str| tests(fields).unwrap().cover;
        assert_eq!(cover(""), None);
        assert_eq!(cover("cover: false, covermode: \"set\""), None);
        assert_eq!(cover("cover: true"), Some(Cover::default()));
        let mode = Some(CoverMode::Count);
        assert_eq!(cover("covermode: \"count\""), Some(Cover { mode, ..Cover::default() }));
        let go_packages = vec![GoPattern::parse("./...").unwrap()];
        assert_eq!(cover("coverpkg: [\"./...\"]"), Some(Cover { mode: None, go_packages }));
        let race = cover("link: \"race\", covermode: \"atomic\"");
        assert_eq!(race.unwrap().mode, Some(CoverMode::Atomic));
        refused(
            r#"covermode: "atom", coverpkg: ["../x"]"#,
            expect![[r#"
            `atom` is no `covermode`
              BUILD.ron:1:65: "atom"
              hint: did you mean `atomic`?
            `../x` is not a Go package: write `./folder` (relative to this BUILD.ron) or an import path
              BUILD.ron:1:84: "../x"
              hint: folders begin with `./` and stay below this one
        "#]],
        );
        refused(
            r#"link: "race", covermode: "set""#,
            expect![[r#"
            `set` counts wrong under the race detector
              BUILD.ron:1:79: "set"
              hint: write `covermode: "atomic"`, or leave it out
        "#]],
        );
    }
}
