//! Closure literals: whether they can be inlined into the loop of their stage, and the names they bind and
//! use.
//!
//! A literal is inlined as `let <pattern> = <record>; <body>`, which lets borrowed records flow and keeps
//! build times flat. One whose body could leave it early (`return`, `?`, `.await`, an outer `break`), and
//! anything that is not a literal, is called instead, with the record as an earlier argument that fixes its
//! type.

use std::collections::BTreeSet;

use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprClosure, Lit, LitByte, LitStr, Pat, ReturnType, visit::Visit};

use crate::common::in_source_order;

/// The application of a closure to a record: the statements `before`, and then the result `value`.
pub(crate) struct Applied {
    pub(crate) before: TokenStream,
    pub(crate) value: TokenStream,
}

/// The scope of the arguments of an inlined closure.
pub(crate) enum Scope<'a> {
    /// The expression, as in a call.
    Expression,
    /// The rest of the loop body, so that the result may borrow from the record. Downstream closures may
    /// capture these names from outside the pipeline; arguments with these names are made hygienic.
    Loop(&'a BTreeSet<String>),
}

/// Applies `f` to `record`.
pub(crate) fn apply(f: &Expr, record: TokenStream, scope: Scope<'_>, span: Span) -> Applied {
    let Some((pattern, body)) = inlinable(f) else {
        let f = callable(f);
        let value = quote_spanned!(span => ::dstream::__private::call(#record, #f));
        return Applied { before: TokenStream::new(), value };
    };
    let wide = match scope {
        Scope::Expression => None,
        Scope::Loop(reserved_names) => {
            let clash: BTreeSet<String> = bound(f).intersection(reserved_names).cloned().collect();
            let pattern = rename(pattern.to_token_stream(), &clash);
            pattern.zip(rename(body.clone(), &clash))
        }
    };
    match wide {
        Some((pattern, body)) => {
            Applied { before: quote_spanned!(span => let #pattern = #record;), value: body }
        }
        None => {
            let value = quote_spanned!(span => { let #pattern = #record; #body });
            Applied { before: TokenStream::new(), value }
        }
    }
}

/// Gives `names` the hygiene of the macro, which keeps them apart from the same names elsewhere. `None` where
/// a string literal might use one of them (`"{name}"`): a literal's names can't be told apart.
fn rename(tokens: TokenStream, names: &BTreeSet<String>) -> Option<TokenStream> {
    if names.is_empty() {
        return Some(tokens);
    }
    let renamed = tokens.into_iter().map(|tree| match tree {
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), rename(group.stream(), names)?);
            inner.set_span(group.span());
            Some(TokenTree::Group(inner))
        }
        TokenTree::Ident(mut word) if names.contains(&word.to_string()) => {
            word.set_span(word.span().resolved_at(Span::mixed_site()));
            Some(word.into())
        }
        TokenTree::Literal(literal) if words(&literal).any(|word| names.contains(&word)) => None,
        tree => Some(tree),
    });
    renamed.collect()
}

/// The expression that can be handed to a function which takes a closure, any number of times: a literal
/// loses its `move` (the pipeline holds what it captures already), anything else is borrowed.
pub(crate) fn callable(f: &Expr) -> TokenStream {
    match f {
        Expr::Closure(closure) => ExprClosure { capture: None, ..closure.clone() }.into_token_stream(),
        other => quote!(&(#other)),
    }
}

/// The expression that can be handed to a function which keeps it: a literal owns what it captures.
pub(crate) fn moved(f: &Expr) -> TokenStream {
    match f {
        Expr::Closure(closure) => {
            ExprClosure { capture: Some(Default::default()), ..closure.clone() }.into_token_stream()
        }
        other => other.to_token_stream(),
    }
}

/// Pattern and body of a literal of one argument that can be inlined.
fn inlinable(f: &Expr) -> Option<(&Pat, TokenStream)> {
    let Expr::Closure(closure) = f else { return None };
    let plain = closure.asyncness.is_none()
        && closure.constness.is_none()
        && closure.lifetimes.is_none()
        && closure.attrs.is_empty();
    let mut pattern = closure.inputs.iter();
    let (Some(pattern), None) = (pattern.next(), pattern.next()) else { return None };
    let mut escapes = Escapes::default();
    escapes.visit_expr(&closure.body);
    if !plain || escapes.found {
        return None;
    }
    let body = &closure.body;
    let body = match &closure.output {
        ReturnType::Type(_, ty) => {
            let span = crate::diag::span_of(ty).resolved_at(Span::mixed_site());
            quote_spanned!(span => { let __ds_value: #ty = #body; __ds_value })
        }
        ReturnType::Default => body.to_token_stream(),
    };
    Some((pattern, body))
}

/// The literal that the record must contain, if a closure literal is `|record| record.contains("..")` to the
/// letter.
pub(crate) fn contained_literal(f: &Expr) -> Option<LitStr> {
    match literal_argument(f, "contains")? {
        Lit::Str(part) if part.suffix().is_empty() => Some(part.clone()),
        Lit::Char(part) if part.suffix().is_empty() => {
            Some(LitStr::new(&part.value().to_string(), part.span()))
        }
        _ => None,
    }
}

/// The ASCII character at which the record is split, if a closure literal is `|record| record.split('c')` to
/// the letter.
pub(crate) fn split_at(f: &Expr) -> Option<LitByte> {
    match literal_argument(f, "split")? {
        Lit::Char(at) if at.suffix().is_empty() => {
            let byte = u8::try_from(at.value()).ok().filter(u8::is_ascii)?;
            Some(LitByte::new(byte, at.span()))
        }
        _ => None,
    }
}

/// The literal argument, if a closure literal is exactly `|record| record.method(literal)`.
fn literal_argument<'a>(f: &'a Expr, method: &str) -> Option<&'a Lit> {
    let Expr::Closure(closure) = f else { return None };
    let (Some((Pat::Ident(param), _)), Expr::MethodCall(call)) = (inlinable(f), &*closure.body) else {
        return None;
    };
    let plain = param.by_ref.is_none() && param.mutability.is_none() && param.subpat.is_none();
    let asks = call.method == method && call.turbofish.is_none() && call.attrs.is_empty();
    let Expr::Path(receiver) = &*call.receiver else { return None };
    // Words that stand in one text are looked up alike, also where a macro of the user has handed the closure
    // on.
    let of_it = receiver.path.get_ident().is_some_and(|receiver| {
        let (begin, end) = (closure.inputs_begin.span, closure.inputs_end.span);
        let text = [begin, param.ident.span(), end, receiver.span(), call.method.span()];
        *receiver == param.ident && in_source_order(&text)
    });
    match (plain && asks && of_it, call.args.first()?, call.args.len()) {
        (true, Expr::Lit(literal), 1) => Some(&literal.lit),
        _ => None,
    }
}

/// How many arguments a closure literal has; `None` for anything else.
pub(crate) fn arity(f: &Expr) -> Option<usize> {
    match f {
        Expr::Closure(closure) => Some(closure.inputs.len()),
        _ => None,
    }
}

/// Whether a closure literal gives a future.
pub(crate) fn is_async(f: &Expr) -> bool {
    match f {
        Expr::Closure(closure) => closure.asyncness.is_some() || matches!(&*closure.body, Expr::Async(_)),
        _ => false,
    }
}

/// Whether a closure literal has a single argument, and says its type; whatever is no literal may.
pub(crate) fn takes_one_of_a_type(f: &Expr) -> bool {
    match f {
        Expr::Closure(closure) => closure.inputs.len() == 1 && matches!(closure.inputs[0], Pat::Type(_)),
        Expr::Lit(_) => false,
        _ => true,
    }
}

/// Finds whether control can leave a closure's body other than at its end.
#[derive(Default)]
struct Escapes {
    found: bool,
    loops: usize,
}

/// Macros of the standard library that never expand to a jump.
const NON_DIVERGING: [&str; 22] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "concat",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "env",
    "eprint",
    "eprintln",
    "format",
    "format_args",
    "line",
    "matches",
    "panic",
    "print",
    "println",
    "stringify",
    "unreachable",
    "vec",
    "write",
    "writeln",
];

impl Visit<'_> for Escapes {
    fn visit_expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Return(_) | Expr::Try(_) | Expr::Await(_) | Expr::Yield(_) | Expr::Verbatim(_) => {
                self.found = true
            }
            Expr::Break(jump) => {
                self.found |= self.loops == 0 || jump.label.is_some();
                syn::visit::visit_expr_break(self, jump);
            }
            Expr::Continue(jump) => self.found |= self.loops == 0 || jump.label.is_some(),
            // A jump inside these leaves these, not the closure.
            Expr::Closure(_) | Expr::Async(_) | Expr::TryBlock(_) => {}
            Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_) => {
                self.loops += 1;
                syn::visit::visit_expr(self, expr);
                self.loops -= 1;
            }
            _ => syn::visit::visit_expr(self, expr),
        }
    }

    fn visit_item(&mut self, _: &syn::Item) {}

    fn visit_macro(&mut self, mac: &syn::Macro) {
        let is_non_diverging =
            mac.path.get_ident().is_some_and(|name| NON_DIVERGING.iter().any(|known| name == known));
        self.found |= !is_non_diverging || jumps(mac.tokens.clone());
    }
}

