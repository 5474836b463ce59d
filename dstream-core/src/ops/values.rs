//! `values`.

use crate::DStream;

impl<K, V> DStream<(K, V)> {
    /// The value of each pair.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![("a", 1), ("b", 2)]]).values().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![1, 2]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn values(self) -> DStream<V> {
        DStream::typed()
    }
}
