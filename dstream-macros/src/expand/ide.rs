//! The copy that editors read instead of the loops.
//!
//! It holds the user's statements, verbatim and once, against `DStream<T>`, whose methods carry the
//! operators' documentation. Which of the two is read is decided by a `macro_rules!` inside the expansion, so
//! that `cfg(rust_analyzer)` is asked of the user's crate, where an editor sets it.

use std::collections::HashSet;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::Expr;

use crate::{
    ast::{Call, Chain, Pipeline},
    duration,
    ops::{self, Arg, Editor, OpSpec},
    parse,
};

/// Editors read `copy`, the compiler reads `code`.
pub(super) fn select(copy: &TokenStream, code: &TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site() =>
        #[cfg(rust_analyzer)]
        macro_rules! __dstream_select { ({ $($copy:tt)* } { $($code:tt)* }) => { $($copy)* } }
        #[cfg(not(rust_analyzer))]
        macro_rules! __dstream_select { ({ $($copy:tt)* } { $($code:tt)* }) => { $($code)* } }
        __dstream_select! { { { #copy } } { { #code } } }
    )
}

/// The statements against `DStream<T>`.
pub(super) fn copy(pipeline: &Pipeline, publishes: bool) -> TokenStream {
    let site = Span::mixed_site();
    let mut names = HashSet::new();
    let last = pipeline.statements.len().wrapping_sub(1);
    let statements = pipeline.statements.iter().enumerate().map(|(at, statement)| {
        let both = statement.bindings.as_ref().is_some_and(|bindings| bindings.len() > 1);
        let chain = chain(&statement.chain, &names, both);
        if publishes && at == last {
            let value = if pipeline.context.is_some() { "handed_out" } else { "handed_out_with" };
            let value = Ident::new(value, site);
            return quote_spanned!(site => ::dstream::__private::#value(#chain));
        }
        let bindings = statement.bindings.as_deref().unwrap_or_default();
        names.extend(bindings.iter().map(Ident::to_string));
        match bindings {
            [] => quote_spanned!(site => #chain;),
            [name] => quote_spanned!(site => let #name = #chain;),
            several => quote_spanned!(site => let (#(#several),*) = #chain;),
        }
    });
    let value = (!publishes)
        .then(|| quote_spanned!(site => ::dstream::__private::not_compiled::<::dstream::StreamingContext>()));
    let used = used(pipeline);
    quote_spanned!(site => #used #(#statements)* #value)
}

/// The context, settings, and variables that are options: the methods don't have them, and a variable that is
/// used nowhere else would be marked as unused. A `batch` is no expression, and what `forget` holds has no
/// type without its use.
fn used(pipeline: &Pipeline) -> TokenStream {
    const EXPRESSIONS: [&str; 3] = ["conf", "name", "checkpoint"];
    let settings = pipeline.settings.iter().filter(|setting| {
        // `1s` is no expression.
        let literal = matches!(setting.value.clone().into_iter().next(), Some(TokenTree::Literal(_)));
        EXPRESSIONS.iter().any(|name| setting.name == name) || setting.name == "batch" && !literal
    });
    let settings = pipeline.context.iter().chain(settings.map(|setting| &setting.value));
    let settings = settings.filter(|value| !value.is_empty()).map(mend);
    let calls = pipeline.statements.iter().flat_map(|statement| &statement.chain.calls);
    let options = calls.flat_map(|call| &call.options).filter(|(_, value)| matches!(value, Expr::Path(_)));
    let options = options.map(|(_, value)| quote!(#value));
    let used = settings.chain(options);
    quote_spanned!(Span::mixed_site() => #(let _ = &(#used);)*)
}

/// A chain; `both` says that it ends in two streams, which a `let` takes apart.
fn chain(chain: &Chain, names: &HashSet<String>, both: bool) -> TokenStream {
    let site = Span::mixed_site();
    let head = mend(&chain.head);
    let stream = chain.head_name().is_some_and(|name| names.contains(&name.to_string()));
    let mut out = if stream || head.is_empty() {
        head
    } else {
        quote_spanned!(site => ::dstream::__private::stream_of(#head))
    };
    for (at, call) in chain.calls.iter().enumerate() {
        // The two streams of `map_with_state` are a tuple, which no method can name.
        if call.name == ops::NAMED.name && at > 0 && chain.calls[at - 1].name == "map_with_state" {
            continue;
        }
        let (name, args) = (&call.name, arguments(call, names));
        let Editor { default_args, view } = editor(call);
        if let Some(view) = view {
            let view = Ident::new(view, site);
            out = quote_spanned!(site => ::dstream::__private::#view(#out));
        }
        // One method can't take any number of streams; a tuple of them it can.
        let several = call.args.len() > 1 && ops::find(name).is_some_and(OpSpec::variadic);
        let args = if several { quote!((#args)) } else { args };
        out = quote!(#out . #name (#args #default_args));
        // What goes on with one of the two goes on with the first.
        let is_last = chain.calls[at + 1..].iter().all(|call| call.name == ops::NAMED.name);
        if call.name == "map_with_state" && !(both && is_last) {
            out = quote!(#out.0);
        }
    }
    if chain.dangling { quote!(#out . __dstream_incomplete) } else { out }
}

fn editor(call: &Call) -> Editor {
    ops::find(&call.name).map(|spec| (spec.editor)(call)).unwrap_or_default()
}

/// The arguments without the options, which are no arguments of the method.
fn arguments(call: &Call, names: &HashSet<String>) -> TokenStream {
    if call.broken || ops::find(&call.name).is_none() {
        return mend(&call.tokens);
    }
    let spec = ops::find(&call.name);
    let args = call.args.iter().enumerate().map(|(at, arg)| {
        match spec.and_then(|spec| spec.arg(at, call.args.len())) {
            Some(Arg::Stream | Arg::Streams) => {
                let tokens = quote!(#arg).into_iter().collect();
                chain(&parse::chain(tokens, &mut Default::default()), names, false)
            }
            Some(Arg::Length | Arg::Slide) => duration::tokens(arg),
            _ => quote!(#arg),
        }
    });
    quote!(#(#args),*)
}

/// Puts a word behind each `.` that has none, so that what is being typed still parses.
fn mend(tokens: &TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut out = TokenStream::new();
    for (at, tree) in trees.iter().enumerate() {
        match tree {
            TokenTree::Group(group) => {
                let mut mended = Group::new(group.delimiter(), mend(&group.stream()));
                mended.set_span(group.span());
                out.extend([TokenTree::Group(mended)]);
            }
            TokenTree::Punct(p) if p.as_char() == '.' => {
                out.extend([tree.clone()]);
                let range =
                    matches!(trees.get(at.wrapping_sub(1)), Some(TokenTree::Punct(p)) if p.as_char() == '.');
                let ends = match trees.get(at + 1) {
                    None => true,
                    Some(TokenTree::Punct(p)) => matches!(p.as_char(), ',' | ';'),
                    Some(TokenTree::Ident(word)) => word == "let",
                    _ => false,
                };
                if ends && !range {
                    out.extend(quote!(__dstream_incomplete));
                }
            }
            _ => out.extend([tree.clone()]),
        }
    }
    out
}
