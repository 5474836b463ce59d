//! `foreach_rdd_async`.

use crate::{
    DStream, Rdd, Record, Result, Time,
    ops::{Outcome, StreamOutput},
    sink::{SinkBatch, SinkError},
};

impl<T: Record> DStream<T> {
    /// Calls the async closure `f` with each batch and waits: `async |rdd|`, or `async |rdd, time|` with the
    /// batch's time.
    ///
    /// Needs the feature `async`. As [`foreach_rdd`](DStream::foreach_rdd), with `.await` inside: it runs in
    /// a tokio runtime that all outputs of the context share, so timers, sockets and `tokio::spawn` work in
    /// it, and the batch is done when it is. Its value is `()` or a `Result` with any error; after one that
    /// [may pass](SinkError), `f` is called with the same batch again. When the context stops and waits no
    /// longer, it is dropped where it awaits, and the batch is left to the next start.
    ///
    #[cfg_attr(feature = "async", doc = "```")]
    #[cfg_attr(not(feature = "async"), doc = "```ignore")]
    /// use dstream::prelude::*;
    /// use std::{sync::{Arc, Mutex}, time::Duration};
    ///
    /// let database = Arc::new(Mutex::new(Vec::new()));
    /// let sums = database.clone();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![1u64, 2], vec![3]]);
    ///     nums.foreach_rdd_async(async |rdd| -> Result<(), String> {
    ///         let sum = rdd.iter().sum::<u64>();
    ///         tokio::time::sleep(Duration::from_millis(1)).await; // A real one sends it.
    ///         sums.lock().map_err(|_| "a thread has panicked")?.push(sum);
    ///         Ok(())
    ///     });
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(*database.lock().unwrap(), [3, 3]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    ///
    /// A closure that returns a future does as well: `|rdd| async move { .. }`. What such a block
    /// captures it takes away, so clone that before the block: the closure is called for every batch.
    ///
    /// Options `retry` and `on_error`: see [`sink`](crate::sink).
    pub fn foreach_rdd_async<O: Outcome>(self, f: impl AsyncFnMut(Rdd<T::Owned>) -> O) -> StreamOutput {
        drop(f);
        StreamOutput::typed()
    }
}

/// Emits one batch. Not by `AsyncFnOnce`, which would not tell a closure that is not `async` the type of its
/// argument.
#[cfg(feature = "async")]
pub fn foreach_rdd_async<T, F: Future<Output: Outcome>>(
    rdd: &Rdd<T>,
    batch: &SinkBatch,
    f: impl FnOnce(Rdd<T>) -> F,
) -> Result<(), SinkError> {
    crate::sink::block_on(batch.context(), f(rdd.clone()))?.into_result()
}

/// Emits one batch, with its time.
#[cfg(feature = "async")]
pub fn foreach_rdd_async_timed<T, F: Future<Output: Outcome>>(
    rdd: &Rdd<T>,
    batch: &SinkBatch,
    f: impl FnOnce(Rdd<T>, Time) -> F,
) -> Result<(), SinkError> {
    crate::sink::block_on(batch.context(), f(rdd.clone(), batch.time()))?.into_result()
}

/// Implemented by nothing: says what to do.
#[cfg(not(feature = "async"))]
#[diagnostic::on_unimplemented(
    message = "`foreach_rdd_async` needs the feature `async` of dstream",
    label = "there is no async runtime in this build",
    note = "in Cargo.toml: `dstream = {{ version = \"..\", features = [\"async\"] }}`"
)]
pub trait AsyncFeature {}

/// Emits nothing: without the feature it can't be called.
#[cfg(not(feature = "async"))]
pub fn foreach_rdd_async<T: AsyncFeature, F: Future<Output: Outcome>>(
    _: &Rdd<T>,
    _: &SinkBatch,
    _: impl FnOnce(Rdd<T>) -> F,
) -> Result<(), SinkError> {
    Ok(())
}

/// As [`foreach_rdd_async`].
#[cfg(not(feature = "async"))]
pub fn foreach_rdd_async_timed<T: AsyncFeature, F: Future<Output: Outcome>>(
    _: &Rdd<T>,
    _: &SinkBatch,
    _: impl FnOnce(Rdd<T>, Time) -> F,
) -> Result<(), SinkError> {
    Ok(())
}
