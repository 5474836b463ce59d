//! The sink: records as messages of a topic.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dstream_core::{
    Bytes,
    sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError},
};
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::DeliveryResult,
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};

use crate::{errors::advice, ledger::Ledger, settings::Kafka};

/// How long a step of a transaction, or the delivery of a batch, may take before the attempt has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

type Encode<T> = Box<dyn Fn(&T, &mut Vec<u8>) -> bool + Send + Sync>;
type Place<T> = Box<dyn Fn(&T) -> i32 + Send + Sync>;

impl Kafka {
    /// A sink: see [`KafkaSink`].
    pub fn sink<T>(brokers: impl Into<String>) -> KafkaSink<T> {
        KafkaSink {
            brokers: brokers.into(),
            topic: String::new(),
            key: None,
            value: None,
            partition: None,
            transactional: false,
            options: BTreeMap::new(),
            open: None,
            context: None,
        }
    }
}

/// Writes each record as a message of a topic.
///
/// The producer is idempotent: the broker has each message once, and those of a partition in the order of the
/// stream, as long as the program runs. A batch that runs again is written again, so each message is there at
/// least once.
///
/// With [`transactional`](KafkaSink::transactional) it is there exactly once: the messages of a batch are a
/// transaction, and so is that the batch is written. It is kept as the committed offset of a consumer group
/// that is named as the application and the output, `APPLICATION/OUTPUT`. A reader with
/// `isolation.level=read_committed` sees whole batches.
///
/// ```no_run
/// use dstream::prelude::*;
/// use dstream_kafka::Kafka;
///
/// let counts = Kafka::sink("localhost:9092")
///     .topic("counts")
///     .key_ref(|(word, _): &(dstream::CompactString, u64)| word.as_str())
///     .value(|(_, n)| n.to_string())
///     .transactional();
/// let ssc = dstream::stream!(batch = 1s, name = "words", {
///     let words = socket_text_stream("localhost", 9999).words();
///     words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).write_to(counts);
/// })?;
/// # Ok::<(), dstream::Error>(())
/// ```
pub struct KafkaSink<T> {
    brokers: String,
    topic: String,
    key: Option<Encode<T>>,
    value: Option<Encode<T>>,
    partition: Option<Place<T>>,
    transactional: bool,
    options: BTreeMap<String, String>,
    open: Option<Open>,
    context: Option<SinkContext>,
}

impl<T> fmt::Debug for KafkaSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("transactional", &self.transactional)
            .finish_non_exhaustive()
    }
}

/// What the key or the value of a message may be made from: bytes and text; `None` is null.
pub trait Payload {
    /// Appends the bytes; returns whether there are any, or null.
    fn put(self, out: &mut Vec<u8>) -> bool;
}

macro_rules! payloads {
    ($($t:ty),*) => {$(
        impl Payload for $t {
            fn put(self, out: &mut Vec<u8>) -> bool {
                out.extend_from_slice(self.as_ref());
                true
            }
        }
    )*};
}

payloads!(String, Vec<u8>, Bytes, dstream_core::CompactString, &'static str, &'static [u8]);

impl<P: Payload> Payload for Option<P> {
    fn put(self, out: &mut Vec<u8>) -> bool {
        self.is_some_and(|payload| payload.put(out))
    }
}

