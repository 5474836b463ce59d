//! The sink: a batch as a transaction.

use std::{io::Write as _, sync::PoisonError, time::Duration};

use dstream_core::sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError};
use dstream_database::{
    Kind, LEDGER, MAX_REFUSED, Mode, Rows, Table, apart, check_names, list, shortened, written_by_another,
};
use postgres::{Client, Statement, Transaction};
use serde::Serialize;

use crate::{
    catalog::{make_dead_letters, make_ledger, table},
    cells::{CopyText, as_json},
    connect::connect,
    errors::{copied_line, failed, refusal},
    settings::Postgres,
    statement::{BATCH, insert, over_batch},
};

/// How long an idle connection may take to show that it is still there.
const ALIVE: Duration = Duration::from_secs(5);
/// How many bytes of rows are sent at once.
const CHUNK: usize = 64 << 10;

/// A connection, and what is known over it.
pub(crate) struct Open {
    client: Client,
    /// Enters a batch into the ledger, and deletes what is too old.
    enter: Statement,
    /// Writes a dead letter.
    bury: Option<Statement>,
    /// What rows are copied into, or inserted into.
    table: Table,
    /// Its full name.
    name: String,
    ready: Option<Ready>,
}

/// What the first records have settled.
struct Ready {
    columns: Vec<String>,
    kinds: Vec<Kind>,
    /// The table that rows are copied into.
    into: String,
    copy: Statement,
    /// Runs over the rows that were copied.
    write: Option<Statement>,
}

impl Postgres {
    fn connected(&mut self) -> Result<&mut Open, SinkError> {
        let mode = self.settings.mode.as_ref().ok_or_else(|| {
            SinkError::permanent(
                "nothing says where the records go: add `.table(\"name\")`, `.upsert(..)`, `.add_to(..)` or \
                 `.statement(..)`",
            )
        })?;
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        if open.as_mut().is_some_and(|open| open.client.is_valid(ALIVE).is_err()) {
            *open = None;
        }
        if open.is_none() {
            let mut client = connect(&self.url, self.ca_file.as_deref())?;
            if let Some(sql) = &self.settings.setup {
                client
                    .batch_execute(sql)
                    .map_err(|error| failed(&error, "running what `.setup(..)` says"))?;
            }
            *open = Some(Open::new(
                client,
                mode,
                self.settings.columns.as_deref(),
                self.settings.dead_letters.as_deref(),
            )?);
        }
        open.as_mut().ok_or_else(|| "the sink is not open".into())
    }
}

impl Open {
    /// Checks all that can be without a record.
    fn new(
        mut client: Client,
        mode: &Mode,
        columns: Option<&[String]>,
        dead_letters: Option<&str>,
    ) -> Result<Open, SinkError> {
        make_ledger(&mut client)?;
        let enter = format!(
            "WITH old AS (DELETE FROM {LEDGER} WHERE application = $1 AND output = $2 AND batch_time < $4)
             INSERT INTO {LEDGER} (application, output, batch_time) VALUES ($1, $2, $3) ON CONFLICT DO \
             NOTHING"
        );
        let enter =
            client.prepare(&enter).map_err(|error| failed(&error, &format!("using the table `{LEDGER}`")))?;
        let bury = dead_letters.map(|table| -> Result<Statement, SinkError> {
            let sql = make_dead_letters(&mut client, table)?;
            client.prepare(&sql).map_err(|error| failed(&error, &format!("using the table `{table}`")))
        });
        let bury = bury.transpose()?;
        let (table, name) = match mode {
            Mode::Append { table: name }
            | Mode::Upsert { table: name, .. }
            | Mode::AddTo { table: name, .. } => {
                let (table, name) = table(&mut client, name)?;
                table.check_mode(mode, columns).map_err(SinkError::permanent)?;
                (table, name)
            }
            Mode::Statement(sql) => {
                let parameters = parameters(&mut client, sql)?;
                make_batch(&mut client, BATCH, &parameters, mode)?
            }
            Mode::OverBatch { columns, .. } => make_batch(&mut client, "batch", columns, mode)?,
        };
        if let (Mode::Statement(_), Some(_)) = (mode, columns) {
            let message =
                "`.columns(..)` has no use with `.statement(..)`, whose `$1` is the first field of a record";
            return Err(SinkError::permanent(message));
        }
        let mut open = Open { client, enter, bury, table, name, ready: None };
        // Also what is wrong with a statement is found before the first record.
        open.user_statement(mode)?;
        Ok(open)
    }

    fn user_statement(&mut self, mode: &Mode) -> Result<Option<Statement>, SinkError> {
        let sql = match mode {
            Mode::Statement(sql) => over_batch(sql)?,
            Mode::OverBatch { sql, .. } => sql.clone(),
            _ => return Ok(None),
        };
        let prepared =
            self.client.prepare(&sql).map_err(|error| failed(&error, &format!("preparing `{mode}`")))?;
        if !prepared.params().is_empty() {
            let message = format!("`{mode}` has parameters: its rows are in the table `batch`");
            return Err(SinkError::permanent(message));
        }
        Ok(Some(prepared))
    }

