//! Divides the graph into stages, at the operators that need a whole batch.
//!
//! A stage reads one root (a source, or the result of a wide operator) and is a tree: narrow operators in one
//! loop, and a sink at each leaf. A stream with several consumers forks the tree, so every record is read
//! once. A union receives the records of several stages in the sinks downstream of it.

use crate::{
    common,
    graph::{Graph, NodeId, NodeKind},
    ops::{Kind, OpSpec, Reads, Wide},
};

/// A stage: one loop nest over the blocks of a task.
pub(crate) struct Stage {
    pub(crate) root: NodeId,
    /// The loop's operators and sinks, below the root.
    pub(crate) tree: Vec<Branch>,
    /// The sinks at its leaves, in the order of the tree.
    pub(crate) sinks: Vec<Sink>,
}

/// One operator of a stage, on one path from the root.
pub(crate) struct Branch {
    pub(crate) node: NodeId,
    pub(crate) then: Then,
}

pub(crate) enum Then {
    /// A narrow operator, and what reads it.
    Narrow(Vec<Branch>),
    /// The record is passed through to the consumers.
    PassThrough(Vec<Branch>),
    /// The sink with this index in [`Stage::sinks`].
    Sink(usize),
}

/// A leaf of a stage: where records of this stage enter an operator that needs the whole batch.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) node: NodeId,
    /// Which of the node's inputs it feeds.
    pub(crate) port: usize,
    /// The input at each union on the path, from the sink to the root. It orders the sinks of one node.
    pub(crate) path: Vec<usize>,
}

#[cfg(test)]
impl Stage {
    /// The stage as text: `source > map > (count | print)`.
    pub(crate) fn describe(&self, graph: &Graph) -> String {
        let name = |id: NodeId| match &graph.nodes[id].kind {
            NodeKind::Source { expr, .. } => expr.to_string(),
            NodeKind::Op { spec, .. } => spec.name.to_owned(),
            NodeKind::Poison => "?".to_owned(),
        };
        fn tree(branches: &[Branch], name: &dyn Fn(NodeId) -> String) -> String {
            let texts: Vec<String> = branches
                .iter()
                .map(|branch| match &branch.then {
                    Then::Narrow(downstream) | Then::PassThrough(downstream) => {
                        format!("{} > {}", name(branch.node), tree(downstream, name))
                    }
                    Then::Sink(_) => name(branch.node),
                })
                .collect();
            if texts.len() == 1 { texts.concat() } else { format!("({})", texts.join(" | ")) }
        }
        format!("{} > {}\n", name(self.root), tree(&self.tree, &name))
    }
}

/// The stages of a graph without errors, in an order in which they can run.
pub(crate) fn cut(graph: &Graph) -> Vec<Stage> {
    (0..graph.nodes.len())
        .filter(|id| graph.nodes[*id].is_root())
        .filter_map(|root| stage(graph, root))
        .collect()
}

/// The stage of a root; `None` if all its consumers read it as a whole.
fn stage(graph: &Graph, root: NodeId) -> Option<Stage> {
    let mut sinks = Vec::new();
    let tree = branches(graph, root, &mut Vec::new(), &mut sinks);
    (!tree.is_empty()).then_some(Stage { root, tree, sinks })
}

/// What a wide operator yields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Yields {
    /// All records, owned.
    Rdd,
    /// A view of its state, which stages borrow from.
    View,
    /// The two sides of a join, whose matches a stage enumerates: no consumer needs all of them owned.
    Unmatched,
    /// The number of matches of a join: no consumer needs more.
    Length,
}

/// What an operator yields, which depends on its consumers.
pub(crate) fn yields(graph: &Graph, id: NodeId) -> Yields {
    match &graph.nodes[id].kind {
        NodeKind::Op { spec, .. } if spec.yields_view() => return Yields::View,
        NodeKind::Op { spec, .. } if spec.is_join() => {}
        _ => return Yields::Rdd,
    }
    if readers(graph, id).any(wants_records) {
        Yields::Rdd
    } else if readers(graph, id).all(wants_length) {
        Yields::Length
    } else {
        Yields::Unmatched
    }
}

/// The live consumers of a node.
fn readers(graph: &Graph, id: NodeId) -> impl Iterator<Item = &'static OpSpec> {
    let nodes = graph.nodes[id].consumers.iter().map(|(reader, _)| &graph.nodes[*reader]);
    nodes.filter(|node| node.live).filter_map(|node| match &node.kind {
        NodeKind::Op { spec, .. } => Some(*spec),
        _ => None,
    })
}

/// Whether an operator needs all records of its input, owned.
fn wants_records(spec: &OpSpec) -> bool {
    match &spec.kind {
        Kind::Output(output) => output.whole,
        Kind::Wide(wide) => matches!(wide.reads, Reads::Whole),
        Kind::Narrow(..) | Kind::PassThrough(_) => false,
    }
}

/// Whether an operator only needs the number of records, where that is known.
fn wants_length(spec: &OpSpec) -> bool {
    matches!(&spec.kind, Kind::Wide(wide) if wide.reads.sink().is_some_and(|sink| sink.of_whole.is_some()))
}

/// Whether `reader` reads the finished batch of `input` directly, without a stage between them.
pub(crate) fn reads_whole(graph: &Graph, reader: NodeId, input: NodeId) -> bool {
    let NodeKind::Op { spec: OpSpec { kind: Kind::Wide(_), .. }, .. } = &graph.nodes[input].kind else {
        return false;
    };
    let NodeKind::Op { spec, .. } = &graph.nodes[reader].kind else { return false };
    let yields = yields(graph, input);
    match &spec.kind {
        // From a view or a join, a stage makes only those records owned that the output needs.
        Kind::Output(output) => output.whole || yields == Yields::Rdd,
        Kind::Wide(Wide { reads: Reads::Whole | Reads::View, .. }) => true,
        Kind::Wide(_) => wants_length(spec) && yields != Yields::Unmatched,
        Kind::Narrow(..) | Kind::PassThrough(_) => false,
    }
}

/// Whether a consumer of a view needs all its records owned. Others need its length, or the view.
pub(crate) fn needs_rdd(graph: &Graph, input: NodeId) -> bool {
    readers(graph, input).any(wants_records)
}

fn branches(graph: &Graph, from: NodeId, path: &mut Vec<usize>, sinks: &mut Vec<Sink>) -> Vec<Branch> {
    let mut out = Vec::new();
    for (node, port) in &graph.nodes[from].consumers {
        let NodeKind::Op { spec, .. } = &graph.nodes[*node].kind else { continue };
        if !graph.nodes[*node].live
            || reads_whole(graph, *node, from)
            || common::sharing_sinks(graph, *node)[0] != *node
        {
            continue;
        }
        let then = match spec.kind {
            Kind::Narrow(..) => Then::Narrow(branches(graph, *node, path, sinks)),
            Kind::PassThrough(_) => {
                path.push(*port);
                let downstream = branches(graph, *node, path, sinks);
                path.pop();
                Then::PassThrough(downstream)
            }
            Kind::Wide(_) | Kind::Output(_) => {
                sinks.push(Sink { node: *node, port: *port, path: path.iter().rev().copied().collect() });
                Then::Sink(sinks.len() - 1)
            }
        };
        out.push(Branch { node: *node, then });
    }
    out
}
