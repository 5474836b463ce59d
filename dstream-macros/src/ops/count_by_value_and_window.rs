//! `count_by_value_and_window`: a keyed window over `(record, 1)`, with subtraction as its inverse.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{
    Arg, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide,
    combine_by_key::{reduce, sink},
    partitions, plain_editor,
    reduce_by_key_and_window::partials,
    window::{kept_by_key, step},
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "count_by_value_and_window",
    usage: "count_by_value_and_window(length, slide)",
    forms: &[&[Arg::Length, Arg::Slide]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Window,
        keep: Some(|op| kept_by_key(op, "InverseByKeyAndWindow")),
        hoist: partitions,
        reads: Reads::Records(Sink {
            new: sink,
            push: |op, record| reduce(op, quote_spanned!(op.span() => (#record, 1u64)), Some(add(op))),
            needs_record: true,
            of_whole: None,
        }),
        finish: |op, tasks| {
            let add = add(op);
            let closures = quote!(#add, |__ds_a: u64, __ds_b: u64| __ds_a - __ds_b, |_, _| true);
            step(op, &partials(op, tasks, Some(add)), &closures)
        },
    }),
    editor: plain_editor,
};

fn add(op: &Op<'_>) -> TokenStream {
    quote_spanned!(op.span() => |__ds_a: u64, __ds_b: u64| __ds_a + __ds_b)
}
