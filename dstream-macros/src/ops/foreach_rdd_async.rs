//! `foreach_rdd_async`: the number of the closure's arguments says whether it wants the time.

use proc_macro2::Ident;
use quote::quote_spanned;

use super::{Arg, Editor, Kind, OUTPUT_OPTIONS, OpSpec, Output, collect, no_hoist, timed};
use crate::closure::callable;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "foreach_rdd_async",
    usage: "foreach_rdd_async(async |rdd| ..)` or `foreach_rdd_async(async |rdd, time| ..)",
    forms: &[&[Arg::Closure(&[1, 2])]],
    options: &OUTPUT_OPTIONS,
    kind: Kind::Output(Output {
        hoist: no_hoist,
        sink: collect,
        whole: true,
        emit: |op, rdd, batch| {
            let time = timed(op.call, 0, 1);
            let emit =
                Ident::new(if time { "foreach_rdd_async_timed" } else { "foreach_rdd_async" }, op.span());
            let f = op.call.args.first().map(callable);
            quote_spanned!(op.span() => ::dstream::__private::#emit(#rdd, #batch, #f))
        },
    }),
    editor: |call| Editor { view: timed(call, 0, 1).then_some("timed"), ..Editor::default() },
};
