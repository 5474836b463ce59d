use dstream::{Data, prelude::*};

fn totals<K: Data>(ssc: &StreamingContext, pairs: &StreamHandle<(K, u64)>) -> dstream::Result<StreamHandle<(K, u64)>> {
    dstream::stream!(ssc, { pairs.reduce_by_key(|a, b| a + b) })
}

fn main() {}
