//! renoir: a batch is a job of its own, since renoir has no batches; so it keeps nothing from one to the
//! next, and takes no part in W3, W4 and W7. Blocks are folded into a map where they are read, as in renoir's
//! own `wordcount_opt`.

use std::{collections::HashMap, thread};

use anyhow::{Context as _, anyhow};
use dstream::Bytes;
use foldhash::fast::FixedState;
use renoir::{RuntimeConfig, Stream, StreamContext, operator::Operator};

use super::keep::summary;
use crate::{
    data::{Data, Records, Text},
    workload::{Answer, Runner, Workload},
};

#[derive(Debug)]
pub(crate) struct Renoir {
    workload: Workload,
    batches: Vec<Text>,
    next: usize,
    pairs: Option<[Records; 2]>,
}

impl Renoir {
    /// None if the workload keeps something.
    pub(crate) fn new(workload: Workload, data: &Data) -> Option<Renoir> {
        use Workload::*;
        matches!(workload, W1Zipf | W1Uniform | W2 | W5 | W6).then(|| Renoir {
            workload,
            batches: workload.texts(data),
            next: 0,
            pairs: (workload == W5).then(|| data.pairs()),
        })
    }

    fn batch(&mut self) -> anyhow::Result<Answer> {
        let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let env = StreamContext::new(RuntimeConfig::local(threads).map_err(|error| anyhow!("{error}"))?);
        if let Some([left, right]) = &self.pairs {
            return join(env, left, right);
        }
        let batch = self.batches[self.next].clone();
        self.next = (self.next + 1) % self.batches.len();
        match self.workload {
            Workload::W2 => containing(env, batch),
            _ => count(env, batch),
        }
    }
}

impl Runner for Renoir {
    fn run(&mut self, batches: usize) -> anyhow::Result<Answer> {
        let mut last = Answer::default();
        for _ in 0..batches {
            last = self.batch()?;
        }
        Ok(last)
    }
}

/// The blocks, shared out over the replicas.
fn blocks(env: &StreamContext, batch: Text) -> Stream<impl Operator<Out = Bytes> + use<>> {
    env.stream_par_iter(move |index: u64, peers: u64| {
        batch.into_iter().skip(index as usize).step_by(peers as usize)
    })
}

fn text(block: &Bytes) -> &str {
    std::str::from_utf8(block).unwrap_or_default()
}

type Counts = HashMap<String, u64, FixedState>;

fn count(env: StreamContext, batch: Text) -> anyhow::Result<Answer> {
    let counts = blocks(&env, batch).fold_assoc(
        Counts::default(),
        |counts, block| {
            for word in text(&block).lines().flat_map(|line| line.split(' ')) {
                match counts.get_mut(word) {
                    Some(n) => *n += 1,
                    None => {
                        counts.insert(word.to_owned(), 1);
                    }
                }
            }
        },
        |counts, mut more| {
            if counts.len() < more.len() {
                std::mem::swap(counts, &mut more);
            }
            for (word, n) in more {
                *counts.entry(word).or_default() += n;
            }
        },
    );
    let counts = counts.collect_vec();
    env.execute_blocking();
    let counts = counts.get().context("renoir has no result")?;
    Ok(summary(counts.iter().flatten()))
}

fn containing(env: StreamContext, batch: Text) -> anyhow::Result<Answer> {
    let lines = blocks(&env, batch).fold_assoc(
        0,
        |lines, block| *lines += text(&block).lines().filter(|line| line.contains("abc")).count() as u64,
        |lines, more| *lines += more,
    );
    one(env, lines)
}

fn join(env: StreamContext, left: &Records, right: &Records) -> anyhow::Result<Answer> {
    let side = |records: &Records| {
        let records = records.clone();
        env.stream_par_iter(move |index: u64, peers: u64| {
            let (index, peers) = (index as usize, peers as usize);
            let each = records.len().div_ceil(peers);
            (index * each..records.len().min((index + 1) * each)).map(move |at| records[at])
        })
    };
    let pairs = side(left).join(side(right), |(key, _)| *key, |(key, _)| *key).drop_key();
    let pairs = pairs.fold_assoc(0, |n, pair| *n += std::hint::black_box((1, pair)).0, |n, more| *n += more);
    one(env, pairs)
}

fn one(env: StreamContext, number: Stream<impl Operator<Out = u64> + 'static>) -> anyhow::Result<Answer> {
    let number = number.collect_vec();
    env.execute_blocking();
    Ok(Answer::count(number.get().context("renoir has no result")?.into_iter().sum()))
}
