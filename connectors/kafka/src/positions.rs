//! How far each partition has been read, as a checkpoint keeps it.

use std::collections::{BTreeMap, BTreeSet};

use dstream_core::checkpoint::{Changes, Stateful, decode};

/// The first offset of each partition that no batch has. Only what has changed is written.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    next: BTreeMap<(String, i32), i64>,
    changed: BTreeSet<(String, i32)>,
    /// Whether a checkpoint had positions.
    pub(crate) restored: bool,
}

impl Positions {
    pub(crate) fn set(&mut self, topic: &str, partition: i32, next: i64) {
        let id = (topic.to_owned(), partition);
        if self.next.insert(id.clone(), next) != Some(next) {
            self.changed.insert(id);
        }
    }

    pub(crate) fn all(&self) -> BTreeMap<(String, i32), i64> {
        self.next.clone()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<i64> {
        self.next.get(&(topic.to_owned(), partition)).copied()
    }
}

impl Stateful for Positions {
    fn fingerprint(&self) -> String {
        "kafka: (topic, partition) -> offset".to_owned()
    }

    fn changes(&mut self, out: &mut Changes) {
        for id in std::mem::take(&mut self.changed) {
            if let Some(next) = self.next.get(&id) {
                out.put(&id, next);
            }
        }
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.next.insert(decode(key)?, decode(value)?);
        self.restored = true;
        Ok(())
    }
}
