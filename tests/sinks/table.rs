//! A database in memory that outlives the programs that write to it, and a transactional sink of it.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dstream::{
    Time,
    sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError},
};

/// The table; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Database(Arc<Mutex<Contents>>);

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) rows: Vec<u64>,
    /// What was written: application, output, time, and how many rows.
    pub(crate) batches: BTreeMap<(String, String, Time), usize>,
    pub(crate) broken: bool,
    /// How often a batch was looked for and found.
    pub(crate) found: u64,
}

impl Database {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rows(&self) -> Vec<u64> {
        self.lock().rows.clone()
    }

    /// A sink with a fault.
    pub(crate) fn sink(&self, fault: Fault) -> Table {
        Table { database: self.clone(), fault, staged: Mutex::default(), context: None }
    }
}

/// What is wrong with a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It does not know what it has written.
    Forgets,
    /// Its rows are there before the commit.
    WritesAtOnce,
    /// It knows a batch by its time alone.
    KnowsTimesOnly,
    /// It takes a batch that is older than the last one for written.
    KnowsTheLastOnly,
    /// An attempt that was aborted is still there in the next.
    KeepsWhatWasAborted,
    /// It says that a lost connection is for good.
    IsNeverTransient,
    /// It looks at a number of partitions.
    LosesTheLastPartition,
    /// It says nothing when the target is broken.
    Swallows,
}

pub(crate) struct Table {
    database: Database,
    fault: Fault,
    /// Rows of an attempt, for the sink that keeps them.
    staged: Mutex<Vec<u64>>,
    context: Option<SinkContext>,
}

impl Table {
    fn key(&self, batch: &SinkBatch) -> Result<(String, String, Time), SinkError> {
        let context = self.context.as_ref().ok_or("the table is not open")?;
        let (application, output) = match self.fault {
            Fault::KnowsTimesOnly => ("", ""),
            _ => (context.application(), context.output()),
        };
        Ok((application.to_owned(), output.to_owned(), batch.time()))
    }
}

impl Sink<u64> for Table {
    type Part = Vec<u64>;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.context = Some(context.clone());
        Ok(())
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let key = self.key(batch)?;
        let mut database = self.database.lock();
        let last = database.batches.keys().map(|(_, _, time)| *time).max();
        let written = match self.fault {
            Fault::Forgets => false,
            Fault::KnowsTheLastOnly => last >= Some(batch.time()),
            // Looked for only where it can be there.
            _ => batch.may_be_written() && database.batches.contains_key(&key),
        };
        database.found += u64::from(written);
        Ok(if written { Begin::AlreadyWritten } else { Begin::Write })
    }

    fn write(&self, batch: &SinkBatch, partition: Partition<'_, u64>) -> Result<Vec<u64>, SinkError> {
        let rows: Vec<u64> = partition.iter().copied().collect();
        match self.fault {
            Fault::WritesAtOnce => self.database.lock().rows.extend(&rows),
            Fault::KeepsWhatWasAborted => {
                self.staged.lock().unwrap_or_else(PoisonError::into_inner).extend(&rows);
            }
            Fault::LosesTheLastPartition if partition.index() + 1 == batch.partitions() => {
                return Ok(Vec::new());
            }
            _ => return Ok(rows),
        }
        Ok(Vec::new())
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Vec<u64>>) -> Result<(), SinkError> {
        let key = self.key(batch)?;
        let mut database = self.database.lock();
        if database.broken {
            let reset = io::Error::from(io::ErrorKind::ConnectionReset);
            return match self.fault {
                Fault::IsNeverTransient => Err(SinkError::permanent(reset)),
                Fault::Swallows => Ok(()),
                _ => Err(reset.into()),
            };
        }
        let mut rows = parts.concat();
        rows.append(self.staged.get_mut().unwrap_or_else(PoisonError::into_inner));
        database.batches.insert(key, rows.len());
        database.rows.append(&mut rows);
        Ok(())
    }
}
