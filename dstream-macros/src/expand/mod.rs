//! Writes the expansion: what is hoisted, one function a batch, and the copy for editors.

pub(crate) mod captures;
mod fuse;
mod ide;
mod plan;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

use crate::{
    ast::{Call, Pipeline},
    closure::{mixed_site_ident, moved},
    common,
    diag::Diags,
    duration::{self, duration},
    graph::{Graph, Node, NodeId, NodeKind},
    names,
    ops::{Arg, Keeps, Kind, Op, OpSpec, Reads, Wide},
    stage::{self, Stage, Yields},
};

/// The tokens that `stream!` is replaced by. Its type is `Result<StreamingContext>`, also after an error.
pub(crate) fn expand(pipeline: &Pipeline, graph: &Graph, mut diags: Diags) -> TokenStream {
    let site = Span::mixed_site();
    let builder = builder(pipeline, &mut diags);
    let code =
        if diags.is_empty() { program(pipeline, graph, &builder) } else { not_compiled(pipeline, graph) };
    let copy = ide::copy(pipeline, graph.publishes);
    let select = ide::select(&copy, &code);
    let errors = diags.to_tokens();
    // The user's tokens come before any error, so that they stand at the same offset with and without one.
    quote_spanned!(site => {
        // The lint looks for its level at the statement around a `cfg`, not at the item under it.
        #[allow(unexpected_cfgs)]
        let __ds_value = { #select };
        #errors
        __ds_value
    })
}

/// Stands for a pipeline with an error. The sources are named, so that their imports do not seem to be
/// unused.
fn not_compiled(pipeline: &Pipeline, graph: &Graph) -> TokenStream {
    let sources = graph.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Source { expr, .. } if expr.clone().into_iter().count() > 1 => Some(expr),
        _ => None,
    });
    let value = match (graph.publishes, &pipeline.context) {
        (false, _) => quote!(::dstream::StreamingContext),
        (true, None) => quote!((::dstream::StreamingContext, ::dstream::StreamHandle<()>)),
        (true, Some(_)) => quote!(::dstream::StreamHandle<()>),
    };
    quote_spanned!(Span::mixed_site() =>
        let _ = || { #(let _ = #sources;)* };
        ::dstream::__private::not_compiled::<#value>()
    )
}

