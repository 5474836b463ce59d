//! The threads that read ahead, each with a client of its own.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use dstream_core::{Error, Result};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult},
};

use crate::{
    client::Consumer, errors::is_out_of_range, outage::Outage, partition::Partition, shared::Shared,
};

/// How long one look for a message waits.
const POLL: Duration = Duration::from_millis(50);

/// Hands partitions to a thread that reads.
pub(crate) struct Reader {
    commands: Sender<Command>,
}

enum Command {
    /// Reads these partitions, too.
    Add(Vec<Arc<Partition>>),
    /// Reads them no more.
    Remove(Vec<Arc<Partition>>),
}

impl Reader {
    /// Starts a thread, which ends when the source stops.
    pub(crate) fn spawn(shared: &Arc<Shared>, client: Consumer) -> Result<Reader> {
        let (commands, receiver) = mpsc::channel();
        let outage = Outage::new(&shared.name);
        let mut reading = Reading {
            shared: Arc::clone(shared),
            client,
            commands: receiver,
            partitions: HashMap::new(),
            last: None,
            outage,
        };
        thread::Builder::new()
            .name("dstream-kafka-reader".into())
            .spawn(move || {
                let shared = Arc::clone(&reading.shared);
                shared.watch(|| reading.run());
            })
            .map_err(|error| Error::io("the thread that reads from Kafka can't be started", error))?;
        Ok(Reader { commands })
    }

    // A reader that has ended reads nothing: the source stops.
    pub(crate) fn add(&self, partitions: Vec<Arc<Partition>>) {
        let _ = self.commands.send(Command::Add(partitions));
    }

    pub(crate) fn remove(&self, partitions: Vec<Arc<Partition>>) {
        let _ = self.commands.send(Command::Remove(partitions));
    }
}

struct Reading {
    shared: Arc<Shared>,
    client: Consumer,
    commands: Receiver<Command>,
    /// By topic, then by number.
    partitions: HashMap<Arc<str>, HashMap<i32, Arc<Partition>>>,
    /// That of the last message: mostly that of the next one, too.
    last: Option<Arc<Partition>>,
    outage: Outage,
}

impl Reading {
    fn run(&mut self) {
        while !self.shared.stopping.is_cancelled() {
            while let Ok(command) = self.commands.try_recv() {
                if let Err(error) = self.follow(&command) {
                    self.outage.failed(&self.client.context().explain(&error));
                }
            }
            // While the buffer is full the client's own fills up, and then it asks the broker for nothing
            // more.
            if self.shared.chunks.budget.wait(POLL) {
                self.read();
            }
        }
    }

    fn follow(&mut self, command: &Command) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        self.last = None;
        match command {
            Command::Add(partitions) => {
                for partition in partitions {
                    let id = &partition.id;
                    list.add_partition_offset(&id.topic, id.number, Offset::Offset(partition.behind()))?;
                    let of_topic = self.partitions.entry(Arc::clone(&id.topic)).or_default();
                    of_topic.insert(id.number, Arc::clone(partition));
                }
                self.client.incremental_assign(&list)
            }
            Command::Remove(partitions) => {
                for partition in partitions {
                    list.add_partition(&partition.id.topic, partition.id.number);
                    if let Some(of_topic) = self.partitions.get_mut(&partition.id.topic) {
                        of_topic.remove(&partition.id.number);
                    }
                }
                self.client.incremental_unassign(&list)
            }
        }
    }

    /// Reads until nothing waits in the client, or the buffer is full.
    fn read(&mut self) {
        let mut timeout = POLL;
        // How often the bound is looked at: a chunk holds many messages of a usual size.
        for _ in 0..1_000 {
            match self.client.poll(timeout) {
                None => return,
                Some(Ok(message)) => {
                    self.outage.over();
                    let (topic, number) = (message.topic(), message.partition());
                    if !self
                        .last
                        .as_ref()
                        .is_some_and(|last| last.id.number == number && &*last.id.topic == topic)
                    {
                        self.last = self.partitions.get(topic).and_then(|all| all.get(&number)).cloned();
                    }
                    if let Some(partition) = &self.last {
                        partition.push(&message, &self.shared.chunks);
                    }
                    if message.payload_len() + message.key_len() > 1 << 16 {
                        return;
                    }
                }
                Some(Err(error)) if is_out_of_range(&error) => return self.look_for_losses(),
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => return self.outage.failed(&self.client.context().explain(&error)),
            }
            timeout = Duration::ZERO;
        }
    }

    /// The error does not say which partition it is about.
    fn look_for_losses(&mut self) {
        let partitions: Vec<_> = self.partitions.values().flat_map(HashMap::values).cloned().collect();
        for partition in partitions {
            let id = &partition.id;
            let watermarks = self.client.fetch_watermarks(&id.topic, id.number, Duration::from_secs(5));
            let Ok((first, behind)) = watermarks else { continue };
            let next = partition.behind();
            if (first..=behind).contains(&next) {
                continue;
            }
            let what = match next < first {
                true => format!("{id}: the offsets {next} to {} have expired", first - 1),
                false => format!(
                    "{id}: the next offset is {next}, but the broker has none from {behind} on: was the \
                     topic made anew?"
                ),
            };
            if self.shared.lost(what) {
                partition.skip_to(first);
                if next > behind {
                    // Offsets begin anew: what was read of the topic before has nothing to do with it.
                    partition.begin_anew(first);
                }
                let again = vec![Arc::clone(&partition)];
                let followed = self
                    .follow(&Command::Remove(again.clone()))
                    .and_then(|()| self.follow(&Command::Add(again)));
                if let Err(error) = followed {
                    self.outage.failed(&self.client.context().explain(&error));
                }
            }
        }
    }
}
