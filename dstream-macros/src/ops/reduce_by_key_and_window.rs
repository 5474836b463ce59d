//! `reduce_by_key_and_window`, with or without an inverse.

use quote::quote;

use super::{
    Arg, Editor, Keeps, Kind, OpSpec, Reads, Wide, option_or, partitions,
    reduce_by_key::SINK,
    window::{kept_by_key, no_slide, step},
};
use crate::{ast::Call, closure::callable};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "reduce_by_key_and_window",
    usage: "reduce_by_key_and_window(|a, b| .., length)`, `(|a, b| .., length, slide)` or `(|a, b| .., |a, \
            b| .., length, slide)",
    forms: &[
        &[Arg::Closure(&[2]), Arg::Length],
        &[Arg::Closure(&[2]), Arg::Length, Arg::Slide],
        &[Arg::Closure(&[2]), Arg::Closure(&[2]), Arg::Length, Arg::Slide],
    ],
    options: &["filter", "migrate", "partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Window,
        keep: Some(|op| {
            kept_by_key(op, if inverse(op.call) { "InverseByKeyAndWindow" } else { "ReduceByKeyAndWindow" })
        }),
        hoist: partitions,
        reads: Reads::Records(SINK),
        finish: |op, partials| {
            let closures = op.call.args.iter().take(1 + usize::from(inverse(op.call))).map(callable);
            let filter = option_or(op, "filter", quote!(|_, _| true));
            step(op, partials, &quote!(#(#closures,)* #filter))
        },
    }),
    editor: |call| Editor {
        default_args: no_slide(call.args.len() < 3),
        view: inverse(call).then_some("with_inverse"),
    },
};

fn inverse(call: &Call) -> bool {
    call.args.len() == 4
}
