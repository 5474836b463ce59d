//! `zip_with_index`.

use quote::quote_spanned;

use super::{Keeps, Kind, OpSpec, Reads, Wide, no_hoist, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "zip_with_index",
    usage: "zip_with_index()",
    forms: &[&[]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::Whole,
        finish: |op, rdd| {
            let meta = &op.meta;
            quote_spanned!(op.span() => __ds_batch.zip_with_index(&#meta, #(#rdd),*))
        },
    }),
    editor: plain_editor,
};
