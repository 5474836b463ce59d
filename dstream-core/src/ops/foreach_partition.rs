//! `foreach_partition`.

use crate::{
    DStream, Rdd, Record, Result, Time,
    ops::{Outcome, StreamOutput},
    rdd::Partition,
    record::Data,
    sink::{Sink, SinkBatch, SinkError, write_batch},
};

impl<T: Record> DStream<T> {
    /// Calls `f` with each partition of each batch: `|partition|`, or `|partition, time|` with the batch's
    /// time.
    ///
    /// For one connection, transaction or file a partition. `f` runs on several threads at once. Batch time
    /// and [`Partition::index`] name what `f` is given: a batch that is run again has the same partitions, so
    /// an output that replaces what it wrote under that name writes everything exactly once. `f` returns
    /// nothing or a `Result`, as in [`foreach_rdd`](DStream::foreach_rdd); after an error that may pass it is
    /// called with all partitions again.
    ///
    /// Options `retry` and `on_error`: see [`sink`](crate::sink).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![1u64, 2, 3]]).repartition(2);
    ///     nums.foreach_partition(|partition, time| {
    ///         let sum: u64 = partition.iter().sum();
    ///         println!("{time} #{}: {sum}", partition.index());
    ///     });
    /// })?;
    /// ssc.run_batches(1)?;
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn foreach_partition<O: Outcome>(self, f: impl Fn(Partition<'_, T::Owned>) -> O) -> StreamOutput {
        drop(f);
        StreamOutput::typed()
    }
}

/// Emits one batch; the first error in the order of the partitions is the output's.
pub fn foreach_partition<T: Data, O: Outcome>(
    rdd: &Rdd<T>,
    batch: &SinkBatch,
    f: impl Fn(Partition<'_, T>, Time) -> O + Sync,
) -> Result<(), SinkError> {
    write_batch(&mut Each(&f), rdd, batch)
}

/// A sink that calls a function with each partition.
struct Each<'a, F>(&'a F);

impl<T, O: Outcome, F: Fn(Partition<'_, T>, Time) -> O + Sync> Sink<T> for Each<'_, F> {
    type Part = ();

    fn write(&self, batch: &SinkBatch, partition: Partition<'_, T>) -> Result<(), SinkError> {
        (self.0)(partition, batch.time()).into_result()
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        Ok(())
    }
}
