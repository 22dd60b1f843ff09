//! `linkwright query`: which targets there are, what they need, what needs them.

use crate::cli::build::{BuildOptions, parse_patterns, prepare};
use crate::cli::console::{Console, Stopped};
use crate::cli::flags::unmask;
use crate::cli::rooms::{self, Declared, Place};
use crate::effects::machine::{Machine, side_by_side};
use crate::engine::packages::{self as engine, PackageGraphs};
use crate::engine::request::{BuildRequest, Mode};
use crate::plan::query::{Direction, NoMatch, Node, TargetGraph};
use crate::report::failure::Failure;
use crate::report::graph::{Form, write_dot, write_json, write_list};
use crate::report::packages;
use crate::words::exit_code::ExitCode;
use crate::words::label::{Label, PackagePath};
use std::io::{self, Write};

/// List targets, what they need, what needs them
///
/// Prints the labels of the targets that the patterns match, sorted, one a line. Builds nothing.
#[derive(Debug, Default, clap::Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub struct QueryArgs {
    /// Which targets: //..., //dir/..., //dir:name, :name; -//dir:name leaves one out
    #[arg(value_name = "PATTERN", value_parser = unmask)]
    pub patterns: Vec<String>,

    /// Them and everything they need
    #[arg(long, group = "relation")]
    pub deps: bool,

    /// Them and everything that needs them
    #[arg(long, group = "relation")]
    pub rdeps: bool,

    /// A shortest chain of dependencies from one of them to LABEL
    #[arg(long, value_name = "LABEL", group = "relation")]
    pub path_to: Option<String>,

    /// The Go packages that they are made of, tests and dependencies included
    ///
    /// As the first strategy of each target chooses them; from memory where that holds, else by
    /// `go list`.
    #[arg(long, group = "relation")]
    pub packages: bool,

    /// Only targets of this kind
    #[arg(long, value_name = "RULE",
          value_parser = ["go_binary", "go_tests", "c_library", "pkg_config", "command", "files", "suite", "bundle"])]
    pub kind: Option<String>,

    /// The form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Form,

    /// Short for --output json
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
}

/// Runs `query`.
///
/// # Errors
///
/// Blames the input for a bad pattern, or for one that matches nothing.
pub fn run(args: QueryArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let Place { root, here } = rooms::find_workspace(&console.settings.folder)?;
    let form = if args.json { Form::Json } else { args.output };
    if args.packages {
        let request = prepare(&args.patterns, BuildOptions::default(), console)?;
        let request = BuildRequest { mode: Mode::DryRun, ..request };
        let machine = || rooms::machine_for(&request);
        let (machine, declared) = side_by_side(machine, || rooms::load(&root));
        let (declared, machine) = (declared?, machine?);
        let graph = TargetGraph::new(declared.targets.iter());
        let nodes = answer(&args, &graph, &here)?;
        let labels: Vec<_> = nodes.iter().map(|it| &graph.target(*it).label).collect();
        let found = packages_of(&request, &declared, (&machine, &labels));
        let tell = || Ok::<_, Stopped>(packages::write(&found?, form, &root, console.out)?);
        side_by_side(|| machine.save(), tell).1?;
        return Ok(ExitCode::Done.number());
    }
    let declared = rooms::load(&root)?;
    let graph = TargetGraph::new(declared.targets.iter());
    let nodes = answer(&args, &graph, &here)?;
    if nodes.is_empty() && args.path_to.is_some() {
        writeln!(console.err, "no chain of dependencies leads there")?;
    }
    write_answer(&graph, &nodes, form, console.out)?;
    Ok(ExitCode::Done.number())
}

fn packages_of(
    request: &BuildRequest,
    declared: &Declared,
    (machine, labels): (&Machine, &[&Label]),
) -> Result<PackageGraphs, Failure> {
    let found = engine::packages(request, (&declared.targets, &declared.rules), machine, labels);
    found.map_err(|error| {
        let failure = Failure::new(error.unfit.code, error.to_string());
        error.unfit.hints.into_iter().fold(failure, Failure::hint)
    })
}

