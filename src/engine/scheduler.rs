//! Runs a graph of nodes, each once and after all that it depends on. Knows no Go.
//!
//! One thread, the coordinator, owns every node's [`State`] and is the only one to change it.
//! Nodes that are ready are grouped into jobs (so that many Go targets become few `go` processes);
//! a worker in rayon's pool gets a job, runs it, and sends back an outcome for each node of it. So
//! there is no lock here, and no worker ever waits for another node. Where one node is all that can
//! be done, and it takes little, the coordinator does it: the way to a worker and back would take
//! longer, a million times in a chain of a million.
//!
//! ```text
//!            all dependencies done        its job is given out         its job reports
//!   Blocked ─────────────────────▶ Ready ────────────────────▶ Running ──────────────▶ Ended(outcome)
//!      │                             │                                                       ▲
//!      │                             └── a failure ended the run (without keep-going) ───────┤
//!      └── a dependency was not done ────────────────────────────────────────────────────────┘
//! ```

use crate::engine::request::AfterFailure;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

/// How one node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What it makes is in place.
    Done,
    /// It ran and failed.
    Failed,
    /// It never ran: something it depends on was not done, or the run was ended.
    Skipped,
    /// The worker panicked; a bug in this program, reported as one.
    Crashed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for this many dependencies, at least one.
    Blocked(usize),
    Ready,
    Running,
    Ended(Outcome),
}

/// Runs `work` on every node of `graph`, whose edges lead from a node to what depends on it.
///
/// `group` sorts the nodes that are ready into jobs; together they must hold each node once.
/// `takes_little` tells of a node whether the coordinator may run it where nothing else can be.
/// `work` returns the outcome of each node of its job; one that it leaves out counts as crashed.
/// The result is indexed by [`NodeIndex::index`]. Time is linear in nodes and edges, and nothing
/// recurses. A graph with a cycle ends with the nodes on it, and above it, skipped.
pub fn run<N: Sync>(
    graph: &DiGraph<N, ()>,
    (pool, after_failure): (&rayon::ThreadPool, AfterFailure),
    group: impl Fn(Vec<NodeIndex>) -> Vec<Vec<NodeIndex>>,
    takes_little: impl Fn(NodeIndex) -> bool,
    work: impl Fn(&[NodeIndex]) -> Vec<(NodeIndex, Outcome)> + Sync,
) -> Vec<Outcome> {
    let (report, reports) = mpsc::channel();
    let mut coordinator = Coordinator::new(graph, after_failure);
    pool.in_place_scope(|scope| {
        let mut running = 0_usize;
        loop {
            let jobs = group(coordinator.take_ready());
            if let ([job], 0) = (jobs.as_slice(), running)
                && let [node] = job.as_slice()
                && takes_little(*node)
            {
                coordinator.start(job);
                coordinator.finish_job(job, &caught(&work, job));
                continue;
            }
            for job in jobs {
                running += 1;
                coordinator.start(&job);
                let (report, work) = (report.clone(), &work);
                scope.spawn(move |_| {
                    let _ = report.send((caught(work, &job), job));
                });
            }
            if running == 0 {
                break;
            }
            let Ok((outcomes, job)) = reports.recv() else {
                unreachable!("invariant: `report`, a sender, outlives this loop")
            };
            running -= 1;
            coordinator.finish_job(&job, &outcomes);
        }
    });
    coordinator.into_outcomes()
}

/// Runs a job. One that unwinds must still report, or the coordinator waits for ever.
fn caught(
    work: &impl Fn(&[NodeIndex]) -> Vec<(NodeIndex, Outcome)>,
    job: &[NodeIndex],
) -> Vec<(NodeIndex, Outcome)> {
    catch_unwind(AssertUnwindSafe(|| work(job))).unwrap_or_default()
}

struct Coordinator<'a, N> {
    graph: &'a DiGraph<N, ()>,
    after_failure: AfterFailure,
    states: Vec<State>,
    /// The nodes in [`State::Ready`], in the order in which they became so.
    ready: Vec<NodeIndex>,
    stopped: bool,
}

