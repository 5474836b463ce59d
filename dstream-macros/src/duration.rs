//! Durations as the macro reads them: `500ms`, `1s`, `2min`, `1h`, or an expression of type `Duration`.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Expr, ExprLit, Lit};

use crate::diag::{Diags, span_of};

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const HINT: &str =
    "write a number with its unit: `500ms`, `1s`, `2min`, `1h`, or an expression of type `Duration`";

/// The expression of type `Duration` that `value` stands for. Literals are checked here, the rest by its
/// type.
pub(crate) fn duration(value: &TokenStream, diags: &mut Diags) -> TokenStream {
    match syn::parse2::<Expr>(value.clone()) {
        Ok(value) => {
            check(&value, diags);
            tokens(&value)
        }
        Err(error) => {
            diags.syntax(error);
            TokenStream::new()
        }
    }
}

/// Reports a literal that is no duration.
pub(crate) fn check(value: &Expr, diags: &mut Diags) {
    if let Expr::Lit(ExprLit { lit, .. }) = value
        && let Err(message) = millis(lit)
    {
        diags.error_at(value, message);
    }
}

/// The expression of type `Duration` that a checked value stands for.
pub(crate) fn tokens(value: &Expr) -> TokenStream {
    let span = span_of(value).resolved_at(Span::mixed_site());
    match literal(value) {
        Some(millis) => quote_spanned!(span => ::core::time::Duration::from_millis(#millis)),
        None => quote_spanned!(span => { let __ds_d: ::core::time::Duration = #value; __ds_d }),
    }
}

/// The milliseconds of an expression that is a suffixed literal.
pub(crate) fn literal(value: &Expr) -> Option<u64> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => millis(lit).ok(),
        _ => None,
    }
}

/// The milliseconds of a suffixed literal.
fn millis(lit: &Lit) -> Result<u64, String> {
    let (digits, suffix) = match lit {
        Lit::Int(lit) => (lit.base10_digits().to_owned(), lit.suffix()),
        Lit::Float(lit) => (lit.base10_digits().to_owned(), lit.suffix()),
        _ => return Err(format!("this is not a duration: {HINT}")),
    };
    if suffix.is_empty() {
        return Err(format!("`{digits}` has no unit: {HINT}"));
    }
    let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == suffix) else {
        return Err(format!("`{suffix}` is not a unit of time: {HINT}"));
    };
    let number: f64 = digits.parse().map_err(|_| format!("`{digits}` is not a number: {HINT}"))?;
    let millis = number * *unit as f64;
    // Up to 2^53 ms every whole number is exact in an f64.
    if !(1.0..9e15).contains(&millis) || millis.fract() != 0.0 {
        return Err(format!("`{digits}{suffix}` is not a whole number of milliseconds of at least 1"));
    }
    Ok(millis as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<u64, String> {
        millis(&syn::parse_str(text).map_err(|e| e.to_string())?)
    }

    #[test]
    fn reads_the_units() {
        for (text, expected) in
            [("500ms", 500), ("1s", 1_000), ("2min", 120_000), ("1h", 3_600_000), ("1.5s", 1_500)]
        {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["1", "0s", "0.5ms", "1sec", "1u64", "\"1s\"", "true", "99999999999999999999h"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
