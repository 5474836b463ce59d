//! Tests of pipelines, with no sleep, no port and no thread of their own.
//!
//! Batches are stepped with [`run_batches`](crate::StreamingContext::run_batches), fed by a
//! [`queue_stream`](crate::source::queue_stream) or a [`TestSource`], and looked at in a [`Collected`]:
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
//! A test of a *started* context gives it a [`ManualClock`] and waits with [`Collected::wait_for`]. A test of
//! restarts keeps the checkpoint on a [`SimDisk`], which ends the program, fills up or breaks where it is
//! told to.

use std::{
    collections::VecDeque,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    Result, Time,
    checkpoint::{
        IntoCheckpointStore, LocalDir, LogOptions, Policy, Storage,
        sim::{Faults, SimFs},
    },
    events::{Event, Listener},
    source::{Limits, Source},
    sync::Unpoisoned,
};

mod check_source;
mod check_store;

pub use crate::{
    clock::manual::ManualClock,
    exchange::loopback::{LoopbackCluster, LoopbackProcess},
    ops::collected::Collected,
    sink::check::{SinkFixture, check_sink},
};
pub use check_source::{Arrived, check_source};
pub use check_store::check_store;

/// A [`Listener`] that keeps all events. Clones see the same.
///
/// ```
/// use dstream::{Config, events::Event, prelude::*, testing::Events};
///
/// let events = Events::new();
/// let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(events.clone()), {
///     queue_stream(vec![vec![1, 2], vec![3]]).print();
/// })?;
/// ssc.run_batches(2)?;
/// ssc.stop();
/// let completed = events.recorded().into_iter().filter(|event| matches!(event, Event::BatchCompleted(_)));
/// assert_eq!(completed.count(), 2);
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Events {
    shared: Arc<(Mutex<Vec<Event>>, Condvar)>,
}

impl Events {
    /// Nothing yet.
    pub fn new() -> Events {
        Events::default()
    }

    /// All events so far. Events are delivered on a thread of their own: all of a context's are there when it
    /// has stopped.
    pub fn recorded(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Blocks until `ready` says so of all events so far, for at most `limit` of real time; returns whether
    /// it did.
    pub fn wait_for(&self, limit: Duration, ready: impl Fn(&[Event]) -> bool) -> bool {
        let (events, _) =
            self.shared.1.wait_timeout_while(self.lock(), limit, |events| !ready(events)).unpoisoned();
        ready(&events)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.shared.0.lock().unpoisoned()
    }
}

impl Listener for Events {
    fn any(&self, event: &Event) {
        self.lock().push(event.clone());
        self.shared.1.notify_all();
    }
}

impl fmt::Debug for Events {
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
    /// The records of the batch that is planned.
    planned: Vec<T>,
}

impl<T> TestSource<T> {
    /// A source with no batches yet.
    pub fn new() -> TestSource<T> {
        TestSource { batches: Arc::default(), planned: Vec::new() }
    }

    /// Adds the records of one batch.
    pub fn push(&self, batch: Vec<T>) {
        self.lock().push_back(batch);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<T>>> {
        self.batches.lock().unpoisoned()
    }
}

impl<T> Default for TestSource<T> {
    fn default() -> Self {
        TestSource::new()
    }
}

impl<T> Clone for TestSource<T> {
    fn clone(&self) -> Self {
        TestSource { batches: Arc::clone(&self.batches), planned: Vec::new() }
    }
}

impl<T> fmt::Debug for TestSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSource").field("batches", &self.lock().len()).finish()
    }
}

impl<T: Send + 'static> Source for TestSource<T> {
    type Block = Vec<T>;
    type Plan = ();

    fn name(&self) -> String {
        "test_source".to_owned()
    }

    fn plan(&mut self, _time: Time, limits: &Limits) -> Result<Option<()>> {
        let Some(mut records) = self.lock().pop_front() else { return Ok(None) };
        let taken = usize::try_from(limits.at_most(records.len() as u64)).unwrap_or(records.len());
        let left = records.split_off(taken);
        if !left.is_empty() {
            self.lock().push_front(left);
        }
        self.planned = records;
        Ok(Some(()))
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> Result<Vec<Vec<T>>> {
        Ok(crate::block::partition(std::mem::take(&mut self.planned)))
    }

    fn can_replay(&self) -> bool {
        false
    }

    fn has_pending(&self) -> bool {
        !self.lock().is_empty()
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        Some(self.lock().is_empty())
    }
}

