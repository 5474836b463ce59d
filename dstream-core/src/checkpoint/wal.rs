//! The write-ahead log of receivers: blocks that were acknowledged, until a checkpoint has what came of them.
//!
//! Blocks are appended to numbered files. A file that could not be written to its end is left as it is, and the next one says how much
//! of it counts; only at the very end of the log, where nothing was acknowledged, may a frame be torn.

use std::{
    fmt,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    CheckpointError,
    frame::{
        Flaw, FrameReader, FrameWriter, Kind, frame_follows, frame_len, header, payload_at, put_number,
        take_bytes, take_number,
    },
    fs::{Fs, FsFile, is_full},
};
use crate::{Clock, Time};

type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// Begins the payload of the first frame: which file was written before, and how many bytes of it count.
const BEFORE: u8 = b'P';
/// Begins the payload of all others: blocks that were appended together.
const BLOCKS: u8 = b'R';

/// A block for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogBlock {
    /// The receiver that it came from.
    pub(crate) stream: Arc<str>,
    /// The number that the receiver gave it.
    pub(crate) block: u64,
    /// What is in it.
    pub(crate) bytes: Bytes,
}

/// A block that was found in the log.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The receiver that it came from.
    pub(crate) stream: String,
    /// The number that the receiver gave it.
    pub(crate) block: u64,
    /// Where the append begins that has brought it: reading has to begin there to find it again.
    pub(crate) before: LogPosition,
    /// Where its bytes are.
    pub(crate) place: Place,
}

/// Where the bytes of a block are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    file: u64,
    offset: u64,
    length: u64,
    checksum: u32,
}

/// Reads blocks that were found.
#[derive(Clone, Debug)]
pub(crate) struct LogReader {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
}

impl LogReader {
    /// The bytes of a block.
    pub(crate) fn read(&self, place: Place) -> Result<Bytes> {
        let path = self.dir.join(file_name(place.file));
        let mut bytes = Vec::new();
        let mut read = || self.fs.open_at(&path, place.offset)?.take(place.length).read_to_end(&mut bytes);
        let name = path.display().to_string();
        read().map_err(|e| Flaw::Io(e).of(name.clone()))?;
        if bytes.len() as u64 != place.length || crc32fast::hash(&bytes) != place.checksum {
            return Err(Flaw::at(place.offset, "it was whole when the program started").of(name));
        }
        Ok(bytes.into())
    }

    /// The directory, or a file in it, for a message.
    pub(crate) fn describe(&self, place: Option<Place>) -> String {
        place
            .map_or_else(|| self.dir.clone(), |place| self.dir.join(file_name(place.file)))
            .display()
            .to_string()
    }
}

/// What a checkpoint says of a receiver's part of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct UsedUp {
    /// The first block that is in no finished batch.
    pub(crate) next: u64,
    /// Where that block is, or will be, or an earlier place.
    pub(crate) position: LogPosition,
}

impl UsedUp {
    /// For a checkpoint.
    pub(crate) fn to_bytes(self) -> Bytes {
        [&self.next.to_le_bytes()[..], &self.position.to_bytes()].concat().into()
    }

    /// From a checkpoint; `None` if these are not its bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<UsedUp> {
        let (next, position) = bytes.split_first_chunk()?;
        Some(UsedUp { next: u64::from_le_bytes(*next), position: LogPosition::from_bytes(position)? })
    }
}

/// A place between two appends. Later places are greater.
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

/// When a new file is begun.
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

/// The write-ahead log in one directory. The lock of the checkpoint that it belongs to guards it, too.
pub(crate) struct WriteAheadLog {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    options: LogOptions,
    current: Option<Current>,
    /// The last file, and how many bytes of it count.
    before: LogPosition,
    /// The highest number of a file that there is.
    highest: u64,
    /// Files with lower numbers are gone.
    cleaned: u64,
    poisoned: Option<String>,
}

struct Current {
    file: FrameWriter<Box<dyn FsFile>>,
    since: Time,
}

