//! The compiler as a function of tokens: no input makes it panic, and what it gives is always an expression.

use proc_macro2::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use proptest::prelude::*;

use crate::{compile, diag::Diags, graph, parse};

const PROGRAMS: [&str; 5] = [
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
    r#"ssc, { let words = lines.flat_map(f); words.print(); words.window(2s) }"#,
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
        "batch = 1s, \
         { let w = s().flat_map(f); w.count().print(); w.count_by_value().print(); w.filter(g).print(); }",
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

/// The first sentence of the documentation of the method with this name.
fn summary(name: &str) -> String {
    let ops = concat!(env!("CARGO_MANIFEST_DIR"), "/../dstream-core/src/ops");
    let sources = std::fs::read_dir(ops).into_iter().flatten().flatten().map(|file| file.path());
    for text in sources.filter_map(|path| std::fs::read_to_string(path).ok()) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let method = [format!("pub fn {name}("), format!("pub fn {name}<")];
        let Some(at) = lines.iter().position(|line| method.iter().any(|start| line.starts_with(start)))
        else {
            continue;
        };
        let start = lines[..at]
            .iter()
            .rposition(|l| !l.starts_with("///") && !l.starts_with("#["))
            .map_or(0, |n| n + 1);
        let paragraph =
            lines[start..at].iter().take_while(|l| **l != "///").map(|l| l.trim_start_matches("/// "));
        let paragraph = paragraph.collect::<Vec<_>>().join(" ");
        let sentence = paragraph.split_inclusive(". ").next().unwrap_or_default().trim();
        return without_links(sentence).replace('|', "\\|");
    }
    panic!("`{name}` has no method in {ops}")
}

/// Links of the API documentation lead nowhere on a page.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    for (at, piece) in text.split("](").enumerate() {
        let piece = if at == 0 { piece } else { piece.split_once(')').map_or(piece, |(_, rest)| rest) };
        out += &piece.replace("[`", "`").replace("`]", "`");
    }
    out
}

/// `docs/operators.md` is made from the operator table and the methods' documentation: `UPDATE_DOCS=1` writes
/// it.
#[test]
fn the_page_of_operators_is_up_to_date() {
    let mut page = String::from(
        "# Operators\n\nEach is a method of `DStream` in the API documentation, with its signature, its \
         edges and an example.\n\n\
         | operator | call | options | kind | |\n|---|---|---|---|---|\n",
    );
    for spec in crate::ops::OPS {
        let kind = match spec.kind {
            crate::ops::Kind::Narrow(..) | crate::ops::Kind::PassThrough(_) => "in the loop",
            crate::ops::Kind::Wide(_) => "whole batch",
            crate::ops::Kind::Output(_) => "output",
        };
        let usage = spec.usage.replace('|', "\\|");
        let options: Vec<String> = spec.options.iter().map(|option| format!("`{option}`")).collect();
        let row = [
            format!("`{}`", spec.name),
            format!("`{usage}`"),
            options.join(", "),
            kind.to_owned(),
            summary(spec.name),
        ];
        page += &format!("| {} |\n", row.join(" | "));
    }
    page += "\n*In the loop*: part of the one loop over a partition. *Whole batch*: ends a stage; its \
             result is\nread by the next. *Output*: hands each batch to the world.\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operators.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page, "run the tests with UPDATE_DOCS=1");
}

/// The table of operators by kind in `docs/expansion.md`, likewise.
#[test]
fn the_operators_of_each_kind_are_listed() {
    use crate::ops::{Kind, Reads};

    let kinds: [(&str, fn(&Kind) -> bool); 5] = [
        ("narrow: nested into the loop", |kind| matches!(kind, Kind::Narrow(..))),
        ("the same record goes on", |kind| matches!(kind, Kind::PassThrough(_))),
        (
            "wide: a sink for each input, fed record by record",
            |kind| matches!(kind, Kind::Wide(wide) if wide.reads.sink().is_some()),
        ),
        (
            "wide: reads a whole batch, as an `Rdd`, or a state",
            |kind| matches!(kind, Kind::Wide(wide) if matches!(wide.reads, Reads::Whole | Reads::View)),
        ),
        ("output", |kind| matches!(kind, Kind::Output(_))),
    ];
    let mut table = String::from("\n| | |\n|---|---|\n");
    for (title, is) in kinds {
        let of_kind = crate::ops::OPS.iter().filter(|spec| is(&spec.kind));
        let names: Vec<String> = of_kind.map(|spec| format!("`{}`", spec.name)).collect();
        table += &format!("| {title} | {} |\n", names.join(", "));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/expansion.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    let (start, end) = ("<!-- operators by kind: UPDATE_DOCS=1 writes this table -->", "<!-- end -->");
    let (before, rest) = page.split_once(start).expect("where the table begins");
    let (listed, after) = rest.split_once(end).expect("where it ends");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, [before, start, &table, end, after].concat()).expect("the page");
    } else {
        assert_eq!(listed, table, "run the tests with UPDATE_DOCS=1");
    }
}

