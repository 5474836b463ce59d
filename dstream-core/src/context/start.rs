//! The start: what was kept is read, the sources and the threads begin.

use std::sync::Arc;

use super::{
    batch_queue::{self, BatchQueue},
    checkpoints::{Checkpoints, Resumed, sources},
    generator::{self, Generator},
    inner::{ContextInner, Run},
    opened::Opened,
    planners::Planners,
    regulator::Regulator,
    signals,
};
use crate::{
    Error, Result, Time,
    batch::Pipeline,
    events::{ContextStarted, ContextView},
    receiver::{ReceiverLog, SharedWal},
    source::SourceContext,
    table::random_seed,
};

impl ContextInner {
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

    /// Starts a context that has become active, with the pipelines that it had until then.
    pub(super) fn start(self: &Arc<ContextInner>, pipelines: Vec<Pipeline>) -> Result<()> {
        let inputs = self.lock().inputs.clone();
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
}
