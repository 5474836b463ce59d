//! How far each partition has been read, as a checkpoint keeps it.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
};

use dstream_core::checkpoint::{Changes, Stateful, decode};

/// How many partitions with neighbouring numbers are one entry of the checkpoint: their numbers and offsets
/// are written as differences, which take a few bytes where an entry for each would repeat the topic.
const PAGE: i32 = 64;

/// The number in its page, and how far the offset is from that of the partition before it in the page.
type InPage = (i32, i64);

/// The first offset of each partition that no batch has. Only what has changed is written.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    topics: HashMap<Arc<str>, BTreeMap<i32, Position>>,
    /// Whether a checkpoint had positions.
    pub(crate) restored: bool,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    next: i64,
    changed: bool,
}

impl Positions {
    pub(crate) fn set(&mut self, topic: &str, partition: i32, next: i64) {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.into(), BTreeMap::new());
        }
        let Some(numbers) = self.topics.get_mut(topic) else { return };
        let position = numbers.entry(partition).or_insert(Position { next, changed: true });
        position.changed |= mem::replace(&mut position.next, next) != next;
    }

    pub(crate) fn all(&self) -> BTreeMap<(String, i32), i64> {
        let of_topic = |(topic, numbers): (&Arc<str>, &BTreeMap<i32, Position>)| {
            let topic = topic.to_string();
            let all: Vec<_> = numbers.iter().map(|(n, at)| ((topic.clone(), *n), at.next)).collect();
            all
        };
        self.topics.iter().flat_map(of_topic).collect()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<i64> {
        self.topics.get(topic)?.get(&partition).map(|position| position.next)
    }

    /// Gives the pages in which something has changed since the last call.
    fn take_changed(&mut self, mut put: impl FnMut(&str, i32, &[InPage])) {
        let mut offsets = Vec::new();
        for (topic, numbers) in &mut self.topics {
            let mut all = numbers.iter_mut().peekable();
            while let Some((first, _)) = all.peek() {
                let page = first.div_euclid(PAGE);
                let (mut last, mut changed) = (0i64, false);
                offsets.clear();
                while let Some((number, position)) =
                    all.next_if(|(number, _)| number.div_euclid(PAGE) == page)
                {
                    changed |= mem::take(&mut position.changed);
                    let before = mem::replace(&mut last, position.next);
                    offsets.push((number.rem_euclid(PAGE), position.next.wrapping_sub(before)));
                }
                if changed {
                    put(topic, page, &offsets);
                }
            }
        }
    }
}

impl Stateful for Positions {
    fn fingerprint(&self) -> String {
        "kafka: (topic, 64 partitions) -> offsets".to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        self.take_changed(|topic, page, offsets| out.put(&(topic, page), offsets));
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let (topic, page): (String, i32) = decode(key)?;
        let offsets: Vec<InPage> = decode(value)?;
        let numbers = self.topics.entry(topic.into()).or_default();
        let mut next = 0i64;
        for (number, distance) in offsets {
            next = next.wrapping_add(distance);
            let number = page.wrapping_mul(PAGE).wrapping_add(number);
            numbers.insert(number, Position { next, changed: false });
        }
        self.restored = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries that have changed, as a checkpoint has them.
    fn changed(positions: &mut Positions) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut entries = Vec::new();
        positions.take_changed(|topic, page, offsets| {
            let key = rmp_serde::to_vec_named(&(topic, page)).unwrap();
            entries.push((key, rmp_serde::to_vec_named(offsets).unwrap()));
        });
        entries
    }

    #[test]
    fn positions_come_back_and_only_pages_with_a_change_are_written() {
        let mut positions = Positions::default();
        let orders =
            [(0, 7), (63, i64::MAX), (64, 0), (9_999, 5_000_000_000), (i32::MAX, 1), (i32::MIN, i64::MIN)];
        orders.iter().for_each(|(number, next)| positions.set("orders", *number, *next));
        positions.set("returns", 3, 4);
        let mut restored = Positions::default();
        let first = changed(&mut positions);
        assert_eq!(first.len(), 6);
        first.iter().for_each(|(key, value)| restored.restore(key, value).unwrap());
        assert_eq!(restored.all(), positions.all());
        assert!(changed(&mut positions).is_empty());

        positions.set("orders", 62, 9);
        positions.set("orders", 64, 0);
        let second = changed(&mut positions);
        assert_eq!(second.len(), 1);
        second.iter().for_each(|(key, value)| restored.restore(key, value).unwrap());
        assert_eq!(restored.all(), positions.all());
    }

    #[test]
    fn ten_thousand_partitions_take_a_few_bytes_each() {
        let mut positions = Positions::default();
        for number in 0..10_000 {
            let next = 5_000_000_000 + i64::from(number) * 7919 % 20_000;
            positions.set("orders-of-all-shops", number, next);
        }
        let size: usize = changed(&mut positions).iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(size < 65_000, "{size}");
    }
}
