//! How many bytes of records a source may hold.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// The bound on what is read ahead. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    held: AtomicUsize,
    freed: Notify,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Budget {
        Budget(Arc::new(Inner { limit, held: AtomicUsize::new(0), freed: Notify::new() }))
    }

    /// Waits until there is room.
    pub(crate) async fn room(&self) {
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            // From here on nothing that is given back is missed.
            freed.as_mut().enable();
            if self.held() < self.0.limit {
                return;
            }
            freed.await;
        }
    }

    /// Takes a share. There may be more than the limit by what has been asked for at once.
    pub(crate) fn take(&self, bytes: usize) -> Permit {
        self.0.held.fetch_add(bytes, Ordering::SeqCst);
        Permit { budget: self.clone(), bytes }
    }

    pub(crate) fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }
}

/// Somebody's share of a [`Budget`]; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.0.held.fetch_sub(self.bytes, Ordering::SeqCst);
        self.budget.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[test]
    fn whoever_reads_waits_until_a_batch_is_done() {
        let budget = Budget::new(10);
        let mut context = Context::from_waker(Waker::noop());
        let (first, second) = (budget.take(9), budget.take(9));
        let mut room = pin!(budget.room());
        assert!(room.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(room.as_mut().poll(&mut context).is_ready());
        let third = budget.take(1);
        assert!(pin!(budget.room()).poll(&mut context).is_pending());
        drop((second, third));
        assert_eq!(budget.held(), 0);
    }
}