/// The expression that makes the builder.
fn builder(pipeline: &Pipeline, diags: &mut Diags) -> TokenStream {
    let site = Span::mixed_site();
    let setting = |name: &str| pipeline.settings.iter().find(|s| s.name == name).map(|s| &s.value);
    let optional = |value: Option<TokenStream>| match value {
        Some(value) => quote_spanned!(site => ::core::option::Option::Some(#value)),
        None => quote_spanned!(site => ::core::option::Option::None),
    };
    let name = optional(setting("name").map(|n| quote_spanned!(site => ::std::string::String::from(#n))));
    if let Some(context) = &pipeline.context {
        return quote_spanned!(site =>
            ::dstream::__private::Builder::extend(::core::borrow::Borrow::borrow(&(#context)), #name));
    }
    let batch = setting("batch").filter(|v| !v.is_empty()).map(|value| duration(value, diags));
    let conf = optional(setting("conf").map(ToTokens::to_token_stream));
    let checkpoint = setting("checkpoint").map(
        |at| quote_spanned!(site => ::dstream::checkpoint::IntoCheckpointStore::into_checkpoint_store(#at)),
    );
    let checkpoint = optional(checkpoint);
    let forget = setting("forget").map(|names| {
        quote_spanned!(site =>
            ::core::iter::IntoIterator::into_iter(#names).map(::std::string::String::from).collect())
    });
    let forget = optional(forget);
    quote_spanned!(site => ::dstream::__private::Builder::create(#name, #batch, #conf, #checkpoint, #forget))
}

/// The code of a pipeline without errors.
fn program(pipeline: &Pipeline, graph: &Graph, builder: &TokenStream) -> TokenStream {
    let site = Span::mixed_site();
    let stages = stage::cut(graph);
    let places = places(graph);
    let plan = plan::plan(graph, &stages);
    let hoisted: TokenStream = (0..graph.nodes.len())
        .flat_map(|id| [hoist(graph, id, &graph.nodes[id]), slides(graph, id)])
        .collect();
    let mut body = TokenStream::new();
    for id in 0..graph.nodes.len() {
        body.extend(finish(graph, &stages, id));
        if let Some((at, stage)) = stages.iter().enumerate().find(|(_, stage)| stage.root == id) {
            body.extend(fuse::stage(graph, at, stage));
        }
    }
    let outputs = (0..graph.nodes.len()).filter(|id| graph.nodes[*id].is_output());
    let emitted: TokenStream = outputs.map(|id| emit(graph, id)).collect();
    let names: TokenStream = names::outputs(graph).map(|id| output(graph, id)).collect();
    let (handle, finish) = publish(pipeline, graph);
    let migrations = (0..graph.nodes.len()).filter_map(|id| migrate(graph, id));
    let captures = captures::checks(graph);
    let calls = graph.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Op { call, .. } => Some(call),
        _ => None,
    });
    let loops = captures::place(calls.flat_map(|call| &call.args), pipeline.block.resolved_at(site));
    let run = quote_spanned!(loops => move |__ds_batch| {
        let __ds_seed = __ds_batch.seed();
        #body
        #emitted
    });
    quote_spanned!(site =>
        #places
        #plan
        let mut __ds_builder = #builder;
        #hoisted
        #names
        #handle
        #captures
        // Inlined closures are written for the reader of the closure, not of the loop.
        #[allow(unused_braces, unused_parens, for_loops_over_fallibles, clippy::all)]
        __ds_builder.pipeline(&__DS_PLAN, #run);
        #(#migrations)*
        #finish
    )
}

/// Creates the handle on the stream that a pipeline publishes, if it does, and the value of the expansion.
fn publish(pipeline: &Pipeline, graph: &Graph) -> (TokenStream, TokenStream) {
    let site = Span::mixed_site();
    let finish = quote_spanned!(site => __ds_builder.finish());
    let Some((id, node)) = graph.nodes.iter().enumerate().next_back().filter(|_| graph.publishes) else {
        return (TokenStream::new(), finish);
    };
    let (meta, slide) = (meta(id), slide(graph, node.inputs[0], site));
    let handle = quote_spanned!(site =>
        let __ds_handle = __ds_builder.publish(&#meta, #slide);
        let __ds_publisher = __ds_handle.publisher();
    );
    let value = match pipeline.context {
        None => quote_spanned!(site => #finish.map(|__ds_context| (__ds_context, __ds_handle))),
        Some(_) => quote_spanned!(site => #finish.map(|_| __ds_handle)),
    };
    (handle, value)
}

/// Where each operator is written: `__DS_OPS[id]`.
fn places(graph: &Graph) -> TokenStream {
    let places = graph.nodes.iter().map(|node| {
        let (name, start, end) = match &node.kind {
            NodeKind::Op { call, .. } => (call.name.to_string(), call.name.span(), call.close),
            NodeKind::Source { expr, .. } => {
                let span = crate::diag::span_of(expr);
                let last = expr.clone().into_iter().last().map_or(span, |tree| tree.span());
                (names::source(expr), span, last)
            }
            NodeKind::Poison => (String::new(), Span::call_site(), Span::call_site()),
        };
        let (start, end) = (start.start(), end.end());
        let [line, end_line] = [start.line, end.line].map(narrow);
        let [column, end_column] = [start.column + 1, end.column + 1].map(narrow);
        quote!(::dstream::__private::OpMeta {
            name: #name, file: ::core::file!(), line: #line, column: #column, end_line: #end_line,
            end_column: #end_column,
        })
    });
    let count = graph.nodes.len();
    quote!(static __DS_OPS: [::dstream::__private::OpMeta; #count] = [#(#places),*];)
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn meta(id: NodeId) -> TokenStream {
    quote!(__DS_OPS[#id])
}

fn op<'a>(id: NodeId, call: &'a Call, graph: &Graph) -> Op<'a> {
    let sink = mixed_site_ident("s", id, call.name.span());
    Op { id, call, reserved_names: graph.mentions_downstream(id), meta: meta(id), sink, port: 0 }
}

/// The values that a node holds between batches. A stream that nobody reads becomes a variable, so that the
/// compiler's own `unused_variables` warns about it.
fn hoist(graph: &Graph, id: NodeId, node: &Node) -> TokenStream {
    let unused = node.consumers.is_empty() && !node.is_output();
    let name = node.name.as_ref();
    match &node.kind {
        NodeKind::Source { expr, similar } => {
            let span = node.span().resolved_at(Span::mixed_site());
            // Where the name of a stream is misspelt, the compiler then finds the one that was meant.
            let expr = match similar.as_slice() {
                [] => expr.clone(),
                similar => {
                    quote_spanned!(span => { #(#[allow(unused_variables)] let #similar = ();)* #expr })
                }
            };
            match name {
                Some(name) if unused => quote_spanned!(span => let #name = #expr;),
                _ => {
                    let (input, place) = (mixed_site_ident("in", id, span), meta(id));
                    let given = match &node.given {
                        Some(given) => quote_spanned!(span => ::core::option::Option::Some(#given)),
                        None => quote_spanned!(span => ::core::option::Option::None),
                    };
                    // A source that is built by methods stands in parentheses.
                    quote_spanned!(span => #[allow(unused_parens)] let #input =
                        __ds_builder.source(&#place, #given, #expr);)
                }
            }
        }
        NodeKind::Op { spec, call } => {
            let op = op(id, call, graph);
            let hoisted = op.hoisted();
            let value = match &spec.kind {
                Kind::Wide(wide) if node.live => (wide.hoist)(&op),
                Kind::Output(output) => (output.hoist)(&op),
                Kind::PassThrough(hoist) => {
                    let warning =
                        name.filter(|_| unused).map(|name| quote_spanned!(op.span() => let #name = ();));
                    let code = hoist(&op);
                    return quote!(#code #warning);
                }
                _ => None,
            };
            let value = value.map(|value| quote_spanned!(op.span() => let #hoisted = #value;));
            let policy =
                (node.is_output() && !(graph.publishes && id + 1 == graph.nodes.len())).then(|| policy(&op));
            let kept = match &spec.kind {
                Kind::Wide(Wide { keep: Some(keep), .. }) if node.live => {
                    Some(keep_between(graph, &op, spec, *keep))
                }
                _ => None,
            };
            let warning = name.filter(|_| unused).map(|name| quote_spanned!(op.span() => let #name = ();));
            quote!(#value #policy #kept #warning)
        }
        NodeKind::Poison => TokenStream::new(),
    }
}

/// The options that every output has.
fn policy(op: &Op<'_>) -> TokenStream {
    let (span, policy) = (op.span(), op.policy());
    let option = |name| match op.call.option(name) {
        Some(value) => quote_spanned!(span => ::core::option::Option::Some(#value)),
        None => quote_spanned!(span => ::core::option::Option::None),
    };
    let (retry, on_error) = (option("retry"), option("on_error"));
    quote_spanned!(span => let mut #policy = ::dstream::__private::OutputPolicy::new(#retry, #on_error);)
}

/// Streams that meet in an operator must have batches at the same times. What literals say is checked while
/// compiling.
fn slides(graph: &Graph, id: NodeId) -> TokenStream {
    let node = &graph.nodes[id];
    let span = node.span().resolved_at(Span::mixed_site());
    let place = meta(id);
    let Some((first, others)) = node.inputs.split_first().filter(|_| node.live) else {
        return TokenStream::new();
    };
    let others = others.iter().filter(|other| graph.nodes[**other].slide != graph.nodes[*first].slide);
    let first = slide(graph, *first, span);
    others
        .map(|other| {
            let other = slide(graph, *other, span);
            quote_spanned!(span => __ds_builder.same_slide(#first, #other, &#place);)
        })
        .collect()
}

/// How far the stream of a node slides, of type `Option<Duration>`; `None` is the batch interval.
fn slide(graph: &Graph, id: NodeId, span: Span) -> TokenStream {
    match graph.nodes[id].slide {
        Some(source) if matches!(graph.nodes[source].kind, NodeKind::Source { .. }) => {
            let input = mixed_site_ident("in", source, span);
            quote_spanned!(span => ::dstream::__private::ChainInput::slide(&#input))
        }
        Some(window) => {
            let window = mixed_site_ident("w", window, span);
            quote_spanned!(span => ::core::option::Option::Some(#window.slide))
        }
        None => quote_spanned!(span => ::core::option::Option::None),
    }
}

/// What an operator keeps between batches: checked, and known to the checkpoints by its name.
fn keep_between(graph: &Graph, op: &Op<'_>, spec: &OpSpec, keep: fn(&Op<'_>) -> TokenStream) -> TokenStream {
    let (span, meta, kept, name) = (op.span(), &op.meta, op.kept(), names::operator(graph, op.id));
    let window = spec.find(op.call, |arg| matches!(arg, Arg::Length)).map(|length| {
        let (window, length) = (op.window(), duration::tokens(length));
        let optional = |value: Option<TokenStream>| match value {
            Some(value) => quote_spanned!(span => ::core::option::Option::Some(#value)),
            None => quote_spanned!(span => ::core::option::Option::None),
        };
        let slide = optional(spec.find(op.call, |arg| matches!(arg, Arg::Slide)).map(duration::tokens));
        let parent = self::slide(graph, graph.nodes[op.id].inputs[0], span);
        quote_spanned!(span => let #window = __ds_builder.window(#length, #slide, #parent, &#meta);)
    });
    let value = keep(op);
    let before = op.kept_before();
    let migrates = op.call.option("migrate");
    let before = migrates.map(|_| quote_spanned!(span => let #before = ::core::clone::Clone::clone(&#kept);));
    let keep = Ident::new(if spec.keeps(op.call) == Keeps::Window { "windowed" } else { "stateful" }, span);
    quote_spanned!(span => #window let #kept = __ds_builder.#keep(#name, &#meta, #value); #before)
}

/// How an operator converts what an older program has kept. It stands behind the pipeline, which says of what
/// types the operator is: what does not fit them is an error here, and not in the pipeline.
fn migrate(graph: &Graph, id: NodeId) -> Option<TokenStream> {
    let NodeKind::Op { spec, call } = &graph.nodes[id].kind else { return None };
    // The second stream of an operator has its call, too.
    let f = call.option("migrate").filter(|_| graph.nodes[id].live && spec.options.contains(&"migrate"))?;
    let span = crate::diag::span_of(f).resolved_at(Span::mixed_site());
    let (operator, f) = (op(id, call, graph).kept_before(), moved(f));
    Some(quote_spanned!(span => #operator.lock().migrate(#f);))
}

/// The step of all sinks that feed an input of a node, from all stages, in the order of the unions between.
fn input_step(graph: &Graph, stages: &[Stage], id: NodeId, port: usize) -> TokenStream {
    let span = graph.nodes[id].span().resolved_at(Span::mixed_site());
    let mut feeds: Vec<_> = stages
        .iter()
        .flat_map(|stage| {
            stage.sinks.iter().enumerate().map(move |(at, sink)| (sink, fuse::tasks(stage.root, at, span)))
        })
        .filter(|(sink, _)| (sink.node, sink.port) == (id, port))
        .collect();
    feeds.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    // Where the streams do not fit each other, the error belongs to the union.
    let union = union_above(graph, graph.nodes[id].inputs[port]).resolved_at(Span::mixed_site());
    let several = feeds.len() > 1;
    let joined = feeds
        .into_iter()
        .map(|(_, mut tasks)| {
            if several {
                tasks.set_span(union);
            }
            tasks.into_token_stream()
        })
        .reduce(|first, second| quote_spanned!(union => ::dstream::__private::append(#first, #second)));
    joined.unwrap_or_default()
}

/// The nearest operator with several inputs on the way up from `id`.
fn union_above(graph: &Graph, id: NodeId) -> Span {
    match graph.nodes[id].inputs.as_slice() {
        [only] if !graph.nodes[id].is_root() => union_above(graph, *only),
        _ => graph.nodes[id].span(),
    }
}

/// Makes the batch of an operator that needs the whole of its inputs, or of an output, out of its sinks.
fn finish(graph: &Graph, stages: &[Stage], id: NodeId) -> TokenStream {
    let node = &graph.nodes[id];
    let NodeKind::Op { spec, call } = &node.kind else { return TokenStream::new() };
    let op = op(id, call, graph);
    let span = op.span();
    let tasks = |port| input_step(graph, stages, id, port);
    let collected = |port| {
        let tasks = tasks(port);
        quote_spanned!(span => __ds_batch.collect(#tasks))
    };
    let ports = 0..node.inputs.len();
    let mut before = TokenStream::new();
    let step = match &spec.kind {
        _ if !node.live => return TokenStream::new(),
        Kind::Wide(Wide { reads: Reads::Records(sink) | Reads::JoinSides(sink), finish, .. }) => {
            match sink.of_whole.filter(|_| stage::reads_whole(graph, id, node.inputs[0])) {
                Some(of_whole) => of_whole(&op, &whole(graph, node.inputs[0], span)),
                None => match &sink.join {
                    Some(join) => {
                        let (joined, step) = joined(graph, &op, || (join.step)(&op, &[tasks(0)]));
                        before = joined;
                        finish(&op, &[step])
                    }
                    None => finish(&op, &ports.map(tasks).collect::<Vec<_>>()),
                },
            }
        }
        Kind::Wide(Wide { reads: Reads::Whole, finish, .. }) => {
            let rdds = ports.map(|port| match node.inputs[port] {
                input if stage::reads_whole(graph, id, input) => {
                    let rdd = result(input, span);
                    quote_spanned!(span => ::core::clone::Clone::clone(&#rdd))
                }
                _ => collected(port),
            });
            finish(&op, &rdds.collect::<Vec<_>>())
        }
        Kind::Wide(Wide { reads: Reads::View, finish, .. }) => {
            let view = view(node.inputs[0], span);
            finish(&op, &[quote!(#view)])
        }
        Kind::Output(_) if !stage::reads_whole(graph, id, node.inputs[0]) => collected(0),
        _ => return TokenStream::new(),
    };
    let (rdd, view, meta) = (result(id, span), view(id, span), &op.meta);
    if spec.keeps(call) == Keeps::Snapshots {
        return quote_spanned!(span => let (#rdd, #view) = #step;);
    }
    if spec.yields_view() {
        let copy = stage::needs_rdd(graph, id)
            .then(|| quote_spanned!(span => let #rdd = ::dstream::__private::StateView::rdd(&#view);));
        return quote_spanned!(span => #before let #view = #step; #copy);
    }
    let step = match stage::yields(graph, id) {
        _ if !spec.is_join() => step,
        Yields::Length => quote_spanned!(span => __ds_batch.join_count(&#meta, #step)),
        Yields::Rdd => quote_spanned!(span => __ds_batch.join_rdd(&#meta, #step)),
        Yields::Unmatched | Yields::View => step,
    };
    quote_spanned!(span => #before let #rdd = #step;)
}

/// What the tasks of an operator were put together to, as an expression. If others go on from there, too, the
/// first of them keeps it in a variable, of which the last takes the value.
fn joined(graph: &Graph, op: &Op<'_>, step: impl FnOnce() -> TokenStream) -> (TokenStream, TokenStream) {
    let (span, sharing_sinks) = (op.span(), common::sharing_sinks(graph, op.id));
    if sharing_sinks.len() == 1 {
        return (TokenStream::new(), step());
    }
    let kept = mixed_site_ident("p", sharing_sinks[0], span);
    let made = (sharing_sinks[0] == op.id).then(step).map(|step| quote_spanned!(span => let #kept = #step;));
    match sharing_sinks.last() == Some(&op.id) {
        true => (TokenStream::new(), quote!(#kept)),
        false => (made.unwrap_or_default(), quote_spanned!(span => ::core::clone::Clone::clone(&#kept))),
    }
}

/// The variable that holds the finished step of node `id`.
fn result(id: NodeId, span: Span) -> proc_macro2::Ident {
    mixed_site_ident("n", id, span)
}

/// The variable that holds all that node `id` has, of whatever type it is.
fn whole(graph: &Graph, id: NodeId, span: Span) -> proc_macro2::Ident {
    match &graph.nodes[id].kind {
        NodeKind::Op { spec, .. } if spec.yields_view() => view(id, span),
        _ => result(id, span),
    }
}

/// The variable that holds the state of node `id` after the batch.
fn view(id: NodeId, span: Span) -> proc_macro2::Ident {
    mixed_site_ident("view", id, span)
}

/// The output as the batches and the checkpoints know it, by its name.
fn output(graph: &Graph, id: NodeId) -> TokenStream {
    let (name, meta) = (names::output(graph, id), meta(id));
    let span = graph.nodes[id].span().resolved_at(Span::mixed_site());
    let output = mixed_site_ident("out", id, span);
    quote_spanned!(span => let #output = __ds_builder.output(#name, &#meta);)
}

/// Hands the batch to an output.
fn emit(graph: &Graph, id: NodeId) -> TokenStream {
    let NodeKind::Op { spec: OpSpec { kind: Kind::Output(output), .. }, call } = &graph.nodes[id].kind else {
        return TokenStream::new();
    };
    let op = op(id, call, graph);
    let span = op.span();
    let input = graph.nodes[id].inputs[0];
    let from = if stage::reads_whole(graph, id, input) { input } else { id };
    let from = result(from, span);
    let (rdd, batch, policy) =
        (mixed_site_ident("rdd", id, span), mixed_site_ident("batch", id, span), op.policy());
    if graph.publishes && id + 1 == graph.nodes.len() {
        return quote_spanned!(span => __ds_batch.publish(&#from, &__ds_publisher););
    }
    let emit = (output.emit)(&op, &rdd, &batch);
    let output = mixed_site_ident("out", id, span);
    quote_spanned! {span =>
        __ds_batch.output(
            &#output,
            {
                #[allow(unused_imports)]
                use ::dstream::__private::{Gather as _, GatherNothing as _};
                (&::dstream::__private::Gathering(&#from)).gather(__ds_batch, &#output)
            }
            .step(),
            &mut #policy,
            |#rdd, #batch| #emit,
        );
    }
}
