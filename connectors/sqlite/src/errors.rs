//! What the database's errors mean, which of them may pass, and which are about a record.

use dstream_core::sink::SinkError;
use rusqlite::{Error, ErrorCode};

/// The error, with what was done and what its reader can do about it; transient if it may pass.
pub(crate) fn failed(error: &Error, doing: &str) -> SinkError {
    let code = error.sqlite_error_code();
    let hint = match code {
        Some(ErrorCode::CannotOpen) => {
            ": is the path right, and may this user write to the file and its folder?"
        }
        Some(ErrorCode::ReadOnly) => ": this user may not write to the file, or to its folder",
        Some(ErrorCode::NotADatabase) => ": the file is no SQLite database",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ": another program is writing",
        Some(ErrorCode::DiskFull) => ": the disk is full",
        _ => "",
    };
    let message = format!("{doing}: {error}{hint}");
    match code {
        // What other programs and the disk do may pass.
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::SchemaChanged,
        ) => SinkError::transient(message),
        _ => SinkError::permanent(message),
    }
}

/// If it is about a record and not about the statement: why the record is refused.
pub(crate) fn refusal(error: &Error) -> Option<String> {
    match error.sqlite_error_code()? {
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {}
        _ => return None,
    }
    let message = error.to_string();
    let hint = match message.starts_with("UNIQUE constraint failed") {
        true => {
            ": `.upsert(table, key)` writes in place of a row that is there, `.add_to(table, key)` adds to it"
        }
        false => "",
    };
    Some(format!("{message}{hint}"))
}
