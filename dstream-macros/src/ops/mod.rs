//! The table of operators: one file each, under the same name as in the runtime.

mod cache;
mod cogroup;
mod collect_to;
mod combine_by_key;
mod count;
mod count_by_value;
mod count_by_value_and_window;
mod count_by_window;
pub(crate) mod dashboard;
mod distinct;
mod filter;
mod filter_map;
mod flat_map;
mod flat_map_values;
mod foreach_partition;
mod foreach_rdd;
mod foreach_rdd_async;
mod glom;
mod group_by_key;
mod group_by_key_and_window;
mod inspect;
mod join;
mod keys;
mod map;
mod map_partitions;
mod map_values;
mod map_with_state;
mod named;
mod predict_on;
mod print;
mod publish;
mod reduce;
mod reduce_by_key;
mod reduce_by_key_and_window;
mod reduce_by_window;
mod repartition;
mod sample;
mod save;
mod sort_by;
mod split;
mod top;
mod top_by_key;
mod train_on;
mod transform;
mod union;
mod update_state_by_key;
mod values;
mod window;
mod words;
mod write_to;
mod zip_with_index;

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;

use crate::{
    ast::Call,
    closure::{Applied, Scope, apply, arity, callable, mixed_site_ident},
};

/// The specification of an operator: how it is called, and what it expands to.
pub(crate) struct OpSpec {
    pub(crate) name: &'static str,
    /// The form of a call, for messages.
    pub(crate) usage: &'static str,
    /// Its overloads, which differ in the number of arguments.
    pub(crate) forms: &'static [&'static [Arg]],
    /// Its named options.
    pub(crate) options: &'static [&'static str],
    pub(crate) kind: Kind,
    /// How the editor view writes a call whose overloads one method can't have.
    pub(crate) editor: fn(&Call) -> Editor,
}

impl OpSpec {
    /// What argument number `at` of `count` must be; `None` if no form has so many.
    pub(crate) fn arg(&self, at: usize, count: usize) -> Option<&'static Arg> {
        let form = self.forms.iter().find(|form| form.len() == count);
        form.and_then(|form| form.get(at)).or(self.variadic().then_some(&Arg::Streams))
    }

    /// Whether it takes `count` arguments.
    pub(crate) fn takes(&self, count: usize) -> bool {
        self.forms.iter().any(|form| form.len() == count) || self.variadic() && count > 0
    }

    /// The argument of this kind, and its place.
    pub(crate) fn find<'a>(&self, call: &'a Call, wanted: fn(&Arg) -> bool) -> Option<&'a syn::Expr> {
        let at = (0..call.args.len()).find(|at| self.arg(*at, call.args.len()).is_some_and(wanted));
        at.and_then(|at| call.args.get(at))
    }

    /// What it keeps between batches when it is called like this.
    pub(crate) fn keeps(&self, call: &Call) -> Keeps {
        let closures = call.args.iter().enumerate();
        let closures =
            closures.filter(|(at, _)| matches!(self.arg(*at, call.args.len()), Some(Arg::Closure(_))));
        match &self.kind {
            // With an inverse, a window's result is made of the one before: it is state.
            Kind::Wide(Wide { keeps: Keeps::Window, .. }) if closures.count() > 1 => Keeps::State,
            Kind::Wide(wide) => wide.keeps,
            _ => Keeps::Nothing,
        }
    }

    /// Whether its result is a `Step<StateView<_, _>>`, of which stages borrow, and not a `Step<Rdd<_>>`.
    pub(crate) fn yields_view(&self) -> bool {
        matches!(&self.kind, Kind::Wide(Wide { keeps: Keeps::State, .. } | Wide { reads: Reads::View, .. }))
    }

    /// Whether its result is a join, whose matches are not enumerated yet.
    pub(crate) fn is_join(&self) -> bool {
        matches!(&self.kind, Kind::Wide(Wide { reads: Reads::JoinSides(_), .. }))
    }

    /// Whether a batch is run for it, also if nothing reads its result.
    pub(crate) fn acts(&self) -> bool {
        self.is_output() || matches!(&self.kind, Kind::Wide(Wide { keeps: Keeps::Model, .. }))
    }

    /// Whether nothing can follow it.
    pub(crate) fn is_output(&self) -> bool {
        matches!(&self.kind, Kind::Output(_))
    }

    /// Whether its result has a slide of its own.
    pub(crate) fn is_window(&self) -> bool {
        matches!(&self.kind, Kind::Wide(Wide { keeps: Keeps::Window, .. }))
    }

    /// Whether it takes any number of streams.
    pub(crate) fn variadic(&self) -> bool {
        matches!(self.forms, [[Arg::Streams]])
    }

    /// How many arguments it takes, in words.
    pub(crate) fn arity(&self) -> String {
        let counts: Vec<String> = self.forms.iter().map(|form| form.len().to_string()).collect();
        match counts.as_slice() {
            _ if self.variadic() => "at least 1 argument".to_owned(),
            [one] if one == "0" => "no arguments".to_owned(),
            [one] if one == "1" => "1 argument".to_owned(),
            several => format!("{} arguments", several.join(" or ")),
        }
    }
}

