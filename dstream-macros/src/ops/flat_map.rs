//! `flat_map`.

use super::{Arg, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "flat_map",
    usage: "flat_map(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let applied = op.apply(flow.value(op.span()));
    Fused { before: applied.before, nest: Nest::For(applied.value), out: op.out() }
}
