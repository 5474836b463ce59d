//! `count`.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;

use super::{Join, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide, no_hoist, plain_editor, unchanged};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "count",
    usage: "count()",
    forms: &[&[]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::Records(SINK),
        finish: unchanged,
    }),
    editor: plain_editor,
};

/// Adds up, without looking at the records.
pub(super) const SINK: Sink = Sink {
    new: |op| quote_spanned!(op.span() => ::dstream::__private::Count::new()),
    push: |op, _| {
        let sink = &op.sink;
        quote_spanned!(op.span() => #sink.push();)
    },
    needs_record: false,
    of_whole: Some(count_all),
    join: Some(Join {
        kind: "count",
        closures: 0,
        step: |op, tasks| {
            let meta = &op.meta;
            quote_spanned!(op.span() => __ds_batch.count(&#meta, #(#tasks),*))
        },
    }),
};

/// Counts what is there as a whole.
pub(super) fn count_all(op: &Op<'_>, whole: &Ident) -> TokenStream {
    let meta = &op.meta;
    quote_spanned!(op.span() => __ds_batch.count_all(&#meta, &#whole))
}
