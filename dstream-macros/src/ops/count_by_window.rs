//! `count_by_window`.

use quote::quote;

use super::{
    Arg, Keeps, Kind, OpSpec, Reads, Sink, Wide, count, no_hoist, plain_editor,
    window::{kept, step},
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "count_by_window",
    usage: "count_by_window(length, slide)",
    forms: &[&[Arg::Length, Arg::Slide]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Window,
        keep: Some(|op| kept(op, "CountByWindow")),
        hoist: no_hoist,
        reads: Reads::Records(Sink {
            of_whole: Some(|op, rdd| step(op, &[count::count_all(op, rdd)], &quote!())),
            ..count::SINK
        }),
        finish: |op, counts| step(op, counts, &quote!()),
    }),
    editor: plain_editor,
};
