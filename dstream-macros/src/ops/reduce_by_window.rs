//! `reduce_by_window`, with or without an inverse.

use quote::quote;

use super::{
    Arg, Editor, Keeps, Kind, OpSpec, Reads, Wide, no_hoist,
    reduce::SINK,
    window::{kept, step},
};
use crate::{ast::Call, closure::callable};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "reduce_by_window",
    usage: "reduce_by_window(|a, b| .., length, slide)` or `reduce_by_window(|a, b| .., |a, b| .., length, \
            slide)",
    forms: &[
        &[Arg::Closure(&[2]), Arg::Length, Arg::Slide],
        &[Arg::Closure(&[2]), Arg::Closure(&[2]), Arg::Length, Arg::Slide],
    ],
    options: &["migrate"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Window,
        keep: Some(|op| kept(op, if inverse(op.call) { "InverseByWindow" } else { "ReduceByWindow" })),
        hoist: no_hoist,
        reads: Reads::Records(SINK),
        finish: |op, reduced| {
            let closures = op.call.args.iter().take(1 + usize::from(inverse(op.call))).map(callable);
            step(op, reduced, &quote!(#(#closures),*))
        },
    }),
    editor: |call| Editor { view: inverse(call).then_some("with_inverse"), ..Editor::default() },
};

/// Whether the second argument is an inverse.
fn inverse(call: &Call) -> bool {
    call.args.len() == 4
}
