//! The bound on what a receiver holds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::Signal;

/// How many bytes a receiver may hold.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicUsize,
    limit: usize,
    /// Waiters sleep on the signal that also ends their wait.
    stop: Signal,
}

impl Budget {
    pub(super) fn new(limit: usize, stop: Signal) -> Arc<Budget> {
        Arc::new(Budget { held: AtomicUsize::new(0), limit, stop })
    }

    /// Blocks until there is room, or the receiver stops; something larger than the limit has room when nothing else is held.
    pub(super) fn take(self: &Arc<Budget>, bytes: usize) -> Permit {
        let fits = |held: usize| {
            let all = held.saturating_add(bytes);
            (held == 0 || all <= self.limit).then_some(all)
        };
        let try_take = || self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok();
        if !try_take() && !self.stop.wait_for(try_take) {
            self.held.fetch_add(bytes, Ordering::SeqCst);
        }
        Permit { budget: Arc::clone(self), bytes }
    }
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    budget: Arc<Budget>,
    pub(super) bytes: usize,
}

impl Permit {
    pub(super) fn join(&mut self, mut other: Permit) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.held.fetch_sub(self.bytes, Ordering::SeqCst);
            self.budget.stop.wake();
        }
    }
}
