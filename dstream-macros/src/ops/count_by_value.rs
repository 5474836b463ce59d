//! `count_by_value`: `reduce_by_key` over `(record, 1)`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{
    Join, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide,
    combine_by_key::{pairs, partials, reduce, sink},
    partitions, plain_editor,
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "count_by_value",
    usage: "count_by_value()",
    forms: &[&[]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: partitions,
        reads: Reads::Records(SINK),
        finish: pairs,
    }),
    editor: plain_editor,
};

/// Adds up ones for each record.
pub(super) const SINK: Sink = Sink {
    new: sink,
    push: |op, record| reduce(op, quote_spanned!(op.span() => (#record, 1u64)), add(op)),
    needs_record: true,
    of_whole: None,
    join: Some(Join { kind: "count_by_value", closures: 0, step: |op, tasks| partials(op, tasks, add(op)) }),
};

pub(super) fn add(op: &Op<'_>) -> Option<TokenStream> {
    Some(quote_spanned!(op.span() => |__ds_a: u64, __ds_b: u64| __ds_a + __ds_b))
}
