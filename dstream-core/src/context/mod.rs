//! The context: what belongs together, and its life from the first pipeline to the stop.

mod batch_queue;
mod behind;
mod builder;
mod checkpoints;
mod cluster;
mod commit;
mod failures;
mod generator;
mod given_up;
mod hoisted;
mod inner;
mod lifecycle;
mod older;
mod opened;
mod parts;
mod planners;
mod regulator;
mod run_to_end;
mod signals;
mod start;
mod step;
mod stop;
#[cfg(test)]
mod tests;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

pub use builder::Builder;
pub use hoisted::Hoisted;

use self::{
    inner::ContextInner,
    lifecycle::{Lifecycle, Phase},
    parts::Parts,
};
use crate::{
    Config, Error, Result,
    checkpoint::{IntoCheckpointStore, Storage},
    events::{Bus, Listener},
    exchange::{Part, own_groups},
    plan::Plan,
    source::handle::ContextId,
    sync::Unpoisoned,
};

/// Where a context is in its life. There is no way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextState {
    /// Pipelines can be added.
    Initialized,
    /// Batches run.
    Active,
    /// Batches don't run any more, and never will.
    Stopped,
}

/// Runs pipelines, batch by batch. It is what `stream!` evaluates to.
///
/// A value is a handle; clones are the same context. When the last handle is dropped without a stop, the
/// context stops at once, as by [`stop`](StreamingContext::stop).
///
/// Batch times are multiples of the batch interval since the epoch; the first is strictly after the start.
/// Batches run in order, one at a time. If they fall behind, the missed ones run one by one, each at its own
/// time.
///
/// ```
/// use dstream::{ContextState, prelude::*};
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 100ms, {
///     queue_stream(vec![vec![1, 2, 3]]).map(|n| n * 2).collect_to(&out);
/// })?;
/// ssc.start()?;
/// out.wait_for(1, std::time::Duration::from_secs(10));
/// ssc.stop();
/// assert_eq!(ssc.state(), ContextState::Stopped);
/// assert_eq!(out.values()[0], [2, 4, 6]);
/// # Ok::<(), dstream::Error>(())
/// ```
///
/// # Panics of the program
///
/// A panic in a closure of a pipeline fails its batch, which names the operator. Only the process's panic
/// hook is told where a panic comes from. So the first batch puts a hook around the one that there is
/// ([`std::panic::set_hook`]), for good: it prints nothing for panics that fail a batch, and calls the hook
/// before it for every other. A program that sets a hook of its own does so before the first batch; one that
/// sets it later still runs, with the operator's place missing in failures, and its own hook called for them.
#[derive(Clone)]
pub struct StreamingContext {
    handle: Arc<Handle>,
}

/// Counts the user's handles; threads of the context hold its core.
struct Handle(Arc<ContextInner>);

impl Drop for Handle {
    fn drop(&mut self) {
        let lifecycle = self.0.lock();
        let pipelines = match &lifecycle.phase {
            Phase::Active => {
                drop(lifecycle);
                return self.0.stop(false);
            }
            Phase::Initialized { pipelines } => pipelines.len(),
            Phase::Stopped => 0,
        };
        drop(lifecycle);
        if pipelines > 0 {
            crate::logs::warn!(
                "a context with {pipelines} pipelines is dropped, and nothing has run: it was neither \
                 started (`start`) nor stepped (`run_batches`) nor run to its end (`run_to_end`)"
            );
        }
    }
}

impl StreamingContext {
    /// A context with the default settings. The batch interval is a whole number of milliseconds.
    pub fn new(batch: Duration) -> Result<StreamingContext> {
        StreamingContext::with_config(batch, Config::default())
    }

    /// A context with the default settings that keeps its checkpoints there: the path of a directory, or a
    /// [`CheckpointStore`](crate::checkpoint::CheckpointStore).
    pub fn with_checkpoint(batch: Duration, store: impl IntoCheckpointStore) -> Result<StreamingContext> {
        StreamingContext::with_config(batch, Config::new().checkpoint(store))
    }

    /// A context with these settings.
    pub fn with_config(batch: Duration, config: Config) -> Result<StreamingContext> {
        Ok(StreamingContext { handle: Arc::new(Handle(ContextInner::shared(batch, config)?)) })
    }

    /// The name of the application.
    pub fn name(&self) -> String {
        self.inner().lock().name.clone()
    }

    pub(crate) fn set_name(&self, name: String) {
        self.inner().lock().name = name;
    }

    /// The batch interval.
    pub fn batch_interval(&self) -> Duration {
        self.inner().interval
    }

    fn set_checkpoint(&self, storage: Storage) {
        self.inner().lock().checkpoint = Some(storage);
    }

    fn set_forget(&self, forget: Vec<String>) {
        self.inner().lock().forget = forget;
    }

    pub(crate) fn default_partitions(&self) -> usize {
        self.inner().exec.default_partitions()
    }

    /// What the context does in each batch: its pipelines as the compiler has made them. It can be asked for
    /// at any time, and shows the pipelines that have been added until then.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let ssc = dstream::stream!(batch = 1s, name = "words", {
    ///     let lines = queue_stream(vec![vec!["a b a"]]);
    ///     lines.words().map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).print();
    /// })?;
    /// let plan = ssc.plan();
    /// assert_eq!(plan.name, "words");
    /// assert_eq!(plan.pipelines[0].outputs().count(), 1);
    /// println!("{plan}");
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn plan(&self) -> Plan {
        self.inner().plan()
    }

    /// Tells `listener` what happens in the context from now on, as [`Config::listener`] does. `Err` if there
    /// is no thread to be had for it.
    pub fn add_listener(&self, listener: impl Listener) -> Result<()> {
        self.inner().config.events.add(Arc::new(listener))
    }

    /// The listeners.
    pub(crate) fn events(&self) -> Bus {
        self.inner().config.events.clone()
    }

    /// The key groups that this process owns.
    pub(crate) fn part(&self) -> Part {
        Part::of(own_groups(self.inner().config.exchange.as_deref()))
    }

    /// Where the context is in its life.
    pub fn state(&self) -> ContextState {
        self.inner().lock().state()
    }

    fn add(&self, parts: Parts) -> Result<()> {
        self.inner().lock().add(parts)
    }

    /// Starts the sources and the batches, and returns.
    ///
    /// An error if the context has been stopped, or if another one of this process is started, which has to
    /// be stopped first. If there is no output, or a source can't be started, that is an error and the
    /// context is stopped. Starting a started context is a warning.
    pub fn start(&self) -> Result<()> {
        let inner = self.inner();
        let pipelines = {
            let mut lifecycle = inner.lock();
            match lifecycle.state() {
                ContextState::Initialized => {}
                ContextState::Active if lifecycle.run.is_none() && inner.is_stepping() => {
                    return Err(Error::State(
                        "`run_batches` drives this context: it can't be started".into(),
                    ));
                }
                ContextState::Active => {
                    crate::logs::warn!("`start` of context `{}`, which is started already", lifecycle.name);
                    return Ok(());
                }
                ContextState::Stopped => {
                    let stopped = "this context has been stopped and can't be started again: make a new one";
                    return Err(lifecycle.failures.end().cloned().unwrap_or(Error::State(stopped.into())));
                }
            }
            inner.claim()?;
            lifecycle.activate()
        };
        inner.start(pipelines).inspect_err(|_| inner.stop(false))
    }

    /// Blocks until the context stops, or until a batch fails, and returns the failure.
    ///
    /// A failure doesn't stop the context, unless [`Config::on_failure`] says so: later batches run until it
    /// is stopped or dropped. It is returned once, so that a call after it waits for the next failure or for
    /// the end. What has ended the context is returned by every call: a checkpoint that can't be written, or
    /// an [`Error::Thread`].
    ///
    /// A context that has not been started is an error at once.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1]]).foreach_rdd(|_rdd| Ok::<(), std::io::Error>(()));
    /// })?;
    /// ssc.start()?;
    /// # ssc.stop();
    /// while let Err(failure) = ssc.await_termination() {
    ///     eprintln!("{failure}");
    ///     if !matches!(failure, dstream::Error::Job(_)) {
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn await_termination(&self) -> Result<()> {
        self.wait(None).map(|_| ())
    }

    /// Like [`await_termination`](StreamingContext::await_termination), for at most `timeout`; returns
    /// whether the context has stopped.
    pub fn await_termination_or_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait(Some(timeout))
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        let inner = self.inner();
        if inner.exec.is_inside() {
            return Err(Error::State(
                "`await_termination` is called inside a batch, which would wait for itself".into(),
            ));
        }
        let mut lifecycle = inner.lock();
        if lifecycle.state() == ContextState::Initialized {
            return Err(Error::State(
                "`await_termination` waits for the end of a context that has not been started: call `start` \
                 first"
                    .into(),
            ));
        }
        let returned = lifecycle.failures.returned();
        let waiting = |lifecycle: &mut Lifecycle| {
            lifecycle.state() != ContextState::Stopped && !lifecycle.failures.is_new(returned)
        };
        lifecycle = match timeout {
            None => inner.changed.wait_while(lifecycle, waiting).unpoisoned(),
            Some(t) => inner.changed.wait_timeout_while(lifecycle, t, waiting).unpoisoned().0,
        };
        match lifecycle.failures.take(returned) {
            Some(error) => Err(error),
            None => Ok(lifecycle.state() == ContextState::Stopped),
        }
    }

    /// Stops at once: batches that have not begun are dropped, and the one that is running has two seconds to
    /// end.
    ///
    /// Inside a batch this returns at once too, and the stop goes on when the batch is done.
    pub fn stop(&self) {
        self.inner().stop(false);
    }

    /// Stops when all that was received is processed: the sources stop, a last batch takes what they still
    /// hold, and the batches that wait are run. What takes longer than
    /// [`Config::graceful_stop_timeout`](crate::Config::graceful_stop_timeout) is given up, with a warning.
    ///
    /// Inside a batch this returns at once, and the stop goes on when the batch is done.
    pub fn stop_gracefully(&self) {
        self.inner().stop(true);
    }

    pub(crate) fn id(&self) -> ContextId {
        self.inner().id
    }

    fn inner(&self) -> &Arc<ContextInner> {
        &self.handle.0
    }
}

impl fmt::Debug for StreamingContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lifecycle = self.inner().lock();
        f.debug_struct("StreamingContext")
            .field("name", &lifecycle.name)
            .field("batch_interval", &self.inner().interval)
            .field("state", &lifecycle.state())
            .finish_non_exhaustive()
    }
}
