//! `repartition`.

use quote::{quote, quote_spanned};

use super::{Arg, Keeps, Kind, OpSpec, Reads, Wide, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "repartition",
    usage: "repartition(n)",
    forms: &[&[Arg::Value]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: |op| {
            let (n, place) = (op.call.args.first().map(|n| quote!(#n)), &op.meta);
            Some(quote_spanned!(op.span() =>
                __ds_builder.partitions(::core::option::Option::Some(#n), &#place)
            ))
        },
        reads: Reads::Whole,
        finish: |op, rdd| {
            let (meta, n) = (&op.meta, op.hoisted());
            quote_spanned!(op.span() => __ds_batch.repartition(&#meta, #n, #(#rdd),*))
        },
    }),
    editor: plain_editor,
};
