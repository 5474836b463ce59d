//! `count`.

use quote::quote_spanned;

use super::{Kind, OpSpec, Wide, no_hoist};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "count",
    usage: "count()",
    args: &[],
    optional: 0,
    options: &[],
    kind: Kind::Wide(Wide {
        hoist: no_hoist,
        sink: |op| quote_spanned!(op.span() => ::dstream::__private::Count::new()),
        push: |op, _| {
            let sink = &op.sink;
            quote_spanned!(op.span() => #sink.push();)
        },
        needs_record: false,
        finish: |op, tasks| quote_spanned!(op.span() => __ds_batch.count(#tasks)),
    }),
};
