//! `reduce_by_key_and_window`, with or without an inverse.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{
    Arg, Editor, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide,
    combine_by_key::{pair, reduce, sink},
    option_or, partitions,
    window::{kept_by_key, no_slide, step},
};
use crate::{ast::Call, closure::callable};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "reduce_by_key_and_window",
    usage: "reduce_by_key_and_window(|a, b| .., length)`, `(|a, b| .., length, slide)` or `(|a, b| .., |a, b| .., length, slide)",
    forms: &[
        &[Arg::Closure(&[2]), Arg::Length],
        &[Arg::Closure(&[2]), Arg::Length, Arg::Slide],
        &[Arg::Closure(&[2]), Arg::Closure(&[2]), Arg::Length, Arg::Slide],
    ],
    options: &["filter", "partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Window,
        keep: Some(|op| {
            kept_by_key(op, if inverse(op.call) { "InverseByKeyAndWindow" } else { "ReduceByKeyAndWindow" })
        }),
        hoist: partitions,
        reads: Reads::Records(Sink {
            new: sink,
            push: |op, record| reduce(op, pair(op, record), op.call.args.first().map(callable)),
            needs_record: true,
            of_whole: None,
        }),
        finish: |op, tasks| {
            let closures = op.call.args.iter().take(1 + usize::from(inverse(op.call))).map(callable);
            let filter = option_or(op, "filter", quote!(|_, _| true));
            let f = op.call.args.first().map(callable);
            step(op, &partials(op, tasks, f), &quote!(#(#closures,)* #filter))
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

/// What each key of the batch comes to.
pub(super) fn partials(op: &Op<'_>, tasks: &[TokenStream], f: Option<TokenStream>) -> TokenStream {
    let (meta, buckets) = (&op.meta, op.hoisted());
    quote_spanned!(op.span() => __ds_batch.partials(&#meta, #buckets, #(#tasks,)* #f))
}
