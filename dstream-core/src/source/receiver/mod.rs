//! Receivers: sources that are pushed to, such as sockets, each on a thread of its own.

pub(crate) mod block;
mod budget;
mod context;
mod log;
mod supervisor;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, error::Error as StdError, fmt, time::Duration};

use serde::{Deserialize, Serialize};

pub use block::{Volatile, WalBlock};
pub use context::ReceiverContext;
pub use log::ReceiverLog;

pub(crate) use block::Received;
pub(crate) use log::SharedWal;

use crate::{
    Error, Result, Time,
    clock::CancellationToken,
    source::{Input, IntoSource, Limits, Source, SourceContext, kind::FromReceiver},
};

/// How long a stop waits for a receiver's thread.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that receives: a connection, a queue of messages, a device.
///
/// [`run`](Receiver::run) has a thread to itself and stores what arrives. If it returns, with `Ok` or with an
/// error, or panics, it is run again after a delay that grows from failure to failure, until the context
/// stops.
///
/// With a checkpoint, what is stored is kept over a crash (see [`ReceiverContext::store_block`]), under the
/// receiver's name.
///
/// ```
/// use dstream::{prelude::*, receiver::{Receiver, ReceiverContext}};
/// use std::{error::Error, sync::mpsc, time::Duration};
///
/// /// What is sent into a channel.
/// struct Messages(mpsc::Receiver<String>);
///
/// impl Receiver for Messages {
///     type Block = Vec<String>;
///
///     fn name(&self) -> String {
///         "messages".into()
///     }
///
///     fn run(&mut self, ctx: &ReceiverContext<Vec<String>>) -> Result<(), Box<dyn Error + Send + Sync>> {
///         while !ctx.is_stopping() {
///             match self.0.recv_timeout(Duration::from_millis(100)) {
///                 Ok(message) => {
///                     ctx.store(message);
///                 }
///                 Err(mpsc::RecvTimeoutError::Timeout) => {}
///                 // Nobody can send any more: this receiver is done for good.
///                 Err(mpsc::RecvTimeoutError::Disconnected) => ctx.stop(),
///             }
///         }
///         Ok(())
///     }
/// }
///
/// let (sender, receiver) = mpsc::channel();
/// let messages = Messages(receiver);
/// let ssc = dstream::stream!(batch = 1s, {
///     messages.map(|m| m.len()).print();
/// })?;
/// # drop(sender);
/// # Ok::<(), dstream::Error>(())
/// ```
pub trait Receiver: Send + 'static {
    /// The partitions that it makes: `Vec<T>`, [`TextBlock`](crate::block::TextBlock), or a type of its own;
    /// [`Volatile`] where a crash may lose them.
    type Block: WalBlock + 'static;

    /// How messages name this receiver, with its address: `socket_text_stream(localhost:9999)`. After a
    /// restart, what is left of it in the log is found by this name.
    fn name(&self) -> String;

    /// Refuses the start of the context where the settings can never work, such as an address that nobody may
    /// listen on. What may pass, as a server that does not answer, is an error of [`run`](Receiver::run).
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Receives until `ctx.is_stopping()`. It should notice that within a second or so; a stop waits for at
    /// most ten.
    fn run(
        &mut self,
        ctx: &ReceiverContext<Self::Block>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>>;
}

/// The stream of what a [`Receiver`] stores.
///
/// In `stream!` a receiver can start a chain by itself; this is for where a [`Source`] is wanted.
pub fn receiver_stream<R: Receiver>(receiver: R) -> ReceiverStream<R> {
    ReceiverStream { name: receiver.name(), receiver: Some(receiver), running: None }
}

/// See [`receiver_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct ReceiverStream<R: Receiver> {
    name: String,
    /// Until the start; then its thread has it.
    receiver: Option<R>,
    running: Option<Running<R::Block>>,
}

struct Running<B> {
    context: ReceiverContext<B>,
    ended: CancellationToken,
    /// What waits for a batch: what an earlier run has left in the log, and what was stored since.
    ready: VecDeque<Received<B>>,
    /// How many of these the batch takes that is planned; none if the plan is of an earlier run.
    taken: Option<usize>,
}

