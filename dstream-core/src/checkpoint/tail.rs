//! The newest changes, which every checkpoint holds again.
//!
//! A checkpoint whose changes are spread over many small files is lost with any of them. So the newest
//! changes are kept in memory while they are few, and written again with each commit in place of the files
//! that held them: a small state is then whole in every checkpoint, and of a large one few files are needed.
//! What that costs is bounded by bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use super::Changes;

/// The entries of one operator; `None` is a key that was deleted.
type Entries = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The newest changes, in memory.
#[derive(Debug, Default)]
pub(super) struct Tail {
    operators: BTreeMap<String, Entries>,
    /// Operators of which nothing counts that is older.
    fresh: BTreeSet<String>,
    /// About what they take in a file.
    size: u64,
}

/// About what an entry takes in a file, beside what is in it.
pub(super) const ENTRY: u64 = 8;

fn entry_size(key: &[u8], value: Option<&Vec<u8>>) -> u64 {
    key.len() as u64 + value.map_or(0, |value| value.len() as u64) + ENTRY
}

impl Tail {
    /// How much `changes` would take.
    pub(super) fn size_of(changes: &BTreeMap<String, Changes>) -> u64 {
        let sizes = changes.values().flat_map(Changes::iter);
        sizes.map(|(key, value)| ENTRY + (key.len() + value.map_or(0, <[u8]>::len)) as u64).sum()
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.operators.values().all(BTreeMap::is_empty) && self.fresh.is_empty()
    }

    pub(super) fn fresh(&self) -> &BTreeSet<String> {
        &self.fresh
    }

    /// Adds what changed after these changes; twice is as good as once. `whole` says that nothing is older
    /// than the tail, so that deleted keys need not be remembered.
    pub(super) fn apply<'a>(
        &mut self,
        changes: &BTreeMap<String, Changes>,
        new: impl Iterator<Item = &'a String>,
        whole: bool,
    ) {
        for name in new {
            self.clear(name);
        }
        for (name, changes) in changes {
            if changes.is_cleared() {
                self.clear(name);
            }
            for (key, value) in changes.iter() {
                self.put(name, key, value, whole);
            }
        }
        if whole {
            self.fresh.clear();
        }
    }

    /// Adds one entry.
    pub(super) fn put(&mut self, operator: &str, key: &[u8], value: Option<&[u8]>, whole: bool) {
        if !self.operators.contains_key(operator) {
            self.operators.insert(operator.to_owned(), Entries::new());
        }
        let Some(entries) = self.operators.get_mut(operator) else { return };
        let before = if value.is_none() && whole {
            entries.remove(key)
        } else {
            let value = value.map(<[u8]>::to_vec);
            self.size += entry_size(key, value.as_ref());
            entries.insert(key.to_vec(), value)
        };
        if let Some(before) = before {
            self.size -= entry_size(key, before.as_ref());
        }
    }

    fn clear(&mut self, operator: &str) {
        let entries = self.operators.get_mut(operator).map(mem::take).unwrap_or_default();
        self.size -= entries.iter().map(|(key, value)| entry_size(key, value.as_ref())).sum::<u64>();
        self.fresh.insert(operator.to_owned());
    }

    /// Calls `each` with every entry, in the order of a file.
    pub(super) fn each<E>(
        &self,
        mut each: impl FnMut(&str, &[u8], Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (operator, entries) in &self.operators {
            for (key, value) in entries {
                each(operator, key, value.as_deref())?;
            }
        }
        Ok(())
    }
}
