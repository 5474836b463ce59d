//! Tables of streams, windows and states, and tables that stay.

use std::{fs, sync::Arc};

use dstream::{
    prelude::*,
    sql::{
        SqlContext,
        datafusion::{
            arrow::{
                array::{Int64Array, RecordBatch},
                datatypes::{DataType, Field, Schema},
            },
            datasource::MemTable,
        },
    },
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Hit {
    page: String,
    n: i64,
}

fn hit(page: &str, n: i64) -> Hit {
    Hit { page: page.to_owned(), n }
}

const TOTALS: &str = "SELECT page, CAST(count(*) AS BIGINT) AS n FROM hits GROUP BY page ORDER BY page";

#[test]
fn a_window_and_a_state_are_tables_too() {
    let sql = SqlContext::new();
    let mut recent = sql.sql(TOTALS).table::<Hit>("hits").build::<Hit>().unwrap();
    let most = "SELECT page, n FROM totals ORDER BY n DESC LIMIT 1";
    let mut most = sql.sql(most).table::<Hit>("totals").build::<Hit>().unwrap();
    let (windows, leaders) = (Collected::new(), Collected::new());
    let folder = tempfile::tempdir().unwrap();
    let ssc = dstream::stream!(batch = 1s, checkpoint = folder.path(), {
        let hits = queue_stream(vec![vec!["a", "b"], vec!["b"], vec!["a", "a"], vec![]]);
        let hits = hits.map(|page| Hit { page: page.to_owned(), n: 1 });
        hits.window(2s, 1s).transform(move |hits| recent.run(&hits)).collect_to(&windows);
        let pairs = hits.map(|hit| (hit.page, hit.n));
        let totals = pairs.update_state_by_key(|new: &[i64], old: Option<i64>| {
            Some(old.unwrap_or(0) + new.iter().sum::<i64>())
        });
        let totals = totals.map(|(page, n)| Hit { page: page.clone(), n: *n });
        totals.transform(move |totals| most.run(&totals)).collect_to(&leaders);
    })
    .unwrap();
    ssc.run_batches(4).unwrap();
    let expected = [
        vec![hit("a", 1), hit("b", 1)],
        vec![hit("a", 1), hit("b", 2)],
        vec![hit("a", 2), hit("b", 1)],
        vec![hit("a", 2)],
    ];
    assert_eq!(windows.values(), expected);
    let leaders = leaders.values();
    assert_eq!((&leaders[1], &leaders[3]), (&vec![hit("b", 2)], &vec![hit("a", 3)]));
}

#[derive(Debug, Clone, Record, Serialize, Deserialize)]
struct Page {
    path: String,
    title: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Titled {
    title: Option<String>,
    team: Option<String>,
    limit: Option<i64>,
    n: i64,
}

#[test]
fn tables_that_stay_come_from_an_rdd_a_csv_file_and_datafusion() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("teams.csv");
    fs::write(&file, "path,team\n/a,search\n/b,\"shop, web\"\n").unwrap();
    let mut sql = SqlContext::new();
    let pages = [("/a", Some("Start")), ("/c", None)];
    let pages = pages.map(|(path, title)| Page { path: path.to_owned(), title: title.map(str::to_owned) });
    sql.register("pages", &Rdd::parallelize(pages.to_vec())).unwrap();
    sql.register_csv("teams", file.to_str().unwrap()).unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new("most", DataType::Int64, false)]));
    let limits =
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![10]))]).unwrap();
    sql.register_table("limits", Arc::new(MemTable::try_new(schema, vec![vec![limits]]).unwrap())).unwrap();
    let text = r#"SELECT title, team, most AS "limit", n FROM hits
                  LEFT JOIN pages ON pages.path = page
                  LEFT JOIN teams ON teams.path = page
                  LEFT JOIN limits ON true ORDER BY page"#;
    let mut query = sql.sql(text).table::<Hit>("hits").build::<Titled>().unwrap();
    let titled = |title: Option<&str>, team: Option<&str>, n| Titled {
        title: title.map(str::to_owned),
        team: team.map(str::to_owned),
        limit: Some(10),
        n,
    };
    let hits = Rdd::parallelize(vec![hit("/b", 2), hit("/c", 3), hit("/a", 1)]);
    let expected =
        [titled(Some("Start"), Some("search"), 1), titled(None, Some("shop, web"), 2), titled(None, None, 3)];
    assert_eq!(query.run(&hits).unwrap().collect(), expected);
    // What has been read stays.
    fs::remove_file(&file).unwrap();
    assert_eq!(query.run(&hits).unwrap().collect(), expected);
    fs::write(&file, "path,team\n/a,search\n/b\n").unwrap();
    let error = SqlContext::new().register_csv("teams", file.to_str().unwrap()).unwrap_err().to_string();
    assert!(error.contains("teams.csv") && error.contains("Expected 2"), "{error}");
}

#[derive(Debug, Clone, Copy, PartialEq, Record, Serialize, Deserialize)]
enum Kind {
    Read,
    Write,
}

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Wide {
    kind: Kind,
    small: i8,
    large: u64,
    half: f32,
    flag: bool,
    text: String,
    list: Vec<u16>,
    inner: Inner,
    none: Option<Inner>,
}

#[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
struct Inner {
    x: Option<f64>,
    y: String,
}

#[test]
fn records_of_many_types_go_through_a_query_unchanged() {
    let mut same = SqlContext::new().sql("SELECT * FROM t").table::<Wide>("t").build::<Wide>().unwrap();
    let wide = |n: u64| Wide {
        kind: if n.is_multiple_of(2) { Kind::Read } else { Kind::Write },
        small: n as i8,
        large: u64::MAX - n,
        half: n as f32 / 3.0,
        flag: n.is_multiple_of(3),
        text: "ü".repeat(n as usize % 5),
        list: (0..n as u16 % 4).collect(),
        inner: Inner { x: n.is_multiple_of(2).then_some(n as f64), y: n.to_string() },
        none: n.is_multiple_of(5).then(|| Inner { x: None, y: String::new() }),
    };
    let records: Vec<Wide> = (0..5_000).map(wide).collect();
    assert_eq!(same.run(&Rdd::parallelize(records.clone())).unwrap().collect(), records);
    let text = "SELECT kind, small, large, half, flag, upper(text) AS text, list, inner, none FROM t
                WHERE kind = 'Write' AND inner['y'] = '7'";
    let mut some = SqlContext::new().sql(text).table::<Wide>("t").build::<Wide>().unwrap();
    let found = some.run(&Rdd::parallelize(records)).unwrap().collect();
    assert_eq!(found, [Wide { text: "ÜÜ".into(), ..wide(7) }]);
}

#[test]
fn a_query_runs_on_a_thread_that_runs_async_code() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let totals = runtime.block_on(async {
        let mut totals = SqlContext::new().sql(TOTALS).table::<Hit>("hits").build::<Hit>().unwrap();
        totals.run(&Rdd::parallelize(vec![hit("a", 5), hit("a", 6)])).unwrap().collect()
    });
    assert_eq!(totals, [hit("a", 2)]);
}
