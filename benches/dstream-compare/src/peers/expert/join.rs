//! W5: both sides shared out by key over the threads; the right side in an array of lists, the left walks
//! through it.

use rayon::prelude::*;

const PARTS: usize = 16;

/// What is used again from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Join {
    left: Vec<Vec<(u64, u64)>>,
    right: Vec<Vec<(u64, u64)>>,
    parts: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    /// By hash: 1 + the first record of a list; 0 for none.
    heads: Vec<u32>,
    /// Key, value, and 1 + the next record of the list.
    records: Vec<(u64, u64, u32)>,
}

#[inline(always)]
fn hash(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Join {
    /// Calls `pair` with the values of each match, and counts them.
    pub(super) fn count(&mut self, left: &[(u64, u64)], right: &[(u64, u64)]) -> u64 {
        let (mut to_left, mut to_right) = (std::mem::take(&mut self.left), std::mem::take(&mut self.right));
        rayon::join(|| share(left, &mut to_left), || share(right, &mut to_right));
        (self.left, self.right) = (to_left, to_right);
        self.parts.resize_with(PARTS, Part::default);
        let sides = self.left.par_iter().zip(&self.right);
        sides.zip(&mut self.parts).with_max_len(1).map(|((left, right), part)| part.count(left, right)).sum()
    }
}

fn share(records: &[(u64, u64)], parts: &mut Vec<Vec<(u64, u64)>>) {
    parts.resize_with(PARTS, Vec::new);
    parts.iter_mut().for_each(Vec::clear);
    for record in records {
        parts[hash(record.0) as usize >> 60].push(*record);
    }
}

impl Part {
    fn count(&mut self, left: &[(u64, u64)], right: &[(u64, u64)]) -> u64 {
        let bits = (right.len() * 2).next_power_of_two().trailing_zeros().max(4);
        self.heads.clear();
        self.heads.resize(1 << bits, 0);
        self.records.clear();
        let place = |key| (hash(key) << 4 >> (64 - bits)) as usize;
        for (key, value) in right {
            let head = &mut self.heads[place(*key)];
            self.records.push((*key, *value, *head));
            *head = self.records.len() as u32;
        }
        let mut pairs = 0;
        for (key, value) in left {
            let mut at = self.heads[place(*key)];
            while at != 0 {
                let (other, met, next) = self.records[at as usize - 1];
                if other == *key {
                    // The pair as a consumer would get it.
                    std::hint::black_box((*key, *value, met));
                    pairs += 1;
                }
                at = next;
            }
        }
        pairs
    }
}