const TYPES: [&str; 3] = [
    r#"#[derive(Hash, Record)] #[record(key, owned = "Mine", derive(PartialEq, std::cmp::PartialOrd))]
    pub struct Tweet<'a, 'b: 'a, T: Copy + 'a, const N: usize = 2> where T: Of<'b>, 'a: 'b {
        /// Who.
        pub user: &'a str, r#type: [T; N], more: Option<&'b T>,
    }"#,
    r#"#[record(keyed)] #[repr(u8)] enum Topic<'a> { #[record(key)] Tag(&'a str) = 7, Any { n: u64 }, None }"#,
    r#"#[record(owned = Mine)] #[record] struct Id<T = u8>(T) where T: ?Sized;"#,
];

fn derives(input: TokenStream) -> Result<(), TestCaseError> {
    let text = input.to_string();
    let output = crate::derive::record(input);
    let parsed = syn::parse2::<syn::File>(output.clone());
    prop_assert!(parsed.is_ok(), "{text}\n{output}\n{:?}", parsed.err());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn mutated_types_never_panic(
        item in prop::sample::select(TYPES.to_vec()),
        edits in prop::collection::vec((0u8..4, any::<u8>(), any_token()), 0..60),
    ) {
        derives(mutate(tokens(item), &mut edits.into_iter()))?;
    }
}

#[test]
fn stages_of_typical_pipelines() {
    for (program, expected) in [
        ("s().count().print(); ", "s () > count"),
        ("s().map(f).filter(g).foreach_rdd(h);", "s () > map > filter > foreach_rdd"),
        ("s().map(f).reduce(g).print();", "s () > map > reduce"),
        (
            "s().group_by_key().flat_map_values(f).print();",
            "s () > group_by_key\ngroup_by_key > flat_map_values > print",
        ),
        (
            "s().combine_by_key(f, g, h).values().reduce(i).print();",
            "s () > combine_by_key\ncombine_by_key > values > reduce",
        ),
        (
            "let a = s().keys(); let b = t(); a.join(b.map(f)).keys().print();",
            "s () > keys > join\nt () > map > join\njoin > keys > print",
        ),
        // The matches of a join are made where they are read: nowhere, if they are only counted, in one
        // stage, or once for all if somebody wants all of them as his own.
        (
            "let a = s().join(t()); a.count().print(); a.count_by_window(2s, 2s).print(); let _b = a.keys();",
            "s () > join\nt () > join",
        ),
        (
            "let a = s().join(t()); a.count().print(); a.print(); a.keys().print();",
            "s () > join\nt () > join\njoin > (count | print | keys > print)",
        ),
        (
            "let a = s().join(t()); a.count().print(); a.print(); a.keys().print(); a.collect_to(&out);",
            "s () > join\nt () > join\njoin > keys > print",
        ),
        ("let a = s(); a.cogroup(a).print();", "s () > (cogroup | cogroup)"),
        // A batch that is there as a whole is counted, transformed and put out without another pass.
        ("let a = s().count_by_value(); a.count().print(); a.transform(f).print();", "s () > count_by_value"),
        (
            "s().transform(f).map(g).save_as_text_files(p);",
            "s () > transform\ntransform > map > save_as_text_files",
        ),
        ("s().repartition(4).map_partitions(f).glom().print();", "s () > repartition"),
        ("let a = s().cache(); a.print(); a.map(f).print();", "s () > cache > (print | map > print)"),
        (
            "let a = s(); let b = t(); let c = u(); a.union(b, c).print();",
            "s () > union > print\nt () > union > print\nu () > union > print",
        ),
        ("let _a = s().count_by_value(); t().print();", "t () > print"),
        // A state is read where it is; what only needs its length, or all of it as its own, has no stage.
        (
            "let a = s().update_state_by_key(f); a.count().print(); a.collect_to(&out); \
             a.transform(f).print(); a.print(); a.map(g).print();",
            "s () > update_state_by_key\nupdate_state_by_key > (print | map > print)",
        ),
        (
            "let (a, b) = s().map_with_state(f); a.print(); b.count_by_window(2s, 2s).print(); \
             b.values().reduce(f).print();",
            "s () > map_with_state\nstate_snapshots > values > reduce",
        ),
        // What is published has an operator of its own, and a variable named twice is one stream.
        ("x.map(f).count().print(); x.filter(g)", "x > (map > count | filter > publish)"),
        ("let a = s().count_by_value(); a.print(); a", "s () > count_by_value"),
        // What is put together alike has one sink.
        (
            "let a = s(); a.reduce_by_key(|x, y| x + y).print(); a.reduce_by_key_and_window(|x, y| x + y, \
             9s).print(); a.reduce_by_key_and_window(|x, y| y + x, 9s).print();",
            "s () > (reduce_by_key | reduce_by_key_and_window)",
        ),
        (
            "let a = s(); a.group_by_key(partitions = 2).print(); a.group_by_key_and_window(9s, partitions = \
             2).print(); a.group_by_key_and_window(9s).print(); a.group_by_key(partitions = n()).print(); \
             a.group_by_key(partitions = n()).print();",
            "s () > (group_by_key | group_by_key_and_window | group_by_key | group_by_key)",
        ),
        (
            "let a = s(); a.reduce(f::g).print(); a.reduce_by_window(f::g, 9s, 9s).print(); \
             a.reduce(f(1)).print(); a.reduce(f(1)).print();",
            "s () > (reduce | reduce | reduce)",
        ),
        (
            "let a = s(); a.count().print(); a.count_by_window(9s, 9s).print(); a.count_by_value().print(); \
             a.count_by_value_and_window(9s, 9s).print();",
            "s () > (count | count_by_value)",
        ),
    ] {
        check_stages(&format!("batch = 1s, {{ {program} }}"), expected);
    }
}

