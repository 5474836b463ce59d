//! `count_by_value`: runs as `reduce_by_key` over `(record, 1)`.

use crate::{DStream, Key};

impl<T: Key> DStream<T> {
    /// How often each record occurs in its batch: pairs of record and `u64` count.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let words = queue_stream(vec![vec!["a", "b", "a"]]);
    ///     words.count_by_value(partitions = 1).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("a".into(), 2), ("b".into(), 1)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn count_by_value(self) -> DStream<(T::Owned, u64)> {
        DStream::typed()
    }
}
