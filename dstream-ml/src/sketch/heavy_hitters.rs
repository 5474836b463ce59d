//! Which values are frequent.

use std::collections::BTreeMap;

use dstream_core::{Data, Record};
use serde::{Deserialize, Serialize};

/// Finds the most frequent of any number of different values, with a bounded number of counters.
///
/// Of `n` values and with `k` counters, each count is at most `n / (k + 1)` too low, and never too high; so a
/// value that is more than this part of all is there for certain. ([`SpaceSaving`] in the form of Misra and
/// Gries, in which sketches can be merged without a loss of that bound.)
///
/// [`SpaceSaving`]: https://doi.org/10.1145/2500128
///
/// ```
/// use dstream::{ml::HeavyHitters, prelude::*};
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let words = queue_stream(vec![vec!["to be or not to be to me"]]).words();
///     let frequent = words.map(|word| HeavyHitters::of(100, word)).reduce(|a, b| a.merge(b));
///     frequent.flat_map(|frequent| frequent.top(2)).collect_to(&out);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(out.values(), [[("to".into(), 3), ("be".into(), 2)]]);
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeavyHitters<T: Ord> {
    counters: usize,
    /// At most twice as many as asked for: they are thinned out together.
    counts: BTreeMap<T, u64>,
    /// By how much a count may be too low.
    error: u64,
    total: u64,
}

impl<T: Ord + Clone> HeavyHitters<T> {
    /// Of no value, with so many counters, at least 1.
    pub fn new(counters: usize) -> HeavyHitters<T> {
        HeavyHitters { counters: counters.max(1), counts: BTreeMap::new(), error: 0, total: 0 }
    }

    /// Of one record, which it owns: of a `&str`, a [`Str`](dstream_core::Str).
    pub fn of<R: Record<Owned = T>>(counters: usize, record: R) -> HeavyHitters<T> {
        let mut sketch = HeavyHitters::new(counters);
        sketch.add(record.own(), 1);
        sketch
    }

    /// Sees a value so many times.
    pub fn add(&mut self, value: T, times: u64) {
        self.total = self.total.saturating_add(times);
        let count = self.counts.entry(value).or_default();
        *count = count.saturating_add(times);
        self.thin_out();
    }

    /// Of the values of both, with the smaller number of counters.
    #[must_use]
    pub fn merge(self, other: HeavyHitters<T>) -> HeavyHitters<T> {
        let (mut to, from) =
            if self.counts.len() < other.counts.len() { (other, self) } else { (self, other) };
        to.counters = to.counters.min(from.counters);
        to.error = to.error.saturating_add(from.error);
        to.total = to.total.saturating_add(from.total);
        for (value, times) in from.counts {
            let count = to.counts.entry(value).or_default();
            *count = count.saturating_add(times);
        }
        to.thin_out();
        to
    }

    /// Takes from every counter what the largest of those has that must go.
    fn thin_out(&mut self) {
        if self.counts.len() <= self.counters.saturating_mul(2) {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let (_, largest, _) = counts.select_nth_unstable_by(self.counters, |a, b| b.cmp(a));
        let less = *largest;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(less);
            *count > 0
        });
        self.error = self.error.saturating_add(less);
    }

    /// The `n` most frequent values with their counts, the most frequent first.
    pub fn top(&self, n: usize) -> Vec<(T, u64)> {
        let mut all: Vec<(&T, &u64)> = self.counts.iter().collect();
        // Those with equal counts stay in the order of the values.
        all.sort_by(|(_, a), (_, b)| b.cmp(a));
        all.into_iter().take(n.min(self.counters)).map(|(value, count)| (value.clone(), *count)).collect()
    }

    /// How often a value was seen, at least; at most [`error`](HeavyHitters::error) more.
    pub fn count(&self, value: &T) -> u64 {
        self.counts.get(value).copied().unwrap_or(0)
    }

    /// By how much counts may be too low.
    pub fn error(&self) -> u64 {
        self.error
    }

    /// How many values were seen, with those that are seen again.
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl<T: Ord + Data> Record for HeavyHitters<T> {
    type Owned = HeavyHitters<T>;

    fn own(self) -> HeavyHitters<T> {
        self
    }
}
