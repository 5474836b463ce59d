//! `predict_on` and `predict_on_values`.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;

use super::{Arg, Keeps, Kind, Op, OpSpec, Reads, Wide, plain_editor};

pub(super) static PREDICT_ON: OpSpec = OpSpec {
    name: "predict_on",
    usage: "predict_on(&model)",
    forms: &[&[Arg::Value]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: model,
        reads: Reads::Whole,
        finish: ask,
    }),
    editor: plain_editor,
};

pub(super) static PREDICT_ON_VALUES: OpSpec = OpSpec {
    name: "predict_on_values",
    usage: "predict_on_values(&model)",
    forms: &[&[Arg::Value]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: model,
        reads: Reads::Whole,
        finish: ask,
    }),
    editor: plain_editor,
};

fn model(op: &Op<'_>) -> Option<TokenStream> {
    let model = op.call.args.first();
    Some(quote_spanned!(op.span() => ::dstream::__private::model(#model)))
}

/// It reads the whole batch, so that it runs where its statement stands, before or behind the training.
fn ask(op: &Op<'_>, rdd: &[TokenStream]) -> TokenStream {
    let (model, meta) = (op.hoisted(), &op.meta);
    let step = Ident::new(&op.call.name.to_string(), op.span());
    quote_spanned!(op.span() => __ds_batch.#step(&#meta, #(#rdd,)* &#model))
}
