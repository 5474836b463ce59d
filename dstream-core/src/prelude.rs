//! What a file with a pipeline needs: `use dstream::prelude::*`.

pub use crate::{
    Config, PairRddOps, Rdd, RddActions, RddOps, Record, StreamingContext, Time, queue_stream, receiver_stream, socket_text_stream,
    testing::Collected,
};
