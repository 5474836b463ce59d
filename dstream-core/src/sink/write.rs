//! How a batch goes to a sink.

use std::panic;

use super::{Begin, Sink, SinkBatch, SinkError};
use crate::{Data, Rdd, Result, panics::catch, rdd::run_items, sink::Partition};

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
                // The first in the order of the partitions; but a permanent one, if there is any, since it
                // would come again.
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
                crate::logs::warn!(
                    "`{}` panicked when it was aborted after a panic",
                    batch.context().output()
                );
            }
            panic::resume_unwind(caught.rethrow())
        }
    }
}

/// A sink that is opened before its first batch, and closed when it is dropped.
pub(crate) struct OpenSink<S> {
    sink: S,
    /// How it is closed, when it is open: only a batch says as a sink of what records.
    close: Option<fn(&mut S)>,
}

impl<S> OpenSink<S> {
    /// Not open yet.
    pub(crate) fn new(sink: S) -> Self {
        OpenSink { sink, close: None }
    }

    /// Writes one batch.
    pub(crate) fn write<T: Data>(&mut self, rdd: &Rdd<T>, batch: &SinkBatch) -> Result<(), SinkError>
    where
        S: Sink<T>,
    {
        if self.close.is_none() {
            self.sink.open(batch.context())?;
            self.close = Some(S::close);
        }
        write_batch(&mut self.sink, rdd, batch)
    }
}

impl<S> Drop for OpenSink<S> {
    fn drop(&mut self) {
        if let Some(close) = self.close
            && catch(|| close(&mut self.sink)).is_err()
        {
            crate::logs::warn!("a sink panicked when it was closed");
        }
    }
}

impl<S> std::fmt::Debug for OpenSink<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenSink").field("open", &self.close.is_some()).finish_non_exhaustive()
    }
}
