//! A clock that a test moves.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{CancellationToken, Clock};
use crate::{Time, sync::Unpoisoned};

/// A clock that only moves when it is told to, so that tests need no sleep.
///
/// Clones show the same time.
///
/// ```
/// use dstream::{Time, clock::Clock, testing::ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(Time::from_millis(2_500));
/// clock.advance(Duration::from_millis(500));
/// assert_eq!(clock.now(), Time::from_millis(3_000));
/// ```
#[derive(Clone, Default)]
pub struct ManualClock {
    now: Arc<AtomicU64>,
    waiters: Arc<(Mutex<Vec<Waiter>>, Condvar)>,
}

struct Waiter {
    deadline: Time,
    stop: CancellationToken,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Time) -> ManualClock {
        ManualClock { now: Arc::new(AtomicU64::new(now.as_millis())), waiters: Arc::default() }
    }

    /// Moves the clock on and wakes every thread whose deadline that reaches.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(crate::time::millis(by), Ordering::SeqCst);
        self.wake();
    }

    /// Sets the clock, and wakes every thread whose deadline that reaches.
    pub fn set(&self, now: Time) {
        self.now.store(now.as_millis(), Ordering::SeqCst);
        self.wake();
    }

    /// Blocks until some thread waits for exactly `deadline`, so that a test moves the clock only when a
    /// thread will notice it. Gives up, and returns `false`, after ten seconds of real time.
    pub fn wait_for_waiter(&self, deadline: Time) -> bool {
        let (waiters, joined) = &*self.waiters;
        let waiters = waiters.lock().unpoisoned();
        let (_guard, timeout) = joined
            .wait_timeout_while(waiters, Duration::from_secs(10), |w| {
                w.iter().all(|w| w.deadline != deadline)
            })
            .unpoisoned();
        !timeout.timed_out()
    }

    fn waiters(&self) -> MutexGuard<'_, Vec<Waiter>> {
        self.waiters.0.lock().unpoisoned()
    }

    fn wake(&self) {
        for waiter in self.waiters().iter() {
            waiter.stop.wake();
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn wait_until(&self, deadline: Time, stop: &CancellationToken) -> bool {
        // Sleeps on the token and registers with the clock, so that both can end the wait.
        self.waiters().push(Waiter { deadline, stop: stop.clone() });
        self.waiters.1.notify_all();
        let reached = stop.wait_for(|| self.now() >= deadline);
        let mut waiters = self.waiters();
        if let Some(own) = waiters.iter().position(|w| w.deadline == deadline && w.stop.is(stop)) {
            waiters.swap_remove(own);
        }
        reached
    }
}
