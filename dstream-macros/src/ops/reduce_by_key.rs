//! `reduce_by_key`: `combine_by_key` whose combiners are values.

use super::{
    Arg, Keeps, Kind, OpSpec, Reads, Sink, Wide,
    combine_by_key::{finish, pair, reduce, sink},
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
        reads: Reads::Records(Sink {
            new: sink,
            push: |op, record| reduce(op, pair(op, record), op.call.args.first().map(callable)),
            needs_record: true,
            of_whole: None,
        }),
        finish: |op, tasks| finish(op, tasks, op.call.args.first().map(callable)),
    }),
    editor: plain_editor,
};
