//! Time, and waiting for it.
//!
//! A context takes its time from a [`Clock`]. That of the machine is the default; a test moves a
//! [`ManualClock`](crate::testing::ManualClock) by hand. What waits, waits for a deadline or a
//! [`CancellationToken`].

#![expect(clippy::disallowed_methods, reason = "the only file that asks for the time")]

pub(crate) mod manual;

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{Time, sync::Unpoisoned};

/// The source of time of a context.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Time;

    /// Blocks until `deadline` and returns `true`, or returns `false` as soon as `stop` is cancelled, even if
    /// the deadline has passed by then.
    fn wait_until(&self, deadline: Time, stop: &CancellationToken) -> bool;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Finer than [`Time`], so that a wait does not end in the millisecond before its deadline.
    fn since_epoch() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from_millis(crate::time::millis(Self::since_epoch()))
    }

    fn wait_until(&self, deadline: Time, stop: &CancellationToken) -> bool {
        let deadline = Duration::from_millis(deadline.as_millis());
        // Checked again after each wait, since the machine's clock may have been set back meanwhile.
        while !stop.is_cancelled() {
            let left = deadline.saturating_sub(Self::since_epoch());
            if left.is_zero() {
                return true;
            }
            stop.wait_timeout(left);
        }
        false
    }
}

/// A flag that tells threads and async tasks to stop, and that they can wait for. Clones share the flag. A
/// token that is cancelled stays so.
#[derive(Clone, Default)]
pub struct CancellationToken(Arc<TokenState>);

#[derive(Default)]
struct TokenState {
    cancelled: AtomicBool,
    /// The lock is also the one that threads sleep on.
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The tokens that are cancelled with this one.
    children: Vec<CancellationToken>,
    /// The tasks that await the token, by number.
    tasks: Vec<(u64, Waker)>,
    next_task: u64,
}

impl CancellationToken {
    /// Creates a token that is not cancelled.
    pub fn new() -> CancellationToken {
        CancellationToken::default()
    }

    /// Creates a token that is cancelled with this one, and can be cancelled on its own.
    pub(crate) fn child_token(&self) -> CancellationToken {
        let child = CancellationToken::new();
        let mut waiting = self.lock();
        if self.is_cancelled() {
            child.cancel();
        } else {
            waiting.children.push(child.clone());
        }
        child
    }

    /// Cancels the token, and wakes all who wait for that.
    pub fn cancel(&self) {
        let Waiting { children, tasks, .. } = {
            let mut waiting = self.lock();
            self.0.cancelled.store(true, Ordering::SeqCst);
            self.0.changed.notify_all();
            std::mem::take(&mut *waiting)
        };
        tasks.into_iter().for_each(|(_, task)| task.wake());
        children.iter().for_each(CancellationToken::cancel);
    }

    /// Whether the token is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Blocks until the token is cancelled.
    pub fn wait(&self) {
        self.wait_for(|| false);
    }

    /// Waits in an async task until the token is cancelled. It works in every executor.
    ///
    /// ```
    /// use dstream::clock::CancellationToken;
    /// use std::{pin::pin, task::{Context, Poll, Waker}};
    ///
    /// let stopping = CancellationToken::new();
    /// // In an async function: `stopping.cancelled().await`, or as a branch of a `select!`.
    /// let mut wait = pin!(stopping.cancelled());
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert_eq!(wait.as_mut().poll(&mut context), Poll::Pending);
    /// stopping.cancel();
    /// assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(()));
    /// # use std::future::Future;
    /// ```
    pub fn cancelled(&self) -> WaitForCancellation {
        WaitForCancellation { token: self.clone(), task: None }
    }

