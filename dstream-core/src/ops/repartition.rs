//! `repartition`.

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    plan::OpMeta,
    rdd::{RddOps, dealt, starts},
    record::Portable,
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
    pub fn repartition(self, n: usize) -> DStream<T::Owned>
    where
        T::Owned: Portable,
    {
        let _ = n;
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Deals the records out over `n` partitions, whichever process they are in.
    pub fn repartition<T: Portable>(&self, op: &OpMeta, n: usize, input: Step<Rdd<T>>) -> Step<Rdd<T>> {
        if self.others().is_none() {
            return input.map(|rdd| rdd.repartition(n));
        }
        let before = self.numbers_before(op, input.as_ref().map(Rdd::count).map_err(Clone::clone));
        // Also if it failed: the others wait for the second exchange.
        let tasks = input.and_then(|rdd| {
            let first = before?.iter().sum::<u64>() as usize;
            let starts = starts(&rdd).into_iter().map(|start| first + start);
            Ok(dealt(rdd.into_parts().into_iter().zip(starts).collect(), n))
        });
        let columns = self.exchange(op, n, tasks)?;
        Ok(Rdd::from_partitions(columns.into_iter().map(|column| column.into_iter().flatten().collect())))
    }
}
