//! Copies a topic into another one, each message once and in the order of its partition:
//! `kafka_copy BROKERS FROM TO CHECKPOINT`.
//!
//! Kill it and start it again: a reader of committed messages sees none twice and misses none. Ctrl-C and
//! SIGTERM stop it when what was read is written. Both topics have as many partitions.

use std::time::Duration;

use dstream_kafka::{Kafka, KafkaMessage, Start, kafka_stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, from, to, checkpoint] = arguments.as_slice() else {
        return Err("usage: kafka_copy BROKERS FROM TO CHECKPOINT".into());
    };
    let source = Kafka::new(brokers).topics([from]).start(Start::Earliest);
    let sink = Kafka::sink(brokers)
        .topic(to)
        .key(|message: &KafkaMessage| message.key.clone())
        .value(|message| message.value.clone())
        .headers(|message| message.headers.clone())
        .timestamp(|message| message.timestamp)
        .partition(|message| message.partition)
        .transactional();
    let ssc = dstream::stream!(
        batch = Duration::from_millis(100),
        name = "kafka-copy",
        checkpoint = checkpoint,
        {
            let messages = kafka_stream(source);
            messages.write_to(sink).named("copy");
        }
    )?;
    ssc.start()?;
    Ok(ssc.await_termination()?)
}
