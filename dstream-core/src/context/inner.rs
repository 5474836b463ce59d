//! The shared part of a context, which its handles and threads refer to: its lifecycle, start and stop.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak},
    time::Duration,
};

use super::{
    ContextState,
    batch_queue::{self, BatchQueue},
    checkpoints::{Checkpoints, Opened, Resumed, changes_of, operators, sources},
    cluster::OperatorChanges,
    failures::Failures,
    generator::{self, Generator},
    given_up::{GivenUp, Recoverable},
    hoisted::Operator,
    planners::Planners,
    regulator::Regulator,
    signals,
    watch::Watch,
};
use crate::{
    Config, Error, OnFailure, Result, Time,
    async_runtime::AsyncRuntime,
    backoff::backoff,
    batch::{OutputProgress, OutputScope, Pipeline},
    checkpoint::Storage,
    clock::{CancellationToken, Stopwatch},
    events::{Bus, ContextStarted, ContextStopped, ContextView, Listener, StatusLine},
    exchange::Role,
    exec::Executor,
    output::Output,
    panics::panic_text,
    plan::{OpMeta, PipelinePlan, Plan},
    receiver::{ReceiverLog, SharedWal},
    source::{AnyInput, Limits, SourceContext, handle::ContextId},
    sync::Unpoisoned,
    table::random_seed,
    threads::{ThreadPanic, Threads},
};

/// How long an immediate stop waits for the batch that is being processed.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a stop waits for the listeners to be told of what happened before it.
const LISTENERS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait at first, and at most, before what the storage refused is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(50);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

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
    rerun_until: OnceLock<Time>,
    /// Cancelled when the sources are to stop.
    pub(super) stopping: CancellationToken,
    /// Cancelled when batches that are stepped are not waited for any more.
    abandoned: CancellationToken,
    pub(super) lifecycle: Mutex<Lifecycle>,
    /// The checkpoints, from the start to the end.
    pub(super) checkpoints: Mutex<Option<Checkpoints>>,
    /// Notified when `lifecycle` has a new state or a first error.
    pub(super) changed: Condvar,
    /// The pipelines, while `run_batches` drives them. Whoever holds the lock runs batches.
    pub(super) stepper: Mutex<Option<Stepper>>,
}

/// The state of a context, from its construction to the end of its stop.
pub(super) struct Lifecycle {
    pub(super) name: String,
    pub(super) state: ContextState,
    pub(super) stop_begun: bool,
    /// The storage of checkpoints, and the operators whose state may be dropped.
    pub(super) checkpoint: Option<Storage>,
    pub(super) forget: Vec<String>,
    /// Whether state that no checkpoint keeps may be lost.
    pub(super) volatile_state: bool,
    /// The outputs of all pipelines.
    pub(super) outputs: Vec<Output>,
    /// Whether a pipeline does something without an output.
    pub(super) acts: bool,
    pub(super) inputs: Vec<Arc<dyn AnyInput>>,
    /// The names by which the checkpoints know them, and their places.
    pub(super) source_names: Vec<(String, OpMeta)>,
    pub(super) pipelines: Vec<Pipeline>,
    /// The plans of the pipelines, which remain when the context ends.
    pub(super) plans: Vec<PipelinePlan>,
    /// The operators with state, in the order of the program.
    pub(super) operators: Vec<Operator>,
    /// The threads, while a started context is active.
    pub(super) run: Option<Run>,
    pub(super) failures: Failures,
    /// Where async outputs run, until the end; the outputs keep it for their own.
    async_runtime: Arc<AsyncRuntime>,
}

#[derive(Clone)]
pub(super) struct Run {
    pub(super) generator: Arc<Generator>,
    pub(super) planners: Arc<Planners>,
    pub(super) queue: Arc<BatchQueue>,
}

pub(super) struct Stepper {
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) next: Time,
    /// A batch that had begun before a restart: it is planned already.
    pub(super) planned: Option<Time>,
}

impl Lifecycle {
    pub(super) fn can_add(&self, what: &str) -> Result<()> {
        match self.state {
            ContextState::Initialized => Ok(()),
            ContextState::Active => Err(Error::State(format!(
                "{what} can't be added to a context that has been started: add all before `start`"
            ))),
            ContextState::Stopped => Err(Error::State(format!(
                "{what} can't be added to a context that has been stopped: make a new one"
            ))),
        }
    }
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
        let lifecycle = Lifecycle {
            name: config.name.clone(),
            state: ContextState::Initialized,
            stop_begun: false,
            checkpoint: config.checkpoint.clone(),
            forget: config.forget.clone(),
            volatile_state: config.volatile_state,
            outputs: Vec::new(),
            acts: false,
            inputs: Vec::new(),
            source_names: Vec::new(),
            pipelines: Vec::new(),
            plans: Vec::new(),
            operators: Vec::new(),
            run: None,
            failures: Failures::default(),
            async_runtime: Arc::default(),
        };
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

