//! Streams of Kafka topics, against a real broker.

#[path = "kafka/broker.rs"]
mod broker;
#[path = "kafka/faults.rs"]
mod faults;
#[path = "kafka/losses.rs"]
mod losses;
#[path = "kafka/mistakes.rs"]
mod mistakes;
#[path = "kafka/ranges.rs"]
mod ranges;
#[path = "kafka/sink.rs"]
mod sink;
#[path = "kafka/sink_faults.rs"]
mod sink_faults;

use std::{collections::BTreeMap, path::Path};

use broker::Broker;
use dstream::{StreamingContext, prelude::*};
use dstream_kafka::{Kafka, OnLoss, Start, kafka_stream};

/// Runs batches until `done`, for as long as a broker may take.
fn run_until(ssc: &StreamingContext, done: impl Fn() -> bool) {
    let clock = std::time::Instant::now();
    while !done() {
        assert!(clock.elapsed().as_secs() < 60, "nothing more comes");
        ssc.run_batches(1).unwrap();
    }
}

fn sum(out: &Collected<u64>) -> u64 {
    out.values().concat().iter().sum()
}

/// Running totals of the words of a topic, in a checkpoint.
fn word_totals(
    kafka: Kafka,
    checkpoint: &Path,
) -> (StreamingContext, Collected<(String, u64)>, Collected<u64>) {
    let (totals, counts) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
        let messages = kafka_stream(kafka);
        let words = messages.flat_map(|message| message.value_str().unwrap_or_default().split(' '));
        let total = words
            .map(|word| (word, 1u64))
            .reduce_by_key(|a, b| a + b)
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        total.map(|(word, n)| (word.to_string(), *n)).collect_to(&totals);
        messages.count().collect_to(&counts);
    })
    .unwrap();
    (ssc, totals, counts)
}

fn last(out: &Collected<(String, u64)>) -> BTreeMap<String, u64> {
    out.values().last().cloned().unwrap_or_default().into_iter().collect()
}

#[test]
fn messages_count_once_over_a_restart() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 3);
    for partition in 0..3 {
        broker.produce("lines", partition, (0..1_000).map(|n| format!("all p{partition} n{}", n % 7)));
    }
    let checkpoint = tempfile::tempdir().unwrap();
    let kafka = || Kafka::new(broker.address()).topics(["lines"]);

    let (ssc, totals, counts) = word_totals(kafka(), checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 3_000);
    ssc.stop();
    assert_eq!(last(&totals)["all"], 3_000);

    broker.produce("lines", 1, ["all more"; 500]);
    let (ssc, totals, counts) = word_totals(kafka(), checkpoint.path());
    run_until(&ssc, || sum(&counts) >= 500);
    ssc.run_batches(3).unwrap();
    let totals = last(&totals);
    assert_eq!((totals["all"], totals["more"], totals["p1"]), (3_500, 500, 1_000));
    assert_eq!(sum(&counts), 500);
}

