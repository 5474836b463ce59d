//! The partitions of a batch: messages that have been read ahead, or ranges that are read when their task
//! begins.

use std::{ops::Range, sync::Arc};

use dstream_core::{Result, source::Block};

use crate::{
    chunk::Chunk,
    partition::{PartitionId, Slice},
    ranges::{RangeReader, Ranges},
    record::KafkaRecord,
};

/// How many offsets of a range make one block.
const PIECE: usize = 50_000;

/// Messages of one partition of a topic.
#[derive(Debug)]
pub struct KafkaBlock {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Read ahead.
    Fetched(Slice),
    /// What the broker has to give once more.
    Range { partition: PartitionId, offsets: Range<i64>, ranges: Arc<Ranges> },
    /// A range of which a piece has been read.
    Reading { reader: Box<RangeReader>, chunk: Chunk },
}

impl KafkaBlock {
    pub(crate) fn fetched(slice: Slice) -> KafkaBlock {
        KafkaBlock { state: State::Fetched(slice) }
    }

    /// A range as blocks, which are read in parallel.
    pub(crate) fn of_range(
        partition: PartitionId,
        offsets: Range<i64>,
        ranges: &Arc<Ranges>,
    ) -> impl Iterator<Item = KafkaBlock> {
        let end = offsets.end;
        offsets.step_by(PIECE).map(move |from| {
            let offsets = from..end.min(from.saturating_add(PIECE as i64));
            KafkaBlock {
                state: State::Range { partition: partition.clone(), offsets, ranges: Arc::clone(ranges) },
            }
        })
    }
}

impl Block for KafkaBlock {
    type Record<'a> = KafkaRecord<'a>;

    fn open(&mut self) -> Result<()> {
        if let State::Range { partition, offsets, ranges } = &self.state {
            let mut reader = RangeReader::open(ranges, partition.clone(), offsets.clone())?;
            let chunk = reader.read()?;
            self.state = State::Reading { reader: Box::new(reader), chunk };
        }
        Ok(())
    }

    fn records(&mut self) -> impl Iterator<Item = KafkaRecord<'_>> {
        let (chunk, range) = match &self.state {
            State::Fetched(slice) => (Some(&*slice.chunk), slice.range.clone()),
            State::Reading { chunk, .. } => (Some(chunk), 0..chunk.len()),
            State::Range { .. } => (None, 0..0),
        };
        chunk.into_iter().flat_map(move |chunk| chunk.records(range.clone()))
    }

    fn weight(&self) -> usize {
        match &self.state {
            State::Fetched(slice) => slice.chunk.bytes(&slice.range),
            State::Reading { chunk, .. } => chunk.bytes(&(0..chunk.len())),
            // How large messages are is not known: enough for a task of its own.
            State::Range { .. } => 1 << 20,
        }
    }

    fn has_more(&self) -> bool {
        matches!(&self.state, State::Reading { reader, .. } if !reader.is_done())
    }

    fn advance(&mut self) -> Result<()> {
        if let State::Reading { reader, chunk } = &mut self.state {
            *chunk = reader.read()?;
        }
        Ok(())
    }

    fn record_count(&self) -> Option<u64> {
        match &self.state {
            State::Fetched(slice) => Some(slice.range.len() as u64),
            State::Reading { chunk, .. } => Some(chunk.len() as u64),
            State::Range { .. } => None,
        }
    }
}
