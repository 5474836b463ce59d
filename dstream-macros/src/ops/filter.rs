//! `filter`.

use quote::quote_spanned;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};
use crate::closure::{Scope, contained_literal};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "filter",
    usage: "filter(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::RecordsWith(|op| op.call.args.first().and_then(contained_literal))),
    editor: plain_editor,
};

/// The record itself goes on, so it is neither moved nor cloned before the answer is known.
fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let record = flow.at(op.span());
    let applied = op.apply_in(quote_spanned!(op.span() => &#record), Scope::Expression);
    Fused { before: applied.before, nest: Nest::If(applied.value), out: flow }
}
