//! Kinesis data streams as a source of [dstream](https://docs.rs/dstream): [`kinesis_stream`].

mod api;
mod block;
mod budget;
mod client;
mod fault;
mod kpl;
mod outage;
mod page;
mod plan;
mod positions;
mod reader;
mod record;
mod replay;
mod runtime;
mod settings;
mod shard;
mod shared;
mod sign;
mod source;

pub use block::KinesisBlock;
pub use plan::{KinesisPlan, SequenceRange};
pub use record::{KinesisMessage, KinesisRecord};
pub use settings::{Kinesis, OnLoss, Start};
pub use source::{KinesisSource, kinesis_stream};

/// The programs in the page of `docs/` are tests, too.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../docs/kinesis.md")]
    struct Kinesis;
}
