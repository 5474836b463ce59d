//! What the server's errors mean, which of them may pass, and which are about a record.

use std::error::Error as _;

use dstream_core::sink::SinkError;
use postgres::error::{DbError, ErrorPosition};

/// The error, with what was done and what its reader can do about it; transient if it may pass.
pub(crate) fn failed(error: &postgres::Error, doing: &str) -> SinkError {
    let message = match error.as_db_error() {
        Some(error) => format!("{doing}: {}{}", said(error), advice(error)),
        None => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            let hint = match error.to_string().as_str() {
                "error connecting to server" => ": does PostgreSQL listen at this address and port?",
                "invalid configuration" => ": the address of the database names no password, or no user",
                "error performing TLS handshake" => {
                    ": does the server have TLS, and is its certificate one of a known authority \
                     (`.ca_file(..)`)?"
                }
                _ => "",
            };
            format!("{doing}: {error}{cause}{hint}")
        }
    };
    match may_pass(error) {
        true => SinkError::transient(message),
        false => SinkError::permanent(message),
    }
}

/// Whether another attempt may succeed.
fn may_pass(error: &postgres::Error) -> bool {
    let Some(error) = error.as_db_error() else {
        // All that is about the connection, but not what was asked of it. A name that is not resolved may be
        // later.
        return error.is_closed()
            || matches!(
                error.to_string().as_str(),
                "error communicating with the server"
                    | "error connecting to server"
                    | "timeout waiting for server"
            );
    };
    let code = error.code().code();
    // Connections; resources; the operator intervenes; the system fails; deadlocks and serialisation; locks.
    ["08", "53", "57P", "58", "40", "55P03"].iter().any(|class| code.starts_with(class))
}

/// If it is about a record and not about the statement: why the record is refused.
pub(crate) fn refusal(error: &postgres::Error) -> Option<String> {
    let error = error.as_db_error()?;
    let code = error.code().code();
    // Data, constraints, and what a trigger raises.
    ["22", "23", "P0001"].iter().any(|class| code.starts_with(class)).then(|| {
        let hint = advice(error);
        format!("{}{hint}", said(error))
    })
}

/// The line of the copied text that an error is about, counted from 1.
pub(crate) fn copied_line(error: &postgres::Error) -> Option<usize> {
    let (_, rest) = error.as_db_error()?.where_()?.split_once(", line ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// What the server says, with the column and the detail if it names them.
fn said(error: &DbError) -> String {
    let mut text = String::new();
    let copied = error.where_().and_then(|place| place.split_once(", column ")?.1.split(':').next());
    if let Some(column) = error.column().or(copied) {
        text += &format!("column `{column}`: ");
    }
    text += error.message();
    if let Some(detail) = error.detail() {
        text += &format!(" ({})", detail.trim_end_matches('.'));
    }
    if let Some(hint) = error.hint() {
        text += &format!(" ({})", hint.trim_end_matches('.'));
    }
    if let Some(ErrorPosition::Original(position)) = error.position() {
        text += &format!(" (at character {position})");
    }
    text
}

fn advice(error: &DbError) -> &'static str {
    match error.code().code() {
        "28P01" => ": look at the user and the password in the address of the database",
        "28000" => ": the server does not let this user in from here (its `pg_hba.conf` says who may)",
        "3D000" => ": make it with `createdb`, or name another at the end of the address",
        "42501" => ": this user needs the right to do that (`GRANT`)",
        "42P01" => ": is the table made, and in this database?",
        "42P10" => ": `ON CONFLICT` needs a unique index over just these columns",
        "21000" => {
            ": a batch may have each key once here; `reduce_by_key` before the output combines those that \
             are the same"
        }
        "23505" => {
            ": `.upsert(table, key)` writes in place of a row that is there, `.add_to(table, key)` adds to it"
        }
        _ => "",
    }
}
