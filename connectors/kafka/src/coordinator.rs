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
use rdkafka::{Offset, consumer::Consumer as _, error::KafkaResult};

use crate::{
    client::{drain, explain},
    cluster::Cluster,
    outage::Outage,
    partition::{Partition, PartitionId},
    reader::Reader,
    shared::Shared,
};

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
    pub(crate) fn spawn(cluster: Cluster, readers: Vec<Reader>, shared: Arc<Shared>) -> Result<Coordinator> {
        let (commands, receiver) = mpsc::channel();
        let outage = Outage::new(&shared.name);
        let mut state = State {
            cluster,
            readers,
            shared,
            outage,
            first: None,
            checkpoint: None,
            begun: false,
            missing: None,
            committed: BTreeMap::new(),
            shares_group: false,
        };
        let shared = Arc::clone(&state.shared);
        thread::Builder::new()
            .name("dstream-kafka".into())
            .spawn(move || shared.watch(|| state.run(&receiver)))
            .map_err(|error| {
                Error::io("the thread that asks Kafka for partitions can't be started", error)
            })?;
        Ok(Coordinator { commands })
    }

    pub(crate) fn send(&self, command: Command) {
        // It has ended only where the whole source has.
        let _ = self.commands.send(command);
    }
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
    /// What this program has committed last, and whether another one has committed since, which has been
    /// said.
    committed: BTreeMap<PartitionId, i64>,
    shares_group: bool,
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
            if !self.shared.stopping.is_cancelled() {
                wait = self.look(&mut delay, refresh);
            }
        }
    }

    /// Looks for new partitions; returns how long to wait before the next look.
    fn look(&mut self, delay: &mut Duration, refresh: Duration) -> Duration {
        let found = self.discover().and_then(|()| self.look_at_group());
        match found {
            Ok(()) => {
                drain(&self.cluster.client);
                self.cluster.client.context().forget();
                self.outage.over();
                *delay = RETRY;
                // A topic that is waited for should not be waited for long.
                if self.missing.is_none() { refresh } else { refresh.min(Duration::from_secs(1)) }
            }
            Err(error) => {
                self.outage.failed(&explain(&self.cluster.client, &error));
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
        match self.cluster.commit(offsets) {
            Ok(()) => self.committed.extend(offsets.iter().cloned()),
            // They are for people: the next batch commits what is beyond them.
            Err(error) => self.outage.failed(&format!(
                "offsets are not committed to the group: {}",
                explain(&self.cluster.client, &error)
            )),
        }
    }

    /// Two programs with one group both read everything, and overwrite each other's offsets. No broker says
    /// so, but they are found changed.
    fn look_at_group(&mut self) -> KafkaResult<()> {
        if self.committed.is_empty() {
            return Ok(());
        }
        let found = self.cluster.committed(self.committed.keys())?;
        let other = found.iter().find_map(|(id, offset)| {
            let own = self.committed.get(id).filter(|own| *own != offset)?;
            Some((id, *own, *offset))
        });
        if let Some((id, own, offset)) = other
            && !self.shares_group
        {
            let group = self.cluster.settings.group.as_deref().unwrap_or_default();
            tracing::warn!(
                "{}: another program commits offsets for the group `{group}`: that of {id} is {offset}, this \
                 program has committed {own}; give each program a group of its own",
                self.shared.name
            );
        }
        self.shares_group = other.is_some();
        Ok(())
    }
}
