//! Messages of one partition, side by side in one buffer.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rdkafka::message::{Headers, Message};

use crate::{
    budget::Permit,
    record::{KafkaRecord, NO_TIME, write_header},
};

/// At how many bytes a chunk is closed. A task of a stage has one chunk, or several small ones.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// Neighbouring messages of one partition.
///
/// The client frees a message when it is dropped, and the message can't outlive the client: so it is copied
/// here once, and what is derived of it borrows from here.
#[derive(Debug)]
pub(crate) struct Chunk {
    topic: Arc<str>,
    partition: i32,
    data: Vec<u8>,
    messages: Vec<Place>,
    /// What the chunk counts for in the buffer of its source, until it is dropped.
    permit: Permit,
}

#[derive(Debug)]
struct Place {
    offset: i64,
    timestamp: i64,
    /// Where key, value and headers begin, and where the headers end. A null key or value begins behind its
    /// end.
    key: u32,
    value: u32,
    headers: u32,
    end: u32,
    nulls: u8,
}

const NULL_KEY: u8 = 1;
const NULL_VALUE: u8 = 2;

impl Chunk {
    pub(crate) fn new(topic: Arc<str>, partition: i32, permit: Permit) -> Chunk {
        Chunk { topic, partition, data: Vec::new(), messages: Vec::new(), permit }
    }

    pub(crate) fn push(&mut self, message: &impl Message) {
        let before = self.data.len();
        let mut nulls = 0;
        let mut put = |bytes: Option<&[u8]>, null: u8| {
            let at = self.data.len() as u32;
            match bytes {
                Some(bytes) => self.data.extend_from_slice(bytes),
                None => nulls |= null,
            }
            at
        };
        let (key, value) = (put(message.key(), NULL_KEY), put(message.payload(), NULL_VALUE));
        let headers = self.data.len() as u32;
        if let Some(all) = message.headers() {
            self.push_headers(message, all);
        }
        let timestamp = message.timestamp().to_millis().unwrap_or(NO_TIME);
        let end = self.data.len() as u32;
        self.messages.push(Place { offset: message.offset(), timestamp, key, value, headers, end, nulls });
        self.permit.grow(self.data.len() - before + size_of::<Place>());
    }

    /// The client panics over a header whose name is no text: that one is left out, which is said.
    fn push_headers(&mut self, message: &impl Message, all: &impl Headers) {
        for at in 0..all.count() {
            match catch_unwind(AssertUnwindSafe(|| all.get(at))) {
                Ok(header) => write_header(&mut self.data, header.key, header.value),
                Err(_) => tracing::warn!(
                    "{}/{}: the name of header {at} of the message at the offset {} is no text: it is left out",
                    self.topic,
                    self.partition,
                    message.offset()
                ),
            }
        }
    }

    /// Whether the next message goes into another chunk.
    pub(crate) fn is_full(&self) -> bool {
        self.data.len() >= CHUNK_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn offset(&self, at: usize) -> Option<i64> {
        self.messages.get(at).map(|message| message.offset)
    }

    pub(crate) fn bytes(&self, range: &Range<usize>) -> usize {
        let places = self.messages.get(range.clone()).unwrap_or_default();
        let data = places.first().zip(places.last()).map_or(0, |(first, last)| last.end - first.key);
        data as usize + size_of_val(places)
    }

    /// The messages in a range of indices.
    pub(crate) fn records(&self, range: Range<usize>) -> impl Iterator<Item = KafkaRecord<'_>> {
        let bytes = |from: u32, to: u32| self.data.get(from as usize..to as usize).unwrap_or_default();
        self.messages.get(range).unwrap_or_default().iter().map(move |place| KafkaRecord {
            topic: &self.topic,
            partition: self.partition,
            offset: place.offset,
            timestamp: place.timestamp,
            key: (place.nulls & NULL_KEY == 0).then(|| bytes(place.key, place.value)),
            value: (place.nulls & NULL_VALUE == 0).then(|| bytes(place.value, place.headers)),
            headers: bytes(place.headers, place.end),
        })
    }
}
