//! Ranges of offsets that are read once more, or by themselves.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use dstream::{
    Config, Error, StreamingContext, Time,
    source::{Block as _, Source as _, SourceContext},
    testing::check_source,
};
use dstream_kafka::{Kafka, KafkaPlan, OffsetRange, OnLoss, Start, kafka_rdd, kafka_stream};

use crate::{broker::Broker, run_until};

/// The numbers with which messages begin; the output fails if it is told to, so that its batch runs again.
pub(crate) fn numbers(
    kafka: Kafka,
    checkpoint: &Path,
    fails: bool,
) -> (StreamingContext, Arc<Mutex<Vec<u64>>>) {
    let found = Arc::<Mutex<Vec<u64>>>::default();
    let out = Arc::clone(&found);
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
        let numbers = kafka_stream(kafka)
            .filter_map(|message| message.value_str().ok()?.split(' ').next()?.parse::<u64>().ok());
        numbers.foreach_rdd(move |rdd| match fails && !rdd.is_empty() {
            true => Err(Error::Invalid("told to fail".into())),
            false => {
                out.lock().unwrap().extend(rdd.iter());
                Ok(())
            }
        });
    })
    .unwrap();
    (ssc, found)
}

fn kafka(broker: &Broker) -> Kafka {
    Kafka::new(broker.address()).topics(["numbers"]).start(Start::Earliest).patience(Duration::from_secs(2))
}

/// A batch begins with the numbers up to 999, and fails.
fn a_batch_that_has_failed(broker: &Broker, checkpoint: &Path) {
    broker.produce("numbers", 0, (0..1_000).map(|n| n.to_string()));
    // All of them are in one batch, or those of the first one run again.
    let (ssc, _) = numbers(kafka(broker), checkpoint, true);
    let clock = std::time::Instant::now();
    while ssc.run_batches(1).is_ok() {
        assert!(clock.elapsed().as_secs() < 60, "nothing comes");
    }
    ssc.stop();
}

#[test]
fn a_range_that_the_broker_does_not_give_fails_its_batch_until_it_does() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create_topic("numbers", 1);
    let checkpoint = tempfile::tempdir().unwrap();
    a_batch_that_has_failed(&broker, checkpoint.path());
    broker.stop();
    let (ssc, found) = numbers(kafka(&broker), checkpoint.path(), false);
    let error = ssc.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("numbers/0, offsets 0 to "), "{error}");
    assert!(error.contains("the broker has given nothing for 2s"), "{error}");
    assert!(found.lock().unwrap().is_empty());
    drop(ssc);

    broker.restart();
    let (ssc, found) = numbers(kafka(&broker), checkpoint.path(), false);
    run_until(&ssc, || found.lock().unwrap().len() >= 1_000);
    ssc.run_batches(2).unwrap();
    assert_eq!(*found.lock().unwrap(), (0..1_000).collect::<Vec<u64>>());
}

#[test]
fn a_range_that_is_gone_for_good_fails_its_batch_or_is_skipped() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("numbers", 1);
    let checkpoint = tempfile::tempdir().unwrap();
    a_batch_that_has_failed(&broker, checkpoint.path());
    broker.delete_topic("numbers");
    broker.create_topic("numbers", 1);
    broker.produce("numbers", 0, ["5", "6"]);

    let (ssc, found) = numbers(kafka(&broker), checkpoint.path(), false);
    let error = ssc.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("the broker has none from 2 on: was the topic made anew?"), "{error}");
    assert!(error.contains("OnLoss::Skip"), "{error}");
    assert!(found.lock().unwrap().is_empty());
    drop(ssc);

    let (ssc, found) = numbers(kafka(&broker).on_loss(OnLoss::Skip), checkpoint.path(), false);
    run_until(&ssc, || found.lock().unwrap().len() >= 2);
    assert_eq!(*found.lock().unwrap(), [5, 6]);
}

#[test]
fn a_large_range_is_read_in_pieces() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("numbers", 1);
    broker.produce("numbers", 0, (0..8).map(|n| n.to_string().repeat(900 << 10)));
    let mut source = kafka_stream(kafka(&broker));
    source.start(&SourceContext::new(Config::new(), Duration::from_secs(1))).unwrap();
    let plan = KafkaPlan { ranges: vec![OffsetRange::new("numbers", 0, 0..8)] };
    let mut blocks = source.blocks(Time::from_millis(1_000), &plan).unwrap();
    assert_eq!(blocks.len(), 1);
    let block = &mut blocks[0];
    block.open().unwrap();
    let mut pieces = Vec::new();
    loop {
        // A piece ends when it has a megabyte.
        assert!(block.weight() < 2 << 20, "{}", block.weight());
        pieces.push(block.records().map(|message| message.offset()).collect::<Vec<_>>());
        if !block.has_more() {
            break;
        }
        block.advance().unwrap();
    }
    assert_eq!((pieces.concat(), pieces.len()), ((0..8).collect(), 4));
}

#[test]
fn ranges_are_read_without_a_stream() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("numbers", 2);
    broker.produce("numbers", 0, (0..120_000).map(|n| n.to_string()));
    broker.produce("numbers", 1, ["7"; 3]);
    let kafka = kafka(&broker);
    let ranges = kafka.ranges().unwrap();
    assert_eq!(ranges, [OffsetRange::new("numbers", 0, 0..120_000), OffsetRange::new("numbers", 1, 0..3)]);
    let all = kafka_rdd(&kafka, ranges).unwrap();
    assert_eq!((all.num_partitions(), all.count()), (4, 120_003));
    let in_order = all.iter().take(120_000).enumerate().all(|(n, message)| message.offset == n as i64);
    assert!(in_order);
    let some = kafka_rdd(&kafka, [OffsetRange::new("numbers", 0, 5_000..5_003)]).unwrap();
    let values: Vec<_> = some.iter().map(|message| message.value.clone().unwrap()).collect();
    assert_eq!(values, ["5000", "5001", "5002"]);

    let error = kafka_rdd(&kafka, [OffsetRange::new("numbers", 1, 2..9)]).unwrap_err().to_string();
    assert!(error.contains("numbers/1, offsets 2 to 8: the offsets 3 to 8 are gone"), "{error}");
    let (from, until) = (9, 2);
    let error = kafka_rdd(&kafka, [OffsetRange::new("numbers", 1, from..until)]).unwrap_err().to_string();
    assert!(error.contains("offsets 9 up to 2 are no range"), "{error}");
    let skipped = kafka_rdd(&kafka.on_loss(OnLoss::Skip), [OffsetRange::new("numbers", 1, 2..9)]).unwrap();
    assert_eq!(skipped.count(), 1);
}

#[test]
fn topics_keep_the_promises_of_a_source() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("promises", 2);
    let open = || Kafka::new(broker.address()).topics(["promises"]).start(Start::Earliest);
    check_source(
        || kafka_stream(open()),
        |batch| {
            broker.produce("promises", 0, (0..5).map(|n| format!("{batch} {n}")));
            broker.produce("promises", 1, (0..batch).map(|n| format!("{batch} {n}")));
            5 + batch
        },
    )
    .unwrap();
}
