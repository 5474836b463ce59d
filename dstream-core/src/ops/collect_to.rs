//! `collect_to`, and the sink of every output that keeps whole batches.

use crate::{
    DStream, Rdd, Record, Result,
    batch::{Batch, Step},
    ops::{StreamOutput, collected::Collected},
    record::Data,
    sink::{SinkBatch, SinkError},
};

impl<T: Record> DStream<T> {
    /// Keeps each batch in `out`, for tests: see [`Collected`].
    ///
    /// It takes the options `retry` and `on_error` as every [output](crate::sink), but never fails by itself.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1, 2], vec![3]]).collect_to(&out);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(out.values(), [vec![1, 2], vec![3]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn collect_to(self, out: &Collected<T::Owned>) -> StreamOutput {
        let _ = out;
        StreamOutput::typed()
    }
}

/// The sink of outputs that look at the whole batch: its records, owned.
#[derive(Debug)]
pub struct Collect<T>(Vec<T>);

impl<T> Collect<T> {
    /// Nothing collected yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Collect(Vec::new())
    }

    /// Keeps one record.
    #[inline]
    pub fn push<R: Record<Owned = T>>(&mut self, record: R) {
        self.0.push(record.own());
    }

    /// The records of the task.
    pub fn finish(self) -> Vec<T> {
        self.0
    }
}

impl Batch<'_> {
    /// Makes the tasks' records the partitions of an `Rdd`.
    pub fn collect<T>(&self, tasks: Step<Vec<Vec<T>>>) -> Step<Rdd<T>> {
        tasks.map(Rdd::from_partitions)
    }
}

/// Emits one batch of `collect_to`.
pub fn collect_to<T: Data>(out: &Collected<T>, rdd: &Rdd<T>, batch: &SinkBatch) -> Result<(), SinkError> {
    out.push(batch.time(), rdd.collect());
    Ok(())
}
