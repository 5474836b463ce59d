//! `keys`.

use crate::DStream;

impl<K, V> DStream<(K, V)> {
    /// The key of each pair.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![("a", 1), ("b", 2)]]).keys().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec!["a", "b"]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn keys(self) -> DStream<K> {
        DStream::typed()
    }
}
