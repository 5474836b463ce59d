//! What a file with a pipeline needs: `use dstream::prelude::*`.

pub use crate::{
    Config, PairRddOps, Rdd, RddActions, RddOps, Record, RecordStream, State, StreamHandle, StreamingContext,
    TextStream, Time, binary_records_stream, file_stream, generator_stream, listen_text_stream, queue_stream,
    rate_stream, receiver_stream,
    sink::{OnError, Retry},
    socket_stream, socket_text_stream,
    testing::Collected,
    text_file_stream, text_stream,
};
