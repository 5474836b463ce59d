//! What a user's `macro_rules!` hands on as `$e:expr`, `$t:ty`, `$b:block` and the like comes in a group
//! without delimiters.
//!
//! It is taken out of the group before anything is parsed, so that it reads as if it stood there. The
//! compiler forgets such groups in what a macro returns, and the precedence that they stand for: `$a * 2`
//! with `1 + 1` would be `1 + 1 * 2`. So an expression that could mix with its neighbours gets parentheses in
//! their place.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::Expr;

/// The tokens without groups that have no delimiters.
pub(crate) fn unwrap(tokens: TokenStream) -> TokenStream {
    let mut out = TokenStream::new();
    for tree in tokens {
        let TokenTree::Group(group) = tree else {
            out.extend([tree]);
            continue;
        };
        let inner = unwrap(group.stream());
        match group.delimiter() {
            Delimiter::None if stands_alone(&inner) => out.extend(inner),
            delimiter => {
                let delimiter = match delimiter {
                    Delimiter::None => Delimiter::Parenthesis,
                    visible => visible,
                };
                let mut unwrapped = Group::new(delimiter, inner);
                unwrapped.set_span(group.span());
                out.extend([TokenTree::Group(unwrapped)]);
            }
        }
    }
    out
}

/// Whether tokens mean the same whatever stands beside them. What is no expression (a type, a pattern) does:
/// what can stand beside it is in brackets of some kind.
fn stands_alone(tokens: &TokenStream) -> bool {
    if tokens.clone().into_iter().nth(1).is_none() {
        return true;
    }
    match syn::parse2::<Expr>(tokens.clone()) {
        Ok(
            Expr::Array(_)
            | Expr::Await(_)
            | Expr::Call(_)
            | Expr::Field(_)
            | Expr::Index(_)
            | Expr::Let(_)
            | Expr::Lit(_)
            | Expr::Macro(_)
            | Expr::MethodCall(_)
            | Expr::Path(_)
            | Expr::Try(_)
            | Expr::Verbatim(_),
        )
        | Err(_) => true,
        Ok(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn hidden(tokens: TokenStream) -> TokenTree {
        Group::new(Delimiter::None, tokens).into()
    }

    #[test]
    fn what_stands_alone_loses_its_group() {
        for tokens in [
            quote!(1s),
            quote!(lines),
            quote!({
                lines.print();
            }),
            quote!(lines.map(|x| x + 1)),
            quote!(std::net::IpAddr),
            quote!(Vec<&'static str>),
            quote!(vec![1, 2]),
        ] {
            let group = hidden(hidden(tokens.clone()).into());
            assert_eq!(unwrap(quote!(f(#group))).to_string(), quote!(f(#tokens)).to_string());
        }
    }

    #[test]
    fn what_could_mix_with_its_neighbours_gets_parentheses() {
        for tokens in [
            quote!(1 + 2),
            quote!(-1),
            quote!(|x| x + 1),
            quote!(n as u64),
            quote!(if a { 1 } else { 2 }),
            quote!(Point { x: 1 }),
            quote!(&str),
        ] {
            let group = hidden(tokens.clone());
            assert_eq!(unwrap(quote!(a * #group)).to_string(), quote!(a * (#tokens)).to_string());
        }
    }
}
