//! The one place where errors are gathered, and how messages speak.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;

/// Errors in the order in which they were found. All of them are reported.
#[derive(Default)]
pub(crate) struct Diags {
    errors: Vec<syn::Error>,
}

impl Diags {
    /// An error at one place.
    pub(crate) fn error(&mut self, span: Span, message: impl std::fmt::Display) {
        self.errors.push(syn::Error::new(span, message));
    }

    /// An error under all of `tokens`.
    pub(crate) fn error_at(&mut self, tokens: &impl ToTokens, message: impl std::fmt::Display) {
        self.errors.push(syn::Error::new_spanned(tokens, message));
    }

    /// An error of the Rust parser.
    pub(crate) fn syntax(&mut self, error: syn::Error) {
        self.errors.push(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// One `compile_error!` each.
    pub(crate) fn to_tokens(&self) -> TokenStream {
        self.errors.iter().map(syn::Error::to_compile_error).map(|e| quote::quote!(#e;)).collect()
    }
}

/// `: did you mean `flat_map`?`, or nothing if no candidate is near.
pub(crate) fn did_you_mean<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(found, candidates) {
        Some(name) => format!(": did you mean `{name}`?"),
        None => String::new(),
    }
}

fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // `reduceByKey`, as the original spells it, is as near as it gets.
    let flat = |s: &str| s.replace('_', "").to_lowercase();
    let folded = flat(found);
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&folded, &flat(c)), c))
        .filter(|(distance, c)| *distance <= 1 + c.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| format!("`{n}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// The place of an expression, from its first token to its last.
pub(crate) fn span_of(tokens: &impl ToTokens) -> Span {
    tokens.to_token_stream().span()
}
