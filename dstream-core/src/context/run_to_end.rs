//! `run_to_end`: the same pipeline as a batch job.

use std::sync::{Arc, TryLockError};

use super::{ContextState, StreamingContext, inner::ContextInner, step::Stepper};
use crate::{Error, Result};

impl StreamingContext {
    /// Runs batches in the calling thread, without waiting for any clock, until every source has given all
    /// that it has; then stops the context.
    ///
    /// Queues end when they are empty. A stream of files takes all files that are there, in one batch,
    /// whatever their age: `new_files_only` and `settle` are for files that come later. A source without an
    /// end, such as a socket, is an error that names it. If a batch fails, or a file can't be read, the rest
    /// still runs, and the first such error is returned. A checkpoint that can't be written ends the run at
    /// once; the next one goes on from the last that could.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1, 2], vec![3]]).map(|n| n * 10).collect_to(&out);
    /// })?;
    /// ssc.run_to_end()?;
    /// assert_eq!(out.values(), [vec![10, 20], vec![30]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn run_to_end(&self) -> Result<()> {
        let inner = self.inner();
        let mut stepper = match inner.stepper.try_lock() {
            Ok(stepper) => stepper,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::State("batches of this context are being run already".into()));
            }
        };
        let (pipelines, checked) = {
            let mut lifecycle = inner.lock();
            if lifecycle.state() != ContextState::Initialized {
                return Err(Error::State(
                    "`run_to_end` needs a context that has not been started or run before: make a new one"
                        .into(),
                ));
            }
            (lifecycle.activate(), lifecycle.check(&inner.config))
        };
        let outcome = if inner.take_role().is_follower() {
            checked.and_then(|()| inner.follow_to_end(pipelines))
        } else {
            checked
                .and_then(|()| inner.is_exhausted())
                .and_then(|_| inner.go_on(true, 0))
                .and_then(|started| inner.lead(true).map(|()| started))
                .and_then(|(planned, next)| {
                    drain(inner, stepper.insert(Stepper { pipelines, next, planned }))
                })
        };
        drop(stepper);
        inner.stop(false);
        let end = inner.lock().failures.end().cloned();
        outcome.and(end.map_or(Ok(()), Err))
    }
}

/// Runs batches until nothing is left or one of them stops the context.
fn drain(inner: &Arc<ContextInner>, stepper: &mut Stepper) -> Result<()> {
    let mut first = Ok(());
    while !inner.lock().stop_begun && !inner.is_exhausted()? {
        let outcome = inner.step(stepper, 1, false);
        if outcome.as_ref().is_err_and(|error| inner.is_fatal(error)) {
            // Nobody steps again; with a checkpoint, the next run goes on from it.
            return first.and(outcome);
        }
        first = first.and(outcome);
    }
    first.and(inner.config.reports.first().map_or(Ok(()), Err))
}

impl ContextInner {
    /// Whether every source has given all that it has.
    fn is_exhausted(&self) -> Result<bool> {
        let inputs = self.lock().inputs.clone();
        let mut all = true;
        for input in inputs {
            let Some(exhausted) = input.is_exhausted() else {
                return Err(Error::source(
                    input.name(),
                    "has no end, so `run_to_end` would never return: use `start`, or `run_batches` in a test",
                ));
            };
            all &= exhausted;
        }
        Ok(all)
    }
}
