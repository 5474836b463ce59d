//! Topics as sinks.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use dstream::{
    StreamingContext,
    prelude::*,
    testing::{SinkFixture, check_sink},
};
use dstream_kafka::{Kafka, KafkaSink, Start, kafka_rdd, kafka_stream};

use crate::{broker::Broker, run_until};

struct Topic<'a>(&'a Broker);

impl SinkFixture for Topic<'_> {
    type Record = u64;
    type Sink = KafkaSink<u64>;

    fn sink(&mut self) -> KafkaSink<u64> {
        Kafka::sink(self.0.address()).topic("numbers").value(|n: &u64| n.to_string()).transactional()
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    fn read(&mut self) -> Vec<u64> {
        self.0.read("numbers", 1).concat().iter().map(|n| n.parse().unwrap()).collect()
    }
}

#[test]
fn a_transactional_topic_is_a_sink() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("numbers", 1);
    check_sink(Topic(&broker)).unwrap();
}

/// Copies a topic; returns the context.
fn copy(broker: &Broker, checkpoint: &Path) -> StreamingContext {
    let from = Kafka::new(broker.address()).topics(["from"]).max_per_partition(70);
    let to = Kafka::sink(broker.address())
        .topic("to")
        .key(|m: &dstream_kafka::KafkaMessage| m.key.clone())
        .value(|m| m.value.clone())
        .partition(|m| m.partition)
        .transactional();
    dstream::stream!(batch = 1s, name = "copy", checkpoint = checkpoint, {
        kafka_stream(from).write_to(to);
    })
    .unwrap()
}

#[test]
fn a_copy_has_every_message_once_and_in_order_over_restarts() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("from", 1);
    broker.create_topic("to", 1);
    let checkpoint = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for run in 0..3 {
        let more: Vec<String> = (0..300).map(|n| format!("{run}-{n}")).collect();
        broker.produce("from", 0, &more);
        expected.extend(more);
        let ssc = copy(&broker, checkpoint.path());
        run_until(&ssc, || broker.read("to", 1).concat().len() >= expected.len());
        ssc.stop();
    }
    assert_eq!(broker.read("to", 1).concat(), expected);
}

#[test]
fn a_message_has_what_the_sink_is_told() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("out", 2);
    let to = Kafka::sink(broker.address())
        .topic("out")
        .key(|n: &u64| n.is_multiple_of(2).then(|| format!("key {n}")))
        .value(|n| (*n > 1).then(|| n.to_string()))
        .headers(|n| (0..*n).map(|at| (format!("h{at}"), (at > 0).then_some("v"))))
        .timestamp(|n| (*n > 0).then(|| dstream::Time::from_millis(1_000 + n)))
        .partition(|n| i32::from(*n == 3));
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![0u64, 1, 2, 3]]).write_to(to);
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    ssc.stop();
    let kafka = Kafka::new(broker.address()).topics(["out"]).start(Start::Earliest);
    let found = kafka_rdd(&kafka, kafka.ranges().unwrap()).unwrap().collect();
    let text =
        |bytes: &Option<dstream::Bytes>| bytes.as_ref().map(|b| String::from_utf8(b.to_vec()).unwrap());
    let shown: Vec<_> = found.iter().map(|m| (m.partition, text(&m.key), text(&m.value))).collect();
    let some = |text: &str| Some(text.to_owned());
    let expected =
        [(0, some("key 0"), None), (0, None, None), (0, some("key 2"), some("2")), (1, None, some("3"))];
    assert_eq!(shown, expected);
    let headers: Vec<_> = found[2].headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    assert_eq!(headers, [("h0", None), ("h1", some("v"))]);
    assert!(found[0].headers.is_empty());
    assert!(found[0].timestamp.unwrap().as_millis() > 1_000_000_000_000);
    assert_eq!(found[3].timestamp, Some(dstream::Time::from_millis(1_003)));
}

#[test]
fn a_topic_that_does_not_exist_is_an_error_of_the_start() {
    let Some(broker) = Broker::start() else { return };
    let sink = Kafka::sink(broker.address()).topic("nowhere").value(|n: &u64| n.to_string());
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).write_to(sink);
    })
    .unwrap();
    let error = ssc.run_batches(1).unwrap_err().to_string();
    assert!(error.contains("`nowhere` does not exist"), "{error}");
}

/// A program that ends with the test, also where that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example, as a process of its own.
fn kafka_copy(broker: &Broker, checkpoint: &Path) -> Running {
    kafka_copy_telling(broker, checkpoint, Stdio::null())
}

fn kafka_copy_telling(broker: &Broker, checkpoint: &Path, to: Stdio) -> Running {
    let tests = std::env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples/kafka_copy");
    let arguments = [&broker.address(), "from", "to"];
    Running(Command::new(example).args(arguments).arg(checkpoint).stderr(to).spawn().unwrap())
}

