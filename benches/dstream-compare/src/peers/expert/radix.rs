//! W1 where there are so many words that each would miss the caches: they are first dealt out by hash, and
//! then counted share by share, each in a table that stays near.

use std::sync::atomic::{AtomicUsize, Ordering};

use dstream::Bytes;
use rayon::prelude::*;

use super::{
    count::{Summary, Tokeniser, part},
    simd::Sink,
    table::{GROUP, Table},
    word::{LongWords, Word, hash, word},
};

const SHARES: usize = 128;

/// What is used again from batch to batch.
#[derive(Debug)]
pub(super) struct Radix {
    /// For each thread its words, dealt out.
    dealt: Vec<Vec<Vec<Word>>>,
    tables: Vec<Table>,
}

struct Deal<'a>(&'a mut [Vec<Word>], &'a LongWords);

impl Sink for Deal<'_> {
    #[inline(always)]
    fn word(&mut self, text: &[u8], start: usize, len: usize) {
        let word = word(text, start, len, self.1);
        self.0[part(hash(word), SHARES)].push(word);
    }
}

impl Radix {
    pub(super) fn new(threads: usize) -> Radix {
        Radix {
            dealt: vec![vec![Vec::new(); SHARES]; threads],
            tables: (0..threads).map(|_| Table::default()).collect(),
        }
    }

    pub(super) fn count(&mut self, blocks: &[Bytes], tokeniser: Tokeniser, long: &LongWords) -> Vec<Summary> {
        let next = AtomicUsize::new(0);
        self.dealt.par_iter_mut().with_max_len(1).for_each(|shares| {
            shares.iter_mut().for_each(Vec::clear);
            while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                tokeniser.run(block, &mut Deal(shares, long));
            }
        });
        let (next, dealt) = (AtomicUsize::new(0), &self.dealt);
        let count = |table: &mut Table| {
            let mut all = Vec::new();
            loop {
                let share = next.fetch_add(1, Ordering::Relaxed);
                if share >= SHARES {
                    return all;
                }
                table.clear();
                for words in dealt.iter().flat_map(|shares| shares[share].chunks(GROUP)) {
                    table.reserve(GROUP);
                    for word in words {
                        *table.entry(*word, hash(*word)).0 += 1;
                    }
                }
                all.push(Summary::of(table.iter(), long));
            }
        };
        self.tables.par_iter_mut().with_max_len(1).flat_map_iter(count).collect()
    }
}
