//! The context of a receiver, into which it stores blocks.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    block::{Received, Volatile, WalBlock},
    budget::{Budget, Permit, Quota},
    log::{OpenBlock, ReceiverLog},
};
use crate::{
    Config, Error, Time,
    clock::CancellationToken,
    source::{Limits, SourceContext, records_of},
    sync::Unpoisoned,
};

/// What a [`Receiver`](crate::receiver::Receiver) stores into. Clones store into the same stream, from any
/// thread.
///
/// All that a receiver holds and that is not processed yet is bounded by
/// [`Config::receiver_buffer_bytes`](crate::Config::receiver_buffer_bytes); a store blocks while there is no
/// room. Only what is stored during a stop goes beyond, since it would be lost.
///
/// With a checkpoint, what is stored also goes to a write-ahead log on the disk, and is processed after a
/// crash if it was not before (see [`Config::write_ahead_log`](crate::Config::write_ahead_log)).
pub struct ReceiverContext<B> {
    pub(super) shared: Arc<Shared<B>>,
}

pub(super) struct Shared<B> {
    pub(super) name: String,
    pub(super) context: SourceContext,
    pub(super) stop: CancellationToken,
    budget: Arc<Budget>,
    quota: Quota,
    buffer: Mutex<Buffer<B>>,
    /// Whether something was stored since the supervisor asked.
    pub(super) stored: AtomicBool,
}

/// The blocks of the batch that is planned next.
struct Buffer<B> {
    closed: Vec<Received<B>>,
    open: Option<Growing<B>>,
}

struct Growing<B> {
    since: Time,
    block: B,
    permit: Permit,
}

/// The state of a block with respect to the write-ahead log.
enum Logged {
    /// It is not for the log.
    Never,
    /// It could not be encoded.
    Failed,
    /// It is in the log when so many blocks are written.
    After(u64),
}

impl<B: WalBlock + 'static> ReceiverContext<B> {
    pub(super) fn new(name: String, context: &SourceContext) -> Self {
        let stop = context.stopping.child_token();
        let budget = Budget::new(context.config.receiver_buffer_bytes, stop.clone());
        let first = context.clock.now().next_multiple_of(context.interval);
        let limits = Limits::of_first_batch(&context.config, first, context.interval);
        let quota = Quota::new(&limits, stop.clone());
        let buffer = Mutex::new(Buffer { closed: Vec::new(), open: None });
        let stored = AtomicBool::new(false);
        let shared = Arc::new(Shared { name, context: context.clone(), stop, budget, quota, buffer, stored });
        if let Some(log) = shared.log() {
            let shared: Weak<Shared<B>> = Arc::downgrade(&shared);
            log.watch(shared);
        }
        ReceiverContext { shared }
    }
}

impl<B: WalBlock> ReceiverContext<B> {
    /// Stores one partition: the reliable form. What it holds may be acknowledged to its sender once this
    /// returns `true`: with a checkpoint, it is in the log then, and survives a crash and a loss of power.
    ///
    /// Blocks while the buffer is full, and while the log can't be written: that is reported (see
    /// [`Config::on_report`](crate::Config::on_report)), and tried again after a delay that grows.
    ///
    /// With the log a call takes a sync of the disk, some milliseconds, which threads that store at the same
    /// time share; so make blocks of all that has arrived.
    ///
    /// `false` says that the block must not be acknowledged, in most cases because the receiver is to stop,
    /// or will be since the disk has failed: what is stored while it does is processed by a graceful stop,
    /// but may be lost by an immediate one. A sender that sends it again may find that it was processed all
    /// the same, as after a crash between this call and its acknowledgement; so give records a number, and
    /// let the pipeline keep the last one.
    #[must_use = "a block may be acknowledged only if this is `true`"]
    pub fn store_block(&self, block: B) -> bool {
        if self.shared.quota.is_limited() {
            self.shared.quota.take_all(block.record_count().unwrap_or(1));
        }
        let permit = self.shared.budget.take(block.weight());
        self.store_permitted(block, permit)
    }

