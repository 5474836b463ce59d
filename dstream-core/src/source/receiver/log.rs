//! The write-ahead log, as the receivers of a context share it.
//!
//! A block gets its number when it is complete, and waits. Whoever needs it in the log, a receiver that wants
//! to acknowledge it or the driver before the block's batch begins, writes all blocks that wait in one
//! append; who comes meanwhile finds its own written.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::budget::Permit;
use crate::{
    Bytes, Config, Error, Result, Time,
    checkpoint::{
        CheckpointError, LogBlock, LogPosition, LogReader, Place, Storage, StoreLock, UsedUp, WriteAheadLog,
        log_reaches,
    },
    source::SourceContext,
};

/// How many bytes of blocks are written in one piece.
const GROUP: usize = 16 << 20;

/// The log of a context.
pub(crate) struct Log {
    /// Locked during an append, and before the state.
    writer: Mutex<Writer>,
    /// Of the store; gone when the checkpoint is closed.
    lock: Weak<dyn StoreLock>,
    state: Mutex<State>,
    reader: LogReader,
    /// If not, nothing is added, but what an earlier run has left is processed.
    enabled: bool,
}

struct Writer {
    log: WriteAheadLog,
    closed: bool,
}

#[derive(Default)]
struct State {
    /// Blocks that are not in the log yet.
    waiting: VecDeque<Waiting>,
    /// How many ever waited, and how many of them do not any more.
    enqueued: u64,
    written: u64,
    /// How many bytes these had.
    bytes: u64,
    /// The end of the log, without an append that is under way.
    end: LogPosition,
    streams: BTreeMap<Arc<str>, Stream>,
    /// Who has open blocks.
    open: Vec<Weak<dyn Open>>,
}

struct Waiting {
    block: LogBlock,
    /// A block counts as held until it is processed *and* written, so a disk that is full slows its sender
    /// down.
    _permit: Arc<Permit>,
}

/// What a receiver has in the log.
#[derive(Default)]
struct Stream {
    claimed: bool,
    /// The number of its next block.
    next: u64,
    /// The first block that is in no finished batch.
    used: u64,
    /// The blocks in the log from there on, each with where the reading has to begin to find it.
    logged: VecDeque<(u64, LogPosition)>,
    /// Batches that are not done, and the first block behind each.
    planned: VecDeque<(Time, u64)>,
    /// What an earlier run has left; until the receiver starts.
    found: Vec<(u64, Place)>,
}

/// What has blocks that grow.
pub(super) trait Open: Send + Sync {
    /// Closes the open block.
    fn close(&self);
}

