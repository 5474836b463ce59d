//! `count_by_value`: `reduce_by_key` over `(record, 1)`.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Kind, Op, OpSpec, Wide, partitions, reduce_by_key};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "count_by_value",
    usage: "count_by_value()",
    args: &[],
    optional: 0,
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        hoist: partitions,
        sink: reduce_by_key::sink,
        push: |op, record| {
            let pair = quote_spanned!(op.span() => (#record, 1u64));
            reduce_by_key::push(op, pair, add(op))
        },
        needs_record: true,
        finish: |op, tasks| reduce_by_key::finish(op, tasks, add(op)),
    }),
};

fn add(op: &Op<'_>) -> Option<TokenStream> {
    Some(quote_spanned!(op.span() => |__ds_a: u64, __ds_b: u64| __ds_a + __ds_b))
}
