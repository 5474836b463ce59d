//! `named`: no operator, but a name for what stands before it.

use proc_macro2::TokenStream;

use super::{Arg, Kind, OpSpec, plain_editor};

pub(crate) static SPEC: OpSpec = OpSpec {
    name: "named",
    usage: "named(\"name\")",
    forms: &[&[Arg::Value]],
    options: &[],
    // The records go on as they are; the graph has no node for it.
    kind: Kind::PassThrough(|_| TokenStream::new()),
    editor: plain_editor,
};
