//! `flat_map_values`.

use quote::quote_spanned;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, combine_by_key::pair, plain_editor};
use crate::closure::mixed_site_ident;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "flat_map_values",
    usage: "flat_map_values(|value| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let (key, value) = (mixed_site_ident("k", op.id, op.span()), mixed_site_ident("v", op.id, op.span()));
    let applied = op.apply(quote_spanned!(op.span() => #value));
    let (bind, items, pair) = (applied.before, applied.value, pair(op, flow.value(op.span())));
    let before = quote_spanned!(op.span() => let (#key, #value) = #pair; #bind);
    let (item, out) = (mixed_site_ident("i", op.id, op.span()), op.out());
    let record = &out.record;
    let bind = quote_spanned!(op.span() => let #record = (::core::clone::Clone::clone(&#key), #item););
    Fused { before, nest: Nest::For { item, items, bind }, out }
}
