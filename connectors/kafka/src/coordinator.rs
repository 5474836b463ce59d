//! The thread that finds topics and partitions, decides where they are read from, and commits offsets.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use dstream_core::{Error, Result};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaResult,
};

use crate::{
    errors::{SKIP, advice, is_unknown},
    outage::Outage,
    partition::{Partition, PartitionId},
    reader::Reader,
    settings::{Kafka, OnLoss, Selection, Start},
    shared::Shared,
    source::OffsetRange,
};

/// How long a question to the cluster may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The first wait after the cluster did not answer; it doubles up to the refresh interval.
const RETRY: Duration = Duration::from_millis(250);

pub(crate) enum Command {
    /// What the checkpoint has is known: partitions with a position go on there. `None` if there was none.
    Begin(Option<BTreeMap<(String, i32), i64>>),
    /// Batches are done that had the messages before these offsets.
    Commit(Vec<(PartitionId, i64)>),
}

pub(crate) struct Coordinator {
    commands: Sender<Command>,
}

impl Coordinator {
    /// Starts the thread, which ends when this is dropped and the last offsets are committed.
    pub(crate) fn spawn(
        settings: Kafka,
        selection: Selection,
        client: BaseConsumer,
        readers: Vec<Reader>,
        shared: Arc<Shared>,
    ) -> Result<Coordinator> {
        let (commands, receiver) = mpsc::channel();
        let outage = Outage::new(&shared.name);
        let mut state = State {
            cluster: Cluster { client, settings, selection },
            readers,
            shared,
            outage,
            first: None,
            checkpoint: None,
            begun: false,
            missing: None,
        };
        thread::Builder::new().name("dstream-kafka".into()).spawn(move || state.run(&receiver)).map_err(
            |error| Error::io("the thread that asks Kafka for partitions can't be started", error),
        )?;
        Ok(Coordinator { commands })
    }

    pub(crate) fn send(&self, command: Command) {
        // It has ended only where the whole source has.
        let _ = self.commands.send(command);
    }
}

/// What is asked of the cluster.
pub(crate) struct Cluster {
    pub(crate) client: BaseConsumer,
    pub(crate) settings: Kafka,
    pub(crate) selection: Selection,
}

