//! Rows a second into databases, beside the same rows written by hand: `cargo bench -p
//! dstream-connector-tests`.

#[expect(dead_code, reason = "tests use the rest of it")]
#[path = "../../postgres/tests/postgres/server.rs"]
mod server;

use std::{io::Write as _, time::Instant};

use dstream::{postgres::Postgres, prelude::*, sink::Sink, sqlite::Sqlite};
use postgres::{Client, Transaction};
use rusqlite::Connection;
use server::Server;

const BATCHES: usize = 10;
const ROWS: usize = 100_000;
/// How often each is measured, unless `DSTREAM_RUNS` says otherwise.
const RUNS: usize = 5;

type Batches = Vec<Vec<(String, u64)>>;

/// Each word once in a batch.
fn batches() -> Batches {
    let row = |batch: usize, row: usize| (format!("word-{:07}", row * 7919 % ROWS), (batch + row) as u64);
    (0..BATCHES).map(|batch| (0..ROWS).map(|at| row(batch, at)).collect()).collect()
}

/// Writes all batches by a stream; returns the seconds.
fn by_stream(sink: impl Sink<(String, u64)> + 'static, batches: &Batches) -> f64 {
    let batches = batches.clone();
    let ssc = dstream::stream!(batch = 1s, name = "rows", {
        queue_stream(batches).write_to(sink);
    })
    .unwrap();
    // Connects.
    let begun = Instant::now();
    ssc.run_batches(BATCHES).unwrap();
    begun.elapsed().as_secs_f64()
}

fn copy(transaction: &mut Transaction<'_>, table: &str, batch: &[(String, u64)]) {
    let mut writer = transaction.copy_in(&format!("COPY {table} (word, n) FROM STDIN")).unwrap();
    let mut text = Vec::with_capacity(64 << 10);
    for (word, n) in batch {
        writeln!(text, "{word}\t{n}").unwrap();
        if text.len() > 60 << 10 {
            writer.write_all(&text).unwrap();
            text.clear();
        }
    }
    writer.write_all(&text).unwrap();
    writer.finish().unwrap();
}

fn copy_by_hand(client: &mut Client, batches: &Batches) -> f64 {
    let begun = Instant::now();
    for batch in batches {
        let mut transaction = client.transaction().unwrap();
        copy(&mut transaction, "counts", batch);
        transaction.commit().unwrap();
    }
    begun.elapsed().as_secs_f64()
}

/// The way that PostgreSQL recommends: copies a batch into a table of its own, and moves it from there.
fn copy_and_change_by_hand(client: &mut Client, change: &str, batches: &Batches) -> f64 {
    let begun = Instant::now();
    client.batch_execute("CREATE TEMPORARY TABLE rows (word text, n bigint) ON COMMIT DELETE ROWS").unwrap();
    let sql = format!(
        "INSERT INTO counts (word, n) SELECT word, n FROM rows ON CONFLICT (word) DO UPDATE {change}"
    );
    for batch in batches {
        let mut transaction = client.transaction().unwrap();
        copy(&mut transaction, "rows", batch);
        transaction.execute(&sql, &[]).unwrap();
        transaction.commit().unwrap();
    }
    begun.elapsed().as_secs_f64()
}

fn insert_by_hand(connection: &mut Connection, sql: &str, batches: &Batches) -> f64 {
    let begun = Instant::now();
    for batch in batches {
        let transaction = connection.transaction().unwrap();
        let mut statement = transaction.prepare(sql).unwrap();
        for (word, n) in batch {
            statement.execute((word, i64::try_from(*n).unwrap())).unwrap();
        }
        drop(statement);
        transaction.commit().unwrap();
    }
    begun.elapsed().as_secs_f64()
}

#[expect(clippy::print_stdout, reason = "it is for this that it runs")]
fn say(what: &str, mut seconds: Vec<f64>) {
    seconds.sort_by(f64::total_cmp);
    let rate = |seconds: f64| (BATCHES * ROWS) as f64 / seconds / 1000.0;
    let (slow, middle, fast) = (seconds[seconds.len() - 1], seconds[seconds.len() / 2], seconds[0]);
    println!(
        "{what:50} {:6.0} thousand rows a second ({:.0} to {:.0})",
        rate(middle),
        rate(slow),
        rate(fast)
    );
}

