//! What the SQL databases among the outputs of dstream have in common: records as rows, the statements that
//! write them, the checks of a table before the first of them, and which batches are written.
//!
//! Programs use `dstream-postgres` and `dstream-sqlite`.

mod ledger;
mod refused;
mod row;
mod settings;
mod table;
mod write;

pub use ledger::{LEDGER, check_names, written_by_another};
pub use refused::{MAX_REFUSED, apart, shortened};
pub use row::{Cells, Kind, Rows};
pub use settings::Settings;
pub use table::{Column, Table};
pub use write::{Mode, conflict, list, quoted, quoted_path};
