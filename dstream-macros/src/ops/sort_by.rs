//! `sort_by`.

use quote::quote_spanned;

use super::{Arg, Keeps, Kind, OpSpec, Reads, Wide, no_hoist, plain_editor};
use crate::closure::callable;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "sort_by",
    usage: "sort_by(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::Whole,
        finish: |op, rdd| {
            let (meta, f) = (&op.meta, op.call.args.first().map(callable));
            quote_spanned!(op.span() => __ds_batch.sort_by(&#meta, #(#rdd,)* #f))
        },
    }),
    editor: plain_editor,
};
