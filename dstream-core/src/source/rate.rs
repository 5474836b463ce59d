//! `rate_stream`: so many numbers a second.

use std::{ops::Range, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Block, Checkpointed, Limits, Source, SourceContext};
use crate::{Result, Time, block::partition_size, checkpoint::Stateful};

/// A counter that makes `rows_per_second` records a second, for demonstrations and measurements: 0, 1, 2 and
/// so on.
///
/// Each batch has exactly the rows that are due by its time, counted from the batch time at or before the
/// start, so that a run can be repeated: with 10 rows a second every batch of one second has 10, and late
/// batches lack none. With a checkpoint, it goes on counting after a restart.
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
    RateStream { rows_per_second, interval: Duration::ZERO, position: Checkpointed::default() }
}

/// See [`rate_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
#[derive(Clone, Debug)]
pub struct RateStream {
    rows_per_second: u64,
    interval: Duration,
    position: Checkpointed<Position>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Position {
    /// The batch time before the first one there ever was.
    zero: Option<Time>,
    next: u64,
}

impl Source for RateStream {
    type Block = Range<u64>;
    type Plan = Range<u64>;

    fn name(&self) -> String {
        format!("rate_stream({})", self.rows_per_second)
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        self.interval = context.interval;
        Ok(())
    }

    fn plan(&mut self, time: Time, limits: &Limits) -> Result<Option<Range<u64>>> {
        let interval = self.interval;
        let Position { zero, next } = &mut *self.position;
        let zero = *zero.get_or_insert(time - interval);
        let due = time.since(zero).as_millis() * u128::from(self.rows_per_second) / 1000;
        let due = u64::try_from(due).unwrap_or(u64::MAX).max(*next);
        let rows = *next..*next + limits.at_most(due - *next);
        *next = rows.end;
        Ok(Some(rows))
    }

    fn blocks(&mut self, _time: Time, rows: &Range<u64>) -> Result<Vec<Range<u64>>> {
        Ok(cut(rows.clone()))
    }

    fn details(&self, rows: &Range<u64>) -> Vec<String> {
        vec![format!("{} to {}", rows.start, rows.end)]
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.position)
    }
}

/// Cuts numbers into up to 16 partitions of at least 1,024, in order.
pub(super) fn cut(rows: Range<u64>) -> Vec<Range<u64>> {
    let count = usize::try_from(rows.end.saturating_sub(rows.start)).unwrap_or(usize::MAX);
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

    fn record_count(&self) -> Option<u64> {
        Some(self.end.saturating_sub(self.start))
    }

    fn weight(&self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start))
            .unwrap_or(usize::MAX)
            .saturating_mul(size_of::<u64>())
    }
}
