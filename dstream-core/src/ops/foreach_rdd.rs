//! `foreach_rdd`.

use crate::{
    DStream, Rdd, Record, Result, Time,
    ops::StreamOutput,
    sealed::Sealed,
    sink::{SinkBatch, SinkError},
};

impl<T: Record> DStream<T> {
    /// Calls `f` with each batch: `|rdd|`, or `|rdd, time|` with the batch's time.
    ///
    /// `f` runs on the driver's thread, one batch at a time, in the order of the batches; it may change what
    /// it captured. It returns nothing, or a `Result` with any error, so that it can use `?`. An error that
    /// [may pass](SinkError) is retried: `f` is called with the same batch again. Any other `Err` fails this
    /// output of the batch, no other, and is what
    /// [`await_termination`](crate::StreamingContext::await_termination) returns.
    ///
    /// Options `retry` and `on_error`: see [`sink`](crate::sink).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let mut total = 0;
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![1u64, 2], vec![3]]);
    ///     nums.foreach_rdd(|rdd, time| {
    ///         total += rdd.iter().sum::<u64>();
    ///         println!("{time}: {total} so far");
    ///     });
    /// })?;
    /// ssc.run_batches(2)?;
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn foreach_rdd<O: Outcome>(self, f: impl FnMut(Rdd<T::Owned>) -> O) -> StreamOutput {
        drop(f);
        StreamOutput::typed()
    }
}

/// What the closure of `foreach_rdd` may return: `()`, or a `Result<(), E>` with any error.
#[diagnostic::on_unimplemented(
    message = "an output can't use a `{Self}`",
    label = "must return `()` or `Result<(), E>`",
    note = "end the closure's last statement with `;`, or return `Ok(())`",
    note = "nothing waits for a future here: `foreach_rdd_async` does, or wait for it in the closure, for example with `runtime.block_on(..)`"
)]
pub trait Outcome: Sealed {
    /// As the result of an output.
    fn into_result(self) -> Result<(), SinkError>;
}

impl Sealed for () {}

impl Outcome for () {
    fn into_result(self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl<T, E> Sealed for Result<T, E> {}

impl<E: Into<SinkError>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), SinkError> {
        self.map_err(E::into)
    }
}

/// Emits one batch.
pub fn foreach_rdd<T, O: Outcome>(
    rdd: &Rdd<T>,
    batch: &SinkBatch,
    f: impl FnOnce(Rdd<T>, Time) -> O,
) -> Result<(), SinkError> {
    f(rdd.clone(), batch.time()).into_result()
}
