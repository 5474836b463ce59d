//! Parquet files for dstream.
//!
//! [`save_as_parquet`] writes a folder of Parquet files for each batch, [`parquet_file_stream`] reads those
//! that appear in a folder, and [`read_parquet`] those that are there. Records are structs with named fields,
//! which derive `Serialize` and `Deserialize`; a field is a column:
//!
//! | field | column |
//! |---|---|
//! | `bool`, integers, floats | of the same name in Arrow: `i64` is `Int64`, `u8` is `UInt8` |
//! | `String`, `Str`, `char`, an enum without data | `Utf8`; a `char` is `UInt32` |
//! | `Option<T>` | of `T`, with nulls |
//! | `Vec<T>`, a map, a struct | a list, a map, a struct |
//! | `Vec<u8>` | a list of `UInt8`; with `serde_bytes`, `Binary` |
//!
//! A tuple has columns `0`, `1` and so on. Types that serde takes from text, such as dates, are not
//! known as such: make a number or a text of them.

mod errors;
mod read;
mod schema;
mod sink;

pub use read::{parquet_file_stream, read_parquet};
pub use sink::{Compression, ParquetFiles, save_as_parquet};
