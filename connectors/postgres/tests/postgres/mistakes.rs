//! The mistakes that users make first, and what they are told.

use dstream_postgres::Postgres;

use crate::{server::Server, write};

/// Writes a word and its count; what that leads to must hold all of `parts`, and no password.
fn expect(sink: Postgres, parts: &[&str]) {
    expect_of(sink, vec![("be", 2i64)], parts);
}

fn expect_of<R: dstream::Record<Owned: serde::Serialize>>(sink: Postgres, records: Vec<R>, parts: &[&str]) {
    let error = write(sink, records).unwrap_err().to_string();
    let lacking: Vec<_> = parts.iter().filter(|part| !error.contains(**part)).collect();
    assert!(lacking.is_empty(), "{lacking:?} is not in: {error}");
    assert!(!error.contains("secret") && !error.contains("wrong-pass"), "{error}");
}

#[test]
fn of_the_address() {
    let Some(server) = Server::start_with("scram-sha-256") else { return };
    let port = server.port();
    let counts = |url: &str| Postgres::new(url).table("counts");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    expect(
        counts(&format!("postgres://ann:secret@127.0.0.1:{nobody}/shop")),
        &[
            &format!("connecting to ann@127.0.0.1:{nobody}/shop"),
            "refused",
            "does PostgreSQL listen at this address and port?",
        ],
    );
    expect(
        counts("postgres://ann:secret@no-such-host.invalid/shop"),
        &["connecting to ann@no-such-host.invalid:5432/shop", "does PostgreSQL listen"],
    );
    expect(
        counts(&format!("postgres://postgres:wrong-pass@127.0.0.1:{port}/postgres")),
        &["password authentication failed for user \"postgres\"", "look at the user and the password"],
    );
    expect(
        counts(&format!("postgres://postgres@127.0.0.1:{port}/postgres")),
        &["the address of the database names no password"],
    );
    expect(
        counts(&format!("postgres://postgres:secret@127.0.0.1:{port}/shop")),
        &["database \"shop\" does not exist", "make it with `createdb`"],
    );
    expect(
        counts("postgres://a:secret@b:x/"),
        &["the address of the database can't be read", "percent-encoded"],
    );
    #[cfg(not(feature = "ssl"))]
    expect(counts(&format!("{}?sslmode=require", server.url())), &["needs the feature `ssl`"]);
}

#[test]
fn of_the_table() {
    let Some(server) = Server::start() else { return };
    let sink = || Postgres::new(server.url());
    expect(sink().table("counts"), &["there is no table `counts` in this database (there is none at all)"]);
    server.run("CREATE TABLE counts (word text NOT NULL, n bigint, CHECK (n < 1000))");
    expect(sink().table("Counts"), &["there is no table `Counts` in this database (there are `counts`)"]);
    expect(sink(), &["add `.table(\"name\")`"]);
    expect(
        sink().upsert("counts", ["word"]),
        &[
            "`.upsert(\"counts\", [\"word\"])` needs a unique index",
            "it has no unique index",
            "`CREATE UNIQUE INDEX ON counts (word)` makes one",
        ],
    );
    expect(sink().upsert("counts", ["wrd"]), &["has no column `wrd`; its columns are (word text, n bigint)"]);
    expect(
        sink().table("counts").columns(["word", "m"]),
        &["has no column `m`; its columns are (word text, n bigint)"],
    );
    expect(
        sink().table("counts").columns(["n"]),
        &["`word` of the table `counts` may not be NULL and has no default"],
    );
    expect_of(
        sink().table("counts"),
        vec![("be", "two")],
        &["column `n` of the table `counts` is of type bigint, and field 2 of the records is text"],
    );
    expect_of(
        sink().table("counts"),
        vec![("be", 1, 2)],
        &["have 3 fields, and the columns to write are 2: (word, n)"],
    );
    server.run("ALTER TABLE counts ADD UNIQUE (word)");
    expect_of(sink().add_to("counts", ["n"]), vec![("be", 1)], &["its unique indexes are over (word)"]);
    expect(
        sink().statement("INSERT INTO counts (word, m) VALUES ($1, $2)"),
        &["preparing the statement of `.statement(..)`: column \"m\" of relation \"counts\" does not exist"],
    );
    expect(
        sink().statement("INSERT INTO count VALUES ($1, $2)"),
        &["relation \"count\" does not exist", "is the table made"],
    );
    expect(
        sink().statement("UPDATE counts SET n = $2 WHERE word = $1"),
        &["takes an `INSERT .. VALUES ($1, ..) ..`", ".statement_over_batch"],
    );
    server.run("CREATE ROLE guest LOGIN PASSWORD 'secret'");
    expect(
        Postgres::new(server.url().replace("postgres:secret", "guest:secret")).table("counts"),
        &["permission denied", "needs the right to do that"],
    );
}

#[test]
fn of_the_records() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE TABLE counts (word text PRIMARY KEY, n smallint NOT NULL CHECK (n < 1000))");
    let sink = || Postgres::new(server.url());
    let refused = "writing into `counts`: the database refuses the record";
    expect_of(
        sink().table("counts"),
        vec![("or", 1), ("be", 70_000)],
        &[refused, r#"{"word":"be","n":70000}"#, "column `n`", "out of range for type smallint"],
    );
    expect_of(
        sink().table("counts"),
        vec![("or", Some(1)), ("be", None)],
        &[refused, r#"{"word":"be","n":null}"#, "column `n`: null value"],
    );
    expect_of(
        sink().upsert("counts", ["word"]),
        vec![("or", Some(1)), ("be", None)],
        &[refused, "column `n`: null value", "(be, null)"],
    );
    expect_of(
        sink().table("counts"),
        vec![("or", 1), ("or", 2)],
        &[
            refused,
            r#"{"word":"or","n":2}"#,
            "Key (word)=(or) already exists",
            "`.upsert(table, key)` writes in place",
        ],
    );
    expect_of(
        sink().upsert("counts", ["word"]),
        vec![("or", 5_000)],
        &[refused, "counts_n_check", "(or, 5000)"],
    );
    expect_of(
        sink().statement("INSERT INTO counts VALUES ($1, $2) ON CONFLICT (word) DO UPDATE SET n = 1"),
        vec![("or", 1), ("or", 2)],
        &["a second time", "a batch may have each key once here"],
    );
    assert_eq!(server.rows("SELECT count(*) FROM counts"), ["0"]);
    assert_eq!(server.rows("SELECT count(*) FROM dstream_ledger"), ["0"]);
}

#[test]
fn of_the_names() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE TABLE counts (word text, n bigint)");
    let sink = || Postgres::new(server.url()).table("counts");
    let unnamed = {
        let sink = sink();
        dstream::stream!(batch = 1s, {
            dstream::source::queue_stream(vec![vec![("be", 1)]]).write_to(sink);
        })
        .unwrap()
    };
    let error = unnamed.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("the application has no name"), "{error}");
    // Two programs that write the same batch under the same names: the second is told, and loses nothing in
    // silence.
    write(sink(), vec![("be", 1)]).unwrap();
    let time: i64 = server.rows("SELECT batch_time FROM dstream_ledger")[0].parse().unwrap();
    server.run(&format!(
        "INSERT INTO dstream_ledger SELECT 'test', 'table', {time} + 1000 * n FROM generate_series(1, 600) n"
    ));
    let error = write(sink(), vec![("be", 1)]).unwrap_err().to_string();
    assert!(error.contains("another one writes under the same names"), "{error}");
}
