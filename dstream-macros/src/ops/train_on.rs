//! `train_on`.

use quote::{quote, quote_spanned};

use super::{Arg, Keeps, Kind, OpSpec, Reads, Wide, plain_editor};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "train_on",
    usage: "train_on(&model)",
    forms: &[&[Arg::Value]],
    options: &["migrate"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Model,
        keep: Some(|op| {
            let trainer = op.hoisted();
            quote!(#trainer)
        }),
        hoist: |op| {
            let (model, meta) = (op.call.args.first(), &op.meta);
            Some(quote_spanned!(op.span() => __ds_builder.trainer(#model, &#meta)))
        },
        reads: Reads::Whole,
        finish: |op, rdd| {
            let (kept, meta) = (op.kept(), &op.meta);
            quote_spanned!(op.span() => {
                let __ds_examples = #(#rdd)*;
                #kept.lock().step(__ds_batch, &#meta, __ds_examples)
            })
        },
    }),
    editor: plain_editor,
};
