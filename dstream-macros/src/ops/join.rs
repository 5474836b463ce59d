//! `join` and its outer forms: they differ in what a record without a match yields.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;

use super::{
    Arg, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide, combine_by_key::pair, partitions, plain_editor,
};

pub(super) static INNER: OpSpec = spec("join", "join(other)", |op, tasks| finish(op, tasks, "Inner"));
pub(super) static LEFT_OUTER: OpSpec =
    spec("left_outer_join", "left_outer_join(other)", |op, tasks| finish(op, tasks, "LeftOuter"));
pub(super) static RIGHT_OUTER: OpSpec =
    spec("right_outer_join", "right_outer_join(other)", |op, tasks| finish(op, tasks, "RightOuter"));
pub(super) static FULL_OUTER: OpSpec =
    spec("full_outer_join", "full_outer_join(other)", |op, tasks| finish(op, tasks, "FullOuter"));

const fn spec(
    name: &'static str,
    usage: &'static str,
    finish: fn(&Op<'_>, &[TokenStream]) -> TokenStream,
) -> OpSpec {
    OpSpec {
        name,
        usage,
        forms: &[&[Arg::Stream]],
        options: &["partitions"],
        kind: Kind::Wide(Wide {
            keeps: Keeps::Nothing,
            keep: None,
            hoist: |op| {
                let buckets = partitions(op);
                Some(quote_spanned!(op.span() => ::dstream::__private::Join::new(#buckets)))
            },
            reads: Reads::JoinSides(Sink {
                new: |op| {
                    let (join, side) = (op.hoisted(), Ident::new(["left", "right"][op.port], op.span()));
                    quote_spanned!(op.span() => #join.#side(__ds_seed))
                },
                ..SCATTER
            }),
            finish,
        }),
        editor: plain_editor,
    }
}

/// Every pair goes to its bucket.
pub(super) const SCATTER: Sink = Sink {
    new: |op| {
        let buckets = op.hoisted();
        quote_spanned!(op.span() => ::dstream::__private::Scatter::new(__ds_seed, #buckets))
    },
    push: |op, record| {
        let (sink, pair) = (&op.sink, pair(op, record));
        quote_spanned!(op.span() => #sink.push(#pair);)
    },
    needs_record: true,
    of_whole: None,
    join: None,
};

fn finish(op: &Op<'_>, tasks: &[TokenStream], form: &str) -> TokenStream {
    let (span, meta, join) = (op.span(), &op.meta, op.hoisted());
    let form = Ident::new(form, span);
    quote_spanned!(span => __ds_batch.join(&#meta, &#join, #(#tasks,)* ::dstream::__private::#form))
}
