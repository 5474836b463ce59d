//! The partitions of a batch: messages that have been read ahead, or ranges that are read when their task
//! begins.

use std::{ops::Range, sync::Arc};

use dstream_core::{Block, Result};

use crate::{
    partition::{PartitionId, Slice},
    ranges::Ranges,
    record::KafkaRecord,
};

/// Messages of one partition of a topic.
#[derive(Debug)]
pub struct KafkaBlock {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Read ahead, or read by `open`.
    Fetched(Vec<Slice>),
    /// What the broker has to give once more.
    Range { partition: PartitionId, offsets: Range<i64>, ranges: Arc<Ranges> },
}

impl KafkaBlock {
    pub(crate) fn fetched(slice: Slice) -> KafkaBlock {
        KafkaBlock { state: State::Fetched(vec![slice]) }
    }

    pub(crate) fn range(partition: PartitionId, offsets: Range<i64>, ranges: Arc<Ranges>) -> KafkaBlock {
        KafkaBlock { state: State::Range { partition, offsets, ranges } }
    }
}

impl Block for KafkaBlock {
    type Record<'a> = KafkaRecord<'a>;

    fn open(&mut self) -> Result<()> {
        if let State::Range { partition, offsets, ranges } = &self.state {
            let slices = ranges.read(partition, offsets.clone())?;
            self.state = State::Fetched(slices);
        }
        Ok(())
    }

    fn records(&mut self) -> impl Iterator<Item = KafkaRecord<'_>> {
        let slices = match &self.state {
            State::Fetched(slices) => slices.as_slice(),
            State::Range { .. } => &[],
        };
        slices.iter().flat_map(|slice| slice.chunk.records(slice.range.clone()))
    }

    fn weight(&self) -> usize {
        match &self.state {
            State::Fetched(slices) => slices.iter().map(|slice| slice.chunk.bytes(&slice.range)).sum(),
            // How large messages are is not known: enough for a task of its own.
            State::Range { .. } => 1 << 20,
        }
    }

    fn record_count(&self) -> Option<u64> {
        match &self.state {
            State::Fetched(slices) => Some(slices.iter().map(|slice| slice.range.len() as u64).sum()),
            State::Range { .. } => None,
        }
    }
}