    /// As [`store_block`](ReceiverContext::store_block), but gives the block back where that would wait for
    /// room: for a protocol in which a sender can be told to come back later.
    ///
    /// Like that one it waits for the log.
    pub fn try_store_block(&self, block: B) -> Result<bool, B> {
        let Some(permit) = self.shared.budget.try_take(block.weight()) else { return Err(block) };
        let quota = &self.shared.quota;
        if quota.is_limited() && !quota.try_take_all(block.record_count().unwrap_or(1)) {
            return Err(block);
        }
        Ok(self.store_permitted(block, permit))
    }

    fn store_permitted(&self, block: B, permit: Permit) -> bool {
        let mut buffer = self.shared.lock();
        self.shared.close_open(&mut buffer);
        let logged = self.shared.add(&mut buffer, block, permit);
        drop(buffer);
        let safe = match logged {
            Logged::Never => true,
            Logged::Failed => false,
            Logged::After(count) => self.wait_logged(count),
        };
        self.stored() && safe
    }

    /// Adds `piece`, of so many bytes, to the open block with `grow`; if that gives it back, or the block is
    /// to be closed, it begins the next one with `begin`.
    pub(crate) fn extend<P>(
        &self,
        bytes: usize,
        piece: P,
        grow: impl FnOnce(&mut B, P) -> Option<P>,
        begin: impl FnOnce(P) -> B,
    ) -> bool {
        let Shared { context, budget, .. } = &*self.shared;
        let permit = budget.take(bytes);
        let now = context.clock.now();
        let mut buffer = self.shared.lock();
        if let Some(open) = &buffer.open
            && (now.since(open.since) >= context.config.block_interval
                || open.permit.bytes.saturating_add(bytes) > context.config.max_block_bytes)
        {
            self.shared.close_open(&mut buffer);
        }
        let piece = match &mut buffer.open {
            Some(open) => {
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
            self.shared.close_open(&mut buffer);
            buffer.open = Some(Growing { since: now, block: begin(piece), permit });
        }
        drop(buffer);
        self.stored()
    }

    /// Adds `record` to the open block; `records` says where in it.
    fn push<T>(
        &self,
        record: T,
        records: impl Fn(&mut B) -> &mut Vec<T>,
        begin: impl FnOnce(Vec<T>) -> B,
    ) -> bool {
        self.admit(|| 1);
        let grow = |block: &mut B, record| {
            records(block).push(record);
            None
        };
        self.extend(size_of::<T>().max(1), record, grow, |record| begin(vec![record]))
    }

    /// How many of `records` records that have arrived may be stored now (see [`Config::max_rate`]): all, if
    /// there is no limit. Blocks until that is at least one, or the receiver is to stop.
    pub(crate) fn admit(&self, records: impl FnOnce() -> u64) -> Option<u64> {
        let quota = &self.shared.quota;
        quota.is_limited().then(|| quota.take(records()))
    }

    /// Set when the receiver is to stop: for what can't ask [`is_stopping`](ReceiverContext::is_stopping)
    /// again and again, such as an async client, which awaits
    /// [`CancellationToken::cancelled`](crate::clock::CancellationToken::cancelled) beside its next message.
    pub fn stopping(&self) -> CancellationToken {
        self.shared.stop.clone()
    }

    /// Whether the receiver is to stop, because the context does or because [`stop`](ReceiverContext::stop)
    /// was called.
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.is_cancelled()
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
        self.shared.stop.cancel();
    }

    /// Reports an error that the receiver gets over by itself: in the log, and to [`Config::on_report`].
    pub fn report_error(&self, error: impl fmt::Display) {
        self.shared.report_error(error);
    }

    /// The settings of the context.
    pub(crate) fn config(&self) -> &Config {
        &self.shared.context.config
    }

    fn stored(&self) -> bool {
        self.shared.stored.store(true, Ordering::Relaxed);
        !self.is_stopping()
    }

