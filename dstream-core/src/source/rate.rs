//! `rate_stream`: so many numbers a second.

use std::{ops::Range, time::Duration};

use super::{Block, Source, SourceContext, queue::partition_size};
use crate::{Result, Time};

/// A counter that makes `rows_per_second` records a second, for demonstrations and measurements: 0, 1, 2 and so on.
///
/// Each batch has exactly the rows that are due by its time, counted from the batch time at or before the start, so
/// that a run can be repeated: with 10 rows a second every batch of one second has 10, and late batches lack none.
///
/// ```
/// use dstream::prelude::*;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 500ms, {
///     rate_stream(5).collect_to(&out);
/// })?;
/// ssc.run_batches(3)?;
/// assert_eq!(out.values(), [vec![0, 1], vec![2, 3, 4], vec![5, 6]]);
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn rate_stream(rows_per_second: u64) -> RateStream {
    RateStream { rows_per_second, zero: None, interval: Duration::ZERO, next: 0 }
}

/// See [`rate_stream`].
#[derive(Clone, Debug)]
pub struct RateStream {
    rows_per_second: u64,
    /// The batch time before the first one.
    zero: Option<Time>,
    interval: Duration,
    next: u64,
}

impl Source for RateStream {
    type Block = Range<u64>;

    fn name(&self) -> String {
        format!("rate_stream({})", self.rows_per_second)
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        self.interval = context.interval;
        Ok(())
    }

    fn batch(&mut self, time: Time) -> Result<Vec<Range<u64>>> {
        let zero = *self.zero.get_or_insert(time - self.interval);
        let due = time.since(zero).as_millis() * u128::from(self.rows_per_second) / 1000;
        let rows = self.next..u64::try_from(due).unwrap_or(u64::MAX).max(self.next);
        self.next = rows.end;
        Ok(cut(rows))
    }
}

/// Cuts numbers into up to 16 partitions of at least 1,024, in order.
pub(super) fn cut(rows: Range<u64>) -> Vec<Range<u64>> {
    let count = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
    rows.clone()
        .step_by(partition_size(count))
        .map(|from| from..from.saturating_add(partition_size(count) as u64).min(rows.end))
        .collect()
}

/// Numbers that are counted while the stage runs.
impl Block for Range<u64> {
    type Record<'a> = u64;

    fn records(&mut self) -> impl Iterator<Item = u64> {
        self.clone()
    }

    fn weight(&self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start))
            .unwrap_or(usize::MAX)
            .saturating_mul(size_of::<u64>())
    }
}
