//! How many bytes of messages a source may hold.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The bound on what is read ahead. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    /// Counted for each message, so that no lock is taken for that.
    held: AtomicUsize,
    /// Held while something is given back, so that nobody who waits misses it.
    waiting: Mutex<()>,
    freed: Condvar,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Budget {
        Budget(Arc::new(Inner {
            limit,
            held: AtomicUsize::new(0),
            waiting: Mutex::new(()),
            freed: Condvar::new(),
        }))
    }

    /// Waits until there is room, for at most `timeout`; returns whether there is.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        if self.held() < self.0.limit {
            return true;
        }
        let full = |(): &mut ()| self.held() >= self.0.limit;
        let waited = self.0.freed.wait_timeout_while(self.lock(), timeout, full);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.held() < self.0.limit
    }

    /// A share of nothing yet.
    pub(crate) fn permit(&self) -> Permit {
        Permit { budget: self.clone(), bytes: 0 }
    }

    fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's share of a [`Budget`]; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Permit {
    /// Takes more. There may be more than the limit by as much as one message: a message that is larger than
    /// the whole buffer must get through.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.0.held.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let _waiting = self.budget.lock();
        self.budget.0.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Budget::new(10);
        let mut permit = budget.permit();
        assert!(budget.wait(Duration::ZERO));
        permit.grow(12);
        assert!(!budget.wait(Duration::ZERO));
        drop(permit);
        assert_eq!((budget.wait(Duration::ZERO), budget.held()), (true, 0));
    }
}
