//! `repartition`.

use crate::{
    DStream, Rdd, Record,
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
        let input = input?;
        let each = usize::try_from(input.count()).unwrap_or(0).div_ceil(n.max(1));
        let mut parts: Vec<Vec<T>> = (0..n.max(1)).map(|_| Vec::with_capacity(each)).collect();
        for (at, record) in input.into_vecs().into_iter().flatten().enumerate() {
            parts[at % n.max(1)].push(record);
        }
        Ok(Rdd::from_partitions(parts))
    }
}