impl<'a, N> Coordinator<'a, N> {
    fn new(graph: &'a DiGraph<N, ()>, after_failure: AfterFailure) -> Self {
        let states = Vec::with_capacity(graph.node_count());
        let mut this = Self { graph, after_failure, states, ready: Vec::new(), stopped: false };
        for node in graph.node_indices() {
            let waits = graph.edges_directed(node, Direction::Incoming).count();
            this.states.push(if waits == 0 { State::Ready } else { State::Blocked(waits) });
            this.ready.extend((waits == 0).then_some(node));
        }
        this
    }

    /// Takes what is ready; nothing once the run is stopped.
    fn take_ready(&mut self) -> Vec<NodeIndex> {
        if self.stopped { Vec::new() } else { std::mem::take(&mut self.ready) }
    }

    fn start(&mut self, job: &[NodeIndex]) {
        for node in job {
            self.states[node.index()] = State::Running;
        }
    }

    fn finish_job(&mut self, job: &[NodeIndex], outcomes: &[(NodeIndex, Outcome)]) {
        for (node, outcome) in outcomes {
            self.finish(*node, *outcome);
        }
        for node in job {
            if self.states[node.index()] == State::Running {
                self.finish(*node, Outcome::Crashed);
            }
        }
    }

    /// Ends `node`, and with it every node that can now never run.
    fn finish(&mut self, node: NodeIndex, outcome: Outcome) {
        self.stopped |= outcome != Outcome::Done && self.after_failure == AfterFailure::Stop;
        let mut ended = vec![(node, outcome)];
        while let Some((node, outcome)) = ended.pop() {
            self.states[node.index()] = State::Ended(outcome);
            for dependent in self.graph.neighbors(node) {
                let state = &mut self.states[dependent.index()];
                *state = match (*state, outcome) {
                    (State::Blocked(1), Outcome::Done) => {
                        self.ready.push(dependent);
                        State::Ready
                    }
                    (State::Blocked(waits), Outcome::Done) => State::Blocked(waits - 1),
                    (State::Blocked(_), _) => {
                        ended.push((dependent, Outcome::Skipped));
                        State::Ended(Outcome::Skipped)
                    }
                    (skipped @ State::Ended(Outcome::Skipped), _) => skipped,
                    (State::Ready | State::Running | State::Ended(_), _) => {
                        unreachable!("invariant: a node starts only after all its dependencies")
                    }
                };
            }
        }
    }

    fn into_outcomes(self) -> Vec<Outcome> {
        let outcome = |state| match state {
            State::Ended(outcome) => outcome,
            State::Blocked(_) | State::Ready | State::Running => Outcome::Skipped,
        };
        self.states.into_iter().map(outcome).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const NODES: usize = 4;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
    }

    /// Makes a graph of [`NODES`] nodes, each holding its own index.
    fn graph(edges: &[(usize, usize)]) -> DiGraph<usize, ()> {
        let mut graph = DiGraph::new();
        let nodes: Vec<_> = (0..NODES).map(|it| graph.add_node(it)).collect();
        for (from, to) in edges {
            graph.add_edge(nodes[*from], nodes[*to], ());
        }
        graph
    }

