//! `map_with_state`: yields what its function gives, and snapshots of the state as a second stream.

use proc_macro2::Ident;
use quote::{quote, quote_spanned};

use super::{
    Arg, Editor, Keeps, Kind, OpSpec, Reads, Sink, Wide, group_by_key, no_hoist, partitions, plain_editor,
    unchanged, update_state_by_key::kept,
};
use crate::{
    ast::Call,
    closure::{arity, callable},
    duration,
};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "map_with_state",
    usage: "map_with_state(|key, value, state| ..)` or `map_with_state(|time, key, value, state| ..)",
    forms: &[&[Arg::Closure(&[3, 4])]],
    options: &["initial", "migrate", "partitions", "timeout"],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Snapshots,
        keep: Some(|op| {
            let timeout = match op.call.option("timeout") {
                Some(timeout) => {
                    let timeout = duration::tokens(timeout);
                    quote_spanned!(op.span() => ::core::option::Option::Some(#timeout))
                }
                None => quote_spanned!(op.span() => ::core::option::Option::None),
            };
            kept(op, &quote!(MapWithState), &quote!(, #timeout))
        }),
        hoist: partitions,
        reads: Reads::Records(Sink { join: None, ..group_by_key::SINK }),
        finish: |op, tasks| {
            let (kept, meta, f) = (op.kept(), &op.meta, op.call.args.first().map(callable));
            let step = Ident::new(if timed(op.call) { "step_timed" } else { "step" }, op.span());
            quote_spanned!(op.span() => #kept.lock().#step(__ds_batch, &#meta, #(#tasks,)* #f))
        },
    }),
    editor: |call| Editor { view: timed(call).then_some("timed"), ..Editor::default() },
};

/// The second stream of `let (events, snapshots) = pairs.map_with_state(..)`.
pub(crate) static SNAPSHOTS: OpSpec = OpSpec {
    name: "state_snapshots",
    usage: "",
    forms: &[],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Nothing,
        keep: None,
        hoist: no_hoist,
        reads: Reads::View,
        finish: unchanged,
    }),
    editor: plain_editor,
};

fn timed(call: &Call) -> bool {
    call.args.first().and_then(arity) == Some(4)
}
