//! A word as a number: up to 15 bytes inline, longer ones by their place in a list.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The bytes, with the length in the last one; or `LONG` there, and a place in [`LongWords`].
pub(super) type Word = u128;

const LONG: u128 = 0xff;

static MASKS: [u128; 16] = {
    let mut masks = [0; 16];
    let mut len = 1;
    while len < 16 {
        masks[len] = (1 << (len * 8)) - 1;
        len += 1;
    }
    masks
};

/// The word at this place of a block.
#[inline(always)]
pub(super) fn word(text: &[u8], start: usize, len: usize, long: &LongWords) -> Word {
    if len > 15 {
        return long.intern(&text[start..start + len]);
    }
    let bytes = match text.get(start..start + 16) {
        Some(bytes) => u128::from_le_bytes(bytes.try_into().unwrap_or_default()),
        None => near_the_end(text, start, len),
    };
    bytes & MASKS[len] | (len as u128) << 120
}

#[cold]
fn near_the_end(text: &[u8], start: usize, len: usize) -> u128 {
    let mut bytes = [0; 16];
    bytes[..len].copy_from_slice(&text[start..start + len]);
    u128::from_le_bytes(bytes)
}

/// Good enough for a table whose keys nobody chooses to harm it.
#[inline(always)]
pub(super) fn hash(word: Word) -> u64 {
    let (low, high) = (word as u64 ^ 0x9e37_79b9_7f4a_7c15, (word >> 64) as u64 ^ 0xd1b5_4a32_d192_ed03);
    let product = u128::from(low) * u128::from(high);
    product as u64 ^ (product >> 64) as u64
}

/// The words that do not fit, which are few: text has hardly any.
#[derive(Debug, Default)]
pub(super) struct LongWords(Mutex<(HashMap<Box<[u8]>, u64>, Vec<Box<[u8]>>)>);

impl LongWords {
    #[cold]
    fn intern(&self, text: &[u8]) -> Word {
        let (places, texts) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = *places.entry(text.into()).or_insert_with(|| {
            texts.push(text.into());
            texts.len() as u64 - 1
        });
        u128::from(place) | LONG << 120
    }

    pub(super) fn text(&self, word: Word) -> String {
        let bytes = match word >> 120 {
            LONG => {
                let (_, texts) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
                texts[word as u64 as usize].to_vec()
            }
            len => word.to_le_bytes()[..len as usize].to_vec(),
        };
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back() {
        let long = LongWords::default();
        for text in ["", "a", "abcdefghijklmno", "abcdefghijklmnop", "abcdefghijklmnopqrst", "a\0"] {
            for around in ["", " and what stands behind it in the block"] {
                let block = format!("{text}{around}");
                let found = word(block.as_bytes(), 0, text.len(), &long);
                assert_eq!(long.text(found), text);
                assert_eq!(found, word(text.as_bytes(), 0, text.len(), &long));
            }
        }
        assert_ne!(word(b"a", 0, 1, &long), word(b"a\0", 0, 2, &long));
    }
}
