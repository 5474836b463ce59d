//! `foreach_rdd`.

use std::{error::Error as StdError, fmt::Display};

use crate::{DStream, Error, Rdd, Record, Result, Time};

impl<T: Record> DStream<T> {
    /// Calls `f` with each batch: `|rdd|`, or `|rdd, time|` with the batch's time.
    ///
    /// `f` runs on the driver's thread, one batch at a time, in the order of the batches; it may change what it captured. It returns
    /// nothing, or a `Result`: an `Err` fails this output of the batch, no other, and is what
    /// [`await_termination`](crate::StreamingContext::await_termination) returns.
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
    pub fn foreach_rdd<O: Outcome>(self, f: impl FnMut(Rdd<T::Owned>) -> O) {
        drop(f);
    }
}

/// What the closure of `foreach_rdd` may return: `()`, or a `Result<(), E>` with any error.
#[diagnostic::on_unimplemented(
    message = "an output can't use a `{Self}`",
    label = "must return `()` or `Result<(), E>`",
    note = "end the closure's last statement with `;`, or return `Ok(())`",
    note = "nothing waits for a future here: wait for it in the closure, for example with `runtime.block_on(..)`"
)]
pub trait Outcome {
    /// As a result of this crate.
    fn into_result(self) -> Result<()>;
}

impl Outcome for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<()> {
        self.map_err(|e| {
            let error: Box<dyn StdError + Send + Sync> = e.into();
            Error::Invalid(causes(&*error))
        })
    }
}

/// An error with its causes: `can't insert: connection refused`.
fn causes(error: &(impl StdError + ?Sized)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        append(&mut text, cause);
        source = cause.source();
    }
    text
}

fn append(text: &mut String, cause: &dyn Display) {
    let cause = cause.to_string();
    // Some errors print their causes themselves.
    if !text.ends_with(&cause) {
        text.push_str(": ");
        text.push_str(&cause);
    }
}

/// Emits one batch.
pub fn foreach_rdd<T, O: Outcome>(rdd: &Rdd<T>, time: Time, f: impl FnOnce(Rdd<T>, Time) -> O) -> Result<()> {
    f(rdd.clone(), time).into_result()
}
