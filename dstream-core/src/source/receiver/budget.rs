//! Back-pressure: bounds on the bytes that a receiver holds, and on the records that it stores for a batch.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::{clock::CancellationToken, source::Limits, sync::Unpoisoned};

/// The budget of a receiver, in bytes.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicUsize,
    limit: usize,
    /// Waiters sleep on the token whose cancellation also ends their wait.
    stop: CancellationToken,
}

impl Budget {
    pub(super) fn new(limit: usize, stop: CancellationToken) -> Arc<Budget> {
        Arc::new(Budget { held: AtomicUsize::new(0), limit, stop })
    }

    /// Blocks until there is budget, or the receiver stops. A block larger than the limit is admitted when
    /// nothing else is held.
    pub(super) fn take(self: &Arc<Budget>, bytes: usize) -> Permit {
        if !self.reserve(bytes) && !self.stop.wait_for(|| self.reserve(bytes)) {
            self.held.fetch_add(bytes, Ordering::SeqCst);
        }
        Permit { budget: Arc::clone(self), bytes }
    }

    /// As `take`, but `None` where that would wait.
    pub(super) fn try_take(self: &Arc<Budget>, bytes: usize) -> Option<Permit> {
        self.reserve(bytes).then(|| Permit { budget: Arc::clone(self), bytes })
    }

    fn reserve(&self, bytes: usize) -> bool {
        let fits = |held: usize| {
            let all = held.saturating_add(bytes);
            (held == 0 || all <= self.limit).then_some(all)
        };
        self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }
}

/// A reserved part of a budget, which is released when it is dropped.
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

/// The number of records that a receiver may store until the next batch is planned, and that the batch takes
/// of those that are stored.
#[derive(Debug)]
pub(super) struct Quota {
    /// Whether there is a limit: what is asked for each record.
    limited: AtomicBool,
    state: Mutex<QuotaState>,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct QuotaState {
    /// How many records the next batch may have, and how many it will have so far, with those that earlier
    /// ones had too much.
    limit: u64,
    used: u64,
    /// How many records the batches so far had too much, since a block is larger than what was left of their
    /// limits: the next ones have fewer.
    debt: u64,
}

impl Quota {
    pub(super) fn new(limits: &Limits, stop: CancellationToken) -> Quota {
        let quota = Quota { limited: AtomicBool::new(false), state: Mutex::default(), stop };
        quota.renew(&mut [].into_iter(), limits);
        quota
    }

    /// How many of the blocks that wait a batch with these limits may take. `waiting` says how many records
    /// each of them has; what is stored from now on is under `limits`, with the blocks that are left.
    pub(super) fn renew(&self, waiting: &mut dyn Iterator<Item = u64>, limits: &Limits) -> usize {
        let mut state = self.lock();
        let (mut taken, mut left) = (0, 0u64);
        match limits.records {
            None => {
                taken = waiting.count();
                *state = QuotaState::default();
            }
            Some(limit) => {
                // What waits was stored within the limit before this one.
                let before = if self.is_limited() { state.limit } else { u64::MAX };
                let allowed = if limits.is_nothing() { 0 } else { limit.max(before) };
                let mut records = state.debt;
                for block in waiting {
                    if left == 0 && records < allowed {
                        (taken, records) = (taken + 1, records.saturating_add(block));
                    } else {
                        left = left.saturating_add(block);
                    }
                }
                // A batch that takes nothing pays nothing back.
                if !limits.is_nothing() {
                    state.debt = records.saturating_sub(allowed);
                }
                (state.limit, state.used) = (limit, state.debt.saturating_add(left));
            }
        }
        self.limited.store(limits.records.is_some(), Ordering::Relaxed);
        drop(state);
        self.stop.wake();
        taken
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limited.load(Ordering::Relaxed)
    }

    /// Blocks until at least one more record may be stored, or the receiver stops; returns how many of
    /// `records` may be.
    pub(super) fn take(&self, records: u64) -> u64 {
        self.wait(|state| (state.limit - state.used).min(records))
            .map_or(records, |granted| granted.min(records))
    }

    /// As `take`, for records that are stored together or not at all.
    pub(super) fn take_all(&self, records: u64) {
        self.wait(|_| records);
    }

    /// As `take_all`, but `false` where that would wait.
    pub(super) fn try_take_all(&self, records: u64) -> bool {
        self.grant(|_| records).is_some()
    }

    fn wait(&self, records: impl Fn(&QuotaState) -> u64) -> Option<u64> {
        let mut granted = None;
        self.stop.wait_for(|| {
            granted = self.grant(&records);
            granted.is_some()
        });
        granted
    }

    /// Uses as many as `records` says, if any may be stored now; without a limit that is any number.
    fn grant(&self, records: impl Fn(&QuotaState) -> u64) -> Option<u64> {
        let mut state = self.lock();
        if !self.is_limited() {
            return Some(u64::MAX);
        }
        (state.used < state.limit).then(|| {
            let granted = records(&state);
            state.used = state.used.saturating_add(granted);
            granted
        })
    }

    fn lock(&self) -> MutexGuard<'_, QuotaState> {
        self.state.lock().unpoisoned()
    }
}
