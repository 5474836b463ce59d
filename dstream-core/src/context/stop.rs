//! The stop, graceful or at once: it waits for what is under way, within limits of time, and ends the
//! context.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{
    ContextState,
    given_up::{GivenUp, Recoverable},
    inner::{ContextInner, Run},
    lifecycle::{Lifecycle, Phase},
};
use crate::{
    Error, Time, clock::CancellationToken, events::ContextStopped, panics::panic_text, sync::Unpoisoned,
};

/// How long an immediate stop waits for the batch that is being processed.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a stop waits for the listeners to be told of what happened before it.
const LISTENERS_TIMEOUT: Duration = Duration::from_secs(2);

impl ContextInner {
    /// Ends the context because of something without which it can't go on, and returns at once.
    pub(super) fn end_by(self: &Arc<ContextInner>, error: Error) {
        self.lock().failures.end_by(error);
        self.changed.notify_all();
        // The caller may be a thread that a stop waits for.
        self.apart(|inner| inner.stop(false));
    }

    /// Does a part of a stop on a thread of its own.
    pub(super) fn apart(self: &Arc<ContextInner>, stop: impl FnOnce(&Arc<ContextInner>) + Send + 'static) {
        let inner = Arc::clone(self);
        if let Err(error) = self.config.runtime.spawn("dstream-stop", move || stop(&inner)) {
            crate::logs::warn!(
                "no thread for the stop ({error}): the context stops without waiting for the batch"
            );
            self.end();
        }
    }

    pub(super) fn stop(self: &Arc<ContextInner>, graceful: bool) {
        let run = {
            let mut lifecycle = self.lock();
            match lifecycle.phase {
                Phase::Initialized { .. } => {
                    crate::logs::warn!("stop of context `{}`, which has not been started", lifecycle.name);
                    drop(lifecycle);
                    return self.end();
                }
                Phase::Stopped => {
                    crate::logs::warn!(
                        "stop of context `{}`, which has been stopped already",
                        lifecycle.name
                    );
                    return;
                }
                Phase::Active => {}
            }
            let first = !std::mem::replace(&mut lifecycle.stop_begun, true);
            let run = lifecycle.run.clone();
            if !graceful {
                // Also if a graceful stop is under way, which then has nothing left to wait for.
                self.abandoned.cancel();
                if let Some(run) = &run {
                    run.generator.stop.cancel();
                    run.queue.abandon();
                }
            }
            if !first {
                if !self.exec.is_inside() {
                    let active = |lifecycle: &mut Lifecycle| lifecycle.state() == ContextState::Active;
                    drop(self.changed.wait_while(lifecycle, active).unpoisoned());
                }
                return;
            }
            run
        };
        self.stopping.cancel();
        if !self.exec.is_inside() {
            return self.finish(run, graceful);
        }
        // A batch can't wait for its own end.
        self.apart(move |inner| inner.finish(run, graceful));
    }