impl<T> KafkaSink<T> {
    /// The topic, which must be there.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = topic.into();
        self
    }

    /// Makes the key of a message. Messages of one key are in one partition. Default: no key.
    pub fn key<P: Payload>(mut self, key: impl Fn(&T) -> P + Send + Sync + 'static) -> Self {
        self.key = Some(Box::new(move |record, out| key(record).put(out)));
        self
    }

    /// As [`key`](KafkaSink::key), of something that the record has.
    pub fn key_ref<P: AsRef<[u8]> + ?Sized>(
        mut self,
        key: impl Fn(&T) -> &P + Send + Sync + 'static,
    ) -> Self {
        self.key = Some(Box::new(move |record, out| {
            out.extend_from_slice(key(record).as_ref());
            true
        }));
        self
    }

    /// Makes the value of a message. Default: none, which is null.
    pub fn value<P: Payload>(mut self, value: impl Fn(&T) -> P + Send + Sync + 'static) -> Self {
        self.value = Some(Box::new(move |record, out| value(record).put(out)));
        self
    }

    /// As [`value`](KafkaSink::value), of something that the record has.
    pub fn value_ref<P: AsRef<[u8]> + ?Sized>(
        mut self,
        value: impl Fn(&T) -> &P + Send + Sync + 'static,
    ) -> Self {
        self.value = Some(Box::new(move |record, out| {
            out.extend_from_slice(value(record).as_ref());
            true
        }));
        self
    }

    /// Says into which partition a message goes. Default: that of its key, and one after the other without a
    /// key.
    pub fn partition(mut self, partition: impl Fn(&T) -> i32 + Send + Sync + 'static) -> Self {
        self.partition = Some(Box::new(partition));
        self
    }

    /// Writes each batch in a transaction, exactly once. The application and the output need names of their
    /// own.
    pub fn transactional(mut self) -> Self {
        self.transactional = true;
        self
    }

    /// A setting of librdkafka by its own name, such as `compression.type` or `sasl.password`.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "dstream").set("linger.ms", "5");
        for (name, value) in &self.options {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// Connects, if it is not connected; with transactions, an older producer of the same name is shut out.
    fn connected(&mut self) -> Result<&mut Open, SinkError> {
        if self.open.is_none() {
            let context = self.context.as_ref().ok_or("the sink is not open")?;
            let id = format!("{}/{}", context.application(), context.output());
            let mut config = self.config();
            config.set("enable.idempotence", "true");
            if self.transactional {
                config.set("transactional.id", &id);
            }
            // Asks as a consumer does: a producer's question would make the topic on many brokers.
            let consumer: BaseConsumer =
                self.config().set("group.id", &id).create().map_err(SinkError::permanent)?;
            let metadata = consumer.fetch_metadata(Some(&self.topic), TIMEOUT).map_err(failed)?;
            if metadata.topics().iter().all(|topic| topic.partitions().is_empty()) {
                let message = format!("the topic `{}` does not exist: make it, or name another", self.topic);
                return Err(SinkError::permanent(message));
            }
            let delivery = Delivery::default();
            let producer: BaseProducer<Delivery> =
                config.create_with_context(delivery.clone()).map_err(SinkError::permanent)?;
            let ledger = if self.transactional {
                producer.init_transactions(TIMEOUT).map_err(failed)?;
                Some(LedgerOf { consumer, topic: self.topic.clone(), ledger: Ledger::default() })
            } else {
                None
            };
            let mut open = Open { producer, delivery, ledger, in_transaction: false };
            open.read_ledger()?;
            self.open = Some(open);
        }
        self.open.as_mut().ok_or_else(|| "the sink is not open".into())
    }
}

/// A connection.
struct Open {
    producer: BaseProducer<Delivery>,
    delivery: Delivery,
    ledger: Option<LedgerOf>,
    in_transaction: bool,
}

/// Where it is kept which batches are written: with the committed offset of the first partition.
struct LedgerOf {
    consumer: BaseConsumer,
    topic: String,
    ledger: Ledger,
}

impl Open {
    fn read_ledger(&mut self) -> Result<(), SinkError> {
        let Some(LedgerOf { consumer, topic, ledger }) = &mut self.ledger else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let committed = consumer.committed_offsets(list, TIMEOUT).map_err(failed)?;
        if let Some(element) = committed.elements().first() {
            element.error().map_err(failed)?;
            *ledger = element.metadata().parse()?;
        }
        Ok(())
    }

    fn send(&self, topic: &str, rows: &Rows) -> Result<(), SinkError> {
        for row in &rows.messages {
            let bytes = |range: &Option<Range<usize>>| range.clone().and_then(|range| rows.data.get(range));
            let mut record = BaseRecord::<[u8], [u8]>::to(topic);
            (record.key, record.payload) = (bytes(&row.key), bytes(&row.value));
            record.partition = row.partition;
            loop {
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(Code::QueueFull), back)) => {
                        self.producer.poll(Duration::from_millis(10));
                        record = back;
                    }
                    Err((error, _)) => return Err(failed(error)),
                }
            }
        }
        self.producer.poll(Duration::ZERO);
        self.delivery.check()
    }
}

/// The first message that the broker has refused.
#[derive(Clone, Default)]
struct Delivery(Arc<Mutex<Option<KafkaError>>>);

impl Delivery {
    fn check(&self) -> Result<(), SinkError> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(failed(error)),
            None => Ok(()),
        }
    }
}

impl ClientContext for Delivery {}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.clone());
        }
    }
}

