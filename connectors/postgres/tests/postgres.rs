//! Tables of PostgreSQL as outputs, against a real server.

#[path = "postgres/mistakes.rs"]
mod mistakes;
#[path = "postgres/server.rs"]
mod server;

use dstream::{
    Record, StreamingContext,
    prelude::*,
    testing::{SinkFixture, check_sink},
};
use dstream_postgres::Postgres;
use serde::Serialize;
use server::Server;

/// The program of the tests: batches, each of one partition, into a sink.
fn context<R: Record<Owned: Serialize>>(sink: Postgres, batches: Vec<Vec<R>>) -> StreamingContext {
    let batches: Vec<Vec<R::Owned>> =
        batches.into_iter().map(|batch| batch.into_iter().map(R::own).collect()).collect();
    dstream::stream!(batch = 1s, name = "test", {
        queue_stream(batches).write_to(sink).named("table");
    })
    .unwrap()
}

/// Writes one batch.
fn write<R: Record<Owned: Serialize>>(sink: Postgres, batch: Vec<R>) -> dstream::Result<()> {
    context(sink, vec![batch]).run_batches(1)
}

fn run<R: Record<Owned: Serialize>>(sink: Postgres, batches: Vec<Vec<R>>) {
    let count = batches.len();
    context(sink, batches).run_batches(count).unwrap();
}

struct Numbers<'a> {
    server: &'a mut Server,
    sink: fn(Postgres) -> Postgres,
}

impl SinkFixture for Numbers<'_> {
    type Record = u64;
    type Sink = Postgres;

    fn sink(&mut self) -> Postgres {
        (self.sink)(Postgres::new(self.server.url()))
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    fn read(&mut self) -> Vec<u64> {
        self.server.rows("SELECT n FROM numbers").iter().map(|n| n.parse().unwrap()).collect()
    }

    fn disturb(&mut self, broken: bool) -> bool {
        if broken {
            self.server.kill();
        } else {
            self.server.restart();
        }
        true
    }
}

#[test]
fn each_way_to_write_is_exactly_once() {
    let ways: [fn(Postgres) -> Postgres; 5] = [
        |sink| sink.table("numbers"),
        |sink| sink.table("numbers").dead_letters("refused"),
        |sink| sink.add_to("numbers", ["n"]),
        |sink| sink.statement("INSERT INTO numbers VALUES ($1)"),
        |sink| sink.statement_over_batch("n bigint", "INSERT INTO numbers SELECT n FROM batch"),
    ];
    let Some(mut server) = Server::start() else { return };
    for sink in ways {
        server
            .run("DROP TABLE IF EXISTS numbers, dstream_ledger; CREATE TABLE numbers (n bigint PRIMARY KEY)");
        check_sink(Numbers { server: &mut server, sink }).unwrap();
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
    let Some(server) = Server::start() else { return };
    server.run(
        "CREATE SCHEMA shop;
         CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY, paid boolean, tags jsonb, price \
         numeric,
         article text NOT NULL, pieces integer, at timestamptz DEFAULT now())",
    );
    let order = |article: &str, pieces, price, paid| Order {
        article: article.into(),
        pieces,
        price,
        tags: vec!["a\\\"b".into()],
        paid,
    };
    let orders = vec![order("figs\tdried\n", Some(3), 1.25, true), order("", None, 0.1, false)];
    run(Postgres::new(server.url()).table("shop.orders"), vec![orders]);
    assert_eq!(
        server.rows(
            "SELECT id, article, pieces, price, tags->>0, paid, at IS NULL FROM shop.orders ORDER BY id"
        ),
        ["1|figs\tdried\n|3|1.25|a\\\"b|t|f", "2||NULL|0.1|a\\\"b|f|f"]
    );
}

#[test]
fn upserts_replace_and_the_last_of_a_batch_is_written() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE TABLE prices (shop text, article text, cents bigint, PRIMARY KEY (article, shop))");
    let row = |shop: &'static str, article: &'static str, cents: i64| (shop, article, cents);
    let batches = vec![
        vec![row("a", "figs", 1), row("b", "figs", 2), row("a", "figs", 3)],
        vec![row("a", "figs", 4), row("a", "nuts", 5)],
    ];
    run(Postgres::new(server.url()).upsert("prices", ["shop", "article"]), batches);
    assert_eq!(server.rows("SELECT * FROM prices ORDER BY 1, 2"), ["a|figs|4", "a|nuts|5", "b|figs|2"]);
}

#[test]
fn totals_are_added_to_what_is_there() {
    let Some(server) = Server::start() else { return };
    server.run(
        "CREATE TABLE counts (word text PRIMARY KEY, n bigint, seconds double precision, since date \
         DEFAULT '2026-01-01')",
    );
    server.run("INSERT INTO counts VALUES ('be', NULL, 1)");
    let batches = vec![
        vec![("be", 2u64, Some(0.5)), ("to", 1, None), ("be", 1, None)],
        vec![("be", 1, Some(0.25)), ("or", 1, None)],
    ];
    run(Postgres::new(server.url()).add_to("counts", ["word"]).columns(["word", "n", "seconds"]), batches);
    assert_eq!(
        server.rows("SELECT * FROM counts ORDER BY 1"),
        ["be|4|1.75|2026-01-01", "or|1|NULL|2026-01-01", "to|1|NULL|2026-01-01"]
    );
}

