//! `group_by_key`, and the code of every grouping.

use quote::quote_spanned;

use super::{
    Join, Keeps, Kind, OpSpec, Reads, Sink, Wide,
    combine_by_key::{pair, pairs},
    partitions, plain_editor,
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "group_by_key",
    usage: "group_by_key()",
    forms: &[&[]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: partitions,
        reads: Reads::Records(SINK),
        finish: |op, groups| {
            let meta = &op.meta;
            pairs(op, &[quote_spanned!(op.span() => __ds_batch.vectors(&#meta, #(#groups)*))])
        },
    }),
    editor: plain_editor,
};

/// Collects the values of each key.
pub(super) const SINK: Sink = Sink {
    new: |op| {
        let buckets = op.hoisted();
        quote_spanned!(op.span() => ::dstream::__private::GroupSink::new(__ds_seed, #buckets))
    },
    push: |op, record| {
        let (sink, pair) = (&op.sink, pair(op, record));
        quote_spanned!(op.span() => #sink.push(#pair);)
    },
    needs_record: true,
    of_whole: None,
    join: Some(Join {
        kind: "group_by_key",
        closures: 0,
        step: |op, tasks| {
            let (meta, buckets) = (&op.meta, op.hoisted());
            quote_spanned!(op.span() => __ds_batch.groups(&#meta, #buckets, #(#tasks)*))
        },
    }),
};
