//! `split`.

use quote::quote_spanned;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Op, OpSpec, plain_editor, words::for_each};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "split",
    usage: "split(b' ')",
    forms: &[&[Arg::Value]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Texts),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let (text, separator) = (flow.at(op.span()), op.call.args.first());
    for_each(op, quote_spanned!(op.span() => ::dstream::__private::pieces(&#text, #separator)))
}
