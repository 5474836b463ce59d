//! `repartition`.

use crate::{
    DStream, Rdd, RddOps, Record,
    batch::{Batch, Step},
    record::Data,
};

impl<T: Record> DStream<T> {
    /// The same records in `n` partitions of about the same size, at least 1; they are dealt out in turn.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1, 2, 3]]).repartition(2).foreach_rdd(|rdd| {
    ///         let parts: Vec<_> = rdd.partitions().collect();
    ///         assert_eq!(parts, [&[1, 3][..], &[2]]);
    ///     });
    /// })?;
    /// ssc.run_batches(1)?;
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn repartition(self, n: usize) -> DStream<T::Owned> {
        let _ = n;
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Deals the records out over `n` partitions.
    pub fn repartition<T: Data>(&self, n: usize, input: Step<Rdd<T>>) -> Step<Rdd<T>> {
        input.map(|rdd| rdd.repartition(n))
    }
}
