//! `window`, and what the windows share.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{Arg, Editor, Keeps, Kind, Op, OpSpec, Reads, Wide, no_hoist};

pub(super) static SPEC: OpSpec = OpSpec {
    name: "window",
    usage: "window(length)` or `window(length, slide)",
    forms: &[&[Arg::Length], &[Arg::Length, Arg::Slide]],
    options: &[],
    kind: Kind::Wide(Wide {
        keeps: Keeps::Window,
        keep: Some(|op| kept(op, "RecordWindow")),
        hoist: no_hoist,
        reads: Reads::Whole,
        finish: |op, rdd| step(op, rdd, &quote!()),
    }),
    editor: |call| Editor { default_args: no_slide(call.args.len() < 2), view: None },
};

/// An empty window of this type.
pub(super) fn kept(op: &Op<'_>, ty: &str) -> TokenStream {
    let (spec, ty) = (op.window(), proc_macro2::Ident::new(ty, op.span()));
    quote_spanned!(op.span() => ::dstream::__private::#ty::new(#spec))
}

/// An empty keyed window of this type.
pub(super) fn kept_by_key(op: &Op<'_>, ty: &str) -> TokenStream {
    let (spec, buckets, ty) = (op.window(), op.hoisted(), proc_macro2::Ident::new(ty, op.span()));
    quote_spanned!(op.span() => ::dstream::__private::#ty::new(#spec, #buckets))
}

/// Adds a batch to what is kept, and looks at it.
pub(super) fn step(op: &Op<'_>, input: &[TokenStream], closures: &TokenStream) -> TokenStream {
    let (kept, meta) = (op.kept(), &op.meta);
    quote_spanned!(op.span() =>
        { let __ds_input = #(#input)*; #kept.lock().step(__ds_batch, &#meta, __ds_input, #closures) })
}

/// For editors: stands for a slide that was left out.
pub(super) fn no_slide(missing: bool) -> TokenStream {
    if missing { quote!(, ::core::time::Duration::ZERO) } else { quote!() }
}
