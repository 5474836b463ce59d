//! Names to nodes: which operator reads which, with every mistake that can be seen from one call.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::LitStr;

use crate::{
    ast::{Call, Chain, Pipeline},
    closure,
    diag::{Diags, did_you_mean, one_of},
    ops::{self, Arg, Keeps, Kind, OpSpec},
    parse,
};

/// The index of a node. A node's inputs have smaller ones.
pub(crate) type NodeId = usize;

/// The operators of a pipeline and the streams between them.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// Whether the last stream is a value of the program's: the last node, if all is well.
    pub(crate) publishes: bool,
    /// Whether sources may be streams that another pipeline of the context publishes.
    extends: bool,
}

pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// The streams that it reads, in the order of the arguments.
    pub(crate) inputs: Vec<NodeId>,
    /// Who reads it, and as which input, in the order of the program.
    pub(crate) consumers: Vec<(NodeId, usize)>,
    /// The `let` that names it.
    pub(crate) name: Option<Ident>,
    /// The name that `named` gives it.
    pub(crate) given: Option<LitStr>,
    /// The window whose slide it has, or a source that may be another pipeline's stream; `None` for that of
    /// the batches.
    pub(crate) slide: Option<NodeId>,
    /// Whether an output depends on it. What none does is not computed.
    pub(crate) live: bool,
}

pub(crate) enum NodeKind {
    /// An expression that is a source, and the streams of the block with a similar name.
    Source {
        expr: TokenStream,
        similar: Vec<Ident>,
    },
    Op {
        spec: &'static OpSpec,
        call: Call,
    },
    /// Something was wrong here, and has been said; what reads it is not checked.
    Poison,
}

impl Node {
    pub(crate) fn is_poison(&self) -> bool {
        matches!(self.kind, NodeKind::Poison)
    }

    /// Where to speak of it.
    pub(crate) fn span(&self) -> Span {
        match &self.kind {
            NodeKind::Source { expr, .. } => crate::diag::span_of(expr),
            NodeKind::Op { call, .. } => call.name.span(),
            NodeKind::Poison => Span::call_site(),
        }
    }

    /// Whether the records of this node are there as a whole before the next stage starts.
    pub(crate) fn is_root(&self) -> bool {
        matches!(
            &self.kind,
            NodeKind::Source { .. } | NodeKind::Op { spec: OpSpec { kind: Kind::Wide(_), .. }, .. }
        )
    }

    /// Whether a batch is run for it, also if nothing reads it.
    pub(crate) fn acts(&self) -> bool {
        matches!(&self.kind, NodeKind::Op { spec, .. } if spec.acts())
    }

    pub(crate) fn is_output(&self) -> bool {
        matches!(&self.kind, NodeKind::Op { spec, .. } if spec.is_output())
    }
}

impl Graph {
    fn add(&mut self, kind: NodeKind, inputs: Vec<NodeId>) -> NodeId {
        let id = self.nodes.len();
        for (port, input) in inputs.iter().enumerate() {
            self.nodes[*input].consumers.push((id, port));
        }
        let window = matches!(&kind, NodeKind::Op { spec, .. } if spec.is_window());
        let foreign = self.extends && matches!(&kind, NodeKind::Source { .. });
        let slide = match inputs.first() {
            _ if window || foreign => Some(id),
            Some(input) => self.nodes[*input].slide,
            None => None,
        };
        self.nodes.push(Node {
            kind,
            inputs,
            consumers: Vec::new(),
            name: None,
            given: None,
            slide,
            live: false,
        });
        id
    }

    /// How far the stream of a node slides, in milliseconds, where literals say so; `batch` is the batch
    /// interval.
    pub(crate) fn slide_millis(&self, id: NodeId, batch: Option<u64>) -> Option<u64> {
        let Some(window) = self.nodes[id].slide else { return batch };
        let NodeKind::Op { spec, call } = &self.nodes[window].kind else { return None };
        match spec.find(call, |arg| matches!(arg, Arg::Slide)) {
            Some(slide) => crate::duration::literal(slide),
            None => self.slide_millis(self.nodes[window].inputs[0], batch),
        }
    }

