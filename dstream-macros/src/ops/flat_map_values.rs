//! `flat_map_values`.

use quote::quote_spanned;

use super::{Arg, Asks, Flow, Fused, Kind, Nest, Op, OpSpec, combine_by_key::pair, plain_editor};
use crate::closure::local;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "flat_map_values",
    usage: "flat_map_values(|value| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, Asks::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let (key, value) = (local("k", op.id, op.span()), local("v", op.id, op.span()));
    let applied = op.apply(quote_spanned!(op.span() => #value));
    let (bind, items, pair) = (applied.before, applied.value, pair(op, flow.value(op.span())));
    let before = quote_spanned!(op.span() => let (#key, #value) = #pair; #bind);
    let (item, out) = (local("i", op.id, op.span()), op.out());
    let record = &out.record;
    let bind = quote_spanned!(op.span() => let #record = (::core::clone::Clone::clone(&#key), #item););
    Fused { before, nest: Nest::For { item, items, bind }, out }
}
