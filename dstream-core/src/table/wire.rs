//! The wire format of the partial results that tasks send to buckets in other processes.
//!
//! Inline keys travel in the place of the keys that they are, and the hash of a long key beside it, so no key
//! is hashed again: all processes have the same seed. A value is written as it is, never as an `Option`,
//! which the encoding could not tell from what is in it where that is `()` or an `Option` itself.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Chunks, Entry, GroupPartial, PartialBucket,
    partial_bucket::{InlinePartials, PARTS},
};
use crate::{
    exchange::{Wire, chunks_of, collect_seq},
    inline_key::InlineKey,
    record::Portable,
    table::HasLen,
};

impl<K: Serialize, V: Serialize> Serialize for Chunks<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        collect_seq(serializer, self.len(), self.iter().flatten())
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Chunks<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Chunks { full: chunks_of(deserializer)?, open: Vec::new() })
    }
}

impl<K: Portable, V: Portable> Wire for Chunks<K, V> {
    fn is_nothing(&self) -> bool {
        self.len() == 0
    }
}

impl<C: Serialize> Serialize for InlinePartials<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (once, parts) = match self {
            InlinePartials::Distinct(entries) => (&entries[..], &[][..]),
            InlinePartials::Parts(parts) => (&[][..], &parts[..]),
        };
        (Distinct(once), parts).serialize(serializer)
    }
}

struct Distinct<'a, C>(&'a [(InlineKey, Option<C>)]);

impl<C: Serialize> Serialize for Distinct<'_, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let held = self.0.iter().filter_map(|(id, value)| value.as_ref().map(|value| (id, value)));
        collect_seq(serializer, self.0.len(), held)
    }
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for InlinePartials<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (once, parts): (Vec<(InlineKey, C)>, Vec<Chunks<InlineKey, C>>) =
            Deserialize::deserialize(deserializer)?;
        Ok(match parts.is_empty() {
            true => InlinePartials::Distinct(once.into_iter().map(|(id, value)| (id, Some(value))).collect()),
            false => InlinePartials::Parts(parts),
        })
    }
}

impl<K: Serialize, C: Serialize> Serialize for Entry<K, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(value) = &self.value else { return Err(serde::ser::Error::custom("a value is missing")) };
        (self.id, &self.key, value).serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de>, C: Deserialize<'de>> Deserialize<'de> for Entry<K, C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (id, key, value) = Deserialize::deserialize(deserializer)?;
        Ok(Entry { id, key, value: Some(value) })
    }
}

impl<K: Serialize, C: Serialize> Serialize for PartialBucket<K, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.short, &self.long).serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de>, C: Deserialize<'de>> Deserialize<'de> for PartialBucket<K, C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (short, long) = Deserialize::deserialize(deserializer)?;
        Ok(PartialBucket { short, long })
    }
}

impl<K: Portable, C: Portable> Wire for PartialBucket<K, C> {
    fn is_nothing(&self) -> bool {
        self.len() == 0
    }

    fn is_sound(&self) -> bool {
        match &self.short {
            InlinePartials::Distinct(_) => true,
            InlinePartials::Parts(parts) => parts.len() == PARTS,
        }
    }
}

impl<K: Serialize, V: Serialize> Serialize for GroupPartial<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.short, &self.long, &self.records).serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for GroupPartial<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (short, long, records) = Deserialize::deserialize(deserializer)?;
        Ok(GroupPartial { short, long, records })
    }
}

impl<K: Portable, V: Portable> Wire for GroupPartial<K, V> {
    fn is_nothing(&self) -> bool {
        self.len() == 0
    }

    fn is_sound(&self) -> bool {
        let keys = self.short.len() + self.long.len();
        self.records.iter().flatten().all(|(number, _)| (*number as usize) < keys)
    }
}
