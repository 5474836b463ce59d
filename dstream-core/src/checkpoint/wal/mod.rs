//! The files of the write-ahead log, which holds acknowledged blocks until a checkpoint covers them.
//!
//! Blocks are appended to numbered files. After a failed append, a new file is started, whose first frame
//! says how many bytes of the previous one are valid. A torn frame is allowed only at the very end of the
//! log, where nothing was acknowledged.

mod block;
mod recover;

use std::{
    fmt,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use super::{
    CheckpointError, CheckpointStore,
    frame::{FrameWriter, Kind, put_number},
    store::{Appender, delete},
};
pub(crate) use block::{BlockLocation, LogBlock, LogPosition, LogReader, ReceiverOffset, RecoveredBlock};

use crate::{Time, clock::Clock};

type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// Begins the payload of the first frame: the previous file, and how many bytes of it are valid.
const BEFORE: u8 = b'P';
/// Begins the payload of all other frames: blocks that were appended together.
const BLOCKS: u8 = b'R';

/// When the log rotates to a new file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogOptions {
    /// At this many bytes.
    pub(crate) max_bytes: u64,
    /// After this time.
    pub(crate) max_age: Duration,
}

impl LogOptions {
    /// Small enough that files are begun and deleted within some batches.
    pub(crate) fn simulated() -> LogOptions {
        LogOptions { max_bytes: 300, max_age: Duration::from_secs(60) }
    }
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { max_bytes: 64 << 20, max_age: Duration::from_secs(60) }
    }
}

/// The write-ahead log. The lock of the checkpoint that it belongs to guards it, too.
///
/// A file is an object of the store. Where the store can append, groups of blocks are appended to the file
/// until it is full or old; else each group is a file.
pub(crate) struct WriteAheadLog {
    store: Arc<dyn CheckpointStore>,
    clock: Arc<dyn Clock>,
    options: LogOptions,
    current: Option<Current>,
    /// The last file, and how many bytes of it are valid.
    before: LogPosition,
    /// The highest number of an existing file.
    highest: u64,
    /// Files with lower numbers are deleted.
    cleaned: u64,
}

/// The file that is being written.
struct Current {
    file: FrameWriter<Box<dyn Appender>>,
    since: Time,
}

impl WriteAheadLog {
    /// Opens the log, and calls `each` for all blocks after `from`, in the order of the appends. A log that
    /// does not exist is created with its first block.
    pub(crate) fn open(
        store: Arc<dyn CheckpointStore>,
        clock: Arc<dyn Clock>,
        options: LogOptions,
        from: Option<LogPosition>,
        each: &mut dyn FnMut(RecoveredBlock),
    ) -> Result<WriteAheadLog> {
        let mut log = WriteAheadLog {
            store,
            clock,
            options,
            current: None,
            before: LogPosition::default(),
            highest: 0,
            cleaned: 0,
        };
        let numbers = numbers(&*log.store)?;
        log.highest = numbers.last().copied().unwrap_or(0);
        log.before = log.recover(&numbers, from, each)?;
        if log.before.file > 0 {
            // What the last process wrote but did not sync can be read now, and would count from now on, but
            // may still be lost.
            log.store.seal(&file_name(log.before.file), log.before.offset)?;
        }
        Ok(log)
    }

    /// Appends blocks, all together; when this returns, they survive a loss of power. Returns the place after
    /// them.
    ///
    /// If it fails, none of them may be acknowledged.
    pub(crate) fn append(&mut self, blocks: &[LogBlock]) -> Result<LogPosition> {
        if blocks.is_empty() {
            return Ok(self.before);
        }
        let full = |c: &Current| {
            c.file.offset() >= self.options.max_bytes
                || self.clock.now().since(c.since) >= self.options.max_age
        };
        self.current.take_if(|c| full(c));
        let current = match self.current.take() {
            Some(current) => Some(current),
            None => self.begin()?,
        };
        let mut payload = vec![BLOCKS];
        for LogBlock { stream, block, bytes } in blocks {
            put_number(&mut payload, stream.len() as u64);
            payload.extend(stream.as_bytes());
            put_number(&mut payload, *block);
            put_number(&mut payload, bytes.len() as u64);
            payload.extend(bytes);
        }
        let offset = match current {
            // If this fails, `current` stays empty: nothing is appended to a file of which the end is
            // unknown.
            Some(mut current) => {
                current.file.frame(&payload).map_err(|e| self.failed(e))?;
                current.file.out.sync()?;
                let end = current.file.offset();
                self.current = Some(current);
                end
            }
            None => self.put(&payload)?,
        };
        self.before = LogPosition { file: self.highest, offset };
        Ok(self.before)
    }

