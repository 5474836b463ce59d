//! `reduce_by_key_and_window`: runs in [`ReduceByKeyAndWindow`](crate::window::ReduceByKeyAndWindow), with an
//! inverse in [`InverseByKeyAndWindow`](crate::window::InverseByKeyAndWindow).

use std::time::Duration;

use crate::{DStream, Key, Record};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Puts the values that each key had in the last `length` together two by two, oldest first, each time
    /// that `slide` has passed: one pair for each key in the window.
    ///
    /// The forms are `(f, length)`, with a result in every batch, `(f, length, slide)` and `(f, inverse,
    /// length, slide)`. `f` must be associative; `inverse` must take back what it added: `inverse(f(a, b),
    /// a)` is `b`. The results are the same with an inverse and without (up to rounding, for floating-point
    /// numbers). One value is kept for each key and batch, and a slide costs what enters and what leaves, in
    /// both forms; the one with an inverse keeps less and calls its functions less often. The result is not a
    /// copy, unless somebody still holds it in the next slide, or a `filter` hides some of it.
    ///
    /// A key is in the results as long as it has a record in the window, whatever its value is. The durations
    /// are those of [`window`](DStream::window). Options:
    /// * `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key);
    /// * `migrate = |old: Old| ..`, for values, as for [`update_state_by_key`](DStream::update_state_by_key);
    /// * `filter = |k, v| ..`, which hides pairs from the result, and has no effect on later ones.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let (sums, highest) = (Collected::new(), Collected::new());
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let checkpoint = dir.path();
    /// // What has an inverse is carried on, and must survive a restart.
    /// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
    ///     let pairs = queue_stream(vec![vec![("a", 1u64), ("b", 5)], vec![("a", 2)], vec![]]);
    ///     let recent = pairs.reduce_by_key_and_window(|x, y| x + y, |x, y| x - y, 2s, 1s, partitions = 1);
    ///     let largest = pairs.reduce_by_key_and_window(|x, y| x.max(y), 3s, 3s, filter = |k, _| k == "a");
    ///     recent.collect_to(&sums);
    ///     largest.collect_to(&highest);
    /// })?;
    /// ssc.run_batches(4)?;
    /// assert_eq!(sums.values(), [
    ///     vec![("a".into(), 1), ("b".into(), 5)],
    ///     vec![("a".into(), 3), ("b".into(), 5)],
    ///     vec![("a".into(), 2)],
    ///     vec![],
    /// ]);
    /// assert_eq!(highest.values(), [[("a".into(), 2)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn reduce_by_key_and_window(
        self,
        f: impl Fn(V::Owned, V::Owned) -> V::Owned,
        length: Duration,
        slide: Duration,
    ) -> DStream<(K::Owned, V::Owned)> {
        drop((f, length, slide));
        DStream::typed()
    }
}
