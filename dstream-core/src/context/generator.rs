//! The batch clock: at each batch time, it has the sources plan the batch, and enqueues it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{batch_queue::BatchQueue, planners::Planners, watch::Watch};
use crate::{
    Config, Error, Result, Time, clock::CancellationToken, source::Limits, sync::Unpoisoned, threads::Threads,
};

pub(super) struct Generator {
    config: Config,
    interval: Duration,
    planners: Arc<Planners>,
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
        first: Time,
        watch: &Arc<Watch>,
    ) -> Generator {
        let (config, watch, finishing) = (config.clone(), Arc::clone(watch), Mutex::new(false));
        Generator { config, interval, planners, first, watch, finishing, stop: CancellationToken::new() }
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

    fn run(&self, queue: &BatchQueue) {
        let mut time = self.first;
        // Never skips: after a delay the deadlines that have passed are all reached at once.
        while self.config.clock.wait_until(time, &self.stop) {
            let last = self.finishing();
            if self.stop.is_cancelled() {
                break;
            }
            self.planners.plan(time, &Limits::of_batch(&self.config, time, self.interval));
            self.watch.planned(time);
            queue.push(time);
            if *last {
                break;
            }
            time = time + self.interval;
        }
    }

    fn finishing(&self) -> MutexGuard<'_, bool> {
        self.finishing.lock().unpoisoned()
    }
}

pub(super) fn spawn(threads: &Threads, generator: Arc<Generator>, queue: Arc<BatchQueue>) -> Result<()> {
    threads
        .spawn("dstream-generator", move || {
            let _close = CloseOnDrop(&queue);
            generator.run(&queue);
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
