//! Errors of the format, as those of files.

use std::io;

use parquet::errors::ParquetError;

/// The error of the disk that is beneath, or one that says that the content is wrong.
pub(crate) fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::new(io::ErrorKind::InvalidData, cause),
        },
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
