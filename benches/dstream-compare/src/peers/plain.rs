//! By hand, the way a good engineer writes it in an afternoon: `split(' ')`, `hashbrown`, `rayon`, borrowed words within a batch.

use std::collections::VecDeque;

use dstream::Bytes;
use hashbrown::HashMap;
use rayon::prelude::*;

use crate::{
    data::{Data, Records, Text},
    workload::{Answer, Runner, Workload},
};

/// What is kept of each word.
type Kept = HashMap<String, u64>;

/// The batches, and what each workload keeps from one to the next.
#[derive(Debug)]
pub(crate) struct Plain {
    workload: Workload,
    batches: Vec<Text>,
    next: usize,
    pairs: Option<[Records; 2]>,
    totals: Kept,
    window: Kept,
    ring: VecDeque<Kept>,
    length: usize,
}

impl Plain {
    pub(crate) fn new(workload: Workload, data: &Data) -> Plain {
        Plain {
            workload,
            batches: workload.texts(data),
            next: 0,
            pairs: (workload == Workload::W5).then(|| data.pairs()),
            totals: Kept::new(),
            window: Kept::new(),
            ring: VecDeque::new(),
            length: if workload == Workload::W4Long { data.sizes.small_batches } else { 10 },
        }
    }

    fn batch(&mut self) -> Answer {
        use Workload::*;
        if let Some([left, right]) = &self.pairs {
            return Answer::count(join(left, right));
        }
        let batch = self.batches[self.next].clone();
        self.next = (self.next + 1) % self.batches.len();
        match self.workload {
            W2 => Answer::count(containing(&batch)),
            W4Max => {
                self.ring.push_back(owned(&words(&batch, |line| line.len() as u64, u64::max)));
                if self.ring.len() > self.length {
                    self.ring.pop_front();
                }
                summary(&longest(&self.ring))
            }
            workload => {
                let counts = words(&batch, |_| 1, |a, b| a + b);
                match workload {
                    W3Update | W3UpdateReduced | W3Map | W3MapReduced => self.total(&counts),
                    W4Inverse | W4Long => self.slide(&counts),
                    W7 => summary(&counts)
                        .and(Answer::count(containing(&batch)))
                        .and(self.total(&counts))
                        .and(self.slide(&counts)),
                    _ => summary(&counts),
                }
            }
        }
    }

    fn total(&mut self, counts: &HashMap<&str, u64>) -> Answer {
        for (word, n) in counts {
            *self.totals.entry_ref(*word).or_insert(0) += n;
        }
        summary(&self.totals)
    }

    fn slide(&mut self, counts: &HashMap<&str, u64>) -> Answer {
        for (word, n) in counts {
            *self.window.entry_ref(*word).or_insert(0) += n;
        }
        self.ring.push_back(owned(counts));
        if self.ring.len() > self.length {
            for (word, n) in self.ring.pop_front().unwrap_or_default() {
                if let Some(held) = self.window.get_mut(&word) {
                    *held -= n;
                    if *held == 0 {
                        self.window.remove(&word);
                    }
                }
            }
        }
        summary(&self.window)
    }
}

impl Runner for Plain {
    fn run(&mut self, batches: usize) -> anyhow::Result<Answer> {
        Ok((0..batches).map(|_| self.batch()).last().unwrap_or_default())
    }
}

fn text(block: &Bytes) -> &str {
    std::str::from_utf8(block).unwrap_or_default()
}

/// What each word comes to in the batch.
fn words(
    batch: &Text,
    value: impl Fn(&str) -> u64 + Sync,
    f: impl Fn(u64, u64) -> u64 + Sync,
) -> HashMap<&str, u64> {
    batch
        .par_iter()
        .fold(HashMap::new, |mut counts, block| {
            for line in text(block).lines() {
                for word in line.split(' ') {
                    add(&mut counts, word, value(line), &f);
                }
            }
            counts
        })
        .reduce(HashMap::new, |a, b| {
            let (mut large, small) = if a.len() < b.len() { (b, a) } else { (a, b) };
            for (word, n) in small {
                add(&mut large, word, n, &f);
            }
            large
        })
}

fn add<'a>(counts: &mut HashMap<&'a str, u64>, word: &'a str, n: u64, f: impl Fn(u64, u64) -> u64) {
    counts.entry(word).and_modify(|held| *held = f(*held, n)).or_insert(n);
}

fn owned(counts: &HashMap<&str, u64>) -> Kept {
    counts.iter().map(|(word, n)| ((*word).to_owned(), *n)).collect()
}

/// Without an inverse, the window is put together again.
fn longest(ring: &VecDeque<Kept>) -> HashMap<&str, u64> {
    let mut longest = HashMap::new();
    for (word, n) in ring.iter().flatten() {
        let held = longest.entry(word.as_str()).or_insert(*n);
        *held = u64::max(*held, *n);
    }
    longest
}

fn summary<K: AsRef<str>>(counts: &HashMap<K, u64>) -> Answer {
    let mut all: Vec<(u64, &str)> = counts.iter().map(|(word, n)| (*n, word.as_ref())).collect();
    if all.len() > 10 {
        all.select_nth_unstable_by(9, |a, b| b.cmp(a));
        all.truncate(10);
    }
    all.sort_by(|a, b| b.cmp(a));
    Answer {
        counts: vec![counts.len() as u64],
        top: all.into_iter().map(|(n, word)| (n, word.to_owned())).collect(),
    }
}

fn containing(batch: &Text) -> u64 {
    batch.par_iter().map(|block| text(block).lines().filter(|line| line.contains("abc")).count() as u64).sum()
}

fn join(left: &Records, right: &Records) -> u64 {
    let mut values: HashMap<u64, Vec<u64>> = HashMap::new();
    for (key, value) in right.iter() {
        values.entry(*key).or_default().push(*value);
    }
    let pairs = left.par_iter().filter_map(|(key, value)| Some((value, values.get(key)?)));
    pairs.flat_map_iter(|(a, values)| values.iter().map(move |b| (*a, *b))).count() as u64
}
