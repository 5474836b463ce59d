//! Ranges of offsets that are read in their task: by a batch that runs again, as a batch job, and as an
//! `Rdd`.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dstream_core::{Error, Result, source::SourceContext};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    config::ClientConfig,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult},
};

use crate::{
    budget::Budget,
    chunk::{Chunk, ChunkPool},
    client::{Consumer, Told},
    errors::{SKIP, is_out_of_range, settings_error},
    partition::PartitionId,
    settings::{Kafka, OnLoss},
};

/// How long one look for a message waits.
const POLL: Duration = Duration::from_millis(100);
/// How long one question for the ends of a partition may take.
const QUESTION: Duration = Duration::from_secs(10);

/// What the ranges of a batch are read with: clients that are used for one range after the other.
pub(crate) struct Ranges {
    source: String,
    config: ClientConfig,
    on_loss: OnLoss,
    patience: Duration,
    /// Who is told what is left out; nobody but the log where there is no context.
    context: Option<SourceContext>,
    clients: Mutex<Vec<Arc<Consumer>>>,
    /// A piece is small, and there are no more of them than tasks: they have no bound beside their size.
    chunks: ChunkPool,
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranges").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Ranges {
    /// `source` names the stream in messages.
    pub(crate) fn new(source: &str, settings: &Kafka, context: Option<SourceContext>) -> Ranges {
        Ranges {
            source: source.to_owned(),
            config: settings.range_client(),
            on_loss: settings.on_loss,
            patience: settings.patience,
            context,
            clients: Mutex::default(),
            chunks: ChunkPool::new(Budget::new(usize::MAX)),
        }
    }

    fn client(&self) -> Result<Arc<Consumer>> {
        match self.clients().pop() {
            Some(kept) => Ok(kept),
            None => {
                let client = self.config.create_with_context(Told::default());
                client.map(Arc::new).map_err(|error| settings_error(&self.source, &error))
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, Vec<Arc<Consumer>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A range that is being read, piece by piece.
pub(crate) struct RangeReader {
    ranges: Arc<Ranges>,
    /// Reads another range when this one has been read.
    client: Arc<Consumer>,
    partition: PartitionId,
    /// What the batch has, and the first offset of it that has not been read.
    offsets: Range<i64>,
    next: i64,
}

impl fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeReader")
            .field("partition", &self.partition)
            .field("offsets", &self.offsets)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl RangeReader {
    /// Makes sure that the broker has the whole range, and begins to fetch it.
    pub(crate) fn open(
        ranges: &Arc<Ranges>,
        partition: PartitionId,
        offsets: Range<i64>,
    ) -> Result<RangeReader> {
        let client = ranges.client()?;
        let next = offsets.start;
        let mut reader = RangeReader { ranges: Arc::clone(ranges), client, partition, offsets, next };
        reader.locate()?;
        Ok(reader)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.offsets.end
    }

    /// The next messages, as many as one chunk holds. Offsets without a message, such as those that
    /// compaction has removed or that are marks of transactions, are passed over.
    pub(crate) fn read(&mut self) -> Result<Chunk> {
        let mut chunk = self.ranges.chunks.large(Arc::clone(&self.partition.topic), self.partition.number);
        let mut heard = Instant::now();
        let mut last_error = None;
        while !self.is_done() && !chunk.is_full() {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    // What another range has left in the client.
                    if message.partition() != self.partition.number
                        || message.topic() != &*self.partition.topic
                    {
                        continue;
                    }
                    heard = Instant::now();
                    let offset = message.offset();
                    // The broker sends whole batches of messages: some may lie before the range, or behind.
                    if (self.next..self.offsets.end).contains(&offset) {
                        chunk.push(&message);
                    }
                    self.next = self.next.max(offset.saturating_add(1));
                }
                // The range was there when it was opened, so the rest of it has no message.
                Some(Err(KafkaError::PartitionEOF(_))) => self.next = self.offsets.end,
                Some(Err(error)) if is_out_of_range(&error) => {
                    self.locate()?;
                    heard = Instant::now();
                }
                Some(Err(error)) => last_error = Some(error),
                None => {}
            }
            if heard.elapsed() > self.ranges.patience {
                self.give_up(last_error.take())?;
                heard = Instant::now();
            }
        }
        if self.is_done() {
            self.release();
        }
        Ok(chunk)
    }

    /// Asks where the partition begins and ends, until the broker answers and has the rest of the range; then
    /// fetches from there.
    fn locate(&mut self) -> Result<()> {
        let since = Instant::now();
        // All of it may be gone.
        while !self.is_done() {
            let (topic, number) = (&self.partition.topic, self.partition.number);
            let ends = self.client.fetch_watermarks(topic, number, QUESTION.min(self.ranges.patience));
            let error = match ends {
                Ok((first, _)) if first > self.next => {
                    // It never comes back.
                    self.lost(self.next..first.min(self.offsets.end), "they have expired or were deleted")?;
                    continue;
                }
                Ok((_, behind)) if behind >= self.offsets.end => break,
                Ok((_, behind)) => {
                    // A broker that has just taken the partition over may say less than it has.
                    if since.elapsed() > self.ranges.patience {
                        self.lost(
                            self.next.max(behind)..self.offsets.end,
                            &format!("the broker has none from {behind} on: was the topic made anew?"),
                        )?;
                        self.offsets.end = self.offsets.end.min(self.next.max(behind));
                        break;
                    }
                    None
                }
                Err(error) => Some(error),
            };
            if since.elapsed() > self.ranges.patience {
                self.give_up(error)?;
                break;
            }
            // It is asked again after a moment, in which the client may mend its connection.
            let _ = self.client.poll(POLL);
        }
        if self.is_done() {
            return Ok(());
        }
        self.assign().map_err(|error| self.unreadable(&self.client.context().explain(&error)))
    }

    fn assign(&self) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.partition.topic, self.partition.number, Offset::Offset(self.next))?;
        self.client.assign(&list)
    }

