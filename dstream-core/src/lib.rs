//! The runtime of [dstream](https://docs.rs/dstream): what the expansion of `stream!` calls.
//!
//! Users depend on the crate `dstream`, which re-exports everything here beside the macro.

// `clippy.toml` says what the library must not do.
#![cfg_attr(not(test), warn(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types))]

mod async_runtime;
mod batch;
mod checkpoint;
mod clock;
mod config;
mod context;
mod error;
pub mod events;
pub mod exchange;
mod exec;
mod handle;
mod inline_key;
mod join;
mod logs;
mod ops;
mod output;
pub mod plan;
mod rdd;
mod receiver;
mod record;
mod report;
pub mod sink;
mod source;
mod state;
mod table;
pub mod testing;
mod threads;
mod time;
mod window;
mod word;

pub mod prelude;
#[doc(hidden)]
pub mod private;

pub use bytes::{Bytes, BytesMut};
pub use checkpoint::{
    Appender, Changes, CheckpointError, CheckpointStore, IntoCheckpointStore, LocalDir, Stateful, StoreLock,
    decode, inspect_checkpoint,
};
pub use clock::{Clock, ManualClock, Signal, SystemClock, WaitAsync};
pub use compact_str::CompactString;
pub use config::{Config, OnFailure};
pub use context::{ContextState, StreamingContext};
pub use error::{Error, JobError, Result};
pub use handle::StreamHandle;
pub use ops::{DStream, Outcome, Partition, StreamOutput, Streams};
pub use rdd::{PairRddOps, Rdd, RddActions, RddOps, TextLine};
pub use receiver::{
    Loggable, Receiver, ReceiverContext, ReceiverLog, ReceiverPlan, ReceiverStream, Unlogged, receiver_stream,
};
pub use record::{Data, Key, Pair, Portable, Record};
pub use source::{
    BinaryRecords, Block, Checkpointed, Decoder, DelimiterDecoder, FileRecords, FileStream, Generated,
    GeneratorStream, Input, IntoSource, LengthDecoder, Limits, ListenTextStream, OpenFile, PlannedFile,
    QueueStream, RateStream, RecordStream, SocketStream, SocketTextStream, Source, SourceContext, Text,
    TextBlock, TextFile, TextRecords, TextStream, binary_records_stream, file_stream, generator_stream,
    listen_text_stream, queue_stream, rate_stream, socket_stream, socket_text_stream, text_file_stream,
    text_stream,
};
pub use state::{InitialState, State};
pub use time::Time;
pub use word::Word;