#[test]
fn records_are_what_was_produced() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("orders", 1);
    use rdkafka::{
        message::{Header, OwnedHeaders},
        producer::{BaseProducer, BaseRecord, Producer as _},
    };
    let producer: BaseProducer = broker.client().create().unwrap();
    let headers =
        OwnedHeaders::new()
            .insert(Header { key: "trace", value: Some("7") })
            .insert(Header::<&str> { key: "none", value: None });
    let full = BaseRecord::<str, str>::to("orders").key("ann").payload(r#"{"article":"figs","pieces":3}"#);
    producer.send(full.headers(headers).timestamp(1_500)).map_err(|(e, _)| e).unwrap();
    producer.send(BaseRecord::<str, str>::to("orders").key("bob")).map_err(|(e, _)| e).unwrap();
    producer.send(BaseRecord::<str, str>::to("orders").payload("")).map_err(|(e, _)| e).unwrap();
    let large = "x".repeat(900 << 10);
    producer.send(BaseRecord::<str, str>::to("orders").payload(&large)).map_err(|(e, _)| e).unwrap();
    producer.flush(std::time::Duration::from_secs(10)).unwrap();

    let out = Collected::new();
    let articles = Collected::new();
    let kafka = Kafka::new(broker.address()).topics(["orders"]);
    let ssc = dstream::stream!(batch = 1s, {
        let messages = kafka_stream(kafka);
        messages
            .filter_map(|message| {
                #[derive(serde::Deserialize)]
                struct Order<'a> {
                    article: &'a str,
                    pieces: u64,
                }
                let order: Order<'_> = message.value_json().ok()?;
                Some((message.key_str()?, order.article, order.pieces))
            })
            .collect_to(&articles);
        messages.collect_to(&out);
    })
    .unwrap();
    run_until(&ssc, || out.values().concat().len() >= 4);
    assert_eq!(articles.values().concat(), [("ann".into(), "figs".into(), 3)]);
    let found = out.values().concat();
    assert_eq!(found.iter().map(|m| m.offset).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(
        (found[0].timestamp.unwrap().as_millis(), found[0].key.as_deref()),
        (1_500, Some(&b"ann"[..]))
    );
    assert_eq!(
        found[0].headers,
        [("trace".into(), Some(dstream::Bytes::from_static(b"7"))), ("none".into(), None)]
    );
    assert_eq!((found[1].value.as_ref(), found[2].key.as_ref()), (None, None));
    assert_eq!(
        (found[2].value.as_deref(), found[3].value.as_deref()),
        (Some(&b""[..]), Some(large.as_bytes()))
    );
}

#[test]
fn topics_and_partitions_that_come_later_are_read_from_their_beginning() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("log-a", 1);
    broker.produce("log-a", 0, ["old"; 10]);
    let counts = Collected::new();
    let kafka = Kafka::new(broker.address())
        .topics_matching("log-.*")
        .start(Start::Latest)
        .refresh_interval(std::time::Duration::from_millis(50));
    let ssc = dstream::stream!(batch = 1s, {
        kafka_stream(kafka).count().collect_to(&counts);
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    // The start is where the topic ends, once that is known.
    let clock = std::time::Instant::now();
    while sum(&counts) < 5 && clock.elapsed().as_secs() < 60 {
        broker.produce("log-a", 0, ["new"; 5]);
        ssc.run_batches(3).unwrap();
    }
    let so_far = sum(&counts);
    broker.create_topic("log-b", 2);
    broker.create_topic("other", 1);
    broker.produce("log-b", 1, ["new"; 7]);
    broker.produce("other", 0, ["new"; 100]);
    let in_between = so_far;
    run_until(&ssc, || sum(&counts) >= in_between + 7);
    broker.add_partitions("log-a", 2);
    broker.produce("log-a", 1, ["new"; 11]);
    run_until(&ssc, || sum(&counts) >= in_between + 18);
    ssc.run_batches(3).unwrap();
    assert_eq!((sum(&counts) - in_between) % 5, 18 % 5);
}

#[test]
fn a_topic_may_be_made_after_the_program_has_started() {
    let Some(broker) = Broker::start() else { return };
    let counts = Collected::new();
    let kafka = Kafka::new(broker.address()).topics(["late"]).start(Start::Latest);
    let ssc = dstream::stream!(batch = 1s, {
        kafka_stream(kafka).count().collect_to(&counts);
    })
    .unwrap();
    ssc.run_batches(2).unwrap();
    broker.create_topic("late", 1);
    broker.produce("late", 0, ["x"; 3]);
    run_until(&ssc, || sum(&counts) >= 3);
    assert_eq!(sum(&counts), 3);
}

#[test]
fn a_batch_job_reads_all_that_is_there_and_ends() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 2);
    broker.produce("lines", 0, (0..120_000).map(|n| n.to_string()));
    broker.produce("lines", 1, ["1000000"]);
    let sums = Collected::new();
    let kafka = Kafka::new(broker.address()).topics(["lines"]).start(Start::Earliest);
    let ssc = dstream::stream!(batch = 1s, {
        let numbers = kafka_stream(kafka).filter_map(|message| message.value_str().ok()?.parse::<u64>().ok());
        numbers.reduce(|a, b| a + b).collect_to(&sums);
    })
    .unwrap();
    ssc.run_to_end().unwrap();
    assert_eq!(sum(&sums), (0..120_000).sum::<u64>() + 1_000_000);
}