#[test]
fn statements_of_ones_own_run_over_the_batch() {
    let Some(server) = Server::start() else { return };
    server.run(
        "CREATE TABLE highest (sensor text PRIMARY KEY, degrees real); CREATE TABLE batch (article \
         text, pieces int)",
    );
    let highest = Postgres::new(server.url()).statement(
        "INSERT INTO highest (sensor, degrees) VALUES (upper($1), $2)
         ON CONFLICT (sensor) DO UPDATE SET degrees = greatest(highest.degrees, excluded.degrees)",
    );
    run(highest, vec![vec![("a", 1.5f32), ("b", 2.0)], vec![("a", 1.0), ("b", 3.0)]]);
    assert_eq!(server.rows("SELECT * FROM highest ORDER BY 1"), ["A|1.5", "B|3"]);

    server.run("TRUNCATE dstream_ledger; INSERT INTO public.batch VALUES ('figs', 10), ('nuts', 5)");
    let stock = Postgres::new(server.url()).statement_over_batch(
        "article text, pieces int",
        "UPDATE public.batch AS stock SET pieces = stock.pieces - sold.pieces
         FROM (SELECT article, sum(pieces) AS pieces FROM batch GROUP BY 1) AS sold WHERE stock.article = \
         sold.article",
    );
    run(stock, vec![vec![("figs", 1), ("figs", 2)], vec![("figs", 1), ("nuts", 1)]]);
    assert_eq!(server.rows("SELECT * FROM batch ORDER BY 1"), ["figs|6", "nuts|4"]);
}

#[test]
fn refused_records_are_dead_letters_and_the_others_are_written() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE TABLE counts (word text PRIMARY KEY, n smallint NOT NULL CHECK (n > 0))");
    let batch: Vec<_> = (0..2_000)
        .map(|n: i64| match n {
            7 => (format!("word {n}"), Some(70_000)),
            500 => (format!("word {n}"), Some(-1)),
            900 => ("zero \0".to_owned(), Some(1)),
            1_999 => (format!("word {n}"), None),
            n => (format!("word {n}"), Some(n % 5 + 1)),
        })
        .collect();
    for sink in [Postgres::table as fn(Postgres, &'static str) -> Postgres, |sink, table| {
        sink.upsert(table, ["word"])
    }] {
        server.run("TRUNCATE counts; DROP TABLE IF EXISTS refused, dstream_ledger");
        let sink = sink(Postgres::new(server.url()), "counts").dead_letters("refused");
        run(sink, vec![batch.clone()]);
        assert_eq!(server.rows("SELECT count(*) FROM counts"), ["1996"]);
        let letters = server
            .rows("SELECT application, output, record, reason FROM refused ORDER BY record COLLATE \"C\"");
        let [none, minus, large, zero] = &letters[..] else { panic!("{letters:?}") };
        assert!(large.starts_with(r#"test|table|{"word":"word 7","n":70000}|column `n`: "#), "{large}");
        assert!(minus.contains(r#"counts_n_check"#) && minus.contains(r#""n":-1"#), "{minus}");
        assert!(zero.contains(r#"{"word":"zero \u0000","n":1}"#), "{zero}");
        assert!(none.contains(r#""n":null"#) && none.contains("column `n`: null value"), "{none}");
    }
}

#[test]
fn many_refused_records_fail_the_batch() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE TABLE counts (word text, n smallint)");
    let sink = Postgres::new(server.url()).table("counts").dead_letters("refused");
    let batch: Vec<_> = (0..1_500).map(|n| ("w", 100_000 + n)).collect();
    let error = write(sink, batch).unwrap_err().to_string();
    assert!(
        error.contains("more than 1000 records") && error.contains(r#"{"word":"w","n":100000}"#),
        "{error}"
    );
    assert_eq!(server.rows("SELECT count(*) FROM refused"), ["0"]);
}

#[test]
fn the_ledger_stays_small() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE TABLE numbers (n bigint)");
    let checkpoint = tempfile::tempdir().unwrap();
    let context = |batches: Vec<Vec<u64>>| {
        let sink = Postgres::new(server.url()).table("numbers");
        dstream::stream!(batch = 1s, name = "test", checkpoint = checkpoint.path(), {
            queue_stream(batches).write_to(sink);
        })
        .unwrap()
    };
    let ssc = context((0..50).map(|n| vec![n]).collect());
    ssc.run_batches(50).unwrap();
    let rows = server.rows("SELECT batch_time FROM dstream_ledger");
    assert!((2..10).contains(&rows.len()), "{rows:?}");
    // A batch that fails holds all that are behind it.
    drop(ssc);
    let ssc = context((0..50).map(|n| vec![if n == 20 { u64::MAX } else { n }]).collect());
    assert!(ssc.run_batches(50).is_err());
    let rows = server.rows("SELECT batch_time FROM dstream_ledger");
    assert!((29..40).contains(&rows.len()), "{rows:?}");
}

#[test]
fn it_runs_inside_of_another_runtime() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE TABLE numbers (n bigint)");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        run(Postgres::new(server.url()).table("numbers"), vec![vec![1u64], vec![2]]);
    });
    assert_eq!(server.rows("SELECT sum(n) FROM numbers"), ["3"]);
}
