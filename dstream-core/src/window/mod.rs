//! Windows: what a stream had in the last while.
//!
//! A window keeps what each of its batches came to, never what that is made of, and answers at every slide
//! with what is in `(t - length, t]`. [`Frame`] knows the times, and which batches failed; beside it
//! [`WindowOf`], [`CountByWindow`] and [`Keyed`] have what was kept and how it is put together.

mod buffer;
mod frame;
mod group;
mod inverse;
mod keyed;
mod reduce;
mod ring;
#[cfg(test)]
pub(crate) mod tests;
mod two_stacks;

use std::time::Duration;

pub use buffer::{CountByWindow, WindowOf};
pub use group::GroupByKeyAndWindow;
pub use inverse::InverseByKeyAndWindow;
pub use reduce::{InverseByWindow, ReduceByWindow};
pub use two_stacks::ReduceByKeyAndWindow;

use crate::{Time, batch::Batch, exchange::Part, time::millis};

/// How long a window is and how often it is looked at, both checked by
/// [`Builder::window`](crate::private::Builder::window).
#[derive(Debug, Clone, Copy)]
pub struct WindowSpec {
    /// The window at `t` holds the batches in `(t - length, t]`.
    pub length: Duration,
    /// It is looked at whenever this has passed, counted from the zero time.
    pub slide: Duration,
    /// What this process owns.
    pub(crate) part: Part,
}

impl WindowSpec {
    /// Whether the window is looked at in this batch.
    pub fn is_due(&self, batch: &Batch<'_>) -> bool {
        millis(batch.time().since(batch.zero_time())).is_multiple_of(millis(self.slide).max(1))
    }

    /// The last time that is no longer in the window of the batch.
    fn cutoff(&self, batch: &Batch<'_>) -> Time {
        batch.time() - self.length
    }
}