/// What a batch has of a receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReceiverPlan {
    /// The blocks with these numbers in the log, and those between them that are not in there.
    Logged {
        /// The first one.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// Blocks of which none is in the log: after a crash they are gone.
    Volatile,
}

impl<R: Receiver> fmt::Debug for ReceiverStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverStream").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: Receiver> Source for ReceiverStream<R> {
    type Block = Received<R::Block>;
    type Plan = ReceiverPlan;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        let Some(receiver) = self.receiver.take() else {
            return Err(Error::source(&self.name, "is started already: a receiver belongs to one context"));
        };
        receiver.check()?;
        let mut ready = VecDeque::new();
        if let Some(log) = &context.log {
            for (number, place) in log.claim(context)? {
                ready.push_back(Received::recovered(log.reader(), log.stream(), number, place)?);
            }
            if !ready.is_empty() {
                crate::logs::info!("{} blocks of {} are back from the log", ready.len(), self.name);
            }
        }
        let context = ReceiverContext::new(self.name.clone(), context);
        let ended = supervisor::spawn(receiver, context.clone()).map_err(|error| {
            Error::source(&self.name, format_args!("its thread can't be started: {error}"))
        })?;
        self.running = Some(Running { context, ended, ready, taken: None });
        Ok(())
    }

    fn plan(&mut self, _time: Time, limits: &Limits) -> Result<Option<ReceiverPlan>> {
        let Some(Running { context, ready, taken, .. }) = &mut self.running else { return Ok(None) };
        let taken = *taken.insert(context.drain(ready, limits));
        let numbers = || ready.range(..taken).filter_map(|block| block.number);
        Ok(match numbers().next().zip(numbers().next_back()) {
            Some((first, last)) => Some(ReceiverPlan::Logged { first, last }),
            None => (taken > 0).then_some(ReceiverPlan::Volatile),
        })
    }

    fn blocks(&mut self, time: Time, plan: &ReceiverPlan) -> Result<Vec<Received<R::Block>>> {
        let Some(Running { context, ready, taken, .. }) = &mut self.running else { return Ok(Vec::new()) };
        // After a restart the first ones are those of the batch, and those behind them the next one's.
        let last = match plan {
            ReceiverPlan::Logged { last, .. } => Some(*last),
            ReceiverPlan::Volatile => None,
        };
        let behind = taken
            .take()
            .or_else(|| ready.iter().position(|block| block.number > last))
            .unwrap_or(ready.len());
        let blocks: Vec<_> = ready.drain(..behind).collect();
        if let ReceiverPlan::Logged { first, last } = plan {
            let numbers = || blocks.iter().filter_map(|block| block.number);
            let found = numbers().count() as u64;
            let expected = last.saturating_sub(*first).saturating_add(1);
            if numbers().next() != Some(*first) || found != expected {
                return Err(Error::source(
                    &self.name,
                    format_args!(
                        "a batch that had begun had blocks {first} to {last}, of which the log has {found}: \
                         put back the files that are missing from it"
                    ),
                ));
            }
            if let Some(log) = &context.shared.context.log {
                log.planned(time, last.saturating_add(1));
            }
        }
        Ok(blocks)
    }

    fn details(&self, plan: &ReceiverPlan) -> Vec<String> {
        match plan {
            ReceiverPlan::Logged { first, last } => vec![format!("blocks {first} to {last} of the log")],
            ReceiverPlan::Volatile => Vec::new(),
        }
    }

    /// Without a log nobody has the blocks of an earlier run.
    fn can_replay(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.context.shared.context.log.is_some())
    }

    fn has_pending(&self) -> bool {
        self.running.as_ref().is_some_and(|r| !r.ready.is_empty() || r.context.has_pending())
    }

    fn stop(&mut self) {
        let Some(Running { context, ended, .. }) = &self.running else { return };
        context.stop();
        if !ended.wait_timeout(STOP_TIMEOUT) {
            crate::logs::warn!(
                "receiver {} has not stopped after {STOP_TIMEOUT:?}: the context stops without it",
                self.name
            );
        }
    }
}

impl<R: Receiver> IntoSource<FromReceiver> for R {
    type Input = Input<ReceiverStream<R>>;

    fn into_source(self) -> Input<ReceiverStream<R>> {
        Input::new(receiver_stream(self))
    }
}
