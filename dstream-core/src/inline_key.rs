//! Keys that are stored inline, in sixteen bytes.
//!
//! Most keys are numbers or short texts. A table that stores them inline, as two words, compares and hashes
//! them without following a pointer and without branching on their length.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A key of up to fifteen bytes as a value. Two keys of one type are equal exactly when their inline keys
/// are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InlineKey {
    low: u64,
    /// Never 0. The uppermost byte is the length plus one, or [`LONG`] if this is the hash of a longer key.
    high: u64,
}

const LONG: u64 = 0xff;

impl InlineKey {
    /// A value that differs from all keys.
    pub(crate) const NONE: InlineKey = InlineKey { low: 0, high: 0 };
    /// The length of the longest text that fits, in bytes.
    pub(crate) const TEXT: usize = 15;

    /// The inline key of a number.
    #[inline]
    pub(crate) fn number(n: u64) -> InlineKey {
        InlineKey { low: n, high: 1 << 56 }
    }

    /// The number that [`number`](InlineKey::number) was given.
    pub(crate) fn to_number(self) -> u64 {
        self.low
    }

    /// The inline key of a text of at most [`TEXT`](InlineKey::TEXT) bytes.
    #[inline]
    pub(crate) fn text(bytes: &[u8]) -> Option<InlineKey> {
        let len = bytes.len();
        // Two reads that overlap give the same bits where they do.
        let (low, high) = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            if len > Self::TEXT {
                return None;
            }
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last) >> 8 >> (8 * (Self::TEXT - len)))
        } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            (u64::from(first) | u64::from(last) << (8 * (len - 4)), 0)
        } else if let (Some(first), Some(last)) = (bytes.first(), bytes.last()) {
            let middle = bytes[len / 2];
            (
                u64::from(*first)
                    | u64::from(middle) << (8 * (len / 2))
                    | u64::from(*last) << (8 * (len - 1)),
                0,
            )
        } else {
            (0, 0)
        };
        Some(InlineKey { low, high: high | (len as u64 + 1) << 56 })
    }

    /// The inline key of a text that is the lowest `len` of these bytes.
    #[inline]
    pub(crate) fn of_prefix(bytes: u128, len: usize) -> Option<InlineKey> {
        let mask = MASKS.get(len)?;
        let (low, high) = (bytes as u64, (bytes >> 64) as u64);
        Some(InlineKey { low: low & mask[0], high: high & mask[1] | (len as u64 + 1) << 56 })
    }

    /// The bytes of the text that [`text`](InlineKey::text) was given, and its length.
    pub(crate) fn to_text(self) -> ([u8; 16], usize) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.low.to_le_bytes());
        bytes[8..].copy_from_slice(&self.high.to_le_bytes());
        let len = usize::from(bytes[Self::TEXT]).saturating_sub(1).min(Self::TEXT);
        (bytes, len)
    }

    /// Stands for a key that does not fit, by its hash. Different keys may have the same one.
    #[inline]
    pub(crate) fn hash_of_long(hash: u64) -> InlineKey {
        InlineKey { low: hash, high: LONG << 56 }
    }

    /// Whether this is the whole key.
    #[inline]
    pub(crate) fn is_whole(self) -> bool {
        self.high >> 56 != LONG
    }

    /// The hash under `seed`: a multiplication whose halves are put together.
    #[inline]
    pub(crate) fn hash(self, seed: [u64; 2]) -> u64 {
        let product = u128::from(self.low ^ seed[0]) * u128::from(self.high ^ seed[1]);
        product as u64 ^ (product >> 64) as u64
    }
}

/// The masks that select the bytes of a text, by its length.
static MASKS: [[u64; 2]; InlineKey::TEXT + 1] = {
    let mut masks = [[0; 2]; InlineKey::TEXT + 1];
    let mut len = 1;
    while len <= InlineKey::TEXT {
        masks[len] =
            if len <= 8 { [u64::MAX >> (64 - 8 * len), 0] } else { [u64::MAX, u64::MAX >> (128 - 8 * len)] };
        len += 1;
    }
    masks
};

/// Written as two words, the second rotated so that it is a small number for short keys.
impl Serialize for InlineKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.low, self.high.rotate_left(8)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InlineKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (low, high): (u64, u64) = Deserialize::deserialize(deserializer)?;
        match high {
            0 => Err(serde::de::Error::custom("this is not a key")),
            _ => Ok(InlineKey { low, high: high.rotate_right(8) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_text_is_the_same_from_both_sides_and_comes_back() {
        let all = "abcdefghijklmnopqrst".as_bytes();
        let mut seen = HashSet::new();
        for at in 0..4 {
            for len in 0..=16 {
                let text = &all[at..at + len];
                let key = InlineKey::text(text);
                assert_eq!(key.is_some(), len <= InlineKey::TEXT);
                let read = u128::from_le_bytes(all[at..at + 16].try_into().unwrap());
                assert_eq!(key, InlineKey::of_prefix(read, len), "{len}");
                let Some(key) = key else { continue };
                assert!(key.is_whole());
                let (bytes, back) = key.to_text();
                assert_eq!(&bytes[..back], text);
                assert!(len == 0 || seen.insert((key.low, key.high)), "{text:?}");
            }
        }
        assert_ne!(InlineKey::text(b""), InlineKey::text(b"\0"));
        assert_ne!(InlineKey::text(b"a"), InlineKey::text(b"a\0"));
        assert!(!InlineKey::hash_of_long(0).is_whole());
    }
}
