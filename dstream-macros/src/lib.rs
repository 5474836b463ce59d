//! The compiler behind `dstream::stream!`.
//!
//! `parse` reads the statements, `graph` connects them, `check` applies the rules that need the whole pipeline,
//! `stage` cuts the graph where data must be complete, and `expand` writes one loop nest for each stage. Each
//! phase is a function of what the one before it gave; errors are gathered in one place and come out together.
//!
//! There is no I/O here, no global state, and no input on which it panics.

mod ast;
mod check;
mod closure;
mod diag;
mod duration;
mod expand;
mod graph;
mod ops;
mod parse;
mod stage;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

/// Compiles a pipeline into code that runs once a batch.
///
/// ```text
/// stream!(batch = 1s, name = "word-count", conf = Config::new(), { statements })  ->  Result<StreamingContext>
/// stream!(ssc, { statements })                                                   ->  Result<StreamingContext>
/// ```
///
/// The first form makes a context, the second adds a pipeline to one that has not been started.
///
/// | setting | |
/// |---|---|
/// | `batch = 1s` | the batch interval: `500ms`, `1s`, `2min`, `1h`, or any expression of type `Duration` in whole milliseconds |
/// | `name = "..."` | how log lines name the context |
/// | `conf = ...` | a `Config` |
///
/// A statement is `let name = chain;` or `chain;`. A chain starts at a stream of the block or at an expression that is
/// a source, goes on with operators, and ends, in a statement without `let`, with an output. The operators are the methods of
/// `DStream`. Where a source is built by methods of its own, put it in parentheses: `(Source::new().option(1)).map(..)`.
#[proc_macro]
pub fn stream(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    compile(input.into()).into()
}

/// The whole compiler, as a pure function of tokens.
fn compile(input: TokenStream) -> TokenStream {
    let mut diags = diag::Diags::default();
    let pipeline = parse::parse(input, &mut diags);
    let graph = graph::build(&pipeline, &mut diags);
    check::check(&pipeline, &graph, &mut diags);
    expand::expand(&pipeline, &graph, diags)
}
