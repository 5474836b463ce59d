//! `reduce_by_key`: `combine_by_key` whose combiners are values.

use super::{
    Arg, Join, Keeps, Kind, OpSpec, Reads, Sink, Wide,
    combine_by_key::{pair, pairs, partials, reduce, sink},
    partitions, plain_editor,
};
use crate::closure::callable;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "reduce_by_key",
    usage: "reduce_by_key(|a, b| ..)",
    forms: &[&[Arg::Closure(&[2])]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: partitions,
        reads: Reads::Records(SINK),
        finish: pairs,
    }),
    editor: plain_editor,
};

/// Reduces the values of each key by the first argument.
pub(super) const SINK: Sink = Sink {
    new: sink,
    push: |op, record| reduce(op, pair(op, record), op.call.args.first().map(callable)),
    needs_record: true,
    of_whole: None,
    join: Some(Join {
        kind: "reduce_by_key",
        closures: 1,
        step: |op, tasks| partials(op, tasks, op.call.args.first().map(callable)),
    }),
};
