//! The source: what belongs to a batch, and how far it is.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::Range,
    sync::Arc,
};

use dstream_core::{
    Error, Rdd, Result, Str, Time,
    checkpoint::Stateful,
    source::{Limits, Source, SourceContext},
};

use crate::{
    block::KafkaBlock,
    budget::Budget,
    chunk::ChunkPool,
    client::{Consumer, Told},
    cluster::Cluster,
    coordinator::{Command, Coordinator},
    errors::settings_error,
    options::OF_SOURCE,
    partition::shares,
    plan::{KafkaPlan, OffsetRange},
    positions::Positions,
    ranges::Ranges,
    reader::Reader,
    record::KafkaMessage,
    settings::Kafka,
    shared::Shared,
};

/// The messages of Kafka topics as a stream of [`KafkaRecord`](crate::KafkaRecord)s.
///
/// There is no receiver and no log of ours: the broker is the log. A batch is a range of offsets of each
/// partition, which is fixed when its time is reached and kept in the checkpoint, so a batch that runs again
/// after a crash reads the same messages. Messages are read ahead, up to [`Kafka::buffer_bytes`].
///
/// With a checkpoint, a restart goes on behind the last batch that had begun, whatever [`Kafka::start`] says.
/// Without one it goes on from what the group has committed, which may be behind: messages then count twice.
///
/// ```no_run
/// use dstream::prelude::*;
/// use dstream_kafka::{Kafka, kafka_stream};
///
/// fn main() -> dstream::Result<()> {
///     let ssc = dstream::stream!(batch = 1s, checkpoint = "/var/lib/words", {
///         let messages = kafka_stream(Kafka::new("localhost:9092").topics(["lines"]).group("words"));
///         let words = messages.flat_map(|message| message.value_str().unwrap_or_default().split(' '));
///         words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).print();
///     })?;
///     ssc.start()?;
///     ssc.await_termination()
/// }
/// ```
pub fn kafka_stream(settings: Kafka) -> KafkaSource {
    KafkaSource {
        name: settings.name(),
        settings,
        positions: Positions::default(),
        running: None,
        ready: Vec::new(),
        uncommitted: VecDeque::new(),
    }
}

/// See [`kafka_stream`].
pub struct KafkaSource {
    name: String,
    settings: Kafka,
    positions: Positions,
    running: Option<Running>,
    /// The blocks of the batch that was planned last.
    ready: Vec<KafkaBlock>,
    /// The ranges of batches that are not done.
    uncommitted: VecDeque<(Time, KafkaPlan)>,
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource").field("settings", &self.settings).finish_non_exhaustive()
    }
}

struct Running {
    shared: Arc<Shared>,
    coordinator: Option<Coordinator>,
    begun: bool,
    /// Of a batch job, which has one batch.
    to_end: Option<Cluster>,
    planned: bool,
}

impl KafkaSource {
    fn failed(&self, message: impl fmt::Display) -> Error {
        Error::source(&self.name, message)
    }

    fn client(&self) -> Result<Consumer> {
        let client = self.settings.client().create_with_context(Told::default());
        client.map_err(|error| settings_error(&self.name, &error))
    }

    /// Lets the partitions be read: what the checkpoint has is known by now.
    fn begin(&mut self) {
        let positions = self.positions.restored.then(|| self.positions.all());
        if let Some(Running { coordinator: Some(coordinator), begun, .. }) = &mut self.running
            && !std::mem::replace(begun, true)
        {
            coordinator.send(Command::Begin(positions));
        }
    }

    fn plan_fetched(&mut self, limits: &Limits) -> Result<Option<KafkaPlan>> {
        let Some(Running { shared, .. }) = &self.running else { return Ok(None) };
        if let Some(failure) = shared.failure() {
            return Err(self.failed(failure));
        }
        let partitions = shared.partitions();
        let waiting: Vec<u64> = partitions.iter().map(|partition| partition.waiting()).collect();
        let mut ranges = Vec::new();
        for (partition, most) in
            partitions.iter().zip(shares(&waiting, limits.records, self.settings.max_per_partition))
        {
            let Some(taken) = partition.take(most) else { continue };
            let Range { start, end } = taken.offsets;
            let topic = Str::from(&*partition.id.topic);
            self.positions.set(&topic, partition.id.number, end);
            self.ready.extend(taken.slices.into_iter().map(KafkaBlock::fetched));
            ranges.push(OffsetRange { topic, partition: partition.id.number, from: start, until: end });
        }
        Ok((!ranges.is_empty()).then_some(KafkaPlan { ranges }))
    }

