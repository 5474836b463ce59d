//! Keys in sixteen bytes.
//!
//! Most keys are numbers or short texts. A table that has them whole, in two words, compares and hashes them
//! without a look at what they point to, and without a branch on their length.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The whole of a key that fits into fifteen bytes: two keys of a type are equal exactly when these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Short {
    low: u64,
    /// Never 0. The uppermost byte is one more than the length, [`LONG`] where this is no key but a hash.
    high: u64,
}

const LONG: u64 = 0xff;

impl Short {
    /// What no key has.
    pub(crate) const NONE: Short = Short { low: 0, high: 0 };
    /// The longest text that fits.
    pub(crate) const TEXT: usize = 15;

    /// A number.
    #[inline]
    pub(crate) fn number(n: u64) -> Short {
        Short { low: n, high: 1 << 56 }
    }

    /// The number that [`number`](Short::number) was given.
    pub(crate) fn to_number(self) -> u64 {
        self.low
    }

    /// A text of at most [`TEXT`](Short::TEXT) bytes.
    #[inline]
    pub(crate) fn text(bytes: &[u8]) -> Option<Short> {
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
        Some(Short { low, high: high | (len as u64 + 1) << 56 })
    }

    /// The lowest `len` of these bytes, as a text.
    #[inline]
    pub(crate) fn of_prefix(bytes: u128, len: usize) -> Option<Short> {
        let mask = MASKS.get(len)?;
        let (low, high) = (bytes as u64, (bytes >> 64) as u64);
        Some(Short { low: low & mask[0], high: high & mask[1] | (len as u64 + 1) << 56 })
    }

    /// What [`text`](Short::text) was given, and how many of the bytes it is.
    pub(crate) fn to_text(self) -> ([u8; 16], usize) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.low.to_le_bytes());
        bytes[8..].copy_from_slice(&self.high.to_le_bytes());
        let len = usize::from(bytes[Self::TEXT]).saturating_sub(1).min(Self::TEXT);
        (bytes, len)
    }

    /// The hash of a key that does not fit. Equal keys have equal ones, but not the other way round.
    #[inline]
    pub(crate) fn hash_of_long(hash: u64) -> Short {
        Short { low: hash, high: LONG << 56 }
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

/// The bytes of a text of each length.
static MASKS: [[u64; 2]; Short::TEXT + 1] = {
    let mut masks = [[0; 2]; Short::TEXT + 1];
    let mut len = 1;
    while len <= Short::TEXT {
        masks[len] =
            if len <= 8 { [u64::MAX >> (64 - 8 * len), 0] } else { [u64::MAX, u64::MAX >> (128 - 8 * len)] };
        len += 1;
    }
    masks
};

/// The two words, the second so that it is a small number for numbers and short texts.
impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.low, self.high.rotate_left(8)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (low, high): (u64, u64) = Deserialize::deserialize(deserializer)?;
        match high {
            0 => Err(serde::de::Error::custom("no key is like this")),
            _ => Ok(Short { low, high: high.rotate_right(8) }),
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
                let short = Short::text(text);
                assert_eq!(short.is_some(), len <= Short::TEXT);
                let read = u128::from_le_bytes(all[at..at + 16].try_into().unwrap());
                assert_eq!(short, Short::of_prefix(read, len), "{len}");
                let Some(short) = short else { continue };
                assert!(short.is_whole());
                let (bytes, back) = short.to_text();
                assert_eq!(&bytes[..back], text);
                assert!(len == 0 || seen.insert((short.low, short.high)), "{text:?}");
            }
        }
        assert_ne!(Short::text(b""), Short::text(b"\0"));
        assert_ne!(Short::text(b"a"), Short::text(b"a\0"));
        assert!(!Short::hash_of_long(0).is_whole());
    }
}
