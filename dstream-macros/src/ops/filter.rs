//! `filter`.

use quote::quote_spanned;

use super::{Arg, Flow, Fused, Kind, Nest, Op, OpSpec};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "filter",
    usage: "filter(|record| ..)",
    args: &[Arg::Closure(&[1])],
    optional: 0,
    options: &[],
    kind: Kind::Narrow(fuse),
};

/// The record itself goes on, so it is neither moved nor cloned before the answer is known.
fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let record = &flow.record;
    let applied = op.apply(quote_spanned!(op.span() => &#record), false);
    Fused { before: applied.before, nest: Nest::If(applied.value), out: flow }
}
