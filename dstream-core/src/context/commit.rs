//! The commit of progress, which waits where the storage refuses it for a while.

use std::{sync::MutexGuard, time::Duration};

use super::{
    checkpoints::{Checkpoints, changes_of, operators},
    cluster::OperatorChanges,
    inner::{ContextInner, Run},
};
use crate::{Error, OnFailure, Result, backoff::backoff, clock::Stopwatch, sync::Unpoisoned};

/// How long to wait at first, and at most, before what the storage refused is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(50);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

impl ContextInner {
    /// The number of the checkpoint that the context goes on from.
    pub(super) fn continued(&self) -> Option<u64> {
        self.lock_checkpoints().as_ref().and_then(Checkpoints::continued)
    }

    /// What has changed in all operators since the last call, in a process that writes no checkpoint.
    pub(super) fn changes(&self) -> OperatorChanges {
        let lifecycle = self.lock();
        if lifecycle.checkpoint.is_none() {
            return Vec::new();
        }
        let operators = operators(&lifecycle);
        drop(lifecycle);
        changes_of(&operators)
    }

    pub(super) fn lock_checkpoints(&self) -> MutexGuard<'_, Option<Checkpoints>> {
        self.checkpoints.lock().unpoisoned()
    }

    /// Records progress for the checkpoint, if there is one, and commits it.
    ///
    /// After a transient error, such as a full disk, a started context reports it, waits here and tries
    /// again: no batch continues before this is written, nothing is acknowledged, and receivers fill their
    /// buffers. `Err` if the storage has failed for good, or when the context stops without waiting any
    /// longer. Where batches are stepped, whoever steps them is told at once, and may try again.
    pub(super) fn checkpoint(&self, note: impl FnOnce(&mut Checkpoints)) -> Result<()> {
        if let Some(checkpoints) = &mut *self.lock_checkpoints() {
            note(checkpoints);
        }
        let mut attempts = 0u32;
        let stopwatch = Stopwatch::start();
        loop {
            let written = self.lock_checkpoints().as_mut().map_or(Ok(None), Checkpoints::write);
            let Err(error) = written.map(|written| self.watch.written(written, stopwatch)) else {
                if attempts > 0 {
                    crate::logs::info!(
                        "the checkpoint is written again, after {attempts} attempts that failed"
                    );
                }
                return Ok(());
            };
            attempts += 1;
            let waits = error.is_transient();
            let error = Error::Checkpoint(error);
            // At first often, then about once a minute.
            if attempts.is_multiple_of(attempts.next_power_of_two().min(64)) {
                let then = if waits { "batches wait until it can be" } else { "nothing more can be" };
                crate::logs::error!("the checkpoint is not written, {then}: {error}");
                self.config.reports.tell(&error);
            }
            let run = self.lock().run.clone();
            let delay = backoff(RETRY_DELAY, RETRY_DELAY_MAX, attempts);
            let clock = &self.config.clock;
            match run {
                Some(Run { queue, .. })
                    if waits && clock.wait_until(clock.now() + delay, &queue.abandoned) => {}
                _ => return Err(error),
            }
        }
    }

    /// Whether a batch that has just been done won't run again: the checkpoint holds it, or there is none.
    pub(super) fn is_committed(&self) -> bool {
        !self.lock_checkpoints().as_ref().is_some_and(Checkpoints::is_frozen)
    }

    /// Whether no batch may follow: what can't be written down must not happen, and the user may have asked
    /// for it.
    pub(super) fn is_fatal(&self, error: &Error) -> bool {
        let stops = self.config.on_failure == OnFailure::Stop;
        matches!(error, Error::Checkpoint(_) | Error::Exchange(_))
            || (stops && matches!(error, Error::Job(_)))
    }
}
