//! `flat_map`.

use proc_macro2::TokenStream;

use super::{Arg, Asks, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "flat_map",
    usage: "flat_map(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, Asks::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let applied = op.apply(flow.value(op.span()));
    let out = op.out();
    let nest = Nest::For { item: out.record.clone(), items: applied.value, bind: TokenStream::new() };
    Fused { before: applied.before, nest, out }
}
