//! What becomes of a batch that an output can't write.

use std::fmt;

use super::{OpenSink, Sink, SinkBatch, SinkError};
use crate::{Data, Rdd};

/// What becomes of a batch that an output can't write: the option `on_error` of every output.
///
/// It decides when an error is permanent, when the [attempts](crate::sink::Retry) are used up, and when the
/// output panics. It does not when an operator above the output has failed, or when a stop ends the attempts:
/// then there is nothing to write, or the batch is left to the next start.
///
/// ```
/// use dstream::{prelude::*, sink::{OnError, TextFiles}};
///
/// let folder = std::env::temp_dir().join(format!("dstream-doc-dead-{}", std::process::id()));
/// let dead = TextFiles::new(folder.join("dead"), "txt");
/// let ssc = dstream::stream!(batch = 1s, {
///     let nums = queue_stream(vec![vec![1u64, 2]]);
///     nums.foreach_rdd(|_rdd| Err("no such table"), on_error = OnError::dead_letters(dead));
///     nums.foreach_rdd(|_rdd| Err("no such table"), on_error = OnError::Skip);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(std::fs::read_dir(&folder).map(Iterator::count).ok(), Some(1));
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok::<(), dstream::Error>(())
/// ```
#[non_exhaustive]
pub enum OnError<T> {
    /// The output fails in this batch; the checkpoint, if there is one, stays before the batch, which a
    /// restart runs again. The default.
    Fail,
    /// The batch is given up, as far as this output goes. That is logged, with the number of batches that
    /// were skipped so far, each time this number has doubled. For the checkpoint the batch counts as done: a
    /// restart does not write it again.
    Skip,
    /// The batch goes to another sink; see [`dead_letters`](OnError::dead_letters).
    DeadLetters(DeadLetters<T>),
}

impl<T: Data> OnError<T> {
    /// The batch goes to another sink of the same records, with all that
    /// [`write_to`](crate::DStream::write_to) does for one: it is retried by the same policy, and if it can't
    /// be written there either, the output fails.
    ///
    /// Written there, the batch counts as done for the checkpoint. That sink's output is called
    /// `NAME.dead_letters`, where `NAME` is that of the output.
    pub fn dead_letters(sink: impl Sink<T> + 'static) -> OnError<T> {
        OnError::DeadLetters(DeadLetters(Box::new(OpenSink::new(sink))))
    }
}

impl<T> fmt::Debug for OnError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OnError::Fail => "Fail",
            OnError::Skip => "Skip",
            OnError::DeadLetters(_) => "DeadLetters",
        })
    }
}

/// A sink of batches that could not be written elsewhere.
pub struct DeadLetters<T>(Box<dyn AnySink<T>>);

impl<T> DeadLetters<T> {
    pub(super) fn write(&mut self, rdd: &Rdd<T>, batch: &SinkBatch) -> Result<(), SinkError> {
        self.0.write(rdd, batch)
    }
}

impl<T> fmt::Debug for DeadLetters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadLetters")
    }
}

/// A sink of whatever type, called once a batch.
trait AnySink<T>: Send {
    fn write(&mut self, rdd: &Rdd<T>, batch: &SinkBatch) -> Result<(), SinkError>;
}

impl<T: Data, S: Sink<T>> AnySink<T> for OpenSink<S> {
    fn write(&mut self, rdd: &Rdd<T>, batch: &SinkBatch) -> Result<(), SinkError> {
        OpenSink::write(self, rdd, batch)
    }
}
