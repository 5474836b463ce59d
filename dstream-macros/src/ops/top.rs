//! `top`.

use quote::{quote, quote_spanned};

use super::{Arg, Editor, Keeps, Kind, OpSpec, Reads, Sink, Wide};
use crate::closure::callable;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "top",
    usage: "top(n)` or `top(n, |record| ..)",
    forms: &[&[Arg::Value], &[Arg::Value, Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: |op| {
            op.call.args.first().map(|n| quote_spanned!(op.span() => { let __ds_n: usize = #n; __ds_n }))
        },
        reads: Reads::Records(Sink {
            new: |op| {
                let n = op.hoisted();
                quote_spanned!(op.span() => ::dstream::__private::Top::new(#n))
            },
            push: |op, record| {
                let sink = &op.sink;
                match op.call.args.get(1).map(callable) {
                    Some(key) => quote_spanned!(op.span() => #sink.push_by(#record, #key);),
                    None => quote_spanned!(op.span() => #sink.push(#record);),
                }
            },
            needs_record: true,
            of_whole: None,
            join: None,
        }),
        finish: |op, tasks| {
            let (meta, n) = (&op.meta, op.hoisted());
            let merge = match op.call.args.len() {
                1 => quote!(top),
                _ => quote!(top_by),
            };
            quote_spanned!(op.span() => __ds_batch.#merge(&#meta, #n, #(#tasks),*))
        },
    }),
    // Without a key it is another method: that of records which can be compared.
    editor: |call| Editor { default_args: quote!(), view: (call.args.len() > 1).then_some("by_key") },
};
