//! A pipeline as written: the user's tokens, with their spans, in the order of the source.

use proc_macro2::{Ident, Span, TokenStream};
use syn::Expr;

/// `stream!(settings.., { statements })`.
pub(crate) struct Pipeline {
    /// The expression in `stream!(ssc, { .. })`.
    pub(crate) context: Option<TokenStream>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) statements: Vec<Statement>,
    /// The last statement has no `;` behind it.
    pub(crate) open: bool,
    /// The opening brace of the block, or the best place to speak of a block that is not there.
    pub(crate) block: Span,
}

/// `batch = 1s`.
pub(crate) struct Setting {
    pub(crate) name: Ident,
    pub(crate) value: TokenStream,
}

/// `let name = chain;` or `chain;`.
pub(crate) struct Statement {
    /// The names of a `let`; `None` without one.
    pub(crate) bindings: Option<Vec<Ident>>,
    pub(crate) chain: Chain,
}

/// `head.op(..).op(..)`.
pub(crate) struct Chain {
    pub(crate) head: TokenStream,
    pub(crate) calls: Vec<Call>,
    /// A `.` with nothing behind it, as while somebody is typing.
    pub(crate) dangling: bool,
}

/// `.name(args)`.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) name: Ident,
    /// The tokens between the parentheses.
    pub(crate) tokens: TokenStream,
    /// From the name to the closing parenthesis.
    pub(crate) close: Span,
    pub(crate) args: Vec<Expr>,
    pub(crate) options: Vec<(Ident, Expr)>,
    /// The arguments did not parse; the error is reported.
    pub(crate) broken: bool,
}

impl Call {
    /// The value of a named option.
    pub(crate) fn option(&self, name: &str) -> Option<&Expr> {
        self.options.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

impl Chain {
    /// The head, if it is a single name.
    pub(crate) fn head_name(&self) -> Option<Ident> {
        syn::parse2(self.head.clone()).ok()
    }
}
