//! The runtime of [dstream](https://docs.rs/dstream): what the expansion of `stream!` calls.
//!
//! Users depend on the crate `dstream`, which re-exports everything here beside the macro.

// `clippy.toml` says what the library must not do.
#![cfg_attr(not(test), warn(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types))]

mod async_runtime;
mod backoff;
pub mod backpressure;
mod batch;
mod block;
pub mod chart;
pub mod checkpoint;
pub mod clock;
mod config;
mod context;
mod error;
pub mod events;
pub mod exchange;
mod exec;
pub mod hadoop;
mod inline_key;
mod logs;
pub mod model;
pub mod ops;
mod output;
mod panics;
pub mod plan;
pub mod rdd;
pub mod record;
mod report;
mod sealed;
pub mod sink;
pub mod source;
pub mod state;
mod sync;
mod table;
pub mod testing;
mod threads;
mod time;
mod window;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod prelude;

pub use bytes::Bytes;
pub use config::{Config, OnFailure};
pub use context::{ContextState, StreamingContext};
pub use error::{Error, JobError, Result};
pub use ops::DStream;
pub use rdd::Rdd;
pub use record::{Data, Key, Record, Str};
pub use source::{handle::StreamHandle, receiver};
pub use time::Time;
