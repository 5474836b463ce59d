//! Which database and which table are written to, and how.

use std::{fmt, path::PathBuf, sync::Mutex};

use dstream_core::sink::SinkContext;
use dstream_database::{Mode, Settings};

use crate::sink::Open;

/// Writes the records of each batch into a table of an SQLite database, exactly once.
///
/// A record is anything that serde serialises: the fields of a struct go to the columns of their names, those
/// of a tuple to the columns of the table in their order, or to those that [`columns`](Sqlite::columns)
/// names. `Option` is `NULL` or a value; a value with parts, such as a `Vec` or a struct, is written as JSON.
///
/// ```no_run
/// use dstream::prelude::*;
/// use dstream_sqlite::Sqlite;
///
/// let totals = Sqlite::new("words.db")
///     .setup("CREATE TABLE IF NOT EXISTS counts (word TEXT PRIMARY KEY, n INTEGER)")
///     .add_to("counts", ["word"]);
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
/// | [`table`](Sqlite::table) | appended |
/// | [`upsert`](Sqlite::upsert) | in place of the row with the same key, if there is one |
/// | [`add_to`](Sqlite::add_to) | added to the row with the same key: running totals |
/// | [`statement`](Sqlite::statement) | by any statement of one's own, for each record |
///
/// A batch runs one prepared statement over its records, inside of one transaction. There is no server and so
/// no round trip: this is as fast as SQLite can be written to.
///
/// # Exactly once
///
/// A batch is one transaction. It also writes a row (application, output, time of the batch) into the table
/// `dstream_ledger`, which is made if it is missing; a batch that is there already is not written again. Rows
/// that no restart can ask for any more are deleted. So the application needs a name.
///
/// The database is put into WAL mode, so that others can read while a batch is written, and a transaction is
/// on the disk when its batch is done (`synchronous = FULL`).
///
/// # Errors
///
/// Another program that writes, and a full disk, are transient: the batch is written again while later ones
/// wait. What is wrong with the table or the columns is an error of the first batch, before anything is
/// written. SQLite itself keeps any value in any column; here a text for a column of integers is an error. A
/// record that the database refuses fails its batch, with the record and the reason in the error, unless
/// there are [`dead_letters`](Sqlite::dead_letters).
pub struct Sqlite {
    pub(crate) path: PathBuf,
    pub(crate) settings: Settings,
    /// The connection; behind a lock only because it can't be shared between threads.
    pub(crate) open: Mutex<Option<Open>>,
    pub(crate) context: Option<SinkContext>,
}

impl Sqlite {
    /// A database: the path of its file, which must be there, unless [`setup`](Sqlite::setup) says what is to
    /// be in it.
    pub fn new(path: impl Into<PathBuf>) -> Sqlite {
        Sqlite { path: path.into(), settings: Settings::default(), open: Mutex::new(None), context: None }
    }

    /// Runs a statement for each record, where `$1` or `?1` is the first field of a record, and `:name` the
    /// field of this name of a struct.
    ///
    /// ```
    /// # use dstream_sqlite::Sqlite;
    /// let highest = Sqlite::new("shop.db").statement(
    ///     "INSERT INTO highest (sensor, degrees) VALUES ($1, $2)
    ///      ON CONFLICT (sensor) DO UPDATE SET degrees = max(degrees, excluded.degrees)",
    /// );
    /// ```
    pub fn statement(mut self, sql: impl Into<String>) -> Sqlite {
        self.settings.mode = Some(Mode::Statement(sql.into()));
        self
    }

    /// Statements that are run when the database is opened, before the table is looked for, such as
    /// `CREATE TABLE IF NOT EXISTS ..`. With it, the file is made if it is missing.
    pub fn setup(mut self, sql: impl Into<String>) -> Sqlite {
        self.settings.setup = Some(sql.into());
        self
    }
}

dstream_database::settings_methods!(Sqlite);

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.path)
            .field("mode", &self.settings.mode)
            .field("columns", &self.settings.columns)
            .field("dead_letters", &self.settings.dead_letters)
            .finish_non_exhaustive()
    }
}
