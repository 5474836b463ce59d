//! Tests of pipelines, with no sleep, no port and no thread of their own.
//!
//! Batches are stepped with [`run_batches`](crate::StreamingContext::run_batches), fed by a
//! [`queue_stream`](crate::queue_stream) or a [`TestSource`], and looked at in a [`Collected`]:
//!
//! ```
//! use dstream::{prelude::*, testing::TestSource};
//!
//! let words = TestSource::new();
//! let source = words.clone();
//! let out = Collected::new();
//! let ssc = dstream::stream!(batch = 1s, {
//!     source.map(|word| (word, 1)).reduce_by_key(|a, b| a + b).collect_to(&out);
//! })?;
//!
//! words.push(vec!["a", "a"]);
//! ssc.run_batches(1)?;
//! assert_eq!(out.values(), [vec![("a".into(), 2)]]);
//!
//! words.push(vec!["b"]);
//! ssc.run_batches(2)?;
//! assert_eq!(out.values()[1..], [vec![("b".into(), 1)], vec![]]);
//! # Ok::<(), dstream::Error>(())
//! ```
//!
//! A test of a *started* context gives it a [`ManualClock`] and waits with [`Collected::wait_for`].

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Result, Source, Time};

pub use crate::{ManualClock, Signal};

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

    /// Blocks until there are at least `batches` batches, for at most `limit` of real time; returns whether there are.
    pub fn wait_for(&self, batches: usize, limit: Duration) -> bool {
        let (seen, _) = self
            .shared
            .grown
            .wait_timeout_while(self.lock(), limit, |seen| seen.len() < batches)
            .unwrap_or_else(PoisonError::into_inner);
        seen.len() >= batches
    }

    pub(crate) fn push(&self, time: Time, values: Vec<T>) {
        self.lock().push((time, values));
        self.shared.grown.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Time, Vec<T>)>> {
        self.shared.batches.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A source that is fed while the context runs: each batch takes one `Vec`, and is empty if there is none.
/// Clones feed the same source.
///
/// ```
/// use dstream::{prelude::*, testing::TestSource};
///
/// let numbers = TestSource::new();
/// let source = numbers.clone();
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     source.count().collect_to(&out);
/// })?;
/// numbers.push(vec![7, 8, 9]);
/// ssc.run_batches(2)?;
/// assert_eq!(out.values(), [vec![3], vec![0]]);
/// # Ok::<(), dstream::Error>(())
/// ```
pub struct TestSource<T> {
    batches: Arc<Mutex<VecDeque<Vec<T>>>>,
}

impl<T> TestSource<T> {
    /// A source with no batches yet.
    pub fn new() -> TestSource<T> {
        TestSource { batches: Arc::default() }
    }

    /// Adds the records of one batch.
    pub fn push(&self, batch: Vec<T>) {
        self.lock().push_back(batch);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<T>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for TestSource<T> {
    fn default() -> Self {
        TestSource::new()
    }
}

impl<T> Clone for TestSource<T> {
    fn clone(&self) -> Self {
        TestSource { batches: Arc::clone(&self.batches) }
    }
}

impl<T> fmt::Debug for TestSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSource").field("batches", &self.lock().len()).finish()
    }
}

impl<T: Send + 'static> Source for TestSource<T> {
    type Block = Vec<T>;

    fn name(&self) -> String {
        "test_source".to_owned()
    }

    fn batch(&mut self, _time: Time) -> Result<Vec<Vec<T>>> {
        Ok(self.lock().pop_front().map(crate::source::partition).unwrap_or_default())
    }

    fn has_pending(&self) -> bool {
        !self.lock().is_empty()
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        Some(self.lock().is_empty())
    }
}
