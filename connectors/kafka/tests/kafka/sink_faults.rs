//! Faults of brokers while a batch is written in a transaction.
//!
//! The brokers are those of librdkafka itself, which answer what they are told to. They show a message at
//! once, also of a transaction that is given up, and forget the offsets of transactions. So a message that is
//! there once was sent once; what a reader of committed messages sees is tested against a real broker, in
//! `sink.rs`.

use std::{path::Path, time::Duration};

use dstream::{Error, StreamingContext};
use dstream_kafka::{Kafka, KafkaMessage, Start, kafka_rdd, kafka_stream};
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _},
    types::{RDKafkaApiKey as Request, RDKafkaRespErr as Answer},
};

use crate::run_until;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["from", "to"] {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    cluster
}

/// Numbers, even ones in the first partition.
fn produce(cluster: &Cluster, numbers: std::ops::Range<u64>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    let producer: BaseProducer = config.create().unwrap();
    for n in numbers {
        let record = BaseRecord::<str, str>::to("from").partition((n % 2) as i32);
        producer.send(record.payload(&n.to_string())).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

fn copy(cluster: &Cluster, checkpoint: &Path) -> StreamingContext {
    let from = Kafka::new(cluster.bootstrap_servers()).topics(["from"]).start(Start::Earliest);
    let to = Kafka::sink(cluster.bootstrap_servers())
        .topic("to")
        .value(|message: &KafkaMessage| message.value.clone())
        .partition(|message| message.partition)
        .option("reconnect.backoff.max.ms", "200")
        .transactional();
    dstream::stream!(batch = 1s, name = "faults", checkpoint = checkpoint, {
        kafka_stream(from).write_to(to).named("copy");
    })
    .unwrap()
}

/// The numbers of each partition.
fn copied(cluster: &Cluster) -> Vec<Vec<u64>> {
    let kafka = Kafka::new(cluster.bootstrap_servers()).topics(["to"]).start(Start::Earliest);
    let messages = kafka_rdd(&kafka, kafka.ranges().unwrap()).unwrap().collect();
    let number =
        |m: &KafkaMessage| std::str::from_utf8(m.value.as_deref().unwrap()).unwrap().parse().unwrap();
    let of = |partition| messages.iter().filter(|m| m.partition == partition).map(number).collect();
    (0..2).map(of).collect()
}

fn count(cluster: &Cluster) -> usize {
    copied(cluster).iter().map(Vec::len).sum()
}

/// All of them, once and in order.
fn expected(until: u64) -> Vec<Vec<u64>> {
    (0..2).map(|partition| (0..until).filter(|n| n % 2 == partition).collect()).collect()
}

/// Runs batches until one fails.
fn failure(ssc: &StreamingContext) -> Error {
    let clock = std::time::Instant::now();
    loop {
        assert!(clock.elapsed().as_secs() < 60, "nothing fails");
        if let Err(error) = ssc.run_batches(1) {
            return error;
        }
    }
}

use Answer::{
    RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS as CONCURRENT,
    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as LOADING,
    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as UNAVAILABLE,
    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH as OLD_EPOCH, RD_KAFKA_RESP_ERR_NOT_COORDINATOR as MOVED,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NO_LEADER, RD_KAFKA_RESP_ERR_PRODUCER_FENCED as FENCED,
    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED as FORBIDDEN,
};

#[test]
fn answers_that_pass_lose_and_double_nothing() {
    let cluster = cluster();
    let checkpoint = tempfile::tempdir().unwrap();
    cluster.request_errors(Request::InitProducerId, &[LOADING, MOVED, CONCURRENT]);
    let ssc = copy(&cluster, checkpoint.path());
    let faults = [
        (Request::AddPartitionsToTxn, [CONCURRENT, UNAVAILABLE, MOVED]),
        (Request::Produce, [NO_LEADER, NO_LEADER, NO_LEADER]),
        (Request::AddOffsetsToTxn, [CONCURRENT, UNAVAILABLE, MOVED]),
        (Request::TxnOffsetCommit, [LOADING, UNAVAILABLE, MOVED]),
        (Request::EndTxn, [LOADING, UNAVAILABLE, MOVED]),
    ];
    let mut produced = 0;
    for (request, answers) in faults {
        cluster.request_errors(request, &answers);
        produce(&cluster, produced..produced + 100);
        produced += 100;
        run_until(&ssc, || count(&cluster) >= produced as usize);
        assert_eq!(copied(&cluster), expected(produced), "{request:?}");
    }
    ssc.run_batches(2).unwrap();
    assert_eq!(copied(&cluster), expected(produced));
}

#[test]
fn a_program_that_is_shut_out_says_so_and_one_that_is_started_again_goes_on() {
    let cluster = cluster();
    let checkpoint = tempfile::tempdir().unwrap();
    let mut produced = 0;
    for (answer, says) in [
        (FENCED, "another producer uses the transactional id `faults/copy`"),
        (FORBIDDEN, "this user needs rights for the topic, the group and the transactional id"),
    ] {
        produce(&cluster, produced..produced + 100);
        produced += 100;
        let ssc = copy(&cluster, checkpoint.path());
        // Before a message is sent.
        cluster.request_errors(Request::AddPartitionsToTxn, &[answer]);
        let error = failure(&ssc).to_string();
        assert!(error.contains(says), "{answer:?}: {error}");
        ssc.stop();
        cluster.clear_request_errors(Request::AddPartitionsToTxn);

        let ssc = copy(&cluster, checkpoint.path());
        run_until(&ssc, || count(&cluster) >= produced as usize);
        ssc.run_batches(2).unwrap();
        assert_eq!(copied(&cluster), expected(produced), "{answer:?}");
        ssc.stop();
    }
}

/// Whoever is shut out at the end of a transaction has not written its batch, and does not go on.
#[test]
fn a_program_that_is_shut_out_at_the_end_of_a_transaction_says_so() {
    for answer in [FENCED, OLD_EPOCH] {
        let cluster = cluster();
        let checkpoint = tempfile::tempdir().unwrap();
        let ssc = copy(&cluster, checkpoint.path());
        produce(&cluster, 0..100);
        cluster.request_errors(Request::EndTxn, &[answer]);
        let error = failure(&ssc).to_string();
        assert!(error.contains("another producer uses the transactional id `faults/copy`"), "{error}");
        assert!(error.contains("is the program started twice"), "{error}");
    }
}
