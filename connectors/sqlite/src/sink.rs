//! The sink: a batch as a transaction.

use std::{path::Path, sync::PoisonError, time::Duration};

use dstream_core::sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError};
use dstream_database::{
    Kind, LEDGER, MAX_REFUSED, Mode, Rows, Table, check_names, conflict, list, quoted, shortened,
    written_by_another,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Statement, Transaction, TransactionBehavior};
use serde::Serialize;

use crate::{
    catalog::{make_dead_letters, make_ledger, table},
    cells::{Cell, Encoded, as_json},
    errors::{failed, refusal},
    settings::Sqlite,
};

/// How long a transaction of another program is waited for, before the attempt has failed.
const BUSY: Duration = Duration::from_secs(1);

/// An open database, and what is known of it.
pub(crate) struct Open {
    connection: Connection,
    /// What the rows go to, where that is known.
    table: Option<Table>,
    /// Writes a dead letter.
    bury: Option<String>,
    ready: Option<Ready>,
}

/// What the first records have settled.
struct Ready {
    /// The columns, or the names or numbers of fields.
    columns: Vec<String>,
    /// Writes a row.
    write: String,
    /// The field that each parameter of it stands for.
    fields: Vec<usize>,
}

impl Sqlite {
    fn opened(&mut self) -> Result<&mut Open, SinkError> {
        let mode = self.settings.mode.as_ref().ok_or_else(|| {
            SinkError::permanent(
                "nothing says where the records go: add `.table(\"name\")`, `.upsert(..)`, `.add_to(..)` or \
                 `.statement(..)`",
            )
        })?;
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() {
            let connection = connect(&self.path, self.settings.setup.as_deref())?;
            let table = mode.table().map(|name| table(&connection, name)).transpose()?;
            if let Some(table) = &table {
                table.check_mode(mode, self.settings.columns.as_deref()).map_err(SinkError::permanent)?;
            }
            if let (Mode::Statement(sql), columns) = (mode, &self.settings.columns) {
                connection.prepare(sql).map_err(|error| failed(&error, &format!("preparing `{mode}`")))?;
                if columns.is_some() {
                    let message = "`.columns(..)` has no use with `.statement(..)`, whose `$1` is the first \
                                   field of a record";
                    return Err(SinkError::permanent(message));
                }
            }
            make_ledger(&connection)?;
            let bury = self
                .settings
                .dead_letters
                .as_ref()
                .map(|name| make_dead_letters(&connection, name))
                .transpose()?;
            *open = Some(Open { connection, table, bury, ready: None });
        }
        open.as_mut().ok_or_else(|| "the sink is not open".into())
    }
}

fn connect(path: &Path, setup: Option<&str>) -> Result<Connection, SinkError> {
    let doing = format!("opening the database `{}`", path.display());
    if setup.is_none() && !path.exists() {
        return Err(SinkError::permanent(format!(
            "{doing}: there is no such file: make it and its tables first, or say what is to be in it with \
             `.setup(\"CREATE TABLE IF NOT EXISTS ..\")`"
        )));
    }
    let failed = |error| failed(&error, &doing);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    // Two that change the mode at once don't wait for each other as others do.
    let journal: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    connection.execute_batch("PRAGMA synchronous = FULL").map_err(failed)?;
    if journal != "wal" {
        tracing::info!("{doing}: its journal is `{journal}`, so readers wait while a batch is written");
    }
    if let Some(sql) = setup {
        let doing = "running what `.setup(..)` says";
        connection.execute_batch(sql).map_err(|error| crate::errors::failed(&error, doing))?;
    }
    Ok(connection)
}

