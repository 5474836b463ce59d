//! The names by which a checkpoint finds again what a pipeline keeps. Each is fixed by the text of its own
//! statement and of the `let`s above: nothing that is added, removed or moved elsewhere gives a name to
//! something else.

use std::collections::HashMap;

use proc_macro2::Span;

use crate::{
    ast::Pipeline,
    diag::Diags,
    graph::{Graph, NodeId, NodeKind},
    ops::{self, Keeps, Kind},
};

/// The name of an operator that keeps something: the one it is given, that of its `let`, or the nearest one
/// above it with its own operator behind.
pub(crate) fn operator(graph: &Graph, id: NodeId) -> String {
    if let Some(name) = own(graph, id) {
        return name;
    }
    let operator = word(graph, id);
    match above(graph, id).find_map(|above| own(graph, above)) {
        Some(name) => format!("{name}.{operator}"),
        None => operator,
    }
}

/// The name of an output: the one it is given, or its chain from the nearest name above, as in
/// `pairs.reduce_by_key.print`. All of the chain, also where less would do today: what would do depends on
/// the other outputs.
pub(crate) fn output(graph: &Graph, id: NodeId) -> String {
    if let Some(name) = given(graph, id) {
        return name.value();
    }
    let mut words = vec![word(graph, id)];
    for above in above(graph, id) {
        let name = own(graph, above);
        let ends = name.is_some();
        if !is_forwarding(graph, above) || ends {
            words.push(name.unwrap_or_else(|| word(graph, above)));
        }
        if ends {
            break;
        }
    }
    words.reverse();
    words.join(".")
}

/// Two that a checkpoint could not tell apart. States are compared in any case: they can't do without one.
/// Windows and outputs only where this call says that there is one; otherwise the context does it, which
/// knows.
pub(crate) fn check(pipeline: &Pipeline, graph: &Graph, diags: &mut Diags) {
    let is_checkpointed = pipeline.settings.iter().any(|setting| setting.name == "checkpoint");
    let live = |id: &NodeId| graph.nodes[*id].live;
    let kept = |id: &NodeId| match &graph.nodes[*id].kind {
        NodeKind::Op { spec, call } => match spec.keeps(call) {
            Keeps::Nothing => false,
            Keeps::Window => is_checkpointed,
            Keeps::State | Keeps::Snapshots | Keeps::Model => true,
        },
        NodeKind::Source { .. } | NodeKind::Poison => false,
    };
    let operators = (0..graph.nodes.len()).filter(live).filter(kept).map(|id| (operator(graph, id), id));
    let operators = twice(operators);
    // An output below one of these has another name once that has.
    let is_settled = operators.is_empty();
    for (name, id, first) in operators {
        diags.error(
            name_span(graph, id),
            format_args!(
                "a checkpoint could not tell this operator from the one in line {}, both are called \
                 `{name}`: give it another name, with a `let` or with `.named(\"..\")` behind it",
                graph.nodes[first].span().start().line
            ),
        );
    }
    if !is_settled || !is_checkpointed {
        return;
    }
    for (name, id, first) in twice(outputs(graph).map(|id| (output(graph, id), id))) {
        diags.error(
            name_span(graph, id),
            format_args!(
                "a checkpoint could not tell this output from the one in line {}, both are called `{name}`: \
                 name it with `.named(\"..\")` behind it",
                graph.nodes[first].span().start().line
            ),
        );
    }
}

/// The outputs that have names: all but the stream that is published.
pub(crate) fn outputs(graph: &Graph) -> impl Iterator<Item = NodeId> {
    (0..graph.nodes.len()).filter(|id| is_output(graph, *id))
}

fn is_output(graph: &Graph, id: NodeId) -> bool {
    matches!(&graph.nodes[id].kind,
        NodeKind::Op { spec, .. } if spec.is_output() && !std::ptr::eq(*spec, &ops::PUBLISH))
}

/// Those with the name of an earlier one, and which that is.
fn twice(named: impl Iterator<Item = (String, NodeId)>) -> Vec<(String, NodeId, NodeId)> {
    let (mut first, mut twice) = (HashMap::new(), Vec::new());
    for (name, id) in named {
        match first.get(&name) {
            Some(before) => twice.push((name, id, *before)),
            None => drop(first.insert(name, id)),
        }
    }
    twice
}

/// The name that is written behind the node with `named`; of a chart it may be its title.
fn given(graph: &Graph, id: NodeId) -> Option<&syn::LitStr> {
    let node = &graph.nodes[id];
    let title = || match &node.kind {
        NodeKind::Op { spec, call } => ops::dashboard::title(spec, call),
        NodeKind::Source { .. } | NodeKind::Poison => None,
    };
    node.given.as_ref().or_else(title)
}

/// Where the name comes from.
fn name_span(graph: &Graph, id: NodeId) -> Span {
    let node = &graph.nodes[id];
    match (given(graph, id), &node.name) {
        (Some(given), _) => given.span(),
        (None, Some(name)) => name.span(),
        (None, None) => node.span(),
    }
}

/// The name that the text gives to just this node.
fn own(graph: &Graph, id: NodeId) -> Option<String> {
    let node = &graph.nodes[id];
    let given = node.given.as_ref().map(syn::LitStr::value);
    given.or_else(|| node.name.as_ref().map(ToString::to_string))
}

/// The nodes above, by their first inputs, the nearest first.
fn above(graph: &Graph, id: NodeId) -> impl Iterator<Item = NodeId> {
    std::iter::successors(graph.nodes[id].inputs.first().copied(), |at| {
        graph.nodes[*at].inputs.first().copied()
    })
}

/// Whether it is there for people only, as `cache` is: with and without it, a chain has the same name.
fn is_forwarding(graph: &Graph, id: NodeId) -> bool {
    let node = &graph.nodes[id];
    matches!(&node.kind, NodeKind::Op { spec, .. } if matches!(spec.kind, Kind::PassThrough(_)))
        && node.inputs.len() == 1
}

/// What a node is called in the program: its operator, or the first word of a source.
fn word(graph: &Graph, id: NodeId) -> String {
    match &graph.nodes[id].kind {
        NodeKind::Source { expr, .. } => source(expr),
        NodeKind::Op { spec, .. } => spec.name.to_owned(),
        NodeKind::Poison => String::new(),
    }
}

/// How messages name a source: its first word, as in `socket_text_stream`.
pub(crate) fn source(expr: &proc_macro2::TokenStream) -> String {
    let text: String =
        expr.to_string().split(['(', '{', '[']).next().unwrap_or_default().split_whitespace().collect();
    if text.is_empty() { "source".to_owned() } else { text }
}