impl Log {
    /// Opens the log, of which that much is used up as the checkpoint has it; `forget` names receivers whose
    /// blocks are let go. From an `older` checkpoint, the beginning may be missing.
    pub(crate) fn open(
        lock: &Arc<dyn StoreLock>,
        storage: &Storage,
        config: &Config,
        used_up: &BTreeMap<String, Bytes>,
        forget: &[String],
        older: bool,
    ) -> Result<Log> {
        let mut streams: BTreeMap<Arc<str>, Stream> = BTreeMap::new();
        let mut from: Option<LogPosition> = None;
        for (name, bytes) in used_up {
            let Some(UsedUp { next, position }) = UsedUp::from_bytes(bytes) else {
                return Err(Error::Invalid(format!(
                    "the checkpoint's position of `{name}` in the log in `{}` has {} bytes, expected 24: it was written by \
                     another version of dstream",
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
                stream.logged.push_back((found.block, found.before));
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
        let state = Mutex::new(State { end, streams, ..State::default() });
        let lock = Arc::downgrade(lock);
        let writer = Mutex::new(Writer { log, closed: false });
        Ok(Log { writer, lock, state, reader, enabled: config.write_ahead_log })
    }

    /// An error if there are blocks of receivers that have not started: they would never be processed.
    pub(crate) fn check_claimed(&self) -> Result<()> {
        let state = self.state();
        let left = state.streams.iter().filter(|(_, stream)| !stream.found.is_empty());
        let receivers: Vec<String> = left.map(|(name, _)| name.to_string()).collect();
        match receivers.is_empty() {
            true => Ok(()),
            false => Err(CheckpointError::Unclaimed { log: self.reader.describe(None), receivers }.into()),
        }
    }

    /// Writes all blocks that wait.
    pub(crate) fn write(&self) -> Result<(), CheckpointError> {
        let all = self.state().enqueued;
        self.write_until(all)
    }

    /// Writes the first so many blocks that ever waited, if they still do. If it fails they go on waiting.
    fn write_until(&self, count: u64) -> Result<(), CheckpointError> {
        if self.state().written >= count {
            return Ok(());
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
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
                state.take_group()
            };
            let blocks: Vec<LogBlock> = group.iter().map(|waiting| waiting.block.clone()).collect();
            let appended = writer.log.append(&blocks);
            let mut state = self.state();
            match appended {
                Ok(end) => state.written(&blocks, end),
                Err(error) => {
                    group.into_iter().rev().for_each(|waiting| state.waiting.push_front(waiting));
                    return Err(error);
                }
            }
        }
    }

    /// The batches up to `time` are done: their blocks are used up.
    pub(crate) fn finish(&self, time: Time) {
        for stream in self.state().streams.values_mut() {
            while let Some((_, next)) = stream.planned.pop_front_if(|(planned, _)| *planned <= time) {
                stream.used = stream.used.max(next);
            }
            while stream.logged.pop_front_if(|(block, _)| *block < stream.used).is_some() {}
        }
    }

    /// What a checkpoint must hold of it. Receivers that are gone stay in it, so that their blocks are not
    /// taken for new ones.
    pub(crate) fn used_up(&self) -> BTreeMap<String, Bytes> {
        let state = self.state();
        let used = state.streams.iter().map(|(name, stream)| {
            let position = stream.logged.front().map_or(state.end, |(_, before)| *before);
            (name.to_string(), UsedUp { next: stream.used, position }.to_bytes())
        });
        used.collect()
    }

    /// Whether the first block of a receiver that is in no finished batch is not in the log.
    pub(crate) fn lacks(&self, stream: &str) -> bool {
        let state = self.state();
        let found = state.streams.get(stream);
        found.is_some_and(|stream| stream.logged.front().is_none_or(|(first, _)| *first > stream.used))
    }

    /// How many bytes of blocks were ever written.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Deletes what is not needed from this position on. What goes wrong is logged: the next checkpoint tries
    /// again.
    pub(crate) fn clean(&self, until: LogPosition) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let cleaned = match self.lock.upgrade() {
            Some(lock) => lock.check(self.reader.store()).and_then(|()| writer.log.clean(until)),
            None => return,
        };
        if let Err(error) = cleaned {
            crate::logs::warn!("the log of receivers could not be cleaned up: {error}");
        }
    }

    /// Nothing is written from now on, also by a receiver that has not stopped: the folder may be another
    /// program's.
    pub(crate) fn close(&self) {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }

    #[cfg(test)]
    pub(super) fn found(&self, stream: &str) -> Vec<(u64, Place)> {
        self.state().streams.get(stream).map(|stream| stream.found.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes open blocks each block interval, and writes what nobody waits for, until the context stops.
    fn keep(&self, context: &SourceContext) {
        let config = &context.config;
        let mut delay = config.block_interval;
        while context.clock.wait_until(context.clock.now() + delay, &context.stopping) {
            let open = self.state().open.clone();
            open.iter().filter_map(Weak::upgrade).for_each(|open| open.close());
            delay = match self.write() {
                Ok(()) => config.block_interval,
                // The next batch finds that too, and the context stops.
                Err(error) if !error.is_transient() => return,
                Err(error) => {
                    let next = config.next_delay(delay);
                    config.reports.retry(Error::Checkpoint(error), next);
                    next
                }
            };
        }
    }
}

impl State {
    fn take_group(&mut self) -> Vec<Waiting> {
        let mut bytes = 0;
        let mut group = Vec::new();
        while let Some(waiting) = self.waiting.pop_front_if(|next| {
            bytes += next.block.bytes.len();
            group.is_empty() || bytes <= GROUP
        }) {
            group.push(waiting);
        }
        group
    }

    fn written(&mut self, blocks: &[LogBlock], end: LogPosition) {
        self.written += blocks.len() as u64;
        self.bytes += blocks.iter().map(|block| block.bytes.len() as u64).sum::<u64>();
        let before = std::mem::replace(&mut self.end, end);
        for LogBlock { stream, block, .. } in blocks {
            // What could not be written in time may be used up by now.
            if let Some(stream) = self.streams.get_mut(stream)
                && *block >= stream.used
            {
                stream.logged.push_back((*block, before));
            }
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("reader", &self.reader)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// A source's part of the write-ahead log. A [`Receiver`](crate::receiver::Receiver) uses it by itself.
#[derive(Clone, Debug)]
pub struct ReceiverLog {
    log: Arc<Log>,
    stream: Arc<str>,
}

impl ReceiverLog {
    pub(crate) fn new(log: &Arc<Log>, stream: &str) -> ReceiverLog {
        ReceiverLog { log: Arc::clone(log), stream: stream.into() }
    }

    /// The receiver starts: what an earlier run has left of it.
    pub(super) fn claim(&self, context: &SourceContext) -> Result<Vec<(u64, Place)>> {
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
            let spawned = threads.spawn("dstream-log", move || log.keep(&context));
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

    /// From now on, its open block is closed each block interval.
    pub(super) fn watch(&self, open: Weak<dyn Open>) {
        self.log.state().open.push(open);
    }

    /// Lets a block wait; returns its number, and how many are to be written until it is.
    pub(super) fn enqueue(&self, bytes: Bytes, permit: Arc<Permit>) -> (u64, u64) {
        let mut state = self.log.state();
        let stream = state.streams.entry(Arc::clone(&self.stream)).or_default();
        let number = stream.next;
        stream.next += 1;
        let block = LogBlock { stream: Arc::clone(&self.stream), block: number, bytes };
        state.waiting.push_back(Waiting { block, _permit: permit });
        state.enqueued += 1;
        (number, state.enqueued)
    }

    /// Writes so many blocks.
    pub(super) fn write_until(&self, count: u64) -> Result<(), CheckpointError> {
        self.log.write_until(count)
    }

    /// A batch has the receiver's blocks before `next`.
    pub(super) fn planned(&self, time: Time, next: u64) {
        if let Some(stream) = self.log.state().streams.get_mut(&self.stream) {
            stream.planned.push_back((time, next));
        }
    }
}
