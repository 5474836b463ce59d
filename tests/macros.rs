//! Pipelines that a `macro_rules!` of the user writes: what it hands on as an expression, a type, a block and
//! the like comes in groups that nobody sees.

use dstream::prelude::*;

fn batches() -> Vec<Vec<&'static str>> {
    vec![vec!["a b a", "b c"]]
}

/// What the pipeline `$build` collects in one batch.
macro_rules! collected {
    (|$out:ident| $build:expr) => {{
        let $out = Collected::new();
        let ssc = $build.unwrap();
        ssc.run_batches(1).unwrap();
        let mut found = $out.values().concat();
        found.sort();
        found
    }};
}

#[test]
fn a_chain_and_a_source_as_expressions() {
    macro_rules! chain {
        ($out:ident, $chain:expr) => {
            dstream::stream!(batch = 1s, {
                $chain.collect_to(&$out);
            })
        };
        ($out:ident, $source:expr => $interval:expr) => {
            dstream::stream!(batch = $interval, {
                let lines = $source;
                lines.words().window($interval).collect_to(&$out);
            })
        };
        ($out:ident, all $statement:expr) => {
            dstream::stream!(batch = 1s, {
                $statement;
            })
        };
    }
    let words = ["a", "a", "b", "b", "c"];
    assert_eq!(
        collected!(|out| chain!(out, queue_stream(batches()).flat_map(|line| line.split(' ')))),
        words
    );
    assert_eq!(collected!(|out| chain!(out, queue_stream(batches()) => 1s)), words);
    assert_eq!(collected!(|out| chain!(out, (queue_stream(batches())) => 500ms)), words);
    assert_eq!(collected!(|out| chain!(out, all queue_stream(batches()).words().collect_to(&out))), words);
}

#[test]
fn closures_as_expressions() {
    macro_rules! mapped {
        ($out:ident, $f:expr, $keep:expr, $reduce:expr) => {
            dstream::stream!(batch = 1s, {
                let lines = queue_stream(batches());
                let words = lines.flat_map($f);
                words.filter($keep).map(|w| (w, 1u64)).reduce_by_key($reduce).collect_to(&$out);
            })
        };
    }
    // The first needs to be inlined, since its result borrows; the second is inferred.
    let found = collected!(|out| mapped!(out, |line| line.split(' '), |w| *w != "c", |a, b| a + b));
    assert_eq!(found, [("a".into(), 2), ("b".into(), 2)]);
    let wanted = "a";
    let found = collected!(|out| mapped!(out, |line| line.split(' '), |w| { *w == wanted }, u64::max));
    assert_eq!(found, [("a".into(), 1)]);
}

/// `$n * 2` with `1 + 1` is four.
#[test]
fn an_expression_keeps_its_precedence() {
    macro_rules! scaled {
        ($out:ident, $n:expr, $neg:literal) => {
            dstream::stream!(batch = 1s, {
                let nums = queue_stream(vec![vec![10i64]]);
                nums.map(|x| $n * x - $neg).collect_to(&$out);
                nums.map(|x| (x + $n) as f64 as i64 * $n).collect_to(&$out);
            })
        };
    }
    assert_eq!(collected!(|out| scaled!(out, 1 + 1, -5)), [24, 25]);
    // The block of a condition must not begin inside.
    macro_rules! compared {
        ($out:ident, $point:expr) => {
            dstream::stream!(batch = 1s, {
                queue_stream(vec![vec![1i64]]).map(|x| if x == $point.x { 1 } else { 2 }).collect_to(&$out);
            })
        };
    }
    struct Point {
        x: i64,
    }
    assert_eq!(collected!(|out| compared!(out, Point { x: 1 })), [1]);
    assert_eq!(collected!(|out| compared!(out, if true { Point { x: 2 } } else { Point { x: 1 } })), [2]);
}

