//! Messages that are gone before they are read, or read once more.

use std::time::{Duration, Instant};

use dstream::{StreamingContext, prelude::*};
use dstream_kafka::{Kafka, OffsetRange, OnLoss, Start, kafka_rdd, kafka_stream};
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::{broker::Broker, ranges::numbers, run_until, sum};

/// Runs batches until one fails; returns the error.
fn failure(ssc: &StreamingContext) -> String {
    let clock = Instant::now();
    loop {
        if let Err(error) = ssc.run_batches(1) {
            return error.to_string();
        }
        assert!(clock.elapsed().as_secs() < 60, "nothing fails");
    }
}

#[test]
fn a_topic_that_is_deleted_while_it_is_read_fails_or_is_left_out() {
    let Some(broker) = Broker::start() else { return };
    let counting = |topic: &str, on_loss| {
        broker.create_topic(topic, 1);
        broker.produce(topic, 0, ["x"; 10]);
        let kafka = Kafka::new(broker.address()).topics([topic, "stays"]).on_loss(on_loss);
        let counts = Collected::new();
        let kafka = kafka.start(Start::Earliest).refresh_interval(Duration::from_millis(50));
        let ssc = dstream::stream!(batch = 1s, {
            kafka_stream(kafka).count().collect_to(&counts);
        })
        .unwrap();
        (ssc, counts)
    };
    broker.create_topic("stays", 1);
    let (failing, counts) = counting("goes", OnLoss::Fail);
    run_until(&failing, || sum(&counts) >= 10);
    broker.delete_topic("goes");
    let error = failure(&failing);
    assert!(error.contains("goes/0 was deleted; it had been read up to the offset 10"), "{error}");
    assert!(error.contains("OnLoss::Skip"), "{error}");
    // It goes on failing: nothing passes in silence.
    assert!(failing.run_batches(1).is_err());
    drop(failing);

    let (skipping, counts) = counting("passes", OnLoss::Skip);
    run_until(&skipping, || sum(&counts) >= 10);
    broker.delete_topic("passes");
    broker.produce("stays", 0, ["x"; 5]);
    run_until(&skipping, || sum(&counts) >= 15);
    // Under the same name it is another topic, which is read from its beginning.
    broker.create_topic("passes", 1);
    broker.produce("passes", 0, ["x"; 7]);
    run_until(&skipping, || sum(&counts) >= 22);
    skipping.run_batches(3).unwrap();
    assert_eq!(sum(&counts), 22);
}

/// Half a megabyte each, of a broker that keeps five megabytes of a partition.
fn produce_large(brokers: &str, numbers: std::ops::Range<u64>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    let producer: BaseProducer = config.create().unwrap();
    for n in numbers {
        let value = format!("{n} {}", "x".repeat(500 << 10));
        let record = BaseRecord::<str, str>::to("numbers").partition(0).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(30)).unwrap();
    }
}

#[test]
fn what_expires_of_a_range_that_runs_again_fails_its_batch_or_is_left_out() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("numbers", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let checkpoint = tempfile::tempdir().unwrap();
    let kafka = |on_loss| {
        let kafka = Kafka::new(&brokers).topics(["numbers"]).start(Start::Earliest).on_loss(on_loss);
        kafka.patience(Duration::from_secs(5))
    };
    let numbers = |on_loss, fails| numbers(kafka(on_loss), checkpoint.path(), fails);
    produce_large(&brokers, 0..8);
    // Its batches fail, and stay in the checkpoint.
    let (ssc, _) = numbers(OnLoss::Fail, true);
    assert!(failure(&ssc).contains("told to fail"));
    ssc.stop();
    // The first of them expire.
    produce_large(&brokers, 8..14);

    let (ssc, found) = numbers(OnLoss::Fail, false);
    let error = failure(&ssc);
    assert!(error.contains("numbers/0, offsets 0 to "), "{error}");
    assert!(error.contains(" are gone: they have expired or were deleted"), "{error}");
    assert!(error.contains("OnLoss::Skip"), "{error}");
    assert!(found.lock().unwrap().is_empty());
    drop(ssc);

    let (ssc, found) = numbers(OnLoss::Skip, false);
    run_until(&ssc, || found.lock().unwrap().last() == Some(&13));
    let found = found.lock().unwrap().clone();
    // All that is there, once and in order.
    assert!(found[0] > 0 && found[0] < 8, "{found:?}");
    assert_eq!(found, (found[0]..14).collect::<Vec<u64>>());
    // Of a range that is gone as a whole there is nothing to wait for.
    let gone = kafka_rdd(&kafka(OnLoss::Skip), vec![OffsetRange::new("numbers", 0, 0..1)]).unwrap();
    assert_eq!(gone.count(), 0);
}
