//! A producer, and what it keeps of the batches that are written.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dstream_core::{Time, sink::SinkError};
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::DeliveryResult,
    producer::{BaseProducer, Producer as _, ProducerContext},
};

use super::{ledger::Ledger, rows::Rows};
use crate::{
    client::{Consumer, Told, drain, explain},
    errors::{hint, settings_advice},
};

/// How long a step of a transaction, or the delivery of a batch, may take before the attempt has failed.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a question may take.
const QUESTION: Duration = Duration::from_secs(10);

/// A connection of a sink.
pub(super) struct Connection {
    topic: String,
    /// What the transactions are known by.
    id: String,
    producer: BaseProducer<Delivery>,
    /// Asks what a producer can't.
    consumer: Consumer,
    delivery: Delivery,
    /// Which batches are written, if there are transactions: kept with the committed offset of the first
    /// partition.
    ledger: Option<Ledger>,
    in_transaction: bool,
}

impl Connection {
    /// Connects. With transactions, an older producer of the same `id` is shut out, and what it has left open
    /// is given up.
    pub(super) fn open(
        config: &ClientConfig,
        topic: &str,
        id: &str,
        transactional: bool,
    ) -> Result<Connection, SinkError> {
        let wrong = |error: KafkaError| SinkError::permanent(settings_advice(&error));
        // Asks as a consumer does: a producer's question would make the topic on many brokers.
        let asks = config.clone().set("group.id", id).create_with_context(Told::default());
        let consumer: Consumer = asks.map_err(wrong)?;
        let mut config = config.clone();
        config.set("enable.idempotence", "true");
        if config.get("linger.ms").is_none() {
            config.set("linger.ms", "5");
        }
        if transactional {
            config.set("transactional.id", id);
        }
        let delivery = Delivery::default();
        let producer: BaseProducer<Delivery> = config.create_with_context(delivery.clone()).map_err(wrong)?;
        let mut connection = Connection {
            topic: topic.to_owned(),
            id: id.to_owned(),
            producer,
            consumer,
            delivery,
            ledger: transactional.then(Ledger::default),
            in_transaction: false,
        };
        connection.check_topic()?;
        if transactional {
            connection.producer.init_transactions(TIMEOUT).map_err(|error| connection.failed(&error))?;
            connection.read_ledger()?;
        }
        Ok(connection)
    }

