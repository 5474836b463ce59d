//! Object stores for dstream: S3 and what speaks like it, directories, and every other [`object_store`].
//!
//! A [`Store`] is a place in one, such as `s3://bucket/words`. It holds the checkpoint of a program
//! (`checkpoint = store`), with a lease so that one process writes at a time; [`text_file_stream`] reads the
//! objects that appear there, and [`TextFiles`] writes batches.
//!
//! Credentials come from the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, and for
//! a server that is not Amazon's `AWS_ENDPOINT`, with `AWS_ALLOW_HTTP=true` where that is `http://`.

mod checkpoint;
mod errors;
mod lease;
mod open;
mod requests;
mod runtime;
mod seen;
mod sink;
mod text;

pub use object_store;
pub use open::{IntoStore, Store};
pub use sink::{TextFiles, save_as_text_files};
pub use text::{PlannedObject, StoreTextStream, TextObject, text_file_stream};
