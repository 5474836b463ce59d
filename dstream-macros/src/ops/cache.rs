//! `cache` and `persist`: known from the original; here they do nothing but say so.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::{Kind, Op, OpSpec, plain_editor};

pub(super) static CACHE: OpSpec = spec("cache", "cache()");
pub(super) static PERSIST: OpSpec = spec("persist", "persist()");

const fn spec(name: &'static str, usage: &'static str) -> OpSpec {
    OpSpec { name, usage, forms: &[&[]], options: &[], kind: Kind::PassThrough(warn), editor: plain_editor }
}

/// The use of a deprecated item is the one warning that a macro can give at a place of its choice.
fn warn(op: &Op<'_>) -> TokenStream {
    quote_spanned!(op.call.name.span() => ::dstream::__private::not_needed();)
}
