//! Cuts the graph where data must be complete.
//!
//! A stage reads one root (a source, or the result of an operator that needs the whole batch) and is a tree:
//! narrow operators in one loop, and a sink at each leaf. Streams that are used several times fork the tree,
//! so that every record passes once. Unions join trees of several roots in the sinks behind them.

use crate::{
    graph::{Graph, NodeId, NodeKind},
    ops::{Kind, OpSpec, Reads, Wide},
    share,
};

/// One loop nest a partition.
pub(crate) struct Stage {
    pub(crate) root: NodeId,
    /// The loop's operators and sinks, below the root.
    pub(crate) tree: Vec<Branch>,
    /// The sinks at its leaves, in the order of the tree.
    pub(crate) sinks: Vec<Sink>,
}

/// One operator in a stage, on one way from the root.
pub(crate) struct Branch {
    pub(crate) node: NodeId,
    pub(crate) then: Then,
}

pub(crate) enum Then {
    /// A narrow operator, and what reads it.
    Narrow(Vec<Branch>),
    /// The same record goes on to what reads it.
    Same(Vec<Branch>),
    /// The sink with this index in [`Stage::sinks`].
    Sink(usize),
}

/// A leaf of a stage: where records of this stage enter an operator that needs the whole batch.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) node: NodeId,
    /// Which of the node's inputs it feeds.
    pub(crate) port: usize,
    /// Which input the way took at each union, from the sink to the root: sinks of one node put their records
    /// together in this order.
    pub(crate) way: Vec<usize>,
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
                    Then::Narrow(behind) | Then::Same(behind) => {
                        format!("{} > {}", name(branch.node), tree(behind, name))
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

/// `None` if all who read the root take it as a whole.
fn stage(graph: &Graph, root: NodeId) -> Option<Stage> {
    let mut sinks = Vec::new();
    let tree = branches(graph, root, &mut Vec::new(), &mut sinks);
    (!tree.is_empty()).then_some(Stage { root, tree, sinks })
}

/// What there is of an operator that needs the whole batch when it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Yields {
    /// Its records.
    Rdd,
    /// A view, of which stages borrow.
    View,
    /// Both sides of a join, which a stage matches: nobody wants all matches as his own.
    Sides,
    /// How many matches a join has: nobody wants more of it.
    Length,
}

/// What there is of this operator, as those who read it want it.
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
        Yields::Sides
    }
}

/// The operators that read a node and are computed.
fn readers(graph: &Graph, id: NodeId) -> impl Iterator<Item = &'static OpSpec> {
    let nodes = graph.nodes[id].consumers.iter().map(|(reader, _)| &graph.nodes[*reader]);
    nodes.filter(|node| node.live).filter_map(|node| match &node.kind {
        NodeKind::Op { spec, .. } => Some(*spec),
        _ => None,
    })
}

/// Whether an operator takes all records of its input as they are, owned.
fn wants_records(spec: &OpSpec) -> bool {
    match &spec.kind {
        Kind::Output(output) => output.whole,
        Kind::Wide(wide) => matches!(wide.reads, Reads::Whole),
        Kind::Narrow(..) | Kind::Same(_) => false,
    }
}

/// Whether it only asks how many there are, where that is known.
fn wants_length(spec: &OpSpec) -> bool {
    matches!(&spec.kind, Kind::Wide(wide) if wide.reads.sink().is_some_and(|sink| sink.of_whole.is_some()))
}

/// Whether `reader` takes the finished batch of `input` as it is, without a stage between.
pub(crate) fn taken_whole(graph: &Graph, reader: NodeId, input: NodeId) -> bool {
    let NodeKind::Op { spec: OpSpec { kind: Kind::Wide(_), .. }, .. } = &graph.nodes[input].kind else {
        return false;
    };
    let NodeKind::Op { spec, .. } = &graph.nodes[reader].kind else { return false };
    let yields = yields(graph, input);
    match &spec.kind {
        // Of a view or a join, a stage owns only what the output needs.
        Kind::Output(output) => output.whole || yields == Yields::Rdd,
        Kind::Wide(Wide { reads: Reads::Whole | Reads::View, .. }) => true,
        Kind::Wide(_) => wants_length(spec) && yields != Yields::Sides,
        Kind::Narrow(..) | Kind::Same(_) => false,
    }
}

/// Whether somebody takes all records of a view as they are, owned. The others take the length of it, or the
/// view.
pub(crate) fn taken_as_rdd(graph: &Graph, input: NodeId) -> bool {
    readers(graph, input).any(wants_records)
}

fn branches(graph: &Graph, from: NodeId, way: &mut Vec<usize>, sinks: &mut Vec<Sink>) -> Vec<Branch> {
    let mut out = Vec::new();
    for (node, port) in &graph.nodes[from].consumers {
        let NodeKind::Op { spec, .. } = &graph.nodes[*node].kind else { continue };
        if !graph.nodes[*node].live
            || taken_whole(graph, *node, from)
            || share::alike(graph, *node)[0] != *node
        {
            continue;
        }
        let then = match spec.kind {
            Kind::Narrow(..) => Then::Narrow(branches(graph, *node, way, sinks)),
            Kind::Same(_) => {
                way.push(*port);
                let behind = branches(graph, *node, way, sinks);
                way.pop();
                Then::Same(behind)
            }
            Kind::Wide(_) | Kind::Output(_) => {
                sinks.push(Sink { node: *node, port: *port, way: way.iter().rev().copied().collect() });
                Then::Sink(sinks.len() - 1)
            }
        };
        out.push(Branch { node: *node, then });
    }
    out
}
