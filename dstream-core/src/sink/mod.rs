//! Where batches go: sinks, what happens when one fails, and how an output is written exactly once.
//!
//! A [`Sink`] takes the batches of one output. [`write_to`](crate::DStream::write_to) writes a stream to one;
//! `save_as_text_files`, `save_as_object_files` and `save_as_hadoop_files` are the sinks [`TextFiles`],
//! [`ObjectFiles`] and [`HadoopFiles`] under names of their own. Whatever the output, it takes two options:
//!
//! * `retry = Retry::new()..` says how often and how long a [transient](SinkError) error is retried.
//!   Meanwhile batches wait, and receivers fill their bounded buffers and then slow their producers down.
//! * `on_error = OnError::..` says what becomes of a batch that can't be written: it fails, is skipped, or
//!   goes to a sink of dead letters.
//!
//! With the feature `async`, a client that is async itself is used in an `AsyncSink`, or in
//! [`foreach_rdd_async`](crate::DStream::foreach_rdd_async).
//!
//! # Exactly once
//!
//! With a checkpoint, a batch that a crash has interrupted is run again, with the same records in the same
//! partitions. A sink writes each batch once if it records, in the same transaction as the records, that the
//! batch of this ([application](SinkContext::application), [output](SinkContext::output),
//! [time](SinkBatch::time)) is written, and answers [`Begin::AlreadyWritten`] when it finds that record; or
//! if it puts what it writes under a name made of them, and replaces what stands there.
//! [`testing::check_sink`](crate::testing::check_sink) tests a sink for this.
//!
//! ```
//! use dstream::{prelude::*, sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError}};
//! use std::{collections::BTreeSet, sync::{Arc, Mutex}};
//!
//! /// A database in memory: a table, and the batches that are in it.
//! #[derive(Clone, Default)]
//! struct Database(Arc<Mutex<(Vec<u64>, BTreeSet<(String, String, u64)>)>>);
//!
//! struct Table {
//!     database: Database,
//!     context: Option<SinkContext>,
//! }
//!
//! impl Table {
//!     /// What the database knows a batch by.
//!     fn key(&self, batch: &SinkBatch) -> Result<(String, String, u64), SinkError> {
//!         let context = self.context.as_ref().ok_or("the table is not open")?;
//!         Ok((context.application().into(), context.output().into(), batch.time().as_millis()))
//!     }
//! }
//!
//! impl Sink<u64> for Table {
//!     type Part = Vec<u64>;
//!
//!     fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
//!         self.context = Some(context.clone()); // A real one connects here.
//!         Ok(())
//!     }
//!
//!     fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
//!         let database = self.database.0.lock().map_err(|_| "the database is damaged")?;
//!         // The query is saved where the batch can't be there yet.
//!         let written = batch.may_be_written() && database.1.contains(&self.key(batch)?);
//!         Ok(if written { Begin::AlreadyWritten } else { Begin::Write })
//!     }
//!
//!     /// On several threads at once: a real one would upload the rows to a staging table.
//!     fn write(&self, _batch: &SinkBatch, partition: Partition<'_, u64>) -> Result<Vec<u64>, SinkError> {
//!         Ok(partition.iter().copied().collect())
//!     }
//!
//!     /// One transaction: the rows, and that the batch is there.
//!     fn commit(&mut self, batch: &SinkBatch, parts: Vec<Vec<u64>>) -> Result<(), SinkError> {
//!         let key = self.key(batch)?;
//!         let mut database = self.database.0.lock().map_err(|_| "the database is damaged")?;
//!         database.0.extend(parts.into_iter().flatten());
//!         database.1.insert(key);
//!         Ok(())
//!     }
//! }
//!
//! let database = Database::default();
//! let table = Table { database: database.clone(), context: None };
//! let ssc = dstream::stream!(batch = 1s, name = "shop", {
//!     queue_stream(vec![vec![1u64, 2], vec![3]]).map(|n| n * 10)
//!         .write_to(table, retry = Retry::new().attempts(5));
//! })?;
//! ssc.run_batches(2)?;
//! assert_eq!(database.0.lock().map(|database| database.0.clone()).ok(), Some(vec![10, 20, 30]));
//! # Ok::<(), dstream::Error>(())
//! ```

#[cfg(feature = "async")]
mod async_sink;
pub(crate) mod check;
mod error;
mod files;
pub(crate) mod gathered;
mod on_error;
pub(crate) mod policy;
mod retry;
mod write;

use std::{fmt, sync::Arc};

pub use crate::rdd::Partition;
#[cfg(feature = "async")]
pub(crate) use async_sink::block_on;
#[cfg(feature = "async")]
pub use async_sink::{Async, AsyncSink};
pub use error::{SinkError, Transient};
pub use files::{BatchFolders, HadoopFiles, ObjectFiles, TextFiles};
pub use on_error::OnError;
pub use retry::Retry;
pub(crate) use write::OpenSink;
pub(crate) use write::write_batch;

use crate::{
    Time,
    async_runtime::AsyncRuntime,
    clock::{CancellationToken, Clock},
};

