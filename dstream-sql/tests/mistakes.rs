//! What is wrong with a query is said before the first batch, at the word.

use dstream::{
    prelude::*,
    sql::{SqlContext, SqlError},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Word {
    word: String,
    length: u32,
    weight: f64,
}

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Top {
    word: String,
    n: i64,
}

fn mistake(text: &str) -> SqlError {
    let query = SqlContext::new().sql(text).table::<Word>("words");
    query.build::<Top>().expect_err(text)
}

/// A query with its mistake in `>` and `<`, and what must be said of it.
const MISTAKES: [(&str, &str); 24] = [
    ("SELECT >wrd< AS word, 1 AS n FROM words", "wrd"),
    ("SELECT word, 1 AS n FROM >wrds<", "wrds"),
    ("SELECT word, >cuont<(*) AS n FROM words GROUP BY word", "cuont"),
    ("SELECT word, 1 AS n FROM words WERE >length< > 3", "end of statement"),
    (">SELCT< word, 1 AS n FROM words", "SELCT"),
    ("SELECT >word<, count(*) AS n FROM words", "GROUP BY"),
    ("SELECT word, count(*) AS n FROM words GROUP BY >wort<", "wort"),
    ("SELECT word, 1 AS n FROM words ORDER BY >lenght<", "lenght"),
    ("SELECT word, 1 AS n FROM words WHERE >w<.length > 3", "w.length"),
    ("SELECT word, 1 AS n FROM words WHERE length >LIKE< 3.5", "Float64"),
    ("SELECT word, 'one' AS >n< FROM words", "CAST"),
    ("SELECT word, avg(length) AS >n< FROM words GROUP BY word", "Float64"),
    ("SELECT 'all' AS word, sum(CAST(length AS BIGINT)) AS >n< FROM words", "Option"),
    ("SELECT word, 1 AS n, length AS >extra< FROM words", "extra"),
    ("SELECT word, >now<() AS n FROM words", "runs again"),
    ("SELECT word, CAST(>random<() * 10 AS BIGINT) AS n FROM words", "runs again"),
    (">CREATE< TABLE t AS SELECT word, 1 AS n FROM words", "only reads"),
    (">INSERT< INTO words VALUES ('a', 1, 1.0)", "only reads"),
    (">DROP< TABLE words", "only reads"),
    ("SELECT word, 1 AS n FROM words JOIN >others< ON true", "others"),
    ("SELECT word, >round<(word, word, word) AS n FROM words", "round"),
    ("SELECT x.word, 1 AS n FROM words x JOIN words y ON x.word = y.word WHERE >length< > 3", "mbiguous"),
    ("SELECT word, 1 AS n FROM words LIMIT >-1<", ""),
    (">SELECT< word, 1 AS n FROM words UNION SELECT word FROM words", "number of columns"),
];

#[test]
fn each_mistake_is_said_at_its_word() {
    let mut wrong = Vec::new();
    for (marked, says) in MISTAKES {
        let (before, rest) = marked.split_once('>').unwrap();
        let (word, _) = rest.split_once('<').unwrap();
        let error = mistake(&format!("{before}{}", rest.replacen('<', "", 1)));
        let column = before.chars().count() + 1;
        let text = error.to_string();
        if !text.contains(says) || (error.line(), error.column()) != (Some(1), Some(column)) {
            wrong.push(format!("{marked}: `{word}` is at {column}, not {:?}: {text}", error.column()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_mistake_points_into_its_line() {
    let error = mistake("SELECT word,\n       cuont(*) AS n\nFROM words");
    assert_eq!((error.line(), error.column()), (Some(2), Some(8)));
    assert!(error.to_string().ends_with("\n           cuont(*) AS n\n           ^^^^^"), "{error}");
}

#[test]
fn records_must_have_the_columns_that_are_asked_for() {
    let sql = SqlContext::new();
    let error = sql.sql("SELECT word FROM words").table::<Word>("words").build::<Top>().unwrap_err();
    assert_eq!(error.to_string(), "the result has no column `n`, which is a field of `Top`; it has `word`");
    let error = sql.sql("SELECT 1 AS n").table::<u64>("numbers").build::<Top>().unwrap_err();
    assert!(
        error.to_string().starts_with("`u64` has no columns: expected a struct with named fields"),
        "{error}"
    );
    let twice = sql.sql("SELECT 1 AS n").table::<Word>("words").table::<Top>("words").build::<Top>();
    assert!(twice.unwrap_err().to_string().contains("two tables of the name `words`"));
    let mut sql = sql;
    let error = sql.register_csv("towns", "/nowhere/towns.csv").unwrap_err();
    assert!(error.to_string().contains("/nowhere/towns.csv"), "{error}");
}

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Small {
    n: u8,
}

#[test]
fn what_shows_only_in_the_data_fails_the_batch_and_no_other() {
    let query = SqlContext::new().sql("SELECT n / 2 AS n FROM numbers").table::<Big>("numbers");
    let mut halves = query.build::<Small>().unwrap();
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let numbers = queue_stream(vec![vec![8], vec![-4], vec![600], vec![20]]).map(|n| Big { n });
        numbers.transform(move |numbers| halves.run(&numbers)).collect_to(&out);
    })
    .unwrap();
    let error = ssc.run_batches(4).unwrap_err().to_string();
    assert!(error.contains("`transform` at "), "{error}");
    assert!(error.contains("Can't cast value -2 to type UInt8"), "{error}");
    assert_eq!(out.values(), [[Small { n: 4 }], [Small { n: 10 }]]);
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Big {
    n: i64,
}

#[test]
fn a_query_may_not_take_more_memory_than_it_is_given() {
    let sql = SqlContext::new().memory_limit(100_000);
    let mut query =
        sql.sql("SELECT n FROM numbers GROUP BY n").table::<Big>("numbers").build::<Big>().unwrap();
    assert_eq!(query.run(&Rdd::parallelize((0..100).map(|n| Big { n }).collect())).unwrap().count(), 100);
    let error = query.run(&Rdd::parallelize((0..1_000_000).map(|n| Big { n }).collect())).unwrap_err();
    assert!(error.to_string().contains("Resources exhausted"), "{error}");
    // It is given back.
    assert_eq!(query.run(&Rdd::parallelize((0..100).map(|n| Big { n }).collect())).unwrap().count(), 100);
}

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Name {
    name: String,
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Pair {
    a: String,
    b: Option<String>,
}

#[test]
fn what_may_be_null_needs_an_option() {
    let takes = |text: &str| {
        let query = SqlContext::new().sql(text).table::<Pair>("t").table::<Pair>("u");
        match query.build::<Name>() {
            Ok(_) => true,
            Err(error) => {
                assert!(error.to_string().contains("`name` may be NULL"), "{text}: {error}");
                false
            }
        }
    };
    let never = [
        "SELECT a AS name FROM t",
        "SELECT upper(substr(a, 2)) || 'x' AS name FROM t",
        "SELECT coalesce(b, a) AS name FROM t",
        "SELECT coalesce(b, '') AS name FROM t ORDER BY a LIMIT 3",
        "SELECT max(a) AS name FROM t GROUP BY b",
        "SELECT name FROM (SELECT upper(a) AS name, b FROM t) x WHERE b IS NULL",
        "SELECT upper(u.a) AS name FROM t JOIN u ON t.a = u.a",
        "SELECT CASE WHEN b = 'x' THEN a ELSE 'none' END AS name FROM t",
        "SELECT DISTINCT lower(a) AS name FROM t UNION ALL SELECT a FROM u",
    ];
    let may = [
        "SELECT b AS name FROM t",
        "SELECT upper(b) AS name FROM t",
        "SELECT max(a) AS name FROM t",
        "SELECT max(b) AS name FROM t GROUP BY a",
        "SELECT max(a) FILTER (WHERE b = 'x') AS name FROM t GROUP BY a",
        "SELECT upper(u.a) AS name FROM t LEFT JOIN u ON t.a = u.a",
        "SELECT CASE WHEN b = 'x' THEN a END AS name FROM t",
        "SELECT nullif(a, 'x') AS name FROM t",
        "SELECT lower(a) AS name FROM t UNION ALL SELECT b FROM u",
        "SELECT max(a) AS name FROM t GROUP BY ROLLUP (b)",
        "SELECT (SELECT u.a FROM u LIMIT 1) AS name FROM t",
        "SELECT lag(a) OVER (ORDER BY a) AS name FROM t",
    ];
    let wrong: Vec<_> =
        never.iter().filter(|text| !takes(text)).chain(may.iter().filter(|text| takes(text))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
