//! The shared part of a context, which its handles and threads refer to.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak},
    time::Duration,
};

use super::{
    batch_queue::BatchQueue, checkpoints::Checkpoints, generator::Generator, lifecycle::Lifecycle,
    planners::Planners, signals, step::Stepper, watch::Watch,
};
use crate::{
    Config, Error, Result, Time,
    batch::{OutputProgress, OutputScope},
    clock::CancellationToken,
    events::{Bus, Listener, StatusLine},
    exchange::Role,
    exec::Executor,
    plan::Plan,
    source::handle::ContextId,
    sync::Unpoisoned,
    threads::{ThreadPanic, Threads},
};

/// The started context of this process; there is at most one.
pub(super) static ACTIVE: Mutex<Option<Weak<ContextInner>>> = Mutex::new(None);

/// The shared part of a context.
pub(super) struct ContextInner {
    pub(super) id: ContextId,
    pub(super) interval: Duration,
    pub(super) config: Config,
    pub(super) exec: Executor,
    /// The zero time: one interval before the first batch.
    pub(super) zero: OnceLock<Time>,
    /// The seed of the hash of keys, set in the first batch.
    pub(super) seed: OnceLock<u64>,
    /// What this process does among those that run the program, once the context is started.
    pub(super) role: OnceLock<Role>,
    /// Sends events about batches to listeners.
    pub(super) watch: Arc<Watch>,
    /// The last batch that an earlier process may have written, if it has left one that had begun: all until
    /// the restart, since behind a batch that failed the checkpoint does not say.
    pub(super) rerun_until: OnceLock<Time>,
    /// Cancelled when the sources are to stop.
    pub(super) stopping: CancellationToken,
    /// Cancelled when batches that are stepped are not waited for any more.
    pub(super) abandoned: CancellationToken,
    pub(super) lifecycle: Mutex<Lifecycle>,
    /// The checkpoints, from the start to the end.
    pub(super) checkpoints: Mutex<Option<Checkpoints>>,
    /// Notified when `lifecycle` has a new state or a first error.
    pub(super) changed: Condvar,
    /// The pipelines, while `run_batches` drives them. Whoever holds the lock runs batches.
    pub(super) stepper: Mutex<Option<Stepper>>,
}

/// What runs the batches of a started context.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) generator: Arc<Generator>,
    pub(super) planners: Arc<Planners>,
    pub(super) queue: Arc<BatchQueue>,
}

impl ContextInner {
    /// A context that is told when one of its threads ends by a panic.
    pub(super) fn shared(batch: Duration, config: Config) -> Result<Arc<ContextInner>> {
        let inner = Arc::new(ContextInner::new(batch, config)?);
        let weak = Arc::downgrade(&inner);
        inner.config.runtime.on_panic(move |ThreadPanic { thread, message }| {
            if let Some(inner) = weak.upgrade() {
                inner.end_by(Error::Thread { thread, message });
            }
        });
        Ok(inner)
    }

    fn new(batch: Duration, mut config: Config) -> Result<ContextInner> {
        if batch.is_zero() || !batch.as_nanos().is_multiple_of(1_000_000) {
            return Err(Error::Invalid(format!(
                "the batch interval is {batch:?}, but must be a whole number of milliseconds, at least 1ms"
            )));
        }
        config.check()?;
        config.runtime = Threads::default();
        if config.progress {
            config.listeners.extend(StatusLine::new().map(|line| Arc::new(line) as Arc<dyn Listener>));
        }
        config.events = Bus::new(&config.listeners, &config.runtime)?;
        config.reports = config.reports.of_one_context(&config.events);
        let lifecycle = Lifecycle::new(&config);
        Ok(ContextInner {
            id: ContextId::unique(),
            interval: batch,
            exec: Executor::new(config.threads, config.partitions)?,
            zero: OnceLock::new(),
            seed: OnceLock::new(),
            role: OnceLock::new(),
            watch: Arc::new(Watch::new(&config)),
            rerun_until: OnceLock::new(),
            config,
            stopping: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            lifecycle: Mutex::new(lifecycle),
            checkpoints: Mutex::new(None),
            changed: Condvar::new(),
            stepper: Mutex::new(None),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle.lock().unpoisoned()
    }

    pub(super) fn plan(&self) -> Plan {
        let lifecycle = self.lock();
        Plan {
            name: lifecycle.name.clone(),
            batch_interval: self.interval,
            checkpoint: lifecycle.checkpoint.as_ref().map(|storage| storage.store.describe("")),
            settings: self.config.settings(),
            pipelines: lifecycle.plans.clone(),
        }
    }

    /// Makes this the started context of the process.
    pub(super) fn claim(self: &Arc<ContextInner>) -> Result<()> {
        let mut active = ACTIVE.lock().unpoisoned();
        if let Some(other) = active.as_ref().and_then(Weak::upgrade) {
            return Err(Error::State(format!(
                "another context is active in this process, with a batch interval of {:?}: stop it first",
                other.interval
            )));
        }
        *active = Some(Arc::downgrade(self));
        Ok(())
    }

    /// Lets another context of the process be started.
    pub(super) fn release(&self) {
        let mut active = ACTIVE.lock().unpoisoned();
        if active.as_ref().is_some_and(|a| std::ptr::eq(a.as_ptr(), self)) {
            *active = None;
            signals::disable();
        }
    }

    pub(super) fn is_stepping(&self) -> bool {
        // While it is locked, batches are being stepped.
        self.stepper.try_lock().map_or(true, |stepper| stepper.is_some())
    }

    /// The seed of the hash that places keys.
    pub(super) fn seed(&self) -> u64 {
        self.seed.get().copied().unwrap_or_default()
    }

    /// Keeps a failure for whoever waits for the end.
    pub(super) fn report(&self, error: Error) {
        self.lock().failures.add(error);
        self.changed.notify_all();
    }
}

impl OutputProgress for ContextInner {
    fn is_done(&self, time: Time, output: &str) -> bool {
        self.lock_checkpoints().as_ref().is_some_and(|checkpoints| checkpoints.is_done(time, output))
    }

    fn done(&self, time: Time, output: &str) {
        // If it could not be written the end of the batch can't either, and says so.
        let _ = self.checkpoint(|checkpoints| checkpoints.done(time, output));
    }

    fn may_be_written(&self, time: Time) -> bool {
        // Batches that are stepped run ahead of the clock.
        self.rerun_until.get().is_some_and(|until| time <= *until || self.lock().run.is_none())
    }

    fn is_shared(&self) -> bool {
        self.role() != Role::Alone
    }

    fn rerun_from(&self) -> Option<Time> {
        self.lock_checkpoints().as_ref().map(Checkpoints::rerun_from)
    }

    fn scope(&self) -> OutputScope {
        let lifecycle = self.lock();
        let abandoned = lifecycle.run.as_ref().map_or(&self.abandoned, |run| &run.queue.abandoned);
        OutputScope {
            application: lifecycle.name.clone(),
            clock: Arc::clone(&self.config.clock),
            abandoned: abandoned.clone(),
            started: lifecycle.run.is_some(),
            runtime: Arc::clone(&lifecycle.async_runtime),
        }
    }
}
