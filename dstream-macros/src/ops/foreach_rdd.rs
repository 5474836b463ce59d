//! `foreach_rdd`: the number of the closure's arguments says whether it wants the time.

use quote::quote_spanned;

use super::{Arg, Editor, Kind, OUTPUT_OPTIONS, OpSpec, Output, collect, no_hoist, timed, with_time};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "foreach_rdd",
    usage: "foreach_rdd(|rdd| ..)` or `foreach_rdd(|rdd, time| ..)",
    forms: &[&[Arg::Closure(&[1, 2])]],
    options: &OUTPUT_OPTIONS,
    kind: Kind::Output(Output {
        hoist: no_hoist,
        sink: collect,
        whole: true,
        emit: |op, rdd, batch| {
            let f = with_time(op, 0, &["__ds_rdd"]);
            quote_spanned!(op.span() => ::dstream::__private::foreach_rdd(#rdd, #batch, #f))
        },
    }),
    editor: |call| Editor { view: timed(call, 0, 1).then_some("timed"), ..Editor::default() },
};
