//! What happens in a context, for programs that watch it: a [`Listener`] is told of every batch, stage,
//! output, receiver and checkpoint.
//!
//! A listener is given to [`Config::listener`](crate::Config::listener) or
//! [`StreamingContext::add_listener`](crate::StreamingContext::add_listener). Each has a thread of its own,
//! and a bounded queue of events in front of it. So a listener can't slow a batch down, however long it
//! takes, and a panic in it costs one event. If it can't keep up, events are dropped, which it is told by
//! [`events_dropped`](Listener::events_dropped).
//!
//! The events of a batch come in this order: [`BatchPlanned`], [`BatchStarted`], then for each output in turn
//! [`OutputStarted`] and [`OutputCompleted`], with a [`StageCompleted`] where a stage has run and a
//! [`ChartUpdated`] where the output is a chart, then [`BatchCompleted`]. Batches run one after another; but
//! those that wait are planned while one runs.
//!
//! Points in time come from the context's [`Clock`](crate::clock::Clock), and delays are differences of them;
//! how long a stage, an output or a checkpoint took is measured in real time, also under a manual clock.
//!
//! ```
//! use dstream::{Config, events::{BatchCompleted, Listener}, prelude::*};
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//!
//! #[derive(Default)]
//! struct Late(AtomicU64);
//!
//! impl Listener for Late {
//!     fn batch_completed(&self, batch: &BatchCompleted) {
//!         if batch.total_delay.as_secs() >= 1 {
//!             self.0.fetch_add(1, Ordering::Relaxed);
//!         }
//!     }
//! }
//!
//! let late = Arc::new(Late::default());
//! let ssc = dstream::stream!(batch = 1s, conf = Config::new().listener(late.clone()), {
//!     queue_stream(vec![vec![1, 2, 3]]).count().print();
//! })?;
//! ssc.run_batches(2)?;
//! ssc.stop();
//! assert_eq!(late.0.load(Ordering::Relaxed), 0);
//! # Ok::<(), dstream::Error>(())
//! ```

mod bus;
mod kept;
mod status_line;
mod view;

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

pub(crate) use bus::Bus;
pub(crate) use kept::KeptOperators;
pub use kept::{KeptValue, LookUpError};
pub(crate) use status_line::StatusLine;
pub use view::ContextView;

use crate::{
    Result, Time,
    chart::{ChartData, ChartInfo},
    plan::Plan,
};