/// What an argument must be.
pub(crate) enum Arg {
    /// A closure, or something to call, with one of these numbers of arguments.
    Closure(&'static [usize]),
    /// A stream of the block, or a chain.
    Stream,
    /// Streams, one or more: only as the last.
    Streams,
    /// The length of a window: a duration.
    Length,
    /// How far a window slides: a duration.
    Slide,
    /// Any expression.
    Value,
}

/// What an operator becomes in the expansion.
pub(crate) enum Kind {
    /// Part of the loop.
    Narrow(fn(&Op<'_>, Flow) -> Fused, BlockAccess),
    /// Passes the records of its inputs through: several loops then end in the sinks downstream of it. The
    /// code is put where the pipeline is built.
    PassThrough(fn(&Op<'_>) -> TokenStream),
    /// Needs a whole batch: it ends a stage, and its result is the root of another one.
    Wide(Wide),
    /// Ends a stage, and has no result.
    Output(Output),
}

/// How a narrow operator reads a block, if nothing else does.
pub(crate) enum BlockAccess {
    Records,
    /// Contiguous lines may come as one text, which is then divided into lines and words in one pass.
    Texts,
    /// Records that do not contain this, a string literal, may be left out. All records if it is `None`.
    RecordsWith(fn(&Op<'_>) -> Option<LitStr>),
}

/// A wide operator, which needs the whole batch.
pub(crate) struct Wide {
    pub(crate) keeps: Keeps,
    /// What it keeps, as an expression that is evaluated once, when the pipeline is built, and named
    /// `op.kept()`.
    pub(crate) keep: Option<fn(&Op<'_>) -> TokenStream>,
    /// An expression that is evaluated once, when the pipeline is built, and named `op.hoisted()`.
    pub(crate) hoist: fn(&Op<'_>) -> Option<TokenStream>,
    pub(crate) reads: Reads,
    /// The finished step, of type `Step<Rdd<_>>`, [a view](OpSpec::yields_view) or [both
    /// sides](Reads::JoinSides) of a join, from a step of each input, as [`Reads`] has it.
    pub(crate) finish: fn(&Op<'_>, &[TokenStream]) -> TokenStream,
}

/// What an operator keeps between batches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Nothing,
    /// The batches of a window: the result has the window's slide. `op.window()` is its `WindowSpec`.
    Window,
    /// State that only a checkpoint can save. Its result is a view of it.
    State,
    /// State whose snapshots are a second stream: `let (events, snapshots) = ..`.
    Snapshots,
    /// A model, which others read, too: it learns also where nothing depends on its result.
    Model,
}

/// How a wide operator reads its inputs.
pub(crate) enum Reads {
    /// Record by record, into a sink for each task; then the step of the tasks, or what [`Sink::join`] makes
    /// of it.
    Records(Sink),
    /// The two sides of a join, record by record. The result is a `Step<Joined<_, _, _, _>>`, whose matches
    /// its consumer enumerates.
    JoinSides(Sink),
    /// The batch as `Step<Rdd<_>>`.
    Whole,
    /// The state of the operator that it reads, as `Step<StateView<_, _>>`.
    View,
}

impl Reads {
    /// The sink of each task, if it takes its inputs record by record.
    pub(crate) fn sink(&self) -> Option<&Sink> {
        match self {
            Reads::Records(sink) | Reads::JoinSides(sink) => Some(sink),
            Reads::Whole | Reads::View => None,
        }
    }
}

pub(crate) struct Sink {
    /// The sink of a task.
    pub(crate) new: fn(&Op<'_>) -> TokenStream,
    /// Puts a record into `op.sink`.
    pub(crate) push: fn(&Op<'_>, TokenStream) -> TokenStream,
    /// Whether it looks at the records at all.
    pub(crate) needs_record: bool,
    /// The finished step from an input that is there as a whole, be it an `Rdd` or a view, if that is less
    /// work.
    pub(crate) of_whole: Option<fn(&Op<'_>, &Ident) -> TokenStream>,
    /// How the sinks of all tasks are merged, if operators can share the result.
    pub(crate) join: Option<Join>,
}

/// The merge of the sinks of all tasks. Operators on the same stream with equal merges share the sinks and
/// the result.
pub(crate) struct Join {
    /// Merges of one kind with the same closures are equal.
    pub(crate) kind: &'static str,
    /// How many arguments, from the first on, are closures that the sinks or this use.
    pub(crate) closures: usize,
    /// The step of the whole batch, from that of the tasks.
    pub(crate) step: fn(&Op<'_>, &[TokenStream]) -> TokenStream,
}

/// An output, which passes batches to other systems.
pub(crate) struct Output {
    pub(crate) hoist: fn(&Op<'_>) -> Option<TokenStream>,
    pub(crate) sink: fn(&Op<'_>) -> TokenStream,
    /// Whether it looks at every record; else its sink keeps only what it needs.
    pub(crate) whole: bool,
    /// Emits the records `rdd` of the batch `batch`. It may be called several times for a batch.
    pub(crate) emit: fn(&Op<'_>, rdd: &Ident, batch: &Ident) -> TokenStream,
}

/// The options of every output.
const OUTPUT_OPTIONS: [&str; 2] = ["on_error", "retry"];

/// What stands, for an editor, behind the arguments of a call, and which view of the stream has the method.
#[derive(Default)]
pub(crate) struct Editor {
    pub(crate) default_args: TokenStream,
    pub(crate) view: Option<&'static str>,
}

/// One use of an operator in a pipeline.
pub(crate) struct Op<'a> {
    pub(crate) id: usize,
    pub(crate) call: &'a Call,
    /// The names that downstream closures in the same loop may capture from outside the pipeline.
    pub(crate) reserved_names: BTreeSet<String>,
    /// Where the operator is written, as an expression of type `OpMeta`.
    pub(crate) meta: TokenStream,
    /// The sink of a task on this path through the graph, and the input that it belongs to.
    pub(crate) sink: Ident,
    pub(crate) port: usize,
}

/// A record inside a loop.
#[derive(Clone)]
pub(crate) struct Flow {
    pub(crate) record: Ident,
    /// Whether this consumer is the last and may move the record.
    pub(crate) moved: bool,
}

impl Flow {
    /// The record as a value of its consumer: errors point there.
    pub(crate) fn value(&self, consumer: Span) -> TokenStream {
        let record = self.at(consumer);
        if self.moved {
            quote!(#record)
        } else {
            quote_spanned!(consumer => ::dstream::__private::Several::another(&#record))
        }
    }

    /// The record as its consumer names it.
    pub(crate) fn at(&self, consumer: Span) -> Ident {
        let mut record = self.record.clone();
        record.set_span(consumer);
        record
    }
}

/// A narrow operator as part of a loop: statements, then perhaps something to nest the rest in.
pub(crate) struct Fused {
    pub(crate) before: TokenStream,
    pub(crate) nest: Nest,
    /// The records of the operator.
    pub(crate) out: Flow,
}

pub(crate) enum Nest {
    None,
    If(TokenStream),
    /// For each item of an expression; the code binds the record.
    For {
        item: Ident,
        items: TokenStream,
        bind: TokenStream,
    },
}

impl Op<'_> {
    /// The span of glue around this operator: its errors point at its name, its locals stay apart from the
    /// user's.
    pub(crate) fn span(&self) -> Span {
        self.call.name.span().resolved_at(Span::mixed_site())
    }

    /// The record that this operator yields.
    pub(crate) fn out(&self) -> Flow {
        Flow { record: mixed_site_ident("r", self.id, self.span()), moved: true }
    }

    /// The `WindowSpec` of a window.
    pub(crate) fn window(&self) -> Ident {
        mixed_site_ident("w", self.id, self.span())
    }

    /// What it keeps between batches.
    pub(crate) fn kept(&self) -> Ident {
        mixed_site_ident("kept", self.id, self.span())
    }

    /// The same, until it is told how to convert what an older program has kept.
    pub(crate) fn kept_before(&self) -> Ident {
        mixed_site_ident("old", self.id, self.span())
    }

    /// The `OutputPolicy` of an output.
    pub(crate) fn policy(&self) -> Ident {
        mixed_site_ident("policy", self.id, self.span())
    }

    /// What it needs of every batch.
    pub(crate) fn hoisted(&self) -> Ident {
        mixed_site_ident("h", self.id, self.span())
    }

    /// Applies the first argument to a record; what comes of it may borrow from the record.
    pub(crate) fn apply(&self, record: TokenStream) -> Applied {
        self.apply_in(record, Scope::Loop(&self.reserved_names))
    }

    /// Applies the first argument to a record.
    pub(crate) fn apply_in(&self, record: TokenStream, scope: Scope<'_>) -> Applied {
        match self.call.args.first() {
            Some(f) => apply(f, record, scope, self.span()),
            None => Applied { before: TokenStream::new(), value: record },
        }
    }
}

/// `builder.partitions(..)` for the option `partitions`.
fn partitions(op: &Op<'_>) -> Option<TokenStream> {
    let (span, place) = (op.span(), &op.meta);
    let asked = match op.call.option("partitions") {
        Some(n) => quote_spanned!(span => ::core::option::Option::Some(#n)),
        None => quote_spanned!(span => ::core::option::Option::None),
    };
    Some(quote_spanned!(span => __ds_builder.partitions(#asked, &#place)))
}

/// The closure given as a named option, or `default`.
fn option_or(op: &Op<'_>, name: &str, default: TokenStream) -> TokenStream {
    op.call.option(name).map(callable).unwrap_or(default)
}

fn no_hoist(_: &Op<'_>) -> Option<TokenStream> {
    None
}

/// Finishes an operator whose result is there already: what the tasks were put together to, or a view.
fn unchanged(_: &Op<'_>, step: &[TokenStream]) -> TokenStream {
    quote!(#(#step)*)
}

/// The sink that keeps every record.
pub(crate) fn collect(op: &Op<'_>) -> TokenStream {
    quote_spanned!(op.span() => ::dstream::__private::Collect::new())
}

fn plain_editor(_: &Call) -> Editor {
    Editor::default()
}

/// For operators whose closure may take the batch's time as one more argument than `without`.
fn timed(call: &Call, at: usize, without: usize) -> bool {
    call.args.get(at).and_then(arity) == Some(without + 1)
}

/// `|first, .., time| f(first, ..)`, or with the time, whichever the user's closure takes.
fn with_time(op: &Op<'_>, at: usize, inputs: &[&str]) -> TokenStream {
    let span = op.span();
    let names: Vec<Ident> = inputs.iter().map(|name| Ident::new(name, span)).collect();
    let f = op.call.args.get(at).map(callable);
    let time = timed(op.call, at, inputs.len()).then(|| quote_spanned!(span => __ds_time,));
    let call = Ident::new(["call", "call2", "call3"][inputs.len() - 1 + usize::from(time.is_some())], span);
    quote_spanned!(span => |#(#names,)* __ds_time| ::dstream::__private::#call(#(#names,)* #time #f))
}

/// All operators, in alphabetical order.
pub(crate) static OPS: &[&OpSpec] = &[
    &cache::CACHE,
    &cogroup::SPEC,
    &collect_to::SPEC,
    &combine_by_key::SPEC,
    &count::SPEC,
    &count_by_value::SPEC,
    &count_by_value_and_window::SPEC,
    &count_by_window::SPEC,
    &dashboard::SPEC,
    &distinct::SPEC,
    &filter::SPEC,
    &filter_map::SPEC,
    &flat_map::SPEC,
    &flat_map_values::SPEC,
    &foreach_partition::SPEC,
    &foreach_rdd::SPEC,
    &foreach_rdd_async::SPEC,
    &join::FULL_OUTER,
    &glom::SPEC,
    &group_by_key::SPEC,
    &group_by_key_and_window::SPEC,
    &inspect::SPEC,
    &join::INNER,
    &keys::SPEC,
    &join::LEFT_OUTER,
    &map::SPEC,
    &map_partitions::SPEC,
    &map_values::SPEC,
    &map_with_state::SPEC,
    &named::SPEC,
    &cache::PERSIST,
    &predict_on::PREDICT_ON,
    &predict_on::PREDICT_ON_VALUES,
    &print::SPEC,
    &reduce::SPEC,
    &reduce_by_key::SPEC,
    &reduce_by_key_and_window::SPEC,
    &reduce_by_window::SPEC,
    &repartition::SPEC,
    &join::RIGHT_OUTER,
    &sample::SPEC,
    &save::HADOOP,
    &save::OBJECTS,
    &save::TEXT,
    &sort_by::SPEC,
    &split::SPEC,
    &top::SPEC,
    &top_by_key::SPEC,
    &train_on::SPEC,
    &transform::TRANSFORM,
    &transform::WITH,
    &union::SPEC,
    &update_state_by_key::SPEC,
    &values::SPEC,
    &window::SPEC,
    &words::SPEC,
    &write_to::SPEC,
    &zip_with_index::SPEC,
];

pub(crate) use map_with_state::SNAPSHOTS;
pub(crate) use named::SPEC as NAMED;
pub(crate) use publish::SPEC as PUBLISH;

/// The operator of this name.
pub(crate) fn find(name: &Ident) -> Option<&'static OpSpec> {
    OPS.iter().find(|spec| name == spec.name).copied()
}

/// What does the same as an operator that other libraries have, and iterators.
pub(crate) fn instead(name: &str) -> Option<&'static str> {
    const INSTEAD: [(&[&str], &str); 21] = [
        (
            &["for_each", "foreach", "subscribe", "sink", "add_sink"],
            "an output is `foreach_rdd(|rdd| ..)`, or, a partition at a time, `foreach_partition(..)`",
        ),
        (
            &["collect", "to_vec"],
            "the records of each batch are kept by `collect_to(&out)`, with `let out = Collected::new();` \
             above `stream!`",
        ),
        (&["sum", "product"], "write `reduce(|a, b| a + b)`"),
        (
            &["max", "min", "max_by_key", "min_by_key"],
            "write `reduce(|a, b| ..)` with what is to be kept of two, or `top(1)`",
        ),
        (
            &["fold", "aggregate"],
            "write `map(..)` and `reduce(|a, b| ..)`; over all batches, `update_state_by_key(..)`",
        ),
        (&["fold_by_key", "aggregate_by_key"], "write `combine_by_key(..)` or `reduce_by_key(..)`"),
        (
            &["group_by", "key_by", "keyed_by"],
            "map the records to pairs first: `map(|record| (key, record)).group_by_key()`",
        ),
        (&["count_by_key"], "write `keys().count_by_value()`"),
        (&["flatten"], "write `flat_map(|records| records)`"),
        (&["enumerate"], "write `zip_with_index()`"),
        (
            &["sort", "sort_by_key", "sorted", "order_by"],
            "write `sort_by(|record| key)`, or, if few are wanted, `top(n)`",
        ),
        (&["dedup", "unique"], "write `distinct()`"),
        (&["chain", "merge", "concat", "concatenate"], "write `union(other)`"),
        (
            &["take", "limit", "head"],
            "the first records of a batch are in no order: write `top(n)`, or `transform(..)`",
        ),
        (&["scan", "stateful_map"], "write `map_with_state(..)` or `update_state_by_key(..)`, over pairs"),
        (
            &["tumbling_window", "sliding_window", "time_window"],
            "write `window(length, slide)`, for example `window(10s, 5s)`",
        ),
        (&["unwrap", "expect"], "a stream is no `Result`: handle the `Result` behind `stream!(..)`"),
        (&["clone", "to_owned"], "a stream can be used several times as it is: remove it"),
        (&["iter", "into_iter", "par_iter"], "operators are called on the stream itself: remove it"),
        (&["await_termination", "start", "stop"], "it is a method of the context, which `stream!(..)` gives"),
        (
            &["dedup_by_key", "distinct_by"],
            "map the records to pairs and keep one of two: `map(|r| (key, r)).reduce_by_key(|a, _| \
             a).values()`",
        ),
    ];
    INSTEAD.iter().find(|(names, _)| names.contains(&name)).map(|(_, instead)| *instead)
}
