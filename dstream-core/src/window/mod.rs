//! Sliding windows.
//!
//! A window stores one partial result per batch, not the records, and yields the aggregate of the batches in
//! `(t - length, t]` at every slide. [`WindowBatches`] tracks the times and the batches that failed.
//! [`RecordWindow`], [`CountByWindow`] and [`KeyedWindow`] store partial results and combine them.

mod batches;
mod bucket;
mod group;
mod inverse;
mod keyed;
mod reduce;
#[cfg(test)]
pub(crate) mod tests;
mod two_stacks;
mod unkeyed;

use std::time::Duration;

pub use group::GroupByKeyAndWindow;
pub use inverse::InverseByKeyAndWindow;
pub use reduce::{InverseByWindow, ReduceByWindow};
pub use two_stacks::ReduceByKeyAndWindow;
pub use unkeyed::{CountByWindow, RecordWindow};

use crate::{Time, batch::Batch, exchange::Part, time::millis};

/// The length and the slide of a window, both checked by
/// [`Builder::window`](crate::__private::Builder::window).
#[derive(Debug, Clone, Copy)]
pub struct WindowSpec {
    /// The window at `t` holds the batches in `(t - length, t]`.
    pub length: Duration,
    /// The window is due whenever this has passed, counted from the zero time.
    pub slide: Duration,
    /// The key groups that this process owns.
    pub(crate) part: Part,
}

impl WindowSpec {
    /// Whether the window is due in this batch.
    pub fn is_due(&self, batch: &Batch<'_>) -> bool {
        millis(batch.time().since(batch.zero_time())).is_multiple_of(millis(self.slide).max(1))
    }

    /// The last time that is no longer in the window of the batch.
    fn cutoff(&self, batch: &Batch<'_>) -> Time {
        batch.time() - self.length
    }
}
