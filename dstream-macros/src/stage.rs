//! Cuts the graph where data must be complete.
//!
//! A stage reads one root (a source, or the result of an operator that needs the whole batch) and is a tree: narrow operators in one loop, and a
//! sink at each leaf. Streams that are used several times fork the tree, so that every record passes once. Unions join trees of
//! several roots in the sinks behind them.

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
    /// Which input the way took at each union, from the sink to the root: sinks of one node put their records together in this order.
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

/// Whether `reader` takes the finished batch of `input` as it is, without a stage between.
pub(crate) fn taken_whole(graph: &Graph, reader: NodeId, input: NodeId) -> bool {
    let NodeKind::Op { spec: above @ OpSpec { kind: Kind::Wide(_), .. }, .. } = &graph.nodes[input].kind
    else {
        return false;
    };
    let NodeKind::Op { spec, .. } = &graph.nodes[reader].kind else { return false };
    match &spec.kind {
        // Of a view, a stage owns only what the output needs.
        Kind::Output(output) => output.whole || !above.yields_view(),
        Kind::Wide(wide) => match &wide.reads {
            Reads::Whole | Reads::View => true,
            Reads::Records(sink) => sink.of_whole.is_some(),
        },
        Kind::Narrow(_) | Kind::Same(_) => false,
    }
}

/// Whether somebody takes all records of `input` as they are, owned.
pub(crate) fn taken_as_rdd(graph: &Graph, input: NodeId) -> bool {
    graph.nodes[input].consumers.iter().any(|(reader, _)| {
        let node = &graph.nodes[*reader];
        let NodeKind::Op { spec, .. } = &node.kind else { return false };
        // The others take the length of it, or the view.
        let owned = matches!(&spec.kind, Kind::Output(_) | Kind::Wide(Wide { reads: Reads::Whole, .. }));
        node.live && owned && taken_whole(graph, *reader, input)
    })
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
            Kind::Narrow(_) => Then::Narrow(branches(graph, *node, way, sinks)),
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
