//! Finds cycles among dependencies, the shortest first, in near-linear time and without recursion.
//!
//! Nodes that have no dependencies left are taken away until none is left to take; what remains
//! holds all cycles. Of each strongly connected part of it one cycle is told: the shortest, found
//! by a breadth-first search from every node, which is exact. The searches of one part share a
//! budget of steps, linear in its size; when it is used up, the shortest cycle seen so far is told.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::VecDeque;

/// Steps that are spent on any part, however small.
const LEAST_STEPS: usize = 1 << 22;

/// The nodes of a cycle: each depends on the next, and the last on the first.
pub type Cycle = Vec<usize>;

/// Returns one cycle for each strongly connected part of a graph, given by what each node depends
/// on. A node that depends on itself is not looked at.
#[must_use]
pub fn find(dependencies: &[Vec<usize>]) -> Vec<Cycle> {
    let rest = what_never_becomes_free(dependencies);
    if rest.is_empty() {
        return Vec::new();
    }
    let mut indices = vec![usize::MAX; dependencies.len()];
    let mut graph = DiGraph::<usize, ()>::with_capacity(rest.len(), rest.len());
    for node in &rest {
        indices[*node] = graph.add_node(*node).index();
    }
    for from in &rest {
        for to in dependencies[*from].iter().filter(|it| *it != from) {
            if indices[*to] != usize::MAX {
                let ends = (NodeIndex::new(indices[*from]), NodeIndex::new(indices[*to]));
                graph.add_edge(ends.0, ends.1, ());
            }
        }
    }
    let mut part_of = vec![0; graph.node_count()];
    // Iterative, unlike Tarjan's algorithm in petgraph.
    let parts = kosaraju_scc(&graph);
    for (number, part) in parts.iter().enumerate() {
        for node in part {
            part_of[node.index()] = number;
        }
    }
    let mut search = Search::new(&graph, &part_of);
    let real = parts.into_iter().filter(|it| it.len() > 1);
    let mut cycles: Vec<Cycle> = real.map(|it| search.shortest(it)).collect();
    cycles.sort();
    cycles
}

/// Returns the nodes that lie on a cycle or depend on one.
fn what_never_becomes_free(dependencies: &[Vec<usize>]) -> Vec<usize> {
    let mut missing: Vec<usize> = Vec::with_capacity(dependencies.len());
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); dependencies.len()];
    for (node, list) in dependencies.iter().enumerate() {
        missing.push(list.iter().filter(|it| **it != node).count());
        for on in list.iter().filter(|it| **it != node) {
            dependents[*on].push(node);
        }
    }
    let mut free: Vec<usize> = (0..missing.len()).filter(|it| missing[*it] == 0).collect();
    while let Some(node) = free.pop() {
        for dependent in &dependents[node] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                free.push(*dependent);
            }
        }
    }
    (0..missing.len()).filter(|it| missing[*it] > 0).collect()
}

/// Breadth-first searches that share their memory.
struct Search<'g> {
    graph: &'g DiGraph<usize, ()>,
    part_of: &'g [usize],
    /// By node: the search that reached it last, from where, and how far from the start.
    seen: Vec<(usize, NodeIndex, usize)>,
    number: usize,
    steps: usize,
}

impl<'g> Search<'g> {
    fn new(graph: &'g DiGraph<usize, ()>, part_of: &'g [usize]) -> Self {
        let seen = vec![(0, NodeIndex::new(0), 0); graph.node_count()];
        Self { graph, part_of, seen, number: 0, steps: 0 }
    }

    fn shortest(&mut self, mut part: Vec<NodeIndex>) -> Cycle {
        part.sort_unstable();
        let edges: usize = part.iter().map(|it| self.graph.edges(*it).count()).sum();
        self.steps = LEAST_STEPS + 4 * (part.len() + edges);
        let mut best: Option<Vec<NodeIndex>> = None;
        for start in part {
            let below = best.as_ref().map_or(usize::MAX, Vec::len);
            if below == 2 || (self.steps == 0 && best.is_some()) {
                break;
            }
            best = self.through(start, below).or(best);
        }
        best.unwrap_or_default().into_iter().map(|it| self.graph[it]).collect()
    }

