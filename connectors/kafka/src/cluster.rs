//! What is asked of the cluster: which partitions there are, and where they begin and end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use dstream_core::Result;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::KafkaResult,
};

use crate::{
    client::{Consumer, Told, explain},
    errors::{SKIP, is_unknown, settings_error},
    partition::PartitionId,
    plan::OffsetRange,
    settings::{Kafka, OnLoss, Selection, Start},
};

/// How long a question may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked of the cluster.
pub(crate) struct Cluster {
    pub(crate) client: Consumer,
    pub(crate) settings: Kafka,
    selection: Selection,
    timeout: Duration,
}

impl Cluster {
    /// Makes the client; nothing is asked yet. `name` is that of the stream.
    pub(crate) fn new(name: &str, settings: &Kafka) -> Result<Cluster> {
        let selection = settings.selection()?;
        let client = settings.client().create_with_context(Told::default());
        let client = client.map_err(|error| settings_error(name, &error))?;
        let timeout = TIMEOUT.min(settings.patience);
        Ok(Cluster { client, settings: settings.clone(), selection, timeout })
    }

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
                let metadata = self.client.fetch_metadata(None, self.timeout)?;
                metadata.topics().iter().filter(|topic| regex.is_match(topic.name())).for_each(&mut add);
            }
            Selection::Named(topics) => {
                for topic in topics {
                    let metadata = match self.client.fetch_metadata(Some(topic), self.timeout) {
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

    /// All that is there, from where `position` or the settings say. An empty topic has nothing; one that
    /// does not exist is an error, since nobody waits for it. A cluster that does not answer is asked again
    /// while [`Kafka::patience`] lasts.
    pub(crate) fn everything(
        &self,
        position: impl Fn(&PartitionId) -> Option<i64>,
    ) -> Result<Vec<OffsetRange>, String> {
        let since = Instant::now();
        loop {
            match self.everything_now(&position) {
                Ok(answer) => return answer,
                Err(error) => {
                    let why = explain(&self.client, &error);
                    if since.elapsed() >= self.settings.patience {
                        return Err(why);
                    }
                }
            }
        }
    }

    /// The outer error is that of an answer that did not come.
    fn everything_now(
        &self,
        position: impl Fn(&PartitionId) -> Option<i64>,
    ) -> KafkaResult<Result<Vec<OffsetRange>, String>> {
        let (found, unknown) = self.partitions()?;
        if let Some(missing) = self.missing(&found, &unknown) {
            return Ok(Err(missing));
        }
        let starts = self.starts(&found)?;
        let ends = self.offsets(&found, Offset::End)?;
        let mut ranges = Vec::new();
        for (id, until) in ends {
            let mut from = position(&id).or_else(|| starts.get(&id).copied()).unwrap_or(until);
            if from > until {
                let gone = format!(
                    "{id}: the next offset is {from}, but the broker has none from {until} on: was the topic \
                     made anew?"
                );
                if self.settings.on_loss == OnLoss::Fail {
                    return Ok(Err(format!("{gone} {SKIP}")));
                }
                tracing::warn!("{gone} It is read from its beginning");
                let first = self.offsets(&BTreeSet::from([id.clone()]), Offset::Beginning)?;
                from = first.get(&id).copied().unwrap_or(until);
            }
            if from < until {
                ranges.push(OffsetRange::new(&*id.topic, id.number, from..until));
            }
        }
        Ok(Ok(ranges))
    }

    /// Says which topics are asked for and are not there.
    pub(crate) fn missing(
        &self,
        found: &BTreeSet<PartitionId>,
        unknown: &BTreeSet<String>,
    ) -> Option<String> {
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
                    starts.extend(self.committed(partitions)?);
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
        let answer = self.client.offsets_for_times(list(partitions, which)?, self.timeout)?;
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

    /// The offsets that the group has committed, of partitions of which it has.
    pub(crate) fn committed<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a PartitionId>,
    ) -> KafkaResult<BTreeMap<PartitionId, i64>> {
        let committed = self.client.committed_offsets(list(partitions, Offset::Invalid)?, self.timeout)?;
        let offset = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let Offset::Offset(offset) = element.offset() else { return None };
            let id = PartitionId { topic: element.topic().into(), number: element.partition() };
            Some((id, offset))
        };
        Ok(committed.elements().into_iter().filter_map(offset).collect())
    }

    /// Commits offsets to the group.
    pub(crate) fn commit(&self, offsets: &[(PartitionId, i64)]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (id, next) in offsets {
            list.add_partition_offset(&id.topic, id.number, Offset::Offset(*next))?;
        }
        self.client.commit(&list, CommitMode::Sync)
    }
}

fn list<'a>(
    partitions: impl IntoIterator<Item = &'a PartitionId>,
    offset: Offset,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for id in partitions {
        list.add_partition_offset(&id.topic, id.number, offset)?;
    }
    Ok(list)
}