/// Declares an event a line: its method of [`Listener`], and its type, which is a variant of [`Event`].
macro_rules! events {
    ($($(#[$doc:meta])* $method:ident: $event:ident,)*) => {
        /// Is told what happens in a context: implement the methods of what you want to know.
        ///
        /// The methods are called on the listener's own thread, one at a time, in the order in which things
        /// happened. See the [module](crate::events).
        pub trait Listener: Send + Sync + 'static {
            /// The context starts, and will tell this listener of it. It is called once, before the first
            /// event, on the thread that starts the context, which waits: here a listener opens what it
            /// needs, such as a port. If that fails, so does the start, with this error.
            ///
            /// A listener that is added to a context that runs is attached when it is added.
            fn attached(&self, context: &ContextView) -> Result<()> {
                let _ = context;
                Ok(())
            }
            /// The start is refused after all, as by another listener: gives up what `attached` has opened.
            /// No event has come, and none will; `attached` may be called again.
            fn detached(&self) {}
            /// Is called with every event, before its own method.
            fn any(&self, event: &Event) {
                let _ = event;
            }
            $($(#[$doc])* fn $method(&self, event: &$event) {
                let _ = event;
            })*
        }

        /// Something that happened in a context.
        #[derive(Debug, Clone, Serialize)]
        #[serde(tag = "event", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Event {
            $($(#[$doc])* $event($event),)*
        }

        impl Event {
            /// Calls [`Listener::any`], then the method of this event.
            pub fn deliver(&self, listener: &(impl Listener + ?Sized)) {
                listener.any(self);
                match self {
                    $(Event::$event(event) => listener.$method(event),)*
                }
            }
        }

        impl fmt::Debug for dyn Listener {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("Listener")
            }
        }

        /// A listener that the program looks at, too.
        impl<L: Listener + ?Sized> Listener for Arc<L> {
            fn attached(&self, context: &ContextView) -> Result<()> {
                (**self).attached(context)
            }
            fn detached(&self) {
                (**self).detached();
            }
            fn any(&self, event: &Event) {
                (**self).any(event);
            }
            $(fn $method(&self, event: &$event) {
                (**self).$method(event);
            })*
        }

        $(impl From<$event> for Event {
            fn from(event: $event) -> Event {
                Event::$event(event)
            }
        })*
    };
}

events! {
    /// The context starts: the sources are started next, and batches follow.
    context_started: ContextStarted,
    /// The context has stopped. Nothing follows.
    context_stopped: ContextStopped,
    /// A receiver is run, for the first time or once more.
    receiver_started: ReceiverStarted,
    /// A receiver has ended, failed or panicked, and will be run again.
    receiver_failed: ReceiverFailed,
    /// A receiver has ended because the context stops.
    receiver_stopped: ReceiverStopped,
    /// The time of a batch is reached: it waits for those before it.
    batch_planned: BatchPlanned,
    /// A batch is processed from now on.
    batch_started: BatchStarted,
    /// A stage of a batch is done, or has failed.
    stage_completed: StageCompleted,
    /// An output is handed its batch.
    output_started: OutputStarted,
    /// An attempt of an output has failed, and will be made again.
    output_retried: OutputRetried,
    /// An output is done with its batch, or has failed.
    output_completed: OutputCompleted,
    /// A chart has the data of one more batch.
    chart_updated: ChartUpdated,
    /// A batch is done. With a checkpoint, it is written down.
    batch_completed: BatchCompleted,
    /// A checkpoint is on the disk.
    checkpoint_written: CheckpointWritten,
    /// A batch has ended more than an interval after its time. It is said once, and again whenever batches
    /// are twice as late.
    batches_behind: BatchesBehind,
    /// Batches end in time again.
    batches_caught_up: BatchesCaughtUp,
    /// An error that costs records or time but fails no batch, as
    /// [`Config::on_report`](crate::Config::on_report) has it.
    reported: Reported,
    /// Events are missing here, since this listener did not keep up.
    events_dropped: EventsDropped,
}

/// See [`Listener::context_started`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ContextStarted {
    /// When it was started.
    pub at: Time,
    /// What it does in each batch.
    pub plan: Plan,
}

/// See [`Listener::context_stopped`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ContextStopped {
    /// When it has stopped.
    pub at: Time,
    /// The first failure there was, if any: what `await_termination` returns.
    pub error: Option<String>,
}

/// See [`Listener::receiver_started`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ReceiverStarted {
    /// The source: its name in the plan.
    pub source: String,
    /// When it is run.
    pub at: Time,
}

/// See [`Listener::receiver_failed`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ReceiverFailed {
    /// The source: its name in the plan.
    pub source: String,
    /// When it ended.
    pub at: Time,
    /// What happened.
    pub error: String,
    /// After what time it is run again.
    pub next_try_in: Duration,
}

/// See [`Listener::receiver_stopped`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ReceiverStopped {
    /// The source: its name in the plan.
    pub source: String,
    /// When it ended.
    pub at: Time,
}

/// See [`Listener::batch_planned`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BatchPlanned {
    /// The time of the batch.
    pub batch: Time,
    /// When that was reached. It is later than the batch's time where batches are missed, as by a restart.
    pub at: Time,
    /// How many intervals the batch has: 1, or more where those that were missed are
    /// [merged](crate::backpressure::OnBehind::Merge).
    pub intervals: u64,
}

/// See [`Listener::batch_started`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BatchStarted {
    /// The time of the batch.
    pub batch: Time,
    /// When its processing begins.
    pub at: Time,
    /// For how long it has waited since it was planned.
    pub scheduling_delay: Duration,
    /// What each source has for it, in the order of the program.
    pub inputs: Vec<InputInfo>,
}

/// What a source has for a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InputInfo {
    /// The source: its name in the plan.
    pub source: String,
    /// How many blocks.
    pub blocks: u64,
    /// About how many bytes of memory or of a file that is not read yet.
    pub bytes: u64,
    /// How many records; known when the batch is done, and only for blocks that can say it. Of a file nobody
    /// counts them.
    pub records: Option<u64>,
    /// How many records it might have, if that was limited: see [`backpressure`](crate::backpressure).
    pub limit: Option<u64>,
    /// What is in it, one a line: the files, or the ranges of offsets. The first twenty, and how many more
    /// there are.
    pub details: Vec<String>,
}