    /// Names that closures of this node or behind it, in the same loop, may take from outside.
    pub(crate) fn mentions_downstream(&self, id: NodeId) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for (consumer, _) in &self.nodes[id].consumers {
            let node = &self.nodes[*consumer];
            if let NodeKind::Op { call, .. } = &node.kind {
                words.extend(call.args.iter().flat_map(closure::mentions));
            }
            if !node.is_root() {
                words.extend(self.mentions_downstream(*consumer));
            }
        }
        words
    }

    /// The graph as text, a line a node: `3 reduce_by_key <- 2`.
    #[cfg(test)]
    pub(crate) fn describe(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let what = match &node.kind {
                NodeKind::Source { expr, .. } => expr.to_string(),
                NodeKind::Op { spec, .. } => spec.name.to_owned(),
                NodeKind::Poison => "?".to_owned(),
            };
            let _ = write!(text, "{id} {what}");
            if !node.inputs.is_empty() {
                let inputs: Vec<String> = node.inputs.iter().map(NodeId::to_string).collect();
                let _ = write!(text, " <- {}", inputs.join(", "));
            }
            text.push('\n');
        }
        text
    }
}

/// Connects the statements.
pub(crate) fn build(pipeline: &Pipeline, diags: &mut Diags) -> Graph {
    let graph = Graph { extends: pipeline.context.is_some(), ..Graph::default() };
    let mut build = Build { graph, names: HashMap::new(), diags };
    for (at, statement) in pipeline.statements.iter().enumerate() {
        let end = build.chain(&statement.chain);
        if pipeline.open && at + 1 == pipeline.statements.len() && statement.bindings.is_none() {
            build.publish(end, &statement.chain);
        } else {
            build.end(end, statement.bindings.as_deref());
        }
    }
    let nodes = &mut build.graph.nodes;
    for id in (0..nodes.len()).rev() {
        nodes[id].live =
            nodes[id].acts() || nodes[id].consumers.iter().any(|(reader, _)| nodes[*reader].live);
    }
    build.graph
}

struct Build<'a> {
    graph: Graph,
    names: HashMap<String, NodeId>,
    diags: &'a mut Diags,
}

