//! How much each source may give to a batch: back-pressure in a started context.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    Config, Time,
    backpressure::{BYTES_OF_A_RECORD, Backpressure, PidRateEstimator, Sample},
    logs,
    source::{AnyInput, Limits, due},
    sync::Unpoisoned,
};

/// A batch of a short interval is often late by some milliseconds, for reasons that have nothing to do with
/// what is in it: a running batch is too slow only after this time.
const PATIENCE: Duration = Duration::from_millis(20);

/// A source that gives less than this part of what it may is not held back by its limit.
const NEARLY_ALL: f64 = 0.9;

/// A batch that takes less than this part of its interval says little on how much more could be processed.
const TELLING: f64 = 0.1;

/// Limits what sources give to batches, once batches take too long.
///
/// The estimator knows a batch only when it is done. Meanwhile each further batch would take all that has
/// arrived, and a producer ten times too fast would have ten such batches planned before the first is done.
/// So while a batch takes too long, nothing is given to a batch that would wait behind another one, nor to
/// the next one if there is no estimate yet. A limit remains, at what is known of the pipeline: where it is
/// not reached it changes nothing, and the next burst finds it.
pub(super) struct Regulator {
    interval: Duration,
    max_rate: Option<u64>,
    settings: Backpressure,
    state: Mutex<State>,
}

struct State {
    /// The batches that wait, and when they were planned.
    waiting: VecDeque<(Time, Time)>,
    running: Option<Running>,
    sources: Vec<RegulatedSource>,
}

/// The batch that is processed.
struct Running {
    planned_at: Time,
    since: Time,
}

struct RegulatedSource {
    name: String,
    estimator: PidRateEstimator,
    /// Whether it is limited.
    limited: bool,
    /// In records a second; none from when it is limited to the end of the batch that took too long.
    rate: Option<f64>,
    /// How many records the newest batch may have, if that is limited.
    newest: Option<u64>,
    /// Of the batches that are planned and not done, what would show that the limit holds it back.
    bounds: VecDeque<(Time, Option<u64>)>,
    /// How many records the batch has that is processed.
    records: u64,
}

impl Regulator {
    /// For the sources of a context that starts.
    pub(super) fn new(config: &Config, interval: Duration, inputs: &[Arc<dyn AnyInput>]) -> Regulator {
        let names = inputs.iter().map(|input| input.name().to_owned());
        Regulator::of(config.backpressure_settings(), config.max_rate, interval, names)
    }

    fn of(
        settings: Backpressure,
        max_rate: Option<u64>,
        interval: Duration,
        names: impl Iterator<Item = String>,
    ) -> Regulator {
        let initial = settings.initial_rate.filter(|_| settings.enabled);
        let sources = names.map(|name| RegulatedSource {
            name,
            estimator: PidRateEstimator::new(&settings, interval.as_secs_f64() * 1000.0),
            limited: initial.is_some(),
            rate: initial.map(|rate| rate as f64),
            newest: None,
            bounds: VecDeque::new(),
            records: 0,
        });
        let state = State { waiting: VecDeque::new(), running: None, sources: sources.collect() };
        Regulator { interval, max_rate, settings, state: Mutex::new(state) }
    }

    /// What each source may give to the batch at `time`, which is planned `now`.
    pub(super) fn plan(&self, time: Time, now: Time) -> Vec<Limits> {
        let State { waiting, running, sources } = &mut *self.state.lock().unpoisoned();
        let max = self.max_rate.map(|rate| due(rate, time, self.interval));
        if !self.settings.enabled {
            return vec![Limits { records: max, bytes: None }; sources.len()];
        }
        // It has begun somewhat after its time.
        let patience = (self.interval * 9 / 10).max(PATIENCE);
        let too_slow = running.as_ref().is_some_and(|running| now.since(running.since) >= patience);
        let is_next = waiting.is_empty();
        waiting.push_back((time, now));
        let limits = sources.iter_mut().map(|source| {
            if too_slow && !source.limited {
                (source.limited, source.rate) = (true, None);
                logs::info!(
                    "{}: gives nothing to further batches until one that takes too long is done",
                    source.name
                );
            }
            let allowed = source.limited.then(|| match source.rate {
                Some(rate) if is_next || !too_slow => due(rate as u64, time, self.interval),
                _ => 0,
            });
            // A receiver has stored what the batch before this one allowed.
            let before = std::mem::replace(&mut source.newest, allowed);
            source.bounds.push_back((time, allowed.map(|now| before.map_or(now, |before| now.min(before)))));
            Limits {
                records: allowed.into_iter().chain(max).min(),
                bytes: allowed.map(|records| records.saturating_mul(BYTES_OF_A_RECORD)),
            }
        });
        limits.collect()
    }

