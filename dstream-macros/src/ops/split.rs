//! `split`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Arg, Fused, Kind, OpSpec, plain_editor, words::nest};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "split",
    usage: "split(b' ')",
    forms: &[&[Arg::Value]],
    options: &[],
    kind: Kind::Narrow(|op, flow| {
        let (text, separator) = (flow.at(op.span()), op.call.args.first());
        let items = quote_spanned!(op.span() => ::dstream::__private::pieces(&#text, #separator));
        Fused { before: TokenStream::new(), nest: nest(op, items), out: op.out() }
    }),
    editor: plain_editor,
};
