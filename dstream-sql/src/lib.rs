//! SQL over the batches, windows and states of [dstream](https://docs.rs/dstream), where it is `dstream::sql`
//! (feature `sql`); by [DataFusion](https://docs.rs/datafusion).
//!
//! A query is planned once, against the fields of the records that it reads and of those that it makes, before
//! the first batch: what is wrong with it is an error that points at the word. It then runs in `transform`.
//!
//! ```
//! use dstream::{prelude::*, sql::SqlContext};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, Record, Serialize, Deserialize)]
//! struct Word {
//!     word: String,
//! }
//!
//! #[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
//! struct Top {
//!     word: String,
//!     n: u64,
//! }
//!
//! let mut top = SqlContext::new()
//!     .sql("SELECT word, count(*) AS n FROM words GROUP BY word ORDER BY n DESC, word LIMIT 2")
//!     .table::<Word>("words")
//!     .build::<Top>()?;
//!
//! let out = Collected::new();
//! let ssc = dstream::stream!(batch = 1s, {
//!     let lines = queue_stream(vec![vec!["to be or not to be"]]);
//!     let words = lines.flat_map(|line| line.split(' ')).map(|word| Word { word: word.to_owned() });
//!     words.transform(move |words| top.run(&words)).collect_to(&out);
//! })?;
//! ssc.run_batches(1)?;
//! assert_eq!(out.values(), [[("be", 2), ("to", 2)].map(|(word, n)| Top { word: word.into(), n })]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

/// The programs in `docs/sql.md` are tests too.
#[cfg(doctest)]
#[doc = include_str!("../../docs/sql.md")]
struct Page;

mod check;
mod columns;
mod context;
mod errors;
mod nulls;
mod query;
mod table;

pub use context::SqlContext;
/// What [`SqlContext::register_table`] takes tables of.
pub use datafusion;
pub use errors::SqlError;
pub use query::{Query, QueryBuilder};
