//! The sink: records as messages of a topic.

mod connection;
mod ledger;
mod rows;

use std::fmt;

use dstream_core::{
    Time,
    sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError},
};
use rdkafka::ClientConfig;

use connection::Connection;
use rows::{Encoder, encode_headers};
pub use rows::{Payload, Rows};

use crate::{
    options::{OF_SINK, Options},
    settings::Kafka,
};

impl Kafka {
    /// A sink: see [`KafkaSink`].
    pub fn sink<T>(brokers: impl Into<String>) -> KafkaSink<T> {
        KafkaSink {
            brokers: brokers.into(),
            topic: String::new(),
            encoder: Encoder::default(),
            transactional: false,
            options: Options::default(),
            connection: None,
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
///     .key_ref(|(word, _): &(dstream::Str, u64)| word.as_str())
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
    encoder: Encoder<T>,
    transactional: bool,
    options: Options,
    connection: Option<Connection>,
    context: Option<SinkContext>,
}

impl<T> fmt::Debug for KafkaSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("transactional", &self.transactional)
            .field("options", &self.options)
            .finish_non_exhaustive()
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
        self.encoder.key = Some(Box::new(move |record, out| key(record).put(out)));
        self
    }

    /// As [`key`](KafkaSink::key), of something that the record has.
    pub fn key_ref<P: AsRef<[u8]> + ?Sized>(
        mut self,
        key: impl Fn(&T) -> &P + Send + Sync + 'static,
    ) -> Self {
        self.encoder.key = Some(Box::new(move |record, out| key(record).as_ref().put(out)));
        self
    }

    /// Makes the value of a message. Default: none, which is null.
    pub fn value<P: Payload>(mut self, value: impl Fn(&T) -> P + Send + Sync + 'static) -> Self {
        self.encoder.value = Some(Box::new(move |record, out| value(record).put(out)));
        self
    }

    /// As [`value`](KafkaSink::value), of something that the record has.
    pub fn value_ref<P: AsRef<[u8]> + ?Sized>(
        mut self,
        value: impl Fn(&T) -> &P + Send + Sync + 'static,
    ) -> Self {
        self.encoder.value = Some(Box::new(move |record, out| value(record).as_ref().put(out)));
        self
    }

    /// Makes the headers of a message: pairs of a name and a value, in order. Default: none.
    ///
    /// ```
    /// use dstream_kafka::Kafka;
    ///
    /// let sink = Kafka::sink("localhost:9092")
    ///     .topic("counts")
    ///     .value(|n: &u64| n.to_string())
    ///     .headers(|_| [("unit", "words")]);
    /// ```
    pub fn headers<H, N, P>(mut self, headers: impl Fn(&T) -> H + Send + Sync + 'static) -> Self
    where
        H: IntoIterator<Item = (N, P)>,
        N: AsRef<str>,
        P: Payload,
    {
        self.encoder.headers = Some(encode_headers(headers));
        self
    }

    /// Says which time a message has. Default, and for `None`: that at which it is sent.
    pub fn timestamp(mut self, time: impl Fn(&T) -> Option<Time> + Send + Sync + 'static) -> Self {
        self.encoder.timestamp = Some(Box::new(time));
        self
    }

    /// Says into which partition a message goes. Default: that of its key, and one after the other without a
    /// key.
    pub fn partition(mut self, partition: impl Fn(&T) -> i32 + Send + Sync + 'static) -> Self {
        self.encoder.partition = Some(Box::new(partition));
        self
    }

    /// Writes each batch in a transaction, exactly once. The application and the output need names of their
    /// own.
    pub fn transactional(mut self) -> Self {
        self.transactional = true;
        self
    }

    /// A setting of librdkafka by its own name, such as `compression.type` or `sasl.password`. Values that
    /// are secret are not shown in any message.
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Connects, if it is not connected.
    fn connected(&mut self) -> Result<&mut Connection, SinkError> {
        if self.connection.is_none() {
            let context = self.context.as_ref().ok_or("the sink is not open")?;
            let id = format!("{}/{}", context.application(), context.output());
            let mut config = ClientConfig::new();
            config.set("client.id", "dstream");
            self.options.apply(&mut config);
            config.set("bootstrap.servers", &self.brokers);
            self.connection = Some(Connection::open(&config, &self.topic, &id, self.transactional)?);
        }
        self.connection.as_mut().ok_or_else(|| "the sink is not open".into())
    }
}

impl<T: Send + 'static> Sink<T> for KafkaSink<T> {
    type Part = Rows;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        if self.topic.is_empty() {
            return Err(SinkError::permanent("no topic is named: add `.topic(\"name\")`"));
        }
        self.options.check(OF_SINK).map_err(SinkError::permanent)?;
        self.context = Some(context.clone());
        self.connected().map(drop)
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let connection = self.connected()?;
        if batch.may_be_written() {
            connection.read_ledger()?;
        }
        if batch.records() == 0 || connection.is_written(batch.time())? {
            return Ok(Begin::AlreadyWritten);
        }
        connection.begin()?;
        Ok(Begin::Write)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<Rows, SinkError> {
        let mut rows = Rows::default();
        partition.into_iter().for_each(|record| self.encoder.encode(record, &mut rows));
        Ok(rows)
    }

    /// Sends all messages from one thread, so that those of a partition keep their order.
    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Rows>) -> Result<(), SinkError> {
        let connection = self.connection.as_mut().ok_or("the sink is not open")?;
        parts.iter().try_for_each(|rows| connection.send(rows))?;
        connection.commit(batch.time(), batch.rerun_from())
    }

    fn abort(&mut self, _: &SinkBatch) {
        // A new producer shuts one out that can't be used again, and with it what that has left open.
        if self.connection.as_mut().is_some_and(|connection| !connection.abort()) {
            self.connection = None;
        }
    }

    fn close(&mut self) {
        self.connection = None;
    }
}
