//! `zip_with_index`.

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    rdd::RddOps,
    record::Data,
};

impl<T: Record> DStream<T> {
    /// Each record with its place in the batch, from 0: `(record, u64)`.
    ///
    /// The order is that of the stream: of arrival behind a source, of the keys behind [`sort_by`](DStream::sort_by). Behind
    /// an operator that brings equal keys together it means nothing, but is the same when the batch is run again.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let scores = queue_stream(vec![vec![30, 10, 20]]);
    ///     scores.sort_by(|n| *n).zip_with_index().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [[(10, 0), (20, 1), (30, 2)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn zip_with_index(self) -> DStream<(T::Owned, u64)> {
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Numbers the records.
    pub fn zip_with_index<T: Data>(&self, input: Step<Rdd<T>>) -> Step<Rdd<(T, u64)>> {
        input.map(|rdd| rdd.zip_with_index().evaluate())
    }
}
