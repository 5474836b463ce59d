//! Which batches are written: a row of a table for each, written in the transaction of its rows.

use dstream_core::sink::{SinkBatch, SinkContext, SinkError};

/// The table: `application`, `output`, and `batch_time` in milliseconds since 1970.
pub const LEDGER: &str = "dstream_ledger";

/// The name of an application that has given itself none.
const UNNAMED: &str = "dstream";

/// Refuses an application without a name of its own: another one would take its batches for its own.
pub fn check_names(context: &SinkContext) -> Result<(), SinkError> {
    if context.application() == UNNAMED {
        return Err(SinkError::permanent(
            "the application has no name, by which the database knows what it has written: give it one of \
             its own, `stream!(name = \"shop\", ..)`",
        ));
    }
    Ok(())
}

/// The error of a batch that is in the ledger, although this program can't have written it.
pub fn written_by_another(batch: &SinkBatch) -> SinkError {
    let (application, output) = (batch.context().application(), batch.context().output());
    SinkError::permanent(format!(
        "the table `{LEDGER}` has the batch at {} of the output `{output}` of the application \
         `{application}` already, and not from this program: another one writes under the same names to the \
         same database, so give one of them another `name`",
        batch.time()
    ))
}
