//! The operator of a last expression without `;`: it publishes the stream, so that the program gets a handle.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Kind, OpSpec, Output, no_hoist, plain_editor};

pub(crate) static SPEC: OpSpec = OpSpec {
    name: "publish",
    usage: "",
    forms: &[],
    options: &[],
    kind: Kind::Output(Output {
        hoist: no_hoist,
        sink: |op| quote_spanned!(op.span() => ::dstream::__private::First::new(__ds_publisher.limit())),
        whole: false,
        // It is no output of a batch: a batch that runs again publishes its records again.
        emit: |_, _, _| TokenStream::new(),
    }),
    editor: plain_editor,
};
