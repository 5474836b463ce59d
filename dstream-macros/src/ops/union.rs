//! `union`: the loops of all its inputs end in the sinks behind it.

use proc_macro2::TokenStream;

use super::{Arg, Kind, OpSpec, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "union",
    usage: "union(other, ..)",
    forms: &[&[Arg::Streams]],
    options: &[],
    kind: Kind::PassThrough(|_| TokenStream::new()),
    editor: plain_editor,
};