    /// Settles what the records are written by, with the first of them.
    fn prepare(
        &mut self,
        mode: &Mode,
        columns: Option<&[String]>,
        fields: &[&'static str],
        kinds: &[Kind],
    ) -> Result<(), SinkError> {
        let fields = if matches!(mode, Mode::Statement(_)) { &[] } else { fields };
        let columns = self.table.fit(mode, columns, fields, kinds).map_err(SinkError::permanent)?;
        let insert = insert(mode, &self.name, &columns);
        let all = list(&columns);
        let into = match &insert {
            Some(_) => {
                // The types of the target, without what it asks of its values.
                let make = format!(
                    "CREATE TEMP TABLE {BATCH} ON COMMIT DELETE ROWS AS SELECT {all} FROM {} WITH NO DATA",
                    self.name
                );
                let made = self.client.batch_execute(&make);
                made.map_err(|error| failed(&error, "making a temporary table"))?;
                format!("pg_temp.{BATCH}")
            }
            None => self.name.clone(),
        };
        let copy = self.client.prepare(&format!("COPY {into} ({all}) FROM STDIN"));
        let copy =
            copy.map_err(|error| failed(&error, &format!("copying into the table `{}`", self.table.name)))?;
        let write = match insert {
            Some(sql) => Some(
                self.client.prepare(&sql).map_err(|error| failed(&error, &format!("preparing `{mode}`")))?,
            ),
            None => self.user_statement(mode)?,
        };
        self.ready = Some(Ready { columns, kinds: kinds.to_vec(), into, copy, write });
        Ok(())
    }
}

/// The parameters of a user's statement, as columns.
fn parameters(client: &mut Client, sql: &str) -> Result<String, SinkError> {
    over_batch(sql)?;
    let doing = "preparing the statement of `.statement(..)`";
    let statement = client.prepare(sql).map_err(|error| failed(&error, doing))?;
    if statement.params().is_empty() {
        return Err(SinkError::permanent("the statement of `.statement(..)` has no parameter, such as `$1`"));
    }
    let mut columns = Vec::new();
    for (at, parameter) in statement.params().iter().enumerate() {
        let name = client.query_one("SELECT format_type($1, NULL)", &[&parameter.oid()]);
        let name: String = name.map_err(|error| failed(&error, doing))?.get(0);
        columns.push(format!("\"${}\" {name}", at + 1));
    }
    Ok(columns.join(", "))
}

/// Makes a temporary table of these columns.
fn make_batch(
    client: &mut Client,
    name: &str,
    columns: &str,
    mode: &Mode,
) -> Result<(Table, String), SinkError> {
    let make = format!("CREATE TEMP TABLE {name} ({columns}) ON COMMIT DELETE ROWS");
    client
        .batch_execute(&make)
        .map_err(|error| failed(&error, &format!("making the table `batch` of `{mode}`")))?;
    let (mut table, name) = table(client, &format!("pg_temp.{name}"))?;
    table.name = "batch".into();
    Ok((table, name))
}

/// Copies rows, and runs what is to be run over them.
fn write(transaction: &mut Transaction<'_>, ready: &Ready, rows: &[&[u8]]) -> Result<(), postgres::Error> {
    let mut writer = transaction.copy_in(&ready.copy)?;
    for chunk in rows.iter().flat_map(|rows| rows.chunks(CHUNK)) {
        if writer.write_all(chunk).is_err() {
            // The end of the copy says why.
            break;
        }
    }
    writer.finish()?;
    if let Some(write) = &ready.write {
        transaction.execute(write, &[])?;
    }
    Ok(())
}

/// Writes all rows but those that are refused, and returns these, with their reasons.
fn write_apart(
    transaction: &mut Transaction<'_>,
    ready: &Ready,
    rows: &[&[u8]],
) -> Result<Vec<(String, String)>, postgres::Error> {
    let mut whole = transaction.transaction()?;
    match write(&mut whole, ready, rows) {
        Ok(()) => return whole.commit().map(|()| Vec::new()),
        Err(error) if refusal(&error).is_none() => return Err(error),
        Err(_) => whole.rollback()?,
    }
    let rows = rows.concat();
    let ends = rows.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
    let mut refused = Vec::new();
    apart((0, starts.len() - 1), &mut refused, &mut |from, to| {
        let mut piece = transaction.transaction()?;
        match write(&mut piece, ready, &[&rows[starts[from]..starts[to]]]) {
            Ok(()) => {
                // What was copied must not be there for the next piece.
                if ready.write.is_some() {
                    piece.batch_execute(&format!("TRUNCATE {}", ready.into))?;
                }
                piece.commit().map(|()| None)
            }
            Err(error) => {
                let reason = refusal(&error).ok_or(error)?;
                piece.rollback()?;
                Ok(Some(reason))
            }
        }
    })?;
    let line = |at: usize| &rows[starts[at]..starts[at + 1] - 1];
    Ok(refused
        .into_iter()
        .map(|(at, reason)| (as_json(line(at), &ready.columns, &ready.kinds), reason))
        .collect())
}

/// The error of a batch whose rows can't be written.
fn not_written(error: &postgres::Error, ready: &Ready, rows: &[&[u8]], table: &str) -> SinkError {
    let doing = format!("writing into `{table}`");
    let Some(reason) = refusal(error) else { return failed(error, &doing) };
    let line = copied_line(error).and_then(|line| {
        rows.iter().flat_map(|rows| rows.split_inclusive(|byte| *byte == b'\n')).nth(line.checked_sub(1)?)
    });
    let record = line.map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        format!(" {}", shortened(&as_json(line, &ready.columns, &ready.kinds)))
    });
    SinkError::permanent(format!(
        "{doing}: the database refuses the record{}: {reason}",
        record.unwrap_or_default()
    ))
}

