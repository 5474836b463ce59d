//! What has come from the other processes, and which of them are gone.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use dstream_core::{
    Time,
    clock::CancellationToken,
    exchange::{ExchangeError, ExchangeStep},
};

/// Which step a message is for. Later ones are greater.
pub(crate) type Tag = (Time, u32);

/// After how long a process that is waited for is named, at first.
const SLOW: Duration = Duration::from_secs(10);

/// How often who waits for an announcement looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The messages of all processes, in the order in which each has sent them.
pub(crate) struct Mailbox {
    own: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    steps: Vec<VecDeque<(Tag, Bytes)>>,
    announced: VecDeque<Bytes>,
    /// Which processes are not there any more, and why. The first one first: the others are often gone because
    /// of it.
    lost: Vec<(usize, String)>,
    /// This process ends, so the others do not matter.
    closed: bool,
}

impl State {
    /// The first process that is gone, and why.
    fn first_lost(&self) -> Option<ExchangeError> {
        self.lost.first().map(|(process, why)| ExchangeError::with(*process, why.clone()))
    }
}

impl Mailbox {
    pub(crate) fn new(own: usize, processes: usize) -> Mailbox {
        let state = State {
            steps: vec![VecDeque::new(); processes],
            announced: VecDeque::new(),
            lost: Vec::new(),
            closed: false,
        };
        Mailbox { own, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn deliver(&self, from: usize, tag: Tag, message: Bytes) {
        if let Some(steps) = self.lock().steps.get_mut(from) {
            steps.push_back((tag, message));
        }
        self.changed.notify_all();
    }

    pub(crate) fn announced(&self, message: Bytes) {
        self.lock().announced.push_back(message);
        self.changed.notify_all();
    }

    /// A process is gone; the first reason counts. Returns whether that is news: not if this process ends.
    pub(crate) fn lose(&self, process: usize, why: String) -> bool {
        let mut state = self.lock();
        let is_news = !state.closed;
        if state.lost.iter().all(|(lost, _)| *lost != process) {
            state.lost.push((process, why));
        }
        drop(state);
        self.changed.notify_all();
        is_news
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_lost(&self, process: usize) -> bool {
        self.lock().lost.iter().any(|(lost, _)| *lost == process)
    }

    /// The first process that is gone.
    pub(crate) fn first_lost(&self) -> Option<ExchangeError> {
        self.lock().first_lost()
    }

    /// Waits for what `from` has sent in a step. A process that is there is waited for, for at most
    /// `patience`, and is named when it takes long.
    pub(crate) fn message(
        &self,
        from: usize,
        step: &ExchangeStep<'_>,
        patience: Duration,
    ) -> Result<Bytes, ExchangeError> {
        let tag = (step.batch, step.number);
        let began = Instant::now();
        let mut slow = SLOW;
        let mut state = self.lock();
        loop {
            let queue = &mut state.steps[from];
            // What this process has not taken part in to the end.
            while queue.pop_front_if(|(of, _)| *of < tag).is_some() {}
            if let Some((_, message)) = queue.pop_front_if(|(of, _)| *of == tag) {
                return Ok(message);
            }
            if let Some(((batch, number), _)) = queue.front() {
                let message = format!("has gone on to exchange {number} of the batch {batch}");
                return Err(ExchangeError::with(from, message));
            }
            // The one that is gone may not be the one that is waited for, which then waits for it, too.
            if let Some(lost) = state.first_lost() {
                return Err(lost);
            }
            if state.closed {
                return Err(ExchangeError::new("this process ends"));
            }
            let waited = began.elapsed();
            if waited >= patience {
                let message =
                    format!("is there, but has not come to `{}` within {patience:?}", step.operator);
                return Err(ExchangeError::with(from, message));
            }
            if waited >= slow {
                slow *= 2;
                tracing::warn!(
                    "process {} has waited {waited:.0?} for process {from} at `{}` of the batch {}, which is slower",
                    self.own,
                    step.operator,
                    step.batch
                );
            }
            let next = slow.min(patience).saturating_sub(waited);
            state = self.changed.wait_timeout(state, next).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the next announcement of process 0.
    pub(crate) fn announcement(&self, stop: &CancellationToken) -> Result<Option<Bytes>, ExchangeError> {
        let mut state = self.lock();
        loop {
            if let Some(announced) = state.announced.pop_front() {
                return Ok(Some(announced));
            }
            if let Some(lost) = state.first_lost() {
                return Err(lost);
            }
            if stop.is_cancelled() || state.closed {
                return Ok(None);
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
