//! Tables of SQLite as outputs.

#[path = "sqlite/mistakes.rs"]
mod mistakes;

use std::path::{Path, PathBuf};

use dstream::{
    Record, StreamingContext,
    prelude::*,
    testing::{SinkFixture, check_sink},
};
use dstream_sqlite::Sqlite;
use rusqlite::{Connection, types::Value};
use serde::Serialize;

/// A database in a folder of its own.
struct Database(tempfile::TempDir);

impl Database {
    fn new(sql: &str) -> Database {
        let database = Database(tempfile::tempdir().unwrap());
        database.run(sql);
        database
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("test.db")
    }

    fn run(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    /// The rows of a query, each as text.
    fn rows(&self, sql: &str) -> Vec<String> {
        let connection = Connection::open(self.path()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells = (0..width).map(|at| {
                Ok(match row.get(at)? {
                    Value::Null => "NULL".to_owned(),
                    Value::Integer(value) => value.to_string(),
                    Value::Real(value) => format!("{value:?}"),
                    Value::Text(value) => value,
                    Value::Blob(value) => format!("{value:?}"),
                })
            });
            cells.collect::<Result<Vec<_>, rusqlite::Error>>().map(|cells| cells.join("|"))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn sink(&self) -> Sqlite {
        Sqlite::new(self.path())
    }
}

/// The program of the tests: batches, each of one partition, into a sink.
fn context<R: Record<Owned: Serialize>>(sink: Sqlite, batches: Vec<Vec<R>>) -> StreamingContext {
    let batches: Vec<Vec<R::Owned>> =
        batches.into_iter().map(|batch| batch.into_iter().map(R::own).collect()).collect();
    dstream::stream!(batch = 1s, name = "test", {
        queue_stream(batches).write_to(sink).named("table");
    })
    .unwrap()
}

/// Writes one batch.
fn write<R: Record<Owned: Serialize>>(sink: Sqlite, batch: Vec<R>) -> dstream::Result<()> {
    context(sink, vec![batch]).run_batches(1)
}

fn run<R: Record<Owned: Serialize>>(sink: Sqlite, batches: Vec<Vec<R>>) {
    let count = batches.len();
    context(sink, batches).run_batches(count).unwrap();
}

struct Numbers {
    database: Database,
    sink: fn(Sqlite) -> Sqlite,
    writer: Option<Connection>,
}

impl SinkFixture for Numbers {
    type Record = u64;
    type Sink = Sqlite;

    fn sink(&mut self) -> Sqlite {
        (self.sink)(self.database.sink())
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    fn read(&mut self) -> Vec<u64> {
        self.database.rows("SELECT n FROM numbers").iter().map(|n| n.parse().unwrap()).collect()
    }

    /// Another program has a transaction open.
    fn disturb(&mut self, broken: bool) -> bool {
        self.writer = broken.then(|| {
            let writer = Connection::open(self.database.path()).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            writer
        });
        true
    }
}

#[test]
fn each_way_to_write_is_exactly_once() {
    let ways: [fn(Sqlite) -> Sqlite; 4] = [
        |sink| sink.table("numbers"),
        |sink| sink.table("numbers").dead_letters("refused"),
        |sink| sink.add_to("numbers", ["n"]),
        |sink| sink.statement("INSERT INTO numbers VALUES ($1)"),
    ];
    for sink in ways {
        let database = Database::new("CREATE TABLE numbers (n INTEGER PRIMARY KEY)");
        check_sink(Numbers { database, sink, writer: None }).unwrap();
    }
}

#[derive(Clone, Record, Serialize)]
struct Order {
    article: String,
    pieces: Option<i32>,
    price: f64,
    tags: Vec<String>,
    paid: bool,
}

#[test]
fn a_struct_goes_to_the_columns_of_its_names() {
    let database = Database::new(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, paid BOOLEAN, tags TEXT, price REAL, article TEXT NOT \
         NULL,
         pieces INTEGER, at TEXT NOT NULL DEFAULT 'now', twice INTEGER AS (2 * pieces))",
    );
    let order = |article: &str, pieces, paid| Order {
        article: article.into(),
        pieces,
        price: 0.5,
        tags: vec!["a".into()],
        paid,
    };
    run(database.sink().table("orders"), vec![vec![order("figs\n", Some(3), true), order("", None, false)]]);
    assert_eq!(
        database.rows("SELECT id, article, pieces, price, tags, paid, at, twice FROM orders"),
        ["1|figs\n|3|0.5|[\"a\"]|1|now|6", "2||NULL|0.5|[\"a\"]|0|now|NULL"]
    );
}

#[test]
fn upserts_replace_and_the_last_of_a_batch_is_written() {
    let database = Database::new(
        "CREATE TABLE prices (shop TEXT, article TEXT, cents INTEGER, PRIMARY KEY (article, shop))",
    );
    let batches = vec![
        vec![("a", "figs", 1), ("b", "figs", 2), ("a", "figs", 3)],
        vec![("a", "figs", 4), ("a", "nuts", 5)],
    ];
    run(database.sink().upsert("prices", ["shop", "article"]), batches);
    assert_eq!(database.rows("SELECT * FROM prices ORDER BY 1, 2"), ["a|figs|4", "a|nuts|5", "b|figs|2"]);
}

#[test]
fn totals_are_added_to_what_is_there() {
    let database = Database::new(
        "CREATE TABLE counts (word TEXT PRIMARY KEY, n INTEGER, seconds REAL, since TEXT DEFAULT 'x');
         INSERT INTO counts VALUES ('be', NULL, 1, 'y')",
    );
    let batches = vec![
        vec![("be", 2u64, Some(0.5)), ("to", 1, None), ("be", 1, None)],
        vec![("be", 1, Some(0.25)), ("or", 1, None)],
    ];
    run(database.sink().add_to("counts", ["word"]).columns(["word", "n", "seconds"]), batches);
    assert_eq!(
        database.rows("SELECT * FROM counts ORDER BY 1"),
        ["be|4|1.75|y", "or|1|NULL|x", "to|1|NULL|x"]
    );
}

#[test]
fn a_statement_of_ones_own_runs_for_each_record() {
    let database = Database::new("CREATE TABLE stock (article TEXT PRIMARY KEY, pieces INTEGER)");
    database.run("INSERT INTO stock VALUES ('figs', 10), ('nuts', 5)");
    let sell = "UPDATE stock SET pieces = pieces - $2 WHERE article = $1 RETURNING pieces";
    run(database.sink().statement(sell), vec![vec![("figs", 1), ("figs", 2)], vec![("nuts", 1)]]);
    assert_eq!(database.rows("SELECT * FROM stock ORDER BY 1"), ["figs|7", "nuts|4"]);

    #[derive(Clone, Record, Serialize)]
    struct Sold {
        pieces: u32,
        article: String,
    }
    database.run("DELETE FROM dstream_ledger");
    let named = "UPDATE stock SET pieces = pieces - :pieces WHERE article = :article";
    run(database.sink().statement(named), vec![vec![Sold { pieces: 3, article: "nuts".into() }]]);
    assert_eq!(database.rows("SELECT pieces FROM stock WHERE article = 'nuts'"), ["1"]);
}

#[test]
fn refused_records_are_dead_letters_and_the_others_are_written() {
    let database =
        Database::new("CREATE TABLE counts (word TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 1000))");
    let batch: Vec<_> = (0..2_000u64)
        .map(|n| match n {
            7 => (format!("word {n}"), Some(u64::MAX)),
            500 => (format!("word {n}"), Some(5_000)),
            1_999 => (format!("word {n}"), None),
            n => (format!("word {n}"), Some(n % 5)),
        })
        .collect();
    run(database.sink().table("counts").dead_letters("refused"), vec![batch]);
    assert_eq!(database.rows("SELECT count(*) FROM counts"), ["1997"]);
    let letters = database.rows("SELECT application, output, record, reason FROM refused");
    let [large, check, none] = &letters[..] else { panic!("{letters:?}") };
    assert!(
        large.starts_with(r#"test|table|{"word":"word 7","n":"18446744073709551615"}|column `n`: "#),
        "{large}"
    );
    assert!(check.contains("CHECK constraint failed") && check.contains(r#""n":5000"#), "{check}");
    assert!(none.contains("NOT NULL constraint failed: counts.n"), "{none}");
    let many: Vec<_> = (0..1_500).map(|n| ("w", 100_000 + n)).collect();
    database.run("DELETE FROM dstream_ledger");
    let error = write(database.sink().table("counts").dead_letters("refused"), many).unwrap_err().to_string();
    assert!(
        error.contains("more than 1000 records") && error.contains(r#"{"word":"w","n":100000}"#),
        "{error}"
    );
    assert_eq!(database.rows("SELECT count(*) FROM refused"), ["3"]);
}

#[test]
fn the_ledger_stays_small() {
    let database = Database::new("CREATE TABLE numbers (n INTEGER)");
    let checkpoint = tempfile::tempdir().unwrap();
    numbers(&database, checkpoint.path(), (0..50).collect()).run_batches(50).unwrap();
    let rows = database.rows("SELECT batch_time FROM dstream_ledger");
    assert!((2..10).contains(&rows.len()), "{rows:?}");
    // A batch that fails holds all that are behind it.
    let batches = (0..50).map(|n| if n == 20 { u64::MAX } else { n }).collect();
    assert!(numbers(&database, checkpoint.path(), batches).run_batches(50).is_err());
    let rows = database.rows("SELECT batch_time FROM dstream_ledger");
    assert!((29..40).contains(&rows.len()), "{rows:?}");
}

/// Writes a number a batch.
fn numbers(database: &Database, checkpoint: &Path, batches: Vec<u64>) -> StreamingContext {
    let sink = database.sink().table("numbers");
    let batches: Vec<Vec<u64>> = batches.into_iter().map(|n| vec![n]).collect();
    dstream::stream!(batch = 1s, name = "test", checkpoint = checkpoint, {
        queue_stream(batches).write_to(sink);
    })
    .unwrap()
}
