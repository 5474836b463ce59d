//! Time, and waiting for it.
//!
//! A context takes its time from a [`Clock`]. That of the machine is the default; a test moves a
//! [`ManualClock`](crate::testing::ManualClock) by hand. What waits, waits for a deadline or a [`Signal`].

#![expect(clippy::disallowed_methods, reason = "the only file that asks for the time")]

pub(crate) mod manual;

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::Time;

/// Where a context takes its time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Time;

    /// Blocks until `deadline` and returns `true`, or returns `false` as soon as `stop` is set, also if the
    /// deadline has passed by then.
    fn wait_until(&self, deadline: Time, stop: &Signal) -> bool;
}

/// The time of the machine.
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

    fn wait_until(&self, deadline: Time, stop: &Signal) -> bool {
        let deadline = Duration::from_millis(deadline.as_millis());
        // Asked again after each wait: the machine's time may have been set back meanwhile.
        while !stop.is_set() {
            let left = deadline.saturating_sub(Self::since_epoch());
            if left.is_zero() {
                return true;
            }
            stop.wait_timeout(left);
        }
        false
    }
}

/// A flag that threads and async tasks can wait for. Clones are the same flag; once set it stays set.
#[derive(Clone, Default)]
pub struct Signal(Arc<SignalState>);

#[derive(Default)]
struct SignalState {
    set: AtomicBool,
    /// The lock is also the one that threads sleep on.
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The signals that are set with this one.
    children: Vec<Signal>,
    /// The tasks that await it, under numbers of their own.
    tasks: Vec<(u64, Waker)>,
    next_task: u64,
}

impl Signal {
    /// A signal that is not set.
    pub fn new() -> Signal {
        Signal::default()
    }

    /// A signal that can be set alone, and is set when this one is.
    pub(crate) fn child(&self) -> Signal {
        let child = Signal::new();
        let mut waiting = self.lock();
        if self.is_set() {
            child.set();
        } else {
            waiting.children.push(child.clone());
        }
        child
    }

    /// Sets the flag and wakes who waits for it.
    pub fn set(&self) {
        let Waiting { children, tasks, .. } = {
            let mut waiting = self.lock();
            self.0.set.store(true, Ordering::SeqCst);
            self.0.changed.notify_all();
            std::mem::take(&mut *waiting)
        };
        tasks.into_iter().for_each(|(_, task)| task.wake());
        children.iter().for_each(Signal::set);
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }

    /// Blocks until the flag is set.
    pub fn wait(&self) {
        self.wait_for(|| false);
    }

    /// Waits in an async task until the flag is set, under any executor.
    ///
    /// ```
    /// use dstream::clock::Signal;
    /// use std::{pin::pin, task::{Context, Poll, Waker}};
    ///
    /// let stopping = Signal::new();
    /// // In an async function: `stopping.wait_async().await`, or as a branch of a `select!`.
    /// let mut wait = pin!(stopping.wait_async());
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert_eq!(wait.as_mut().poll(&mut context), Poll::Pending);
    /// stopping.set();
    /// assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(()));
    /// # use std::future::Future;
    /// ```
    pub fn wait_async(&self) -> WaitAsync {
        WaitAsync { signal: self.clone(), task: None }
    }

    /// Blocks until the flag is set, or for `timeout`; returns whether it is set.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let guard = self.lock();
        drop(
            self.0
                .changed
                .wait_timeout_while(guard, timeout, |_| !self.is_set())
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.is_set()
    }

    /// Blocks until `ready`, which is asked again after every [`wake`](Signal::wake), and returns `true`;
    /// or returns `false` as soon as the flag is set.
    pub(crate) fn wait_for(&self, mut ready: impl FnMut() -> bool) -> bool {
        let mut guard = self.lock();
        loop {
            if self.is_set() {
                return false;
            }
            if ready() {
                return true;
            }
            guard = self.0.changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets every waiter look again. What `ready` looks at must have changed before.
    pub(crate) fn wake(&self) {
        // Under the lock: a waiter that has just looked is asleep before this notifies.
        let _guard = self.lock();
        self.0.changed.notify_all();
    }

    fn is(&self, other: &Signal) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`Signal::wait_async`] returns: ready when the signal is set. Dropping it ends the wait.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitAsync {
    signal: Signal,
    /// The number under which the task waits.
    task: Option<u64>,
}

impl Future for WaitAsync {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let signal = self.signal.clone();
        let mut waiting = signal.lock();
        if signal.is_set() {
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

impl Drop for WaitAsync {
    fn drop(&mut self) {
        let mut waiting = self.signal.lock();
        let at = waiting.tasks.iter().position(|(task, _)| Some(*task) == self.task);
        let task = at.map(|at| waiting.tasks.swap_remove(at));
        // A waker is somebody's code.
        drop(waiting);
        drop(task);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.is_set()).finish()
    }
}

/// Measures how long something takes, in real time, also under a manual clock.
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

/// Counts what happens often and says, at most once a minute in this process, how often it did.
///
/// In real time, also under a manual clock: it is the reader of the log who must not be flooded.
#[derive(Debug)]
pub(crate) struct Occasionally {
    count: AtomicU64,
    last: Mutex<Option<Instant>>,
}

impl Occasionally {
    pub(crate) const fn new() -> Occasionally {
        Occasionally { count: AtomicU64::new(0), last: Mutex::new(None) }
    }

    /// Adds `n`; if a minute has passed since the last report, all that was counted since is given to
    /// `report`.
    pub(crate) fn count(&self, n: u64, report: impl FnOnce(u64)) {
        self.count.fetch_add(n, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn a_task_that_awaits_a_signal_is_woken_once_it_is_set() {
        let (signal, (told, woken)) = (Signal::new(), mpsc::channel());
        let waker = Waker::from(Arc::new(Tell(told)));
        let mut context = Context::from_waker(&waker);
        let (mut first, mut second) = (signal.child().wait_async(), signal.wait_async());
        for wait in [&mut first, &mut second] {
            for _ in 0..2 {
                assert!(Pin::new(&mut *wait).poll(&mut context).is_pending());
            }
        }
        drop(second);
        let setter = signal.clone();
        thread::spawn(move || setter.set());
        assert_eq!(woken.recv_timeout(Duration::from_secs(10)), Ok(()));
        assert!(Pin::new(&mut first).poll(&mut context).is_ready());
        assert!(Pin::new(&mut signal.wait_async()).poll(&mut context).is_ready());
        drop((first, waker));
        assert!(woken.recv().is_err(), "the wait that was dropped is not woken, and nothing keeps its waker");
    }
}
