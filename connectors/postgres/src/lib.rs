//! PostgreSQL tables as outputs of [dstream](https://docs.rs/dstream), exactly once: [`Postgres`].

mod catalog;
mod cells;
mod connect;
mod errors;
mod settings;
mod sink;
mod statement;

pub use cells::CopyText;
pub use settings::Postgres;
