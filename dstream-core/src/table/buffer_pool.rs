//! A pool of vectors that are reused across batches.

use crate::sync::Unpoisoned;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

/// A buffer pool: the emptied vectors of an operator, for its next batch. Clones share the pool.
///
/// Freed memory may go back to the operating system, and then costs a page fault for each page in the next
/// batch. Without a pool, that dominates the cost of a join.
#[derive(Debug)]
pub(crate) struct BufferPool<T>(Arc<Mutex<VecDeque<Vec<T>>>>);

impl<T> Clone for BufferPool<T> {
    fn clone(&self) -> Self {
        BufferPool(Arc::clone(&self.0))
    }
}

impl<T> Default for BufferPool<T> {
    fn default() -> Self {
        BufferPool(Arc::default())
    }
}

impl<T> BufferPool<T> {
    /// Takes an empty vector out of the pool, if there is one.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        // The oldest first, so that every vector is used at times, and one that has become too large is
        // noticed when it is returned.
        self.lock().pop_front()
    }

    /// Empties a vector and returns it to the pool.
    pub(crate) fn put(&self, mut vec: Vec<T>) {
        vec.clear();
        self.lock().push_back(vec);
    }

    /// Frees all vectors of the pool.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The number of vectors in the pool.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<T>>> {
        self.0.lock().unpoisoned()
    }
}
