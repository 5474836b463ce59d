//! `distinct`: `reduce_by_key` over `(record, ())`, without the values.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{
    Join, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide,
    combine_by_key::{partials, reduce, sink},
    partitions, plain_editor,
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "distinct",
    usage: "distinct()",
    forms: &[&[]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: partitions,
        reads: Reads::Records(Sink {
            new: sink,
            push: |op, record| reduce(op, quote_spanned!(op.span() => (#record, ())), first(op)),
            needs_record: true,
            of_whole: None,
            join: Some(Join {
                kind: "distinct",
                closures: 0,
                step: |op, tasks| partials(op, tasks, first(op)),
            }),
        }),
        finish: |op, partials| quote_spanned!(op.span() => __ds_batch.distinct(#(#partials)*)),
    }),
    editor: plain_editor,
};

fn first(op: &Op<'_>) -> Option<TokenStream> {
    Some(quote_spanned!(op.span() => |(), ()| ()))
}
