//! `map_partitions`.

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    exec::run,
    plan::OpMeta,
    record::Data,
};

impl<T: Record> DStream<T> {
    /// Passes each partition, as an iterator over its records, through `f` and yields every item of what it
    /// returns.
    ///
    /// For work that is worth doing once a partition: `f` runs once for each, on several threads. The records
    /// are owned.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![1, 2, 3]]);
    ///     nums.map_partitions(|part| vec![part.sum::<i32>()]).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![6]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn map_partitions<I: IntoIterator>(
        self,
        f: impl Fn(std::vec::IntoIter<T::Owned>) -> I,
    ) -> DStream<I::Item> {
        drop(f);
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Runs `f` over each partition.
    pub fn map_partitions<T: Data, I>(
        &self,
        op: &OpMeta,
        input: Step<Rdd<T>>,
        f: impl Fn(std::vec::IntoIter<T>) -> I + Sync,
    ) -> Step<Rdd<I::Item>>
    where
        I: IntoIterator<Item: Send>,
    {
        let parts = run(input?.into_vecs(), false, |part| {
            self.guard(std::slice::from_ref(op), || f(part.into_iter()).into_iter().collect::<Vec<_>>())
        });
        Ok(Rdd::from_partitions(parts.into_iter().collect::<Step<Vec<_>>>()?))
    }
}
