//! `zip_with_index`.

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    plan::OpMeta,
    rdd::RddOps,
    record::Data,
};

impl<T: Record> DStream<T> {
    /// Each record with its place in the batch, from 0: `(record, u64)`.
    ///
    /// The order is that of the stream: of arrival behind a source, of the keys behind
    /// [`sort_by`](DStream::sort_by). Behind an operator that brings equal keys together it means nothing,
    /// but is the same when the batch is run again.
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
    pub fn zip_with_index<T: Data>(&self, op: &OpMeta, input: Step<Rdd<T>>) -> Step<Rdd<(T, u64)>> {
        let before = self.numbers_before(op, input.as_ref().map(Rdd::count).map_err(Clone::clone))?;
        let first: u64 = before.into_iter().sum();
        input.map(|rdd| match first {
            0 => rdd.zip_with_index().evaluate(),
            _ => rdd.zip_with_index().map(|(record, index)| (record, first + index)).evaluate(),
        })
    }
}
