//! `inspect`.

use quote::quote_spanned;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};
use crate::closure::Scope;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "inspect",
    usage: "inspect(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Records),
    editor: plain_editor,
};

/// The record itself goes on: the closure sees a reference.
fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let record = flow.at(op.span());
    let applied = op.apply_in(quote_spanned!(op.span() => &#record), Scope::Expression);
    let (before, value) = (applied.before, applied.value);
    Fused {
        before: quote_spanned!(op.span() => #before ::dstream::__private::nothing(#value);),
        nest: Nest::None,
        out: flow,
    }
}
