//! `sample`.

use quote::{quote, quote_spanned};

use super::{Arg, Keeps, Kind, OpSpec, Reads, Sink, Wide, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "sample",
    usage: "sample(fraction)",
    forms: &[&[Arg::Value]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: |op| {
            let (fraction, place) = (op.call.args.first().map(|f| quote!(#f)), &op.meta);
            Some(quote_spanned!(op.span() => __ds_builder.fraction(#fraction, &#place)))
        },
        reads: Reads::Records(Sink {
            new: |op| {
                let fraction = op.hoisted();
                quote_spanned!(op.span() =>
                    ::dstream::__private::Sample::new(#fraction, __ds_batch.sample_seed(), __ds_task))
            },
            push: |op, record| {
                let sink = &op.sink;
                quote_spanned!(op.span() => #sink.push(#record);)
            },
            needs_record: true,
            of_whole: None,
            join: None,
        }),
        finish: |op, tasks| quote_spanned!(op.span() => __ds_batch.collect(#(#tasks),*)),
    }),
    editor: plain_editor,
};
