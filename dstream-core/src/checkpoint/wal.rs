//! The files of the write-ahead log, which holds acknowledged blocks until a checkpoint covers them.
//!
//! Blocks are appended to numbered files. After a failed append, a new file is started, whose first frame
//! says how many bytes of the previous one are valid. A torn frame is allowed only at the very end of the
//! log, where nothing was acknowledged.

use std::{
    fmt,
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    CheckpointError, CheckpointStore,
    frame::{
        FrameReader, FrameWriter, Kind, ReadError, frame_follows, frame_len, header, payload_at, put_number,
        take_bytes, take_number,
    },
    store::{Appender, delete},
};
use crate::{Time, clock::Clock};

type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// Begins the payload of the first frame: the previous file, and how many bytes of it are valid.
const BEFORE: u8 = b'P';
/// Begins the payload of all other frames: blocks that were appended together.
const BLOCKS: u8 = b'R';

/// A block to append to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogBlock {
    /// The receiver that it came from.
    pub(crate) stream: Arc<str>,
    /// The number that the receiver gave it.
    pub(crate) block: u64,
    /// The encoded records.
    pub(crate) bytes: Bytes,
}

/// A block that was recovered from the log.
#[derive(Clone, Debug)]
pub(crate) struct RecoveredBlock {
    /// The receiver that it came from.
    pub(crate) stream: String,
    /// The number that the receiver gave it.
    pub(crate) block: u64,
    /// The start of the append that wrote it: reading must begin there to recover it again.
    pub(crate) before: LogPosition,
    /// The location of its bytes.
    pub(crate) place: BlockLocation,
}

/// The location of the bytes of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockLocation {
    file: u64,
    offset: u64,
    length: u64,
    checksum: u32,
}

/// Reads recovered blocks.
#[derive(Clone, Debug)]
pub(crate) struct LogReader {
    store: Arc<dyn CheckpointStore>,
}

impl LogReader {
    /// The bytes of a block.
    pub(crate) fn read(&self, place: BlockLocation) -> Result<Bytes> {
        let name = file_name(place.file);
        let mut bytes = Vec::new();
        let mut read =
            || self.store.get_from(&name, place.offset)?.take(place.length).read_to_end(&mut bytes);
        let name = self.store.describe(&name);
        read().map_err(|e| ReadError::Io(e).in_file(name.clone()))?;
        if bytes.len() as u64 != place.length || crc32fast::hash(&bytes) != place.checksum {
            return Err(ReadError::at(place.offset, "it was whole when the program started").in_file(name));
        }
        Ok(bytes.into())
    }

    pub(crate) fn store(&self) -> &dyn CheckpointStore {
        &*self.store
    }

    /// The store, or an object in it, for a message.
    pub(crate) fn describe(&self, place: Option<BlockLocation>) -> String {
        self.store.describe(&place.map_or_else(String::new, |place| file_name(place.file)))
    }
}

/// The progress of a receiver in the log, as a checkpoint stores it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct ReceiverOffset {
    /// The number of the first block that is in no finished batch.
    pub(crate) next: u64,
    /// A position at or before that block.
    pub(crate) position: LogPosition,
}

impl ReceiverOffset {
    /// For a checkpoint.
    pub(crate) fn to_bytes(self) -> Bytes {
        [&self.next.to_le_bytes()[..], &self.position.to_bytes()].concat().into()
    }

    /// From a checkpoint; `None` if these are not its bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<ReceiverOffset> {
        let (next, position) = bytes.split_first_chunk()?;
        Some(ReceiverOffset { next: u64::from_le_bytes(*next), position: LogPosition::from_bytes(position)? })
    }
}

/// A position between two appends. Positions are ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct LogPosition {
    file: u64,
    offset: u64,
}

impl LogPosition {
    /// For a checkpoint.
    pub(crate) fn to_bytes(self) -> Bytes {
        [self.file.to_le_bytes(), self.offset.to_le_bytes()].concat().into()
    }

