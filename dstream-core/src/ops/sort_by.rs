//! `sort_by`.

use super::top::Ordered;
use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    plan::OpMeta,
    rdd::RddOps,
    record::Portable,
};

impl<T: Record> DStream<T> {
    /// The records of each batch in ascending order of `key`; those with equal keys stay in the order in
    /// which they arrived.
    ///
    /// `std::cmp::Reverse` turns the order around. The largest few are cheaper to have with
    /// [`top`](DStream::top).
    ///
    /// ```
    /// use dstream::prelude::*;
    /// use std::cmp::Reverse;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let counts = queue_stream(vec![vec![("a", 3), ("b", 9), ("c", 1)]]);
    ///     counts.sort_by(|(_, n)| Reverse(*n)).keys().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [["b", "a", "c"]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn sort_by<K: Ord>(self, key: impl Fn(&T::Owned) -> K) -> DStream<T::Owned>
    where
        T::Owned: Portable,
    {
        drop(key);
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Sorts the whole batch.
    pub fn sort_by<T: Portable, K: Ordered>(
        &self,
        op: &OpMeta,
        input: Step<Rdd<T>>,
        key: impl Fn(&T) -> K + Sync,
    ) -> Step<Rdd<T>> {
        let input = match self.others() {
            None => input?,
            // All of it ends at one owner.
            Some(_) => {
                let parts = self.gather(op, input.map(|rdd| rdd.into_vecs()))?;
                Rdd::from_partitions(parts.unwrap_or_default())
            }
        };
        self.guard(std::slice::from_ref(op), || input.sort_by(key))
    }
}
