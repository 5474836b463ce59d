//! By hand, the way a good engineer writes it in an afternoon: `split(' ')`, `hashbrown`, `rayon`, borrowed
//! words within a batch.

use dstream::Bytes;
use hashbrown::HashMap;
use rayon::prelude::*;

use super::keep::{Counts, Keep};
use crate::{
    data::{Data, Records, Text},
    workload::{Answer, Runner, Workload},
};

/// The batches, and what is kept from one to the next.
#[derive(Debug)]
pub(crate) struct Plain {
    workload: Workload,
    batches: Vec<Text>,
    next: usize,
    pairs: Option<[Records; 2]>,
    keep: Keep,
}

impl Plain {
    pub(crate) fn new(workload: Workload, data: &Data) -> Plain {
        Plain {
            workload,
            batches: workload.texts(data),
            next: 0,
            pairs: (workload == Workload::W5).then(|| data.pairs()),
            keep: Keep::new(workload.window(data)),
        }
    }

    fn batch(&mut self) -> Answer {
        if let Some([left, right]) = &self.pairs {
            return Answer::count(join(left, right));
        }
        let batch = &self.batches[self.next];
        self.next = (self.next + 1) % self.batches.len();
        let counts = match self.workload {
            Workload::W2 => return Answer::count(containing(batch)),
            Workload::W4Max => words(batch, |line| line.len() as u64, u64::max),
            _ => words(batch, |_| 1, |a, b| a + b),
        };
        let answers = self.keep.batch(self.workload, &counts);
        Answer::of_parts(answers, (self.workload == Workload::W7).then(|| containing(batch)))
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
) -> Counts<&str> {
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

fn add<'a>(counts: &mut Counts<&'a str>, word: &'a str, n: u64, f: impl Fn(u64, u64) -> u64) {
    counts.entry(word).and_modify(|held| *held = f(*held, n)).or_insert(n);
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