impl WriteAheadLog {
    /// Opens the log, and gives `each` all blocks after `from`, in the order in which they were appended. A log that is not
    /// there is made with its first block.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        clock: Arc<dyn Clock>,
        options: LogOptions,
        from: Option<LogPosition>,
        each: &mut dyn FnMut(Found),
    ) -> Result<WriteAheadLog> {
        let mut log = WriteAheadLog {
            fs,
            dir,
            clock,
            options,
            current: None,
            before: LogPosition::default(),
            highest: 0,
            cleaned: 0,
            poisoned: None,
        };
        let numbers = log.numbers()?;
        log.highest = numbers.last().copied().unwrap_or(0);
        log.before = log.recover(&numbers, from, each)?;
        log.make_safe()?;
        Ok(log)
    }

    /// Appends blocks, all together; when this returns, they survive a loss of power. Returns the place after them.
    ///
    /// If it fails, none of them may be acknowledged. After a failed sync every later append fails, too, unless there was just no
    /// space: see [`LocalDir`](super::LocalDir).
    pub(crate) fn append(&mut self, blocks: &[LogBlock]) -> Result<LogPosition> {
        if let Some(why) = &self.poisoned {
            let what = format!("writing log `{}`", self.dir.display());
            return Err(CheckpointError::Unsynced { what, why: why.clone() });
        }
        if blocks.is_empty() {
            return Ok(self.before);
        }
        let full = |c: &Current| {
            c.file.offset() >= self.options.max_bytes
                || self.clock.now().since(c.since) >= self.options.max_age
        };
        self.current.take_if(|c| full(c));
        let mut current = match self.current.take() {
            Some(current) => current,
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
        let name = self.name(self.highest);
        let failed = |e| CheckpointError::io(format_args!("writing `{name}`"), e);
        // If this fails, `current` stays empty: nothing is appended to a file of which the end is unknown.
        current.file.frame(&payload).map_err(failed)?;
        current.file.out.sync().map_err(|e| self.failed_sync(e))?;
        self.before = LogPosition { file: self.highest, offset: current.file.offset() };
        self.current = Some(current);
        Ok(self.before)
    }

    /// The place after everything that was appended.
    pub(crate) fn end(&self) -> LogPosition {
        self.before
    }

    /// What reads the blocks that were found.
    pub(crate) fn reader(&self) -> LogReader {
        LogReader { fs: Arc::clone(&self.fs), dir: self.dir.clone() }
    }

    /// Deletes files that have nothing after `until`: what the oldest checkpoint that can be gone back to has used up.
    pub(crate) fn clean(&mut self, until: LogPosition) -> Result<()> {
        if until.file <= self.cleaned {
            return Ok(());
        }
        for number in self.numbers()? {
            // The last file that counts stays, so that the next one can be checked against it.
            if number < until.file && number < self.before.file {
                let name = self.name(number);
                self.fs
                    .remove(&self.dir.join(file_name(number)))
                    .map_err(|e| CheckpointError::io(format_args!("deleting `{name}`"), e))?;
            }
        }
        self.cleaned = until.file;
        Ok(())
    }

    /// Writes the last file again. What the last process wrote but did not sync can be read now, and would count from
    /// now on, but may still be lost; a sync now would not help where one has failed.
    fn make_safe(&mut self) -> Result<()> {
        let LogPosition { file, offset } = self.before;
        if file == 0 {
            return Ok(());
        }
        let (path, temporary) = (self.dir.join(file_name(file)), self.dir.join(".tmp-log"));
        let copy = || {
            let mut bytes = Vec::new();
            self.fs.open(&path)?.take(offset).read_to_end(&mut bytes)?;
            let mut file = self.fs.create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync()?;
            drop(file);
            self.fs.rename(&temporary, &path)?;
            self.fs.sync_dir(&self.dir)
        };
        copy().map_err(|e| CheckpointError::io(format_args!("writing `{}`", path.display()), e))
    }

    /// Where the sync of a file finds no space, only this append is lost: the file is not written any more.
    fn failed_sync(&mut self, error: io::Error) -> CheckpointError {
        if is_full(&error) {
            return CheckpointError::io(format_args!("writing `{}`", self.name(self.highest)), error);
        }
        self.poison(error)
    }

    fn poison(&mut self, error: io::Error) -> CheckpointError {
        let why = error.to_string();
        self.poisoned = Some(why.clone());
        CheckpointError::Unsynced { what: format!("writing `{}`", self.name(self.highest)), why }
    }

    /// Makes the next file. Its beginning is on the disk before blocks are, so that a beginning that can't be
    /// read with something behind it is known to be damage.
    fn begin(&mut self) -> Result<Current> {
        self.highest += 1;
        let name = self.name(self.highest);
        let failed = |e| CheckpointError::io(format_args!("writing `{name}`"), e);
        self.fs.create_dir(&self.dir).map_err(failed)?;
        let file = self.fs.create(&self.dir.join(file_name(self.highest))).map_err(failed)?;
        let mut file = FrameWriter::new(file, Kind::Log, &file_name(self.highest)).map_err(failed)?;
        file.frame(&[&[BEFORE][..], &self.before.to_bytes()].concat()).map_err(failed)?;
        file.out.sync().map_err(|e| self.failed_sync(e))?;
        self.fs.sync_dir(&self.dir).map_err(|e| self.poison(e))?;
        Ok(Current { file, since: self.clock.now() })
    }

    fn name(&self, number: u64) -> String {
        self.dir.join(file_name(number)).display().to_string()
    }

    /// The numbers of all files, in order.
    fn numbers(&self) -> Result<Vec<u64>> {
        let names = match self.fs.list(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names
                .map_err(|e| CheckpointError::io(format_args!("listing log `{}`", self.dir.display()), e))?,
        };
        let number = |name: &String| {
            let number = name.strip_prefix("log-")?.parse().ok()?;
            (file_name(number) == *name).then_some(number)
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads what counts; returns its end.
    fn recover(
        &self,
        numbers: &[u64],
        from: Option<LogPosition>,
        each: &mut dyn FnMut(Found),
    ) -> Result<LogPosition> {
        // From the last file back: each says which one is before it, and how much of that counts.
        let mut chain: Vec<(u64, Option<u64>)> = Vec::new();
        let mut end = None;
        let first = from.map_or(0, |from| from.file);
        let mut next = numbers.last().copied();
        while let Some(number) = next.filter(|number| *number >= first) {
            match self.before(number).map_err(|flaw| flaw.of(self.name(number)))? {
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
                None => return Err(Flaw::Cut(0).of(self.name(number))),
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
            let end = self.read(number, from, end, each).map_err(|flaw| flaw.of(self.name(number)))?;
            position = LogPosition { file: number, offset: end };
        }
        Ok(position)
    }

    /// What the first frame of a file says; `None` if the file never took a block.
    fn before(&self, number: u64) -> Result<Option<LogPosition>, Flaw> {
        let name = file_name(number);
        let read = || -> Result<LogPosition, Flaw> {
            let mut frames = FrameReader::new(self.fs.open(&self.dir.join(&name))?, Kind::Log, &name)?;
            let (at, mut payload) = (frames.offset(), Vec::new());
            if !frames.next(&mut payload)? {
                return Err(Flaw::Cut(at));
            }
            let before = payload.strip_prefix(&[BEFORE]).and_then(LogPosition::from_bytes);
            before.ok_or_else(|| Flaw::at(at, "expected what was written before"))
        };
        let flaw = match read() {
            Ok(before) => return Ok(Some(before)),
            Err(flaw @ (Flaw::Io(_) | Flaw::Newer(_))) => return Err(flaw),
            Err(flaw) => flaw,
        };
        let beginning = header(Kind::Log, &name).len() as u64 + frame_len(1 + 16);
        let mut file = self.fs.open(&self.dir.join(&name))?.take(beginning + 1);
        let length = file.read_to_end(&mut Vec::new())? as u64;
        if length > beginning { Err(flaw) } else { Ok(None) }
    }

    /// Reads the blocks of a file after byte `from`. `end` is how much of it counts, unless it is the last file; returns where it ends.
    fn read(
        &self,
        number: u64,
        from: u64,
        end: Option<u64>,
        each: &mut dyn FnMut(Found),
    ) -> Result<u64, Flaw> {
        let name = file_name(number);
        let mut frames = FrameReader::new(self.fs.open(&self.dir.join(&name))?, Kind::Log, &name)?;
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
                Ok(false) => return Err(Flaw::Cut(at)),
                Err(flaw @ (Flaw::Cut(_) | Flaw::Damaged(_))) if end.is_none() && at >= from && !first => {
                    self.torn(number, at, flaw)?;
                    break;
                }
                Err(flaw) => return Err(flaw),
            }
            if !std::mem::take(&mut first) && at >= from {
                let before = LogPosition { file: number, offset: at };
                let blocks = blocks(&payload, before).ok_or_else(|| Flaw::at(at, "expected blocks"))?;
                blocks.into_iter().for_each(&mut *each);
            }
        }
        let found = frames.offset();
        if found < from {
            let what = format!("is cut off at byte {found}: the checkpoint goes on from byte {from}");
            return Err(Flaw::Damaged(what));
        }
        Ok(found)
    }

    /// Decides whether what can't be read at byte `at` of the last file is the end of an append that did not end.
    fn torn(&self, number: u64, at: u64, flaw: Flaw) -> Result<(), Flaw> {
        let name = file_name(number);
        let mut file = Vec::new();
        self.fs.open(&self.dir.join(&name))?.read_to_end(&mut file)?;
        // Appends follow one another only once the one before is on the disk.
        if frame_follows(&file, &header(Kind::Log, &name), at + 1) {
            return Err(flaw);
        }
        let dropped = file.len() as u64 - at.min(file.len() as u64);
        match flaw {
            Flaw::Cut(_) => {
                tracing::debug!("`{}`: {dropped} bytes of an append that did not end", self.name(number))
            }
            _ => tracing::warn!(
                "`{}`: the last {dropped} bytes can't be read; they are passed over as an append that did not end, since nothing follows them",
                self.name(number)
            ),
        }
        Ok(())
    }
}

fn file_name(number: u64) -> String {
    format!("log-{number:020}")
}

fn blocks(payload: &[u8], before: LogPosition) -> Option<Vec<Found>> {
    let mut rest = payload.strip_prefix(&[BLOCKS])?;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let length = take_number(&mut rest)?;
        let stream = str::from_utf8(take_bytes(&mut rest, length)?).ok()?.to_owned();
        let block = take_number(&mut rest)?;
        let length = take_number(&mut rest)?;
        let offset = payload_at(before.offset) + (payload.len() - rest.len()) as u64;
        let checksum = crc32fast::hash(take_bytes(&mut rest, length)?);
        let place = Place { file: before.file, offset, length, checksum };
        blocks.push(Found { stream, block, before, place });
    }
    Some(blocks)
}

impl fmt::Debug for WriteAheadLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteAheadLog").field("dir", &self.dir).field("end", &self.before).finish()
    }
}
