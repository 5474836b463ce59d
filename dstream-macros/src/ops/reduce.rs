//! `reduce`.

use quote::quote_spanned;

use super::{Arg, Join, Keeps, Kind, OpSpec, Reads, Sink, Wide, no_hoist, plain_editor, unchanged};
use crate::closure::callable;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "reduce",
    usage: "reduce(|a, b| ..)",
    forms: &[&[Arg::Closure(&[2])]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::Records(SINK),
        finish: unchanged,
    }),
    editor: plain_editor,
};

/// Reduces the records of a task by the first argument.
pub(super) const SINK: Sink = Sink {
    new: |op| quote_spanned!(op.span() => ::dstream::__private::Reduce::new()),
    push: |op, record| {
        let (sink, f) = (&op.sink, op.call.args.first().map(callable));
        quote_spanned!(op.span() => #sink.push(#record, #f);)
    },
    needs_record: true,
    of_whole: None,
    join: Some(Join {
        kind: "reduce",
        closures: 1,
        step: |op, tasks| {
            let (meta, f) = (&op.meta, op.call.args.first().map(callable));
            quote_spanned!(op.span() => __ds_batch.reduce(&#meta, #(#tasks,)* #f))
        },
    }),
};
