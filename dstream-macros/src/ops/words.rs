//! `words`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "words",
    usage: "words()",
    forms: &[&[]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Texts),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let text = flow.at(op.span());
    for_each(op, quote_spanned!(op.span() => ::dstream::__private::words(&#text)))
}

/// For each piece of a text.
pub(super) fn for_each(op: &Op<'_>, items: TokenStream) -> Fused {
    let out = op.out();
    let nest = Nest::For { item: out.record.clone(), items, bind: TokenStream::new() };
    Fused { before: TokenStream::new(), nest, out }
}
