//! The partitions of a batch: records that have been read ahead, or a range that is read when its task
//! begins.

use std::{mem, ops::Range, sync::Arc};

use dstream_core::{Error, Result, source::Block};

use crate::{
    page::Page,
    plan::SequenceRange,
    record::KinesisRecord,
    replay::RangeReader,
    shard::{Held, Slice},
    shared::Shared,
};

/// Records of one shard.
#[derive(Debug)]
pub struct KinesisBlock {
    state: State,
    records: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// What the service has to give once more.
    Range(Box<RangeReader>),
    /// Records, and what reads those that follow.
    Page { page: Arc<Held>, entries: Range<usize>, reader: Option<Box<RangeReader>> },
    /// It could not be read.
    Failed,
}

impl KinesisBlock {
    pub(crate) fn fetched(slice: Slice) -> KinesisBlock {
        let Slice { page, entries } = slice;
        let records = page.page.count(&entries);
        KinesisBlock { state: State::Page { page, entries, reader: None }, records: Some(records) }
    }

    pub(crate) fn of_range(range: SequenceRange, shared: &Arc<Shared>) -> KinesisBlock {
        let records = Some(range.records);
        KinesisBlock { state: State::Range(Box::new(RangeReader::new(shared, range))), records }
    }

    fn read(&mut self, reader: Box<RangeReader>) -> Result<()> {
        let (reader, (page, entries)) = reader.read()?;
        let page = Arc::new(Held { page, _permit: None });
        self.records = Some(page.page.count(&entries));
        self.state = State::Page { page, entries, reader: (!reader.is_done()).then_some(reader) };
        Ok(())
    }

    fn page(&self) -> Option<(&Page, Range<usize>)> {
        match &self.state {
            State::Page { page, entries, .. } => Some((&page.page, entries.clone())),
            State::Range(_) | State::Failed => None,
        }
    }
}

impl Block for KinesisBlock {
    type Record<'a> = KinesisRecord<'a>;

    fn open(&mut self) -> Result<()> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Range(reader) => self.read(reader),
            read => {
                self.state = read;
                Ok(())
            }
        }
    }

    fn records(&mut self) -> impl Iterator<Item = KinesisRecord<'_>> {
        self.page().into_iter().flat_map(|(page, entries)| page.records(entries))
    }

    fn weight(&self) -> usize {
        // How large the records of a range are is not known: enough for a task of its own.
        self.page().map_or(1 << 20, |(page, entries)| page.bytes(&entries))
    }

    fn has_more(&self) -> bool {
        matches!(&self.state, State::Page { reader: Some(_), .. })
    }

    fn advance(&mut self) -> Result<()> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Page { reader: Some(reader), .. } => self.read(reader),
            _ => Err(Error::State("a block of Kinesis has no further piece".to_owned())),
        }
    }

    fn record_count(&self) -> Option<u64> {
        self.records
    }
}
