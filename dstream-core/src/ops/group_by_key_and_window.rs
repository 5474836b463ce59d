//! `group_by_key_and_window`: runs in [`GroupByKeyAndWindow`](crate::window::GroupByKeyAndWindow).

use std::time::Duration;

use crate::{DStream, Key, Record};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// All values that each key had in the last `length`, oldest first, each time that `slide` has passed:
    /// pairs of key and `Vec`. A slide costs what enters and what leaves; a value is kept twice, with its
    /// batch and with its key.
    ///
    /// The durations are those of [`window`](DStream::window). Option `partitions = n`, as for
    /// [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1)], vec![("a", 2), ("a", 3)]]);
    ///     pairs.group_by_key_and_window(2s, 1s).collect_to(&out);
    /// })?;
    /// ssc.run_batches(3)?;
    /// assert_eq!(out.values(),
    ///     [[("a".into(), vec![1])], [("a".into(), vec![1, 2, 3])], [("a".into(), vec![2, 3])]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn group_by_key_and_window(
        self,
        length: Duration,
        slide: Duration,
    ) -> DStream<(K::Owned, Vec<V::Owned>)> {
        let _ = (length, slide);
        DStream::typed()
    }
}