/// Something that batches of records of type `T` are written to. The [module](self) has a complete example.
///
/// What is called, and in which order:
///
/// 1. [`open`](Sink::open), once, before the first batch. If it fails with a transient error it is called
///    again.
/// 2. For each batch [`begin`](Sink::begin); then [`write`](Sink::write) for each of its partitions, on
///    several threads at once and in any order; then [`commit`](Sink::commit), once. An empty batch may have
///    empty partitions, or none.
/// 3. If one of these fails or panics, [`abort`](Sink::abort). After a transient error the batch then begins
///    anew, with the same records and another [attempt](SinkBatch::attempt).
/// 4. [`close`](Sink::close), once, when the context ends.
///
/// What a reader sees of a batch should appear whole, in `commit`. A panic fails the output, as any other
/// error that is not transient; the context goes on. Batches come in the order of their times, but after a
/// restart the first ones may be older than the last one written: a batch that failed is run again, and with
/// it all that came after it.
#[diagnostic::on_unimplemented(
    message = "records of type `{T}` can't be written to a `{Self}`",
    label = "is no `Sink<{T}>`",
    note = "map the records to a type that it takes, or implement `dstream::sink::Sink<{T}>` for it"
)]
pub trait Sink<T>: Send + Sync {
    /// What writing a partition leaves for the commit: the rows, a file's name, how many bytes there were.
    type Part: Send;

    /// Prepares the sink: connects, creates a table. What it needs later of the context it keeps; clones are
    /// cheap.
    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        let _ = context;
        Ok(())
    }

    /// Begins a batch, or says that there is nothing to do for it. A connection that was lost is made anew
    /// here.
    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let _ = batch;
        Ok(Begin::Write)
    }

    /// Writes one partition where no reader sees it yet.
    fn write(&self, batch: &SinkBatch, partition: Partition<'_, T>) -> Result<Self::Part, SinkError>;

    /// Makes the batch visible, whole. `parts` are what the partitions have left, in their order.
    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Self::Part>) -> Result<(), SinkError>;

    /// Removes what an attempt that failed has left. It may also have failed in the middle of a commit.
    fn abort(&mut self, batch: &SinkBatch) {
        let _ = batch;
    }

    /// The context ends: no batch will follow. After a crash nothing is closed.
    fn close(&mut self) {}
}

/// What a sink does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Its partitions are written, and it is committed.
    Write,
    /// Neither: it was written before, or there is nothing to write.
    AlreadyWritten,
}

/// What a sink is opened with.
#[derive(Clone)]
pub struct SinkContext {
    inner: Arc<Inner>,
}

struct Inner {
    application: String,
    output: String,
    default_partitions: usize,
    clock: Arc<dyn Clock>,
    stopping: CancellationToken,
    /// Where async outputs run.
    runtime: Arc<AsyncRuntime>,
}

impl SinkContext {
    /// The name of the application: the setting `name`.
    pub fn application(&self) -> &str {
        &self.inner.application
    }

    /// The full name of the output, which stays the same when the program is restarted.
    pub fn output(&self) -> &str {
        &self.inner.output
    }

    /// How many partitions a shuffle has by default, for pools of connections and the like. How many a batch
    /// has, the [batch](SinkBatch::partitions) says.
    pub fn default_partitions(&self) -> usize {
        self.inner.default_partitions
    }

    /// The clock of the context: a sink that waits takes its time from it, so that a test can step it.
    pub fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    /// Is set when nobody waits for batches any more: an immediate stop, or a graceful one whose limit has
    /// passed. A sink that waits should then give up.
    pub fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// The same for another output.
    fn named(&self, output: String) -> SinkContext {
        let Inner { application, default_partitions, clock, stopping, runtime, .. } = &*self.inner;
        SinkContext {
            inner: Arc::new(Inner {
                application: application.clone(),
                output,
                default_partitions: *default_partitions,
                clock: Arc::clone(clock),
                stopping: stopping.clone(),
                runtime: Arc::clone(runtime),
            }),
        }
    }
}

impl fmt::Debug for SinkContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkContext")
            .field("application", &self.application())
            .field("output", &self.output())
            .finish_non_exhaustive()
    }
}

/// One attempt to write one batch.
#[derive(Clone, Debug)]
pub struct SinkBatch {
    context: SinkContext,
    time: Time,
    attempt: u32,
    partitions: usize,
    records: usize,
    may_be_written: bool,
    rerun_from: Time,
}

impl SinkBatch {
    /// What the sink was opened with.
    pub fn context(&self) -> &SinkContext {
        &self.context
    }

    /// The time of the batch. No two batches of an application have the same, and a batch that is run again
    /// keeps it.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Which attempt in this process it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How many partitions the batch has; 0 is possible.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// How many records the batch has.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether the batch may have been written before, in whole or in part: by an earlier attempt, or by a
    /// process that crashed or whose checkpoint stayed before a batch that failed. If it is `false`, a sink
    /// need not look for what it has written.
    pub fn may_be_written(&self) -> bool {
        self.may_be_written
    }

    /// The oldest batch that this process, or one that goes on from the checkpoint, may run again. What a
    /// sink has recorded of older batches it can forget. It stays where it is behind a batch that failed, and
    /// without a checkpoint it is the batch itself.
    pub fn rerun_from(&self) -> Time {
        self.rerun_from
    }
}