/// Returns the targets that `args` ask for, sorted; a path in its own order.
///
/// # Errors
///
/// Blames the input for a bad pattern, or for one that matches nothing.
pub fn answer(
    args: &QueryArgs,
    graph: &TargetGraph<'_>,
    here: &PackagePath,
) -> Result<Vec<Node>, Failure> {
    let selected = select(&args.patterns, graph, here)?;
    let mut nodes = match &args.path_to {
        Some(label) => {
            let refuse = |error: crate::words::label::LabelError| {
                Failure::new(ExitCode::BadInput, error.to_string())
            };
            let label = Label::parse(label, here).map_err(refuse)?;
            let to = graph.find(&label).map_err(|it| no_match(&[it]))?;
            graph.path(&selected, to).unwrap_or_default()
        }
        None if args.deps => graph.closure(&selected, Direction::Dependencies),
        None if args.rdeps => graph.closure(&selected, Direction::Dependents),
        None => selected,
    };
    if let Some(kind) = &args.kind {
        nodes.retain(|it| graph.target(*it).rule.kind() == kind);
    }
    Ok(nodes)
}

/// Returns what the patterns of a command line match.
///
/// # Errors
///
/// Blames the input.
pub fn select(
    patterns: &[String],
    graph: &TargetGraph<'_>,
    here: &PackagePath,
) -> Result<Vec<Node>, Failure> {
    graph.select(&parse_patterns(patterns, here)?).map_err(|it| no_match(&it))
}

/// Makes the failure of patterns that match nothing.
#[must_use]
pub fn no_match(problems: &[NoMatch]) -> Failure {
    let mut messages = problems.iter().map(ToString::to_string);
    let message = messages.next().unwrap_or_else(|| "the patterns match no target".to_owned());
    let mut failure = Failure::new(ExitCode::BadInput, message);
    failure.message.extend(messages.map(|it| format!("; {it}")));
    let near = problems.iter().filter_map(|it| match it {
        NoMatch::Target(_, near) => near.as_ref(),
        NoMatch::Pattern(_) => None,
    });
    failure.hints = near.map(|it| format!("did you mean `{it}`?")).collect();
    failure.hint("`linkwright query //...` lists the targets")
}

fn write_answer(
    graph: &TargetGraph<'_>,
    nodes: &[Node],
    form: Form,
    out: &mut dyn Write,
) -> io::Result<()> {
    match form {
        Form::Text => write_list(graph, nodes, out),
        Form::Json => write_json(graph, nodes, out),
        Form::Dot => write_dot(graph, nodes, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::query::suites;
    use crate::report::paint::Paint;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(args: QueryArgs, expect: Expect) {
        let targets = suites("//:app //lib:a //:b\n//lib:a //lib:z\n//:b\n//lib:z");
        let graph = TargetGraph::new(targets.values());
        let here = PackagePath::parse("lib").unwrap();
        let shown = match answer(&args, &graph, &here) {
            Ok(nodes) => {
                let mut out = Vec::new();
                write_answer(&graph, &nodes, args.output, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            }
            Err(failure) => failure.render(Paint::Plain),
        };
        expect.assert_eq(&shown);
    }

    fn query(patterns: &[&str]) -> QueryArgs {
        let patterns = patterns.iter().map(|it| (*it).to_owned()).collect();
        QueryArgs { patterns, ..QueryArgs::default() }
    }

    #[test]
    fn each_question_has_a_sorted_answer() {
        check(
            query(&[]),
            expect![[r"
            //:app
            //:b
            //lib:a
            //lib:z
        "]],
        );
        check(
            QueryArgs { deps: true, ..query(&[":a"]) },
            expect![[r"
            //lib:a
            //lib:z
        "]],
        );
        check(
            QueryArgs { rdeps: true, ..query(&[":z"]) },
            expect![[r"
            //:app
            //lib:a
            //lib:z
        "]],
        );
        let path_to = Some(":z".to_owned());
        check(
            QueryArgs { path_to, ..query(&["//:all"]) },
            expect![[r"
            //:app
            //lib:a
            //lib:z
        "]],
        );
        check(QueryArgs { kind: Some("files".to_owned()), ..query(&[]) }, expect![[""]]);
    }

    #[test]
    fn what_matches_nothing_is_refused_with_hints() {
        check(
            query(&["//lib:aa", "//web/..."]),
            expect![[r"
            error: no target is called `//lib:aa`; `//web/...` matches no target
            hint: did you mean `//lib:a`?
            hint: `linkwright query //...` lists the targets
        "]],
        );
        check(
            query(&["lib"]),
            expect![[r"
            error: `lib` is not a label; write `//folder:name`, or `:name` for a target of this folder
            hint: patterns are `//...`, `//dir/...`, `//dir:name`, `:name` and `./...`
        "]],
        );
    }
}
