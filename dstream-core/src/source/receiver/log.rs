//! The write-ahead log that the receivers of a context share, with group commit.
//!
//! A complete block gets a number and becomes pending. A receiver that acknowledges its data, or the driver
//! before a batch begins, writes all pending blocks in one append. Group commit: callers that arrive during
//! an append find their blocks already written.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use super::budget::Permit;
use crate::{
    Bytes, Config, Error, Result, Time,
    checkpoint::{
        BlockLocation, CheckpointError, LogBlock, LogPosition, LogReader, ReceiverOffset, Storage, StoreLock,
        WriteAheadLog, log_reaches,
    },
    source::SourceContext,
    sync::Unpoisoned,
};

/// The largest size of one append in bytes.
const MAX_APPEND: usize = 16 << 20;

/// The write-ahead log of a context.
pub(crate) struct SharedWal {
    /// Locked during an append, and before the state.
    writer: Mutex<Writer>,
    /// The lock of the store; dropped when the checkpoint is closed.
    lock: Weak<dyn StoreLock>,
    state: Mutex<WalState>,
    reader: LogReader,
    /// If false, no block is added, but those of an earlier run are processed.
    enabled: bool,
}

struct Writer {
    log: WriteAheadLog,
    closed: bool,
}

#[derive(Default)]
struct WalState {
    /// Blocks that are not written yet.
    pending: VecDeque<PendingBlock>,
    /// The number of blocks that were ever enqueued, and of those that were written.
    enqueued: u64,
    written: u64,
    /// The size of the written blocks in bytes.
    bytes: u64,
    /// The end of the log, without a running append.
    end: LogPosition,
    streams: BTreeMap<Arc<str>, Stream>,
    /// The receivers with open blocks.
    open: Vec<Weak<dyn OpenBlock>>,
}

struct PendingBlock {
    block: LogBlock,
    /// A block counts against the budget until it is processed *and* written, so a full disk causes
    /// back-pressure.
    _permit: Arc<Permit>,
}

/// The part of a receiver in the log.
#[derive(Default)]
struct Stream {
    claimed: bool,
    /// The number of its next block.
    next: u64,
    /// The first block that is in no finished batch.
    used: u64,
    /// The blocks in the log from there on, each with the position at which reading must begin to recover it.
    in_wal: VecDeque<(u64, LogPosition)>,
    /// Unfinished batches, each with the number of the first block after it.
    planned: VecDeque<(Time, u64)>,
    /// The blocks of an earlier run, until the receiver starts.
    found: Vec<(u64, BlockLocation)>,
}

/// A receiver's block that still grows.
pub(super) trait OpenBlock: Send + Sync {
    /// Closes the open block.
    fn close(&self);
}

impl SharedWal {
    /// Opens the log at the offsets that a checkpoint stores. The blocks of receivers in `forget` are
    /// dropped. With an `older` checkpoint, the beginning of the log may be missing.
    pub(crate) fn open(
        lock: &Arc<dyn StoreLock>,
        storage: &Storage,
        config: &Config,
        receiver_offsets: &BTreeMap<String, Bytes>,
        forget: &[String],
        older: bool,
    ) -> Result<SharedWal> {
        let mut streams: BTreeMap<Arc<str>, Stream> = BTreeMap::new();
        let mut from: Option<LogPosition> = None;
        for (name, bytes) in receiver_offsets {
            let Some(ReceiverOffset { next, position }) = ReceiverOffset::from_bytes(bytes) else {
                return Err(Error::Invalid(format!(
                    "the checkpoint's position of `{name}` in the log in `{}` has {} bytes, expected 24: it \
                     was written by another version of dstream",
                    storage.store.describe(""),
                    bytes.len()
                )));
            };
            from = Some(from.map_or(position, |from| from.min(position)));
            streams.insert(name.as_str().into(), Stream { next, used: next, ..Stream::default() });
        }
        let Storage { store, log: options, .. } = storage;
        if let Some(position) = from.filter(|_| older)
            && !log_reaches(&**store, position)?
        {
            from = None;
        }
        let clock = Arc::clone(&config.clock);
        let log = WriteAheadLog::open(Arc::clone(store), clock, *options, from, &mut |found| {
            let stream = streams.entry(found.stream.into()).or_default();
            stream.next = stream.next.max(found.block.saturating_add(1));
            if found.block >= stream.used {
                stream.in_wal.push_back((found.block, found.before));
                stream.found.push((found.block, found.place));
            }
        })?;
        for (name, stream) in &mut streams {
            if forget.iter().any(|forgotten| **forgotten == **name) && !stream.found.is_empty() {
                crate::logs::warn!(
                    "{} blocks of `{name}` in the log are let go: it is forgotten",
                    stream.found.len()
                );
                *stream = Stream { next: stream.next, used: stream.next, ..Stream::default() };
            }
        }
        let (end, reader) = (log.end(), log.reader());
        let state = Mutex::new(WalState { end, streams, ..WalState::default() });
        let lock = Arc::downgrade(lock);
        let writer = Mutex::new(Writer { log, closed: false });
        Ok(SharedWal { writer, lock, state, reader, enabled: config.write_ahead_log })
    }

