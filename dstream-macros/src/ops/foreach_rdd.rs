//! `foreach_rdd`: the number of the closure's arguments says whether it wants the time.

use quote::quote_spanned;

use super::{Arg, Editor, Kind, OpSpec, Output, collect, no_hoist};
use crate::{
    ast::Call,
    closure::{arity, callable},
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "foreach_rdd",
    usage: "foreach_rdd(|rdd| ..)` or `foreach_rdd(|rdd, time| ..)",
    args: &[Arg::Closure(&[1, 2])],
    optional: 0,
    options: &[],
    kind: Kind::Output(Output {
        hoist: no_hoist,
        sink: collect,
        emit: |op, rdd, time| {
            let f = op.call.args.first().map(callable);
            if timed(op.call) {
                quote_spanned!(op.span() => ::dstream::__private::foreach_rdd_time(#rdd, #time, #f))
            } else {
                quote_spanned!(op.span() => ::dstream::__private::foreach_rdd(#rdd, #time, #f))
            }
        },
        editor: |call| Editor { view: timed(call).then_some("timed"), ..Editor::default() },
    }),
};

fn timed(call: &Call) -> bool {
    call.args.first().and_then(arity) == Some(2)
}
