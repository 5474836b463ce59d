//! `words`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Fused, Kind, Nest, Op, OpSpec, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "words",
    usage: "words()",
    forms: &[&[]],
    options: &[],
    kind: Kind::Narrow(|op, flow| {
        let text = flow.at(op.span());
        let items = quote_spanned!(op.span() => ::dstream::__private::words(&#text));
        Fused { before: TokenStream::new(), nest: nest(op, items), out: op.out() }
    }),
    editor: plain_editor,
};

/// For each piece of a text.
pub(super) fn nest(op: &Op<'_>, items: TokenStream) -> Nest {
    Nest::For { item: op.out().record, items, bind: TokenStream::new() }
}
