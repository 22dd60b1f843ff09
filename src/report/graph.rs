//! Targets and the edges between them, as a list, a tree, JSON or DOT.
//!
//! Every form is written in O(nodes + edges) without recursion. The tree shows what a target needs
//! once; where the target comes again it is marked `(above)`, and where the tree would grow wider
//! than a screen it goes on further down, marked `(below)`.

use crate::plan::query::{Direction, Node, TargetGraph};
use crate::report::escape;
use crate::words::label::Label;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};

/// The format of the JSON form; raised when a field changes its meaning.
pub const GRAPH_FORMAT: &str = "linkwright-graph/1";

/// How deep the tree is indented before it goes on further down.
const MAX_DEPTH: usize = 24;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Form {
    /// For people: labels, or a tree.
    #[default]
    Text,
    /// One object: nodes and edges.
    Json,
    /// For Graphviz.
    Dot,
}

/// What `query --output json` and `graph --output json` print.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GraphDocument<'a> {
    /// [`GRAPH_FORMAT`].
    pub format: &'static str,
    /// Sorted by label; a path in its own order.
    pub nodes: Vec<GraphNode<'a>>,
    /// The edges between these nodes, sorted.
    pub edges: Vec<GraphEdge<'a>>,
}

/// One target.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GraphNode<'a> {
    /// Its name.
    pub label: &'a Label,
    /// Its kind: `go_binary`, `go_tests`, `command`, `files`, `suite`.
    pub rule: &'static str,
    /// The rule file that declares it. Without a line: to count lines for each of a million
    /// targets would take longer than all the rest.
    pub declared_in: &'a str,
}

/// One dependency.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GraphEdge<'a> {
    /// Who needs.
    pub from: &'a Label,
    /// What is needed.
    pub to: &'a Label,
}

/// Writes one label a line.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_list(graph: &TargetGraph<'_>, nodes: &[Node], out: &mut dyn Write) -> io::Result<()> {
    nodes.iter().try_for_each(|it| writeln!(out, "{}", shown(graph, *it)))
}

/// Writes the nodes and the edges between them as one JSON object.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_json(graph: &TargetGraph<'_>, nodes: &[Node], out: &mut dyn Write) -> io::Result<()> {
    let node = |it: &Node| {
        let target = graph.target(*it);
        let (label, rule) = (&target.label, target.rule.kind());
        GraphNode { label, rule, declared_in: &target.span.source.name }
    };
    let edge =
        |(from, to)| GraphEdge { from: &graph.target(from).label, to: &graph.target(to).label };
    let document = GraphDocument {
        format: GRAPH_FORMAT,
        nodes: nodes.iter().map(node).collect(),
        edges: edges_between(graph, nodes).into_iter().map(edge).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// Writes the nodes and the edges between them as a Graphviz graph.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_dot(graph: &TargetGraph<'_>, nodes: &[Node], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph linkwright {{\n  rankdir = LR;\n  node [shape = box];")?;
    let quoted = |node: Node| quote_dot(&graph.target(node).label.to_string());
    for node in nodes.iter().copied() {
        let label = quoted(node);
        let kind = graph.target(node).rule.kind();
        writeln!(out, "  \"{label}\" [label = \"{label}\\n{kind}\"];")?;
    }
    for (from, to) in edges_between(graph, nodes) {
        writeln!(out, "  \"{}\" -> \"{}\";", quoted(from), quoted(to))?;
    }
    writeln!(out, "}}")
}

/// Writes the nodes as a tree, from those that no other of them needs.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_tree(graph: &TargetGraph<'_>, nodes: &[Node], out: &mut dyn Write) -> io::Result<()> {
    let inside: BTreeSet<Node> = nodes.iter().copied().collect();
    let is_root = |it: &Node| {
        !graph.neighbours(*it, Direction::Dependents).iter().any(|it| inside.contains(it))
    };
    let mut roots: VecDeque<Node> = nodes.iter().copied().filter(is_root).collect();
    let mut shown_already = BTreeSet::new();
    while let Some(root) = roots.pop_front() {
        let mut waiting = vec![(root, 0)];
        while let Some((node, depth)) = waiting.pop() {
            let needs = graph.neighbours(node, Direction::Dependencies);
            let needs: Vec<Node> = needs.iter().copied().filter(|it| inside.contains(it)).collect();
            let (mut mark, mut next) = ("", &needs[..]);
            if !needs.is_empty() && shown_already.contains(&node) {
                (mark, next) = (" (above)", &[]);
            } else if !needs.is_empty() && depth >= MAX_DEPTH {
                (mark, next) = (" (below)", &[]);
                roots.push_back(node);
            } else {
                shown_already.insert(node);
            }
            if mark == " (above)" && depth == 0 {
                continue;
            }
            let kind = graph.target(node).rule.kind();
            let label = shown(graph, node);
            writeln!(out, "{:indent$}{label} {kind}{mark}", "", indent = depth * 2)?;
            waiting.extend(next.iter().rev().map(|it| (*it, depth + 1)));
        }
    }
    Ok(())
}

