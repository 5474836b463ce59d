//! What a batch reads: ranges of offsets, and how a checkpoint keeps them.

use std::{ops::Range, sync::Arc};

use dstream_core::Str;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{block::KafkaBlock, partition::PartitionId, ranges::Ranges};

/// What a batch has: of each partition with new messages a range of offsets.
///
/// Serialised, a range takes its distance from the one before it: a few bytes where partitions are filled
/// evenly, so that a batch of 10,000 partitions does not fill the checkpoint with numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaPlan {
    /// In the order of topics and numbers.
    pub ranges: Vec<OffsetRange>,
}

/// A range of offsets of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// The topic.
    pub topic: Str,
    /// The number of the partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset behind the last.
    pub until: i64,
}

impl OffsetRange {
    /// The messages of a partition from an offset up to, and without, another one.
    pub fn new(topic: impl Into<Str>, partition: i32, offsets: Range<i64>) -> OffsetRange {
        OffsetRange { topic: topic.into(), partition, from: offsets.start, until: offsets.end }
    }

    pub(crate) fn blocks(&self, ranges: &Arc<Ranges>) -> impl Iterator<Item = KafkaBlock> {
        KafkaBlock::of_range(self.id(), self.from..self.until, ranges)
    }

    pub(crate) fn id(&self) -> PartitionId {
        PartitionId { topic: self.topic.as_str().into(), number: self.partition }
    }
}

/// Neighbouring ranges of one topic: of each the partition and the first offset, as differences from those of
/// the range before it, and its length.
type OfTopic<'a> = (&'a str, Vec<(i32, i64, i64)>);

impl Serialize for KafkaPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of_topic = |ranges: &'_ [OffsetRange]| {
            let (mut partition, mut from) = (0, 0);
            let distances = ranges.iter().map(|range| {
                // Any numbers come back: addition wraps around as subtraction does.
                let distance = (
                    range.partition.wrapping_sub(partition),
                    range.from.wrapping_sub(from),
                    range.until.wrapping_sub(range.from),
                );
                (partition, from) = (range.partition, range.from);
                distance
            });
            distances.collect::<Vec<_>>()
        };
        let topics = self.ranges.chunk_by(|a, b| a.topic == b.topic);
        let named = topics.filter_map(|ranges| Some((ranges.first()?.topic.as_str(), of_topic(ranges))));
        named.collect::<Vec<OfTopic<'_>>>().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KafkaPlan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KafkaPlan, D::Error> {
        let topics = Vec::<(Str, Vec<(i32, i64, i64)>)>::deserialize(deserializer)?;
        let mut ranges = Vec::with_capacity(topics.iter().map(|(_, distances)| distances.len()).sum());
        for (topic, distances) in topics {
            let (mut partition, mut from) = (0i32, 0i64);
            for (further, on, length) in distances {
                partition = partition.wrapping_add(further);
                from = from.wrapping_add(on);
                ranges.push(OffsetRange {
                    topic: topic.clone(),
                    partition,
                    from,
                    until: from.wrapping_add(length),
                });
            }
        }
        Ok(KafkaPlan { ranges })
    }
}

#[cfg(test)]
mod tests {
    use dstream_core::checkpoint::decode;

    use super::*;

    /// As a checkpoint writes it.
    fn encode(plan: &impl Serialize) -> Vec<u8> {
        rmp_serde::to_vec_named(plan).unwrap()
    }

    #[test]
    fn any_ranges_come_back_from_a_checkpoint() {
        let plan = KafkaPlan {
            ranges: vec![
                OffsetRange::new("orders", 3, 1_000_000..1_000_001),
                OffsetRange::new("orders", 4, 0..i64::MAX),
                OffsetRange::new("orders", 0, i64::MAX - 1..i64::MAX),
                OffsetRange::new("returns", i32::MAX, i64::MIN..i64::MAX),
                OffsetRange::new("returns", i32::MIN, 7..7),
                OffsetRange::new("orders", 9, 5..6),
            ],
        };
        for plan in [plan, KafkaPlan::default()] {
            assert_eq!(decode::<KafkaPlan>(&encode(&plan)).unwrap(), plan);
        }
    }

    #[test]
    fn ten_thousand_partitions_take_a_few_bytes_each() {
        // Partitions that differ by some thousand messages, far into their topic.
        let range = |number: i32| {
            let from = 5_000_000_000 + i64::from(number) * 7919 % 20_000;
            OffsetRange::new("orders-of-all-shops", number, from..from + 100)
        };
        let plan = KafkaPlan { ranges: (0..10_000).map(range).collect() };
        let (packed, plain) = (encode(&plan).len(), encode(&plan.ranges).len());
        assert!(packed < 65_000 && plain > 300_000, "{packed} of {plain}");
    }
}