    /// The batch at `time` is processed from `now` on, and has so many records of each source.
    pub(super) fn begun(&self, time: Time, now: Time, records: impl Iterator<Item = u64>) {
        let State { waiting, running, sources } = &mut *self.state.lock().unpoisoned();
        // One that had begun before a restart was not planned here.
        let planned = waiting.iter().find(|(planned, _)| *planned == time);
        let planned_at = planned.map_or(now, |(_, at)| *at);
        waiting.retain(|(waiting, _)| *waiting > time);
        *running = Some(Running { planned_at, since: now });
        sources.iter_mut().zip(records).for_each(|(source, records)| source.records = records);
    }

    /// The batch at `time` is done.
    pub(super) fn done(&self, time: Time, now: Time) {
        let State { running, sources, .. } = &mut *self.state.lock().unpoisoned();
        let Some(Running { planned_at, since }) = running.take() else { return };
        // Less than the clock can tell is half of what it can: it must not stop the rate from growing.
        let processing_ms = (now.since(since).as_secs_f64() * 1000.0).max(0.5);
        let says_much = processing_ms >= self.interval.as_secs_f64() * 1000.0 * TELLING;
        for source in sources {
            let sample = Sample {
                time: now,
                records: source.records,
                processing_ms,
                scheduling_ms: since.since(planned_at).as_secs_f64() * 1000.0,
            };
            let estimate = source.estimator.compute(sample);
            let bound =
                source.bounds.iter().find(|(planned, _)| *planned == time).and_then(|(_, bound)| *bound);
            source.bounds.retain(|(planned, _)| *planned > time);
            if !source.limited {
                continue;
            }
            let held_back = bound.is_some_and(|bound| source.records as f64 >= bound as f64 * NEARLY_ALL);
            source.rate = match (source.rate, estimate) {
                // The first estimate; the estimator's first sample gives none, but is better than nothing.
                (None, estimate) => estimate.or(sample.rate()).map(|rate| {
                    let rate = rate.max(self.settings.min_rate as f64);
                    logs::info!(
                        "{}: gives at most {rate:.0} records a second, as batches can process",
                        source.name
                    );
                    rate
                }),
                (Some(_), Some(estimate)) if held_back => Some(estimate),
                // Of a batch that could have had more it is only known that more can be processed than this.
                (Some(rate), Some(estimate)) if says_much => Some(rate.max(estimate)),
                (rate, _) => rate,
            };
            // It had nothing in the batch that took too long.
            source.limited = source.rate.is_some();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A pipeline with one source, in which a batch takes some time for each record and some for itself.
    struct Pipeline {
        regulator: Regulator,
        interval: f64,
        /// Milliseconds.
        of_record: f64,
        of_batch: f64,
        /// When the batch that runs is done, and what waits behind it: times in milliseconds, and records.
        running: Option<(u64, f64)>,
        waiting: VecDeque<(u64, u64)>,
        /// What the source still has.
        backlog: f64,
        done: Vec<Done>,
    }

    /// A batch that is done.
    #[derive(Clone, Copy)]
    struct Done {
        batch: u64,
        records: u64,
        /// From its time to its end, in intervals.
        delay: f64,
    }

    impl Pipeline {
        fn new(settings: Backpressure, interval: u64, of_record: f64, of_batch: f64) -> Pipeline {
            let interval_of = Duration::from_millis(interval);
            let regulator = Regulator::of(settings, None, interval_of, ["numbers".to_owned()].into_iter());
            Pipeline {
                regulator,
                interval: interval as f64,
                of_record,
                of_batch,
                running: None,
                waiting: VecDeque::new(),
                backlog: 0.0,
                done: Vec::new(),
            }
        }

        /// Runs batches for as long as there are `rates`, the records a millisecond that arrive in each
        /// interval, from the `first` interval on. Returns those of these intervals that have begun.
        fn run(&mut self, first: u64, rates: &[f64]) -> Vec<Done> {
            for (n, rate) in rates.iter().enumerate() {
                let batch = (first + n as u64) * self.interval as u64;
                self.until(batch as f64);
                self.backlog += rate * self.interval;
                let time = Time::from_millis(batch);
                let limits = self.regulator.plan(time, time);
                let records = limits[0].at_most(self.backlog as u64);
                self.backlog -= records as f64;
                self.waiting.push_back((batch, records));
                self.until(batch as f64);
            }
            self.done.iter().filter(|done| done.batch >= first * self.interval as u64).copied().collect()
        }

        /// Runs what is done until `now`.
        fn until(&mut self, now: f64) {
            let mut free = 0.0f64;
            loop {
                if let Some((batch, ends)) = self.running {
                    if ends > now {
                        return;
                    }
                    self.running = None;
                    self.regulator.done(Time::from_millis(batch), Time::from_millis(ends as u64));
                    let done = self.done.iter_mut().find(|done| done.batch == batch);
                    done.expect("a batch that began").delay = (ends - batch as f64) / self.interval;
                    free = ends;
                }
                let Some((batch, records)) = self.waiting.pop_front() else { return };
                let begins = free.max(batch as f64 + 1.0);
                self.regulator.begun(
                    Time::from_millis(batch),
                    Time::from_millis(begins as u64),
                    [records].into_iter(),
                );
                self.running = Some((batch, begins + self.of_batch + records as f64 * self.of_record));
                self.done.push(Done { batch, records, delay: f64::NAN });
            }
        }
    }

    fn default(interval: u64, of_record: f64, of_batch: f64) -> Pipeline {
        Pipeline::new(Backpressure::new(), interval, of_record, of_batch)
    }

    #[test]
    fn a_program_that_keeps_up_is_never_limited() {
        let mut pipeline = default(1000, 0.1, 5.0);
        // 10 records, then all at once what takes 0.9 s.
        let done = pipeline.run(1, &[0.01, 0.01, 9.0, 0.0, 9.0, 9.0, 9.0]);
        let records: Vec<u64> = done.iter().map(|done| done.records).collect();
        assert_eq!(records, [10, 10, 9000, 0, 9000, 9000, 9000]);
    }

    #[test]
    fn without_back_pressure_everything_is_taken() {
        let mut pipeline = Pipeline::new(Backpressure::off(), 1000, 1.0, 0.0);
        let done = pipeline.run(1, &[10.0; 12]);
        assert_eq!(done[0].records, 10_000);
        assert_eq!(done[1].records, 10_000);
    }

    #[test]
    fn a_first_batch_is_as_large_as_it_may_be() {
        let mut pipeline = Pipeline::new(Backpressure::new().initial_rate(500), 1000, 1.0, 0.0);
        let done = pipeline.run(1, &[10.0; 20]);
        let records: Vec<u64> = done.iter().map(|done| done.records).take(4).collect();
        // The second one is planned when the first has just begun.
        assert_eq!(records, [500, 500, 999, 999]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        /// What is promised: a producer that is up to ten times too fast makes no batch later than two
        /// intervals, from the twentieth on; what the pipeline can do is done to 90 % and more; and soon
        /// after the load has fallen nothing is held back.
        #[test]
        fn a_producer_that_is_too_fast_is_slowed_down(
            interval in prop::sample::select(vec![50u64, 100, 500, 1000, 5000]),
            capacity in 0.5f64..2000.0,
            of_batch in 0.0f64..0.2,
            too_fast in 1.2f64..10.0,
        ) {
            let of_batch = of_batch * interval as f64;
            let mut pipeline = default(interval, 1.0 / capacity, of_batch);
            let can_do = capacity * (interval as f64 - of_batch);
            let done = pipeline.run(1, &[too_fast * capacity; 60]);
            let settled: Vec<&Done> = done.iter().filter(|done| done.batch > 20 * interval).collect();
            prop_assert!(settled.len() > 30, "{} batches", settled.len());
            for Done { batch, delay, .. } in settled.iter().filter(|done| !done.delay.is_nan()) {
                prop_assert!(*delay < 2.0, "the batch at {batch} ends {delay} intervals after its time");
            }
            let rate = settled.iter().map(|done| done.records as f64).sum::<f64>() / settled.len() as f64;
            prop_assert!(rate > 0.9 * can_do, "{rate} of {can_do}");
            // The source has nothing left, and gives half of what it may.
            pipeline.backlog = 0.0;
            let half = can_do / interval as f64 / 2.0;
            let after = pipeline.run(61, &[half; 12]);
            for done in after.iter().filter(|done| done.batch > 70 * interval) {
                prop_assert!((done.records as f64 - half * interval as f64).abs() < 2.0, "{}", done.records);
            }
        }
    }
}
