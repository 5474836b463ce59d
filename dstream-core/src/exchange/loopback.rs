//! Several processes that are threads of one, for tests.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;

use super::{Exchange, ExchangeError, ExchangeStep};
use crate::{Time, clock::CancellationToken, sync::Unpoisoned};

/// A cluster in one process: contexts on threads of their own exchange bytes, as if they were on hosts of
/// their own.
///
/// Each context gets the [`process`](LoopbackCluster::process) that it is, with
/// [`Config::exchange`](crate::Config::exchange), which has an example. A process is gone when its context is
/// dropped.
#[derive(Clone)]
pub struct LoopbackCluster {
    processes: usize,
    timeout: Duration,
    shared: Arc<Shared>,
}

/// One process of a [`LoopbackCluster`].
pub struct LoopbackProcess {
    cluster: LoopbackCluster,
    process: usize,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What has been sent from one process to another: at `from * processes + to`, in order.
    queues: Vec<VecDeque<(Tag, Bytes)>>,
    /// The first one first: the others are often gone because of it.
    gone: Vec<usize>,
    /// What process 0 has announced to each process and that has not read.
    announced: Vec<VecDeque<Bytes>>,
    bytes: u64,
}

/// Which step a message is for. Later ones are greater.
type Tag = (Time, u32);

impl LoopbackCluster {
    /// A cluster of so many processes, at least one, which wait ten seconds for one another.
    pub fn new(processes: usize) -> LoopbackCluster {
        let processes = processes.max(1);
        let state = State {
            queues: vec![VecDeque::new(); processes * processes],
            gone: Vec::new(),
            announced: vec![VecDeque::new(); processes],
            bytes: 0,
        };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
        LoopbackCluster { processes, timeout: Duration::from_secs(10), shared: Arc::new(shared) }
    }

    /// How long a process waits for another one, in real time.
    pub fn timeout(mut self, timeout: Duration) -> LoopbackCluster {
        self.timeout = timeout;
        self
    }

    /// The end of a process, counted from 0, to be given to its context. The process is gone when it is
    /// dropped.
    ///
    /// # Panics
    ///
    /// If there is no such process.
    pub fn process(&self, process: usize) -> LoopbackProcess {
        assert!(process < self.processes, "there is no process {process} of {}", self.processes);
        LoopbackProcess { cluster: self.clone(), process }
    }

    /// Lets a process be gone, as if it had been killed: who waits for it, or sends to it, is told.
    pub fn kill(&self, process: usize) {
        let mut state = self.shared.lock();
        if !state.gone.contains(&process) {
            state.gone.push(process);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// How many bytes have been sent in all.
    pub fn bytes(&self) -> u64 {
        self.shared.lock().bytes
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }
}

impl State {
    /// The first process that is gone, as `process` sees it.
    fn first_gone(&self, process: usize) -> Option<ExchangeError> {
        let killed = self.gone.contains(&process).then(|| ExchangeError::with(process, "has been killed"));
        killed.or_else(|| self.gone.first().map(|gone| ExchangeError::with(*gone, "is gone")))
    }
}

impl Drop for LoopbackProcess {
    fn drop(&mut self) {
        self.cluster.kill(self.process);
    }
}

impl Exchange for LoopbackProcess {
    fn process(&self) -> usize {
        self.process
    }

    fn processes(&self) -> usize {
        self.cluster.processes
    }

    fn exchange(&self, step: &ExchangeStep<'_>, messages: Vec<Bytes>) -> Result<Vec<Bytes>, ExchangeError> {
        let LoopbackCluster { processes, timeout, shared } = &self.cluster;
        let tag = (step.batch, step.number);
        let mut state = shared.lock();
        for (to, message) in messages.into_iter().enumerate().filter(|(to, _)| *to != self.process) {
            state.bytes += message.len() as u64;
            state.queues[self.process * processes + to].push_back((tag, message));
        }
        shared.changed.notify_all();
        let mut received = vec![Bytes::new(); *processes];
        for from in (0..*processes).filter(|from| *from != self.process) {
            let queue = from * processes + self.process;
            let waits = |state: &mut State| {
                // What this process has not taken part in to the end.
                while state.queues[queue].pop_front_if(|(of, _)| *of < tag).is_some() {}
                state.queues[queue].is_empty() && state.gone.is_empty()
            };
            let waited = shared.changed.wait_timeout_while(state, *timeout, waits);
            let (now, _) = waited.unpoisoned();
            state = now;
            if let Some((_, message)) = state.queues[queue].pop_front_if(|(of, _)| *of == tag) {
                received[from] = message;
                continue;
            }
            let what = match state.queues[queue].front() {
                Some(((batch, number), _)) => {
                    format!("has gone on to exchange {number} of the batch {batch}")
                }
                None => format!("has not answered within {timeout:?}"),
            };
            return Err(state.first_gone(self.process).unwrap_or_else(|| ExchangeError::with(from, what)));
        }
        Ok(received)
    }

    fn announce(&self, message: Bytes) -> Result<(), ExchangeError> {
        let mut state = self.cluster.shared.lock();
        if let Some(gone) = state.first_gone(self.process) {
            return Err(gone);
        }
        state.announced.iter_mut().for_each(|announced| announced.push_back(message.clone()));
        self.cluster.shared.changed.notify_all();
        Ok(())
    }

    fn announcement(&self, stop: &CancellationToken) -> Result<Option<Bytes>, ExchangeError> {
        let shared = &self.cluster.shared;
        let mut state = shared.lock();
        loop {
            if let Some(announced) = state.announced[self.process].pop_front() {
                return Ok(Some(announced));
            }
            if let Some(gone) = state.first_gone(self.process) {
                return Err(gone);
            }
            if stop.is_cancelled() {
                return Ok(None);
            }
            // Nobody notifies when `stop` is cancelled.
            state = shared.changed.wait_timeout(state, Duration::from_millis(20)).unpoisoned().0;
        }
    }
}

impl fmt::Debug for LoopbackCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackCluster").field("processes", &self.processes).finish_non_exhaustive()
    }
}

impl fmt::Debug for LoopbackProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackProcess").field("process", &self.process).finish_non_exhaustive()
    }
}
