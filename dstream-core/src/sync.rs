//! Locks that a panic has not taken from the threads that are left.

use std::sync::LockResult;

/// Takes a lock although a thread has panicked with it.
///
/// What the locks of this crate guard is whole between any two statements, and a panic of the runtime ends
/// the context anyway, with an error that says so. The threads that remain must still be able to stop.
pub(crate) trait Unpoisoned {
    /// The guard, or what was guarded.
    type Guard;

    /// The guard, poisoned or not.
    fn unpoisoned(self) -> Self::Guard;
}

impl<G> Unpoisoned for LockResult<G> {
    type Guard = G;

    fn unpoisoned(self) -> G {
        self.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
