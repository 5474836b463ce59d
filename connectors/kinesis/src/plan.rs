//! What a batch reads: entries of shards, between two sequence numbers.

use serde::{Deserialize, Serialize};

use crate::page::HashRange;

/// What a batch has: of each shard with new records a range of sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KinesisPlan {
    /// In the order of the names of the shards.
    pub ranges: Vec<SequenceRange>,
}

/// Neighbouring records of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRange {
    /// The shard.
    pub shard: String,
    /// The number of the first record.
    pub from: String,
    /// The number of the last record.
    pub through: String,
    /// How many there are, those of aggregated ones counted by themselves.
    pub records: u64,
    /// Which records of aggregated ones belong to the shard.
    pub(crate) hashes: HashRange,
}

impl SequenceRange {
    /// Whether a number is behind the range. Numbers are decimal, of up to 56 digits and more.
    pub(crate) fn is_behind(&self, number: &str) -> bool {
        (number.len(), number) > (self.through.len(), self.through.as_str())
    }
}
