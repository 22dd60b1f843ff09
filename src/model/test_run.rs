//! What a `go_tests(…)` says of how its binaries are run, checked.

use crate::formats::build_file::GoTestsSpec;
use crate::model::command::glob;
use crate::model::run_in::SealedRoot;
use crate::model::target::TestRun;
use crate::words::amount::parse_time;
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
    ("coverprofile", "coverage is `go test -cover`'s alone so far"),
    ("gocoverdir", "coverage is `go test -cover`'s alone so far"),
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
                let message = format!("`{}` is no time: {error}", text.value);
                problems.push(Problem::new(message).at(text.span.clone(), ""));
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
