//! `map_values`.

use quote::quote_spanned;

use super::{Arg, Asks, Flow, Fused, Kind, Nest, Op, OpSpec, combine_by_key::pair, plain_editor};
use crate::closure::local;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "map_values",
    usage: "map_values(|value| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, Asks::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let (key, value) = (local("k", op.id, op.span()), local("v", op.id, op.span()));
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
