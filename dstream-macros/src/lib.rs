//! The compiler behind `dstream::stream!`.
//!
//! `parse` reads the statements, `graph` connects them, `check` applies the rules that need the whole
//! pipeline, `share` finds what several operators would do alike, `stage` cuts the graph where data must be
//! complete, and `expand` writes one loop nest for each stage. Each phase is a function of what the one
//! before it gave; errors are gathered in one place and come out together. Before all of them, `groups` takes
//! away what a macro of the user has put around tokens.
//!
//! There is no I/O here, no global state, and no input on which it panics.

mod ast;
mod check;
mod closure;
mod common;
mod derive;
mod diag;
mod duration;
mod expand;
mod foreign;
mod graph;
mod groups;
mod names;
mod ops;
mod parse;
mod root;
mod stage;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

/// Compiles a pipeline into code that runs once a batch.
///
/// ```text
/// stream!(batch = 1s, name = "word-count", conf = Config::new(), { statements })
///     ->  Result<StreamingContext>
/// stream!(ssc, { statements })  ->  Result<StreamingContext>
/// stream!(batch = 1s, { statements; stream })
///     ->  Result<(StreamingContext, StreamHandle<T>)>
/// stream!(ssc, { statements; stream })                                           ->  Result<StreamHandle<T>>
/// ```
///
/// The first form makes a context, the second adds a pipeline to one that has not been started. A last stream
/// without `;` is published, as a `StreamHandle`: other pipelines of the context can start from it, and the
/// program can ask for its latest batches.
///
/// | setting | |
/// |---|---|
/// | `batch = 1s` | the batch interval: `500ms`, `1s`, `2min`, `1h`, or any expression of type `Duration` in whole milliseconds |
/// | `name = "..."` | the name of the application, for messages; where the pipeline is added to a context, its own name, of any type that is `Into<String>`: it comes before the names of all that a checkpoint has of it, as in `north/totals` |
/// | `checkpoint = ...` | where checkpoints are kept: the path of a directory, or a `CheckpointStore`. Operators with state need it |
/// | `forget = [...]` | the names of operators, sources and receivers whose part of the checkpoint may be let go |
/// | `conf = ...` | a `Config` |
/// | `crate = ::ds` | the path of this crate, where `Cargo.toml` renames it (`ds = { package = "dstream", .. }`) or another crate re-exports it. In place of it, `extern crate ds as dstream;` at the root of the program does for all pipelines |
///
/// A statement is `let name = chain;` or `chain;`. A chain starts at a stream of the block or at an
/// expression that is a source, goes on with operators, and ends, in a statement without `let`, with an
/// output. The operators are the methods of `DStream`. Where a source is built by methods of its own, put it
/// in parentheses: `(Source::new().option(1)).map(..)`.
#[proc_macro]
pub fn stream(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    compile(input.into()).into()
}

/// Implements `Record` for a struct or an enum, and, with `#[record(key)]`, `Key`.
///
/// The type may borrow from the block that its records are read from. It then gets an owned twin, under its
/// name with `Owned` at the end: the same fields, each in its owned form. That is what an `Rdd` and an output
/// are handed.
///
/// ```
/// use dstream::prelude::*;
///
/// #[derive(Record)]
/// struct Tweet<'a> {
///     user: &'a str,
///     likes: u64,
/// }
///
/// /// Groups tweets: looked up as it is, and owned only when it is new.
/// #[derive(Hash, Record)]
/// #[record(key)]
/// enum Topic<'a> {
///     Tag(&'a str),
///     Chatter,
/// }
///
/// fn parse(line: &str) -> Option<(Topic<'_>, Tweet<'_>)> {
///     let (user, text) = line.split_once(": ")?;
///     let topic = text.split(' ').find_map(|w| w.strip_prefix('#')).map_or(Topic::Chatter, Topic::Tag);
///     Some((topic, Tweet { user, likes: text.matches('!').count() as u64 }))
/// }
///
/// let best = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let lines = queue_stream(vec![vec!["ann: #rust!", "bob: hi", "cem: so #rust !!"]]);
///     let tweets = lines.flat_map(|line| parse(line));
///     tweets.reduce_by_key(|a, b| if a.likes < b.likes { b } else { a }).collect_to(&best);
/// })?;
/// ssc.run_batches(1)?;
///
/// let best: Vec<(TopicOwned, TweetOwned)> = best.values().concat();
/// let (_, tweet) = best.iter().find(|(topic, _)| *topic == TopicOwned::Tag("rust".into())).unwrap();
/// assert_eq!((tweet.user.as_str(), tweet.likes), ("cem", 2));
/// # Ok::<(), dstream::Error>(())
/// ```
///
/// | the type | its owned form | it must be |
/// |---|---|---|
/// | has no lifetimes | itself; its fields may be of any type | `Clone`, `Send`, `Sync` |
/// | has lifetimes | the twin, which is `Clone`, `Debug`, `Serialize` and `Deserialize` | of records |
///
/// Type parameters stand for owned data. A type that crosses a shuffle, as a value, too, and has no lifetimes
/// must be `Serialize` and `Deserialize`.
///
/// | option | |
/// |---|---|
/// | `#[record(key)]` | the type is a `Key`. It must be `Hash`, and, if it has no lifetimes, `PartialEq`, `Eq`, `Serialize` and `Deserialize`; derive all of them. A twin gets them by itself. |
/// | `#[record(owned = "Name")]` | the name of the twin |
/// | `#[record(derive(PartialEq, PartialOrd))]` | what else is derived for the twin |
/// | `#[record(crate = "::ds")]` | the path of this crate, as the setting `crate` of `stream!` |
///
/// A foreign type, which can't be told to be a record, becomes one in a struct of your own:
///
/// ```
/// use dstream::prelude::*;
/// use serde::{Deserialize, Serialize};
/// # use std::path::PathBuf as Uuid;
///
/// #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Record)]
/// #[record(key)]
/// struct Id(Uuid);
/// ```
#[proc_macro_derive(Record, attributes(record))]
pub fn record(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    derive::record(groups::unwrap(input.into())).into()
}

/// The whole compiler, as a pure function of tokens.
fn compile(input: TokenStream) -> TokenStream {
    let mut diags = diag::Diags::default();
    let pipeline = parse::parse(groups::unwrap(input), &mut diags);
    let graph = graph::build(&pipeline, &mut diags);
    check::check(&pipeline, &graph, &mut diags);
    names::check(&pipeline, &graph, &mut diags);
    let root = root::of(&pipeline, &mut diags);
    let code = expand::expand(&pipeline, &graph, diags);
    match root {
        Some(root) => root::replace(code, &root),
        None => code,
    }
}
