//! `write_to`.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;

use super::{Arg, Kind, OUTPUT_OPTIONS, Op, OpSpec, Output, collect, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "write_to",
    usage: "write_to(sink)",
    forms: &[&[Arg::Value]],
    options: &OUTPUT_OPTIONS,
    kind: Kind::Output(Output {
        hoist: |op| {
            let sink = op.call.args.first();
            Some(quote_spanned!(op.span() => ::dstream::__private::WriteTo::new(#sink)))
        },
        sink: collect,
        whole: true,
        emit,
    }),
    editor: plain_editor,
};

pub(super) fn emit(op: &Op<'_>, rdd: &Ident, batch: &Ident) -> TokenStream {
    let output = op.hoisted();
    quote_spanned!(op.span() => #output.of(#rdd).emit(#batch))
}