impl Build<'_> {
    /// The node that a chain ends in.
    fn chain(&mut self, chain: &Chain) -> NodeId {
        let before = self.graph.nodes.len();
        let mut at = self.head(chain);
        for call in &chain.calls {
            if call.name == ops::NAMED.name {
                self.named(at, call, at >= before);
            } else {
                at = self.call(at, call);
            }
        }
        if chain.dangling { self.poison() } else { at }
    }

    fn poison(&mut self) -> NodeId {
        self.graph.add(NodeKind::Poison, Vec::new())
    }

    fn head(&mut self, chain: &Chain) -> NodeId {
        if chain.head.is_empty() {
            // Nothing at all has been reported by the parser, `.map(..)` has not.
            if let Some(call) = chain.calls.first() {
                self.diags.error(call.name.span(), "expected a stream or a source before `.`");
            }
            return self.poison();
        }
        if let Some(name) = chain.head_name() {
            if let Some(id) = self.names.get(&name.to_string()) {
                return *id;
            }
            let similar = self.graph.nodes.iter().filter_map(|n| n.name.clone());
            let near = |n: &Ident| strsim::damerau_levenshtein(&n.to_string(), &name.to_string()) <= 2;
            let similar = similar.filter(near).collect();
            let id = self.graph.add(NodeKind::Source { expr: chain.head.clone(), similar }, Vec::new());
            // A variable that is named again is the same stream: its value has gone into it.
            self.names.insert(name.to_string(), id);
            return id;
        }
        match syn::parse2::<syn::Expr>(chain.head.clone()) {
            Ok(_) => {
                let expr = chain.head.clone();
                self.graph.add(NodeKind::Source { expr, similar: Vec::new() }, Vec::new())
            }
            Err(error) => {
                self.diags.syntax(error);
                self.poison()
            }
        }
    }

    /// Gives a name to the node before it, if that is one which a checkpoint knows by name.
    fn named(&mut self, id: NodeId, call: &Call, is_here: bool) {
        if call.broken || !self.check(&ops::NAMED, call) || self.graph.nodes[id].is_poison() {
            return;
        }
        let name = match call.args.first() {
            Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }))
                if !name.value().is_empty() =>
            {
                name
            }
            other => {
                return self.diags.error_at(
                    &other,
                    "expected a string literal that is not empty: a checkpoint finds things by names that \
                     the program's text fixes",
                );
            }
        };
        let node = &mut self.graph.nodes[id];
        let what = match &node.kind {
            NodeKind::Op { spec, call } if spec.keeps(call) == Keeps::Nothing && !spec.is_output() => {
                format!("`{}` is none of these", spec.name)
            }
            _ if !is_here => "write it there".to_owned(),
            _ if node.given.is_some() => "this has one already".to_owned(),
            _ => {
                node.given = Some(name.clone());
                return;
            }
        };
        self.diags.error(
            call.name.span(),
            format_args!(
                "`named` stands right behind what it names, which is a window, an operator with state, an \
                 output or a source: {what}"
            ),
        );
    }

    fn call(&mut self, input: NodeId, call: &Call) -> NodeId {
        let Some(spec) = ops::find(&call.name) else {
            if call.broken {
                return self.poison();
            }
            let hint = self.unknown(input, call);
            self.diags.error(call.name.span(), format_args!("unknown operator `{}`{hint}", call.name));
            return self.poison();
        };
        if self.graph.nodes[input].is_output() {
            self.diags.error(
                call.name.span(),
                format_args!("nothing can follow an output: `{}` reads a stream", spec.name),
            );
            return self.poison();
        }
        let fits = call.broken || self.check(spec, call);
        let mut inputs = vec![input];
        for (at, arg) in call.args.iter().enumerate() {
            if let Some(Arg::Stream | Arg::Streams) = spec.arg(at, call.args.len()) {
                let other = parse::chain(arg.to_token_stream().into_iter().collect(), self.diags);
                let other = self.chain(&other);
                if self.graph.nodes[other].is_output() {
                    self.diags.error_at(arg, "this is an output: expected a stream");
                    return self.poison();
                }
                inputs.push(other);
            }
        }
        if call.broken || !fits || inputs.iter().any(|i| self.graph.nodes[*i].is_poison()) {
            // Its inputs count as used all the same.
            return self.graph.add(NodeKind::Poison, inputs);
        }
        self.graph.add(NodeKind::Op { spec, call: call.clone() }, inputs)
    }

    /// What was meant by an operator that there is not.
    fn unknown(&self, input: NodeId, call: &Call) -> String {
        let name = call.name.to_string();
        let near = did_you_mean(&name, ops::OPS.iter().map(|spec| spec.name));
        if !near.is_empty() {
            return near;
        }
        if let Some(instead) = ops::instead(&name) {
            return format!(": {instead}");
        }
        if let NodeKind::Source { expr, .. } = &self.graph.nodes[input].kind {
            let source = expr.clone().into_iter().next().map(|word| word.to_string()).unwrap_or_default();
            return format!(
                ": if it is a method of the source, put the source and its methods in parentheses, \
                 `({source}(..).{name}(..)).map(..)`"
            );
        }
        let names = ops::OPS.iter().map(|spec| spec.name);
        let begins =
            |other: &&str| name.split('_').any(|word| word.len() > 3 && other.split('_').any(|w| w == word));
        let akin: Vec<&str> = names.filter(begins).collect();
        match akin.as_slice() {
            [] => ": the operators are the methods of `dstream::DStream`; docs/operators.md lists them"
                .to_owned(),
            akin => format!(": there are {}", one_of(akin.iter().copied())),
        }
    }

    /// Checks the arguments of one call; the first mistake is reported.
    fn check(&mut self, spec: &OpSpec, call: &Call) -> bool {
        let count = call.args.len();
        if !spec.takes(count) {
            let message = format!("`{}` takes {}, found {count}: `{}`", spec.name, spec.arity(), spec.usage);
            self.diags.error(call.name.span(), message);
            return false;
        }
        for (at, arg) in call.args.iter().enumerate() {
            let Some(kind) = spec.arg(at, count) else { continue };
            if let (Arg::Closure(arities), Some(found)) = (kind, closure::arity(arg))
                && !arities.contains(&found)
            {
                let plural = if found == 1 { "" } else { "s" };
                let message = format!("this closure has {found} argument{plural}: expected `{}`", spec.usage);
                self.diags.error_at(arg, message);
                return false;
            }
            if closure::is_async(arg) && !spec.name.ends_with("_async") {
                self.diags.error_at(
                    arg,
                    format_args!(
                        "`{}` calls its closure and does not wait for a future, so nothing would run: {}",
                        spec.name,
                        if spec.is_output() {
                            "write `foreach_rdd_async(async |rdd| ..)`, or wait in the closure"
                        } else {
                            "async work is for outputs, `foreach_rdd_async(async |rdd| ..)`; or wait in the \
                             closure, for example with `runtime.block_on(..)`"
                        }
                    ),
                );
                return false;
            }
            if let (Arg::Stream | Arg::Streams, syn::Expr::Closure(_) | syn::Expr::Lit(_)) = (kind, arg) {
                self.diags.error_at(arg, format_args!("expected a stream: `{}`", spec.usage));
                return false;
            }
            if let Arg::Length | Arg::Slide = kind {
                crate::duration::check(arg, self.diags);
            }
            if let (Arg::Closure(_), syn::Expr::Lit(_)) = (kind, arg) {
                self.diags.error_at(arg, format_args!("expected a closure: `{}`", spec.usage));
                return false;
            }
        }
        for (at, (name, value)) in call.options.iter().enumerate() {
            if !spec.options.contains(&name.to_string().as_str()) {
                let hint = if spec.options.is_empty() {
                    format!(": `{}` has none", spec.name)
                } else {
                    format!(": expected {}", one_of(spec.options.iter().copied()))
                };
                self.diags.error(name.span(), format_args!("unknown option `{name}`{hint}"));
                return false;
            }
            if call.options[..at].iter().any(|(before, _)| before == name) {
                self.diags.error(name.span(), format_args!("option `{name}` is given twice"));
                return false;
            }
            if name == "migrate" && !closure::takes_one_of_a_type(value) {
                self.diags.error_at(
                    value,
                    "expected a closure of one argument, with the type that the checkpoint has: `migrate = \
                     |old: u64| ..`",
                );
                return false;
            }
        }
        true
    }

    fn yields_snapshots(&self, id: NodeId) -> bool {
        matches!(&self.graph.nodes[id].kind,
            NodeKind::Op { spec, call } if spec.keeps(call) == Keeps::Snapshots)
    }

    /// Ends a block without `;`: hands the stream out, unless that is an output.
    fn publish(&mut self, end: NodeId, chain: &Chain) {
        let last = chain.calls.iter().rfind(|call| call.name != ops::NAMED.name);
        let output = last.and_then(|call| ops::find(&call.name)).is_some_and(|spec| spec.is_output());
        self.graph.publishes = !output;
        let node = &self.graph.nodes[end];
        if output || node.is_poison() {
            return;
        }
        let span = node.span();
        // Messages call it what the program does.
        let name = last.map(|call| call.name.clone()).or_else(|| chain.head_name());
        let name = name.unwrap_or_else(|| Ident::new("stream", span));
        let (tokens, args, options) = (TokenStream::new(), Vec::new(), Vec::new());
        let call = Call { close: name.span(), name, tokens, args, options, broken: false };
        self.graph.add(NodeKind::Op { spec: &ops::PUBLISH, call }, vec![end]);
    }

    /// Ends a statement: names its stream, or makes sure that it ends in an output.
    fn end(&mut self, end: NodeId, bindings: Option<&[Ident]>) {
        let (output, acts, poison, span) = {
            let node = &self.graph.nodes[end];
            (node.is_output(), node.acts(), node.is_poison(), node.span())
        };
        match bindings {
            None if acts || poison => {}
            None => self.diags.error(
                span,
                "this stream goes nowhere: name it with `let name = ..;`, or end in an output such as \
                 `.print()`",
            ),
            Some([]) => {}
            Some([name]) if output => {
                self.diags.error(name.span(), "an output yields no stream: remove the `let`");
            }
            Some([name]) => {
                self.names.insert(name.to_string(), end);
                self.graph.nodes[end].name.get_or_insert_with(|| name.clone());
            }
            Some([events, snapshots]) if self.yields_snapshots(end) => {
                self.names.insert(events.to_string(), end);
                self.graph.nodes[end].name.get_or_insert_with(|| events.clone());
                let NodeKind::Op { call, .. } = &self.graph.nodes[end].kind else { return };
                let kind = NodeKind::Op { spec: &ops::SNAPSHOTS, call: call.clone() };
                let second = self.graph.add(kind, vec![end]);
                self.names.insert(snapshots.to_string(), second);
                self.graph.nodes[second].name = Some(snapshots.clone());
            }
            Some(names @ [_, second, ..]) => {
                if !poison {
                    self.diags.error(second.span(), "this operator yields one stream: expected one name");
                }
                let poison = self.poison();
                for name in names {
                    self.names.insert(name.to_string(), poison);
                }
            }
        }
    }
}
