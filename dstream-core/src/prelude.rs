//! What a file with a pipeline needs: `use dstream::prelude::*`.

pub use crate::{
    Config, Rdd, Record, StreamHandle, StreamingContext, Time,
    chart::Chart,
    rdd::{PairRddOps, RddActions, RddOps},
    receiver::receiver_stream,
    sink::{OnError, Retry},
    source::{
        RecordStream, TextStream, binary_records_stream, file_stream, generator_stream, listen_text_stream,
        queue_stream, rate_stream, sequence_file_stream, socket_stream, socket_text_stream, text_file_stream,
        text_stream,
    },
    state::State,
    testing::Collected,
};
