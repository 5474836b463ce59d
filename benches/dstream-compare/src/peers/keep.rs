//! What a program by hand keeps from batch to batch in ordinary maps; `plain` has one, `timely` one a worker.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::workload::{Answer, Workload};

/// Words and what they come to.
pub(super) type Counts<K = String> = HashMap<K, u64>;

/// Running totals, and a window.
#[derive(Debug, Default)]
pub(super) struct Keep {
    totals: Counts,
    window: Counts,
    ring: VecDeque<Counts>,
    length: usize,
}

impl Keep {
    /// Nothing, and windows of so many batches.
    pub(super) fn new(length: usize) -> Keep {
        Keep { length, ..Keep::default() }
    }

    /// What the workload makes of the counts of a batch; for W7, without W2, in its order.
    pub(super) fn batch<K: AsRef<str>>(&mut self, workload: Workload, counts: &Counts<K>) -> Vec<Answer> {
        use Workload::*;
        match workload {
            W3Update | W3UpdateReduced | W3Map | W3MapReduced => vec![self.total(counts)],
            W4Inverse | W4Long => vec![self.slide(counts)],
            W4Max => vec![self.longest(counts)],
            W7 => vec![summary(counts), self.total(counts), self.slide(counts)],
            _ => vec![summary(counts)],
        }
    }

    fn total<K: AsRef<str>>(&mut self, counts: &Counts<K>) -> Answer {
        add(&mut self.totals, counts);
        summary(&self.totals)
    }

    fn slide<K: AsRef<str>>(&mut self, counts: &Counts<K>) -> Answer {
        add(&mut self.window, counts);
        for (word, n) in self.enter(counts) {
            if let Some(held) = self.window.get_mut(&word) {
                *held -= n;
                if *held == 0 {
                    self.window.remove(&word);
                }
            }
        }
        summary(&self.window)
    }

    /// Without an inverse, the window is put together again.
    fn longest<K: AsRef<str>>(&mut self, counts: &Counts<K>) -> Answer {
        drop(self.enter(counts));
        let mut longest: Counts<&str> = HashMap::new();
        for (word, n) in self.ring.iter().flatten() {
            let held = longest.entry(word.as_str()).or_insert(*n);
            *held = u64::max(*held, *n);
        }
        summary(&longest)
    }

    /// Puts a batch into the window, and gives the one that leaves it.
    fn enter<K: AsRef<str>>(&mut self, counts: &Counts<K>) -> Counts {
        self.ring.push_back(counts.iter().map(|(word, n)| (word.as_ref().to_owned(), *n)).collect());
        let full = self.ring.len() > self.length;
        if full { self.ring.pop_front() } else { None }.unwrap_or_default()
    }
}

fn add<K: AsRef<str>>(totals: &mut Counts, counts: &Counts<K>) {
    for (word, n) in counts {
        *totals.entry_ref(word.as_ref()).or_insert(0) += n;
    }
}

pub(super) fn summary<'a, K: AsRef<str> + 'a>(counts: impl IntoIterator<Item = (&'a K, &'a u64)>) -> Answer {
    let mut all: Vec<(u64, &str)> = counts.into_iter().map(|(word, n)| (*n, word.as_ref())).collect();
    let keys = all.len() as u64;
    if all.len() > 10 {
        all.select_nth_unstable_by(9, |a, b| b.cmp(a));
        all.truncate(10);
    }
    all.sort_by(|a, b| b.cmp(a));
    Answer { counts: vec![keys], top: all.into_iter().map(|(n, word)| (n, word.to_owned())).collect() }
}
