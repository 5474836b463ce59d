//! `cache` and `persist`: known from the original, not needed here.

use crate::DStream;

impl<T> DStream<T> {
    /// Does nothing, and the compiler says so: a stream with several consumers is computed once a batch.
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1]]).cache().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![1]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn cache(self) -> DStream<T> {
        self
    }

    /// Does nothing, as [`cache`](DStream::cache).
    ///
    /// ```
    /// # #![allow(deprecated)]
    /// use dstream::prelude::*;
    ///
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1]]).persist().print();
    /// })?;
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn persist(self) -> DStream<T> {
        self
    }
}

/// The warning at a call of `cache` or `persist`.
#[deprecated(note = "a stream with several consumers is computed once a batch: remove this call")]
pub fn not_needed() {}
