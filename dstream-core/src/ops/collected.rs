//! Where `collect_to` puts what it has seen.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use crate::{Time, sync::Unpoisoned};

/// What the output `collect_to(&out)` has seen, batch by batch. Clones see the same.
///
/// ```
/// use dstream::prelude::*;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     queue_stream(vec![vec![1, 2], vec![3]]).map(|n| n * 10).collect_to(&out);
/// })?;
/// ssc.run_batches(2)?;
/// assert_eq!(out.values(), [vec![10, 20], vec![30]]);
///
/// let times: Vec<Time> = out.batches().into_iter().map(|(time, _)| time).collect();
/// assert_eq!(times[1].since(times[0]).as_secs(), 1);
/// # Ok::<(), dstream::Error>(())
/// ```
pub struct Collected<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    batches: Mutex<Vec<(Time, Vec<T>)>>,
    grown: Condvar,
}

impl<T> Collected<T> {
    /// Nothing yet.
    pub fn new() -> Collected<T> {
        Collected { shared: Arc::new(Shared { batches: Mutex::new(Vec::new()), grown: Condvar::new() }) }
    }

    /// Every batch with its time, in order. A batch in which the output was not due is absent.
    pub fn batches(&self) -> Vec<(Time, Vec<T>)>
    where
        T: Clone,
    {
        self.lock().clone()
    }

    /// Every batch, without its time.
    pub fn values(&self) -> Vec<Vec<T>>
    where
        T: Clone,
    {
        self.lock().iter().map(|(_, values)| values.clone()).collect()
    }

    /// Forgets what was collected.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Blocks until there are at least `batches` batches, for at most `limit` of real time; returns whether
    /// there are.
    pub fn wait_for(&self, batches: usize, limit: Duration) -> bool {
        let (seen, _) = self
            .shared
            .grown
            .wait_timeout_while(self.lock(), limit, |seen| seen.len() < batches)
            .unpoisoned();
        seen.len() >= batches
    }

    pub(crate) fn push(&self, time: Time, values: Vec<T>) {
        self.lock().push((time, values));
        self.shared.grown.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Time, Vec<T>)>> {
        self.shared.batches.lock().unpoisoned()
    }
}

impl<T> Default for Collected<T> {
    fn default() -> Self {
        Collected::new()
    }
}

impl<T> Clone for Collected<T> {
    fn clone(&self) -> Self {
        Collected { shared: Arc::clone(&self.shared) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Collected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().iter()).finish()
    }
}