/// The messages of a partition, encoded.
#[derive(Debug, Default)]
pub struct Rows {
    data: Vec<u8>,
    messages: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    partition: Option<i32>,
}

/// What is worth another attempt: whatever a broker that is away, busy or being replaced answers.
fn failed(error: KafkaError) -> SinkError {
    let code = error.rdkafka_error_code();
    let of_transaction = match &error {
        KafkaError::Transaction(error) => error.is_retriable() || error.txn_requires_abort(),
        _ => false,
    };
    let passes = of_transaction
        || matches!(
            code,
            Some(
                Code::BrokerTransportFailure
                    | Code::AllBrokersDown
                    | Code::MessageTimedOut
                    | Code::OperationTimedOut
                    | Code::RequestTimedOut
                    | Code::NotCoordinator
                    | Code::CoordinatorNotAvailable
                    | Code::CoordinatorLoadInProgress
                    | Code::NotLeaderForPartition
                    | Code::LeaderNotAvailable
                    | Code::NotEnoughReplicas
                    | Code::NotEnoughReplicasAfterAppend
                    | Code::ConcurrentTransactions
                    | Code::PurgeQueue
                    | Code::PurgeInflight
                    | Code::Resolve
            )
        );
    let message = advice(&error);
    if passes { SinkError::transient(message) } else { SinkError::permanent(message) }
}

impl<T: Send + 'static> Sink<T> for KafkaSink<T> {
    type Part = Rows;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        if self.topic.is_empty() {
            return Err(SinkError::permanent("no topic is named: add `.topic(\"name\")`"));
        }
        self.context = Some(context.clone());
        self.connected().map(drop)
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let open = self.connected()?;
        // What an attempt before has left was said then.
        let _ = open.delivery.check();
        if batch.may_be_written() {
            open.read_ledger()?;
        }
        let written = open.ledger.as_ref().is_some_and(|of| of.ledger.contains(batch.time().as_millis()));
        if written || batch.records() == 0 {
            return Ok(Begin::AlreadyWritten);
        }
        if open.ledger.is_some() {
            open.producer.begin_transaction().map_err(failed)?;
            open.in_transaction = true;
        }
        Ok(Begin::Write)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<Rows, SinkError> {
        let mut rows = Rows::default();
        for record in partition {
            let mut encode = |encode: &Option<Encode<T>>| {
                let start = rows.data.len();
                let some = encode.as_ref().is_some_and(|encode| encode(record, &mut rows.data));
                some.then_some(start..rows.data.len())
            };
            let (key, value) = (encode(&self.key), encode(&self.value));
            let partition = self.partition.as_ref().map(|partition| partition(record));
            rows.messages.push(Row { key, value, partition });
        }
        Ok(rows)
    }

    /// Sends all messages from one thread, so that those of a partition keep their order.
    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Rows>) -> Result<(), SinkError> {
        let open = self.open.as_mut().ok_or("the sink is not open")?;
        for rows in &parts {
            open.send(&self.topic, rows)?;
        }
        open.producer.flush(TIMEOUT).map_err(failed)?;
        open.delivery.check()?;
        if let Some(LedgerOf { consumer, topic, ledger }) = &mut open.ledger {
            let mut written = ledger.clone();
            written.add(batch.time().as_millis());
            let mut list = TopicPartitionList::new();
            let offset = Offset::Offset(i64::try_from(written.last()).unwrap_or(i64::MAX));
            list.add_partition_offset(topic, 0, offset).map_err(failed)?;
            if let Some(mut element) = list.find_partition(topic, 0) {
                element.set_metadata(written.to_string());
            }
            let group = consumer.group_metadata().ok_or("the client has no consumer group")?;
            open.producer.send_offsets_to_transaction(&list, &group, TIMEOUT).map_err(failed)?;
            open.producer.commit_transaction(TIMEOUT).map_err(failed)?;
            open.in_transaction = false;
            *ledger = written;
        }
        Ok(())
    }

    fn abort(&mut self, _: &SinkBatch) {
        let Some(open) = &mut self.open else { return };
        let aborted = match std::mem::take(&mut open.in_transaction) {
            true => open.producer.abort_transaction(TIMEOUT),
            false => Ok(()),
        };
        // A new producer shuts this one out, and with it what it has left open.
        if aborted.is_err() || open.producer.client().fatal_error().is_some() {
            self.open = None;
        }
    }

    fn close(&mut self) {
        self.open = None;
    }
}