    /// All of a batch job, once: it ends also if it can't be known.
    fn plan_everything(&mut self) -> Result<Option<KafkaPlan>> {
        let Some(Running { to_end: Some(cluster), planned, .. }) = &mut self.running else { return Ok(None) };
        if std::mem::replace(planned, true) {
            return Ok(None);
        }
        let found = cluster.everything(|id| self.positions.get(&id.topic, id.number));
        let ranges = found.map_err(|error| self.failed(error))?;
        for range in &ranges {
            self.positions.set(&range.topic, range.partition, range.until);
        }
        Ok((!ranges.is_empty()).then_some(KafkaPlan { ranges }))
    }
}

impl Kafka {
    /// The ranges of what the topics have now, from [`start`](Kafka::start) on: what [`kafka_rdd`] can read.
    pub fn ranges(&self) -> Result<Vec<OffsetRange>> {
        let name = self.name();
        let cluster = Cluster::new(&name, self)?;
        cluster.everything(|_| None).map_err(|error| Error::source(name, error))
    }
}

/// The messages of some ranges of offsets as an [`Rdd`], with no stream: for a look back, or a batch job.
///
/// The ranges are read in parallel, a large one as several partitions, and stand in the order in which they
/// are given. Of the settings, [`start`](Kafka::start), [`group`](Kafka::group) and what is about streams
/// mean nothing here; topics are those of the ranges. A range that the broker does not have is an error, or
/// is left out with [`OnLoss::Skip`](crate::OnLoss::Skip).
///
/// ```no_run
/// use dstream::prelude::*;
/// use dstream_kafka::{Kafka, OffsetRange, kafka_rdd};
///
/// let kafka = Kafka::new("localhost:9092").topics(["orders"]);
/// // A thousand messages of one partition, and all that there is.
/// let some = kafka_rdd(&kafka, [OffsetRange::new("orders", 0, 5_000..6_000)])?;
/// let all = kafka_rdd(&kafka, kafka.ranges()?)?;
/// println!("{} of {}", some.count(), all.count());
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn kafka_rdd(
    settings: &Kafka,
    ranges: impl IntoIterator<Item = OffsetRange>,
) -> Result<Rdd<KafkaMessage>> {
    let name = format!("kafka_rdd({})", settings.brokers);
    settings.options.check(OF_SOURCE).map_err(|what| Error::Invalid(format!("`{name}`: {what}")))?;
    let reader = Arc::new(Ranges::new(&name, settings, None));
    let mut blocks = Vec::new();
    for range in ranges {
        if range.from < 0 || range.until < range.from {
            return Err(Error::Invalid(format!(
                "`{name}`: {}, offsets {} up to {} are no range",
                range.id(),
                range.from,
                range.until
            )));
        }
        blocks.extend(range.blocks(&reader));
    }
    Rdd::from_blocks(blocks)
}