#[test]
fn the_group_has_what_is_done_and_a_program_without_a_checkpoint_goes_on_there() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 1);
    broker.produce("lines", 0, ["x"; 20]);
    let run = |expected: u64| {
        let counts = Collected::new();
        let kafka = Kafka::new(broker.address()).topics(["lines"]).group("shop").max_per_partition(8);
        let ssc = dstream::stream!(batch = 1s, {
            kafka_stream(kafka).count().collect_to(&counts);
        })
        .unwrap();
        run_until(&ssc, || sum(&counts) >= expected);
        assert!(counts.values().concat().iter().all(|n| *n <= 8));
        ssc.stop();
        sum(&counts)
    };
    assert_eq!(run(20), 20);
    broker.produce("lines", 0, ["x"; 5]);
    // Offsets are committed behind the batch, so a few messages may come twice, but not all.
    let again = run(5);
    assert!((5..=25).contains(&again), "{again}");
}

#[test]
fn what_has_expired_fails_or_is_skipped() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("lines", 1);
    broker.produce("lines", 0, ["x"; 10]);
    let offsets = BTreeMap::from([(("lines".to_owned(), 0), 1_000)]);
    let kafka = Kafka::new(broker.address()).topics(["lines"]).start(Start::Offsets(offsets));
    let failing = {
        let kafka = kafka.clone();
        dstream::stream!(batch = 1s, {
            kafka_stream(kafka).foreach_rdd(|_| ());
        })
        .unwrap()
    };
    let clock = std::time::Instant::now();
    let error = loop {
        assert!(clock.elapsed().as_secs() < 60, "nothing fails");
        if let Err(error) = failing.run_batches(1) {
            break error.to_string();
        }
    };
    assert!(
        error.contains("lines/0: the next offset is 1000, but the broker has none from 10 on"),
        "{error}"
    );
    assert!(error.contains("OnLoss::Skip"), "{error}");
    failing.stop();

    let counts = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        kafka_stream(kafka.on_loss(OnLoss::Skip)).count().collect_to(&counts);
    })
    .unwrap();
    run_until(&ssc, || sum(&counts) >= 10);
    assert_eq!(sum(&counts), 10);
}

/// `DSTREAM_AWAY` says for how many seconds: a few batches if it is not set.
#[test]
fn a_broker_that_was_away_is_read_on() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create_topic("lines", 1);
    broker.produce("lines", 0, ["x"; 10]);
    let counts = Collected::new();
    let kafka = Kafka::new(broker.address()).topics(["lines"]).group("away");
    let ssc = dstream::stream!(batch = 1s, {
        kafka_stream(kafka).count().collect_to(&counts);
    })
    .unwrap();
    run_until(&ssc, || sum(&counts) >= 10);
    broker.stop();
    let seconds = std::env::var("DSTREAM_AWAY").map_or(0, |seconds| seconds.parse().unwrap());
    let away = std::time::Instant::now();
    while away.elapsed().as_secs() < seconds {
        ssc.run_batches(1).unwrap();
    }
    ssc.run_batches(3).unwrap();
    broker.restart();
    broker.produce("lines", 0, ["x"; 10]);
    run_until(&ssc, || sum(&counts) >= 20);
    ssc.run_batches(2).unwrap();
    assert_eq!(sum(&counts), 20);
}
