//! `group_by_key`: `combine_by_key` whose combiners are vectors.

use quote::quote_spanned;

use super::{
    Keeps, Kind, OpSpec, Reads, Sink, Wide,
    combine_by_key::{finish, pair, sink},
    partitions, plain_editor,
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "group_by_key",
    usage: "group_by_key()",
    forms: &[&[]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        hoist: partitions,
        reads: Reads::Records(Sink {
            new: sink,
            push: |op, record| {
                let (sink, pair) = (&op.sink, pair(op, record));
                quote_spanned!(op.span() =>
                    #sink.push(#pair, ::dstream::__private::group_of, ::dstream::__private::group_with);
                )
            },
            needs_record: true,
            of_whole: None,
        }),
        finish: |op, tasks| {
            finish(op, tasks, Some(quote_spanned!(op.span() => ::dstream::__private::groups_joined)))
        },
    }),
    editor: plain_editor,
};
