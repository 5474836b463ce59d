//! SQLite tables as outputs of [dstream](https://docs.rs/dstream), exactly once: [`Sqlite`].

mod catalog;
mod cells;
mod errors;
mod settings;
mod sink;

pub use cells::Encoded;
pub use settings::Sqlite;
