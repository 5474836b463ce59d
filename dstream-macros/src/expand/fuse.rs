//! One stage: nested loops with the closures inlined, and a sink at each leaf.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{captures, meta, op, result, view};
use crate::{
    closure::mixed_site_ident,
    graph::{Graph, NodeId, NodeKind},
    ops::{BlockAccess, Flow, Fused, Kind, Nest, Op, Reads, Wide, collect},
    stage::{Branch, Sink, Stage, Then, Yields, yields},
};

/// The variable for the sinks of a stage: what the tasks have put into sink `at`.
pub(super) fn tasks(root: NodeId, at: usize, span: Span) -> Ident {
    Ident::new(&format!("__ds_t{root}_{at}"), span.resolved_at(Span::mixed_site()))
}

fn sink_name(root: NodeId, at: usize, span: Span) -> Ident {
    Ident::new(&format!("__ds_s{root}_{at}"), span.resolved_at(Span::mixed_site()))
}

/// Runs the stage and binds the step of each sink.
pub(super) fn stage(graph: &Graph, at: usize, stage: &Stage) -> TokenStream {
    let root = stage.root;
    let node = &graph.nodes[root];
    let span = node.span().resolved_at(Span::mixed_site());
    let place = meta(root);
    let input = match &node.kind {
        NodeKind::Source { .. } => {
            let input = mixed_site_ident("in", root, span);
            quote_spanned!(span => __ds_batch.blocks_of(&#input, &#place))
        }
        _ if yields(graph, root) == Yields::View => {
            let view = view(root, span);
            quote_spanned!(span => ::dstream::__private::StateView::blocks(&#view))
        }
        _ if yields(graph, root) == Yields::Unmatched => {
            let sides = result(root, span);
            quote_spanned!(span => ::dstream::__private::Joined::blocks(#sides))
        }
        _ => {
            // Records are moved out of the last use of an Rdd, and cloned while an output still needs it.
            let rdd = result(root, span);
            let whole =
                node.consumers.iter().any(|(reader, _)| crate::stage::reads_whole(graph, *reader, root));
            let clone = whole.then(|| quote_spanned!(span => .clone()));
            quote_spanned!(span => ::dstream::__private::blocks(#rdd #clone))
        }
    };
    let sinks: TokenStream =
        stage.sinks.iter().enumerate().map(|(at, sink)| new_sink(graph, root, at, sink)).collect();
    let record = mixed_site_ident("r", root, span);
    let records = block_access(graph, &stage.tree, span);
    let body = fork(graph, stage, &stage.tree, &Flow { record: record.clone(), moved: true });
    let names = |at| sink_name(root, at, span);
    let done = (0..stage.sinks.len()).rev().fold(quote!(()), |rest, at| {
        let sink = names(at);
        quote_spanned!(span => (#sink.finish(), #rest))
    });
    let bind: TokenStream = (0..stage.sinks.len())
        .map(|at| {
            let tasks = tasks(root, at, span);
            quote_spanned!(span => let (#tasks, __ds_rest) = ::dstream::__private::split(__ds_rest);)
        })
        .collect();
    let mut members = Vec::new();
    super::plan::operators_of(graph, &stage.tree, &mut members);
    let calls = members.iter().filter_map(|id| match &graph.nodes[*id].kind {
        NodeKind::Op { call, .. } => Some(call),
        _ => None,
    });
    let loops = captures::place(calls.flat_map(|call| &call.args), span);
    let body = quote_spanned!(span =>
        #sinks
        for __ds_block in __ds_blocks {
            for #record in #records {
                #body
            }
        }
        #done
    );
    let run = quote_spanned!(loops => |__ds_task, __ds_blocks| { #body });
    quote_spanned!(span =>
        let __ds_rest = __ds_batch.stage(&__DS_PLAN.stages[#at], #input, #run);
        #bind
    )
}

/// The expression that reads the records of the block.
fn block_access(graph: &Graph, tree: &[Branch], span: Span) -> TokenStream {
    if let [Branch { node, then }] = tree
        && let NodeKind::Op { spec, call } = &graph.nodes[*node].kind
    {
        match (&spec.kind, then) {
            (Kind::PassThrough(_), Then::PassThrough(downstream)) => {
                return block_access(graph, downstream, span);
            }
            (Kind::Narrow(_, BlockAccess::Texts), _) => {
                return quote_spanned!(span => ::dstream::__private::Block::texts(__ds_block));
            }
            (Kind::Narrow(_, BlockAccess::RecordsWith(part)), _) => {
                if let Some(part) = part(&op(*node, call, graph)) {
                    return quote_spanned!(span =>
                        ::dstream::__private::Block::records_with(__ds_block, #part));
                }
            }
            _ => {}
        }
    }
    quote_spanned!(span => ::dstream::__private::Block::records(__ds_block))
}

fn new_sink(graph: &Graph, root: NodeId, at: usize, sink: &Sink) -> TokenStream {
    let NodeKind::Op { spec, call } = &graph.nodes[sink.node].kind else { return TokenStream::new() };
    let op = Op { port: sink.port, ..op(sink.node, call, graph) };
    let value = match &spec.kind {
        Kind::Wide(wide) => wide.reads.sink().map_or_else(|| collect(&op), |sink| (sink.new)(&op)),
        Kind::Output(output) => (output.sink)(&op),
        Kind::Narrow(..) | Kind::PassThrough(_) => return TokenStream::new(),
    };
    let name = sink_name(root, at, op.span());
    quote_spanned!(op.span() => let mut #name = #value;)
}

/// Passes a record to each branch. The last branch that needs it as a value may move it.
fn fork(graph: &Graph, stage: &Stage, tree: &[Branch], flow: &Flow) -> TokenStream {
    let last = tree.iter().rposition(|branch| needs_record(graph, branch));
    let branches = tree.iter().enumerate().map(|(at, branch)| {
        let flow = Flow { moved: flow.moved && Some(at) == last, ..flow.clone() };
        let code = grow(graph, stage, branch, flow);
        // A block keeps the names of one branch from the next.
        if tree.len() > 1 { quote!({ #code }) } else { code }
    });
    quote!(#(#branches)*)
}

fn needs_record(graph: &Graph, branch: &Branch) -> bool {
    match (&branch.then, &graph.nodes[branch.node].kind) {
        (Then::PassThrough(downstream), _) => downstream.iter().any(|branch| needs_record(graph, branch)),
        (_, NodeKind::Op { spec, .. }) => match &spec.kind {
            Kind::Wide(wide) => wide.reads.sink().is_none_or(|sink| sink.needs_record),
            _ => true,
        },
        _ => true,
    }
}

/// One branch: its own code, with what is behind it nested inside.
fn grow(graph: &Graph, stage: &Stage, branch: &Branch, flow: Flow) -> TokenStream {
    let NodeKind::Op { spec, call } = &graph.nodes[branch.node].kind else { return TokenStream::new() };
    let mut op = op(branch.node, call, graph);
    let span = op.span();
    match (&spec.kind, &branch.then) {
        (Kind::Narrow(fuse, _), Then::Narrow(downstream)) => {
            let Fused { before, nest, out } = fuse(&op, flow);
            let rest = fork(graph, stage, downstream, &out);
            match nest {
                Nest::None => quote_spanned!(span => #before #rest),
                Nest::If(condition) => quote_spanned!(span => #before if #condition { #rest }),
                Nest::For { item, items, bind } => {
                    quote_spanned!(span => #before for #item in (#items) { #bind #rest })
                }
            }
        }
        (Kind::PassThrough(_), Then::PassThrough(downstream)) => fork(graph, stage, downstream, &flow),
        (Kind::Wide(Wide { reads: Reads::Records(sink) | Reads::JoinSides(sink), .. }), Then::Sink(at)) => {
            op.sink = sink_name(stage.root, *at, span);
            (sink.push)(&op, flow.value(span))
        }
        (Kind::Wide(_) | Kind::Output(_), Then::Sink(at)) => {
            let (sink, value) = (sink_name(stage.root, *at, span), flow.value(span));
            quote_spanned!(span => #sink.push(#value);)
        }
        _ => TokenStream::new(),
    }
}
