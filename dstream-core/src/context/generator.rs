//! The batch clock: at each batch time it decides what belongs to the batch, and queues it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{jobs::Jobs, watch::Watch};
use crate::{Clock, Error, Result, Signal, Time, source::AnyInput};

pub(super) struct Generator {
    clock: Arc<dyn Clock>,
    interval: Duration,
    inputs: Vec<Arc<dyn AnyInput>>,
    /// The time of the first batch.
    first: Time,
    watch: Arc<Watch>,
    /// The sources have stopped: one more batch is the last.
    finishing: AtomicBool,
    /// Ends it before the next batch time.
    pub(super) stop: Signal,
}

impl Generator {
    pub(super) fn new(
        clock: &Arc<dyn Clock>,
        interval: Duration,
        inputs: Vec<Arc<dyn AnyInput>>,
        first: Time,
        watch: &Arc<Watch>,
    ) -> Generator {
        let (clock, watch) = (Arc::clone(clock), Arc::clone(watch));
        Generator {
            clock,
            interval,
            inputs,
            first,
            watch,
            finishing: AtomicBool::new(false),
            stop: Signal::new(),
        }
    }

    /// The sources have stopped: if they still hold something the next batch takes it and is the last one.
    pub(super) fn finish(&self) {
        self.finishing.store(true, Ordering::SeqCst);
        if !self.has_pending() {
            self.stop.set();
        }
    }

    fn has_pending(&self) -> bool {
        self.inputs.iter().any(|input| input.has_pending())
    }

    fn run(&self, jobs: &Jobs) {
        let mut time = self.first;
        // Never skips: after a delay the deadlines that have passed are all reached at once.
        while self.clock.wait_until(time, &self.stop) {
            let last = self.finishing.load(Ordering::SeqCst);
            self.inputs.iter().for_each(|input| input.plan(time));
            self.watch.planned(time);
            jobs.push(time);
            // If the sources stopped while this batch was planned, it may have taken all the same.
            if last || (self.finishing.load(Ordering::SeqCst) && !self.has_pending()) {
                break;
            }
            time = time + self.interval;
        }
    }
}

pub(super) fn spawn(generator: Arc<Generator>, jobs: Arc<Jobs>) -> Result<()> {
    thread::Builder::new()
        .name("dstream-generator".into())
        .spawn(move || {
            let _close = CloseOnDrop(&jobs);
            generator.run(&jobs);
        })
        .map(drop)
        .map_err(|error| Error::io("the thread of the batch clock can't be started", error))
}

/// Also if a clock panics: the end of the context must not wait for batches that never come.
struct CloseOnDrop<'a>(&'a Jobs);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
