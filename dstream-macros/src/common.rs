//! Common subexpression elimination: operators that aggregate the same stream in the same way share the sinks
//! and the result of that.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Expr;

use crate::{
    ast::Call,
    graph::{Graph, NodeId, NodeKind},
    ops::{Join, Kind, OpSpec, Reads, Sink, Wide},
    stage,
};

/// The operators that share the sinks of `id`, including itself, in the order of the program. The first one
/// owns the sinks.
pub(crate) fn sharing_sinks(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let (Some((join, call)), [input]) = (join(graph, id), graph.nodes[id].inputs.as_slice()) else {
        return vec![id];
    };
    let same = |other: &NodeId| {
        *other == id
            || self::join(graph, *other).is_some_and(|(theirs, other)| {
                theirs.kind == join.kind
                    && call.args.iter().zip(&other.args).take(join.closures).all(|(a, b)| same_value(a, b))
                    && match (call.option("partitions"), other.option("partitions")) {
                        (Some(a), Some(b)) => same_value(a, b),
                        (a, b) => a.is_none() && b.is_none(),
                    }
            })
    };
    graph.nodes[*input].consumers.iter().map(|(reader, _)| *reader).filter(same).collect()
}

/// The join of a node, if it has sinks of its own that can be shared.
fn join(graph: &Graph, id: NodeId) -> Option<(&'static Join, &Call)> {
    let node = &graph.nodes[id];
    match &node.kind {
        NodeKind::Op {
            spec:
                OpSpec {
                    kind: Kind::Wide(Wide { reads: Reads::Records(Sink { join: Some(join), .. }), .. }), ..
                },
            call,
        } if node.live && !stage::reads_whole(graph, id, node.inputs[0]) => Some((join, call)),
        _ => None,
    }
}

/// Whether two expressions certainly have the same value: the same literal, path or closure. A call may
/// return something different each time.
fn same_value(a: &Expr, b: &Expr) -> bool {
    matches!(a, Expr::Closure(_) | Expr::Path(_) | Expr::Lit(_))
        && same_tokens(a.to_token_stream(), b.to_token_stream())
}

/// Whether two token streams certainly mean the same: they are equal, and their identifiers resolve alike.
pub(crate) fn same_tokens(a: TokenStream, b: TokenStream) -> bool {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        let same = match (a.next(), b.next()) {
            (Some(TokenTree::Group(a)), Some(TokenTree::Group(b))) => {
                a.delimiter() == b.delimiter() && same_tokens(a.stream(), b.stream())
            }
            (Some(TokenTree::Ident(a)), Some(TokenTree::Ident(b))) => {
                a == b && is_of_call(&a) && is_of_call(&b)
            }
            (Some(a), Some(b)) => a.to_string() == b.to_string(),
            (None, None) => return true,
            _ => false,
        };
        if !same {
            return false;
        }
    }
}

/// Whether tokens stand in one text, one behind the other: not so where some of them were handed to a macro
/// that has written the others.
pub(crate) fn in_source_order(tokens: &[Span]) -> bool {
    tokens.windows(2).all(|pair| {
        let [a, b] = [pair[0], pair[1]];
        a.file() == b.file() && (a.end() <= b.start() && a.start() < b.start() || is_nowhere())
    })
}

/// Whether spans have no position: outside of a compiler, as in the tests of this crate.
fn is_nowhere() -> bool {
    Span::call_site().start() == Span::call_site().end()
}

/// Whether a word is written between the parentheses of this very call, so that all such words of one text
/// are looked up alike. Where a macro of the user writes the pipeline, two words of one text may be two
/// variables: what is handed to that macro is written elsewhere, and is taken to be different, which costs
/// some work twice at most.
fn is_of_call(word: &Ident) -> bool {
    let (call, word) = (Span::call_site(), word.span());
    is_nowhere() || (word.file() == call.file() && call.start() <= word.start() && word.end() <= call.end())
}
