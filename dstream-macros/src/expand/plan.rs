//! The plan: what the compiler knows of a pipeline, as data that the program can ask for.

use proc_macro2::{Delimiter, LineColumn, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Expr;

use crate::{
    ast::Call,
    common,
    graph::{Graph, NodeId, NodeKind},
    ops::{Arg, Keeps, Kind, OpSpec},
    stage::{Branch, Stage, Then},
};

/// How many characters of one argument a plan shows.
const MAX_ARGUMENT: usize = 40;

/// `__DS_PLAN`: the operators, whose places are in `__DS_OPS`, and the stages.
pub(super) fn plan(graph: &Graph, stages: &[Stage]) -> TokenStream {
    let operators = (0..graph.nodes.len()).map(|id| operator(graph, id));
    let stages = stages.iter().enumerate().map(|(id, stage)| {
        let root = stage.root;
        let mut members = Vec::new();
        operators_of(graph, &stage.tree, &mut members);
        quote!(::dstream::__private::StageMeta {
            id: #id, root: #root, operators: &[#(#members),*], places: &__DS_OPS,
        })
    });
    quote!(static __DS_PLAN: ::dstream::__private::PipelineMeta = ::dstream::__private::PipelineMeta {
        places: &__DS_OPS, operators: &[#(#operators),*], stages: &[#(#stages),*],
    };)
}

fn operator(graph: &Graph, id: NodeId) -> TokenStream {
    let node = &graph.nodes[id];
    let (operator, arguments, kind, keeps) = match &node.kind {
        NodeKind::Op { spec, call } => {
            let kind = match &spec.kind {
                Kind::Narrow(..) => quote!(Narrow),
                Kind::PassThrough(_) => quote!(Forward),
                Kind::Wide(_) => quote!(Wide),
                Kind::Output(_) if graph.publishes && id + 1 == graph.nodes.len() => quote!(Handle),
                Kind::Output(_) => quote!(Output),
            };
            let keeps = match spec.keeps(call) {
                Keeps::Nothing => quote!(Nothing),
                Keeps::Window => quote!(Window),
                Keeps::State | Keeps::Snapshots | Keeps::Model => quote!(State),
            };
            (spec.name.to_owned(), arguments(spec, call), kind, keeps)
        }
        NodeKind::Source { expr, .. } => {
            (crate::names::source(expr), String::new(), quote!(Source), quote!(Nothing))
        }
        NodeKind::Poison => return TokenStream::new(),
    };
    let stream = match &node.name {
        Some(name) => {
            let name = name.to_string();
            quote!(::core::option::Option::Some(#name))
        }
        None => quote!(::core::option::Option::None),
    };
    let (inputs, live) = (&node.inputs, node.live);
    quote!(::dstream::__private::OperatorMeta {
        operator: #operator, stream: #stream, arguments: #arguments,
        kind: ::dstream::__private::OperatorKind::#kind, keeps: ::dstream::__private::Keeps::#keeps,
        inputs: &[#(#inputs),*], live: #live,
    })
}

/// The operators of a stage below its root, in the order of the program; with those that share a sink.
pub(super) fn operators_of(graph: &Graph, tree: &[Branch], out: &mut Vec<NodeId>) {
    for branch in tree {
        let nodes = match &branch.then {
            Then::Sink(_) => common::sharing_sinks(graph, branch.node),
            Then::Narrow(downstream) | Then::PassThrough(downstream) => {
                operators_of(graph, downstream, out);
                vec![branch.node]
            }
        };
        out.extend(nodes);
    }
    out.sort_unstable();
    out.dedup();
}

/// The arguments of a call in short: values as they are written, of closures only the head. What a closure
/// does stands at the operator's place in the source, and may be long or secret.
fn arguments(spec: &OpSpec, call: &Call) -> String {
    let count = call.args.len();
    let values = call.args.iter().enumerate().map(|(at, value)| match spec.arg(at, count) {
        Some(Arg::Stream | Arg::Streams) if !matches!(value, Expr::Path(_)) => "..".to_owned(),
        _ => argument(value),
    });
    let options = call.options.iter().map(|(name, value)| format!("{name} = {}", argument(value)));
    values.chain(options).collect::<Vec<_>>().join(", ")
}

fn argument(value: &Expr) -> String {
    match value {
        Expr::Closure(closure) => format!("|{}| ..", written(closure.inputs.to_token_stream())),
        Expr::Path(_) | Expr::Lit(_) | Expr::Unary(_) | Expr::Binary(_) => {
            short(&written(value.to_token_stream()))
        }
        // A reference to a variable says which; a call or a block may hold anything.
        Expr::Reference(to) if matches!(*to.expr, Expr::Path(_)) => short(&written(value.to_token_stream())),
        _ => "..".to_owned(),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_ARGUMENT) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

/// Tokens as they are written, on one line: a space where there is room between two.
fn written(tokens: TokenStream) -> String {
    let mut line = Line::default();
    line.write(tokens);
    line.text
}

#[derive(Default)]
struct Line {
    text: String,
    /// Where the last token ends.
    end: Option<LineColumn>,
}

impl Line {
    fn write(&mut self, tokens: TokenStream) {
        for tree in tokens {
            let (start, end) = (tree.span().start(), tree.span().end());
            let TokenTree::Group(group) = tree else {
                self.put(&tree.to_string(), start, end);
                continue;
            };
            let (open, close) = match group.delimiter() {
                Delimiter::Parenthesis => ("(", ")"),
                Delimiter::Brace => ("{", "}"),
                Delimiter::Bracket => ("[", "]"),
                Delimiter::None => ("", ""),
            };
            // The whole of a group has one span, once it was parsed: its delimiters are the first and last
            // character.
            self.put(open, start, LineColumn { column: start.column + open.len(), ..start });
            self.write(group.stream());
            self.put(close, LineColumn { column: end.column.saturating_sub(close.len()), ..end }, end);
        }
    }

    fn put(&mut self, token: &str, start: LineColumn, end: LineColumn) {
        if token.is_empty() {
            return;
        }
        if self.end.is_some_and(|end| end != start) {
            self.text.push(' ');
        }
        self.text.push_str(token);
        self.end = Some(end);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{arguments, operators_of, plan};
    use crate::{
        diag::Diags,
        graph::{self, Graph, NodeKind},
        parse,
        stage::{cut, reads_whole},
    };

    fn graph(program: &str) -> Graph {
        let mut diags = Diags::default();
        let tokens = program.parse().unwrap_or_else(|error| panic!("{program}: {error}"));
        let graph = graph::build(&parse::parse(tokens, &mut diags), &mut diags);
        assert!(diags.is_empty(), "{program}: {}", diags.to_tokens());
        graph
    }

    /// What a plan shows of the arguments of an operator.
    fn shown(chain: &str) -> String {
        let graph = graph(&format!("batch = 1s, {{ let b = t(); s(){chain}.print(); b.print(); }}"));
        let mut calls = graph.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Op { spec, call } if spec.name != "print" => Some(arguments(spec, call)),
            _ => None,
        });
        calls.next_back().unwrap_or_default()
    }

    #[test]
    fn arguments_are_shown_in_short() {
        for (chain, expected) in [
            (".count()", ""),
            (".map(|(a,  b): (u8, Vec< u8 >)|  secret(a))", "|(a, b): (u8, Vec< u8 >)| .."),
            (".map(str::len)", "str::len"),
            (".map(with(\"secret\"))", ".."),
            (".window(10s, INTERVAL * 2)", "10s, INTERVAL * 2"),
            (".reduce_by_key(|a, b| a + b, partitions = 8)", "|a, b| .., partitions = 8"),
            (".union(b)", "b"),
            (".union(b.map(f))", ".."),
            (".transform_with(b, f)", "b, f"),
            (".map(a2345678::b2345678::c2345678::d2345678::e)", "a2345678::b2345678::c2345678::d2345678::.."),
        ] {
            assert_eq!(shown(chain), expected, "{chain}");
        }
    }

    const OPERATORS: [&str; 20] = [
        ".map(f)",
        ".filter(|x| x > 1)",
        ".flat_map(f)",
        ".words()",
        ".cache()",
        ".count()",
        ".reduce(f)",
        ".reduce_by_key(|a, b| a + b)",
        ".reduce_by_key_and_window(|a, b| a + b, 2s)",
        ".group_by_key()",
        ".update_state_by_key(f)",
        ".count_by_value()",
        ".transform(f)",
        ".repartition(3)",
        ".window(4s)",
        ".join(OTHER)",
        ".cogroup(OTHER)",
        ".union(OTHER)",
        ".union(OTHER, OTHER)",
        ".transform_with(OTHER, f)",
    ];
    const OUTPUTS: [&str; 4] = [".print()", ".collect_to(&out)", ".foreach_rdd(f)", ".save_as_text_files(p)"];

    /// A program from numbers: a statement each, with the stream that it begins at, its operators, and how it
    /// ends.
    fn program(statements: &[(usize, Vec<(usize, usize)>, usize)]) -> String {
        let mut text = String::from("batch = 1s, {\n");
        let mut streams = 0;
        let stream = |at: usize, streams: usize| match at % (streams + 1) {
            0 => "source()".to_owned(),
            at => format!("stream{}", at - 1),
        };
        for (head, operators, end) in statements {
            let mut chain = stream(*head, streams);
            for (operator, other) in operators {
                let operator = OPERATORS[operator % OPERATORS.len()];
                chain += &operator.replace("OTHER", &stream(*other, streams));
                chain += if other % 2 == 0 { "\n" } else { "" };
            }
            match OUTPUTS.get(*end) {
                Some(output) => text += &format!("{chain}{output};\n"),
                None => {
                    text += &format!("let stream{streams} = {chain};\n");
                    streams += 1;
                }
            }
        }
        text + "source().print() }"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn plans_of_random_pipelines_are_whole(statements in prop::collection::vec(
            (any::<usize>(), prop::collection::vec((any::<usize>(), any::<usize>()), 0..5), 0usize..9),
            1..9,
        )) {
            let program = program(&statements);
            let graph = graph(&program);
            let stages = cut(&graph);
            prop_assert!(syn::parse2::<syn::Item>(plan(&graph, &stages)).is_ok());
            let lines: Vec<&str> = program.lines().collect();
            for node in &graph.nodes {
                let (NodeKind::Op { .. } | NodeKind::Source { .. }) = &node.kind else { panic!("{program}") };
                let name = match &node.kind {
                    NodeKind::Op { spec, .. } => spec.name,
                    _ => "source",
                };
                let at = node.span().start();
                prop_assert!(lines[at.line - 1][at.column..].starts_with(name), "{name} at \
                    {at:?}\n{program}");
            }
            let of_stages: Vec<Vec<usize>> = stages
                .iter()
                .map(|stage| {
                    let mut operators = Vec::new();
                    operators_of(&graph, &stage.tree, &mut operators);
                    operators
                })
                .collect();
            let roots: BTreeSet<usize> = stages.iter().map(|stage| stage.root).collect();
            prop_assert_eq!(roots.len(), stages.len());
            for (stage, operators) in stages.iter().zip(&of_stages) {
                prop_assert!(operators.is_sorted_by(|a, b| a < b));
                prop_assert!(operators.iter().all(|id| *id > stage.root && graph.nodes[*id].live));
            }
            for (id, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.live) {
                let is_fed = of_stages.iter().any(|operators| operators.contains(&id));
                let takes = node.inputs.iter().filter(|input| reads_whole(&graph, id, **input)).count();
                match node.inputs.len() {
                    0 => prop_assert!(!is_fed),
                    // In a loop, or behind a whole result: one of both, and never nowhere.
                    1 => prop_assert!(is_fed != (takes == 1), "{id}\n{}", graph.describe()),
                    all => prop_assert!(is_fed != (takes == all), "{id}\n{}", graph.describe()),
                }
            }
        }
    }
}
