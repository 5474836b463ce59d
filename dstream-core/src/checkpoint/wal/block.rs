//! Blocks of the log, and positions in it, as a checkpoint stores them.

use std::{io::Read, sync::Arc};

use bytes::Bytes;

use super::{Result, file_name};
use crate::checkpoint::{CheckpointStore, frame::ReadError};

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
    pub(super) file: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) checksum: u32,
}

/// Reads recovered blocks.
#[derive(Clone, Debug)]
pub(crate) struct LogReader {
    pub(super) store: Arc<dyn CheckpointStore>,
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
    pub(super) file: u64,
    pub(super) offset: u64,
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
