//! Vectors that are used again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Vectors that an operator empties and fills again, batch after batch.
///
/// What is freed goes back to the system, and each page of it costs a fault when the next batch needs it: for
/// a join that is more than all else.
#[derive(Debug)]
pub(crate) struct Spare<T>(Arc<Mutex<VecDeque<Vec<T>>>>);

impl<T> Clone for Spare<T> {
    fn clone(&self) -> Self {
        Spare(Arc::clone(&self.0))
    }
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Spare(Arc::default())
    }
}

impl<T> Spare<T> {
    /// An empty vector, if there is one.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        // The oldest first, so that each is used at times, and who gives it back sees whether it is too large
        // by now.
        self.lock().pop_front()
    }

    /// Empties a vector and keeps it.
    pub(crate) fn give(&self, mut vec: Vec<T>) {
        vec.clear();
        self.lock().push_back(vec);
    }

    /// Frees what there is.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
