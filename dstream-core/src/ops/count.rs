//! `count`.

use crate::{
    DStream, Rdd,
    batch::{Batch, Step},
    plan::OpMeta,
    rdd::Counted,
};

impl<T> DStream<T> {
    /// How many records each batch has: one `u64` a batch, 0 for an empty one.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![7, 8, 9], vec![]]);
    ///     nums.count().collect_to(&out);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(out.values(), [vec![3], vec![0]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn count(self) -> DStream<u64> {
        DStream::typed()
    }
}

/// The sink of `count`.
#[derive(Debug, Default)]
pub struct Count(u64);

impl Count {
    /// Nothing counted yet.
    pub fn new() -> Count {
        Count(0)
    }

    /// Counts one record.
    #[inline]
    pub fn push(&mut self) {
        self.0 += 1;
    }

    /// The count of the task.
    pub fn finish(self) -> u64 {
        self.0
    }
}

impl Batch<'_> {
    /// Counts a batch that is there as a whole.
    pub fn count_all(&self, op: &OpMeta, whole: &Step<impl Counted>) -> Step<Rdd<u64>> {
        self.count(op, whole.as_ref().map(|whole| vec![whole.size()]).map_err(Clone::clone))
    }

    /// Adds the counts of the tasks, of all processes: their owner has the one record.
    pub fn count(&self, op: &OpMeta, tasks: Step<Vec<u64>>) -> Step<Rdd<u64>> {
        let counts = self.gather(op, tasks)?;
        Ok(Rdd::from_partitions([counts.into_iter().map(|counts| counts.into_iter().sum()).collect()]))
    }
}
