//! `glom`.

use quote::quote_spanned;

use super::{Keeps, Kind, OpSpec, Reads, Wide, no_hoist, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "glom",
    usage: "glom()",
    forms: &[&[]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::Whole,
        finish: |op, rdd| quote_spanned!(op.span() => __ds_batch.glom(#(#rdd),*)),
    }),
    editor: plain_editor,
};
