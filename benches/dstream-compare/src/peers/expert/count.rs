//! W1: the words of a batch, each thread into tables of its own, one for each partition; then partition by
//! partition.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicUsize, Ordering},
};

use dstream::{
    Bytes,
    source::{Block as _, TextBlock},
};
use rayon::prelude::*;

use super::{
    simd::{Sink, tokenise},
    table::{Fold, GROUP, Table},
    word::{LongWords, Word, hash, word},
};
use crate::workload::Answer;

/// Who cuts the words out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokeniser {
    /// 64 bytes at a time.
    Simd,
    /// `split(' ')` of the lines of a `TextBlock`, as the user's pipeline.
    LinesAndSplit,
}

impl Tokeniser {
    #[inline]
    pub(super) fn run(self, block: &Bytes, sink: &mut impl Sink) {
        match self {
            Tokeniser::Simd => tokenise(block, sink),
            Tokeniser::LinesAndSplit => {
                let mut lines = TextBlock::new(block.clone());
                let start = block.as_ptr() as usize;
                for line in lines.records() {
                    for word in line.split(' ') {
                        sink.word(block, word.as_ptr() as usize - start, word.len());
                    }
                    sink.line(line.len());
                }
            }
        }
    }
}

/// One thread's tables, and the words on their way there.
#[derive(Debug)]
pub(super) struct Counter<F> {
    pub(super) parts: Vec<Table>,
    group: [(Word, u64, u64); GROUP],
    n: usize,
    fold: PhantomData<F>,
}

impl<F: Fold> Counter<F> {
    pub(super) fn new(parts: usize) -> Counter<F> {
        Counter {
            parts: (0..parts).map(|_| Table::default()).collect(),
            group: [(0, 0, 0); GROUP],
            n: 0,
            fold: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, word: Word, value: u64) {
        let hash = hash(word);
        let part = part(hash, self.parts.len());
        self.parts[part].prefetch(hash);
        self.group[self.n] = (word, hash, value);
        self.n += 1;
        if self.n == GROUP {
            self.flush();
        }
    }

    #[inline(always)]
    pub(super) fn flush(&mut self) {
        let parts = self.parts.len();
        self.parts.iter_mut().for_each(|table| table.reserve(GROUP));
        for (word, hash, value) in &self.group[..self.n] {
            F::fold(self.parts[part(*hash, parts)].entry(*word, *hash).0, *value);
        }
        self.n = 0;
    }
}

/// Which table a hash belongs to.
#[inline(always)]
pub(super) fn part(hash: u64, parts: usize) -> usize {
    (((hash >> 32) * parts as u64) >> 32) as usize
}

/// Counts the words.
struct Ones<'a, F>(&'a mut Counter<F>, &'a LongWords);

impl<F: Fold> Sink for Ones<'_, F> {
    #[inline(always)]
    fn word(&mut self, text: &[u8], start: usize, len: usize) {
        self.0.push(word(text, start, len, self.1), 1);
    }
}

/// Gives each word the length of its line, which is known when the line is over.
struct Lengths<'a, F>(&'a mut Counter<F>, &'a LongWords, Vec<Word>);

impl<F: Fold> Sink for Lengths<'_, F> {
    #[inline(always)]
    fn word(&mut self, text: &[u8], start: usize, len: usize) {
        self.2.push(word(text, start, len, self.1));
    }

    #[inline(always)]
    fn line(&mut self, len: usize) {
        for word in self.2.drain(..) {
            self.0.push(word, len as u64);
        }
    }
}

/// What is counted of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    One,
    LengthOfLine,
}

/// Runs over the blocks of a batch on as many threads as there are counters; [`merge`] brings them together.
pub(super) fn count<F: Fold>(
    counters: &mut [Counter<F>],
    blocks: &[Bytes],
    tokeniser: Tokeniser,
    value: Value,
    long: &LongWords,
) {
    let next = AtomicUsize::new(0);
    let threads = if blocks.len() < 2 { 1 } else { counters.len() };
    let run = |counter: &mut Counter<F>| {
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            match value {
                Value::One => tokeniser.run(block, &mut Ones(counter, long)),
                Value::LengthOfLine => tokeniser.run(block, &mut Lengths(counter, long, Vec::new())),
            }
        }
        counter.flush();
    };
    for counter in counters.iter_mut() {
        counter.parts.iter_mut().for_each(Table::clear);
    }
    match &mut counters[..threads] {
        [one] => run(one),
        several => several.par_iter_mut().with_max_len(1).for_each(run),
    }
}

/// Partition by partition: the tables of all threads into the first's, and then `f`.
pub(super) fn merge<F: Fold, T: Send, P: Send>(
    counters: &mut [Counter<F>],
    with: &mut [P],
    f: impl Fn(&Table, &mut P) -> T + Sync,
) -> Vec<T> {
    let few = counters.iter().flat_map(|counter| &counter.parts).map(Table::len).sum::<usize>() < 10_000;
    let mut columns: Vec<(Vec<&mut Table>, &mut P)> =
        with.iter_mut().map(|with| (Vec::new(), with)).collect();
    for counter in counters {
        for (column, table) in columns.iter_mut().zip(&mut counter.parts) {
            column.0.push(table);
        }
    }
    let run = |(mut column, with): (Vec<&mut Table>, &mut P)| {
        let (first, others) = column.split_first_mut()?;
        others.iter().for_each(|other| first.absorb::<F>(other));
        Some(f(first, with))
    };
    let done: Vec<Option<T>> = match few {
        true => columns.into_iter().map(run).collect(),
        false => columns.into_par_iter().with_max_len(1).map(run).collect(),
    };
    done.into_iter().flatten().collect()
}

/// The number of keys of a partition, and its ten largest.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) keys: u64,
    pub(super) top: Vec<(u64, String)>,
}

impl Summary {
    pub(super) fn of(all: impl Iterator<Item = (Word, u64)>, long: &LongWords) -> Summary {
        let mut summary = Summary::default();
        let mut least = 0;
        for (word, n) in all {
            summary.keys += 1;
            if n >= least {
                summary.offer(n, word, long);
                least = if summary.top.len() < 10 { 0 } else { summary.top[9].0 };
            }
        }
        summary
    }

    fn offer(&mut self, n: u64, word: Word, long: &LongWords) {
        self.top.push((n, long.text(word)));
        self.top.sort_by(|a, b| b.cmp(a));
        self.top.truncate(10);
    }

    /// All partitions together.
    pub(super) fn answer(parts: Vec<Summary>) -> Answer {
        let keys = parts.iter().map(|part| part.keys).sum();
        let mut top: Vec<_> = parts.into_iter().flat_map(|part| part.top).collect();
        top.sort_by(|a, b| b.cmp(a));
        top.truncate(10);
        Answer { counts: vec![keys], top }
    }
}