fn jumps(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Group(group) => jumps(group.stream()),
        TokenTree::Ident(word) => ["return", "break", "continue", "await"].iter().any(|jump| word == jump),
        TokenTree::Punct(p) => p.as_char() == '?',
        TokenTree::Literal(_) => false,
    })
}

/// The names that patterns bind.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Visit<'_> for Names {
    fn visit_pat_ident(&mut self, pat: &syn::PatIdent) {
        self.0.insert(pat.ident.to_string());
        syn::visit::visit_pat_ident(self, pat);
    }

    fn visit_item_fn(&mut self, item: &syn::ItemFn) {
        self.0.insert(item.sig.ident.to_string());
    }
}

/// The names that a closure literal's arguments bind.
pub(crate) fn bound(f: &Expr) -> BTreeSet<String> {
    let mut names = Names::default();
    if let Expr::Closure(closure) = f {
        closure.inputs.iter().for_each(|pat| names.visit_pat(pat));
    }
    names.0
}

/// The names that anything in an expression binds.
pub(crate) fn all_bound(f: &Expr) -> BTreeSet<String> {
    let mut names = Names::default();
    names.visit_expr(f);
    names.0
}

/// Every name that an expression may take from its surroundings: all its words but those that it binds as
/// arguments, the words in its string literals among them, since `"{name}"` takes a name too.
pub(crate) fn mentions(f: &Expr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect_words(f.to_token_stream(), &mut found);
    for name in bound(f) {
        found.remove(&name);
    }
    found
}

