//! `group_by_key`: `combine_by_key` whose combiners are vectors.

use quote::quote_spanned;

use super::{
    Join, Keeps, Kind, OpSpec, Reads, Sink, Wide,
    combine_by_key::{pair, pairs, partials, sink},
    partitions, plain_editor,
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "group_by_key",
    usage: "group_by_key()",
    forms: &[&[]],
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

/// Collects the values of each key.
pub(super) const SINK: Sink = Sink {
    new: sink,
    push: |op, record| {
        let (sink, pair) = (&op.sink, pair(op, record));
        quote_spanned!(op.span() =>
            #sink.push(#pair, ::dstream::__private::group_of, ::dstream::__private::group_with);
        )
    },
    needs_record: true,
    of_whole: None,
    join: Some(Join {
        kind: "group_by_key",
        closures: 0,
        step: |op, tasks| {
            let joined = quote_spanned!(op.span() => ::dstream::__private::groups_joined);
            partials(op, tasks, Some(joined))
        },
    }),
};
