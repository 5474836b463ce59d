//! What a file with a pipeline needs: `use dstream::prelude::*`.

pub use crate::{
    Config, Rdd, Record, StreamingContext, Time, queue_stream, receiver_stream, socket_text_stream,
    testing::Collected,
};
