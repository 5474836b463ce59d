//! How long stages and outputs take, measured only if somebody listens.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use super::{Batch, Missing};
use crate::{
    JobError, Time,
    clock::Stopwatch,
    events::{Bus, OutputCompleted, OutputStarted, StageCompleted},
    plan::StageMeta,
};

/// A stage that runs.
pub(crate) struct StageWatch {
    stopwatch: Stopwatch,
    /// Nanoseconds of all tasks.
    busy: AtomicU64,
    blocks: u64,
    records: AtomicU64,
    /// Whether a block does not know how many records it has.
    uncounted: AtomicBool,
}

/// How many records a stage has read of an operator.
#[derive(Debug)]
pub(crate) struct StageInput {
    pub(crate) pipeline: usize,
    pub(crate) operator: usize,
    pub(crate) records: u64,
}

/// A task that runs; it has ended when this is dropped.
pub(crate) struct TaskWatch<'a> {
    stage: &'a StageWatch,
    stopwatch: Stopwatch,
}

impl StageWatch {
    /// A stage with so many blocks begins.
    pub(crate) fn start(events: &Bus, blocks: usize) -> Option<StageWatch> {
        events.is_listened().then(|| StageWatch {
            stopwatch: Stopwatch::start(),
            busy: AtomicU64::new(0),
            blocks: blocks as u64,
            records: AtomicU64::new(0),
            uncounted: AtomicBool::new(false),
        })
    }

    /// A task has opened blocks with so many records, if that is known.
    pub(crate) fn opened(&self, records: Option<u64>) {
        match records {
            Some(records) => drop(self.records.fetch_add(records, Ordering::Relaxed)),
            None => self.uncounted.store(true, Ordering::Relaxed),
        }
    }

    /// A task begins.
    pub(crate) fn task(&self) -> TaskWatch<'_> {
        TaskWatch { stage: self, stopwatch: Stopwatch::start() }
    }

    /// The stage is done. Returns what it has read, if that is known.
    pub(crate) fn done(
        self,
        events: &Bus,
        batch: Time,
        (pipeline, stage): (usize, &StageMeta),
        tasks: usize,
        error: Option<&JobError>,
    ) -> Option<StageInput> {
        let counted = !self.uncounted.into_inner() && error.is_none();
        let records = counted.then_some(self.records.into_inner());
        events.emit(|| StageCompleted {
            batch,
            pipeline,
            stage: stage.id,
            tasks: tasks as u64,
            blocks: self.blocks,
            records,
            elapsed: self.stopwatch.elapsed(),
            busy: Duration::from_nanos(self.busy.into_inner()),
            error: error.map(JobError::to_string),
        });
        records.map(|records| StageInput { pipeline, operator: stage.root, records })
    }
}

impl Drop for TaskWatch<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.stopwatch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.stage.busy.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// An output that runs.
pub(crate) struct OutputWatch {
    output: String,
    stopwatch: Stopwatch,
}

impl OutputWatch {
    /// An output begins, unless it is not due. `missing` says why it has no input, if it has none.
    pub(crate) fn start(batch: &Batch<'_>, output: &str, missing: Option<&Missing>) -> Option<OutputWatch> {
        (batch.events().is_listened() && !matches!(missing, Some(Missing::NotDue))).then(|| {
            let (at, output) = (batch.now(), output.to_owned());
            batch.events().emit(|| OutputStarted { batch: batch.time(), output: output.clone(), at });
            OutputWatch { output, stopwatch: Stopwatch::start() }
        })
    }

    /// The output is done, or has failed.
    pub(crate) fn done(
        self,
        batch: &Batch<'_>,
        records: Option<u64>,
        attempts: u32,
        missing: Option<&Missing>,
    ) -> OutputCompleted {
        let error = match missing {
            Some(Missing::Failed(error)) => Some(error.to_string()),
            Some(Missing::NotDue) | None => None,
        };
        let elapsed = self.stopwatch.elapsed();
        let (batch_time, output) = (batch.time(), self.output);
        let done = OutputCompleted { batch: batch_time, output, elapsed, records, attempts, error };
        batch.events().emit(|| done.clone());
        done
    }
}
