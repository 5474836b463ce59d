//! Messages of one partition, side by side in one buffer.

use std::{
    mem,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rdkafka::message::{Headers, Message};

use crate::{
    budget::{Budget, Permit},
    record::{KafkaRecord, NO_TIME, write_header},
};

/// At how many bytes a chunk is closed. A task of a stage has one chunk, or several small ones.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// How many buffers wait to be used again: what a few threads fill and empty at a time.
const MAX_SPARE: usize = 16;

/// Where the chunks of a source come from: its budget, and buffers that are used again. Fresh ones would be
/// mapped and cleared by the kernel again and again. Clones are the same pool.
#[derive(Clone, Debug)]
pub(crate) struct ChunkPool {
    pub(crate) budget: Budget,
    spare: Arc<Spare>,
}

#[derive(Debug, Default)]
struct Spare(Mutex<Vec<Buffers>>);

/// What a chunk keeps its messages in.
#[derive(Debug, Default)]
struct Buffers {
    data: Vec<u8>,
    messages: Vec<Place>,
}

impl ChunkPool {
    pub(crate) fn new(budget: Budget) -> ChunkPool {
        ChunkPool { budget, spare: Arc::default() }
    }

    /// A chunk that grows: of a partition with few messages.
    pub(crate) fn small(&self, topic: Arc<str>, partition: i32) -> Chunk {
        self.chunk(topic, partition, Buffers::default())
    }

    /// A chunk that will be full.
    pub(crate) fn large(&self, topic: Arc<str>, partition: i32) -> Chunk {
        let buffers = self.spare.lock().pop().unwrap_or_else(|| Buffers {
            // The last message goes beyond the limit.
            data: Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16),
            messages: Vec::new(),
        });
        self.chunk(topic, partition, buffers)
    }

    fn chunk(&self, topic: Arc<str>, partition: i32, buffers: Buffers) -> Chunk {
        Chunk { topic, partition, buffers, spare: Arc::clone(&self.spare), permit: self.budget.permit() }
    }
}

impl Spare {
    fn lock(&self) -> MutexGuard<'_, Vec<Buffers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neighbouring messages of one partition.
///
/// The client frees a message when it is dropped, and the message can't outlive the client: so it is copied
/// here once, and what is derived of it borrows from here.
#[derive(Debug)]
pub(crate) struct Chunk {
    topic: Arc<str>,
    partition: i32,
    buffers: Buffers,
    spare: Arc<Spare>,
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
    pub(crate) fn push(&mut self, message: &impl Message) {
        let Buffers { data, .. } = &mut self.buffers;
        let before = data.len();
        let mut nulls = 0;
        let mut put = |bytes: Option<&[u8]>, null: u8| {
            let at = data.len() as u32;
            match bytes {
                Some(bytes) => data.extend_from_slice(bytes),
                None => nulls |= null,
            }
            at
        };
        let (key, value) = (put(message.key(), NULL_KEY), put(message.payload(), NULL_VALUE));
        let headers = data.len() as u32;
        if let Some(all) = message.headers() {
            self.push_headers(message, all);
        }
        let timestamp = message.timestamp().to_millis().unwrap_or(NO_TIME);
        let Buffers { data, messages } = &mut self.buffers;
        let end = data.len() as u32;
        messages.push(Place { offset: message.offset(), timestamp, key, value, headers, end, nulls });
        self.permit.grow(data.len() - before + size_of::<Place>());
    }

    /// The client panics over a header whose name is no text: that one is left out, which is said.
    fn push_headers(&mut self, message: &impl Message, all: &impl Headers) {
        for at in 0..all.count() {
            match catch_unwind(AssertUnwindSafe(|| all.get(at))) {
                Ok(header) => write_header(&mut self.buffers.data, header.key, header.value),
                Err(_) => tracing::warn!(
                    "{}/{}: the name of header {at} of the message at the offset {} is no text: it is left \
                     out",
                    self.topic,
                    self.partition,
                    message.offset()
                ),
            }
        }
    }

    /// Whether the next message goes into another chunk.
    pub(crate) fn is_full(&self) -> bool {
        self.buffers.data.len() >= CHUNK_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.buffers.messages.len()
    }

    pub(crate) fn offset(&self, at: usize) -> Option<i64> {
        self.buffers.messages.get(at).map(|message| message.offset)
    }

    pub(crate) fn bytes(&self, range: &Range<usize>) -> usize {
        let places = self.buffers.messages.get(range.clone()).unwrap_or_default();
        let data = places.first().zip(places.last()).map_or(0, |(first, last)| last.end - first.key);
        data as usize + size_of_val(places)
    }

    /// The messages in a range of indices.
    pub(crate) fn records(&self, range: Range<usize>) -> impl Iterator<Item = KafkaRecord<'_>> {
        let bytes =
            |from: u32, to: u32| self.buffers.data.get(from as usize..to as usize).unwrap_or_default();
        self.buffers.messages.get(range).unwrap_or_default().iter().map(move |place| KafkaRecord {
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

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut buffers = mem::take(&mut self.buffers);
        // A buffer that a huge message has made larger is not kept.
        if !(CHUNK_BYTES..2 * CHUNK_BYTES).contains(&buffers.data.capacity()) {
            return;
        }
        buffers.data.clear();
        buffers.messages.clear();
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE {
            spare.push(buffers);
        }
    }
}
