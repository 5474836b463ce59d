//! Which database and which table are written to, and how.

use std::{fmt, path::PathBuf, sync::Mutex};

use dstream_core::sink::SinkContext;
use dstream_database::{Mode, Settings};

use crate::sink::Open;

/// Writes the records of each batch into a table of PostgreSQL, exactly once.
///
/// A record is anything that serde serialises: the fields of a struct go to the columns of their names, those
/// of a tuple to the columns of the table in their order, or to those that [`columns`](Postgres::columns)
/// names. `Option` is `NULL` or a value; a value with parts, such as a `Vec` or a struct, is written as JSON.
///
/// ```no_run
/// use dstream::prelude::*;
/// use dstream_postgres::Postgres;
///
/// let totals = Postgres::new("postgres://shop:secret@localhost/shop").add_to("counts", ["word"]);
/// let ssc = dstream::stream!(batch = 1s, name = "words", {
///     let words = socket_text_stream("localhost", 9999).words();
///     words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).write_to(totals);
/// })?;
/// # Ok::<(), dstream::Error>(())
/// ```
///
/// # What is written
///
/// | | |
/// |---|---|
/// | [`table`](Postgres::table) | appended |
/// | [`upsert`](Postgres::upsert) | in place of the row with the same key, if there is one |
/// | [`add_to`](Postgres::add_to) | added to the row with the same key: running totals |
/// | [`statement`](Postgres::statement) | by an `INSERT` of one's own, for each record |
/// | [`statement_over_batch`](Postgres::statement_over_batch) | by any statement of one's own, over all records of the batch |
///
/// Records are sent by `COPY`, as one stream of bytes a batch; no statement is run a record.
///
/// # Exactly once
///
/// A batch is one transaction. It also writes a row (application, output, time of the batch) into the table
/// `dstream_ledger`, which is made if it is missing; a batch that is there already is not written again. Rows
/// that no restart can ask for any more are deleted. So the application needs a name.
///
/// # Errors
///
/// A connection that is lost, a server that starts, has no room or no connection left, a deadlock: these are
/// transient, and the batch is written again while later ones wait. What is wrong with the table or the
/// columns is an error of the first batch, before anything is written. A record that the database refuses
/// fails its batch, with the record and the reason in the error, unless there are
/// [`dead_letters`](Postgres::dead_letters).
pub struct Postgres {
    pub(crate) url: String,
    pub(crate) settings: Settings,
    pub(crate) ca_file: Option<PathBuf>,
    /// The connection; behind a lock only because it can't be shared between threads.
    pub(crate) open: Mutex<Option<Open>>,
    pub(crate) context: Option<SinkContext>,
}

impl Postgres {
    /// A database, as `postgres://user:password@host:port/database`, or in the form `host=.. user=..
    /// dbname=..`. Special characters in the password are percent-encoded, as in `%40` for `@`. The password
    /// is shown in no message.
    ///
    /// TLS is used with the feature `ssl`, where the server has it; `?sslmode=require` insists on it.
    pub fn new(url: impl Into<String>) -> Postgres {
        Postgres {
            url: url.into(),
            settings: Settings::default(),
            ca_file: None,
            open: Mutex::new(None),
            context: None,
        }
    }

    /// Runs an `INSERT .. VALUES ($1, $2, ..) ..` for the records of a batch, where `$1` is the first field
    /// of a record.
    ///
    /// It is not run a record, but once, over all records: PostgreSQL is given `INSERT .. SELECT` of a table
    /// that they are copied into. So with `ON CONFLICT DO UPDATE` a batch has each key once, as
    /// [`reduce_by_key`](dstream_core::DStream::reduce_by_key) gives it.
    ///
    /// ```
    /// # use dstream_postgres::Postgres;
    /// let highest = Postgres::new("postgres://localhost/shop").statement(
    ///     "INSERT INTO highest (sensor, degrees) VALUES ($1, $2)
    ///      ON CONFLICT (sensor) DO UPDATE SET degrees = greatest(highest.degrees, excluded.degrees)",
    /// );
    /// ```
    pub fn statement(mut self, sql: impl Into<String>) -> Postgres {
        self.settings.mode = Some(Mode::Statement(sql.into()));
        self
    }

    /// Runs a statement once a batch, over all its records: they are in the temporary table `batch`, whose
    /// columns are given as in a `CREATE TABLE`. `UPDATE .. FROM batch`, `DELETE .. USING batch` and `MERGE
    /// .. USING batch` are fast that way. With [`dead_letters`](Postgres::dead_letters) it may run several
    /// times, each time over a part of the records.
    ///
    /// ```
    /// # use dstream_postgres::Postgres;
    /// let stock = Postgres::new("postgres://localhost/shop").statement_over_batch(
    ///     "article text, pieces bigint",
    ///     "UPDATE stock SET pieces = stock.pieces - sold.pieces
    ///      FROM (SELECT article, sum(pieces) AS pieces FROM batch GROUP BY article) AS sold
    ///      WHERE stock.article = sold.article",
    /// );
    /// ```
    pub fn statement_over_batch(mut self, columns: impl Into<String>, sql: impl Into<String>) -> Postgres {
        self.settings.mode = Some(Mode::OverBatch { columns: columns.into(), sql: sql.into() });
        self
    }

    /// Statements that are run when a connection is made, before the table is looked for, such as
    /// `CREATE TABLE IF NOT EXISTS ..` or `SET search_path ..`.
    pub fn setup(mut self, sql: impl Into<String>) -> Postgres {
        self.settings.setup = Some(sql.into());
        self
    }

    /// A file with the certificates, in PEM form, of the authorities that may have signed the server's.
    /// Default: those of the system. Needs the feature `ssl`.
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Postgres {
        self.ca_file = Some(file.into());
        self
    }
}

dstream_database::settings_methods!(Postgres);

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("database", &crate::connect::place(&self.url))
            .field("mode", &self.settings.mode)
            .field("columns", &self.settings.columns)
            .field("dead_letters", &self.settings.dead_letters)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        for url in
            ["postgres://ann:hunter2@db:5433/shop", "host=db password=hunter2", "postgres://ann:hunter2@/@@"]
        {
            let shown = format!("{:?}", Postgres::new(url).table("counts"));
            assert!(!shown.contains("hunter2") && shown.contains("counts"), "{shown}");
        }
        assert!(format!("{:?}", Postgres::new("postgres://ann:x@db:5433/shop")).contains("db:5433/shop"));
    }
}
