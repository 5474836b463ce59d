//! `reduce_by_key`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Arg, Kind, Op, OpSpec, Wide, partitions};
use crate::closure::callable;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "reduce_by_key",
    usage: "reduce_by_key(|a, b| ..)",
    args: &[Arg::Closure(&[2])],
    optional: 0,
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        hoist: partitions,
        sink,
        push: |op, record| {
            let f = op.call.args.first().map(callable);
            let pair = quote_spanned!(op.span() => ::dstream::__private::pair(#record));
            push(op, pair, f)
        },
        needs_record: true,
        finish: |op, tasks| finish(op, tasks, op.call.args.first().map(callable)),
    }),
};

pub(super) fn sink(op: &Op<'_>) -> TokenStream {
    let buckets = op.hoisted();
    quote_spanned!(op.span() => ::dstream::__private::ReduceByKey::new(__ds_seed, #buckets))
}

pub(super) fn push(op: &Op<'_>, pair: TokenStream, f: Option<TokenStream>) -> TokenStream {
    let sink = &op.sink;
    quote_spanned!(op.span() => #sink.push(#pair, #f);)
}

pub(super) fn finish(op: &Op<'_>, tasks: TokenStream, f: Option<TokenStream>) -> TokenStream {
    let (meta, buckets) = (&op.meta, op.hoisted());
    quote_spanned!(op.span() => __ds_batch.reduce_by_key(&#meta, #buckets, #tasks, #f))
}
