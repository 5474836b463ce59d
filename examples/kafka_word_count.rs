//! Running totals of the words of a Kafka topic, in a table of a database:
//! `kafka_word_count BROKERS TOPIC CHECKPOINT DATABASE_URL`, where the database is PostgreSQL
//! (`postgres://user:password@host/database`) or SQLite (`sqlite:PATH`).
//!
//! Kill it and start it again, or the database, or the broker: each message counts once. Ctrl-C and SIGTERM
//! stop it when what was read is written.

use std::time::Duration;

use dstream::{
    Str,
    kafka::{Kafka, Start, kafka_stream},
    postgres::Postgres,
    sink::Sink,
    sqlite::Sqlite,
};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS word_counts (word text PRIMARY KEY, n bigint)";

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, checkpoint, database] = arguments.as_slice() else {
        anyhow::bail!("usage: kafka_word_count BROKERS TOPIC CHECKPOINT DATABASE_URL");
    };
    let messages = Kafka::new(brokers).topics([topic]).start(Start::Earliest);
    match database.strip_prefix("sqlite:") {
        Some(path) => {
            let totals = Sqlite::new(path).setup(TABLE).add_to("word_counts", ["word"]);
            count(messages, checkpoint, totals)?;
        }
        None => {
            let totals = Postgres::new(database).setup(TABLE).add_to("word_counts", ["word"]);
            count(messages, checkpoint, totals)?;
        }
    }
    Ok(())
}

/// Adds the words of each batch to the totals.
fn count(messages: Kafka, checkpoint: &str, totals: impl Sink<(Str, u64)> + 'static) -> dstream::Result<()> {
    let ssc = dstream::stream!(
        batch = Duration::from_millis(200),
        name = "kafka-word-count",
        checkpoint = checkpoint,
        {
            let words = kafka_stream(messages)
                .flat_map(|message| message.value_str().unwrap_or_default().split_whitespace());
            words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).write_to(totals).named("totals");
        }
    )?;
    ssc.start()?;
    ssc.await_termination()
}