fn collect_words(tokens: TokenStream, found: &mut BTreeSet<String>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => collect_words(group.stream(), found),
            TokenTree::Ident(word) => {
                found.insert(word.to_string());
            }
            TokenTree::Literal(literal) => found.extend(words(&literal)),
            TokenTree::Punct(_) => {}
        }
    }
}

/// The words in a literal.
fn words(literal: &Literal) -> impl Iterator<Item = String> {
    let text = literal.to_string();
    let words: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect();
    words.into_iter().filter(|word| !word.is_empty())
}

/// A name of the expansion: never in the way of the user's.
pub(crate) fn mixed_site_ident(prefix: &str, id: usize, span: Span) -> Ident {
    Ident::new(&format!("__ds_{prefix}{id}"), span.resolved_at(Span::mixed_site()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inlines(text: &str) -> bool {
        syn::parse_str::<Expr>(text).is_ok_and(|f| inlinable(&f).is_some())
    }

    #[test]
    fn inlines_what_can_only_end_at_its_end() {
        for text in [
            "|l| l.split(' ')",
            "|(k, v)| (v, k)",
            "|x: u64| -> u64 { x + 1 }",
            "|x| { for i in 0..x { if i > 3 { break } } x }",
            "|x| format!(\"{x}\")",
            "move |x| xs.iter().map(move |y| { return x + y; })",
        ] {
            assert!(inlines(text), "{text}");
        }
    }

    #[test]
    fn calls_what_could_leave_early() {
        for text in [
            "|x| { if x { return 1 } 2 }",
            "|x| x.parse().ok()?",
            "|x| { break }",
            "|x| loop { continue 'outer }",
            "|x| bail!(\"no\")",
            "|x| vec![x?]",
            "|a, b| a + b",
            "str::len",
        ] {
            assert!(!inlines(text), "{text}");
        }
    }

    #[test]
    fn knows_what_the_record_must_contain() {
        let part = |text: &str| {
            syn::parse_str(text).ok().and_then(|f| contained_literal(&f)).map(|part| part.value())
        };
        assert_eq!(part("|l| l.contains(\"a\\n\")").as_deref(), Some("a\n"));
        assert_eq!(part("move |l| l.contains('é')").as_deref(), Some("é"));
        for text in [
            "|l| !l.contains(\"a\")",
            "|l| { l.contains(\"a\") }",
            "|l| l.contains(\"a\") || true",
            "|l| m.contains(\"a\")",
            "|l| l.0.contains(\"a\")",
            "|l| l.contains::<&str>(\"a\")",
            "|l| l.contains(b\"a\")",
            "|l| l.contains(a)",
            "|l| l.contains(&\"a\")",
            "|l| l.starts_with(\"a\")",
            "|l, m| l.contains(\"a\")",
            "|mut l| l.contains(\"a\")",
            "|l: Line| l.contains(\"a\")",
            "async |l| l.contains(\"a\")",
            "l.contains(\"a\")",
        ] {
            assert_eq!(part(text), None, "{text}");
        }
    }

    #[test]
    fn knows_where_the_record_is_split() {
        let at = |text: &str| syn::parse_str(text).ok().and_then(|f| split_at(&f)).map(|at| at.value());
        assert_eq!(at("|l| l.split(' ')"), Some(b' '));
        assert_eq!(at("move |l| l.split('\\t')"), Some(b'\t'));
        for text in [
            "|l| l.split(\" \")",
            "|l| l.split(b' ')",
            "|l| l.split('é')",
            "|l| l.split(',').filter(f)",
            "|l| l.0.split(',')",
            "|l| m.split(',')",
            "|&l| l.split(',')",
            "|l| l.rsplit(',')",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn mentions_what_it_takes_from_outside() {
        let f: Expr =
            syn::parse_str("|w| format!(\"{w} {min}\", w.len() + max)").unwrap_or_else(|e| panic!("{e}"));
        let words = mentions(&f);
        assert!(["min", "max"].iter().all(|word| words.contains(*word)) && !words.contains("w"), "{words:?}");
    }
}
