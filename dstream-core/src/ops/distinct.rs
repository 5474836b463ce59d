//! `distinct`: runs as `reduce_by_key` over `(record, ())`.

use std::sync::Arc;

use crate::{
    DStream, Data, Key, Rdd,
    batch::{Batch, Step},
    exec::run,
    table::{Entry, FEW, Partials},
};

impl<T: Key> DStream<T> {
    /// Each record of the batch once, however often it occurs, in no order that means anything.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let words = queue_stream(vec![vec!["to", "be", "or", "not", "to", "be"]]);
    ///     words.distinct().count().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [[4]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn distinct(self) -> DStream<T::Owned> {
        DStream::typed()
    }
}

impl Batch<'_> {
    /// The keys alone: a partition a bucket.
    pub fn distinct<K: Key<Owned = K> + Data>(&self, partials: Step<Partials<K, ()>>) -> Step<Rdd<K>> {
        let partials = partials?;
        let small = partials.len() < FEW;
        let keys = run(partials.into_shared(), small, |bucket| -> Vec<K> {
            let entries = Arc::unwrap_or_clone(bucket).into_entries();
            entries.filter_map(Entry::into_pair).map(|(key, ())| key).collect()
        });
        Ok(Rdd::from_partitions(keys))
    }
}
