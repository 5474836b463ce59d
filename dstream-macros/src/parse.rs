//! Tokens to [`Pipeline`]. Never fails as a whole: it gives what it could read, and errors.

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use syn::{
    Expr, Token,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

use crate::{
    ast::{Call, Chain, Pipeline, Setting, Statement},
    diag::Diags,
    foreign,
};

/// Reads `settings.., { statements }`.
pub(crate) fn parse(input: TokenStream, diags: &mut Diags) -> Pipeline {
    let mut pieces: Vec<Vec<TokenTree>> = split(input, ',');
    let mut pipeline = Pipeline {
        context: None,
        settings: Vec::new(),
        statements: Vec::new(),
        open: false,
        block: Span::call_site(),
    };
    let body = pieces.iter().rposition(|piece| block(piece).is_some());
    match body.and_then(|at| block(&pieces.remove(at)).cloned()) {
        Some(group) => {
            pipeline.block = group.span_open();
            pipeline.open = group.stream().into_iter().last().is_some_and(|tree| !is_punct(&tree, ';'));
            pipeline.statements = statements(group.stream(), diags);
        }
        None => diags.error(
            pieces.iter().flatten().last().map_or_else(Span::call_site, TokenTree::span),
            "expected the pipeline in braces: `stream!(batch = 1s, { .. })`",
        ),
    }
    for (at, piece) in pieces.into_iter().enumerate() {
        match setting(&piece) {
            Some(setting) => pipeline.settings.push(setting),
            None if at == 0 => pipeline.context = Some(piece.into_iter().collect()),
            None => diags.error_at(
                &piece.into_iter().collect::<TokenStream>(),
                "expected a setting such as `batch = 1s`, or the pipeline in braces",
            ),
        }
    }
    pipeline
}

/// Splits at a punctuation mark; empty pieces are left out.
fn split(tokens: TokenStream, mark: char) -> Vec<Vec<TokenTree>> {
    let mut pieces = vec![Vec::new()];
    for tree in tokens {
        match &tree {
            TokenTree::Punct(p) if p.as_char() == mark => pieces.push(Vec::new()),
            _ => {
                if let Some(piece) = pieces.last_mut() {
                    piece.push(tree);
                }
            }
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn block(piece: &[TokenTree]) -> Option<&Group> {
    match piece {
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

/// `name = value`, but not `name == value`.
fn setting(piece: &[TokenTree]) -> Option<Setting> {
    match piece {
        [TokenTree::Ident(name), TokenTree::Punct(eq), value @ ..]
            if eq.as_char() == '=' && eq.spacing() == Spacing::Alone =>
        {
            Some(Setting { name: name.clone(), value: value.iter().cloned().collect() })
        }
        _ => None,
    }
}

/// Reads the statements of a block; one that is broken does not take the next with it.
fn statements(tokens: TokenStream, diags: &mut Diags) -> Vec<Statement> {
    let pieces: Vec<_> =
        split(tokens, ';').into_iter().flat_map(|piece| split_at_let(piece, diags)).collect();
    let pieces =
        pieces.into_iter().map(|piece| (piece.is_empty(), foreign::strip(piece, diags))).collect::<Vec<_>>();
    let left = pieces.into_iter().filter(|(was_empty, piece)| *was_empty || !piece.is_empty());
    left.map(|(_, piece)| statement(piece, diags)).collect()
}

/// Where a `;` is missing before a `let`, there are two statements all the same.
fn split_at_let(piece: Vec<TokenTree>, diags: &mut Diags) -> Vec<Vec<TokenTree>> {
    let mut out: Vec<Vec<TokenTree>> = vec![Vec::new()];
    for tree in piece {
        if let Some(current) = out.last_mut() {
            // `if let`, `while let` and `&& let` are no statements.
            let condition =
                current.last().is_some_and(|t| is_ident(t, "if") || is_ident(t, "while") || is_punct(t, '&'));
            if !current.is_empty() && !condition && is_ident(&tree, "let") {
                // A dangling `.` before it is an error of its own.
                if !current.last().is_some_and(|t| is_punct(t, '.')) {
                    diags.error(tree.span(), "expected `;` before the next statement");
                }
                out.push(vec![tree]);
            } else {
                current.push(tree);
            }
        }
    }
    out
}

fn statement(tokens: Vec<TokenTree>, diags: &mut Diags) -> Statement {
    if let [TokenTree::Ident(name), TokenTree::Punct(eq), chain @ ..] = tokens.as_slice()
        && eq.as_char() == '='
        && eq.spacing() == Spacing::Alone
    {
        diags.error(name.span(), format_args!("a stream gets its name from `let`: write `let {name} = ..;`"));
        return Statement { bindings: Some(vec![name.clone()]), chain: self::chain(chain.to_vec(), diags) };
    }
    if !tokens.first().is_some_and(|t| is_ident(t, "let")) {
        return Statement { bindings: None, chain: chain(tokens, diags) };
    }
    let eq = tokens.iter().position(|t| is_punct(t, '='));
    let (pattern, rest) = match eq {
        Some(at) => (&tokens[1..at], &tokens[at + 1..]),
        None => (&tokens[1..], &tokens[..0]),
    };
    let bindings = bindings(pattern, diags);
    if rest.is_empty() || bindings.is_empty() {
        let last = if rest.is_empty() { tokens.last() } else { tokens.first() };
        diags.error(last.map_or_else(Span::call_site, TokenTree::span), "expected `let name = stream;`");
    }
    Statement { bindings: Some(bindings), chain: chain(rest.to_vec(), diags) }
}

/// `name`, or `(name, name)`.
fn bindings(pattern: &[TokenTree], diags: &mut Diags) -> Vec<Ident> {
    match pattern {
        [TokenTree::Ident(name)] => vec![name.clone()],
        [TokenTree::Ident(first), rest @ ..] if first == "mut" => {
            diags.error(first.span(), "a stream is never changed: remove `mut`");
            bindings(rest, diags)
        }
        [TokenTree::Ident(name), colon, ..] if is_punct(colon, ':') => {
            diags.error(colon.span(), "the type of a stream is inferred: remove the annotation");
            vec![name.clone()]
        }
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => {
            split(group.stream(), ',').iter().flat_map(|piece| bindings(piece, diags)).collect()
        }
        [] => Vec::new(),
        _ => {
            diags.error_at(
                &pattern.iter().cloned().collect::<TokenStream>(),
                "expected a name for the stream",
            );
            Vec::new()
        }
    }
}

/// `head.op(..).op(..)`.
pub(crate) fn chain(tokens: Vec<TokenTree>, diags: &mut Diags) -> Chain {
    let mut rest = loose_dots(tokens).into_iter().peekable();
    let mut head = Vec::new();
    let mut previous_dot = false;
    while let Some(tree) = rest.next_if(|t| previous_dot || !is_single_dot(t)) {
        // Of `..`, the second dot belongs to the first.
        previous_dot = !previous_dot && is_punct(&tree, '.');
        head.push(tree);
    }
    let mut chain = Chain { head: head.into_iter().collect(), calls: Vec::new(), dangling: false };
    while let Some(tree) = rest.next() {
        if !is_single_dot(&tree) {
            if is_punct(&tree, '?') {
                diags.error(
                    tree.span(),
                    "operators don't fail while a pipeline is built: remove the `?` here, and write one \
                     behind `stream!(..)`",
                );
                continue;
            }
            let left: TokenStream = std::iter::once(tree).chain(rest).collect();
            diags.error_at(&left, "expected `.` and an operator, or `;`");
            break;
        }
        let Some(name) = rest.next_if(|t| matches!(t, TokenTree::Ident(_))) else {
            diags.error(tree.span(), "expected an operator behind `.`");
            chain.dangling = true;
            break;
        };
        let TokenTree::Ident(name) = name else { break };
        if rest.peek().is_some_and(|t| is_punct(t, ':')) {
            diags
                .error(name.span(), format_args!("`{name}` takes no type arguments: the types are inferred"));
            rest.by_ref().take_while(|t| !is_punct(t, '>')).for_each(drop);
        }
        let paren =
            |t: &TokenTree| matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Parenthesis);
        let Some(TokenTree::Group(group)) = rest.next_if(paren) else {
            if name == "await" {
                diags.error(
                    name.span(),
                    "a pipeline is built without waiting: `.await` what is needed before `stream!`",
                );
                continue;
            }
            diags.error(name.span(), format_args!("expected arguments in parentheses: `{name}(..)`"));
            let close = name.span();
            let (tokens, args, options) = (TokenStream::new(), Vec::new(), Vec::new());
            chain.calls.push(Call { name, tokens, close, args, options, broken: true });
            continue;
        };
        chain.calls.push(call(name, &group, diags));
    }
    chain
}

/// Reads the arguments of an operator: expressions, and options as `name = expression`.
fn call(name: Ident, group: &Group, diags: &mut Diags) -> Call {
    let (tokens, close) = (group.stream(), group.span_close());
    let mut call = Call { name, tokens, close, args: Vec::new(), options: Vec::new(), broken: false };
    // Parsed with its parentheses: an argument that ends too soon is reported at the closing one.
    let arguments = |input: ParseStream<'_>| {
        let content;
        syn::parenthesized!(content in input);
        Punctuated::<Expr, Token![,]>::parse_terminated(&content)
    };
    match arguments.parse2(TokenTree::Group(group.clone()).into()) {
        Ok(args) => {
            for arg in args {
                match arg {
                    Expr::Assign(assign) => match &*assign.left {
                        Expr::Path(path) if path.path.get_ident().is_some() => {
                            let value = bare(*assign.right);
                            call.options.extend(path.path.get_ident().cloned().map(|name| (name, value)));
                        }
                        _ => call.args.push(Expr::Assign(assign)),
                    },
                    arg => call.args.push(bare(arg)),
                }
            }
        }
        Err(error) => {
            diags.syntax(error);
            call.broken = true;
        }
    }
    call
}

/// A closure without the parentheses around it.
fn bare(expr: Expr) -> Expr {
    match expr {
        Expr::Paren(paren) if matches!(*paren.expr, Expr::Closure(_) | Expr::Paren(_)) => bare(*paren.expr),
        expr => expr,
    }
}

fn is_ident(tree: &TokenTree, text: &str) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == text)
}

pub(crate) fn is_punct(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(p) if p.as_char() == mark)
}

/// In `x.;`, as while somebody is typing, the `.` is joined to the `;`: only that of `..` belongs to what is
/// behind it.
fn loose_dots(mut tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    for at in 0..tokens.len() {
        let range = tokens.get(at + 1).is_some_and(|next| is_punct(next, '.'));
        if let Some(TokenTree::Punct(dot)) = tokens.get_mut(at)
            && dot.as_char() == '.'
            && !range
        {
            let mut loose = Punct::new('.', Spacing::Alone);
            loose.set_span(dot.span());
            *dot = loose;
        }
    }
    tokens
}

/// A `.` that is not the first of `..`.
fn is_single_dot(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(p) if p.as_char() == '.' && p.spacing() == Spacing::Alone)
}
