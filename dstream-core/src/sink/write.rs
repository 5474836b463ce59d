//! How a batch goes to a sink.

use std::{marker::PhantomData, panic};

use super::{Begin, Sink, SinkBatch, SinkError};
use crate::{Data, Partition, Rdd, Result, batch::catch, rdd::run_items};

/// Writes one batch, and aborts it if that fails.
pub(crate) fn write_batch<T: Data, S: Sink<T>>(
    sink: &mut S,
    rdd: &Rdd<T>,
    batch: &SinkBatch,
) -> Result<(), SinkError> {
    let written = catch(|| {
        if sink.begin(batch)? == Begin::AlreadyWritten {
            return Ok(());
        }
        let partitions: Vec<_> = rdd.partitions().enumerate().collect();
        let writer = &*sink;
        let outcomes = run_items(partitions, false, |(index, records)| {
            writer.write(batch, Partition::new(index, records))
        });
        let mut parts = Vec::with_capacity(outcomes.len());
        let mut failed: Option<SinkError> = None;
        for outcome in outcomes {
            match outcome {
                Ok(part) => parts.push(part),
                // The first in the order of the partitions; but a permanent one, if there is any, since it would come again.
                Err(error) => match &failed {
                    Some(first) if error.is_transient() || !first.is_transient() => {}
                    _ => failed = Some(error),
                },
            }
        }
        match failed {
            Some(error) => Err(error),
            None => sink.commit(batch, parts),
        }
    });
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            sink.abort(batch);
            Err(error)
        }
        Err(caught) => {
            if catch(|| sink.abort(batch)).is_err() {
                tracing::warn!("`{}` panicked when it was aborted after a panic", batch.context().output());
            }
            panic::resume_unwind(caught.rethrow())
        }
    }
}

/// A sink that is opened before its first batch, and closed when it is dropped.
pub struct OpenSink<T, S: Sink<T>> {
    sink: S,
    open: bool,
    records: PhantomData<fn(T)>,
}

impl<T, S: Sink<T>> OpenSink<T, S> {
    /// Not open yet.
    pub fn new(sink: S) -> Self {
        OpenSink { sink, open: false, records: PhantomData }
    }

    /// Writes one batch.
    pub fn write(&mut self, rdd: &Rdd<T>, batch: &SinkBatch) -> Result<(), SinkError>
    where
        T: Data,
    {
        if !self.open {
            self.sink.open(batch.context())?;
            self.open = true;
        }
        write_batch(&mut self.sink, rdd, batch)
    }
}

impl<T, S: Sink<T>> Drop for OpenSink<T, S> {
    fn drop(&mut self) {
        if self.open && catch(|| self.sink.close()).is_err() {
            tracing::warn!("a sink panicked when it was closed");
        }
    }
}

impl<T, S: Sink<T>> std::fmt::Debug for OpenSink<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenSink").field("open", &self.open).finish_non_exhaustive()
    }
}