    /// The broker has not given the range in time. That may pass, so the batch must run again; but a topic
    /// that does not exist has lost it.
    fn give_up(&mut self, error: Option<KafkaError>) -> Result<()> {
        let patience = self.ranges.patience;
        match error {
            Some(error) if crate::errors::is_unknown(&error) => {
                self.lost(self.next..self.offsets.end, &self.client.context().explain(&error))
            }
            Some(error) => Err(self.unreadable(&format!(
                "the broker has given nothing for {patience:?}: {}",
                self.client.context().explain(&error)
            ))),
            None => Err(self.unreadable(&format!("the broker has given nothing for {patience:?}"))),
        }
    }

    /// Messages of the range are gone for good: the batch fails, or goes on without them.
    fn lost(&mut self, gone: Range<i64>, why: &str) -> Result<()> {
        match self.ranges.on_loss {
            OnLoss::Fail => {
                let Range { start, end } = gone;
                Err(self.unreadable(&format!("the offsets {start} to {} are gone: {why}. {SKIP}", end - 1)))
            }
            OnLoss::Skip => {
                let Range { start, end } = gone;
                let what = format!("{}: the offsets {start} to {} are gone: {why}", self.partition, end - 1);
                match &self.ranges.context {
                    Some(context) => context.report(Error::source(&self.ranges.source, what)),
                    None => tracing::warn!("{}: {what}", self.ranges.source),
                }
                if start == self.next {
                    self.next = end;
                }
                Ok(())
            }
        }
    }

    fn unreadable(&self, what: &str) -> Error {
        let Range { start, end } = self.offsets;
        let what = format_args!("{}, offsets {start} to {}: {what}", self.partition, end - 1);
        Error::unreadable(&self.ranges.source, what)
    }

    /// Fetches nothing more, so that another range can be read with the client.
    fn release(&self) {
        if self.client.unassign().is_ok() {
            self.ranges.clients().push(Arc::clone(&self.client));
        }
    }
}
