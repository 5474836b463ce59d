//! The PID rate estimator of Spark Streaming.

use super::Backpressure;
use crate::Time;

/// Estimates at which rate a source may give records, from what its batches have taken.
#[derive(Debug)]
pub(crate) struct PidRateEstimator {
    settings: Backpressure,
    interval_ms: f64,
    /// After the first sample: its time or that of the last one, the rate given then, and the error.
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    time: Time,
    rate: f64,
    error: f64,
}

/// A batch that is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was done.
    pub(crate) time: Time,
    /// How many records it had of the source.
    pub(crate) records: u64,
    pub(crate) processing_ms: f64,
    pub(crate) scheduling_ms: f64,
}

impl Sample {
    /// At how many records a second it was processed; `None` if that can't be said.
    pub(crate) fn rate(&self) -> Option<f64> {
        (self.records > 0 && self.processing_ms > 0.0)
            .then(|| self.records as f64 / self.processing_ms * 1000.0)
    }
}

impl PidRateEstimator {
    pub(crate) fn new(settings: &Backpressure, interval_ms: f64) -> PidRateEstimator {
        PidRateEstimator { settings: settings.clone(), interval_ms, last: None }
    }

    /// The new rate, in records a second. The first sample gives none, as do those that are not newer, have
    /// no record, or took no time.
    pub(crate) fn compute(&mut self, sample: Sample) -> Option<f64> {
        let processed = sample.rate()?;
        let Some(last) = self.last else {
            self.last = Some(Last { time: sample.time, rate: processed, error: 0.0 });
            return None;
        };
        if sample.time <= last.time {
            return None;
        }
        let seconds = sample.time.since(last.time).as_secs_f64();
        let error = last.rate - processed;
        let backlog = sample.scheduling_ms * processed / self.interval_ms;
        let change = (error - last.error) / seconds;
        let Backpressure { proportional, integral, derivative, min_rate, .. } = self.settings;
        let rate = (last.rate - proportional * error - integral * backlog - derivative * change)
            .max(min_rate as f64);
        self.last = Some(Last { time: sample.time, rate, error });
        Some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time: u64, records: u64, processing_ms: u64, scheduling_ms: u64) -> Sample {
        let time = Time::from_millis(time);
        Sample { time, records, processing_ms: processing_ms as f64, scheduling_ms: scheduling_ms as f64 }
    }

    /// The rates after each of these samples.
    fn rates(settings: &Backpressure, interval_ms: u64, samples: &[[u64; 4]]) -> Vec<Option<f64>> {
        let mut estimator = PidRateEstimator::new(settings, interval_ms as f64);
        let samples = samples.iter().map(|[time, records, processing, scheduling]| {
            estimator.compute(sample(*time, *records, *processing, *scheduling))
        });
        samples.collect()
    }

    #[test]
    fn the_first_sample_that_says_something_gives_no_rate() {
        let settings = Backpressure::new().min_rate(1);
        let samples = [
            [10, 0, 10, 0],
            [20, 10, 0, 0],
            [30, 10, 10, 0],
            [30, 99, 10, 0],
            [20, 99, 10, 0],
            [40, 20, 10, 0],
        ];
        let expected = [None, None, None, None, None, Some(2000.0)];
        assert_eq!(rates(&settings, 1000, &samples), expected);
    }

    #[test]
    fn the_default_weights_give_the_rate_of_the_batch_less_a_fifth_of_what_waits() {
        // 1,000 records in 500 ms, while the batch waited for half an interval: 2,000 - 0.2 * 1,000.
        let samples =
            [[1000, 10, 1000, 0], [2000, 1000, 500, 500], [3000, 1000, 2000, 0], [4000, 100, 1000, 4990]];
        let expected = [None, Some(1800.0), Some(500.0), Some(100.0)];
        assert_eq!(rates(&Backpressure::new(), 1000, &samples), expected);
    }

