//! A last expression without `;`: its stream is a value of the program's.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Kind, OpSpec, Output, no_hoist, plain_editor};

pub(crate) static SPEC: OpSpec = OpSpec {
    name: "hand_out",
    usage: "",
    forms: &[],
    options: &[],
    kind: Kind::Output(Output {
        hoist: no_hoist,
        sink: |op| quote_spanned!(op.span() => ::dstream::__private::First::new(__ds_handing.limit())),
        whole: false,
        // It is no output of a batch: one that runs again hands its records out again.
        emit: |_, _, _| TokenStream::new(),
    }),
    editor: plain_editor,
};
