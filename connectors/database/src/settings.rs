//! What is set of a sink that writes into tables, whichever the database.

use crate::Mode;

/// What is set of a sink by the methods of [`settings_methods`](crate::settings_methods), and `.setup(..)`.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What becomes of the records.
    pub mode: Option<Mode>,
    /// The columns that the fields of a tuple are written to.
    pub columns: Option<Vec<String>>,
    /// The table of refused records.
    pub dead_letters: Option<String>,
    /// What is run when a connection is made.
    pub setup: Option<String>,
}

/// Gives a sink the methods that all of them have. It has its [`Settings`] in a field `settings`.
#[macro_export]
macro_rules! settings_methods {
    ($sink:ident) => {
        impl $sink {
            /// Appends the records to this table, which may have a schema before its name, as in
            /// `shop.orders`.
            pub fn table(mut self, table: impl Into<String>) -> Self {
                self.settings.mode = Some($crate::Mode::Append { table: table.into() });
                self
            }

            /// Writes each record in place of the row of the table that has the same values in these
            /// columns, or as a new row if there is none. The table needs a unique index over them, such as
            /// its primary key. Of several records of a batch with the same key the last one is written.
            pub fn upsert<C: Into<String>>(
                mut self,
                table: impl Into<String>,
                key: impl IntoIterator<Item = C>,
            ) -> Self {
                let key = key.into_iter().map(Into::into).collect();
                self.settings.mode = Some($crate::Mode::Upsert { table: table.into(), key });
                self
            }

            /// Adds the records to the row of the table that has the same values in these columns: each
            /// other column is the sum of what is there and of what the records have. If there is no such
            /// row, it is made. The table needs a unique index over the columns of the key, such as its
            /// primary key. `NULL` adds nothing.
            pub fn add_to<C: Into<String>>(
                mut self,
                table: impl Into<String>,
                key: impl IntoIterator<Item = C>,
            ) -> Self {
                let key = key.into_iter().map(Into::into).collect();
                self.settings.mode = Some($crate::Mode::AddTo { table: table.into(), key });
                self
            }

            /// The columns that the fields of a tuple are written to, in the order of the fields. Default:
            /// all columns of the table. The fields of a struct have names, and need none here.
            pub fn columns<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
                self.settings.columns = Some(columns.into_iter().map(Into::into).collect());
                self
            }

            /// Writes records that the database refuses into this table, with the reason, and the others of
            /// their batch as usual. The table `(application, output, batch_time, record, reason)` is made if
            /// it is missing; `record` is JSON. It is written in the transaction of the batch, so exactly
            /// once.
            ///
            /// If more than 1000 records of a batch are refused the batch fails: then it is hardly the
            /// records that are wrong. Default: one refused record fails its batch. (`on_error =
            /// OnError::dead_letters(..)` of an output is another thing: it sends whole batches elsewhere.)
            pub fn dead_letters(mut self, table: impl Into<String>) -> Self {
                self.settings.dead_letters = Some(table.into());
                self
            }
        }
    };
}
