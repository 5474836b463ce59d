//! The batch clock: at each batch time, it has the sources plan the batch, and enqueues it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{
    batch_queue::BatchQueue, inner::ContextInner, planners::Planners, regulator::Regulator, watch::Watch,
};
use crate::{
    Config, Error, Result, Time, backpressure::OnBehind, clock::CancellationToken, sync::Unpoisoned,
};

pub(super) struct Generator {
    config: Config,
    interval: Duration,
    planners: Arc<Planners>,
    regulator: Arc<Regulator>,
    /// The time of the first batch.
    first: Time,
    watch: Arc<Watch>,
    /// Whether the sources have stopped, so that the next batch is the last. Locked while a batch is
    /// enqueued.
    finishing: Mutex<bool>,
    /// Ends the generator before the next batch time.
    pub(super) stop: CancellationToken,
}

impl Generator {
    pub(super) fn new(
        config: &Config,
        interval: Duration,
        planners: Arc<Planners>,
        regulator: Arc<Regulator>,
        first: Time,
        watch: &Arc<Watch>,
        queue: &BatchQueue,
    ) -> Generator {
        let (config, watch, finishing) = (config.clone(), Arc::clone(watch), Mutex::new(false));
        let stop = queue.planning.clone();
        Generator { config, interval, planners, regulator, first, watch, finishing, stop }
    }

    /// Called when the sources have stopped. If they still hold records, the next batch takes these and is
    /// the last one. `timeout` bounds the wait for running plans.
    pub(super) fn finish(&self, timeout: Duration) {
        // A batch that is enqueued already may take the records, and none is enqueued meanwhile.
        let mut finishing = self.finishing();
        *finishing = true;
        if !self.planners.has_pending(timeout) {
            self.stop.cancel();
        }
    }

    fn run(&self, queue: &BatchQueue) -> Result<()> {
        let mut time = self.first;
        // How many intervals the next batch is to have.
        let mut intervals = 1;
        // Skips nothing by itself: after a delay the deadlines that have passed are all reached at once.
        while self.config.clock.wait_until(time, &self.stop) {
            let skipped = self.skipped(queue, time)?;
            let last = self.finishing();
            if self.stop.is_cancelled() {
                break;
            }
            if skipped > 0 && !*last {
                intervals += u64::from(skipped);
                time = time + self.interval * skipped;
                continue;
            }
            self.planners.plan(time, self.regulator.plan(time, self.config.clock.now()));
            self.watch.planned(time, std::mem::replace(&mut intervals, 1));
            queue.push(time);
            if *last {
                break;
            }
            time = time + self.interval;
        }
        Ok(())
    }

    /// Does what the settings say if too many batches wait. Returns how many batches are left out from the
    /// one at `time` on, whose intervals the next one has.
    fn skipped(&self, queue: &BatchQueue, time: Time) -> Result<u32> {
        let Some(limit) = self.config.batches_behind() else { return Ok(0) };
        let waiting = queue.waiting();
        match self.config.on_behind {
            OnBehind::RunEach => {
                self.stop.wait_for(|| queue.waiting() < limit);
                Ok(0)
            }
            OnBehind::Merge => {
                let missed = self.config.clock.now().since(time).as_millis() / self.interval.as_millis();
                let missed = u32::try_from(missed).unwrap_or(u32::MAX);
                let late = usize::try_from(missed).is_ok_and(|missed| missed > limit);
                Ok(if late { missed } else { u32::from(waiting >= limit) })
            }
            OnBehind::Stop if waiting >= limit => Err(Error::Behind { batch: time, waiting, limit }),
            OnBehind::Stop => Ok(0),
        }
    }

    fn finishing(&self) -> MutexGuard<'_, bool> {
        self.finishing.lock().unpoisoned()
    }
}

pub(super) fn spawn(
    inner: &Arc<ContextInner>,
    generator: Arc<Generator>,
    queue: Arc<BatchQueue>,
) -> Result<()> {
    let context = Arc::downgrade(inner);
    inner
        .config
        .runtime
        .spawn("dstream-generator", move || {
            let _close = CloseOnDrop(&queue);
            if let Err(error) = generator.run(&queue)
                && let Some(context) = context.upgrade()
            {
                context.end_by(error);
            }
        })
        .map(drop)
        .map_err(|error| Error::io("the thread of the batch clock can't be started", error))
}

/// Also if a clock panics: the end of the context must not wait for batches that never come.
struct CloseOnDrop<'a>(&'a BatchQueue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
