//! What the database knows of a table, and the tables that the sink makes itself.

use dstream_core::sink::SinkError;
use dstream_database::{Column, Kind, LEDGER, Table, list, quoted, quoted_path};
use postgres::Client;

use crate::errors::failed;

/// A table, and its name with its schema, in quotes.
pub(crate) fn table(client: &mut Client, name: &str) -> Result<(Table, String), SinkError> {
    let doing = format!("looking for the table `{name}`");
    let failed = |error: postgres::Error| failed(&error, &doing);
    let found = client
        .query_opt(
            "SELECT c.oid, n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = \
             c.relnamespace
             WHERE c.oid = to_regclass($1)",
            &[&quoted_path(name)],
        )
        .map_err(failed)?;
    let Some(found) = found else { return Err(missing(client, name)) };
    let (oid, schema, relation): (u32, String, String) = (found.get(0), found.get(1), found.get(2));
    let columns = client
        .query(
            "SELECT attname::text, format_type(atttypid, atttypmod),
                    attnotnull AND NOT atthasdef AND attidentity = '', attgenerated <> '' OR attidentity = 'a'
             FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            &[&oid],
        )
        .map_err(failed)?;
    let columns = columns.into_iter().map(|row| Column {
        name: row.get(0),
        type_name: row.get(1),
        required: row.get(2),
        generated: row.get(3),
    });
    let unique = client
        .query(
            "SELECT array_agg(a.attname::text) FROM pg_index i
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
             WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
             AND i.indexprs IS NULL GROUP BY i.indexrelid",
            &[&oid],
        )
        .map_err(failed)?;
    let table = Table {
        name: name.to_owned(),
        columns: columns.collect(),
        unique: unique.into_iter().map(|row| row.get(0)).collect(),
        fits,
    };
    Ok((table, format!("{}.{}", quoted(&schema), quoted(&relation))))
}

/// That there is no such table, with those that there are.
fn missing(client: &mut Client, name: &str) -> SinkError {
    let tables = client.query(
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'f') AND pg_table_is_visible(oid)
         AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
         AND relname NOT LIKE 'dstream_%' ORDER BY relname = lower($1) DESC, relname LIMIT 10",
        &[&name],
    );
    let tables: Vec<String> =
        tables.into_iter().flatten().map(|row| format!("`{}`", row.get::<_, String>(0))).collect();
    let there = match &tables[..] {
        [] => "there is none at all".to_owned(),
        tables => format!("there are {}", tables.join(", ")),
    };
    SinkError::permanent(format!(
        "there is no table `{name}` in this database ({there}): make it first, with `CREATE TABLE`"
    ))
}

/// Makes a table if it is missing; several programs may do so at once.
fn make(client: &mut Client, path: &str, create: &str) -> Result<(), SinkError> {
    let doing = format!("making the table `{path}`");
    let failed = |error: postgres::Error| failed(&error, &doing);
    let there =
        client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&quoted_path(path)]).map_err(failed)?;
    if there.get(0) {
        return Ok(());
    }
    let mut transaction = client.transaction().map_err(failed)?;
    // A second one would fail in the middle of the first.
    transaction.execute("SELECT pg_advisory_xact_lock(hashtext('dstream'))", &[]).map_err(failed)?;
    transaction.batch_execute(create).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Makes the ledger, if it is missing.
pub(crate) fn make_ledger(client: &mut Client) -> Result<(), SinkError> {
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {LEDGER} (application text NOT NULL, output text NOT NULL,
         batch_time bigint NOT NULL, PRIMARY KEY (application, output, batch_time))"
    );
    make(client, LEDGER, &create)
}

/// Makes a table of dead letters, if it is missing, and returns the statement that writes into it.
pub(crate) fn make_dead_letters(client: &mut Client, path: &str) -> Result<String, SinkError> {
    let columns = ["application", "output", "batch_time", "record", "reason"];
    let name = quoted_path(path);
    make(
        client,
        path,
        &format!(
            "CREATE TABLE IF NOT EXISTS {name} (application text NOT NULL, output text NOT NULL,
             batch_time timestamptz NOT NULL, record text NOT NULL, reason text NOT NULL)"
        ),
    )?;
    let (table, name) = self::table(client, path)?;
    if let Some(lacking) = columns.iter().find(|name| !table.columns.iter().any(|c| c.name == **name)) {
        return Err(SinkError::permanent(format!(
            "the table of dead letters `{path}` has no column `{lacking}`: name another table, which is then \
             made"
        )));
    }
    Ok(format!(
        "INSERT INTO {name} ({}) VALUES ($1, $2, to_timestamp($3::bigint / 1000.0), $4, $5)",
        list(&columns)
    ))
}

/// Whether a column of this type may take such a value.
fn fits(kind: Kind, type_name: &str) -> bool {
    let type_name = type_name.to_ascii_lowercase();
    let is = |names: &[&str]| {
        names.iter().any(|name| {
            type_name
                .strip_prefix(name)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        })
    };
    let array = type_name.ends_with("[]");
    if kind == Kind::Unknown || array {
        return kind != Kind::Bytes;
    }
    if is(&["smallint", "integer", "bigint", "int"]) {
        return kind == Kind::Integer;
    }
    if is(&["real", "double precision", "double", "float"]) {
        return matches!(kind, Kind::Integer | Kind::Float);
    }
    if is(&["numeric", "decimal"]) {
        return matches!(kind, Kind::Integer | Kind::Float | Kind::Text);
    }
    if is(&["boolean", "bool"]) {
        return kind == Kind::Boolean;
    }
    if is(&["bytea"]) {
        return kind == Kind::Bytes;
    }
    if is(&["date", "time", "timestamp", "interval", "uuid"]) {
        return kind == Kind::Text;
    }
    if is(&["text", "character varying", "character", "json", "jsonb"]) {
        return kind != Kind::Bytes;
    }
    true
}
