//! `map`.

use quote::quote_spanned;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "map",
    usage: "map(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let applied = op.apply(flow.value(op.span()));
    let (before, value, out) = (applied.before, applied.value, op.out());
    let record = &out.record;
    Fused { before: quote_spanned!(op.span() => #before let #record = #value;), nest: Nest::None, out }
}