/// See [`Listener::stage_completed`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StageCompleted {
    /// The time of the batch.
    pub batch: Time,
    /// The number of the pipeline in the context: an index into [`Plan::pipelines`].
    pub pipeline: usize,
    /// The number of the stage in the pipeline: an index into
    /// [`PipelinePlan::stages`](crate::plan::PipelinePlan::stages).
    pub stage: usize,
    /// In how many tasks it ran.
    pub tasks: u64,
    /// Over how many blocks.
    pub blocks: u64,
    /// How many records it has read, where its blocks can say it.
    pub records: Option<u64>,
    /// How long it took.
    pub elapsed: Duration,
    /// How long its tasks took, all together: with many threads more than `elapsed`.
    pub busy: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// See [`Listener::output_started`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct OutputStarted {
    /// The time of the batch.
    pub batch: Time,
    /// The output: its name in the plan.
    pub output: String,
    /// When it begins.
    pub at: Time,
}

/// See [`Listener::output_retried`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct OutputRetried {
    /// The time of the batch.
    pub batch: Time,
    /// The output: its name in the plan.
    pub output: String,
    /// Which attempt has failed, counted from 1.
    pub attempt: u32,
    /// Why.
    pub error: String,
    /// After what time it is tried again.
    pub next_try_in: Duration,
}

/// See [`Listener::output_completed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutputCompleted {
    /// The time of the batch.
    pub batch: Time,
    /// The output: its name in the plan.
    pub output: String,
    /// How long it took, with all attempts.
    pub elapsed: Duration,
    /// How many records it was given; `None` if they could not be made.
    pub records: Option<u64>,
    /// How many attempts were made: 0 if what it should have put out could not be made.
    pub attempts: u32,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// See [`Listener::chart_updated`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChartUpdated {
    /// The chart.
    pub chart: ChartInfo,
    /// The time of the batch.
    pub batch: Time,
    /// What it shows of the batch.
    pub data: ChartData,
}

/// See [`Listener::batch_completed`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BatchCompleted {
    /// The time of the batch.
    pub batch: Time,
    /// When it was planned.
    pub planned_at: Time,
    /// When its processing began.
    pub started_at: Time,
    /// When it was done.
    pub at: Time,
    /// From the planning to the begin of the processing.
    pub scheduling_delay: Duration,
    /// From the begin of the processing to the end.
    pub processing_time: Duration,
    /// From the planning to the end.
    pub total_delay: Duration,
    /// What each source had for it, in the order of the program.
    pub inputs: Vec<InputInfo>,
    /// The outputs that have run, in that order. One that was not due, or had run before a restart, is not
    /// among them.
    pub outputs: Vec<OutputCompleted>,
    /// What operators keep now, in the order of the program.
    pub kept: Vec<KeptInfo>,
    /// Its first failure, if any.
    pub error: Option<String>,
}

/// What an operator keeps from batch to batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeptInfo {
    /// The operator: its name in the plan.
    pub operator: String,
    /// How many keys a state or a keyed window has, and how many records or partial results another window;
    /// `None` where nobody counts them.
    pub keys: Option<u64>,
    /// About how many bytes of memory it takes: its tables, and what keys and values have outside of them,
    /// which is estimated from what a sample of them takes when it is written down. `None` where nobody
    /// estimates it.
    pub estimated_bytes: Option<u64>,
    /// Of a window, the oldest batch in it. Of a state, the batch in which records last came for the key for
    /// which none came for longest, or in which its value was seen to change; known of `update_state_by_key`,
    /// and of `map_with_state` with a `timeout`.
    pub oldest: Option<Time>,
}

/// See [`Listener::checkpoint_written`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CheckpointWritten {
    /// The batch that begins, has had an output, or is done.
    pub batch: Time,
    /// How many bytes were written.
    pub bytes: u64,
    /// How long it took, with what was tried again.
    pub elapsed: Duration,
}

/// See [`Listener::batches_behind`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BatchesBehind {
    /// The batch that has ended.
    pub batch: Time,
    /// How long after its time.
    pub delay: Duration,
    /// How many batches wait.
    pub waiting: u64,
}

/// See [`Listener::batches_caught_up`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BatchesCaughtUp {
    /// The batch that has ended in time.
    pub batch: Time,
}

/// See [`Listener::reported`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Reported {
    /// The error.
    pub error: String,
}

/// See [`Listener::events_dropped`].
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct EventsDropped {
    /// How many.
    pub count: u64,
}