impl Cluster {
    /// The partitions that are there, and the topics that are asked for by name and are not.
    pub(crate) fn partitions(&self) -> KafkaResult<(BTreeSet<PartitionId>, BTreeSet<String>)> {
        let (mut found, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        let mut add = |topic: &rdkafka::metadata::MetadataTopic| {
            let name: Arc<str> = topic.name().into();
            let numbers = topic.partitions().iter().map(|partition| partition.id());
            found.extend(numbers.map(|number| PartitionId { topic: Arc::clone(&name), number }));
        };
        match &self.selection {
            Selection::Pattern { regex, .. } => {
                let metadata = self.client.fetch_metadata(None, TIMEOUT)?;
                metadata.topics().iter().filter(|topic| regex.is_match(topic.name())).for_each(&mut add);
            }
            Selection::Named(topics) => {
                for topic in topics {
                    let metadata = match self.client.fetch_metadata(Some(topic), TIMEOUT) {
                        Ok(metadata) => metadata,
                        Err(error) if is_unknown(&error) => {
                            unknown.insert(topic.clone());
                            continue;
                        }
                        Err(error) => return Err(error),
                    };
                    let exists = |topic: &&rdkafka::metadata::MetadataTopic| !topic.partitions().is_empty();
                    if metadata.topics().iter().filter(exists).map(&mut add).count() == 0 {
                        unknown.insert(topic.clone());
                    }
                }
            }
        }
        Ok((found, unknown))
    }

    /// All that is there, from where `position` or the settings say: an empty topic has nothing, and one that
    /// does not exist is an error, since nobody waits for it.
    pub(crate) fn everything(
        &self,
        position: impl Fn(&PartitionId) -> Option<i64>,
    ) -> Result<Vec<OffsetRange>, String> {
        let (found, unknown) = self.partitions().map_err(|error| advice(&error))?;
        if let Some(missing) = self.missing(&found, &unknown) {
            return Err(missing);
        }
        let starts = self.starts(&found).map_err(|error| advice(&error))?;
        let ends = self.offsets(&found, Offset::End).map_err(|error| advice(&error))?;
        let mut ranges = Vec::new();
        for (id, until) in ends {
            let from = position(&id).or_else(|| starts.get(&id).copied()).unwrap_or(until);
            if from > until {
                let gone = format!(
                    "{id}: the next offset is {from}, but the broker has none from {until} on: was the topic \
                     made anew?"
                );
                if self.settings.on_loss == OnLoss::Fail {
                    return Err(format!("{gone} {SKIP}"));
                }
                tracing::warn!("{gone} It is read from its beginning");
                let first = self.offsets(&BTreeSet::from([id.clone()]), Offset::Beginning);
                let first = first.map_err(|error| advice(&error))?.values().copied().next().unwrap_or(until);
                ranges.push(OffsetRange::new(&*id.topic, id.number, first..until));
            } else if from < until {
                ranges.push(OffsetRange::new(&*id.topic, id.number, from..until));
            }
        }
        Ok(ranges)
    }

    /// Says which topics are asked for and are not there.
    fn missing(&self, found: &BTreeSet<PartitionId>, unknown: &BTreeSet<String>) -> Option<String> {
        match &self.selection {
            Selection::Pattern { text, .. } if found.is_empty() => {
                Some(format!("no topic matches the pattern `{text}`, which must match the whole name"))
            }
            _ if unknown.is_empty() => None,
            _ => {
                let names: Vec<_> = unknown.iter().map(|topic| format!("`{topic}`")).collect();
                Some(format!("there is no topic {}: is it spelled right?", names.join(", ")))
            }
        }
    }

    /// Where partitions begin that are there when the program starts for the first time.
    pub(crate) fn starts(
        &self,
        partitions: &BTreeSet<PartitionId>,
    ) -> KafkaResult<BTreeMap<PartitionId, i64>> {
        match &self.settings.start {
            Start::Earliest => self.offsets(partitions, Offset::Beginning),
            Start::Latest => self.offsets(partitions, Offset::End),
            Start::Timestamp(time) => {
                let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                self.offsets(partitions, Offset::Offset(millis))
            }
            Start::Offsets(offsets) => {
                let mut starts = self.offsets(partitions, Offset::Beginning)?;
                for (id, start) in &mut starts {
                    if let Some(given) = offsets.get(&(id.topic.to_string(), id.number)) {
                        *start = *given;
                    }
                }
                Ok(starts)
            }
            Start::Committed => {
                let mut starts = self.offsets(partitions, Offset::Beginning)?;
                if self.settings.group.is_some() {
                    let committed =
                        self.client.committed_offsets(list(partitions, Offset::Invalid)?, TIMEOUT)?;
                    for element in committed.elements() {
                        let id = PartitionId { topic: element.topic().into(), number: element.partition() };
                        if let Offset::Offset(offset) = element.offset() {
                            starts.insert(id, offset);
                        }
                    }
                }
                Ok(starts)
            }
        }
    }

    /// Asks for one offset of each partition: the first, the one behind the last, or the first at a time.
    pub(crate) fn offsets(
        &self,
        partitions: &BTreeSet<PartitionId>,
        which: Offset,
    ) -> KafkaResult<BTreeMap<PartitionId, i64>> {
        let mut starts = BTreeMap::new();
        if partitions.is_empty() {
            return Ok(starts);
        }
        let answer = self.client.offsets_for_times(list(partitions, which)?, TIMEOUT)?;
        let mut later = BTreeSet::new();
        for element in answer.elements() {
            element.error()?;
            let id = PartitionId { topic: element.topic().into(), number: element.partition() };
            match element.offset() {
                Offset::Offset(offset) => drop(starts.insert(id, offset)),
                // No message is as late as that: what comes next is.
                _ => drop(later.insert(id)),
            }
        }
        if !later.is_empty() && which != Offset::End {
            starts.extend(self.offsets(&later, Offset::End)?);
        }
        Ok(starts)
    }
}

fn list(partitions: &BTreeSet<PartitionId>, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for id in partitions {
        list.add_partition_offset(&id.topic, id.number, offset)?;
    }
    Ok(list)
}

struct State {
    cluster: Cluster,
    readers: Vec<Reader>,
    shared: Arc<Shared>,
    outage: Outage,
    /// Where the partitions begin that were there at the first look.
    first: Option<BTreeMap<PartitionId, i64>>,
    checkpoint: Option<BTreeMap<(String, i32), i64>>,
    begun: bool,
    /// Which topics do not exist, which has been said.
    missing: Option<String>,
}

impl State {
    fn run(&mut self, commands: &Receiver<Command>) {
        let refresh = self.cluster.settings.refresh;
        let mut delay = RETRY;
        let mut wait = self.look(&mut delay, refresh);
        loop {
            match commands.recv_timeout(wait) {
                Ok(Command::Begin(positions)) => {
                    self.checkpoint = positions;
                    self.begun = true;
                }
                Ok(Command::Commit(offsets)) => {
                    self.commit(&offsets);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !self.shared.stopping.is_set() {
                wait = self.look(&mut delay, refresh);
            }
        }
    }

    /// Looks for new partitions; returns how long to wait before the next look.
    fn look(&mut self, delay: &mut Duration, refresh: Duration) -> Duration {
        match self.discover() {
            Ok(()) => {
                self.outage.over();
                *delay = RETRY;
                // A topic that is waited for should not be waited for long.
                if self.missing.is_none() { refresh } else { refresh.min(Duration::from_secs(1)) }
            }
            Err(error) => {
                self.outage.failed(&advice(&error));
                let wait = *delay;
                *delay = (*delay * 2).min(refresh.max(RETRY));
                wait
            }
        }
    }

    fn discover(&mut self) -> KafkaResult<()> {
        let (found, unknown) = self.cluster.partitions()?;
        let missing = self.cluster.missing(&found, &unknown);
        if missing != self.missing
            && let Some(missing) = &missing
        {
            tracing::warn!("{}: {missing}; it is read when it is there", self.shared.name);
        }
        self.missing = missing;
        if self.first.is_none() {
            self.first = Some(self.cluster.starts(&found)?);
        }
        if !self.begun {
            return Ok(());
        }
        let known: BTreeMap<PartitionId, Arc<Partition>> =
            self.shared.partitions().into_iter().map(|partition| (partition.id.clone(), partition)).collect();
        self.forget(known.iter().filter(|(id, _)| !found.contains(*id)).map(|(_, gone)| gone));
        let new: BTreeSet<PartitionId> = found.into_iter().filter(|id| !known.contains_key(id)).collect();
        if new.is_empty() {
            return Ok(());
        }
        // One that was not there at the first look, or that the checkpoint does not know, is new: all of it
        // counts.
        let mut unplaced = BTreeSet::new();
        let mut starts = BTreeMap::new();
        for id in new {
            let position = match &self.checkpoint {
                Some(positions) => positions.get(&(id.topic.to_string(), id.number)),
                None => self.first.as_ref().and_then(|first| first.get(&id)),
            };
            match position {
                Some(position) => drop(starts.insert(id, *position)),
                None => drop(unplaced.insert(id)),
            }
        }
        starts.extend(self.cluster.offsets(&unplaced, Offset::Beginning)?);
        let partitions: Vec<Arc<Partition>> =
            starts.into_iter().map(|(id, next)| Arc::new(Partition::new(id, next))).collect();
        tracing::info!("{}: reads {} more partitions", self.shared.name, partitions.len());
        self.shared.add(&partitions);
        for (at, reader) in self.readers.iter().enumerate() {
            let of_reader = |partition: &&Arc<Partition>| self.reader_of(&partition.id) == at;
            let share: Vec<_> = partitions.iter().filter(of_reader).cloned().collect();
            if !share.is_empty() {
                reader.add(share);
            }
        }
        Ok(())
    }

    fn reader_of(&self, id: &PartitionId) -> usize {
        let letters: usize = id.topic.bytes().map(usize::from).sum();
        (letters + id.number.unsigned_abs() as usize) % self.readers.len().max(1)
    }

    /// Partitions whose topic was deleted.
    fn forget<'a>(&self, gone: impl Iterator<Item = &'a Arc<Partition>>) {
        for partition in gone {
            let id = &partition.id;
            let what = format!("{id} was deleted; it had been read up to the offset {}", partition.behind());
            if self.shared.lost(what) {
                self.shared.remove(id);
                self.readers[self.reader_of(id)].remove(vec![Arc::clone(partition)]);
            }
        }
    }

    fn commit(&mut self, offsets: &[(PartitionId, i64)]) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        let added = offsets.iter().try_for_each(|(id, next)| {
            list.add_partition_offset(&id.topic, id.number, Offset::Offset(*next))
        });
        // They are for people: the next batch commits what is beyond them.
        if let Err(error) = added.and_then(|()| self.cluster.client.commit(&list, CommitMode::Sync)) {
            self.outage.failed(&format!("offsets are not committed to the group: {}", advice(&error)));
        }
    }
}
