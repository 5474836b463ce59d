//! Sinks that are written with async code.

use std::future::Future;

use super::{Begin, Sink, SinkBatch, SinkContext, SinkError};
use crate::{clock::CancellationToken, logs, sink::Partition};

/// A [`Sink`] with async methods, for clients that are async themselves; [`Async`] makes a sink of it. Needs
/// the feature `async`.
///
/// The methods are called as those of `Sink`, in the same order, and promise the same. Their futures run
/// inside a tokio runtime that all outputs of the context share: timers, sockets and `tokio::spawn` work in
/// them. Partitions are written at once, as many as the context has threads. When the context stops and waits
/// no longer, a future is dropped where it awaits, and the batch is left to the next start. `close` alone is
/// waited for: it needs a timeout of its own if it may hang.
///
/// ```
/// use dstream::{prelude::*, sink::{Async, AsyncSink, Partition, SinkBatch, SinkError}};
/// use std::sync::{Arc, Mutex};
///
/// struct Sums(Arc<Mutex<Vec<u64>>>);
///
/// impl AsyncSink<u64> for Sums {
///     type Part = u64;
///
///     async fn write(&self, _: &SinkBatch, partition: Partition<'_, u64>) -> Result<u64, SinkError> {
///         tokio::task::yield_now().await; // A real one sends the records.
///         Ok(partition.iter().sum())
///     }
///
///     async fn commit(&mut self, _: &SinkBatch, parts: Vec<u64>) -> Result<(), SinkError> {
///         self.0.lock().map_err(|_| "a thread has panicked")?.push(parts.iter().sum());
///         Ok(())
///     }
/// }
///
/// let sums = Arc::new(Mutex::new(Vec::new()));
/// let sink = Sums(sums.clone());
/// let ssc = dstream::stream!(batch = 1s, {
///     queue_stream(vec![vec![1u64, 2], vec![3]]).write_to(Async::new(sink));
/// })?;
/// ssc.run_batches(2)?;
/// assert_eq!(*sums.lock().unwrap(), [3, 3]);
/// # Ok::<(), dstream::Error>(())
/// ```
pub trait AsyncSink<T>: Send + Sync {
    /// See [`Sink::Part`].
    type Part: Send;

    /// See [`Sink::open`].
    fn open(&mut self, context: &SinkContext) -> impl Future<Output = Result<(), SinkError>> {
        let _ = context;
        async { Ok(()) }
    }

    /// See [`Sink::begin`].
    fn begin(&mut self, batch: &SinkBatch) -> impl Future<Output = Result<Begin, SinkError>> {
        let _ = batch;
        async { Ok(Begin::Write) }
    }

    /// See [`Sink::write`].
    fn write(
        &self,
        batch: &SinkBatch,
        partition: Partition<'_, T>,
    ) -> impl Future<Output = Result<Self::Part, SinkError>>;

    /// See [`Sink::commit`].
    fn commit(
        &mut self,
        batch: &SinkBatch,
        parts: Vec<Self::Part>,
    ) -> impl Future<Output = Result<(), SinkError>>;

    /// See [`Sink::abort`].
    fn abort(&mut self, batch: &SinkBatch) -> impl Future<Output = ()> {
        let _ = batch;
        async {}
    }

    /// See [`Sink::close`].
    fn close(&mut self) -> impl Future<Output = ()> {
        async {}
    }
}

/// Makes a [`Sink`] of an [`AsyncSink`]: `stream.write_to(Async::new(sink))`.
#[derive(Debug)]
pub struct Async<S> {
    sink: S,
    context: Option<SinkContext>,
}

impl<S> Async<S> {
    /// The sink.
    pub fn new(sink: S) -> Async<S> {
        Async { sink, context: None }
    }
}

impl<T, S: AsyncSink<T>> Sink<T> for Async<S> {
    type Part = S::Part;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.context = Some(context.clone());
        block_on(context, self.sink.open(context))?
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        block_on(batch.context(), self.sink.begin(batch))?
    }

    fn write(&self, batch: &SinkBatch, partition: Partition<'_, T>) -> Result<S::Part, SinkError> {
        block_on(batch.context(), self.sink.write(batch, partition))?
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<S::Part>) -> Result<(), SinkError> {
        block_on(batch.context(), self.sink.commit(batch, parts))?
    }

    fn abort(&mut self, batch: &SinkBatch) {
        if let Err(error) = block_on(batch.context(), self.sink.abort(batch)) {
            logs::warn!("`{}` could not be aborted: {error}", batch.context().output());
        }
    }

    fn close(&mut self) {
        if let Some(context) = &self.context {
            // The context stops: that is why it is closed.
            let outcome = context.inner.runtime.block_on(&CancellationToken::new(), self.sink.close());
            if let Err(error) = outcome {
                logs::warn!("`{}` could not be closed: {error}", context.output());
            }
        }
    }
}

/// Runs a future of an output to its end.
pub(crate) fn block_on<F: Future>(context: &SinkContext, future: F) -> Result<F::Output, SinkError> {
    let outcome = context.inner.runtime.block_on(context.stopping(), future)?;
    outcome.ok_or_else(|| SinkError::transient("it was cancelled, since the context stops"))
}