    /// Returns an error if there are blocks of receivers that have not started, since these would never be
    /// processed.
    pub(crate) fn check_claimed(&self) -> Result<()> {
        let state = self.state();
        let left = state.streams.iter().filter(|(_, stream)| !stream.found.is_empty());
        let receivers: Vec<String> = left.map(|(name, _)| name.to_string()).collect();
        match receivers.is_empty() {
            true => Ok(()),
            false => Err(CheckpointError::Unclaimed { log: self.reader.describe(None), receivers }.into()),
        }
    }

    /// Writes all pending blocks.
    pub(crate) fn write(&self) -> Result<(), CheckpointError> {
        let all = self.state().enqueued;
        self.write_until(all)
    }

    /// Writes pending blocks until `count` blocks have been written in all. After an error they stay pending.
    fn write_until(&self, count: u64) -> Result<(), CheckpointError> {
        if self.state().written >= count {
            return Ok(());
        }
        let mut writer = self.writer.lock().unpoisoned();
        let Some(lock) = self.lock.upgrade().filter(|_| !writer.closed) else {
            return Err(CheckpointError::Invalid("the context has been stopped".to_owned()));
        };
        loop {
            lock.check(self.reader.store())?;
            let group = {
                let mut state = self.state();
                if state.written >= count {
                    return Ok(());
                }
                state.take_pending()
            };
            let blocks: Vec<LogBlock> = group.iter().map(|pending| pending.block.clone()).collect();
            let appended = writer.log.append(&blocks);
            let mut state = self.state();
            match appended {
                Ok(end) => state.written(&blocks, end),
                Err(error) => {
                    group.into_iter().rev().for_each(|pending| state.pending.push_front(pending));
                    return Err(error);
                }
            }
        }
    }

    /// Marks the blocks of all batches up to `time` as processed.
    pub(crate) fn finish(&self, time: Time) {
        for stream in self.state().streams.values_mut() {
            while let Some((_, next)) = stream.planned.pop_front_if(|(planned, _)| *planned <= time) {
                stream.used = stream.used.max(next);
            }
            while stream.in_wal.pop_front_if(|(block, _)| *block < stream.used).is_some() {}
        }
    }

    /// The offsets of all receivers, for a checkpoint. Receivers that no longer exist are included, so that
    /// their blocks are not taken for new ones.
    pub(crate) fn receiver_offsets(&self) -> BTreeMap<String, Bytes> {
        let state = self.state();
        let used = state.streams.iter().map(|(name, stream)| {
            let position = stream.in_wal.front().map_or(state.end, |(_, before)| *before);
            (name.to_string(), ReceiverOffset { next: stream.used, position }.to_bytes())
        });
        used.collect()
    }

    /// Whether the first unprocessed block of a receiver is missing in the log.
    pub(crate) fn is_missing_block(&self, stream: &str) -> bool {
        let state = self.state();
        let found = state.streams.get(stream);
        found.is_some_and(|stream| stream.in_wal.front().is_none_or(|(first, _)| *first > stream.used))
    }

    /// The size of all blocks that were ever written, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Deletes files that end before this position. An error is only reported to the logs, since the next
    /// checkpoint tries again.
    pub(crate) fn clean(&self, until: LogPosition) {
        let mut writer = self.writer.lock().unpoisoned();
        let cleaned = match self.lock.upgrade() {
            Some(lock) => lock.check(self.reader.store()).and_then(|()| writer.log.clean(until)),
            None => return,
        };
        if let Err(error) = cleaned {
            crate::logs::warn!("the log of receivers could not be cleaned up: {error}");
        }
    }

    /// Closes the log for writing, also for receivers that have not stopped: another program may own the
    /// folder now.
    pub(crate) fn close(&self) {
        self.writer.lock().unpoisoned().closed = true;
    }