/// The blocks that a source, which a test drives by hand, has for the batch at `time`: what it plans, without
/// limits.
///
/// ```
/// use dstream::{Time, source::{Block, queue_stream}, testing::next_batch};
///
/// let mut source = queue_stream(vec![vec![1, 2]]);
/// let mut blocks = next_batch(&mut source, Time::from_millis(1_000))?;
/// assert_eq!(blocks.iter_mut().flat_map(|block| block.records()).collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn next_batch<S: Source>(source: &mut S, time: Time) -> Result<Vec<S::Block>> {
    match source.plan(time, &Limits::none())? {
        Some(plan) => source.blocks(time, &plan),
        None => Ok(Vec::new()),
    }
}

/// A disk in memory, for checkpoints, that fails where it is told to. Clones are the same disk.
///
/// Give it to a program with `checkpoint = disk`; its files are in `/ckpt`. Every access is a *call*, counted
/// from 0; a program that does the same makes the same calls, so a test can end it in each of them. What
/// follows a loss of power is chosen by the seed: what was not synced is there, partly there, or gone.
///
/// Stepped by [`run_batches`](crate::StreamingContext::run_batches), a program whose disk has ended it gets
/// an error. Whatever it still does then, such as another output of the batch, a real one would not have
/// done: ask [`is_killed`](SimDisk::is_killed) there.
///
/// ```
/// use dstream::{prelude::*, testing::SimDisk};
///
/// /// A running total, from the checkpoint on the disk.
/// fn total(disk: &SimDisk, out: &Collected<(i32, i32)>) -> dstream::Result<()> {
///     let ssc = dstream::stream!(batch = 1s, checkpoint = disk, {
///         let pairs = queue_stream(vec![vec![1], vec![1]]).map(|n| (0, n));
///         pairs.update_state_by_key(|new: &[i32], old| Some(old.unwrap_or(0) + new.iter().sum::<i32>()))
///             .collect_to(out);
///     })?;
///     ssc.run_batches(2)
/// }
///
/// let (disk, out) = (SimDisk::new(1), Collected::new());
/// total(&disk, &out)?;
/// assert_eq!(out.values(), [[(0, 1)], [(0, 2)]]);
///
/// disk.restart(true);
/// disk.fill(0..1_000);
/// assert!(total(&disk, &out).is_err());
///
/// disk.restart(true);
/// total(&disk, &out)?;
/// assert_eq!(out.values()[2..], [[(0, 3)], [(0, 4)]]);
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimDisk {
    fs: SimFs,
}

impl SimDisk {
    /// An empty disk without faults.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk { fs: SimFs::new(seed) }
    }

    /// Ends the program in this call, and so in every later one.
    pub fn kill_at(&self, call: u64) {
        self.change(|faults| faults.kill_at = Some(call));
    }

    /// There is no space during these calls.
    pub fn fill(&self, calls: Range<u64>) {
        self.change(|faults| faults.full = Some(calls));
    }

    /// The first sync from this call on fails.
    pub fn break_sync_at(&self, call: u64) {
        self.change(|faults| faults.bad_sync_from = Some(call));
    }

    /// How many calls there were since the disk was made or restarted.
    pub fn calls(&self) -> u64 {
        self.fs.calls()
    }

    /// Whether the program was ended and the disk not restarted yet.
    pub fn is_killed(&self) -> bool {
        self.fs.is_killed()
    }

    /// The disk as the next process finds it, without faults: drop the context of the last one first. With a
    /// loss of power, what was not synced is partly lost.
    pub fn restart(&self, power_loss: bool) {
        self.fs.restart(power_loss);
    }

    /// The files that there are.
    pub fn files(&self) -> Vec<PathBuf> {
        self.fs.paths()
    }

    /// Damages a file; nothing happens if there is none.
    pub fn damage(&self, file: impl AsRef<Path>, change: impl FnOnce(&mut Vec<u8>)) {
        self.fs.change(file.as_ref(), change);
    }

    fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.fs.change_faults(change);
    }
}

impl IntoCheckpointStore for &SimDisk {
    fn into_checkpoint_store(self) -> Storage {
        Storage {
            store: Arc::new(LocalDir::with_fs(Arc::new(self.fs.clone()), "/ckpt".into())),
            // Every call in its order, so that a run can be repeated.
            policy: Policy::simulated(),
            log: LogOptions::simulated(),
        }
    }
}

impl IntoCheckpointStore for SimDisk {
    fn into_checkpoint_store(self) -> Storage {
        (&self).into_checkpoint_store()
    }
}
