//! What the database knows of a table, and the tables that the sink makes itself.

use dstream_core::sink::SinkError;
use dstream_database::{Column, Kind, LEDGER, Table, list, quoted};
use rusqlite::{Connection, OptionalExtension as _, Result};

use crate::errors::failed;

/// What is known of a table.
pub(crate) fn table(connection: &Connection, name: &str) -> std::result::Result<Table, SinkError> {
    let failed = |error| failed(&error, &format!("looking for the table `{name}`"));
    match found(connection, name).map_err(failed)? {
        Some(table) => Ok(table),
        None => {
            let tables = tables(connection).map_err(failed)?;
            let there = match &tables[..] {
                [] => "there is none at all".to_owned(),
                tables => format!("there are {}", tables.join(", ")),
            };
            Err(SinkError::permanent(format!(
                "there is no table `{name}` in this database ({there}): make it first, with `CREATE TABLE`"
            )))
        }
    }
}

fn tables(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'
               AND name NOT LIKE 'dstream_%' ORDER BY name LIMIT 10";
    connection.prepare(sql)?.query_map([], |row| Ok(format!("`{}`", row.get::<_, String>(0)?)))?.collect()
}

fn found(connection: &Connection, name: &str) -> Result<Option<Table>> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE";
    if connection.query_row(there, [name], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let columns =
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1)";
    let mut columns = connection.prepare(columns)?;
    let columns = columns.query_map([name], |row| {
        let (required, default, key): (bool, bool, u32) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let column = Column {
            name: row.get(0)?,
            type_name: row.get(1)?,
            required: required && !default,
            // A generated column, stored or not.
            generated: row.get::<_, u32>(5)? > 1,
        };
        Ok((key, column))
    })?;
    let mut columns: Vec<(u32, Column)> = columns.collect::<Result<_>>()?;
    // The primary key has no index of its own if it is the number of the row, for which SQLite has a value
    // itself.
    let mut key: Vec<(u32, String)> =
        columns.iter().filter(|(key, _)| *key > 0).map(|(key, column)| (*key, column.name.clone())).collect();
    key.sort();
    if let ([_], Some((_, column))) = (&key[..], columns.iter_mut().find(|(key, _)| *key > 0))
        && column.type_name.eq_ignore_ascii_case("integer")
    {
        column.required = false;
    }
    let mut unique: Vec<Vec<String>> = vec![key.into_iter().map(|(_, name)| name).collect()];
    let indexes =
        "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial AND origin <> 'pk'";
    let mut indexes = connection.prepare(indexes)?;
    let indexes: Vec<String> = indexes.query_map([name], |row| row.get(0))?.collect::<Result<_>>()?;
    for index in indexes {
        let mut columns = connection.prepare("SELECT name FROM pragma_index_info(?1)")?;
        let columns: Vec<Option<String>> =
            columns.query_map([index], |row| row.get(0))?.collect::<Result<_>>()?;
        // One over an expression has no name there.
        unique.extend(columns.into_iter().collect::<Option<Vec<_>>>());
    }
    unique.retain(|columns| !columns.is_empty());
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(Some(Table { name: name.to_owned(), columns, unique, fits }))
}

/// Makes the ledger, if it is missing.
pub(crate) fn make_ledger(connection: &Connection) -> std::result::Result<(), SinkError> {
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {LEDGER} (application TEXT NOT NULL, output TEXT NOT NULL,
         batch_time INTEGER NOT NULL, PRIMARY KEY (application, output, batch_time)) WITHOUT ROWID"
    );
    connection.execute_batch(&create).map_err(|error| failed(&error, &format!("making the table `{LEDGER}`")))
}

/// Makes a table of dead letters, if it is missing, and returns the statement that writes into it.
pub(crate) fn make_dead_letters(
    connection: &Connection,
    name: &str,
) -> std::result::Result<String, SinkError> {
    let columns = ["application", "output", "batch_time", "record", "reason"];
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {} (application TEXT NOT NULL, output TEXT NOT NULL,
         batch_time INTEGER NOT NULL, record TEXT NOT NULL, reason TEXT NOT NULL)",
        quoted(name)
    );
    connection
        .execute_batch(&create)
        .map_err(|error| failed(&error, &format!("making the table `{name}`")))?;
    let table = table(connection, name)?;
    if let Some(lacking) = columns.iter().find(|name| !table.columns.iter().any(|c| c.name == **name)) {
        return Err(SinkError::permanent(format!(
            "the table of dead letters `{name}` has no column `{lacking}`: name another table, which is then \
             made"
        )));
    }
    Ok(format!("INSERT INTO {} ({}) VALUES (?1, ?2, ?3, ?4, ?5)", quoted(name), list(&columns)))
}

/// Whether a column of this type keeps such a value as what it is, by SQLite's own rules: it would also keep
/// others, but as something else than the column says.
fn fits(kind: Kind, type_name: &str) -> bool {
    let type_name = type_name.to_ascii_uppercase();
    let has = |parts: &[&str]| parts.iter().any(|part| type_name.contains(part));
    if kind == Kind::Unknown {
        true
    } else if has(&["INT"]) {
        matches!(kind, Kind::Integer | Kind::Boolean)
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        kind != Kind::Bytes
    } else if has(&["BLOB", "ANY"]) || type_name.is_empty() {
        true
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        matches!(kind, Kind::Integer | Kind::Float)
    } else {
        kind != Kind::Bytes
    }
}