#[test]
fn names_types_literals_tokens_and_blocks() {
    macro_rules! all {
        (
            $out:ident, $stream:ident, $op:ident, $option:ident = $n:literal, $t:ty, $pattern:pat,
            $value:expr, $sep:literal,
            $body:block, $zero:tt, $length:literal
        ) => {
            dstream::stream!(batch = $length, {
                let $stream = queue_stream(batches());
                let pairs = $stream.flat_map(|line| line.split($sep)).map(|w: $t| $body(w));
                let sums = pairs.$op(|a, b| a + b, $option = $n);
                sums.map(|$pattern| $value).map(|(w, n)| (w, n + $zero)).collect_to(&$out);
            })
        };
        ($out:ident, $pipeline:block) => {
            dstream::stream!(batch = 1s, $pipeline)
        };
    }
    let found = collected!(|out| all!(
        out,
        lines,
        reduce_by_key,
        partitions = 2,
        &str,
        (k, v),
        (k, v * 2),
        ' ',
        { |w| (w, 1u64) },
        (1 - 1),
        1s
    ));
    assert_eq!(found, [("a".into(), 4u64), ("b".into(), 4), ("c".into(), 2)]);
    let found = collected!(|out| all!(out, {
        queue_stream(batches()).words().filter(|w| w == "c").collect_to(&out);
    }));
    assert_eq!(found, ["c"]);
}

/// Tokens of the caller, of a macro, and of one that calls it meet in one pipeline: names of one text are
/// different variables.
#[test]
fn tokens_of_two_contexts() {
    macro_rules! inner {
        ($out:ident, $source:expr, $min:expr, $f:expr) => {{
            let min = 2usize;
            dstream::stream!(batch = 1s, {
                let words = $source.flat_map($f);
                words.map(|w| w.len()).filter(|n| *n >= min && *n > $min).collect_to(&$out);
            })
        }};
    }
    macro_rules! outer {
        ($out:ident, $source:expr, $min:expr) => {
            inner!($out, $source, $min, |line| line.split(' '))
        };
    }
    let min = 3usize;
    let batches = vec![vec!["a bb ccc dddd"]];
    assert_eq!(collected!(|out| outer!(out, queue_stream(batches), min)), [4]);
}

/// Two closures of one text are two closures where their names are different variables.
#[test]
fn closures_of_two_contexts_are_not_shared() -> dstream::Result<()> {
    macro_rules! both {
        ($ours:ident, $theirs:ident, $f:expr) => {{
            let k = 10;
            dstream::stream!(batch = 1s, {
                let pairs = queue_stream(vec![vec![(1, 1), (1, 1)]]);
                pairs.reduce_by_key(|a, b| a + b * k).collect_to(&$ours);
                pairs.reduce_by_key($f).collect_to(&$theirs);
            })
        }};
    }
    let (ours, theirs, k) = (Collected::new(), Collected::new(), 100);
    both!(ours, theirs, |a, b| a + b * k)?.run_batches(1)?;
    assert_eq!((ours.values(), theirs.values()), (vec![vec![(1, 11)]], vec![vec![(1, 101)]]));
    Ok(())
}

/// `contains` of the record itself is searched for in the whole block; of another variable of that name it is
/// not.
#[test]
#[allow(unused_variables)]
fn a_variable_of_the_records_name_is_not_the_record() -> Result<(), Box<dyn std::error::Error>> {
    macro_rules! lines {
        ($folder:expr, $out:ident, $given:ident) => {
            dstream::stream!(batch = 1s, {
                let lines = text_file_stream($folder).filter(|line| $given.contains("y"));
                lines.map(|line| line.to_owned()).collect_to(&$out);
            })
        };
    }
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("text"), "a b\nc d\n")?;
    let (out, line) = (Collected::<String>::new(), "x y");
    lines!(folder.path(), out, line)?.run_to_end()?;
    assert_eq!(out.values().concat(), ["a b", "c d"]);
    Ok(())
}

/// The fields of a derived record come from a macro, too.
#[test]
fn a_record_of_a_macro() {
    macro_rules! record {
        ($name:ident { $($field:ident: $t:ty),* }) => {
            #[derive(Hash, Record)]
            #[record(key)]
            struct $name<'a> { text: &'a str, $($field: $t),* }
        };
    }
    record!(Line { n: u64, pair: (u8, Option<u16>) });
    let found = collected!(|out| dstream::stream!(batch = 1s, {
        let lines = queue_stream(batches()).map(|text| Line { text, n: 1, pair: (1, None) });
        lines.count_by_value().map(|(line, n)| (line.text, line.n, line.pair, n)).collect_to(&out);
    }));
    assert_eq!(found, [("a b a".into(), 1, (1, None), 1), ("b c".into(), 1, (1, None), 1)]);
}