    fn check_topic(&self) -> Result<(), SinkError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), QUESTION);
        let metadata = metadata.map_err(|error| self.unanswered(&error))?;
        if metadata.topics().iter().all(|topic| topic.partitions().is_empty()) {
            let message = format!("the topic `{}` does not exist: make it, or name another", self.topic);
            return Err(SinkError::permanent(message));
        }
        Ok(())
    }

    /// Reads which batches are written, also by a program that ran before.
    pub(super) fn read_ledger(&mut self) -> Result<(), SinkError> {
        if self.ledger.is_none() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, 0);
        let committed = self.consumer.committed_offsets(list, QUESTION);
        let committed = committed.map_err(|error| self.unanswered(&error))?;
        drain(&self.consumer);
        if let Some(element) = committed.elements().first() {
            element.error().map_err(|error| self.unanswered(&error))?;
            self.ledger = Some(element.metadata().parse()?);
        }
        Ok(())
    }

    pub(super) fn is_written(&self, time: Time) -> Result<bool, SinkError> {
        let written = self.ledger.as_ref().map_or(Ok(false), |ledger| ledger.contains(time.as_millis()));
        written.map_err(SinkError::permanent)
    }

    pub(super) fn begin(&mut self) -> Result<(), SinkError> {
        // What an attempt before has left was said then.
        self.delivery.take();
        if self.ledger.is_some() {
            self.producer.begin_transaction().map_err(|error| self.failed(&error))?;
            self.in_transaction = true;
        }
        Ok(())
    }

    pub(super) fn send(&self, rows: &Rows) -> Result<(), SinkError> {
        for mut message in rows.messages(&self.topic) {
            let bytes = message.payload.map_or(0, <[u8]>::len) + message.key.map_or(0, <[u8]>::len);
            while let Err((error, back)) = self.producer.send(message) {
                if error.rdkafka_error_code() != Some(Code::QueueFull) {
                    return Err(self.refused(&error, bytes));
                }
                self.producer.poll(Duration::from_millis(10));
                self.check_delivery()?;
                message = back;
            }
        }
        self.producer.poll(Duration::ZERO);
        self.check_delivery()
    }

    /// Waits until the broker has everything; with transactions, makes it visible, and with it that the batch
    /// is written.
    pub(super) fn commit(&mut self, time: Time, rerun_from: Time) -> Result<(), SinkError> {
        self.producer.flush(TIMEOUT).map_err(|error| self.failed(&error))?;
        self.check_delivery()?;
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let mut written = ledger.clone();
        written.add(time.as_millis(), rerun_from.as_millis()).map_err(SinkError::permanent)?;
        let failed = |error: KafkaError| self.failed(&error);
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(written.last()).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, 0, offset).map_err(failed)?;
        if let Some(mut element) = list.find_partition(&self.topic, 0) {
            element.set_metadata(written.to_string());
        }
        let group = self.consumer.group_metadata().ok_or("the client has no consumer group")?;
        self.producer.send_offsets_to_transaction(&list, &group, TIMEOUT).map_err(failed)?;
        self.producer.commit_transaction(TIMEOUT).map_err(failed)?;
        self.in_transaction = false;
        self.ledger = Some(written);
        Ok(())
    }

    /// Gives up what was sent; returns whether the connection can be used again.
    pub(super) fn abort(&mut self) -> bool {
        let aborted = match std::mem::take(&mut self.in_transaction) {
            true => self.producer.abort_transaction(TIMEOUT),
            false => Ok(()),
        };
        aborted.is_ok() && self.producer.client().fatal_error().is_none()
    }

    fn check_delivery(&self) -> Result<(), SinkError> {
        match self.delivery.take() {
            Some((error, bytes)) => Err(self.refused(&error, bytes)),
            None => Ok(()),
        }
    }

    /// A message that is not taken, by the client or by the broker.
    fn refused(&self, error: &KafkaError, bytes: usize) -> SinkError {
        match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge) => SinkError::permanent(format!(
                "a message of {bytes} bytes is too large for the topic `{}`: raise `message.max.bytes` by \
                 `.option(..)`, which is 1000000 by default, and `max.message.bytes` of the topic",
                self.topic
            )),
            _ => self.failed(error),
        }
    }

    /// What another attempt may mend is transient: whatever a broker that is away, busy or being replaced
    /// answers.
    fn failed(&self, error: &KafkaError) -> SinkError {
        let code = error.rdkafka_error_code();
        // The code of a transaction that has failed is not that of its cause.
        let fatal = self.producer.client().fatal_error();
        let cause = fatal.as_ref().map(|(code, _)| *code);
        if [code, cause].iter().flatten().any(|code| is_fencing(*code)) {
            return SinkError::permanent(format!(
                "another producer uses the transactional id `{}`, so this one is shut out: is the program \
                 started twice, or has another one the same names? A name is given by `name = \"..\"` of the \
                 pipeline and `.named(\"..\")` of the output",
                self.id
            ));
        }
        let of_transaction = match error {
            KafkaError::Transaction(error) => error.is_retriable() || error.txn_requires_abort(),
            _ => false,
        };
        // Messages that are purged, since the producer can't go on, don't say why.
        let message = match fatal {
            Some((code, why)) => {
                format!("{why}{}", hint(code).map(|hint| format!(": {hint}")).unwrap_or_default())
            }
            None => self.delivery.told.explain(error),
        };
        match of_transaction || code.is_some_and(is_transient) {
            true => SinkError::transient(message),
            false => SinkError::permanent(message),
        }
    }

    /// A question that was not answered.
    fn unanswered(&self, error: &KafkaError) -> SinkError {
        let message = explain(&self.consumer, error);
        match error.rdkafka_error_code().is_some_and(is_transient) {
            true => SinkError::transient(message),
            false => SinkError::permanent(message),
        }
    }
}

/// Whether a producer was shut out by a newer one.
fn is_fencing(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// Whether a code is of what may pass.
fn is_transient(code: Code) -> bool {
    matches!(
        code,
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
}

/// The first message that the broker has refused, and how large it is.
#[derive(Clone, Default)]
struct Delivery {
    refused: Arc<Mutex<Option<(KafkaError, usize)>>>,
    told: Told,
}

impl Delivery {
    fn take(&self) -> Option<(KafkaError, usize)> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Delivery {
    fn error(&self, error: KafkaError, reason: &str) {
        self.told.error(error, reason);
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let bytes = message.payload_len() + message.key_len();
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.get_or_insert((error.clone(), bytes));
        }
    }
}
