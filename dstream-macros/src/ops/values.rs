//! `values`.

use quote::quote_spanned;

use super::{BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, combine_by_key::pair, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "values",
    usage: "values()",
    forms: &[&[]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let (pair, out) = (pair(op, flow.value(op.span())), op.out());
    let record = &out.record;
    Fused { before: quote_spanned!(op.span() => let (_, #record) = #pair;), nest: Nest::None, out }
}
