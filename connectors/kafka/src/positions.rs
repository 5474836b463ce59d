//! How far each partition has been read, as a checkpoint keeps it.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
};

use dstream_core::checkpoint::{Changes, Stateful, decode};

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
}

impl Stateful for Positions {
    fn fingerprint(&self) -> String {
        "kafka: (topic, partition) -> offset".to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        for (topic, numbers) in &mut self.topics {
            for (number, position) in numbers.iter_mut().filter(|(_, position)| position.changed) {
                out.put(&(&**topic, number), &position.next);
                position.changed = false;
            }
        }
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let (topic, partition): (String, i32) = decode(key)?;
        let position = Position { next: decode(value)?, changed: false };
        self.topics.entry(topic.into()).or_default().insert(partition, position);
        self.restored = true;
        Ok(())
    }
}
