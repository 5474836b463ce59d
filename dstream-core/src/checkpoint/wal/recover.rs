//! The recovery of the log: which bytes of which files count, and the blocks in them.

use std::io::Read;

use super::{BEFORE, BLOCKS, BlockLocation, LogPosition, RecoveredBlock, Result, WriteAheadLog, file_name};
use crate::checkpoint::{
    CheckpointError,
    frame::{
        FrameReader, Kind, ReadError, frame_follows, frame_len, header, payload_at, take_bytes, take_number,
    },
};

impl WriteAheadLog {
    /// Reads what counts; returns its end.
    pub(super) fn recover(
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

/// The blocks of one append; `None` if these are none.
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