fn shown(graph: &TargetGraph<'_>, node: Node) -> String {
    escape::line(&graph.target(node).label.to_string()).into_owned()
}

fn edges_between(graph: &TargetGraph<'_>, nodes: &[Node]) -> Vec<(Node, Node)> {
    let inside: BTreeSet<Node> = nodes.iter().copied().collect();
    let needs = |from: &Node| graph.neighbours(*from, Direction::Dependencies).iter().copied();
    let edges = inside.iter().flat_map(|from| needs(from).map(|to| (*from, to)));
    edges.filter(|it| inside.contains(&it.1)).collect()
}

/// Quotes for a DOT string. Labels and import paths hold no line breaks and no backslashes.
#[must_use]
pub fn quote_dot(text: &str) -> String {
    escape::line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::query::suites;
    use expect_test::{Expect, expect};

    type Writer = fn(&TargetGraph<'_>, &[Node], &mut dyn Write) -> io::Result<()>;

    #[track_caller]
    fn check(text: &str, write: Writer, expect: Expect) {
        let targets = suites(text);
        let graph = TargetGraph::new(targets.values());
        let mut out = Vec::new();
        write(&graph, &graph.nodes(), &mut out).unwrap();
        expect.assert_eq(&String::from_utf8(out).unwrap());
    }

    const DIAMOND: &str =
        "//:top //:left //:right\n//:left //:base\n//:right //:base\n//:base //:z\n//:z\n//a\"b:q";

    #[test]
    fn a_tree_shows_each_dependency_once() {
        check(
            DIAMOND,
            write_tree,
            expect![[r#"
                //:top suite
                  //:left suite
                    //:base suite
                      //:z suite
                  //:right suite
                    //:base suite (above)
                //a"b:q suite
            "#]],
        );
    }

    #[test]
    fn a_deep_tree_goes_on_further_down() {
        let chain = (0..60).map(|it| format!("//:n{it:02} //:n{:02}\n", it + 1));
        let targets = suites(&(chain.collect::<String>() + "//:n60"));
        let graph = TargetGraph::new(targets.values());
        let mut out = Vec::new();
        write_tree(&graph, &graph.nodes(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("//:n24 suite (below)\n//:n24 suite\n  //:n25 suite\n"), "{text}");
        assert!(text.ends_with("//:n60 suite\n"));
        assert_eq!(text.lines().count(), 63);
    }

    #[test]
    fn dot_quotes_what_a_folder_may_hold() {
        check(
            DIAMOND,
            write_dot,
            expect![[r#"
                digraph linkwright {
                  rankdir = LR;
                  node [shape = box];
                  "//:base" [label = "//:base\nsuite"];
                  "//:left" [label = "//:left\nsuite"];
                  "//:right" [label = "//:right\nsuite"];
                  "//:top" [label = "//:top\nsuite"];
                  "//:z" [label = "//:z\nsuite"];
                  "//a\"b:q" [label = "//a\"b:q\nsuite"];
                  "//:base" -> "//:z";
                  "//:left" -> "//:base";
                  "//:right" -> "//:base";
                  "//:top" -> "//:left";
                  "//:top" -> "//:right";
                }
            "#]],
        );
    }

    #[test]
    fn json_has_nodes_and_edges() {
        check(
            "//:a //:b\n//:b",
            write_json,
            expect![[r#"
                {
                  "format": "linkwright-graph/1",
                  "nodes": [
                    {
                      "label": "//:a",
                      "rule": "suite",
                      "declared_in": "BUILD.ron"
                    },
                    {
                      "label": "//:b",
                      "rule": "suite",
                      "declared_in": "BUILD.ron"
                    }
                  ],
                  "edges": [
                    {
                      "from": "//:a",
                      "to": "//:b"
                    }
                  ]
                }
            "#]],
        );
    }
}
