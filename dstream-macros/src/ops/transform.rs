//! `transform` and `transform_with`.

use quote::quote_spanned;

use super::{Arg, Editor, Keeps, Kind, OpSpec, Reads, Wide, no_hoist, timed, with_time};

pub(super) static TRANSFORM: OpSpec = OpSpec {
    name: "transform",
    usage: "transform(|rdd| ..)` or `transform(|rdd, time| ..)",
    forms: &[&[Arg::Closure(&[1, 2])]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::Whole,
        finish: |op, rdd| {
            let (meta, f) = (&op.meta, with_time(op, 0, &["__ds_rdd"]));
            quote_spanned!(op.span() => __ds_batch.transform(&#meta, #(#rdd,)* #f))
        },
    }),
    editor: |call| Editor { view: timed(call, 0, 1).then_some("timed"), ..Editor::default() },
};

pub(super) static WITH: OpSpec = OpSpec {
    name: "transform_with",
    usage: "transform_with(other, |a, b| ..)` or `transform_with(other, |a, b, time| ..)",
    forms: &[&[Arg::Stream, Arg::Closure(&[2, 3])]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::Whole,
        finish: |op, rdds| {
            let (meta, f) = (&op.meta, with_time(op, 1, &["__ds_first", "__ds_second"]));
            quote_spanned!(op.span() => __ds_batch.transform_with(&#meta, #(#rdds,)* #f))
        },
    }),
    editor: |call| Editor { view: timed(call, 1, 2).then_some("timed"), ..Editor::default() },
};