    /// The part of a stop that waits. Whatever happens in it, the context has ended afterwards.
    fn finish(self: &Arc<ContextInner>, run: Option<Run>, graceful: bool) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.wind_down(run.as_ref(), graceful))) {
            let error = Error::Thread { thread: "dstream-stop".into(), message: panic_text(&*panic) };
            crate::logs::error!("{error}");
            self.lock().failures.end_by(error);
            if let Some(Run { generator, queue, .. }) = &run {
                generator.stop.cancel();
                queue.abandon();
            }
        }
        self.end();
    }

    fn wind_down(self: &Arc<ContextInner>, run: Option<&Run>, graceful: bool) {
        match run {
            Some(Run { generator, planners, queue }) => {
                let timeout = if graceful { self.graceful_stop_timeout() } else { STOP_TIMEOUT };
                let mut in_time = planners.stop(timeout);
                if graceful {
                    generator.finish(timeout);
                    in_time &= queue.wait_done(if in_time { timeout } else { Duration::ZERO });
                    if !in_time {
                        crate::logs::warn!(
                            "the graceful stop has taken {timeout:?}: what is not processed yet is given up"
                        );
                    }
                }
                generator.stop.cancel();
                queue.abandon();
                let running = !queue.wait_done(STOP_TIMEOUT);
                if running {
                    crate::logs::warn!(
                        "a batch still runs after {STOP_TIMEOUT:?}: the context stops without it"
                    );
                }
                let given_up = self.given_up(queue.dropped(), running, planners.pending());
                if !given_up.is_nothing() {
                    crate::logs::warn!("the stop gives up {given_up}");
                }
            }
            None => {
                let inputs = self.lock().inputs.clone();
                inputs.iter().for_each(|input| input.stop());
                let time_limit = CancellationToken::new();
                if graceful {
                    self.abandon_after(&time_limit, self.graceful_stop_timeout());
                }
                let mut stepper = self.stepper.lock().unpoisoned();
                if graceful
                    && let Some(stepper) = &mut *stepper
                    && inputs.iter().any(|input| input.has_pending())
                    && let Err(error) = self.step(stepper, 1, true)
                {
                    self.report(error);
                }
                time_limit.cancel();
            }
        }
    }

    /// Abandons batches that are stepped after `timeout`, unless `time_limit` is cancelled before.
    fn abandon_after(&self, time_limit: &CancellationToken, timeout: Duration) {
        let (time_limit, abandoned) = (time_limit.clone(), self.abandoned.clone());
        let wait = move || {
            if !time_limit.wait_timeout(timeout) {
                abandoned.cancel();
            }
        };
        if let Err(error) = self.config.runtime.spawn("dstream-stop-limit", wait) {
            crate::logs::warn!("no thread for the limit of the stop ({error}): it waits for no batch");
            self.abandoned.cancel();
        }
    }

    fn given_up(&self, batches: Vec<Time>, running: bool, pending: Vec<String>) -> GivenUp {
        let lifecycle = self.lock();
        let recoverable = match (&lifecycle.checkpoint, self.config.write_ahead_log) {
            (None, _) => Recoverable::Nothing,
            (Some(_), false) => Recoverable::Checkpoint,
            (Some(_), true) => Recoverable::Wal,
        };
        let inputs = batches.iter().flat_map(|batch| lifecycle.inputs_of(*batch)).collect();
        GivenUp { batches, inputs, running, pending, recoverable }
    }

    fn graceful_stop_timeout(&self) -> Duration {
        let default = || self.interval.saturating_mul(10).max(Duration::from_secs(10));
        self.config.graceful_stop_timeout.unwrap_or_else(default)
    }

    /// The end of every stop. What the pipelines hold, perhaps handles of this context, goes with them.
    fn end(&self) {
        self.release();
        let (started, error) = {
            let lifecycle = self.lock();
            (lifecycle.state() == ContextState::Active, lifecycle.failures.last().map(Error::to_string))
        };
        self.announce_end(error.clone());
        if started {
            self.config.events.emit(|| ContextStopped { at: self.config.clock.now(), error });
        }
        self.config.events.close(LISTENERS_TIMEOUT);
        let mut lifecycle = self.lock();
        let phase = std::mem::replace(&mut lifecycle.phase, Phase::Stopped);
        lifecycle.run = None;
        let gone = (
            std::mem::take(&mut lifecycle.inputs),
            phase,
            std::mem::take(&mut lifecycle.operators),
            std::mem::take(&mut lifecycle.async_runtime),
        );
        drop(lifecycle);
        // The folder is free for another program from here on. A store, and what a pipeline holds, is
        // somebody's code.
        let checkpoints = self.lock_checkpoints().take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(checkpoints)));
        self.changed.notify_all();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(gone)));
        if let Ok(mut stepper) = self.stepper.try_lock() {
            drop(stepper.take());
        }
    }
}