    /// Blocks until so many blocks are in the log; `false` if the receiver is to stop before.
    fn wait_logged(&self, count: u64) -> bool {
        let Some(log) = self.shared.log() else { return true };
        let config = self.config();
        let mut failures = 0;
        while !self.is_stopping() {
            let Err(error) = log.write_until(count) else { return true };
            if !error.is_transient() {
                self.report_error(error);
                return false;
            }
            failures += 1;
            let delay = config.retry_delay(failures);
            config.reports.retry(Error::Checkpoint(error), delay);
            self.wait(delay);
        }
        false
    }

    /// Adds what was stored to the blocks that wait, and says how many of these the batch that is planned
    /// takes; what is stored next is under `limits`. What a stop finds is taken by the last batch.
    pub(super) fn drain(&self, waiting: &mut VecDeque<Received<B>>, limits: &Limits) -> usize {
        let mut buffer = self.shared.lock();
        self.shared.close_open(&mut buffer);
        waiting.extend(std::mem::take(&mut buffer.closed));
        drop(buffer);
        let limits = if self.is_stopping() { &Limits::none() } else { limits };
        self.shared.quota.renew(&mut waiting.iter().map(records_of), limits)
    }

    pub(super) fn has_pending(&self) -> bool {
        let buffer = self.shared.lock();
        !buffer.closed.is_empty() || buffer.open.is_some()
    }
}

impl<T: Send> ReceiverContext<Vec<T>>
where
    Vec<T>: WalBlock,
{
    /// Stores one record: the unreliable form, since a record is on its own, and not in the log, until its
    /// block is closed. Blocks are closed after [`Config::block_interval`](crate::Config::block_interval),
    /// and for each batch.
    ///
    /// Blocks while the buffer is full, where a record counts with its size without what it points to.
    /// `false` says that the receiver is to stop.
    pub fn store(&self, record: T) -> bool {
        self.push(record, |block| block, |records| records)
    }
}

impl<T: Send> ReceiverContext<Volatile<Vec<T>>> {
    /// Stores one record, which is not for the log; else as for a block that is.
    pub fn store(&self, record: T) -> bool {
        self.push(record, |block| &mut block.0, Volatile)
    }
}

impl<B: WalBlock> Shared<B> {
    fn log(&self) -> Option<&ReceiverLog> {
        self.context.log.as_ref().filter(|log| log.is_enabled())
    }

    fn close_open(&self, buffer: &mut Buffer<B>) {
        if let Some(Growing { block, permit, .. }) = buffer.open.take() {
            self.add(buffer, block, permit);
        }
    }

    /// Adds a block that is complete, for the next batch and for the log. The order is the same in both.
    fn add(&self, buffer: &mut Buffer<B>, mut block: B, permit: Permit) -> Logged {
        let permit = Arc::new(permit);
        let (number, logged) = match self.log().map(|log| (log, block.to_log())) {
            None | Some((_, Ok(None))) => (None, Logged::Never),
            Some((_, Err(what))) => {
                self.report_error(format_args!(
                    "a block can't be written to the log, a crash would lose it: {what}"
                ));
                (None, Logged::Failed)
            }
            Some((log, Ok(Some(bytes)))) => {
                let (number, count) = log.enqueue(bytes, Arc::clone(&permit));
                (Some(number), Logged::After(count))
            }
        };
        buffer.closed.push(Received::new(block, number, permit));
        logged
    }

    fn report_error(&self, error: impl fmt::Display) {
        crate::logs::warn!("receiver {}: {error}", self.name);
        self.context.config.reports.tell(&Error::source(&self.name, error));
    }

    fn lock(&self) -> MutexGuard<'_, Buffer<B>> {
        self.buffer.lock().unpoisoned()
    }
}

impl<B: WalBlock> OpenBlock for Shared<B> {
    fn close(&self) {
        self.close_open(&mut self.lock());
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