    /// Blocks until the token is cancelled, or for `timeout`; returns whether it is cancelled.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let guard = self.lock();
        drop(self.0.changed.wait_timeout_while(guard, timeout, |_| !self.is_cancelled()).unpoisoned());
        self.is_cancelled()
    }

    /// Blocks until `ready`, which is called again after every [`wake`](CancellationToken::wake), and returns
    /// `true`; or returns `false` as soon as the token is cancelled.
    pub(crate) fn wait_for(&self, mut ready: impl FnMut() -> bool) -> bool {
        let mut guard = self.lock();
        loop {
            if self.is_cancelled() {
                return false;
            }
            if ready() {
                return true;
            }
            guard = self.0.changed.wait(guard).unpoisoned();
        }
    }

    /// Makes every waiter check `ready` again. The condition must have changed before this call.
    pub(crate) fn wake(&self) {
        // Under the lock, so that a waiter between its check and its sleep is not missed.
        let _guard = self.lock();
        self.0.changed.notify_all();
    }

    fn is(&self, other: &CancellationToken) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unpoisoned()
    }
}

/// What [`CancellationToken::cancelled`] returns: ready when the token is cancelled. Dropping it ends the
/// wait.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitForCancellation {
    token: CancellationToken,
    /// The number under which the task waits.
    task: Option<u64>,
}

impl Future for WaitForCancellation {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let token = self.token.clone();
        let mut waiting = token.lock();
        if token.is_cancelled() {
            return Poll::Ready(());
        }
        let number = *self.task.get_or_insert_with(|| {
            waiting.next_task += 1;
            waiting.next_task
        });
        match waiting.tasks.iter_mut().find(|(task, _)| *task == number) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => waiting.tasks.push((number, context.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for WaitForCancellation {
    fn drop(&mut self) {
        let mut waiting = self.token.lock();
        let at = waiting.tasks.iter().position(|(task, _)| Some(*task) == self.task);
        let task = at.map(|at| waiting.tasks.swap_remove(at));
        // Dropped without the lock: a waker is foreign code.
        drop(waiting);
        drop(task);
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancellationToken").field(&self.is_cancelled()).finish()
    }
}

/// Measures elapsed real time, also under a manual clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A throttle for messages: it counts events and reports their number at most once a minute.
///
/// It uses real time, also under a manual clock, since it protects the reader of the logs.
#[derive(Debug)]
pub(crate) struct Throttled {
    count: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Throttled {
    pub(crate) const fn new() -> Throttled {
        Throttled { count: AtomicU64::new(0), last: Mutex::new(None) }
    }

    /// Adds `n` events. If the last report is more than a minute ago, calls `report` with the number of
    /// events since.
    pub(crate) fn count(&self, n: u64, report: impl FnOnce(u64)) {
        self.count.fetch_add(n, Ordering::Relaxed);
        let mut last = self.last.lock().unpoisoned();
        if last.is_none_or(|at| at.elapsed() >= Duration::from_secs(60)) {
            *last = Some(Instant::now());
            drop(last);
            report(self.count.swap(0, Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        task::{Wake, Waker},
        thread,
    };

    use super::*;

    struct Tell(mpsc::Sender<()>);

    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap_or_default();
        }
    }

    #[test]
    fn a_task_that_awaits_a_token_is_woken_once_it_is_cancelled() {
        let (token, (told, woken)) = (CancellationToken::new(), mpsc::channel());
        let waker = Waker::from(Arc::new(Tell(told)));
        let mut context = Context::from_waker(&waker);
        let (mut first, mut second) = (token.child_token().cancelled(), token.cancelled());
        for wait in [&mut first, &mut second] {
            for _ in 0..2 {
                assert!(Pin::new(&mut *wait).poll(&mut context).is_pending());
            }
        }
        drop(second);
        let setter = token.clone();
        thread::spawn(move || setter.cancel());
        assert_eq!(woken.recv_timeout(Duration::from_secs(10)), Ok(()));
        assert!(Pin::new(&mut first).poll(&mut context).is_ready());
        assert!(Pin::new(&mut token.cancelled()).poll(&mut context).is_ready());
        drop((first, waker));
        assert!(woken.recv().is_err(), "the wait that was dropped is not woken, and nothing keeps its waker");
    }
}
