use dstream::prelude::*;

fn totals<K>(ssc: &StreamingContext, pairs: &StreamHandle<(K, u64)>) -> dstream::Result<()> {
    dstream::stream!(ssc, {
        pairs.reduce_by_key(|a, b| a + b).print();
    })?;
    Ok(())
}

fn maxima<T: Ord>(ssc: &StreamingContext, nums: impl RecordStream<T>) -> dstream::Result<StreamHandle<T>> {
    dstream::stream!(ssc, { nums.reduce(T::max) })
}

fn main() {}