    /// What `run` must return, said as simply as possible: nodes only point upwards here.
    fn expected(edges: &[(usize, usize)], fails: usize) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::Done; NODES];
        for node in 0..NODES {
            let mut waits = edges.iter().filter(|(_, to)| *to == node);
            if waits.any(|(from, _)| outcomes[*from] != Outcome::Done) {
                outcomes[node] = Outcome::Skipped;
            } else if node == fails {
                outcomes[node] = Outcome::Failed;
            }
        }
        outcomes
    }

    /// Tries all 64 graphs on four ordered nodes, with each node failing in turn and with none,
    /// one node a job and all ready nodes in one job.
    #[test]
    fn every_small_graph_runs_in_order_and_once() {
        let pools = [pool(1), pool(3)];
        let pairs: Vec<_> = (0..NODES).flat_map(|to| (0..to).map(move |from| (from, to))).collect();
        for subset in 0..1_u32 << pairs.len() {
            let chosen = (0..pairs.len()).filter(|bit| subset >> bit & 1 == 1);
            let edges: Vec<_> = chosen.map(|bit| pairs[bit]).collect();
            let graph = graph(&edges);
            for (fails, pool) in (0..=NODES).flat_map(|it| pools.iter().map(move |pool| (it, pool)))
            {
                for (together, little) in [(false, false), (false, true), (true, false)] {
                    let ended = Mutex::new(Vec::new());
                    let work = |job: &[NodeIndex]| {
                        let mut ended = ended.lock().unwrap();
                        let mut run = |node: NodeIndex| {
                            for (from, _) in edges.iter().filter(|(_, to)| *to == node.index()) {
                                assert!(ended.contains(from), "{node:?} before {from} ended");
                            }
                            ended.push(node.index());
                            let failed = node.index() == fails;
                            (node, if failed { Outcome::Failed } else { Outcome::Done })
                        };
                        // A job's nodes do not depend on one another.
                        job.iter().map(|it| run(*it)).collect()
                    };
                    let group = |ready: Vec<NodeIndex>| match together {
                        true if ready.is_empty() => vec![],
                        true => vec![ready],
                        false => ready.into_iter().map(|it| vec![it]).collect(),
                    };
                    let outcomes =
                        run(&graph, (pool, AfterFailure::KeepGoing), group, |_| little, work);
                    assert_eq!(outcomes, expected(&edges, fails), "{edges:?}, {fails} fails");
                    let ran = outcomes.iter().filter(|it| **it != Outcome::Skipped).count();
                    assert_eq!(ended.into_inner().unwrap().len(), ran, "each once: {edges:?}");
                }
            }
        }
    }

    fn each_alone(ready: Vec<NodeIndex>) -> Vec<Vec<NodeIndex>> {
        ready.into_iter().map(|it| vec![it]).collect()
    }

    #[test]
    fn a_panicking_worker_does_not_hang_the_build() {
        let graph = graph(&[(0, 1), (1, 2), (2, 3)]);
        let work = |_: &[NodeIndex]| panic!("on purpose");
        let how = (&pool(1), AfterFailure::KeepGoing);
        for little in [false, true] {
            let outcomes = run(&graph, how, each_alone, |_| little, work);
            assert_eq!(outcomes[0], Outcome::Crashed);
            assert_eq!(outcomes[1..], [Outcome::Skipped; NODES - 1]);
        }
    }

    #[test]
    fn what_takes_little_and_is_alone_is_run_here() {
        // The second node depends on the first, as does the third; those two are ready together.
        let graph = graph(&[(0, 1), (0, 2), (1, 3), (2, 3)]);
        let here = std::thread::current().id();
        let elsewhere = Mutex::new(Vec::new());
        let work = |job: &[NodeIndex]| {
            if std::thread::current().id() != here {
                elsewhere.lock().unwrap().push(job[0].index());
            }
            vec![(job[0], Outcome::Done)]
        };
        run(&graph, (&pool(2), AfterFailure::Stop), each_alone, |it| it.index() != 3, work);
        let mut elsewhere = elsewhere.into_inner().unwrap();
        elsewhere.sort_unstable();
        assert_eq!(elsewhere, [1, 2, 3]);
    }

    #[test]
    fn without_keep_going_a_failure_ends_the_run() {
        let graph = graph(&[(0, 1), (2, 3)]);
        let work = |job: &[NodeIndex]| vec![(job[0], Outcome::Failed)];
        let outcomes = run(&graph, (&pool(1), AfterFailure::Stop), each_alone, |_| false, work);
        assert_eq!(outcomes[1], Outcome::Skipped);
        assert_eq!(outcomes[3], Outcome::Skipped);
    }

    /// A chain of a million nodes on a stack of 256 KiB: nothing recurses.
    #[test]
    fn a_chain_of_a_million_nodes_needs_no_stack() {
        let mut graph = DiGraph::with_capacity(1_000_000, 1_000_000);
        let nodes: Vec<_> = (0..1_000_000).map(|_| graph.add_node(())).collect();
        for pair in nodes.windows(2) {
            graph.add_edge(pair[0], pair[1], ());
        }
        let fails_first = |job: &[NodeIndex]| vec![(job[0], Outcome::Failed)];
        let all_done = |job: &[NodeIndex]| vec![(job[0], Outcome::Done)];
        let runs = move || {
            let how = (&pool(1), AfterFailure::KeepGoing);
            let first = run(&graph, how, each_alone, |_| false, fails_first);
            (first, run(&graph, how, each_alone, |_| true, all_done))
        };
        let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(runs).unwrap();
        let (first, second) = thread.join().unwrap();
        assert_eq!(first.iter().filter(|it| **it == Outcome::Skipped).count(), 999_999);
        assert!(second.iter().all(|it| *it == Outcome::Done));
    }
}