/// Measures the ways in turn, so that what else the machine does is shared among them.
fn compare(ways: &mut [(&str, &mut dyn FnMut() -> f64)]) {
    let mut seconds = vec![Vec::new(); ways.len()];
    let runs = std::env::var("DSTREAM_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    for _ in 0..runs {
        ways.iter_mut().zip(&mut seconds).for_each(|((_, run), seconds)| seconds.push(run()));
    }
    ways.iter().zip(seconds).for_each(|((what, _), seconds)| say(what, seconds));
}

fn main() {
    let batches = batches();
    if let Some(server) = Server::start() {
        let fresh = |key: &str| {
            server.run(&format!(
                "DROP TABLE IF EXISTS counts, dstream_ledger; CREATE TABLE counts (word text {key}, n \
                 bigint); CHECKPOINT"
            ));
        };
        let sink = || Postgres::new(server.url());
        let add = "INSERT INTO counts (word, n) VALUES ($1, $2) ON CONFLICT (word) DO UPDATE SET n = \
                   counts.n + excluded.n";
        compare(&mut [
            ("PostgreSQL, COPY by hand", &mut || {
                fresh("");
                copy_by_hand(&mut server.client(), &batches)
            }),
            ("PostgreSQL, .table", &mut || {
                fresh("");
                by_stream(sink().table("counts"), &batches)
            }),
            ("PostgreSQL, COPY by hand, with a primary key", &mut || {
                fresh("");
                server
                    .run("ALTER TABLE counts ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY");
                copy_by_hand(&mut server.client(), &batches)
            }),
        ]);
        compare(&mut [
            ("PostgreSQL, 100,000 keys replaced by hand", &mut || {
                fresh("PRIMARY KEY");
                copy_and_change_by_hand(&mut server.client(), "SET n = excluded.n", &batches)
            }),
            ("PostgreSQL, .upsert of 100,000 keys", &mut || {
                fresh("PRIMARY KEY");
                by_stream(sink().upsert("counts", ["word"]), &batches)
            }),
        ]);
        compare(&mut [
            ("PostgreSQL, 100,000 keys added to by hand", &mut || {
                fresh("PRIMARY KEY");
                copy_and_change_by_hand(&mut server.client(), "SET n = counts.n + excluded.n", &batches)
            }),
            ("PostgreSQL, .add_to 100,000 keys", &mut || {
                fresh("PRIMARY KEY");
                by_stream(sink().add_to("counts", ["word"]), &batches)
            }),
            ("PostgreSQL, .statement that does the same", &mut || {
                fresh("PRIMARY KEY");
                by_stream(sink().statement(add), &batches)
            }),
        ]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.db");
    let fresh = |key: &str| {
        let connection = Connection::open(&path).unwrap();
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        let sql = format!(
            "PRAGMA synchronous = FULL; DROP TABLE IF EXISTS dstream_ledger; DROP TABLE IF EXISTS counts;
             CREATE TABLE counts (word TEXT {key}, n INTEGER)"
        );
        connection.execute_batch(&sql).unwrap();
        connection
    };
    let append = "INSERT INTO counts (word, n) VALUES (?1, ?2)";
    let add =
        "INSERT INTO counts (word, n) VALUES (?1, ?2) ON CONFLICT (word) DO UPDATE SET n = n + excluded.n";
    let sink = || Sqlite::new(&path);
    compare(&mut [
        ("SQLite, prepared statement by hand", &mut || insert_by_hand(&mut fresh(""), append, &batches)),
        ("SQLite, .table", &mut || {
            fresh("");
            by_stream(sink().table("counts"), &batches)
        }),
        ("SQLite, 100,000 keys added to by hand", &mut || {
            insert_by_hand(&mut fresh("PRIMARY KEY"), add, &batches)
        }),
        ("SQLite, .add_to 100,000 keys", &mut || {
            fresh("PRIMARY KEY");
            by_stream(sink().add_to("counts", ["word"]), &batches)
        }),
    ]);
}
