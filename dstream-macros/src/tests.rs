//! The compiler as a function of tokens: no input makes it panic, and what it gives is always an expression.

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use proptest::prelude::*;

use crate::{compile, diag::Diags, graph, parse};

const PROGRAMS: [&str; 4] = [
    r#"batch = 1s, {
        let lines = socket_text_stream("localhost", 9999);
        let pairs = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        pairs.reduce_by_key(|a, b| a + b, partitions = 8).print();
        lines.count().foreach_rdd(|rdd, time| store(rdd, time));
    }"#,
    r#"ssc, {
        let a = (Source::new(1).with(2));
        let b = a.filter(|x| { if x { return true } false }).union(a.map(f)).union(queue_stream(v));
        b.reduce(u64::max).print(3);
        b.collect_to(&out)
    }"#,
    r#"batch = d, name = "n", conf = c, { x.y().z(); let (a, b) = q; a. }"#,
    r#"{ let = ; .map(|x|) a..b.print() let mut w: T = s.count::<u8>() . ; 1s 'x' }"#,
];

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The expansion must be what a macro in expression position may give.
fn expands(input: TokenStream) -> Result<(), TestCaseError> {
    let text = input.to_string();
    let output = compile(input);
    let parsed = syn::parse2::<syn::Expr>(output.clone());
    prop_assert!(parsed.is_ok(), "{text}\n{output}\n{:?}", parsed.err());
    Ok(())
}

/// Any token there is, and some that mean something here.
fn any_token() -> impl Strategy<Value = TokenTree> {
    let word = prop::sample::select(vec![
        "let", "mut", "map", "union", "print", "lines", "move", "return", "batch", "_x",
    ]);
    let mark =
        prop::sample::select(vec!['.', ',', ';', '=', '|', '(', ':', '?', '<', '>', '&', '!', '-', '#']);
    let delimiter = prop::sample::select(vec![
        Delimiter::Brace,
        Delimiter::Parenthesis,
        Delimiter::Bracket,
        Delimiter::None,
    ]);
    prop_oneof![
        word.prop_map(|w| Ident::new(w, Span::call_site()).into()),
        (mark, any::<bool>()).prop_map(|(c, joint)| {
            let c = if c == '(' { '+' } else { c };
            Punct::new(c, if joint { Spacing::Joint } else { Spacing::Alone }).into()
        }),
        delimiter.prop_map(|d| Group::new(d, TokenStream::new()).into()),
        any::<u32>().prop_map(|n| Literal::u32_unsuffixed(n).into()),
        Just(Literal::string("{line}").into()),
    ]
}

/// Deletes, doubles, inserts and swaps tokens, at every depth.
fn mutate(stream: TokenStream, edits: &mut std::vec::IntoIter<(u8, u8, TokenTree)>) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for tree in stream {
        let tree = match tree {
            TokenTree::Group(group) => Group::new(group.delimiter(), mutate(group.stream(), edits)).into(),
            tree => tree,
        };
        match edits.next() {
            Some((0, 0..60, _)) => {}
            Some((1, 0..60, _)) => out.extend([tree.clone(), tree]),
            Some((2, 0..60, new)) => out.extend([tree, new]),
            Some((3, 0..60, _)) => {
                let before = out.pop();
                out.push(tree);
                out.extend(before);
            }
            _ => out.push(tree),
        }
    }
    out.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn mutated_programs_never_panic(
        program in prop::sample::select(PROGRAMS.to_vec()),
        edits in prop::collection::vec((0u8..4, any::<u8>(), any_token()), 0..120),
    ) {
        expands(mutate(tokens(program), &mut edits.into_iter()))?;
    }

    #[test]
    fn random_tokens_never_panic(trees in prop::collection::vec(any_token(), 0..40)) {
        let inner: TokenStream = trees.iter().cloned().collect();
        expands(inner.clone())?;
        expands(std::iter::once(TokenTree::from(Group::new(Delimiter::Brace, inner))).collect())?;
    }
}

#[test]
fn the_programs_expand() {
    for program in PROGRAMS {
        expands(tokens(program)).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Checks the graph and the stages of a pipeline, a line each.
fn check_stages(program: &str, expected: &str) {
    let mut diags = Diags::default();
    let pipeline = parse::parse(tokens(program), &mut diags);
    let graph = graph::build(&pipeline, &mut diags);
    assert!(diags.is_empty(), "{}", diags.to_tokens());
    let found: String = crate::stage::cut(&graph).iter().map(|stage| stage.describe(&graph)).collect();
    let lines =
        |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(lines(&found), lines(expected), "{}", graph.describe());
}

#[test]
fn word_count_is_one_stage() {
    check_stages(
        "batch = 1s, { s().flat_map(f).map(g).reduce_by_key(h).print(); }",
        "s () > flat_map > map > reduce_by_key",
    );
}

#[test]
fn several_consumers_share_one_pass() {
    check_stages(
        "batch = 1s, { let w = s().flat_map(f); w.count().print(); w.count_by_value().print(); w.filter(g).print(); }",
        "s () > flat_map > (count | count_by_value | filter > print)",
    );
}

#[test]
fn what_nobody_reads_is_not_computed() {
    check_stages("batch = 1s, { let a = s(); let b = a.map(f).map(g); a.print(); }", "s () > print");
}

#[test]
fn a_shuffle_ends_a_stage_and_narrow_operators_behind_it_join_the_next() {
    check_stages(
        "batch = 1s, { let c = s().reduce_by_key(f); c.print(); c.map_values(g).count().print(); }",
        "s () > reduce_by_key
         reduce_by_key > map_values > count",
    );
}

#[test]
fn a_union_puts_two_loops_into_one_sink() {
    check_stages(
        "batch = 1s, { let a = s(); let b = t(); a.union(b.map(f)).reduce_by_key(g).print(); }",
        "s () > union > reduce_by_key
         t () > map > union > reduce_by_key",
    );
}
