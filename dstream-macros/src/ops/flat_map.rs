//! `flat_map`.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Expr;

use super::{Arg, BlockAccess, Flow, Fused, Kind, Nest, Op, OpSpec, plain_editor};
use crate::closure::split_at;

pub(super) static SPEC: OpSpec = OpSpec {
    name: "flat_map",
    usage: "flat_map(|record| ..)",
    forms: &[&[Arg::Closure(&[1])]],
    options: &[],
    kind: Kind::Narrow(fuse, BlockAccess::Records),
    editor: plain_editor,
};

fn fuse(op: &Op<'_>, flow: Flow) -> Fused {
    let applied = op.apply(flow.value(op.span()));
    let out = op.out();
    let items = split(op, &applied.value).unwrap_or(applied.value);
    let nest = Nest::For { item: out.record.clone(), items, bind: TokenStream::new() };
    Fused { before: applied.before, nest, out }
}

/// `record.split('c')`, which of a `&str` needs not be what the standard library makes of it.
fn split(op: &Op<'_>, value: &TokenStream) -> Option<TokenStream> {
    let at = split_at(op.call.args.first()?)?;
    let Ok(Expr::MethodCall(call)) = syn::parse2(value.clone()) else { return None };
    let (record, span) = (call.receiver, op.span());
    Some(quote_spanned!(span => {
        use ::dstream::__private::{SplitAny as _, SplitText as _};
        (&&::dstream::__private::Splits(&#record)).pieces(#at, || #value)
    }))
}
