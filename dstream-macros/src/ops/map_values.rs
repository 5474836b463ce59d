//! `map_values`.

use quote::quote_spanned;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, combine_by_key::pair, plain_editor};
use crate::closure::mixed_site_ident;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "map_values",
    usage: "map_values(|value| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let (key, value) = (mixed_site_ident("k", op.id, op.span()), mixed_site_ident("v", op.id, op.span()));
    let applied = op.apply(quote_spanned!(op.span() => #value));
    let (bind, new, pair, out) = (applied.before, applied.value, pair(op, flow.value(op.span())), op.out());
    let record = &out.record;
    let before = quote_spanned!(op.span() =>
        let (#key, #value) = #pair;
        #bind
        let #record = (#key, #new);
    );
    Fused { before, nest: Nest::None, out }
}