/// The time, as the ledger has it.
fn millis(time: dstream_core::Time) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl<T: Serialize + Send + Sync + 'static> Sink<T> for Postgres {
    type Part = Rows<CopyText>;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        check_names(context)?;
        self.context = Some(context.clone());
        self.connected().map(drop)
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let open = self.connected()?;
        if batch.records() == 0 {
            return Ok(Begin::AlreadyWritten);
        }
        if batch.may_be_written() {
            let (application, output) = (batch.context().application(), batch.context().output());
            let found = open.client.query_one(
                &format!(
                    "SELECT EXISTS (SELECT FROM {LEDGER} WHERE application = $1 AND output = $2 AND \
                     batch_time = $3)"
                ),
                &[&application, &output, &millis(batch.time())],
            );
            if found.map_err(|error| failed(&error, &format!("reading the table `{LEDGER}`")))?.get(0) {
                return Ok(Begin::AlreadyWritten);
            }
        }
        Ok(Begin::Write)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<Rows<CopyText>, SinkError> {
        let mut rows = Rows::default();
        for record in partition {
            rows.push(record).map_err(SinkError::permanent)?;
        }
        Ok(rows)
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Rows<CopyText>>) -> Result<(), SinkError> {
        let parts: Vec<_> = parts.into_iter().filter(|part| part.len > 0).collect();
        let Some(first) = parts.first() else { return Ok(()) };
        let mode = self.settings.mode.as_ref().ok_or("the sink is not open")?;
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut();
        let open = open.ok_or("the sink is not open")?;
        if open.ready.is_none() {
            open.prepare(mode, self.settings.columns.as_deref(), first.names(), &Rows::kinds_of_all(&parts))?;
        }
        let (Some(ready), table) = (&open.ready, &open.table.name) else { return Err("not prepared".into()) };
        let doing = |error: postgres::Error| failed(&error, &format!("writing into `{table}`"));
        let mut transaction = open.client.transaction().map_err(doing)?;
        let (application, output) = (batch.context().application(), batch.context().output());
        let (time, oldest) = (millis(batch.time()), millis(batch.rerun_from()));
        // Waits for a connection that was lost while it wrote the same batch.
        let entered =
            transaction.execute(&open.enter, &[&application, &output, &time, &oldest]).map_err(doing)?;
        if entered == 0 {
            return if batch.may_be_written() { Ok(()) } else { Err(written_by_another(batch)) };
        }
        let rows: Vec<&[u8]> = parts.iter().map(|part| &part.cells.0[..]).collect();
        if let Some(bury) = &open.bury {
            // What is only checked at the end of a transaction can't be told from its record.
            transaction.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").map_err(doing)?;
            let refused = write_apart(&mut transaction, ready, &rows)
                .map_err(|error| not_written(&error, ready, &rows, table))?;
            if refused.len() > MAX_REFUSED {
                let (record, reason) = &refused[0];
                return Err(SinkError::permanent(format!(
                    "writing into `{table}`: the database refuses more than {MAX_REFUSED} records of the \
                     batch, the first of them {}: {reason}",
                    shortened(record)
                )));
            }
            for (record, reason) in &refused {
                transaction.execute(bury, &[&application, &output, &time, record, reason]).map_err(doing)?;
            }
            if let Some((_, reason)) = refused.first() {
                tracing::warn!(
                    "`{output}`: {} records of the batch at {} are dead letters, as the database refuses \
                     them: {reason}",
                    refused.len(),
                    batch.time()
                );
            }
        } else {
            write(&mut transaction, ready, &rows)
                .map_err(|error| not_written(&error, ready, &rows, table))?;
        }
        transaction.commit().map_err(doing)
    }

    fn close(&mut self) {
        *self.open.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
