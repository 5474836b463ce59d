//! `filter_map`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "filter_map",
    usage: "filter_map(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Records),
    editor: plain_editor,
};

/// As `flat_map`, but what is no `Option` is an error at the operator.
fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let applied = op.apply(flow.value(op.span()));
    let (out, value) = (op.out(), applied.value);
    let items = quote_spanned!(op.span() => ::dstream::__private::option(#value));
    let nest = Nest::For { item: out.record.clone(), items, bind: TokenStream::new() };
    Fused { before: applied.before, nest, out }
}
