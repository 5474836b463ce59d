//! The table of operators: one file each, under the same name as in the runtime.

mod collect_to;
mod count;
mod count_by_value;
mod filter;
mod flat_map;
mod foreach_rdd;
mod map;
mod map_values;
mod print;
mod reduce;
mod reduce_by_key;
mod union;

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use crate::{
    ast::Call,
    closure::{Applied, Scope, apply, local},
};

/// An operator: how it is called, and what it becomes.
pub(crate) struct OpSpec {
    pub(crate) name: &'static str,
    /// How it is called, for messages.
    pub(crate) usage: &'static str,
    pub(crate) args: &'static [Arg],
    /// How many of the last arguments may be left out.
    pub(crate) optional: usize,
    /// Its named options.
    pub(crate) options: &'static [&'static str],
    pub(crate) kind: Kind,
}

/// What an argument must be.
pub(crate) enum Arg {
    /// A closure, or something to call, with one of these numbers of arguments.
    Closure(&'static [usize]),
    /// A stream of the block, or a chain.
    Stream,
    /// Any expression.
    Value,
}

/// What an operator becomes in the expansion.
pub(crate) enum Kind {
    /// Part of the loop.
    Narrow(fn(&Op<'_>, Flow) -> Fused),
    /// Joins several loops into the sinks behind it.
    Union,
    /// Ends a stage and yields the records of another.
    Wide(Wide),
    /// Ends a stage for good.
    Output(Output),
}

/// An operator that needs the whole batch: a sink for each task, and a step that puts the sinks together.
pub(crate) struct Wide {
    /// An expression that is evaluated once, when the pipeline is built, and named `op.hoisted()`.
    pub(crate) hoist: fn(&Op<'_>) -> Option<TokenStream>,
    /// The sink of a task.
    pub(crate) sink: fn(&Op<'_>) -> TokenStream,
    /// Puts a record into `op.sink()`.
    pub(crate) push: fn(&Op<'_>, TokenStream) -> TokenStream,
    /// Whether it looks at the records at all.
    pub(crate) needs_record: bool,
    /// The finished step, of type `Step<Rdd<_>>`, from that of the tasks.
    pub(crate) finish: fn(&Op<'_>, TokenStream) -> TokenStream,
}

/// An operator that hands batches to the world.
pub(crate) struct Output {
    pub(crate) hoist: fn(&Op<'_>) -> Option<TokenStream>,
    pub(crate) sink: fn(&Op<'_>) -> TokenStream,
    /// Emits the batch `rdd` of `time`.
    pub(crate) emit: fn(&Op<'_>, rdd: &Ident, time: &Ident) -> TokenStream,
    /// For editors: which argument stands for one that was left out, and which view of the stream has the method.
    pub(crate) editor: fn(&Call) -> Editor,
}

/// How an editor should read a call whose overloads one method can't have.
#[derive(Default)]
pub(crate) struct Editor {
    pub(crate) default_args: TokenStream,
    pub(crate) view: Option<&'static str>,
}

/// One use of an operator in a pipeline.
pub(crate) struct Op<'a> {
    pub(crate) id: usize,
    pub(crate) call: &'a Call,
    /// The names that closures behind it, in the same loop, may take from outside the pipeline.
    pub(crate) taken: BTreeSet<String>,
    /// Where the operator is written, as an expression of type `OpMeta`.
    pub(crate) meta: TokenStream,
    /// The sink of a task on this way through the graph.
    pub(crate) sink: Ident,
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
            quote_spanned!(consumer => ::core::clone::Clone::clone(&#record))
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
    For(TokenStream),
}

impl Op<'_> {
    /// The span of glue around this operator: its errors point at its name, its locals stay apart from the user's.
    pub(crate) fn span(&self) -> Span {
        self.call.name.span().resolved_at(Span::mixed_site())
    }

    /// The record that this operator yields.
    pub(crate) fn out(&self) -> Flow {
        Flow { record: local("r", self.id, self.span()), moved: true }
    }

    /// What it holds between batches.
    pub(crate) fn hoisted(&self) -> Ident {
        local("h", self.id, self.span())
    }

    /// Applies the first argument to a record; what comes of it may borrow from the record.
    pub(crate) fn apply(&self, record: TokenStream) -> Applied {
        self.apply_in(record, Scope::Loop(&self.taken))
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

fn no_hoist(_: &Op<'_>) -> Option<TokenStream> {
    None
}

fn collect(op: &Op<'_>) -> TokenStream {
    quote_spanned!(op.span() => ::dstream::__private::Collect::new())
}

fn plain_editor(_: &Call) -> Editor {
    Editor::default()
}

/// All operators, in alphabetical order.
pub(crate) static OPS: [&OpSpec; 12] = [
    &collect_to::SPEC,
    &count::SPEC,
    &count_by_value::SPEC,
    &filter::SPEC,
    &flat_map::SPEC,
    &foreach_rdd::SPEC,
    &map::SPEC,
    &map_values::SPEC,
    &print::SPEC,
    &reduce::SPEC,
    &reduce_by_key::SPEC,
    &union::SPEC,
];

/// The operator of this name.
pub(crate) fn find(name: &Ident) -> Option<&'static OpSpec> {
    OPS.iter().find(|spec| name == spec.name).copied()
}
