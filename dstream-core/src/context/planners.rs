//! The planning threads, which decide the records of each source that belong to a batch. Each source has its
//! own thread, so that a slow source delays neither other sources nor a running batch.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use super::batch_queue::BatchQueue;
use crate::{
    Error, Result, Time,
    source::{AnyInput, Limits},
    sync::Unpoisoned,
    threads::Threads,
};

/// How long a source may take to stop once it has been told to: longer than a receiver's thread may.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// The planning threads of a context. When this is dropped, they complete their tasks and end.
pub(super) struct Planners {
    planners: Vec<Planner>,
    states: Arc<States>,
}

struct Planner {
    name: String,
    input: Arc<dyn AnyInput>,
    tasks: Sender<Task>,
}

/// A task of a planning thread. Tasks are executed in order.
enum Task {
    Plan(Time, Limits),
    Committed(Time),
    Stop,
}

/// The progress of all planning threads.
struct States {
    all: Mutex<Vec<State>>,
    changed: Condvar,
}

#[derive(Clone, Default)]
struct State {
    /// The number of batches that were sent to the thread, and that it has planned.
    asked: u64,
    planned: u64,
    stop: Stop,
    /// Whether the stopped source holds records that belong to no batch.
    pending: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Stop {
    #[default]
    NotBegun,
    Begun,
    Done,
}

impl Planners {
    pub(super) fn spawn(
        threads: &Threads,
        inputs: &[Arc<dyn AnyInput>],
        queue: &Arc<BatchQueue>,
    ) -> Result<Planners> {
        let all = Mutex::new(vec![State::default(); inputs.len()]);
        let states = Arc::new(States { all, changed: Condvar::new() });
        let planners = inputs.iter().enumerate().map(|(at, input)| {
            let (tasks, received) = mpsc::channel();
            let (states, queue) = (Arc::clone(&states), Arc::clone(queue));
            let name = input.name().to_owned();
            let planner = Planner { name, input: Arc::clone(input), tasks };
            let input = Arc::clone(input);
            threads
                .spawn(format!("dstream-plan-{}", planner.name), move || {
                    work(&*input, &received, &states, at, &queue);
                })
                .map_err(|error| {
                    Error::io("the thread that plans the batches of a source can't be started", error)
                })?;
            Ok(planner)
        });
        Ok(Planners { planners: planners.collect::<Result<_>>()?, states })
    }

    /// Lets every source plan the batch at `time`, within its limits.
    pub(super) fn plan(&self, time: Time, limits: Vec<Limits>) {
        self.states.lock().iter_mut().for_each(|state| state.asked += 1);
        let mut limits = limits.into_iter();
        self.send(|| Task::Plan(time, limits.next().unwrap_or_default()));
    }

    /// Waits until every source has planned the batch at `time`; `false` if it is abandoned before.
    pub(super) fn wait_planned(&self, time: Time, queue: &BatchQueue) -> bool {
        self.planners.iter().all(|planner| queue.abandoned.wait_for(|| planner.input.is_planned(time)))
    }

    /// About how many records each source has for the batch at `time`.
    pub(super) fn planned_records(&self, time: Time) -> impl Iterator<Item = u64> {
        self.planners.iter().map(move |planner| planner.input.planned_records(time))
    }

    /// Tells every source that the batches up to `time` are done.
    pub(super) fn committed(&self, time: Time) {
        self.send(|| Task::Committed(time));
    }

    /// Stops the sources, at the same time; each when it has planned what it was asked to, for which there is
    /// `timeout`. Returns whether all of them have stopped.
    pub(super) fn stop(&self, timeout: Duration) -> bool {
        self.send(|| Task::Stop);
        let busy = self.states.wait(timeout, |state| state.stop == Stop::NotBegun);
        for at in &busy {
            crate::logs::warn!(
                "source {} still plans a batch {timeout:?} after the stop: the context stops without it",
                self.planners[*at].name
            );
        }
        let slow = self.states.wait(STOP_TIMEOUT, |state| state.stop == Stop::Begun);
        for at in &slow {
            crate::logs::warn!(
                "source {} has not stopped after {STOP_TIMEOUT:?}: the context stops without it",
                self.planners[*at].name
            );
        }
        busy.is_empty() && slow.is_empty()
    }

    /// Whether a source that has stopped holds something that no batch has, nor will have of those that it
    /// was asked to plan.
    pub(super) fn has_pending(&self, timeout: Duration) -> bool {
        self.states.wait(timeout, |state| state.stop == Stop::Done && state.planned < state.asked);
        self.states.lock().iter().any(|state| state.pending)
    }

    /// The stopped sources that hold something which no batch has.
    pub(super) fn pending(&self) -> Vec<String> {
        let states = self.states.lock();
        let all = self.planners.iter().zip(&*states);
        all.filter(|(_, state)| state.pending).map(|(planner, _)| planner.name.clone()).collect()
    }

    fn send(&self, mut task: impl FnMut() -> Task) {
        // Each thread lives as long as its sender.
        self.planners.iter().for_each(|planner| drop(planner.tasks.send(task())));
    }
}

fn work(input: &dyn AnyInput, tasks: &Receiver<Task>, states: &States, at: usize, queue: &BatchQueue) {
    let mut stopped = false;
    for task in tasks {
        match task {
            Task::Plan(time, limits) => {
                input.plan(time, &limits);
                let pending = stopped && input.has_pending();
                states.change(at, |state| (state.planned, state.pending) = (state.planned + 1, pending));
                queue.abandoned.wake();
            }
            Task::Committed(time) => input.committed(time),
            Task::Stop => {
                states.change(at, |state| state.stop = Stop::Begun);
                input.stop();
                stopped = true;
                let pending = input.has_pending();
                states.change(at, |state| (state.stop, state.pending) = (Stop::Done, pending));
            }
        }
    }
}

impl States {
    fn change(&self, at: usize, change: impl FnOnce(&mut State)) {
        change(&mut self.lock()[at]);
        self.changed.notify_all();
    }

    /// Waits until no thread is `busy`, for at most `timeout`; returns which ones are.
    fn wait(&self, timeout: Duration, busy: impl Fn(&State) -> bool) -> Vec<usize> {
        let any = |all: &mut Vec<State>| all.iter().any(&busy);
        let (all, _) = self.changed.wait_timeout_while(self.lock(), timeout, any).unpoisoned();
        all.iter().enumerate().filter(|(_, state)| busy(state)).map(|(at, _)| at).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        self.all.lock().unpoisoned()
    }
}