/// What stands before the dot is the stream itself, with the dot and with a name behind it: at one place
/// editors look it up.
#[test]
fn a_dot_before_a_semicolon_waits_for_an_operator() {
    for text in ["x.;", "x. ;", "x.coun;"] {
        let code = compile(tokens(&format!("batch = 1s, {{ let x = s(); {text} x.print(); }}"))).to_string();
        assert!(
            code.contains("; x . __dstream_incomplete ;") || code.contains("; x . coun ()"),
            "{text}: {code}"
        );
    }
}

#[test]
fn what_is_no_statement_is_reported_once() {
    for text in [
        "if a { x.print(); } else if b { x.print(); } else { x.print(); }",
        "for n in 0..3 { x.print(); }",
        "println!(\"a\");",
        "return;",
        "#[cfg(test)]",
        "use a::b;",
        "fn f() { x.print(); }",
        "if let Some(n) = m { x.print(); }",
    ] {
        let code = compile(tokens(&format!("batch = 1s, {{ let x = s(); {text} x.print(); }}"))).to_string();
        assert_eq!(code.matches("compile_error").count(), 1, "{text}: {code}");
    }
}

/// The table of settings in the documentation of `stream!` has all that there are, and no others.
#[test]
fn every_setting_is_documented() {
    let text = include_str!("lib.rs");
    let table = text
        .split("/// | setting | |")
        .nth(1)
        .and_then(|rest| rest.split("///\n").next())
        .unwrap_or_default();
    let mut documented: Vec<&str> =
        table.lines().filter_map(|row| row.trim().strip_prefix("/// | `")?.split(' ').next()).collect();
    let mut settings = crate::check::SETTINGS.to_vec();
    documented.sort_unstable();
    settings.sort_unstable();
    assert_eq!(documented, settings);
}

/// With `crate = ::ds`, no path of an expansion begins with `::dstream`; without it, all do.
#[test]
fn another_name_of_the_crate() {
    let program = "{ let words = s().words(); words.map(|w| (w, a::dstream::b)).reduce_by_key(f).print(); }";
    let with = |setting: &str| compile(tokens(&format!("batch = 1s, {setting} {program}"))).to_string();
    // Both are as long: places in the text are in the expansion, too.
    let (plain, renamed) = (with("crate = ::dstream,"), with("crate = ::renamed,"));
    assert!(plain.contains(":: dstream :: __private"), "{plain}");
    let expected = plain.replace(":: dstream ::", ":: renamed ::");
    assert_eq!(renamed, expected.replace("a :: renamed :: b", "a :: dstream :: b"));
    let wrong = with("crate = \"ds\",");
    assert!(wrong.contains("expected the path of the crate `dstream`, such as `::ds`"), "{wrong}");
}
