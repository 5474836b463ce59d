//! What is usual, to know what is not.

use dstream::{Record, Time};
use serde::{Deserialize, Serialize};

/// How much the newest count weighs in what is usual, once there are enough of them.
const WEIGHT: f64 = 0.1;
/// Fewer counts say nothing on what is usual.
const ENOUGH: u32 = 6;

/// The usual count of something, and when it was last counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Record)]
pub(crate) struct History {
    usual: f64,
    counts: u32,
    counted: Option<Time>,
    /// When it was last said that a count was surprising.
    reported: Option<Time>,
}

impl History {
    /// By how many standard deviations this count exceeds what is usual, if counts scatter as chance has it.
    pub(crate) fn surprise(&self, count: u64) -> f64 {
        (count as f64 - self.usual) / (self.usual + 1.0).sqrt()
    }

    /// Adds a count of the interval that ends at `time`. Intervals that are missing had a count of 0.
    pub(crate) fn add(&mut self, time: Time, count: u64, interval: std::time::Duration) {
        let passed = self.counted.map_or(0, |counted| time.since(counted).as_millis() / interval.as_millis());
        for _ in 1..passed.min(1_000) {
            self.learn(0);
        }
        self.learn(count);
        self.counted = Some(time);
    }

    /// The mean of all counts, and later one in which the newest weigh most.
    fn learn(&mut self, count: u64) {
        self.counts = self.counts.saturating_add(1);
        self.usual += (count as f64 - self.usual) * WEIGHT.max(1.0 / f64::from(self.counts));
    }

    /// Whether enough was counted to know what is usual.
    pub(crate) fn is_known(&self) -> bool {
        self.counts >= ENOUGH
    }

    /// Whether it is to be said now: what goes on is said once a minute.
    pub(crate) fn report(&mut self, time: Time) -> bool {
        let due = self.reported.is_none_or(|reported| time.since(reported).as_secs() >= 60);
        if due {
            self.reported = Some(time);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_comes_rarely_becomes_rare() {
        let (second, mut history) = (Duration::from_secs(1), History::default());
        let at = |seconds: u64| Time::from_millis(seconds * 1_000);
        (1..=100).for_each(|seconds| history.add(at(seconds), 10, second));
        assert!(history.surprise(10) < 0.1 && history.surprise(40) > 8.0, "{history:?}");
        // Then nothing for a minute: the gap counts as zeros.
        let mut zeros = history.clone();
        (101..160).for_each(|seconds| zeros.add(at(seconds), 0, second));
        zeros.add(at(160), 10, second);
        history.add(at(160), 10, second);
        assert!((history.usual - zeros.usual).abs() < 1e-9, "{history:?}, {zeros:?}");
        assert!(
            (history.report(at(160)), history.report(at(219)), history.report(at(220)))
                == (true, false, true)
        );
    }
}
