//! `combine_by_key`, and the code of every keyed aggregation.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Arg, Join, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide, partitions, plain_editor};
use crate::closure::callable;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "combine_by_key",
    usage: "combine_by_key(|value| .., |combiner, value| .., |a, b| ..)",
    forms: &[&[Arg::Closure(&[1]), Arg::Closure(&[2]), Arg::Closure(&[2])]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: partitions,
        reads: Reads::Records(Sink {
            new: sink,
            push: |op, record| {
                let (sink, pair) = (&op.sink, pair(op, record));
                let f = op.call.args.iter().take(2).map(callable);
                quote_spanned!(op.span() => #sink.push(#pair, #(#f),*);)
            },
            needs_record: true,
            of_whole: None,
            join: Some(Join {
                kind: "combine_by_key",
                closures: 3,
                step: |op, tasks| partials(op, tasks, op.call.args.get(2).map(callable)),
            }),
        }),
        finish: pairs,
    }),
    editor: plain_editor,
};

pub(super) fn sink(op: &Op<'_>) -> TokenStream {
    let buckets = op.hoisted();
    quote_spanned!(op.span() => ::dstream::__private::CombineByKey::new(__ds_seed, #buckets))
}

/// The record as a pair, or an error at the operator's name.
pub(super) fn pair(op: &Op<'_>, record: TokenStream) -> TokenStream {
    quote_spanned!(op.span() => ::dstream::__private::pair(#record))
}

/// Adds a pair whose values are the combiners.
pub(super) fn reduce(op: &Op<'_>, pair: TokenStream, f: Option<TokenStream>) -> TokenStream {
    let sink = &op.sink;
    quote_spanned!(op.span() => #sink.reduce(#pair, #f);)
}

/// What each key of the batch comes to.
pub(super) fn partials(op: &Op<'_>, tasks: &[TokenStream], f: Option<TokenStream>) -> TokenStream {
    let (meta, buckets) = (&op.meta, op.hoisted());
    quote_spanned!(op.span() => __ds_batch.partials(&#meta, #buckets, #(#tasks,)* #f))
}

/// What each key comes to, as the records of a stream.
pub(super) fn pairs(op: &Op<'_>, partials: &[TokenStream]) -> TokenStream {
    quote_spanned!(op.span() => __ds_batch.pairs(#(#partials)*))
}
