//! Messages a second from a local broker, against a loop that uses the client library directly:
//! `cargo bench -p dstream-kafka`. `DSTREAM_MB` says how much there is of each size, `DSTREAM_PAIRS` how many
//! pairs are measured, one after the other; the middle one counts.
//!
//! Connecting takes a few tenths of a second, and reading not much longer: this broker answers a fetch with
//! all that it has, which must be less than the 100 MB that a client takes. So an eighth of it is read as
//! well, and what counts is the time that the other seven eighths take.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what it is for")]

#[path = "../tests/kafka/broker.rs"]
#[allow(dead_code, reason = "tests use all of it")]
mod broker;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use broker::Broker;
use dstream::{Config, clock::CancellationToken};
use dstream_kafka::{Kafka, Start, kafka_stream};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

const PARTITIONS: i32 = 4;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let Some(broker) = Broker::start() else { return };
    let (megabytes, pairs) = (setting("DSTREAM_MB", 80), setting("DSTREAM_PAIRS", 9));
    println!(
        "| message | threads | client library, messages/s | dstream, messages/s | ratio, of each pair |"
    );
    println!("|---|---|---|---|---|");
    for size in [100, 1_000] {
        let part = |name: &str, megabytes: u64| {
            let messages = (megabytes << 20) / size / PARTITIONS as u64 * PARTITIONS as u64;
            let topic = Topic { name: format!("{name}-{size}"), messages };
            broker.create_topic(&topic.name, PARTITIONS);
            for partition in 0..PARTITIONS {
                let value = vec![b'x'; size as usize];
                broker.produce(&topic.name, partition, (0..messages / PARTITIONS as u64).map(|_| &value));
            }
            topic
        };
        let (eighth, all) = (part("eighth", megabytes / 8), part("all", megabytes));
        for threads in [1, 2] {
            let direct = || rate(&broker, &eighth, &all, |topic| read_directly(&broker, topic, threads));
            let stream = || rate(&broker, &eighth, &all, |topic| read_as_stream(&broker, topic, threads));
            // Neither is always the one that comes first.
            let pair = |number| match number % 2 {
                0 => (direct(), stream()),
                _ => {
                    let stream = stream();
                    (direct(), stream)
                }
            };
            let runs: Vec<(f64, f64)> = (0..pairs).map(pair).collect();
            let direct = middle(runs.iter().map(|(direct, _)| *direct));
            let stream = middle(runs.iter().map(|(_, stream)| *stream));
            let mut ratios: Vec<f64> = runs.iter().map(|(direct, stream)| stream / direct).collect();
            ratios.sort_by(f64::total_cmp);
            let ratio = middle(ratios.iter().copied());
            let each: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
            println!(
                "| {size} B | {threads} | {direct:.0} | {stream:.0} | {ratio:.2} of {} |",
                each.join(" ")
            );
        }
        broker.delete_topic(&eighth.name);
        broker.delete_topic(&all.name);
    }
}

struct Topic {
    name: String,
    messages: u64,
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Messages a second, beyond what it takes to connect.
fn rate(broker: &Broker, eighth: &Topic, all: &Topic, read: impl Fn(&Topic) -> Duration) -> f64 {
    let time = |topic| {
        // It saves what it has again and again, also when it is only read: one run in three would share two
        // cores with that.
        broker.wait_until_idle();
        read(topic).as_secs_f64()
    };
    let (short, long) = (time(eighth), time(all));
    (all.messages - eighth.messages) as f64 / (long - short)
}

/// What one would write by hand: a client a thread, each with its share of the partitions.
fn read_directly(broker: &Broker, topic: &Topic, threads: usize) -> Duration {
    let messages = topic.messages;
    let clock = Instant::now();
    let (left, last) = (AtomicU64::new(messages), Mutex::new(Duration::ZERO));
    thread::scope(|scope| {
        for reader in 0..threads {
            let (left, last) = (&left, &last);
            scope.spawn(move || {
                let mut config = broker.client();
                // Those of the source, which make the loop faster, too.
                config.set("fetch.queue.backoff.ms", "20").set("queued.max.messages.kbytes", "16384");
                let consumer: BaseConsumer = config.create().unwrap();
                let mut list = TopicPartitionList::new();
                for partition in (0..PARTITIONS).filter(|p| *p as usize % threads == reader) {
                    // `Offset::Beginning` would be asked for before the client knows whom to ask, and then
                    // again half a second later.
                    list.add_partition_offset(&topic.name, partition, Offset::Offset(0)).unwrap();
                }
                consumer.assign(&list).unwrap();
                let (mut bytes, mut count) = (0, 0);
                let share = messages * list.count() as u64 / PARTITIONS as u64;
                while count < share {
                    match consumer.poll(Duration::from_millis(100)) {
                        Some(Ok(message)) => {
                            bytes += message.payload_len();
                            count += 1;
                        }
                        // A connection that is lost is made again.
                        Some(Err(error)) => eprintln!("client library: {error}"),
                        None => {}
                    }
                }
                assert!(bytes > 0);
                left.fetch_sub(count, Ordering::Relaxed);
                let mut last = last.lock().unwrap();
                *last = clock.elapsed().max(*last);
            });
        }
    });
    assert_eq!(left.into_inner(), 0);
    last.into_inner().unwrap()
}

fn read_as_stream(broker: &Broker, topic: &Topic, threads: usize) -> Duration {
    let messages = topic.messages;
    let clock = Instant::now();
    let kafka =
        Kafka::new(broker.address()).topics([topic.name.as_str()]).start(Start::Earliest).readers(threads);
    let (found, all) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let (seen, done) = (Arc::clone(&found), all.clone());
    let config = Config::new().threads(threads);
    let ssc = dstream::stream!(batch = 20ms, conf = config, {
        let lengths =
            kafka_stream(kafka).map(|message| (message.value().map_or(0, <[u8]>::len) as u64, 1u64));
        lengths.reduce(|a, b| (a.0 + b.0, a.1 + b.1)).foreach_rdd(move |rdd| {
            for (_, count) in rdd.iter() {
                if seen.fetch_add(*count, Ordering::Relaxed) + count >= messages {
                    done.cancel();
                }
            }
        });
    })
    .unwrap();
    ssc.start().unwrap();
    all.wait();
    let time = clock.elapsed();
    ssc.stop();
    assert_eq!(found.load(Ordering::Relaxed), messages);
    time
}
