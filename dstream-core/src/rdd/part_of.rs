//! What is only a part of a batch: in `transform`, a process has the records that are in it, not those of the
//! others. What each record yields by itself is right there; what needs all of them is refused.

use std::sync::{Arc, OnceLock};

use super::{Rdd, RddOps};

/// Marks what is made of one process's part of a batch, and remembers the first operation that would have
/// needed the whole batch.
///
/// Most of them return a plain value, so they go on with the part; the batch fails as soon as the closure has
/// returned, and nothing of what it made is used.
#[derive(Debug, Clone, Default)]
pub struct PartOf(Arc<OnceLock<&'static str>>);

impl PartOf {
    /// The first operation that would have needed the whole batch.
    pub(crate) fn needed(&self) -> Option<&'static str> {
        self.0.get().copied()
    }

    fn needs(&self, operation: &'static str) {
        // Only the first is told.
        let _ = self.0.set(operation);
    }
}

/// `operation` would be wrong on a part.
pub(super) fn needs_whole(part: Option<&PartOf>, operation: &'static str) {
    if let Some(part) = part {
        part.needs(operation);
    }
}

/// `operation` on two sides, of which both may be whole, or the first one, or the second, as is said.
pub(super) fn needs_sides(
    (first, second): (Option<&PartOf>, Option<&PartOf>),
    may_be_part: (bool, bool),
    operation: &'static str,
) {
    match (first, second) {
        (Some(part), Some(_)) => part.needs(operation),
        (Some(part), None) if !may_be_part.0 => part.needs(operation),
        (None, Some(part)) if !may_be_part.1 => part.needs(operation),
        _ => {}
    }
}

/// The mark of what is made of both.
pub(super) fn either(first: &impl RddOps, second: &impl RddOps) -> Option<PartOf> {
    first.part().or_else(|| second.part()).cloned()
}

impl<T> Rdd<T> {
    /// From now on this is only a part, if it is `Some`.
    pub(crate) fn part_of(mut self, part: Option<PartOf>) -> Rdd<T> {
        self.part = part;
        self
    }

    pub(crate) fn is_part(&self) -> bool {
        self.part.is_some()
    }

    pub(super) fn needs_whole(&self, operation: &'static str) {
        needs_whole(self.part.as_ref(), operation);
    }
}
