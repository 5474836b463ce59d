//! `group_by_key_and_window`.

use quote::quote;

use super::{
    Arg, Editor, Keeps, Kind, OpSpec, Reads, Wide,
    group_by_key::SINK,
    partitions,
    window::{kept_by_key, no_slide, step},
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "group_by_key_and_window",
    usage: "group_by_key_and_window(length)` or `group_by_key_and_window(length, slide)",
    forms: &[&[Arg::Length], &[Arg::Length, Arg::Slide]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Window,
        keep: Some(|op| kept_by_key(op, "GroupByKeyAndWindow")),
        hoist: partitions,
        reads: Reads::Records(SINK),
        finish: |op, partials| step(op, partials, &quote!()),
    }),
    editor: |call| Editor { default_args: no_slide(call.args.len() < 2), view: None },
};
