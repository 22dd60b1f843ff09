//! Questions about the graph of targets: which are matched, what they need, what needs them, how
//! one reaches another.
//!
//! Targets become numbers in label order and edges two arrays, so that an answer takes
//! O(targets + edges) and no recursion; an answer is sorted unless its order means something.

use crate::model::target::Target;
use crate::words::label::Label;
use crate::words::pattern::{Pattern, PatternSet};
use std::collections::VecDeque;

/// Every target of a workspace, or those reached from some of them, with the edges between them.
#[derive(Debug)]
pub struct TargetGraph<'a> {
    /// Sorted by label.
    targets: Vec<&'a Target>,
    /// What each needs; sorted.
    needs: Edges,
    /// What needs each; sorted.
    needed_by: Edges,
}

/// A target's number in its graph; numbers order as labels do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(usize);

/// Which way edges are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To what a target needs.
    Dependencies,
    /// To what needs a target.
    Dependents,
}

/// A pattern that matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMatch {
    /// `//dir:name`, and the label that is nearest to it.
    #[error("no target is called `{0}`")]
    Target(Label, Option<Label>),
    /// `//dir/...` or `//dir:all`.
    #[error("`{0}` matches no target")]
    Pattern(String),
}

/// Adjacency as two arrays: node `i`'s neighbours are `ends[starts[i]..starts[i + 1]]`.
#[derive(Debug)]
struct Edges {
    starts: Vec<usize>,
    ends: Vec<Node>,
}

impl<'a> TargetGraph<'a> {
    /// Makes the graph of `targets`, sorted by label. A dependency that is not among them is left
    /// out; resolution has refused it already.
    #[must_use]
    pub fn new(targets: impl IntoIterator<Item = &'a Target>) -> Self {
        let targets: Vec<&Target> = targets.into_iter().collect();
        let number =
            |label: &Label| targets.binary_search_by(|it| it.label.cmp(label)).ok().map(Node);
        let mut edges = Vec::new();
        for (from, target) in targets.iter().enumerate() {
            edges.extend(target.dependencies.iter().filter_map(number).map(|to| (Node(from), to)));
        }
        let needs = Edges::new(targets.len(), &mut edges);
        for (from, to) in &mut edges {
            std::mem::swap(from, to);
        }
        let needed_by = Edges::new(targets.len(), &mut edges);
        Self { targets, needs, needed_by }
    }

