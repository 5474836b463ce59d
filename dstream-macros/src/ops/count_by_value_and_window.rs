//! `count_by_value_and_window`: a keyed window over `(record, 1)`, with subtraction as its inverse.

use quote::quote;

use super::{
    Arg, Keeps, Kind, OpSpec, Reads, Wide,
    count_by_value::{SINK, add},
    partitions, plain_editor,
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
        reads: Reads::Records(SINK),
        finish: |op, partials| {
            let add = add(op);
            step(op, partials, &quote!(#add, |__ds_a: u64, __ds_b: u64| __ds_a - __ds_b, |_, _| true))
        },
    }),
    editor: plain_editor,
};
