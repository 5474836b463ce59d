//! `update_state_by_key`.

use proc_macro2::Ident;
use quote::{quote, quote_spanned};

use super::{Arg, Editor, Keeps, Kind, Op, OpSpec, Reads, Wide, group_by_key::SINK, partitions};
use crate::{
    ast::Call,
    closure::{arity, callable},
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "update_state_by_key",
    usage: "update_state_by_key(|new, old| ..)`, `(|key, new, old| ..)` or `(|time, key, new, old| ..)",
    forms: &[&[Arg::Closure(&[2, 3, 4])]],
    options: &["initial", "migrate", "partitions"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::State,
        keep: Some(|op| kept(op, &quote!(UpdateStateByKey), &quote!())),
        hoist: partitions,
        reads: Reads::Records(SINK),
        finish: |op, groups| {
            let (kept, meta, f) = (op.kept(), &op.meta, op.call.args.first().map(callable));
            let step = Ident::new(["step", "step_keyed", "step_timed"][extra(op.call)], op.span());
            quote_spanned!(op.span() => {
                let __ds_groups = #(#groups)*;
                #kept.lock().#step(__ds_batch, &#meta, __ds_groups, #f)
            })
        },
    }),
    editor: |call| Editor { view: [None, Some("keyed"), Some("timed")][extra(call)], ..Editor::default() },
};

/// How many arguments the closure has beside the new values and the old state.
fn extra(call: &Call) -> usize {
    call.args.first().and_then(arity).map_or(0, |n| n.saturating_sub(2).min(2))
}

/// What a state operator keeps, with its initial state.
pub(super) fn kept(
    op: &Op<'_>,
    ty: &proc_macro2::TokenStream,
    more: &proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let buckets = op.hoisted();
    let initial = op.call.option("initial").map(|pairs| quote_spanned!(op.span() => .initial(#pairs)));
    quote_spanned!(op.span() => ::dstream::__private::#ty::new(#buckets #more) #initial)
}