    pub(super) fn is_stepping(&self) -> bool {
        // While it is locked, batches are being stepped.
        self.stepper.try_lock().map_or(true, |stepper| stepper.is_some())
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

    fn release(&self) {
        let mut active = ACTIVE.lock().unpoisoned();
        if active.as_ref().is_some_and(|a| std::ptr::eq(a.as_ptr(), self)) {
            *active = None;
            signals::disable();
        }
    }

    pub(super) fn start_inputs(&self, log: Option<&Arc<SharedWal>>, to_end: bool) -> Result<()> {
        let inputs = sources(&self.lock());
        for (name, input) in inputs {
            input.start(&SourceContext {
                stopping: self.stopping.clone(),
                log: log.map(|log| ReceiverLog::new(log, &name)),
                to_end,
                label: Some(input.label().to_owned()),
                role: self.role(),
                ..SourceContext::new(self.config.clone(), self.interval)
            })?;
        }
        Ok(())
    }

    pub(super) fn start(self: &Arc<ContextInner>) -> Result<()> {
        let (pipelines, inputs) = {
            let mut lifecycle = self.lock();
            (std::mem::take(&mut lifecycle.pipelines), lifecycle.inputs.clone())
        };
        self.lock().check(&self.config)?;
        if self.config.handle_signals {
            signals::enable()?;
        }
        if self.take_role().is_follower() {
            return self.start_following(pipelines);
        }
        let (pending, next) = self.go_on(false, random_seed())?;
        self.lead(false)?;
        let queue = Arc::new(BatchQueue::default());
        if let Some(pending) = pending {
            queue.push(pending);
        }
        let planners = Arc::new(Planners::spawn(&self.config.runtime, &inputs, &queue)?);
        let regulator = Arc::new(Regulator::new(&self.config, self.interval, &inputs));
        let generator = Arc::new(Generator::new(
            &self.config,
            self.interval,
            Arc::clone(&planners),
            Arc::clone(&regulator),
            next,
            &self.watch,
            &queue,
        ));
        let mut lifecycle = self.lock();
        if lifecycle.stop_begun {
            return Err(Error::State("this context has been stopped while it started".into()));
        }
        batch_queue::spawn(self, &queue, &planners, &regulator, pipelines)?;
        lifecycle.run = Some(Run { queue: Arc::clone(&queue), planners, generator: Arc::clone(&generator) });
        generator::spawn(self, generator, queue)
    }

    /// Tells the listeners that the context starts.
    pub(super) fn tell_started(&self) -> Result<()> {
        let events = &self.config.events;
        if events.is_listened() {
            let plan = self.plan();
            let operators = &self.lock().operators;
            let kept = operators.iter().map(|it| (it.name.clone(), Arc::downgrade(&it.shared))).collect();
            events.attach(ContextView::new(plan.clone(), kept))?;
            events.emit(|| ContextStarted { at: self.config.clock.now(), plan });
        }
        Ok(())
    }

    /// Starts the sources, and goes on from the checkpoint if there is one. Returns a batch that had begun
    /// before a restart, and the first batch behind it: those that were missed come first. `seed` is that of
    /// the hash if neither the checkpoint nor the settings have one.
    pub(super) fn go_on(&self, to_end: bool, seed: u64) -> Result<(Option<Time>, Time)> {
        self.tell_started()?;
        let fresh = || self.config.clock.now().next_multiple_of(self.interval);
        let Some(storage) = self.lock().checkpoint.clone() else {
            self.seed.get_or_init(|| self.config.hash_seed.unwrap_or(seed));
            self.start_inputs(None, to_end)?;
            return Ok((None, fresh()));
        };
        let opened = Opened::open(self, &storage)?;
        self.seed.get_or_init(|| opened.seed().or(self.config.hash_seed).unwrap_or(seed));
        self.start_inputs(Some(&opened.log), to_end)?;
        let (checkpoints, resumed) = Checkpoints::resume(self, opened)?;
        *self.lock_checkpoints() = Some(checkpoints);
        Ok(match resumed {
            Some(Resumed { pending, zero, next }) => {
                self.zero.get_or_init(|| zero);
                if let Some(pending) = pending {
                    self.rerun_until.get_or_init(|| pending.max(self.config.clock.now()));
                }
                (pending, next)
            }
            None => (None, fresh()),
        })
    }

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

    /// The seed of the hash that places keys.
    pub(super) fn seed(&self) -> u64 {
        self.seed.get().copied().unwrap_or_default()
    }

    fn lock_checkpoints(&self) -> MutexGuard<'_, Option<Checkpoints>> {
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

    /// Keeps a failure for whoever waits for the end.
    pub(super) fn report(&self, error: Error) {
        self.lock().failures.add(error);
        self.changed.notify_all();
    }

    /// Whether no batch may follow: what can't be written down must not happen, and the user may have asked
    /// for it.
    pub(super) fn is_fatal(&self, error: &Error) -> bool {
        let stops = self.config.on_failure == OnFailure::Stop;
        matches!(error, Error::Checkpoint(_) | Error::Exchange(_))
            || (stops && matches!(error, Error::Job(_)))
    }

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
            match lifecycle.state {
                ContextState::Initialized => {
                    crate::logs::warn!("stop of context `{}`, which has not been started", lifecycle.name);
                    drop(lifecycle);
                    return self.end();
                }
                ContextState::Stopped => {
                    crate::logs::warn!(
                        "stop of context `{}`, which has been stopped already",
                        lifecycle.name
                    );
                    return;
                }
                ContextState::Active => {}
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
                    let active = |lifecycle: &mut Lifecycle| lifecycle.state == ContextState::Active;
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
            (lifecycle.state == ContextState::Active, lifecycle.failures.last().map(Error::to_string))
        };
        self.announce_end(error.clone());
        if started {
            self.config.events.emit(|| ContextStopped { at: self.config.clock.now(), error });
        }
        self.config.events.close(LISTENERS_TIMEOUT);
        let mut lifecycle = self.lock();
        lifecycle.state = ContextState::Stopped;
        lifecycle.run = None;
        let gone = (
            std::mem::take(&mut lifecycle.inputs),
            std::mem::take(&mut lifecycle.pipelines),
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