    #[cfg(test)]
    pub(super) fn found(&self, stream: &str) -> Vec<(u64, BlockLocation)> {
        self.state().streams.get(stream).map(|stream| stream.found.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, WalState> {
        self.state.lock().unpoisoned()
    }

    /// Closes open blocks and writes pending ones in each block interval, until the context stops.
    fn flush_periodically(&self, context: &SourceContext) {
        let config = &context.config;
        let (mut delay, mut failures) = (config.block_interval, 0);
        while context.clock.wait_until(context.clock.now() + delay, &context.stopping) {
            let open = self.state().open.clone();
            open.iter().filter_map(Weak::upgrade).for_each(|open| open.close());
            delay = match self.write() {
                Ok(()) => {
                    failures = 0;
                    config.block_interval
                }
                // The next batch meets the same error, which stops the context.
                Err(error) if !error.is_transient() => return,
                Err(error) => {
                    failures += 1;
                    let next = config.retry_delay(failures);
                    config.reports.retry(Error::Checkpoint(error), next);
                    next
                }
            };
        }
    }
}

impl WalState {
    fn take_pending(&mut self) -> Vec<PendingBlock> {
        let mut bytes = 0;
        let mut group = Vec::new();
        while let Some(pending) = self.pending.pop_front_if(|next| {
            bytes += next.block.bytes.len();
            group.is_empty() || bytes <= MAX_APPEND
        }) {
            group.push(pending);
        }
        group
    }

    fn written(&mut self, blocks: &[LogBlock], end: LogPosition) {
        self.written += blocks.len() as u64;
        self.bytes += blocks.iter().map(|block| block.bytes.len() as u64).sum::<u64>();
        let before = std::mem::replace(&mut self.end, end);
        for LogBlock { stream, block, .. } in blocks {
            // A block that was written late may be processed by now.
            if let Some(stream) = self.streams.get_mut(stream)
                && *block >= stream.used
            {
                stream.in_wal.push_back((*block, before));
            }
        }
    }
}

impl fmt::Debug for SharedWal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWal")
            .field("reader", &self.reader)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// A source's part of the write-ahead log. A [`Receiver`](crate::receiver::Receiver) uses it by itself.
#[derive(Clone, Debug)]
pub struct ReceiverLog {
    log: Arc<SharedWal>,
    stream: Arc<str>,
}

impl ReceiverLog {
    pub(crate) fn new(log: &Arc<SharedWal>, stream: &str) -> ReceiverLog {
        ReceiverLog { log: Arc::clone(log), stream: stream.into() }
    }

    /// Claims the log for a receiver that starts; returns the blocks of an earlier run.
    pub(super) fn claim(&self, context: &SourceContext) -> Result<Vec<(u64, BlockLocation)>> {
        let mut state = self.log.state();
        let first = state.streams.values().all(|stream| !stream.claimed);
        let stream = state.streams.entry(Arc::clone(&self.stream)).or_default();
        if std::mem::replace(&mut stream.claimed, true) {
            return Err(Error::source(
                &self.stream,
                "two receivers would write to the log under this name: each needs its own",
            ));
        }
        let found = std::mem::take(&mut stream.found);
        drop(state);
        if first && self.log.enabled {
            let (log, context) = (Arc::clone(&self.log), context.clone());
            let threads = context.config.runtime.clone();
            let spawned = threads.spawn("dstream-log", move || log.flush_periodically(&context));
            spawned.map_err(|error| Error::io("the thread of the log can't be started", error))?;
        }
        Ok(found)
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    pub(super) fn reader(&self) -> &LogReader {
        &self.log.reader
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.log.enabled
    }

    /// Registers an open block, which is closed in each block interval.
    pub(super) fn watch(&self, open: Weak<dyn OpenBlock>) {
        self.log.state().open.push(open);
    }

    /// Enqueues a block; returns its number, and the count for [`write_until`](Self::write_until).
    pub(super) fn enqueue(&self, bytes: Bytes, permit: Arc<Permit>) -> (u64, u64) {
        let mut state = self.log.state();
        let stream = state.streams.entry(Arc::clone(&self.stream)).or_default();
        let number = stream.next;
        stream.next += 1;
        let block = LogBlock { stream: Arc::clone(&self.stream), block: number, bytes };
        state.pending.push_back(PendingBlock { block, _permit: permit });
        state.enqueued += 1;
        (number, state.enqueued)
    }

    /// Writes pending blocks until `count` blocks have been written in all.
    pub(super) fn write_until(&self, count: u64) -> Result<(), CheckpointError> {
        self.log.write_until(count)
    }

    /// Records that a batch has the receiver's blocks before number `next`.
    pub(super) fn planned(&self, time: Time, next: u64) {
        if let Some(stream) = self.log.state().streams.get_mut(&self.stream) {
            stream.planned.push_back((time, next));
        }
    }
}