    /// From a checkpoint; `None` if these are not the bytes of a position.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<LogPosition> {
        let (file, offset) = bytes.split_first_chunk()?;
        Some(LogPosition {
            file: u64::from_le_bytes(*file),
            offset: u64::from_le_bytes(offset.try_into().ok()?),
        })
    }
}

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

    /// Reads what counts; returns its end.
    fn recover(
        &self,
        numbers: &[u64],
        from: Option<LogPosition>,
        each: &mut dyn FnMut(RecoveredBlock),
    ) -> Result<LogPosition> {
        // From the last file back: each says which one is before it, and how much of that counts.
        let mut chain: Vec<(u64, Option<u64>)> = Vec::new();
        let mut end = None;
        let first = from.map_or(0, |from| from.file);
        let mut next = numbers.last().copied();
        while let Some(number) = next.filter(|number| *number >= first) {
            match self.before(number).map_err(|error| error.in_file(self.name(number)))? {
                Some(before) => {
                    chain.push((number, end));
                    end = Some(before.offset);
                    next = Some(before.file).filter(|file| *file > 0);
                    // What was cleaned is not missed, if nobody needs it.
                    let cleaned =
                        |file: &u64| numbers.first().is_some_and(|first| file < first) && from.is_none();
                    next.take_if(|file| cleaned(file));
                }
                // A process ended, or the disk was full, before the file could take a block.
                None if end.is_none() => next = numbers.iter().rev().find(|n| **n < number).copied(),
                None => return Err(ReadError::Truncated(0).in_file(self.name(number))),
            }
        }
        let from = from.unwrap_or_default();
        // The file in which the reading begins may be empty only if nothing was ever written.
        if from.file > 0 && chain.last().is_none_or(|(number, _)| *number != from.file) {
            return Err(CheckpointError::damaged(
                self.name(from.file),
                "is missing: the checkpoint goes on from there",
            ));
        }
        let mut position = LogPosition::default();
        for (number, end) in chain.into_iter().rev() {
            let from = if number == from.file { from.offset } else { 0 };
            let end = self.read(number, from, end, each).map_err(|error| error.in_file(self.name(number)))?;
            position = LogPosition { file: number, offset: end };
        }
        Ok(position)
    }

    /// What the first frame of a file says; `None` if the file never took a block.
    fn before(&self, number: u64) -> Result<Option<LogPosition>, ReadError> {
        let name = file_name(number);
        let read = || -> Result<LogPosition, ReadError> {
            let mut frames = FrameReader::new(self.store.get(&name)?, Kind::Log, &name)?;
            let (at, mut payload) = (frames.offset(), Vec::new());
            if !frames.next(&mut payload)? {
                return Err(ReadError::Truncated(at));
            }
            let before = payload.strip_prefix(&[BEFORE]).and_then(LogPosition::from_bytes);
            before.ok_or_else(|| ReadError::at(at, "expected what was written before"))
        };
        let error = match read() {
            Ok(before) => return Ok(Some(before)),
            Err(error @ (ReadError::Io(_) | ReadError::Newer { .. })) => return Err(error),
            Err(error) => error,
        };
        let beginning = header(Kind::Log, &name).len() as u64 + frame_len(1 + 16);
        let mut file = self.store.get(&name)?.take(beginning + 1);
        let length = file.read_to_end(&mut Vec::new())? as u64;
        if length > beginning { Err(error) } else { Ok(None) }
    }

    /// Reads the blocks of a file after byte `from`. `end` is how much of it counts, unless it is the last
    /// file; returns where it ends.
    fn read(
        &self,
        number: u64,
        from: u64,
        end: Option<u64>,
        each: &mut dyn FnMut(RecoveredBlock),
    ) -> Result<u64, ReadError> {
        let name = file_name(number);
        let mut frames = FrameReader::new(self.store.get(&name)?, Kind::Log, &name)?;
        let mut payload = Vec::new();
        let mut first = true;
        loop {
            let at = frames.offset();
            if end == Some(at) {
                break;
            }
            match frames.next(&mut payload) {
                Ok(true) => {}
                Ok(false) if end.is_none() => break,
                Ok(false) => return Err(ReadError::Truncated(at)),
                Err(error @ (ReadError::Truncated(_) | ReadError::Damaged(_)))
                    if end.is_none() && at >= from && !first =>
                {
                    self.torn(number, at, error)?;
                    break;
                }
                Err(error) => return Err(error),
            }
            if !std::mem::take(&mut first) && at >= from {
                let before = LogPosition { file: number, offset: at };
                let blocks = blocks(&payload, before).ok_or_else(|| ReadError::at(at, "expected blocks"))?;
                blocks.into_iter().for_each(&mut *each);
            }
        }
        let found = frames.offset();
        if found < from {
            let what = format!("is cut off at byte {found}: the checkpoint goes on from byte {from}");
            return Err(ReadError::Damaged(what));
        }
        Ok(found)
    }

    /// Decides whether what can't be read at byte `at` of the last file is the end of an append that did not
    /// end.
    fn torn(&self, number: u64, at: u64, error: ReadError) -> Result<(), ReadError> {
        let name = file_name(number);
        let mut file = Vec::new();
        self.store.get(&name)?.read_to_end(&mut file)?;
        // Appends follow one another only once the one before is on the disk.
        if frame_follows(&file, &header(Kind::Log, &name), at + 1) {
            return Err(error);
        }
        let dropped = file.len() as u64 - at.min(file.len() as u64);
        match error {
            ReadError::Truncated(_) => {
                crate::logs::debug!("`{}`: {dropped} bytes of an append that did not end", self.name(number))
            }
            _ => crate::logs::warn!(
                "`{}`: the last {dropped} bytes can't be read; they are passed over as an append that did \
                 not end, since nothing follows them",
                self.name(number)
            ),
        }
        Ok(())
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

fn blocks(payload: &[u8], before: LogPosition) -> Option<Vec<RecoveredBlock>> {
    let mut rest = payload.strip_prefix(&[BLOCKS])?;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let length = take_number(&mut rest)?;
        let stream = str::from_utf8(take_bytes(&mut rest, length)?).ok()?.to_owned();
        let block = take_number(&mut rest)?;
        let length = take_number(&mut rest)?;
        let offset = payload_at(before.offset) + (payload.len() - rest.len()) as u64;
        let checksum = crc32fast::hash(take_bytes(&mut rest, length)?);
        let place = BlockLocation { file: before.file, offset, length, checksum };
        blocks.push(RecoveredBlock { stream, block, before, place });
    }
    Some(blocks)
}

impl fmt::Debug for WriteAheadLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAheadLog").field("store", &self.store).field("end", &self.before).finish()
    }
}