    #[test]
    fn all_weights_count() {
        let settings = Backpressure::new().min_rate(1).proportional(0.5).integral(0.1).derivative(0.25);
        // Rate 100 first. Then processed = 50, error = 50, backlog = 20 * 50 / 20 = 50, change = 50 / 2 s =
        // 25: 100 - 25 - 5 - 6.25 = 63.75. Then processed = 200, error = -136.25, change = -186.25 / 1 s:
        // 63.75 + 68.125 - 0 + 46.5625.
        let samples = [[1000, 1, 10, 0], [3000, 1, 20, 20], [4000, 2, 10, 0]];
        assert_eq!(rates(&settings, 20, &samples), [None, Some(63.75), Some(178.4375)]);
    }

    /// What Spark 3.5.9's `PIDRateEstimator` gives: time, records, processing and scheduling delay in
    /// milliseconds, and the rate.
    type Steps = [(u64, u64, u64, u64, Option<f64>); 20];

    const DEFAULTS: Steps = [
        (500, 1, 1000, 0, None),
        (500, 12345, 0, 250, None),
        (1500, 0, 4000, 0, None),
        (1500, 0, 1000, 1000, None),
        (1500, 1, 0, 7000, None),
        (2500, 0, 4000, 0, None),
        (2501, 1000000, 4000, 0, Some(250000.0)),
        (3501, 12345, 1000, 0, Some(12345.0)),
        (3502, 0, 4000, 0, None),
        (4002, 1000, 1, 7000, Some(100.0)),
        (4002, 12345, 333, 7000, None),
        (7002, 1, 0, 7000, None),
        (8002, 1000000, 1, 250, Some(950000000.0)),
        (8002, 12345, 0, 7000, None),
        (8002, 12345, 1, 1000, None),
        (11002, 12345, 1000, 250, Some(11727.75)),
        (12002, 12345, 1000, 250, Some(11727.75)),
        (12502, 1, 1, 0, Some(1000.0)),
        (12502, 12345, 333, 7000, None),
        (13502, 50, 1000, 250, Some(100.0)),
    ];

    const ALL_WEIGHTS: Steps = [
        (20, 0, 0, 140, None),
        (40, 1, 6, 0, None),
        (60, 1000, 0, 0, None),
        (80, 12345, 6, 5, Some(13835729.166666666)),
        (140, 50, 80, 20, Some(1.0)),
        (160, 1000, 0, 0, None),
        (170, 1000, 0, 0, None),
        (230, 1000000, 6, 140, Some(468060472.2592592)),
        (290, 1000, 6, 20, Some(1.0)),
        (350, 50, 0, 20, None),
        (360, 1, 80, 0, Some(1671049353.509259)),
        (380, 0, 1, 5, None),
        (381, 1000000, 1, 20, Some(1.0)),
        (401, 1000, 0, 0, None),
        (421, 1000, 80, 5, Some(4194142516.1828685)),
        (422, 1000, 80, 5, Some(1.0)),
        (482, 1000, 6, 20, Some(17476302841.53973)),
        (483, 1, 0, 0, None),
        (484, 1, 1, 0, Some(1.0)),
        (504, 12345, 1, 5, Some(218613949382.2466)),
    ];

    #[test]
    fn the_rates_are_those_of_the_original() {
        let all = Backpressure::new().min_rate(1).proportional(0.5).integral(0.1).derivative(0.25);
        for (settings, interval, steps) in [(Backpressure::new(), 1000.0, DEFAULTS), (all, 20.0, ALL_WEIGHTS)]
        {
            let mut estimator = PidRateEstimator::new(&settings, interval);
            for (time, records, processing, scheduling, expected) in steps {
                let found = estimator.compute(sample(time, records, processing, scheduling));
                let same = match (found, expected) {
                    (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 * expected,
                    (found, expected) => found.is_none() && expected.is_none(),
                };
                assert!(same, "at {time} of an interval of {interval}: {found:?}, not {expected:?}");
            }
        }
    }
}
