//! Ranges of offsets that are read as a whole: by a batch that runs again, and as a batch job.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dstream_core::{Error, Result};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use crate::{
    budget::Budget,
    chunk::Chunk,
    errors::advice,
    partition::{PartitionId, Slice},
};

/// How long one look for a message waits.
const POLL: Duration = Duration::from_millis(100);

/// Reads ranges, several at a time, with clients that are used again.
pub(crate) struct Ranges {
    source: String,
    config: ClientConfig,
    patience: Duration,
    clients: Mutex<Vec<BaseConsumer>>,
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranges").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Ranges {
    /// `source` names the stream in messages.
    pub(crate) fn new(source: String, config: ClientConfig, patience: Duration) -> Ranges {
        Ranges { source, config, patience, clients: Mutex::new(Vec::new()) }
    }

    /// Reads the messages of a range. Offsets without a message, such as those that compaction has removed,
    /// are passed over.
    pub(crate) fn read(&self, partition: &PartitionId, offsets: Range<i64>) -> Result<Vec<Slice>> {
        let failed = |message: String| {
            let Range { start, end } = offsets;
            Error::source(
                &self.source,
                format_args!("{partition}, offsets {start} to {}: {message}", end - 1),
            )
        };
        let client = self.client().map_err(|error| failed(error.to_string()))?;
        let read = self.read_with(&client, partition, &offsets).map_err(failed);
        if read.is_ok() {
            self.clients.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
        read
    }

    fn read_with(
        &self,
        client: &BaseConsumer,
        partition: &PartitionId,
        offsets: &Range<i64>,
    ) -> Result<Vec<Slice>, String> {
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(&partition.topic, partition.number, Offset::Offset(offsets.start))
            .and_then(|()| client.assign(&assignment))
            .map_err(|error| error.to_string())?;
        // What was planned has been counted already: a range that is read once more has no bound of its own.
        let budget = Budget::new(usize::MAX);
        let chunk = || Chunk::new(Arc::clone(&partition.topic), partition.number, budget.permit());
        let (mut chunks, mut open) = (Vec::new(), chunk());
        let mut last_error = None;
        let mut idle = Duration::ZERO;
        loop {
            match client.poll(POLL) {
                Some(Ok(message)) => {
                    idle = Duration::ZERO;
                    if message.offset() >= offsets.end {
                        break;
                    }
                    // The broker sends whole batches of messages: some may lie before the range.
                    if message.offset() >= offsets.start {
                        open.push(&message);
                        if open.is_full() {
                            chunks.push(std::mem::replace(&mut open, chunk()));
                        }
                    }
                    if message.offset() + 1 == offsets.end {
                        break;
                    }
                }
                // There is nothing behind: the rest of the range has no message.
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => {
                    if let Some(gone) = self.lost(client, partition, offsets, &error) {
                        return Err(gone);
                    }
                    last_error = Some(error);
                }
                None => idle += POLL,
            }
            if idle > self.patience {
                let cause = last_error.map(|error| format!(": {}", advice(&error))).unwrap_or_default();
                return Err(format!("the broker has given nothing for {:?}{cause}", self.patience));
            }
        }
        chunks.push(open);
        let slices = chunks.into_iter().filter(|chunk| chunk.len() > 0);
        Ok(slices.map(|chunk| Slice { range: 0..chunk.len(), chunk: Arc::new(chunk) }).collect())
    }

    /// Whether an error means that messages of the range are gone for good.
    fn lost(
        &self,
        client: &BaseConsumer,
        partition: &PartitionId,
        offsets: &Range<i64>,
        error: &KafkaError,
    ) -> Option<String> {
        crate::errors::is_out_of_range(error).then_some(())?;
        let (first, behind) =
            client.fetch_watermarks(&partition.topic, partition.number, Duration::from_secs(10)).ok()?;
        (offsets.start < first || offsets.end > behind).then(|| {
            format!(
                "the broker has only the offsets from {first} to {}: the rest has expired or was deleted",
                behind - 1
            )
        })
    }

    fn client(&self) -> Result<BaseConsumer, KafkaError> {
        let kept = self.clients.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.map_or_else(|| self.config.create(), Ok)
    }
}
