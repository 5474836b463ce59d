//! `generator_stream`: records made up by a function.

use std::{fmt, ops::Range, sync::Arc};

use super::{Block, Checkpointed, Limits, Source, rate::cut};
use crate::{Result, Time, checkpoint::Stateful};

/// A stream of `rows_per_batch` records a batch, made by a function from their number: 0, 1, 2 and so on.
///
/// The function runs in the tasks that use the records, on all cores. With a checkpoint, the numbers go on
/// after a restart.
///
/// ```
/// use dstream::prelude::*;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     generator_stream(2, |i| format!("row {i}")).collect_to(&out);
/// })?;
/// ssc.run_batches(2)?;
/// assert_eq!(out.values(), [["row 0", "row 1"], ["row 2", "row 3"]]);
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn generator_stream<T, F>(rows_per_batch: u64, row: F) -> GeneratorStream<F>
where
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    GeneratorStream { rows_per_batch, row: Arc::new(row), next: Checkpointed::new(0) }
}

/// See [`generator_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct GeneratorStream<F> {
    rows_per_batch: u64,
    row: Arc<F>,
    next: Checkpointed<u64>,
}

impl<F> fmt::Debug for GeneratorStream<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratorStream")
            .field("rows_per_batch", &self.rows_per_batch)
            .finish_non_exhaustive()
    }
}

impl<T: 'static, F: Fn(u64) -> T + Send + Sync + 'static> Source for GeneratorStream<F> {
    type Block = Generated<F>;
    type Plan = Range<u64>;

    fn name(&self) -> String {
        format!("generator_stream({})", self.rows_per_batch)
    }

    fn plan(&mut self, _time: Time, limits: &Limits) -> Result<Option<Range<u64>>> {
        let from = *self.next;
        *self.next = from.saturating_add(limits.at_most(self.rows_per_batch));
        Ok(Some(from..*self.next))
    }

    fn blocks(&mut self, _time: Time, rows: &Range<u64>) -> Result<Vec<Generated<F>>> {
        Ok(cut(rows.clone()).into_iter().map(|rows| Generated { rows, row: Arc::clone(&self.row) }).collect())
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.next)
    }
}

/// A partition of a [`generator_stream`].
pub struct Generated<F> {
    rows: Range<u64>,
    row: Arc<F>,
}

impl<F> fmt::Debug for Generated<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generated").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<T: 'static, F: Fn(u64) -> T + Send + Sync> Block for Generated<F> {
    type Record<'a>
        = T
    where
        F: 'a;

    fn records(&mut self) -> impl Iterator<Item = T> {
        self.rows.clone().map(&*self.row)
    }

    fn record_count(&self) -> Option<u64> {
        self.rows.record_count()
    }

    fn weight(&self) -> usize {
        // What a row costs to make is not known; it is at least its size.
        self.rows.weight() / size_of::<u64>() * size_of::<T>().max(size_of::<u64>())
    }
}