    /// Returns the shortest cycle through `start`, if it has fewer than `below` nodes.
    fn through(&mut self, start: NodeIndex, below: usize) -> Option<Vec<NodeIndex>> {
        self.number += 1;
        let mut queue = VecDeque::from([start]);
        self.seen[start.index()] = (self.number, start, 1);
        while let Some(node) = queue.pop_front() {
            let length = self.seen[node.index()].2;
            if length >= below || (self.steps == 0 && below != usize::MAX) {
                return None;
            }
            for next in self.graph.neighbors(node) {
                self.steps = self.steps.saturating_sub(1);
                if next == start {
                    return Some(self.path_to(node, start));
                }
                let is_new = self.seen[next.index()].0 != self.number;
                if is_new && self.part_of[next.index()] == self.part_of[start.index()] {
                    self.seen[next.index()] = (self.number, node, length + 1);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    fn path_to(&self, last: NodeIndex, start: NodeIndex) -> Vec<NodeIndex> {
        let mut path = vec![last];
        let mut node = last;
        while node != start {
            node = self.seen[node.index()].1;
            path.push(node);
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_without_cycles_has_none() {
        assert!(find(&[vec![1, 2], vec![2], vec![]]).is_empty());
        assert!(find(&[]).is_empty());
    }

    #[test]
    fn the_shortest_cycle_of_each_part_is_told_in_order() {
        // 0 → 1 → 2 → 0 and 1 → 0 in one part, 3 → 4 → 3 in another, 5 depends on both.
        let graph = [vec![1], vec![2, 0], vec![0], vec![4], vec![3], vec![0, 3]];
        assert_eq!(find(&graph), [vec![0, 1], vec![3, 4]]);
    }

    /// The length of the shortest cycle of at least two nodes, by trying all paths.
    fn slow(graph: &[Vec<usize>]) -> Option<usize> {
        let mut paths: Vec<Vec<usize>> = (0..graph.len()).map(|it| vec![it]).collect();
        for length in 2..=graph.len() {
            let mut longer = Vec::new();
            for path in paths {
                for next in &graph[*path.last().unwrap()] {
                    if !path.contains(next) {
                        longer.push([path.clone(), vec![*next]].concat());
                    }
                }
            }
            paths = longer;
            let closed = |it: &Vec<usize>| graph[*it.last().unwrap()].contains(&it[0]);
            if paths.iter().any(closed) {
                return Some(length);
            }
        }
        None
    }

    #[test]
    fn every_graph_of_four_nodes_agrees_with_the_slow_way() {
        for bits in 0..1_u32 << 12 {
            let pairs = (0..4)
                .flat_map(|from| (0..4).filter(move |to| *to != from).map(move |to| (from, to)));
            let mut graph = vec![Vec::new(); 4];
            for (bit, (from, to)) in pairs.enumerate() {
                if bits >> bit & 1 == 1 {
                    graph[from].push(to);
                }
            }
            let found = find(&graph);
            assert_eq!(found.iter().map(Vec::len).min(), slow(&graph), "{graph:?}");
            for cycle in found {
                for (index, node) in cycle.iter().enumerate() {
                    assert!(graph[*node].contains(&cycle[(index + 1) % cycle.len()]));
                }
            }
        }
    }

    #[test]
    fn a_cycle_of_a_million_nodes_needs_no_stack_and_little_time() {
        let graph: Vec<_> = (0..1_000_000).map(|it| vec![(it + 1) % 1_000_000]).collect();
        let run = move || find(&graph)[0].len();
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap();
        assert_eq!(thread.join().unwrap(), 1_000_000);
    }

    #[test]
    fn a_dense_tangle_is_told_within_the_budget() {
        let graph: Vec<_> = (0..20_000_usize)
            .map(|it| (1..50).map(|step| (it + step * step) % 20_000).collect())
            .collect();
        assert_eq!(find(&graph).len(), 1);
    }
}
