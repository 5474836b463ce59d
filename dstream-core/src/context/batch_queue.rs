//! The queue of planned batches, and the driver thread that runs them in order.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use super::{behind::Behind, inner::ContextInner, planners::Planners, regulator::Regulator};
use crate::{
    Error, JobError, Result, Time,
    batch::{Batch, Pipeline},
    clock::CancellationToken,
    logs::Span,
    ops::is_output_closed,
    panics::panic_text,
    sync::Unpoisoned,
};

/// The queue of batches that are planned and have not begun.
#[derive(Default)]
pub(super) struct BatchQueue {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Cancelled when no batch is waited for any more.
    pub(super) abandoned: CancellationToken,
    /// Cancelled when no further batch is planned, and woken whenever one is taken.
    pub(super) planning: CancellationToken,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Time>,
    /// The batches that were dropped by a stop.
    dropped: Vec<Time>,
    /// No further batch will come.
    closed: bool,
    /// The last batch has ended.
    done: bool,
}

impl BatchQueue {
    /// Adds a batch; once the queue is closed it is dropped.
    pub(super) fn push(&self, time: Time) {
        let mut queue = self.lock();
        if !queue.closed {
            queue.waiting.push_back(time);
            self.changed.notify_all();
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Drops the batches that have not begun, and cancels all waits of the running one.
    pub(super) fn abandon(&self) {
        let mut queue = self.lock();
        let waiting = std::mem::take(&mut queue.waiting);
        queue.dropped.extend(waiting);
        queue.closed = true;
        self.changed.notify_all();
        self.abandoned.cancel();
    }

    /// The batches that were dropped.
    pub(super) fn dropped(&self) -> Vec<Time> {
        self.lock().dropped.clone()
    }

    /// Waits until the last batch has ended; returns whether it has.
    pub(super) fn wait_done(&self, timeout: Duration) -> bool {
        let (queue, _) =
            self.changed.wait_timeout_while(self.lock(), timeout, |queue| !queue.done).unpoisoned();
        queue.done
    }

    /// The next batch; `None` when there will be no more.
    fn next(&self) -> Option<Time> {
        let mut queue = self
            .changed
            .wait_while(self.lock(), |queue| queue.waiting.is_empty() && !queue.closed)
            .unpoisoned();
        let next = queue.waiting.pop_front();
        drop(queue);
        self.planning.wake();
        next
    }

    /// How many batches wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unpoisoned()
    }
}

/// Sets `done`, also if the driver panics, so that a stop never waits in vain.
pub(super) struct DoneOnDrop<'a>(pub(super) &'a BatchQueue);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lock().done = true;
        self.0.changed.notify_all();
    }
}

/// Starts the driver, which runs inside the pool until the queue is closed and empty.
pub(super) fn spawn(
    inner: &Arc<ContextInner>,
    queue: &Arc<BatchQueue>,
    planners: &Arc<Planners>,
    regulator: &Arc<Regulator>,
    pipelines: Vec<Pipeline>,
) -> Result<()> {
    let (inner, queue, planners) = (Arc::clone(inner), Arc::clone(queue), Arc::clone(planners));
    let regulator = Arc::clone(regulator);
    let threads = inner.config.runtime.clone();
    threads
        .spawn("dstream-driver", move || {
            let _done = DoneOnDrop(&queue);
            let mut behind = Behind::new(inner.interval);
            inner.exec.enter(|| {
                // Dropped in here: sinks are closed before the last batch counts as done.
                let mut pipelines = pipelines;
                while let Some(time) = queue.next() {
                    if !planners.wait_planned(time, &queue) {
                        break;
                    }
                    let begun = inner.config.clock.now();
                    regulator.begun(time, begun, planners.planned_records(time));
                    let outcome = begin(&inner, time).and_then(|()| run_batch(&inner, &mut pipelines, time));
                    let now = inner.config.clock.now();
                    regulator.done(time, now);
                    if let Some(standing) = behind.batch_ended(time, now) {
                        let waiting = queue.waiting();
                        behind.log(standing, time, now.since(begun), waiting);
                        inner.watch.standing(standing, time, waiting);
                    }
                    let Err(error) = outcome else {
                        if inner.is_committed() {
                            planners.committed(time);
                        }
                        continue;
                    };
                    if inner.is_fatal(&error) {
                        inner.end_by(error);
                        break;
                    }
                    inner.report(error);
                }
            });
        })
        .map(drop)
        .map_err(|error| Error::io("the thread that runs the batches can't be started", error))
}

/// Writes down that a batch begins, and tells the other processes; if that fails, it has not begun.
pub(super) fn begin(inner: &ContextInner, time: Time) -> Result<()> {
    let zero = *inner.zero.get_or_init(|| time - inner.interval);
    inner.checkpoint(|checkpoints| checkpoints.begin(time, zero))?;
    inner.announce_batch(time, zero)
}

/// Runs every pipeline over a batch that has begun, and returns the first failure.
pub(super) fn run_batch(inner: &Arc<ContextInner>, pipelines: &mut [Pipeline], time: Time) -> Result<()> {
    let zero = *inner.zero.get_or_init(|| time - inner.interval);
    let span = Span::batch(time);
    let watched = inner.watch.started(time, || inner.lock().inputs_of(time));
    let mut batch = Batch::new(time, zero, inner.seed(), &inner.config, &**inner);
    let mut panicked = None;
    for (id, pipeline) in pipelines.iter_mut().enumerate() {
        batch.begin_pipeline(id);
        // Stages and outputs catch the user's panics; what comes through is a fault of an expansion or of
        // this crate, and must not cost the batches to come.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (pipeline.run)(&mut batch))) {
            let message = panic_text(&*panic);
            let (operator, file, line) = ("the pipeline".into(), file!(), line!());
            let failure = JobError { time, operator, file, line, message, cause: None };
            inner.config.reports.failed(&failure);
            panicked.get_or_insert(failure);
        }
    }
    if is_output_closed() && !inner.lock().stop_begun {
        crate::logs::info!(
            "standard output is closed, and nobody reads what is printed: stopping gracefully"
        );
        inner.stop(true);
    }
    let (outputs, read) = batch.watched();
    let broken = batch.broken_exchange();
    let mut failure = batch.finish().into_iter().next().or(panicked);
    let written = inner.end_together(time, broken, failure.as_ref()).and_then(|others| {
        failure = failure.take().or(others.failure);
        inner.checkpoint(|checkpoints| checkpoints.end(time, failure.is_none(), others.changes))
    });
    if let Err(Error::Exchange(_)) = &written {
        // It says why the batch has failed, too.
        failure = None;
    }
    let error = failure.clone().map(Error::from).or(written.clone().err());
    if let Some(error) = &error {
        span.failed(error);
    }
    inner.watch.completed(
        watched,
        outputs,
        |inputs| inner.lock().read_and_kept(inputs, read),
        error.as_ref(),
    );
    match (failure, written) {
        (Some(failure), Ok(())) => Err(failure.into()),
        (Some(failure), Err(error)) => {
            inner.report(failure.into());
            Err(error)
        }
        (None, written) => written,
    }
}