    /// Returns the target with number `node`.
    #[must_use]
    pub fn target(&self, node: Node) -> &'a Target {
        self.targets[node.0]
    }

    /// Returns every node, in label order.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        (0..self.targets.len()).map(Node).collect()
    }

    /// Returns the direct neighbours of `node`, sorted.
    #[must_use]
    pub fn neighbours(&self, node: Node, direction: Direction) -> &[Node] {
        match direction {
            Direction::Dependencies => self.needs.of(node),
            Direction::Dependents => self.needed_by.of(node),
        }
    }

    /// Returns what `patterns` match, sorted.
    ///
    /// # Errors
    ///
    /// Returns every positive pattern that matches nothing by itself, and every negative one that
    /// names a target which does not exist.
    pub fn select(&self, patterns: &PatternSet) -> Result<Vec<Node>, Vec<NoMatch>> {
        let mut problems = Vec::new();
        let mut wanted = vec![false; self.targets.len()];
        for pattern in &patterns.wanted {
            self.mark(pattern, true, &mut wanted).unwrap_or_else(|it| problems.push(it));
        }
        for pattern in &patterns.left_out {
            let marked = self.mark(pattern, false, &mut wanted);
            if let (Pattern::One(_), Err(problem)) = (pattern, marked) {
                problems.push(problem);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(self.nodes().into_iter().filter(|it| wanted[it.0]).collect())
    }

    fn mark(&self, pattern: &Pattern, value: bool, wanted: &mut [bool]) -> Result<(), NoMatch> {
        if let Pattern::One(label) = pattern {
            let found = self.targets.binary_search_by(|it| it.label.cmp(label));
            let missing = |_| NoMatch::Target(label.clone(), self.nearest(label));
            wanted[found.map_err(missing)?] = value;
            return Ok(());
        }
        let mut matches = false;
        for (target, wanted) in self.targets.iter().zip(wanted) {
            if pattern.matches(&target.label) {
                (*wanted, matches) = (value, true);
            }
        }
        // An empty workspace is no mistake: `//...` asks for whatever is there.
        let everything = *pattern == Pattern::Below(crate::words::label::PackagePath::root());
        if matches || everything { Ok(()) } else { Err(NoMatch::Pattern(pattern.to_string())) }
    }

    /// Returns the label nearest to `wanted`, if one is near enough to be meant: the same name in
    /// another folder, or a few letters off.
    fn nearest(&self, wanted: &Label) -> Option<Label> {
        let text = wanted.to_string();
        let distance = |label: &Label| {
            if label.name() == wanted.name() {
                1
            } else {
                strsim::damerau_levenshtein(&text, &label.to_string()) * 2
            }
        };
        let labels = self.targets.iter().map(|it| &it.label);
        let (distance, label) = labels.map(|it| (distance(it), it)).min()?;
        (distance <= 2 * 3.min(text.len() / 4 + 1)).then(|| label.clone())
    }

    /// Returns `from` and everything reached from them, sorted.
    #[must_use]
    pub fn closure(&self, from: &[Node], direction: Direction) -> Vec<Node> {
        let mut seen = vec![false; self.targets.len()];
        let mut waiting: Vec<Node> = from.to_vec();
        while let Some(node) = waiting.pop() {
            if !std::mem::replace(&mut seen[node.0], true) {
                waiting.extend(self.neighbours(node, direction));
            }
        }
        self.nodes().into_iter().filter(|it| seen[it.0]).collect()
    }

    /// Returns a shortest path along dependencies from one of `from` to `to`, both ends included;
    /// of several, the first in label order.
    #[must_use]
    pub fn path(&self, from: &[Node], to: Node) -> Option<Vec<Node>> {
        // Searched from the end, so that each node learns its next step.
        let mut next = vec![None; self.targets.len()];
        let mut distance = vec![usize::MAX; self.targets.len()];
        let mut waiting = VecDeque::from([to]);
        distance[to.0] = 0;
        while let Some(node) = waiting.pop_front() {
            for &before in self.neighbours(node, Direction::Dependents) {
                if distance[before.0] == usize::MAX {
                    distance[before.0] = distance[node.0] + 1;
                    next[before.0] = Some(node);
                    waiting.push_back(before);
                }
            }
        }
        let start = from.iter().copied().min_by_key(|it| (distance[it.0], *it))?;
        let path = std::iter::successors(Some(start), |it| next[it.0]).collect();
        (distance[start.0] != usize::MAX).then_some(path)
    }

    /// Returns the number of `label`.
    ///
    /// # Errors
    ///
    /// Returns [`NoMatch`] if there is no such target.
    pub fn find(&self, label: &Label) -> Result<Node, NoMatch> {
        let found = self.targets.binary_search_by(|it| it.label.cmp(label));
        found.map(Node).map_err(|_| NoMatch::Target(label.clone(), self.nearest(label)))
    }
}

impl Edges {
    fn new(nodes: usize, edges: &mut [(Node, Node)]) -> Self {
        edges.sort_unstable();
        let mut starts = vec![0; nodes + 1];
        for (from, _) in edges.iter() {
            starts[from.0 + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        Self { starts, ends: edges.iter().map(|it| it.1).collect() }
    }

    fn of(&self, node: Node) -> &[Node] {
        &self.ends[self.starts[node.0]..self.starts[node.0 + 1]]
    }
}

/// Makes suites for tests: each line is `label: dependency dependency`.
#[cfg(test)]
pub(crate) fn suites(text: &str) -> std::collections::BTreeMap<Label, Target> {
    use crate::model::target::Rule;
    use crate::words::label::PackagePath;
    use crate::words::span::{Source, Span};
    let source =
        std::sync::Arc::new(Source { name: "BUILD.ron".to_owned(), text: text.to_owned() });
    let root = PackagePath::root();
    let mut targets = std::collections::BTreeMap::new();
    for line in text.lines() {
        let mut labels = line.split_whitespace().map(|it| Label::parse(it, &root).unwrap());
        let label = labels.next().unwrap();
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        let span = Span::new(source.clone(), start..start + line.len());
        let mut dependencies: Vec<Label> = labels.collect();
        dependencies.sort();
        let target = Target { label: label.clone(), span, dependencies, rule: Rule::Suite };
        targets.insert(label, target);
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::label::PackagePath;

    const DIAMOND: &str = "//:top //:left //:right\n//:left //:base\n//:right //:middle\n\
                           //:middle //:base\n//:base\n//:lone\n//cmd:x //:left";

    fn labels(graph: &TargetGraph, nodes: &[Node]) -> Vec<String> {
        nodes.iter().map(|it| graph.target(*it).label.to_string()).collect()
    }

    fn select(graph: &TargetGraph, patterns: &[&str]) -> Result<Vec<Node>, Vec<NoMatch>> {
        graph.select(&PatternSet::parse(patterns, &PackagePath::root()).unwrap())
    }

    #[test]
    fn closures_are_sorted_and_hold_their_start() {
        let targets = suites(DIAMOND);
        let graph = TargetGraph::new(targets.values());
        let left = select(&graph, &["//:left"]).unwrap();
        let down = graph.closure(&left, Direction::Dependencies);
        assert_eq!(labels(&graph, &down), ["//:base", "//:left"]);
        let up = graph.closure(&left, Direction::Dependents);
        assert_eq!(labels(&graph, &up), ["//:left", "//:top", "//cmd:x"]);
    }

    #[test]
    fn a_path_is_a_shortest_one() {
        let targets = suites(DIAMOND);
        let graph = TargetGraph::new(targets.values());
        let node = |it: &str| select(&graph, &[it]).unwrap();
        let path = graph.path(&node("//:top"), node("//:base")[0]).unwrap();
        assert_eq!(labels(&graph, &path), ["//:top", "//:left", "//:base"]);
        assert_eq!(graph.path(&node("//:lone"), node("//:base")[0]), None);
        let itself = graph.path(&node("//:base"), node("//:base")[0]).unwrap();
        assert_eq!(labels(&graph, &itself), ["//:base"]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_told_with_the_nearest_label() {
        let targets = suites(DIAMOND);
        let graph = TargetGraph::new(targets.values());
        let problems = select(&graph, &["//:lfet", "//cmd:left", "//web/...", "-//:zzzzzz"]);
        let left = Label::parse("//:left", &PackagePath::root()).unwrap();
        let problems = problems.unwrap_err();
        assert!(matches!(&problems[0], NoMatch::Target(_, Some(it)) if *it == left));
        assert!(matches!(&problems[1], NoMatch::Target(_, Some(it)) if *it == left));
        assert_eq!(problems[2].to_string(), "`//web/...` matches no target");
        assert!(matches!(&problems[3], NoMatch::Target(_, None)));
    }

    #[test]
    fn negative_patterns_leave_out() {
        let targets = suites(DIAMOND);
        let graph = TargetGraph::new(targets.values());
        let left = select(&graph, &["//...", "-//:all", "//:top", "-//nowhere/..."]).unwrap();
        assert_eq!(labels(&graph, &left), ["//cmd:x"]);
    }

    #[test]
    fn a_very_long_chain_needs_no_stack() {
        let last = 200_000;
        let chain = (0..last).map(|it| format!("//:n{it:07} //:n{:07}\n", it + 1));
        let targets = suites(&(chain.collect::<String>() + &format!("//:n{last:07}")));
        let graph = TargetGraph::new(targets.values());
        let nodes = graph.nodes();
        assert_eq!(graph.closure(&nodes[..1], Direction::Dependencies).len(), last + 1);
        assert_eq!(graph.path(&nodes[..1], nodes[last]).unwrap().len(), last + 1);
    }
}
