//! `write_to`: every batch to a sink of the user's.

use std::sync::Mutex;

use crate::{
    DStream, Data, Rdd, Record, Result,
    ops::StreamOutput,
    sink::{OpenSink, Sink, SinkBatch, SinkError},
    sync::Unpoisoned,
};

impl<T: Record> DStream<T> {
    /// Writes each batch to a [`Sink`], which takes the partitions in parallel and then commits the batch,
    /// once.
    ///
    /// A batch that is run again after a crash is written exactly once, if the sink knows a batch by
    /// application, output and time: see [`sink`](crate::sink), which has a complete one.
    ///
    /// Options: `retry = Retry::new()..`, how an error that may pass is retried, and `on_error =
    /// OnError::..`, what becomes of a batch that can't be written.
    ///
    /// ```
    /// use dstream::{prelude::*, sink::TextFiles};
    ///
    /// let folder = std::env::temp_dir().join(format!("dstream-doc-sink-{}", std::process::id()));
    /// let files = TextFiles::new(folder.join("nums"), "txt");
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1, 2], vec![3]]).write_to(files, on_error = OnError::Skip);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(std::fs::read_dir(&folder).map(Iterator::count).ok(), Some(2));
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn write_to(self, sink: impl Sink<T::Owned> + 'static) -> StreamOutput {
        drop(sink);
        StreamOutput::typed()
    }
}

/// The output `write_to`.
#[derive(Debug)]
pub struct WriteTo<S>(Mutex<OpenSink<S>>);

impl<S> WriteTo<S> {
    /// Writes to `sink`.
    pub fn new(sink: S) -> Self {
        WriteTo(Mutex::new(OpenSink::new(sink)))
    }

    /// The batch as records for this sink. Apart from [`emit`](ToSink::emit), so that the type of the records
    /// is known by the stream before the compiler asks whether it is a sink of them: else it would take the
    /// sink's type for the stream's.
    pub fn of<'a, T>(&'a self, rdd: &'a Rdd<T>) -> ToSink<'a, S, T> {
        ToSink { sink: &self.0, rdd }
    }
}

/// A batch and the sink that it goes to.
#[derive(Debug)]
pub struct ToSink<'a, S, T> {
    sink: &'a Mutex<OpenSink<S>>,
    rdd: &'a Rdd<T>,
}

impl<S, T> ToSink<'_, S, T> {
    /// Emits one batch.
    pub fn emit(self, batch: &SinkBatch) -> Result<(), SinkError>
    where
        S: Sink<T>,
        T: Data,
    {
        // A sink that has panicked was aborted, and takes the next batch.
        self.sink.lock().unpoisoned().write(self.rdd, batch)
    }
}
