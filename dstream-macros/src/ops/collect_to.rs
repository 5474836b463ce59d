//! `collect_to`.

use quote::quote_spanned;

use super::{Arg, Kind, OUTPUT_OPTIONS, OpSpec, Output, collect, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "collect_to",
    usage: "collect_to(&out)",
    forms: &[&[Arg::Value]],
    options: &OUTPUT_OPTIONS,
    kind: Kind::Output(Output {
        hoist: |op| {
            let out = op.call.args.first();
            Some(quote_spanned!(op.span() => ::dstream::__private::collected(#out)))
        },
        sink: collect,
        whole: true,
        emit: |op, rdd, batch| {
            let out = op.hoisted();
            quote_spanned!(op.span() => ::dstream::__private::collect_to(&#out, #rdd, #batch))
        },
    }),
    editor: plain_editor,
};
