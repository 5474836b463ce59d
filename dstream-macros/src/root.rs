//! Where a program has the crate `dstream`, if it is not under that name: the setting `crate = ::ds`, and
//! `#[record(crate = "::ds")]`.
//!
//! All phases write `::dstream::..`. Where there is another path, it takes that place when all is written.

use proc_macro2::{Group, Ident, Literal, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Path, parse::Parser};

use crate::{ast::Pipeline, diag::Diags, parse::is_punct};

/// What the expansion of the derive has in a string: the path of `serde`, for its own derives.
pub(crate) const SERDE: &str = "::dstream::__private::serde";

/// The path that the settings give.
pub(crate) fn of(pipeline: &Pipeline, diags: &mut Diags) -> Option<Path> {
    let setting = pipeline.settings.iter().find(|setting| setting.name == "crate")?;
    // One without a value is reported with the other settings.
    (!setting.value.is_empty()).then(|| path(&setting.value, diags)).flatten()
}

/// The path of a module.
pub(crate) fn path(tokens: &TokenStream, diags: &mut Diags) -> Option<Path> {
    let path = Path::parse_mod_style.parse2(tokens.clone()).ok();
    if path.is_none() {
        diags.error_at(
            tokens,
            format_args!("found `{tokens}`, expected the path of the crate `dstream`, such as `::ds`"),
        );
    }
    path
}

/// Writes `root` for each `::dstream`. The tokens keep the places to which errors point.
pub(crate) fn replace(tokens: TokenStream, root: &Path) -> TokenStream {
    let mut out = Vec::new();
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => {
                let mut replaced = Group::new(group.delimiter(), replace(group.stream(), root));
                replaced.set_span(group.span());
                out.push(replaced.into());
            }
            TokenTree::Ident(name) if name == "dstream" && begins_path(&out) => {
                out.truncate(out.len() - 2);
                out.extend(root.to_token_stream().into_iter().map(|mut token| {
                    token.set_span(token.span().located_at(name.span()));
                    token
                }));
            }
            TokenTree::Literal(text) if text.to_string() == format!("{SERDE:?}") => {
                let path = SERDE.replacen("::dstream", &root.to_token_stream().to_string(), 1);
                let mut replaced = Literal::string(&path);
                replaced.set_span(text.span());
                out.push(replaced.into());
            }
            tree => out.push(tree),
        }
    }
    out.into_iter().collect()
}

/// Whether the tokens end in a `::` with no name before it.
fn begins_path(tokens: &[TokenTree]) -> bool {
    let [before @ .., first, second] = tokens else { return false };
    // A keyword, such as `return`, is no `Ident` to `syn`: it can stand before a path.
    let is_name = |tree: &TokenTree| syn::parse2::<Ident>(tree.to_token_stream()).is_ok();
    is_punct(first, ':') && is_punct(second, ':') && !before.last().is_some_and(is_name)
}
