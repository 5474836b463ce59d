//! Receivers: sources that something arrives at by itself, each on a thread of its own.

mod supervisor;

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{Block, Config, Error, Input, IntoSource, Result, Signal, Source, SourceContext, Time};

/// How long a stop waits for a receiver's thread.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that receives: a connection, a queue of messages, a device.
///
/// [`run`](Receiver::run) has a thread to itself and stores what arrives. If it returns, with `Ok` or with an error, or panics,
/// it is run again after a delay that grows from failure to failure, until the context stops.
///
/// ```
/// use dstream::{prelude::*, Receiver, ReceiverContext};
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
    /// The partitions that it makes: `Vec<T>`, [`TextBlock`](crate::TextBlock), or a type of its own.
    type Block: Block + 'static;

    /// How messages name this receiver, with its address: `socket_text_stream(localhost:9999)`.
    fn name(&self) -> String;

    /// Receives until `ctx.is_stopping()`. It should notice that within a second or so; a stop waits for at most ten.
    fn run(
        &mut self,
        ctx: &ReceiverContext<Self::Block>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>>;
}

/// What a [`Receiver`] stores into. Clones store into the same stream, from any thread.
///
/// All that a receiver holds and that is not processed yet is bounded by
/// [`Config::receiver_buffer_bytes`](crate::Config::receiver_buffer_bytes); a store blocks while there is no room. Only
/// what is stored during a stop goes beyond, since it would be lost.
pub struct ReceiverContext<B> {
    shared: Arc<Shared<B>>,
}

struct Shared<B> {
    name: String,
    context: SourceContext,
    stop: Signal,
    budget: Arc<Budget>,
    buffer: Mutex<Buffer<B>>,
    /// Whether something was stored since the supervisor asked.
    stored: AtomicBool,
}

/// What belongs to the batch that is planned next.
struct Buffer<B> {
    closed: Vec<Received<B>>,
    open: Option<(Time, Received<B>)>,
}

impl<B: Block> ReceiverContext<B> {
    fn new(name: String, context: &SourceContext) -> Self {
        let stop = context.stopping.child();
        let limit = context.config.receiver_buffer_bytes;
        let budget = Arc::new(Budget { held: AtomicUsize::new(0), limit, stop: stop.clone() });
        let buffer = Mutex::new(Buffer { closed: Vec::new(), open: None });
        let stored = AtomicBool::new(false);
        ReceiverContext {
            shared: Arc::new(Shared { name, context: context.clone(), stop, budget, buffer, stored }),
        }
    }

    /// Stores one partition: the reliable form. What it holds may be acknowledged to its sender once this returns `true`.
    ///
    /// Blocks while the buffer is full. `false` says that the receiver is to stop: what is stored while it does is
    /// processed by a graceful stop, but lost by an immediate one, so it should not be acknowledged.
    pub fn store_block(&self, block: B) -> bool {
        let permit = self.permit(block.weight());
        let mut buffer = self.lock();
        buffer.close();
        buffer.closed.push(Received { block, permit });
        drop(buffer);
        self.stored()
    }

    /// Adds `piece`, of so many bytes, to the open block with `grow`; if that gives it back, or the block is to be
    /// closed, it begins the next one with `begin`.
    pub(crate) fn extend<P>(
        &self,
        bytes: usize,
        piece: P,
        grow: impl FnOnce(&mut B, P) -> Option<P>,
        begin: impl FnOnce(P) -> B,
    ) -> bool {
        let Shared { context, .. } = &*self.shared;
        let permit = self.permit(bytes);
        let now = context.clock.now();
        let mut buffer = self.lock();
        if let Some((opened, block)) = &buffer.open
            && (now.since(*opened) >= context.config.block_interval
                || block.permit.bytes.saturating_add(bytes) > context.config.max_block_bytes)
        {
            buffer.close();
        }
        let piece = match &mut buffer.open {
            Some((_, open)) => {
                let left = grow(&mut open.block, piece);
                if left.is_none() {
                    open.permit.join(permit);
                    drop(buffer);
                    return self.stored();
                }
                left
            }
            None => Some(piece),
        };
        if let Some(piece) = piece {
            buffer.close();
            buffer.open = Some((now, Received { block: begin(piece), permit }));
        }
        drop(buffer);
        self.stored()
    }

