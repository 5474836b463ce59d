//! The changelog of an operator: what changed in its state, as bytes.

use std::{fmt, ops::Range};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::encode::encode_to;

/// The changelog of one operator for one batch: keys that were put with their values, and keys that were
/// deleted.
///
/// Keys and values are written with the names of their fields, so that a later version of a type can read
/// them; a key must be written alike whenever it is the same. Nothing is checked here: what can't be written
/// is remembered, and the commit of these changes fails with it.
#[derive(Default)]
pub struct Changes {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    cleared: bool,
    failed: Option<String>,
}

struct Entry {
    start: usize,
    key: usize,
    /// The length of the value; a deleted key has none.
    value: Option<usize>,
}

impl Changes {
    /// Creates an empty changelog.
    pub fn new() -> Changes {
        Changes::default()
    }

    /// Sets the value of `key`.
    pub fn put<K: Serialize + ?Sized, V: Serialize + ?Sized>(&mut self, key: &K, value: &V) {
        let start = self.bytes.len();
        if let Some(key) = self.write(key, start) {
            let middle = self.bytes.len();
            if let Some(value) = self.write(value, start) {
                debug_assert_eq!(middle + value, self.bytes.len());
                self.entries.push(Entry { start, key, value: Some(value) });
            }
        }
    }

    /// Deletes the entry of `key`.
    pub fn delete<K: Serialize + ?Sized>(&mut self, key: &K) {
        let start = self.bytes.len();
        if let Some(key) = self.write(key, start) {
            self.entries.push(Entry { start, key, value: None });
        }
    }

    /// Deletes all entries, and drops the changes so far.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.failed = None;
        self.cleared = true;
    }

    /// Appends later changes.
    pub fn append(&mut self, mut later: Changes) {
        if later.cleared {
            *self = later;
            return;
        }
        let base = self.bytes.len();
        self.bytes.append(&mut later.bytes);
        self.entries.extend(later.entries.into_iter().map(|e| Entry { start: base + e.start, ..e }));
        self.failed = self.failed.take().or(later.failed);
    }

    /// Adds what another process has of the same operator, for other keys. `Err` if only one of them has
    /// written all anew: the other's entries would be lost.
    pub(crate) fn join(&mut self, other: Changes) -> Result<(), &'static str> {
        if self.cleared != other.cleared {
            return Err("one process has written its state anew and another has not");
        }
        self.append(Changes { cleared: false, ..other });
        Ok(())
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.cleared && self.failed.is_none()
    }

    /// The number of puts and deletes.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_cleared(&self) -> bool {
        self.cleared
    }

    /// The first error of an encoding, if there was one.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Sorts the entries by key, and keeps only the last one of each key.
    pub(super) fn sort(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let key = |e: &Entry| bytes.get(e.key_range()).unwrap_or_default();
        // Stable, so that the last entry of a key stays its last.
        self.entries.sort_by(|a, b| key(a).cmp(key(b)));
        self.entries.dedup_by(|later, kept| {
            let same = key(later) == key(kept);
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        self.bytes = bytes;
    }

    /// The keys with their values; `None` for a deleted key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let bytes = |range| self.bytes.get::<Range<usize>>(range).unwrap_or_default();
        self.entries.iter().map(move |e| {
            let key = e.key_range();
            (bytes(key.clone()), e.value.map(|length| bytes(key.end..key.end + length)))
        })
    }

    /// Appends the encoded value and returns its length. On an error, everything after `start` is removed.
    fn write<T: Serialize + ?Sized>(&mut self, value: &T, start: usize) -> Option<usize> {
        let before = self.bytes.len();
        match encode_to(&mut self.bytes, value) {
            Ok(()) => Some(self.bytes.len() - before),
            Err(error) => {
                self.bytes.truncate(start);
                self.failed.get_or_insert(error);
                None
            }
        }
    }
}

/// The changes of a process that has no checkpoint of its own, on their way to the one that writes it.
#[derive(Serialize, Deserialize)]
pub(crate) struct SentChanges {
    bytes: Bytes,
    /// Where an entry begins, and how long its key and its value are.
    entries: Vec<(usize, usize, Option<usize>)>,
    cleared: bool,
    failed: Option<String>,
}

impl From<Changes> for SentChanges {
    fn from(changes: Changes) -> SentChanges {
        let Changes { bytes, entries, cleared, failed } = changes;
        let entries = entries.into_iter().map(|e| (e.start, e.key, e.value)).collect();
        SentChanges { bytes: bytes.into(), entries, cleared, failed }
    }
}

impl TryFrom<SentChanges> for Changes {
    type Error = String;

    fn try_from(sent: SentChanges) -> Result<Changes, String> {
        let SentChanges { bytes, entries, cleared, failed } = sent;
        let fits = |&(start, key, value): &(usize, usize, Option<usize>)| {
            let end = start.checked_add(key).and_then(|end| end.checked_add(value.unwrap_or(0)));
            end.is_some_and(|end| end <= bytes.len())
        };
        if !entries.iter().all(fits) {
            return Err("changes of state refer to bytes that are not there".to_owned());
        }
        let entries = entries.into_iter().map(|(start, key, value)| Entry { start, key, value }).collect();
        Ok(Changes { bytes: bytes.into(), entries, cleared, failed })
    }
}

impl Entry {
    fn key_range(&self) -> Range<usize> {
        self.start..self.start + self.key
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Changes { entries, bytes, cleared, failed } = self;
        f.debug_struct("Changes")
            .field("entries", &entries.len())
            .field("bytes", &bytes.len())
            .field("cleared", cleared)
            .field("failed", failed)
            .finish()
    }
}

/// Decodes a key or value that was put into [`Changes`]; `Err` says what does not fit.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut rest = bytes;
    let value = rmp_serde::from_read(&mut rest).map_err(|e| e.to_string())?;
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes are left over", rest.len())) }
}