impl Source for KafkaSource {
    type Block = KafkaBlock;
    type Plan = KafkaPlan;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        let cluster = Cluster::new(&self.name, &self.settings)?;
        let chunks = ChunkPool::new(Budget::new(self.settings.buffer_bytes));
        let shared = Arc::new(Shared::new(self.name.clone(), self.settings.on_loss, chunks, context));
        let (coordinator, to_end) = if context.to_end {
            (None, Some(cluster))
        } else {
            let readers = (0..self.settings.readers).map(|_| Reader::spawn(&shared, self.client()?));
            let readers = readers.collect::<Result<Vec<_>>>()?;
            (Some(Coordinator::spawn(cluster, readers, Arc::clone(&shared))?), None)
        };
        self.running = Some(Running { shared, coordinator, begun: false, to_end, planned: false });
        Ok(())
    }

    fn plan(&mut self, time: Time, limits: &Limits) -> Result<Option<KafkaPlan>> {
        self.begin();
        self.ready.clear();
        let to_end = self.running.as_ref().is_some_and(|running| running.to_end.is_some());
        let plan = if to_end { self.plan_everything() } else { self.plan_fetched(limits) }?;
        if let Some(plan) = &plan
            && self.settings.group.is_some()
        {
            self.uncommitted.push_back((time, plan.clone()));
        }
        Ok(plan)
    }

    fn blocks(&mut self, time: Time, plan: &KafkaPlan) -> Result<Vec<KafkaBlock>> {
        if !self.ready.is_empty() {
            return Ok(std::mem::take(&mut self.ready));
        }
        let Some(running) = &self.running else { return Ok(Vec::new()) };
        let context = Some(running.shared.context.clone());
        let ranges = Arc::new(Ranges::new(&self.name, &self.settings, context));
        let blocks = plan.ranges.iter().flat_map(|range| range.blocks(&ranges)).collect();
        if self.settings.group.is_some() && self.uncommitted.back().is_none_or(|(last, _)| *last < time) {
            self.uncommitted.push_back((time, plan.clone()));
        }
        Ok(blocks)
    }

    fn details(&self, plan: &KafkaPlan) -> Vec<String> {
        let range = |range: &OffsetRange| {
            format!("{}/{}: {} to {}", range.topic, range.partition, range.from, range.until)
        };
        plan.ranges.iter().map(range).collect()
    }

    fn committed(&mut self, time: Time) {
        let mut offsets = BTreeMap::new();
        while let Some((_, plan)) = self.uncommitted.pop_front_if(|(planned, _)| *planned <= time) {
            offsets.extend(plan.ranges.iter().map(|range| (range.id(), range.until)));
        }
        if let Some(Running { coordinator: Some(coordinator), .. }) = &self.running
            && !offsets.is_empty()
        {
            coordinator.send(Command::Commit(offsets.into_iter().collect()));
        }
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.positions)
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        let running = self.running.as_ref().filter(|running| running.to_end.is_some());
        Some(running.is_some_and(|running| running.planned))
    }

    fn stop(&mut self) {
        if let Some(running) = &self.running {
            running.shared.stopping.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use dstream_core::{Config, checkpoint::Changes};
    use rdkafka::message::{OwnedMessage, Timestamp};

    use super::*;
    use crate::{
        partition::{Partition, PartitionId},
        settings::OnLoss,
    };

    /// A source with so many partitions, as if it had been started.
    fn started(partitions: i32) -> (KafkaSource, Vec<Arc<Partition>>) {
        let mut source = kafka_stream(Kafka::new("nobody:9092").topics(["orders"]));
        let context = SourceContext::new(Config::new(), Duration::from_secs(1));
        let chunks = ChunkPool::new(Budget::new(64 << 20));
        let shared = Shared::new(source.name.clone(), OnLoss::Fail, chunks, &context);
        let id = |number| PartitionId { topic: "orders".into(), number };
        let all: Vec<_> = (0..partitions).map(|number| Arc::new(Partition::new(id(number), 0))).collect();
        shared.add(&all);
        let shared = Arc::new(shared);
        source.running =
            Some(Running { shared, coordinator: None, begun: true, to_end: None, planned: false });
        (source, all)
    }

    #[test]
    fn planning_ten_thousand_partitions_takes_less_than_ten_milliseconds() {
        let (mut source, partitions) = started(10_000);
        let chunks = ChunkPool::new(Budget::new(64 << 20));
        let mut best = Duration::MAX;
        for batch in 0..10u32 {
            for partition in &partitions {
                let (number, offset) = (partition.id.number, i64::from(batch));
                let time = Timestamp::NotAvailable;
                let value = Some(b"value".to_vec());
                let message = OwnedMessage::new(value, None, "orders".into(), time, number, offset, None);
                partition.push(&message, &chunks);
            }
            let clock = Instant::now();
            let time = Time::from_millis(u64::from(batch + 1) * 1_000);
            let plan = source.plan(time, &Limits::none()).unwrap().unwrap();
            let blocks = source.blocks(time, &plan).unwrap();
            source.positions.changes(&mut Changes::new());
            best = best.min(clock.elapsed());
            assert_eq!((plan.ranges.len(), blocks.len()), (10_000, 10_000));
        }
        // Without optimisation it is another program.
        let limit = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 10 });
        assert!(best < limit, "{best:?}");
        #[expect(clippy::print_stderr, reason = "a measurement")]
        {
            eprintln!("10,000 partitions are planned in {best:?}");
        }
    }
}