    /// The place after everything that was appended.
    pub(crate) fn end(&self) -> LogPosition {
        self.before
    }

    /// What reads the blocks that were found.
    pub(crate) fn reader(&self) -> LogReader {
        LogReader { store: Arc::clone(&self.store) }
    }

    /// Deletes files that have nothing after `until`: what the oldest checkpoint that can be gone back to has
    /// used up.
    pub(crate) fn clean(&mut self, until: LogPosition) -> Result<()> {
        if until.file <= self.cleaned {
            return Ok(());
        }
        for number in numbers(&*self.store)? {
            // The last file that counts stays, so that the next one can be checked against it.
            if number < until.file && number < self.before.file {
                delete(&*self.store, &file_name(number))?;
            }
        }
        self.cleaned = until.file;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> CheckpointError {
        CheckpointError::io(format_args!("writing `{}`", self.name(self.highest)), error)
    }

    /// Makes the next file; `None` if the store can't append to it. Its beginning is on the disk before
    /// blocks are, so that a beginning that can't be read with something behind it is known to be damage.
    fn begin(&mut self) -> Result<Option<Current>> {
        self.highest += 1;
        let name = file_name(self.highest);
        let Some(file) = self.store.append(&name)? else { return Ok(None) };
        let mut file = FrameWriter::new(file, Kind::Log, &name).map_err(|e| self.failed(e))?;
        file.frame(&self.beginning()).map_err(|e| self.failed(e))?;
        file.out.sync()?;
        Ok(Some(Current { file, since: self.clock.now() }))
    }

    /// Makes a whole file of one group of blocks; returns its end.
    fn put(&self, blocks: &[u8]) -> Result<u64> {
        let (name, mut end) = (file_name(self.highest), 0);
        self.store.put(&name, &mut |out| {
            let write = |out: &mut dyn Write| {
                let mut file = FrameWriter::new(out, Kind::Log, &name)?;
                file.frame(&self.beginning())?;
                file.frame(blocks)?;
                Ok(file.offset())
            };
            end = write(out).map_err(|e| self.failed(e))?;
            Ok(())
        })?;
        Ok(end)
    }

    /// The payload of the first frame of a file.
    fn beginning(&self) -> Vec<u8> {
        [&[BEFORE][..], &self.before.to_bytes()].concat()
    }

    fn name(&self, number: u64) -> String {
        self.store.describe(&file_name(number))
    }
}

/// Whether the log still has everything from this position on.
pub(crate) fn log_reaches(store: &dyn CheckpointStore, from: LogPosition) -> Result<bool> {
    Ok(from.file == 0 || numbers(store)?.first().is_some_and(|first| *first <= from.file))
}

/// The numbers of all files, in order.
fn numbers(store: &dyn CheckpointStore) -> Result<Vec<u64>> {
    let names = store
        .list(LOG_PREFIX)
        .map_err(|e| CheckpointError::io(format_args!("listing the log in `{}`", store.describe("")), e))?;
    let number = |name: &String| {
        let number = name.strip_prefix(LOG_PREFIX)?.parse().ok()?;
        (file_name(number) == *name).then_some(number)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Begins the names of the log's objects.
pub(super) const LOG_PREFIX: &str = "log-";

fn file_name(number: u64) -> String {
    format!("{LOG_PREFIX}{number:020}")
}

impl fmt::Debug for WriteAheadLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAheadLog").field("store", &self.store).field("end", &self.before).finish()
    }
}
