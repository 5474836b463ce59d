//! Messages a second from a local broker, against a loop that uses the client library directly:
//! `cargo bench -p dstream-kafka`. `DSTREAM_MB` says how much there is of each size, `DSTREAM_RUNS` how often
//! each is measured; the best counts.

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
    let (megabytes, runs) = (setting("DSTREAM_MB", 64), setting("DSTREAM_RUNS", 3));
    println!("| message | threads | client library, messages/s | dstream, messages/s | ratio |");
    println!("|---|---|---|---|---|");
    for size in [100, 1_000] {
        let topic = format!("bytes-{size}");
        let messages = (megabytes << 20) / size / PARTITIONS as u64 * PARTITIONS as u64;
        broker.create_topic(&topic, PARTITIONS);
        for partition in 0..PARTITIONS {
            let value = vec![b'x'; size as usize];
            broker.produce(&topic, partition, (0..messages / PARTITIONS as u64).map(|_| &value));
        }
        for threads in [1, 2] {
            // One after the other, so that both meet the machine in the same mood.
            let (mut direct, mut stream) = (0.0f64, 0.0f64);
            for _ in 0..runs {
                direct = direct.max(rate(messages, || read_directly(&broker, &topic, threads, messages)));
                stream = stream.max(rate(messages, || read_as_stream(&broker, &topic, threads, messages)));
            }
            println!("| {size} B | {threads} | {direct:.0} | {stream:.0} | {:.2} |", stream / direct);
        }
    }
}

fn rate(messages: u64, read: impl FnOnce() -> Duration) -> f64 {
    messages as f64 / read().as_secs_f64()
}

/// What one would write by hand: a client a thread, each with its share of the partitions.
fn read_directly(broker: &Broker, topic: &str, threads: usize, messages: u64) -> Duration {
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
                    list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
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

fn read_as_stream(broker: &Broker, topic: &str, threads: usize, messages: u64) -> Duration {
    let clock = Instant::now();
    let kafka = Kafka::new(broker.address()).topics([topic]).start(Start::Earliest).readers(threads);
    let (found, all) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let (seen, done) = (Arc::clone(&found), all.clone());
    let config = Config::new().threads(threads);
    let ssc = dstream::stream!(batch = 100ms, conf = config, {
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
