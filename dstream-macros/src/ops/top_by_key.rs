//! `top_by_key`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{
    Arg, Keeps, Kind, Op, OpSpec, Reads, Sink, Wide, combine_by_key::pair, partitions, plain_editor,
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "top_by_key",
    usage: "top_by_key(n)",
    forms: &[&[Arg::Value]],
    options: &["partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: |op| {
            let (n, partitions) = (op.call.args.first().map(|n| quote!(#n)), partitions(op));
            Some(quote_spanned!(op.span() => (#partitions, { let __ds_n: usize = #n; __ds_n })))
        },
        reads: Reads::Records(Sink {
            new: |op| {
                let hoisted = op.hoisted();
                quote_spanned!(op.span() => ::dstream::__private::CombineByKey::new(__ds_seed, #hoisted.0))
            },
            push: |op, record| {
                let (sink, pair, largest) = (&op.sink, pair(op, record), largest(op));
                quote_spanned!(op.span() =>
                    #sink.push(#pair, |__ds_v| #largest.of(__ds_v),
                        |__ds_c, __ds_v| #largest.add(__ds_c, __ds_v));
                )
            },
            needs_record: true,
            of_whole: None,
            join: None,
        }),
        finish: |op, tasks| {
            let (meta, hoisted, largest) = (&op.meta, op.hoisted(), largest(op));
            quote_spanned!(op.span() => __ds_batch.pairs(__ds_batch.partials(
                &#meta, #hoisted.0, #(#tasks,)* |__ds_a, __ds_b| #largest.merge(__ds_a, __ds_b)
            )))
        },
    }),
    editor: plain_editor,
};

fn largest(op: &Op<'_>) -> TokenStream {
    let hoisted = op.hoisted();
    quote_spanned!(op.span() => ::dstream::__private::Largest(#hoisted.1))
}
