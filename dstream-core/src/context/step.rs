//! `run_batches`: the pipelines run batch by batch in the calling thread, for tests.

use std::sync::{Arc, TryLockError};

use super::{ContextState, StreamingContext, batch_queue, inner::ContextInner};
use crate::{Error, Result, Time, batch::Pipeline, source::Limits};

/// The pipelines of a context whose batches are run by a caller, and which batch is next.
pub(super) struct Stepper {
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) next: Time,
    /// A batch that had begun before a restart: it is planned already.
    pub(super) planned: Option<Time>,
}

impl StreamingContext {
    /// For tests: runs `n` batches to completion, at consecutive batch times, without waiting for any clock.
    /// Returns the first of their failures, after all `n` have run.
    ///
    /// The first call starts the sources; each further call goes on where the last one ended. Fewer batches
    /// run if one of them stops the context, or can't be written down (see
    /// [`CheckpointError`](crate::checkpoint::CheckpointError)): the next call then tries that batch again. A
    /// context is either started or driven by this.
    pub fn run_batches(&self, n: usize) -> Result<()> {
        let inner = self.inner();
        let mut stepper = match inner.stepper.try_lock() {
            Ok(stepper) => stepper,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::State("`run_batches` is already running".into()));
            }
        };
        {
            let mut lifecycle = inner.lock();
            match lifecycle.state() {
                ContextState::Stopped => {
                    return Err(Error::State(
                        "this context has been stopped and runs no more batches".into(),
                    ));
                }
                ContextState::Active if stepper.is_none() => {
                    return Err(Error::State(
                        "this context has been started: `run_batches` can't drive it as well".into(),
                    ));
                }
                ContextState::Active => {}
                ContextState::Initialized => {
                    let pipelines = lifecycle.activate();
                    let checked = lifecycle.check(&inner.config);
                    drop(lifecycle);
                    match checked.and_then(|()| inner.go_on(false, 0)) {
                        Ok((planned, next)) => *stepper = Some(Stepper { pipelines, next, planned }),
                        Err(error) => {
                            drop(stepper);
                            inner.stop(false);
                            return Err(error);
                        }
                    }
                }
            }
        }
        let outcome = stepper.as_mut().map_or(Ok(()), |stepper| inner.step(stepper, n, false));
        let over = match &outcome {
            Err(Error::Checkpoint(error)) => !error.is_transient(),
            Err(error) => inner.is_fatal(error),
            Ok(()) => false,
        };
        if over {
            drop(stepper);
            inner.stop(false);
        }
        // A thread has ended meanwhile without which there are no batches.
        let end = inner.lock().failures.end().cloned();
        outcome.and(end.map_or(Ok(()), Err))
    }
}

impl ContextInner {
    /// Runs `n` batches, fewer if one of them stops the context. The `last` one runs although the context
    /// stops.
    pub(super) fn step(self: &Arc<ContextInner>, stepper: &mut Stepper, n: usize, last: bool) -> Result<()> {
        let inputs = self.lock().inputs.clone();
        self.exec.enter(|| {
            let mut first = Ok(());
            for _ in 0..n {
                if !last && self.lock().stop_begun {
                    break;
                }
                let time = match stepper.planned.take() {
                    Some(planned) => planned,
                    None => {
                        let time = stepper.next;
                        stepper.next = time + self.interval;
                        let limits = Limits::of_batch(&self.config, time, self.interval);
                        inputs.iter().for_each(|input| input.plan(time, &limits));
                        self.watch.planned(time, 1);
                        time
                    }
                };
                if let Err(error) = batch_queue::begin(self, time) {
                    // It has not begun, and is the next one still.
                    stepper.planned = Some(time);
                    return first.and(Err(error));
                }
                let outcome = batch_queue::run_batch(self, &mut stepper.pipelines, time);
                if outcome.is_ok() && self.is_committed() {
                    inputs.iter().for_each(|input| input.committed(time));
                }
                first = first.and(outcome);
                if first.as_ref().is_err_and(|error| self.is_fatal(error)) {
                    break;
                }
            }
            first
        })
    }
}