    /// Whether the receiver is to stop, because the context does or because [`stop`](ReceiverContext::stop) was called.
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.is_set()
    }

    /// Blocks for `time`, by the clock of the context; returns `false` as soon as the receiver is to stop.
    pub fn wait(&self, time: Duration) -> bool {
        let clock = &self.shared.context.clock;
        clock.wait_until(clock.now() + time, &self.shared.stop)
    }

    /// Like `wait`, but in real time: for what polls something outside.
    pub(crate) fn pause(&self, time: Duration) {
        self.shared.stop.wait_timeout(time);
    }

    /// Ends this receiver for good: when `run` returns, it is not run again. The context goes on.
    pub fn stop(&self) {
        self.shared.stop.set();
    }

    /// Reports an error that the receiver gets over by itself: in the log, and to [`Config::on_report`].
    pub fn report_error(&self, error: impl fmt::Display) {
        tracing::warn!("receiver {}: {error}", self.shared.name);
        self.config().reports.tell(&Error::source(&self.shared.name, error));
    }

    /// The settings of the context.
    pub(crate) fn config(&self) -> &Config {
        &self.shared.context.config
    }

    fn permit(&self, bytes: usize) -> Permit {
        self.shared.budget.take(bytes);
        Permit { budget: Arc::clone(&self.shared.budget), bytes }
    }

    fn stored(&self) -> bool {
        self.shared.stored.store(true, Ordering::Relaxed);
        !self.is_stopping()
    }

    fn drain(&self) -> Vec<Received<B>> {
        let mut buffer = self.lock();
        buffer.close();
        std::mem::take(&mut buffer.closed)
    }

    fn has_pending(&self) -> bool {
        let buffer = self.lock();
        !buffer.closed.is_empty() || buffer.open.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Buffer<B>> {
        self.shared.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> ReceiverContext<Vec<T>> {
    /// Stores one record: the unreliable form, since a record is on its own only once its block is closed. Blocks are closed
    /// after [`Config::block_interval`](crate::Config::block_interval), and for each batch.
    ///
    /// Blocks while the buffer is full, where a record counts with its size without what it points to.
    /// `false` says that the receiver is to stop.
    pub fn store(&self, record: T) -> bool {
        let grow = |block: &mut Vec<T>, record| {
            block.push(record);
            None
        };
        self.extend(size_of::<T>().max(1), record, grow, |record| vec![record])
    }
}

impl<B> Clone for ReceiverContext<B> {
    fn clone(&self) -> Self {
        ReceiverContext { shared: Arc::clone(&self.shared) }
    }
}

impl<B> fmt::Debug for ReceiverContext<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { name, budget, .. } = &*self.shared;
        f.debug_struct("ReceiverContext").field("name", name).field("budget", budget).finish_non_exhaustive()
    }
}

impl<B> Buffer<B> {
    fn close(&mut self) {
        self.closed.extend(self.open.take().map(|(_, block)| block));
    }
}

/// How many bytes a receiver may hold.
#[derive(Debug)]
struct Budget {
    held: AtomicUsize,
    limit: usize,
    /// Waiters sleep on the signal that also ends their wait.
    stop: Signal,
}

impl Budget {
    /// Blocks until there is room; something larger than the limit has room when nothing else is held.
    fn take(&self, bytes: usize) {
        let fits = |held: usize| {
            let all = held.saturating_add(bytes);
            (held == 0 || all <= self.limit).then_some(all)
        };
        let try_take = || self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok();
        if !try_take() && !self.stop.wait_for(try_take) {
            self.held.fetch_add(bytes, Ordering::SeqCst);
        }
    }
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Permit {
    fn join(&mut self, mut other: Permit) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.held.fetch_sub(self.bytes, Ordering::SeqCst);
            self.budget.stop.wake();
        }
    }
}

/// A block of a receiver; when it has been processed its bytes leave the receiver's buffer.
#[derive(Debug)]
pub struct Received<B> {
    block: B,
    permit: Permit,
}

impl<B: Block> Block for Received<B> {
    type Record<'a>
        = B::Record<'a>
    where
        Self: 'a;

    fn open(&mut self) -> Result<()> {
        self.block.open()
    }

    fn records(&mut self) -> impl Iterator<Item = Self::Record<'_>> {
        self.block.records()
    }

    fn weight(&self) -> usize {
        self.block.weight()
    }
}

/// The stream of what a [`Receiver`] stores.
///
/// In `stream!` a receiver can start a chain by itself; this is for where a [`Source`] is wanted.
pub fn receiver_stream<R: Receiver>(receiver: R) -> ReceiverStream<R> {
    ReceiverStream { name: receiver.name(), receiver: Some(receiver), running: None }
}

/// See [`receiver_stream`].
pub struct ReceiverStream<R: Receiver> {
    name: String,
    /// Until the start; then its thread has it.
    receiver: Option<R>,
    running: Option<Running<R::Block>>,
}

struct Running<B> {
    context: ReceiverContext<B>,
    ended: Signal,
}

impl<R: Receiver> fmt::Debug for ReceiverStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverStream").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: Receiver> Source for ReceiverStream<R> {
    type Block = Received<R::Block>;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        let Some(receiver) = self.receiver.take() else {
            return Err(Error::source(&self.name, "is started already: a receiver belongs to one context"));
        };
        let context = ReceiverContext::new(self.name.clone(), context);
        let ended = supervisor::spawn(receiver, context.clone()).map_err(|error| {
            Error::source(&self.name, format_args!("its thread can't be started: {error}"))
        })?;
        self.running = Some(Running { context, ended });
        Ok(())
    }

    fn batch(&mut self, _time: Time) -> Result<Vec<Received<R::Block>>> {
        Ok(self.running.as_ref().map(|r| r.context.drain()).unwrap_or_default())
    }

    fn has_pending(&self) -> bool {
        self.running.as_ref().is_some_and(|r| r.context.has_pending())
    }

    fn stop(&mut self) {
        let Some(Running { context, ended }) = &self.running else { return };
        context.stop();
        if !ended.wait_timeout(STOP_TIMEOUT) {
            tracing::warn!(
                "receiver {} has not stopped after {STOP_TIMEOUT:?}: the context stops without it",
                self.name
            );
        }
    }
}

/// Marks a [`Receiver`] in [`IntoSource`].
#[derive(Debug)]
pub struct FromReceiver;

impl<R: Receiver> IntoSource<FromReceiver> for R {
    type Feed = Input<ReceiverStream<R>>;

    fn into_source(self) -> Input<ReceiverStream<R>> {
        Input::new(receiver_stream(self))
    }
}
