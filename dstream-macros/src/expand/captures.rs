//! What the user's closures capture, checked at the word that captures it.
//!
//! The loops of a pipeline are one closure for the compiler, and a variable that can't go to another thread
//! is reported at the whole of it. So each variable that can be told from a function by where it stands is
//! also handed, by reference, to a function that asks for the same. What this leaves out is reported by the
//! loops.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Expr, visit::Visit};

use crate::{
    closure,
    common::same_tokens,
    graph::{Graph, NodeKind},
    ops::{Kind, OpSpec},
};

/// The checks, which do nothing when the program runs.
pub(super) fn checks(graph: &Graph) -> TokenStream {
    let mut seen: Vec<TokenStream> = Vec::new();
    let mut out = TokenStream::new();
    for node in graph.nodes.iter().filter(|node| node.live) {
        let NodeKind::Op { spec, call } = &node.kind else { continue };
        for found in call.args.iter().map(captured) {
            for word in found.variables {
                if is_new(&mut seen, word.to_token_stream()) {
                    let span = word.span().resolved_at(Span::mixed_site());
                    let check = Ident::new(if in_tasks(spec) { "in_tasks" } else { "in_batches" }, span);
                    out.extend(quote_spanned!(span => ::dstream::__private::#check(&#word);));
                }
            }
            for place in found.fields {
                if is_new(&mut seen, place.clone()) {
                    let span = crate::diag::span_of(&place).resolved_at(Span::mixed_site());
                    // A closure captures no more of a variable than the field; it is never called, so it may
                    // take it.
                    out.extend(quote_spanned!(span =>
                        #[allow(unreachable_code)]
                        if false {
                            ::dstream::__private::kept(move || { let _ = &#place; });
                            loop {}
                        }
                    ));
                }
            }
        }
    }
    out
}

/// The only one of these closures that captures something, as far as can be seen, or `otherwise`: where the
/// compiler speaks of the loops that they are in.
pub(super) fn place<'a>(closures: impl Iterator<Item = &'a Expr>, otherwise: Span) -> Span {
    let mut capturing = closures.filter(|f| captured(f).any);
    match (capturing.next(), capturing.next()) {
        (Some(f), None) => crate::diag::span_of(f).resolved_at(Span::mixed_site()),
        _ => otherwise,
    }
}

/// Whether the closures of an operator run in the loop itself, several at a time.
fn in_tasks(spec: &OpSpec) -> bool {
    matches!(spec.kind, Kind::Narrow(..))
}

fn is_new(seen: &mut Vec<TokenStream>, tokens: TokenStream) -> bool {
    let new = !seen.iter().any(|other| same_tokens(other.clone(), tokens.clone()));
    if new {
        seen.push(tokens);
    }
    new
}

/// What a closure literal takes from outside.
#[derive(Default)]
struct Captured {
    bound: BTreeSet<String>,
    /// Variables that are used as they are.
    variables: Vec<Ident>,
    /// `variable.field`.
    fields: Vec<TokenStream>,
    /// Whether there is anything at all that may be a variable.
    any: bool,
}

/// The words in a closure literal that are variables from outside, and can't be functions.
pub(crate) fn variables(f: &Expr) -> Vec<Ident> {
    captured(f).variables
}

fn captured(f: &Expr) -> Captured {
    let mut found = Captured::default();
    if let Expr::Closure(closure) = f {
        found.bound = closure::all_bound(f);
        found.visit_expr(&closure.body);
    }
    found
}

impl Captured {
    /// The name, if an expression is one that may be a variable from outside.
    fn outside<'a>(&self, expr: &'a Expr) -> Option<&'a Ident> {
        let Expr::Path(path) = expr else { return None };
        let word = path.path.get_ident()?;
        let text = word.to_string();
        let lower = text.starts_with(|c: char| c.is_lowercase() || c == '_');
        (path.qself.is_none() && lower && !self.bound.contains(&text)).then_some(word)
    }

    /// Where a function may stand as well, whose type is not known without its use.
    fn perhaps(&mut self, expr: &Expr) {
        match self.outside(expr) {
            Some(_) => self.any = true,
            None => self.visit_expr(expr),
        }
    }
}

impl Visit<'_> for Captured {
    fn visit_expr(&mut self, expr: &Expr) {
        if let Some(word) = self.outside(expr) {
            self.any = true;
            self.variables.push(word.clone());
            return;
        }
        match expr {
            Expr::Call(call) => {
                self.perhaps(&call.func);
                call.args.iter().for_each(|arg| self.perhaps(arg));
            }
            Expr::MethodCall(call) => {
                self.visit_expr(&call.receiver);
                call.args.iter().for_each(|arg| self.perhaps(arg));
            }
            Expr::Field(field) => {
                let mut base = &*field.base;
                while let Expr::Field(inner) = base {
                    base = &inner.base;
                }
                match self.outside(base) {
                    Some(_) => {
                        self.any = true;
                        self.fields.push(expr.to_token_stream());
                    }
                    None => syn::visit::visit_expr(self, expr),
                }
            }
            _ => syn::visit::visit_expr(self, expr),
        }
    }

    fn visit_item(&mut self, _: &syn::Item) {}
}
