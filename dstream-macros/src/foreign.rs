//! What is Rust, but no statement of a pipeline: it is reported once, for what it is, and left out.

use proc_macro2::{Delimiter, TokenTree};

use crate::{diag::Diags, parse::is_punct};

const CHOICE: &str = "a pipeline is the same in every run of the program: decide for each record inside a \
                      closure, or put `stream!(ssc, { .. })` into the";
const LOOP: &str = "the block is compiled once, and is no loop's body: loop inside a closure, or put \
                    `stream!(ssc, { .. })` into the";
const EXIT: &str = "the block names streams and is not run line by line: a last stream without `;` is \
                    published, and what is to stop the program stands outside";
const ITEM: &str = "only streams are named in a pipeline: write it outside of `stream!`";

/// Words that begin something else than a chain, and whether a block ends it.
const WORDS: [(&str, &str, bool); 21] = [
    ("if", CHOICE, true),
    ("match", CHOICE, true),
    ("for", LOOP, true),
    ("while", LOOP, true),
    ("loop", LOOP, true),
    ("return", EXIT, false),
    ("break", EXIT, false),
    ("continue", EXIT, false),
    ("fn", ITEM, true),
    ("struct", ITEM, true),
    ("enum", ITEM, true),
    ("union", ITEM, true),
    ("impl", ITEM, true),
    ("trait", ITEM, true),
    ("mod", ITEM, true),
    ("use", ITEM, false),
    ("const", ITEM, false),
    ("static", ITEM, false),
    ("type", ITEM, false),
    ("pub", ITEM, true),
    ("extern", ITEM, true),
];

/// Takes what is no statement of a pipeline from the front of `tokens`, as often as there is something, and
/// says so.
pub(crate) fn strip(mut tokens: Vec<TokenTree>, diags: &mut Diags) -> Vec<TokenTree> {
    loop {
        let end = match tokens.as_slice() {
            [TokenTree::Punct(mark), TokenTree::Group(list), ..]
                if mark.as_char() == '#' && list.delimiter() == Delimiter::Bracket =>
            {
                diags.error(
                    mark.span(),
                    "attributes such as `#[cfg(..)]` can't choose among the statements of a pipeline: put \
                     the attribute on a pipeline of its own, `stream!(ssc, { .. })`",
                );
                2
            }
            [TokenTree::Ident(name), TokenTree::Punct(mark), TokenTree::Group(_), rest @ ..]
                if mark.as_char() == '!' && !rest.first().is_some_and(|next| is_punct(next, '.')) =>
            {
                diags.error(
                    name.span(),
                    format_args!(
                        "found `{name}!`, which is no stream: the block is not run line by line, so put it \
                         before or after `stream!`, or into a closure, such as that of `inspect`"
                    ),
                );
                3
            }
            [TokenTree::Ident(word), second, ..] => {
                let Some((name, what, braces)) = WORDS.iter().find(|(name, ..)| word == name) else {
                    return tokens;
                };
                // A variable may have the name of a weak keyword.
                if *name == "union" && !matches!(second, TokenTree::Ident(_)) {
                    return tokens;
                }
                let end = if std::ptr::eq(*what, CHOICE) || std::ptr::eq(*what, LOOP) {
                    diags.error(word.span(), format_args!("found `{name}`: {what} `{name}`"));
                    control_end(&tokens)
                } else {
                    diags.error(word.span(), format_args!("found `{name}`: {what}"));
                    if *braces { braces_end(&tokens, 0) } else { tokens.len() }
                };
                end.min(tokens.len())
            }
            [TokenTree::Ident(word)] if ["return", "break", "continue"].iter().any(|exit| word == exit) => {
                diags.error(word.span(), format_args!("found `{word}`: {EXIT}"));
                1
            }
            _ => return tokens,
        };
        tokens.drain(..end);
    }
}

/// Behind the block of an `if` with all its `else`s, or of a loop.
fn control_end(tokens: &[TokenTree]) -> usize {
    let mut end = braces_end(tokens, 0);
    while tokens.get(end).is_some_and(|tree| matches!(tree, TokenTree::Ident(word) if word == "else")) {
        end = braces_end(tokens, end);
    }
    end
}

/// Behind the next braces, or everything.
fn braces_end(tokens: &[TokenTree], from: usize) -> usize {
    let braces = |tree: &TokenTree| matches!(tree, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
    tokens[from..].iter().position(braces).map_or(tokens.len(), |at| from + at + 1)
}
