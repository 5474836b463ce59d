//! The executor: runs tasks on the cores of this process.
//!
//! What crosses to other processes is in [`crate::exchange`].

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the only file that knows the thread pool"
)]

use std::{cmp::Ordering, sync::Mutex};

use rayon::prelude::*;

use crate::{Error, Result, sync::Unpoisoned};

/// A pool of worker threads.
///
/// The batch driver runs *inside* the pool (see [`Executor::enter`]): going in from outside costs about 26 µs
/// a time, from inside about 1 µs.
#[derive(Debug)]
pub(crate) struct Executor {
    pool: rayon::ThreadPool,
    partitions: usize,
}

impl Executor {
    pub(crate) fn new(threads: usize, partitions: usize) -> Result<Executor> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("dstream-worker-{i}"))
            .build()
            .map_err(|e| Error::Invalid(format!("the worker threads can't be started: {e}")))?;
        Ok(Executor { pool, partitions })
    }

    /// How many buckets a shuffle has where the program does not say.
    pub(crate) fn default_partitions(&self) -> usize {
        self.partitions
    }

    /// Runs `f` on a worker.
    pub(crate) fn enter<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.pool.install(f)
    }

    /// Whether the caller is a worker, that is, runs inside a batch.
    pub(crate) fn is_inside(&self) -> bool {
        self.pool.current_thread_index().is_some()
    }
}

/// Runs `task` for each item, several at a time, and gives the results in the order of the items.
///
/// It runs on the pool that the caller is in; outside of one, on rayon's own. `small` says that there is so
/// little to do that one thread does it sooner than several could share it; a single item never leaves the
/// caller's thread.
pub(crate) fn run<I: Send, O: Send>(items: Vec<I>, small: bool, task: impl Fn(I) -> O + Sync) -> Vec<O> {
    let items: Vec<Mutex<Option<I>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let results: Vec<Mutex<Option<O>>> = items.iter().map(|_| Mutex::new(None)).collect();
    share(items.len(), small, &|at| {
        let item = items[at].lock().unpoisoned().take();
        let result = item.map(&task);
        *results[at].lock().unpoisoned() = result;
    });
    results.into_iter().filter_map(|result| result.into_inner().unpoisoned()).collect()
}

/// Runs `task` for each index below `n`. One virtual call a task keeps the pool's machinery, and a second
/// copy of the loop, out of every stage of every program: this is compiled once.
fn share(n: usize, small: bool, task: &(dyn Fn(usize) + Sync)) {
    if small || n < 2 {
        (0..n).for_each(task);
    } else {
        (0..n).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Sorts in place, and is stable. `small` as for [`run`].
pub(crate) fn sort<T: Send>(items: &mut [T], small: bool, compare: impl Fn(&T, &T) -> Ordering + Sync) {
    if small { items.sort_by(compare) } else { items.par_sort_by(compare) }
}

/// Transposes tasks to buckets, within this process: `tasks[t][k]`, the part of task `t` for bucket `k`, is
/// returned at `[k][t]`.
///
/// Shuffles over all processes go through [`Batch::exchange`](crate::batch::Batch), which calls this
/// where the process is alone.
pub(crate) fn transpose<E>(tasks: Vec<Vec<E>>, buckets: usize) -> Vec<Vec<E>> {
    let mut columns: Vec<Vec<E>> = (0..buckets).map(|_| Vec::with_capacity(tasks.len())).collect();
    for task in tasks {
        for (column, bucket) in columns.iter_mut().zip(task) {
            column.push(bucket);
        }
    }
    columns
}