impl Open {
    /// Settles what the records are written by, with the first of them.
    fn prepare(
        &self,
        mode: &Mode,
        columns: Option<&[String]>,
        names: &[&'static str],
        kinds: &[Kind],
    ) -> Result<Ready, SinkError> {
        if let Some(table) = &self.table {
            let columns = table.fit(mode, columns, names, kinds).map_err(SinkError::permanent)?;
            let values: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
            let write = format!(
                "INSERT INTO {} AS target ({}) VALUES ({}){}",
                quoted(&table.name),
                list(&columns),
                values.join(", "),
                conflict(mode, &columns)
            );
            return Ok(Ready { fields: (0..columns.len()).collect(), columns, write });
        }
        let Mode::Statement(sql) = mode else { return Err("there is no table".into()) };
        let doing = format!("preparing `{mode}`");
        let statement = self.connection.prepare(sql).map_err(|error| failed(&error, &doing))?;
        let fields = (1..=statement.parameter_count()).map(|at| {
            let Some(name) = statement.parameter_name(at) else { return Ok(at - 1) };
            let named = name.get(1..).unwrap_or_default();
            let field = match named.parse::<usize>() {
                Ok(number) => number.checked_sub(1),
                Err(_) => names.iter().position(|name| *name == named),
            };
            field.filter(|field| *field < kinds.len()).ok_or_else(|| {
                let fields = match names {
                    [] => format!("{} fields", kinds.len()),
                    names => format!("the fields {}", names.join(", ")),
                };
                SinkError::permanent(format!(
                    "{doing}: it has the parameter `{name}`, and the records have {fields}"
                ))
            })
        });
        let fields: Vec<usize> = fields.collect::<Result<_, _>>()?;
        if let Some(unused) = (0..kinds.len()).find(|field| !fields.contains(field)) {
            return Err(SinkError::permanent(format!(
                "{doing}: it has no parameter for field {} of the records, such as `${0}`",
                unused + 1
            )));
        }
        let number =
            |at: usize| names.get(at).map_or_else(|| (at + 1).to_string(), |name| (*name).to_owned());
        Ok(Ready { columns: (0..kinds.len()).map(number).collect(), write: sql.clone(), fields })
    }
}

/// Writes a row; `Ok(Some(reason))` if it is refused.
fn write(
    statement: &mut Statement<'_>,
    ready: &Ready,
    row: &[Cell<'_>],
) -> Result<Option<String>, rusqlite::Error> {
    for (at, field) in ready.fields.iter().enumerate() {
        let value = match row[*field].value() {
            Ok(value) => value,
            Err(reason) => return Ok(Some(format!("column `{}`: {reason}", ready.columns[*field]))),
        };
        statement.raw_bind_parameter(at + 1, value)?;
    }
    // A statement of the user's may also return rows, which nobody asks for.
    let mut rows = statement.raw_query();
    loop {
        match rows.next() {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => {}
            Err(error) => return refusal(&error).map(Some).ok_or(error),
        }
    }
}

/// Writes all rows, and returns those that are refused, with their reasons, until there are too many.
fn write_all(
    transaction: &Transaction<'_>,
    ready: &Ready,
    parts: &[Rows<Encoded>],
    most: usize,
) -> Result<Vec<(String, String)>, rusqlite::Error> {
    let mut statement = transaction.prepare(&ready.write)?;
    let width = ready.columns.len();
    let mut refused = Vec::new();
    let mut row = Vec::with_capacity(width);
    for part in parts {
        let mut cells = part.cells.cells();
        loop {
            row.clear();
            row.extend(cells.by_ref().take(width));
            if row.len() < width {
                break;
            }
            if let Some(reason) = write(&mut statement, ready, &row)? {
                refused.push((as_json(&row, &ready.columns), reason));
                // A trigger may have taken all back.
                if refused.len() > most || transaction.is_autocommit() {
                    return Ok(refused);
                }
            }
        }
    }
    Ok(refused)
}

/// The time, as the ledger has it.
fn millis(time: dstream_core::Time) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl<T: Serialize + Send + Sync + 'static> Sink<T> for Sqlite {
    type Part = Rows<Encoded>;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        check_names(context)?;
        self.context = Some(context.clone());
        self.opened().map(drop)
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let open = self.opened()?;
        if batch.records() == 0 {
            return Ok(Begin::AlreadyWritten);
        }
        if batch.may_be_written() {
            let found = open.connection.query_row(
                &format!("SELECT 1 FROM {LEDGER} WHERE application = ?1 AND output = ?2 AND batch_time = ?3"),
                (batch.context().application(), batch.context().output(), millis(batch.time())),
                |_| Ok(()),
            );
            let found =
                found.optional().map_err(|error| failed(&error, &format!("reading the table `{LEDGER}`")))?;
            if found.is_some() {
                return Ok(Begin::AlreadyWritten);
            }
        }
        Ok(Begin::Write)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<Rows<Encoded>, SinkError> {
        let mut rows = Rows::default();
        for record in partition {
            rows.push(record).map_err(SinkError::permanent)?;
        }
        Ok(rows)
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Rows<Encoded>>) -> Result<(), SinkError> {
        let parts: Vec<_> = parts.into_iter().filter(|part| part.len > 0).collect();
        let Some(first) = parts.first() else { return Ok(()) };
        let mode = self.settings.mode.as_ref().ok_or("the sink is not open")?;
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut();
        let open = open.ok_or("the sink is not open")?;
        let ready = match open.ready.take() {
            Some(ready) => ready,
            None => open.prepare(
                mode,
                self.settings.columns.as_deref(),
                first.names(),
                &Rows::kinds_of_all(&parts),
            )?,
        };
        let ready = &*open.ready.insert(ready);
        let target = open.table.as_ref().map_or_else(|| mode.to_string(), |table| table.name.clone());
        let doing = |error: rusqlite::Error| failed(&error, &format!("writing into `{target}`"));
        let transaction = Transaction::new_unchecked(&open.connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(doing)?;
        let (application, output) = (batch.context().application(), batch.context().output());
        let time = millis(batch.time());
        let entered = transaction
            .prepare(&format!("INSERT INTO {LEDGER} VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"))
            .and_then(|mut statement| statement.execute((application, output, time)))
            .map_err(doing)?;
        if entered == 0 {
            return if batch.may_be_written() { Ok(()) } else { Err(written_by_another(batch)) };
        }
        transaction
            .prepare(&format!(
                "DELETE FROM {LEDGER} WHERE application = ?1 AND output = ?2 AND batch_time < ?3"
            ))
            .and_then(|mut statement| statement.execute((application, output, millis(batch.rerun_from()))))
            .map_err(doing)?;
        let most = if open.bury.is_some() { MAX_REFUSED } else { 0 };
        let refused = write_all(&transaction, ready, &parts, most).map_err(doing)?;
        if let Some((record, reason)) = refused.first() {
            let (record, count) = (shortened(record), refused.len());
            if transaction.is_autocommit() {
                return Err(SinkError::permanent(format!(
                    "writing into `{target}`: a trigger has rolled the batch back for the record {record}: \
                     {reason}"
                )));
            }
            let Some(bury) = &open.bury else {
                return Err(SinkError::permanent(format!(
                    "writing into `{target}`: the database refuses the record {record}: {reason}"
                )));
            };
            if count > most {
                return Err(SinkError::permanent(format!(
                    "writing into `{target}`: the database refuses more than {most} records of the batch, \
                     the first of them {record}: {reason}"
                )));
            }
            let mut bury = transaction.prepare(bury).map_err(doing)?;
            for (record, reason) in &refused {
                bury.execute((application, output, time, record, reason)).map_err(doing)?;
            }
            tracing::warn!(
                "`{output}`: {count} records of the batch at {} are dead letters, as the database refuses \
                 them: {reason}",
                batch.time()
            );
        }
        transaction.commit().map_err(doing)
    }

    fn close(&mut self) {
        *self.open.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
