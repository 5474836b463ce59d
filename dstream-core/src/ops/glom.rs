//! `glom`.

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    record::Data,
};

impl<T: Record> DStream<T> {
    /// Each partition as one record: a `Vec` of its records.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1, 2, 3, 4]]).repartition(2).glom().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![vec![1, 3], vec![2, 4]]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn glom(self) -> DStream<Vec<T::Owned>> {
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Makes each partition one record.
    pub fn glom<T: Data>(&self, input: Step<Rdd<T>>) -> Step<Rdd<Vec<T>>> {
        Ok(Rdd::from_partitions(input?.into_vecs().into_iter().map(|part| vec![part])))
    }
}
