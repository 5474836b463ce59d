//! `cogroup`.

use quote::quote_spanned;

use super::{Arg, Keeps, Kind, OpSpec, Reads, Wide, join::SCATTER, partitions, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "cogroup",
    usage: "cogroup(other)",
    forms: &[&[Arg::Stream]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: partitions,
        reads: Reads::Records(SCATTER),
        finish: |op, tasks| {
            let (meta, buckets) = (&op.meta, op.hoisted());
            quote_spanned!(op.span() => __ds_batch.cogroup(&#meta, #buckets, #(#tasks),*))
        },
    }),
    editor: plain_editor,
};
