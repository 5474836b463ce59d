//! W3 and W4: what is kept of each word from batch to batch. Words are numbered, and what is kept is an array
//! by number.
//!
//! In the expert's favour, a word that has left a window keeps its number.

use std::collections::VecDeque;

use super::{
    count::Summary,
    table::{GROUP, Table},
    word::{LongWords, Word},
};

/// One partition of what is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    numbers: Table,
    words: Vec<Word>,
    totals: Vec<u64>,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    counts: Vec<u64>,
    /// The batches in the window, for counts.
    ring: VecDeque<Vec<(u32, u32)>>,
    /// The same for maxima: by number.
    columns: VecDeque<Vec<u64>>,
}

impl Kept {
    /// Calls `f` with the number and the value of each word of a batch.
    fn numbered(&mut self, batch: &Table, mut f: impl FnMut(&mut Kept, usize, u64)) {
        let mut group = [(0, 0, 0); GROUP];
        let mut n = 0;
        batch.for_each_ahead(
            |_| {},
            |word, hash, value| {
                self.numbers.prefetch(hash);
                group[n] = (word, hash, value);
                n += 1;
                if n == GROUP {
                    group.iter().for_each(|entry| self.number(*entry, &mut f));
                    n = 0;
                }
            },
        );
        group[..n].iter().for_each(|entry| self.number(*entry, &mut f));
    }

    fn number(&mut self, (word, hash, value): (Word, u64, u64), f: &mut impl FnMut(&mut Kept, usize, u64)) {
        self.numbers.reserve(1);
        let (number, new) = self.numbers.entry(word, hash);
        if new {
            *number = self.words.len() as u64;
            self.words.push(word);
            self.totals.push(0);
            self.window.counts.push(0);
        }
        let number = *number as usize;
        f(self, number, value);
    }

    /// Adds a batch to the totals.
    pub(super) fn total(&mut self, batch: &Table, long: &LongWords) -> Summary {
        self.numbered(batch, |kept, number, n| kept.totals[number] += n);
        self.summary(&self.totals, long)
    }

    /// Moves the window of counts on.
    pub(super) fn slide(&mut self, batch: &Table, length: usize, long: &LongWords) -> Summary {
        let mut entered = Vec::with_capacity(batch.len());
        self.numbered(batch, |kept, number, n| {
            kept.window.counts[number] += n;
            entered.push((number as u32, n as u32));
        });
        self.window.ring.push_back(entered);
        if self.window.ring.len() > length {
            for (number, n) in self.window.ring.pop_front().into_iter().flatten() {
                self.window.counts[number as usize] -= u64::from(n);
            }
        }
        self.summary(&self.window.counts, long)
    }

    /// Moves the window of maxima on.
    pub(super) fn longest(&mut self, batch: &Table, length: usize, long: &LongWords) -> Summary {
        let mut column = match self.window.columns.len() < length {
            true => Vec::new(),
            false => self.window.columns.pop_front().unwrap_or_default(),
        };
        column.clear();
        column.resize(self.words.len(), 0);
        self.numbered(batch, |kept, number, n| {
            if column.len() <= number {
                column.resize(kept.words.len(), 0);
            }
            column[number] = n;
        });
        self.window.columns.push_back(column);
        let longest = &mut self.window.counts;
        longest.fill(0);
        for column in &self.window.columns {
            for (held, n) in longest.iter_mut().zip(column) {
                *held = u64::max(*held, *n);
            }
        }
        self.summary(&self.window.counts, long)
    }

    fn summary(&self, values: &[u64], long: &LongWords) -> Summary {
        let all = self.words.iter().zip(values);
        Summary::of(all.filter(|(_, n)| **n > 0).map(|(word, n)| (*word, *n)), long)
    }
}
