//! The mistakes that users make first, and what they are told.

use dstream_sqlite::Sqlite;

use crate::{Database, write};

/// Writes a word and its count; what that leads to must hold all of `parts`.
fn expect(sink: Sqlite, parts: &[&str]) {
    expect_of(sink, vec![("be", 2i64)], parts);
}

fn expect_of<R: dstream::Record<Owned: serde::Serialize>>(sink: Sqlite, records: Vec<R>, parts: &[&str]) {
    let error = write(sink, records).unwrap_err().to_string();
    let lacking: Vec<_> = parts.iter().filter(|part| !error.contains(**part)).collect();
    assert!(lacking.is_empty(), "{lacking:?} is not in: {error}");
}

#[test]
fn of_the_file() {
    let database = Database::new("");
    let folder = database.0.path();
    expect(
        Sqlite::new(folder.join("none.db")).table("counts"),
        &["opening the database", "none.db", "there is no such file", ".setup("],
    );
    assert!(!folder.join("none.db").exists());
    let deep = Sqlite::new(folder.join("no/folder.db")).setup("CREATE TABLE counts (n)");
    expect(deep.table("counts"), &["no/folder.db", "is the path right"]);
    std::fs::write(folder.join("text.db"), "no database at all, but a text of some length").unwrap();
    expect(
        Sqlite::new(folder.join("text.db")).table("counts"),
        &["text.db", "the file is no SQLite database"],
    );
    expect(Sqlite::new(folder.join("new.db")).setup("CREATE TABL x"), &["add `.table(\"name\")`"]);
    expect(
        Sqlite::new(folder.join("new.db")).setup("CREATE TABL x").table("counts"),
        &["running what `.setup(..)` says", "syntax error"],
    );
}

#[test]
fn of_the_table() {
    let database = Database::new("");
    let sink = || database.sink();
    expect(sink().table("counts"), &["there is no table `counts` in this database (there is none at all)"]);
    database.run("CREATE TABLE counts (word TEXT NOT NULL, n INTEGER, u INTEGER AS (n))");
    expect(sink().table("count"), &["there is no table `count` in this database (there are `counts`)"]);
    expect(
        sink().upsert("counts", ["word"]),
        &[
            "needs a unique index",
            "it has no unique index",
            "`CREATE UNIQUE INDEX ON counts (word)` makes one",
        ],
    );
    expect(
        sink().upsert("counts", ["wrd"]),
        &["has no column `wrd`; its columns are (word TEXT, n INTEGER, u INTEGER)"],
    );
    expect(sink().table("counts").columns(["word", "m"]), &["has no column `m`"]);
    expect(
        sink().table("counts").columns(["word", "u"]),
        &["the database itself makes the values of the column `u`"],
    );
    expect(
        sink().table("counts").columns(["n"]),
        &["`word` of the table `counts` may not be NULL and has no default"],
    );
    expect_of(
        sink().table("counts"),
        vec![("be", "two")],
        &["column `n` of the table `counts` is of type INTEGER, and field 2 of the records is text"],
    );
    expect_of(
        sink().table("counts"),
        vec![("be", 1, 2)],
        &["have 3 fields, and the columns to write are 2: (word, n)"],
    );
    expect(
        sink().statement("INSERT INTO count VALUES ($1, $2)"),
        &["preparing `.statement(..)`: no such table: count"],
    );
    expect(
        sink().statement("INSERT INTO counts VALUES ($1, $3)"),
        &["the parameter `$3`, and the records have 2 fields"],
    );
    expect(
        sink().statement("INSERT INTO counts (word) VALUES ($1)"),
        &["no parameter for field 2", "such as `$2`"],
    );
}

#[test]
fn of_the_records() {
    let database =
        Database::new("CREATE TABLE counts (word TEXT PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 1000))");
    let sink = || database.sink();
    let refused = "writing into `counts`: the database refuses the record";
    expect_of(
        sink().table("counts"),
        vec![("or", Some(1)), ("be", None)],
        &[refused, r#"{"word":"be","n":null}"#, "NOT NULL constraint failed: counts.n"],
    );
    expect_of(
        sink().table("counts"),
        vec![("or", 1), ("or", 2)],
        &[
            refused,
            r#"{"word":"or","n":2}"#,
            "UNIQUE constraint failed: counts.word",
            "`.upsert(table, key)` writes in place",
        ],
    );
    expect_of(sink().upsert("counts", ["word"]), vec![("or", 5_000)], &[refused, "CHECK constraint failed"]);
    expect_of(
        sink().table("counts"),
        vec![("or", u64::MAX)],
        &[refused, "larger than the integers of SQLite"],
    );
    database.run(
        "CREATE TABLE strict (n INTEGER) STRICT;
         CREATE TRIGGER never BEFORE INSERT ON strict WHEN new.n = 13 BEGIN SELECT raise(ROLLBACK, \
         'unlucky'); END",
    );
    expect_of(
        sink().statement("INSERT INTO strict VALUES ($1)"),
        vec!["x"],
        &["cannot store TEXT value in INTEGER column strict.n"],
    );
    expect_of(sink().table("strict"), vec![1, 13], &["a trigger has rolled the batch back", "unlucky"]);
    assert_eq!(database.rows("SELECT count(*) FROM counts"), ["0"]);
    assert_eq!(database.rows("SELECT count(*) FROM strict"), ["0"]);
    assert_eq!(database.rows("SELECT count(*) FROM dstream_ledger"), ["0"]);
}

#[test]
fn of_the_names() {
    let database = Database::new("CREATE TABLE counts (word TEXT, n INTEGER)");
    let sink = || database.sink().table("counts");
    let unnamed = {
        let sink = sink();
        dstream::stream!(batch = 1s, {
            dstream::source::queue_stream(vec![vec![("be".to_owned(), 1)]]).write_to(sink);
        })
        .unwrap()
    };
    let error = unnamed.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("the application has no name"), "{error}");
    write(sink(), vec![("be", 1)]).unwrap();
    let time: i64 = database.rows("SELECT batch_time FROM dstream_ledger")[0].parse().unwrap();
    database.run(&format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 600)
         INSERT INTO dstream_ledger SELECT 'test', 'table', {time} + 1000 * n FROM n"
    ));
    let error = write(sink(), vec![("be", 1)]).unwrap_err().to_string();
    assert!(error.contains("another one writes under the same names"), "{error}");
}