const PARTITIONS: i32 = 2;

/// What a reader sees that begins now: one that was there before a restart is told by this broker that
/// messages are aborted which are not.
fn copied(broker: &Broker) -> Vec<Vec<String>> {
    broker.read("to", PARTITIONS)
}

fn count(values: &[Vec<String>]) -> usize {
    values.iter().map(Vec::len).sum()
}

/// Produces numbers until so many more are copied.
fn until_copied(broker: &Broker, produced: &mut [Vec<String>], more: usize) {
    let (clock, before) = (Instant::now(), count(&copied(broker)));
    while count(&copied(broker)) < before + more {
        assert!(clock.elapsed().as_secs() < 120, "nothing is copied");
        for (partition, produced) in produced.iter_mut().enumerate() {
            let more: Vec<String> = (0..25).map(|n| format!("{}", produced.len() + n)).collect();
            broker.produce("from", partition as i32, &more);
            produced.extend(more);
        }
    }
}

fn until_all_copied(broker: &Broker, produced: &[Vec<String>]) {
    let clock = Instant::now();
    while count(&copied(broker)) < count(produced) {
        let there =
            || copied(broker).iter().zip(produced).map(|(a, b)| (a.len(), b.len())).collect::<Vec<_>>();
        assert!(clock.elapsed().as_secs() < 120, "copied and produced, by partition: {:?}", there());
    }
}

/// `DSTREAM_KILLS` says how often the program is killed. With `DSTREAM_BROKER_RESTARTS`, the broker is
/// stopped and started every tenth time. Not by default: a transaction that a restart interrupts may be given
/// up, and behind such a one this broker hides committed messages, which `faults.rs` shows without dstream.
/// `kill -9` shows nothing of dstream either: any client loses what this broker has acknowledged in its last
/// second. What a sink does with faults of its brokers is tested in `sink_faults.rs`.
#[test]
fn a_copy_that_is_killed_has_every_message_once_and_in_order() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create_topic("from", PARTITIONS);
    broker.create_topic("to", PARTITIONS);
    let checkpoint = tempfile::tempdir().unwrap();
    let kills: usize = std::env::var("DSTREAM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10);
    let broker_restarts = std::env::var_os("DSTREAM_BROKER_RESTARTS").is_some();
    let mut produced = vec![Vec::new(); PARTITIONS as usize];
    for kill in 0..kills {
        let program = kafka_copy(&broker, checkpoint.path());
        if kill % 10 == 5 && broker_restarts {
            // While the program runs, which goes on when the broker is back.
            until_copied(&broker, &mut produced, 1);
            until_all_copied(&broker, &produced);
            broker.stop();
            broker.restart();
        }
        // Killed when it has written a part, mostly in the middle of the next batch.
        until_copied(&broker, &mut produced, 1 + kill * 37 % 200);
        drop(program);
    }
    let mut program = kafka_copy(&broker, checkpoint.path());
    // What it has copied itself says that it runs, and hears signals.
    until_copied(&broker, &mut produced, 1);
    until_all_copied(&broker, &produced);
    // SIGTERM: it stops by itself.
    let stopped = Command::new("kill").args(["-TERM", &program.0.id().to_string()]).status().unwrap();
    assert!(stopped.success() && program.0.wait().unwrap().success());
    for (copied, produced) in copied(&broker).iter().zip(&produced) {
        let differs = copied.iter().zip(produced).position(|(a, b)| a != b);
        assert_eq!((differs, copied.len()), (None, produced.len()));
    }
}

#[test]
fn a_copy_that_is_started_twice_ends_the_older_one_with_the_reason() {
    let Some(broker) = Broker::start() else { return };
    broker.create_topic("from", PARTITIONS);
    broker.create_topic("to", PARTITIONS);
    let mut produced = vec![Vec::new(); PARTITIONS as usize];
    // Each with a checkpoint of its own, so that nothing but the broker knows of both.
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut older = kafka_copy_telling(&broker, one.path(), Stdio::piped());
    until_copied(&broker, &mut produced, 1);
    let _newer = kafka_copy(&broker, other.path());
    let clock = Instant::now();
    while older.0.try_wait().unwrap().is_none() {
        assert!(clock.elapsed().as_secs() < 60, "both go on");
        broker.produce("from", 0, ["more"]);
    }
    let mut told = String::new();
    std::io::Read::read_to_string(older.0.stderr.as_mut().unwrap(), &mut told).unwrap();
    assert!(!older.0.wait().unwrap().success(), "{told}");
    assert!(told.contains("another producer uses the transactional id `kafka-copy/copy`"), "{told}");
}
