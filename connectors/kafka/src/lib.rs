//! Kafka topics as sources and sinks of [dstream](https://docs.rs/dstream): [`kafka_stream`], [`KafkaSink`].

mod block;
mod budget;
mod chunk;
mod client;
mod cluster;
mod coordinator;
mod errors;
mod options;
mod outage;
mod partition;
mod plan;
mod positions;
mod ranges;
mod reader;
mod record;
mod settings;
mod shared;
mod sink;
mod source;

pub use block::KafkaBlock;
pub use plan::{KafkaPlan, OffsetRange};
pub use record::{Headers, KafkaMessage, KafkaRecord, ValueError};
pub use settings::{Kafka, OnLoss, Start};
pub use sink::{KafkaSink, Payload, Rows};
pub use source::{KafkaSource, kafka_rdd, kafka_stream};

/// The programs in the page of `docs/` are tests, too.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/kafka.md")]
    struct Kafka;
}
