//! timely dataflow: two workers, a batch a timestamp. Blocks stay on their worker, which combines their words
//! in a map before they are exchanged by hash; a word is owned when the map does not have it yet.

use std::{
    cell::RefCell,
    collections::VecDeque,
    hash::BuildHasher,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::{Context as _, anyhow};
use dstream::Bytes;
use foldhash::fast::FixedState;
use hashbrown::{DefaultHashBuilder, HashMap};
use timely::{
    Config,
    communication::WorkerGuards,
    dataflow::{
        InputHandle, ProbeHandle,
        channels::pact::{Exchange, Pipeline},
        operators::{Capability, Operator, Probe},
    },
    worker::Worker,
};

use super::keep::{Counts, Keep};
use crate::{
    data::{Data, Records, Text},
    workload::{Answer, Runner, Workload},
};

/// The commands to the workers and their results. The workers end when there are no more commands.
pub(crate) struct Timely {
    commands: Vec<mpsc::Sender<usize>>,
    results: mpsc::Receiver<Part>,
    _workers: WorkerGuards<()>,
}

/// What a worker has of a batch.
#[derive(Clone, Debug, Default)]
struct Part {
    answers: Vec<Answer>,
    /// For W2 and W7.
    lines: Option<u64>,
}

type Shared = Rc<RefCell<Part>>;

impl Timely {
    pub(crate) fn new(workload: Workload, data: &Data) -> anyhow::Result<Timely> {
        let workers = thread::available_parallelism().map_or(1, |n| n.get());
        let (commands, receivers): (Vec<_>, Vec<_>) =
            (0..workers).map(|_| mpsc::channel()).map(|(send, receive)| (send, Some(receive))).unzip();
        let receivers = Mutex::new(receivers);
        let (send, results) = mpsc::channel();
        let send = Mutex::new(send);
        let texts: Arc<[Text]> = workload.texts(data).into();
        let pairs = (workload == Workload::W5).then(|| data.pairs());
        let length = workload.window(data);
        let guards = timely::execute(Config::process(workers), move |worker| {
            let commands = receivers.lock().unwrap_or_else(PoisonError::into_inner)[worker.index()].take();
            let (Some(commands), results) =
                (commands, send.lock().unwrap_or_else(PoisonError::into_inner).clone())
            else {
                return;
            };
            let part = Shared::default();
            let mut step: Box<dyn FnMut(&mut Worker)> = match &pairs {
                Some(pairs) => joined(worker, pairs.clone(), &part),
                None => counted(worker, workload, texts.clone(), Keep::new(length), &part),
            };
            while let Ok(batches) = commands.recv() {
                for _ in 0..batches {
                    step(worker);
                }
                if results.send(part.take()).is_err() {
                    return;
                }
            }
        });
        Ok(Timely { commands, results, _workers: guards.map_err(|error| anyhow!(error))? })
    }
}

impl Runner for Timely {
    fn run(&mut self, batches: usize) -> anyhow::Result<Answer> {
        self.commands.iter().try_for_each(|worker| worker.send(batches)).context("a worker is gone")?;
        let (mut answers, mut lines) = (Vec::new(), None);
        for _ in &self.commands {
            let part = self.results.recv().context("a worker is gone")?;
            lines = part.lines.map(|n| n + lines.unwrap_or(0)).or(lines);
            answers.push(part.answers);
        }
        Ok(Answer::of_parts(Answer::merged(answers), lines))
    }
}

/// W1 to W4, W6 and W7.
fn counted(
    worker: &mut Worker,
    workload: Workload,
    texts: Arc<[Text]>,
    mut keep: Keep,
    part: &Shared,
) -> Box<dyn FnMut(&mut Worker)> {
    let mut input = InputHandle::new();
    let probe = ProbeHandle::new();
    let (index, peers) = (worker.index(), worker.peers());
    let (lines, done) = (part.clone(), part.clone());
    worker.dataflow::<u64, _, _>(|scope| {
        let hasher = FixedState::default();
        input
            .to_stream(scope)
            .unary_frontier(Pipeline, "Combine", move |_, _| {
                let mut batch: Option<Capability<u64>> = None;
                let mut counts = Counts::new();
                move |(input, frontier), output| {
                    input.for_each_stamp(|cap, blocks| {
                        batch = batch.take().or_else(|| cap.retain_least(output.output_index()));
                        for block in blocks.flat_map(|blocks: &mut Vec<Bytes>| blocks.drain(..)) {
                            local(workload, &block, &mut counts, &mut lines.borrow_mut().lines);
                        }
                    });
                    if let Some(cap) = batch.take_if(|cap| !frontier.less_equal(cap.time())) {
                        // The map keeps its room for the next batch.
                        output.session(&cap).give_iterator(counts.drain());
                    }
                }
            })
            .container::<Vec<(String, u64)>>()
            .unary_frontier(
                Exchange::new(move |(word, _): &(String, u64)| hasher.hash_one(word)),
                "Reduce",
                move |_, _| {
                    let mut batch: Option<Capability<u64>> = None;
                    let mut counts = Counts::new();
                    move |(input, frontier), output| {
                        input.for_each_stamp(|cap, data| {
                            batch = batch.take().or_else(|| cap.retain_least(output.output_index()));
                            for (word, n) in data.flat_map(|data| data.drain(..)) {
                                merge(workload, counts.entry(word), n);
                            }
                        });
                        if let Some(cap) = batch.take_if(|cap| !frontier.less_equal(cap.time())) {
                            done.borrow_mut().answers = keep.batch(workload, &counts);
                            counts.clear();
                            output.session(&cap).give(());
                        }
                    }
                },
            )
            .container::<Vec<()>>()
            .probe_with(&probe);
    });
    let mut batches: VecDeque<usize> = (0..texts.len()).collect();
    let part = part.clone();
    Box::new(move |worker| {
        part.take();
        batches.rotate_left(1);
        let batch = &texts[batches[texts.len() - 1]];
        for block in batch.iter().skip(index).step_by(peers) {
            input.send(block.clone());
            // So that no worker has all its blocks in memory before it begins.
            worker.step();
        }
        input.advance_to(input.time() + 1);
        worker.step_or_park_while(None, || probe.less_than(input.time()));
    })
}

/// The work on a block where it lies.
fn local(workload: Workload, block: &Bytes, counts: &mut Counts, lines: &mut Option<u64>) {
    let text = std::str::from_utf8(block).unwrap_or_default();
    if matches!(workload, Workload::W2 | Workload::W7) {
        *lines.get_or_insert(0) += text.lines().filter(|line| line.contains("abc")).count() as u64;
    }
    for line in text.lines() {
        let n = match workload {
            Workload::W2 => return,
            Workload::W4Max => line.len() as u64,
            _ => 1,
        };
        for word in line.split(' ') {
            // By far most words are there already.
            match counts.get_mut(word) {
                Some(held) => fold(workload, held, n),
                None => {
                    counts.insert(word.to_owned(), n);
                }
            }
        }
    }
}

fn merge(workload: Workload, entry: hashbrown::hash_map::Entry<'_, String, u64, DefaultHashBuilder>, n: u64) {
    entry.and_modify(|held| fold(workload, held, n)).or_insert(n);
}

fn fold(workload: Workload, held: &mut u64, n: u64) {
    match workload {
        Workload::W4Max => *held = u64::max(*held, n),
        _ => *held += n,
    }
}

/// W5: as the hash join of timely's examples, but for the maps, which end with the batch.
fn joined(worker: &mut Worker, sides: [Records; 2], part: &Shared) -> Box<dyn FnMut(&mut Worker)> {
    let mut inputs = [InputHandle::new(), InputHandle::new()];
    let probe = ProbeHandle::new();
    let (index, peers) = (worker.index(), worker.peers());
    let done = part.clone();
    worker.dataflow::<u64, _, _>(|scope| {
        let by_key = || Exchange::new(|(key, _): &(u64, u64)| key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
        let [left, right] = inputs.each_mut().map(|input| input.to_stream(scope));
        left.binary_frontier(right, by_key(), by_key(), "HashJoin", move |_, _| {
            let (mut lefts, mut rights): (HashMap<u64, Vec<u64>>, HashMap<u64, Vec<u64>>) =
                Default::default();
            let mut batch: Option<Capability<u64>> = None;
            let mut pairs = 0;
            move |(left, frontier), (right, other), output| {
                left.for_each_stamp(|cap, data| {
                    batch = batch.take().or_else(|| cap.retain_least(output.output_index()));
                    for (key, value) in data.flat_map(|data: &mut Vec<(u64, u64)>| data.drain(..)) {
                        let met = rights.get(&key).map_or(&[][..], Vec::as_slice);
                        met.iter().for_each(|other| pairs += std::hint::black_box((1, value, *other)).0);
                        lefts.entry(key).or_default().push(value);
                    }
                });
                right.for_each_stamp(|cap, data| {
                    batch = batch.take().or_else(|| cap.retain_least(output.output_index()));
                    for (key, value) in data.flat_map(|data: &mut Vec<(u64, u64)>| data.drain(..)) {
                        let met = lefts.get(&key).map_or(&[][..], Vec::as_slice);
                        met.iter().for_each(|other| pairs += std::hint::black_box((1, *other, value)).0);
                        rights.entry(key).or_default().push(value);
                    }
                });
                let over = |cap: &mut Capability<u64>| {
                    !frontier.less_equal(cap.time()) && !other.less_equal(cap.time())
                };
                if let Some(cap) = batch.take_if(over) {
                    lefts.clear();
                    rights.clear();
                    done.borrow_mut().answers = vec![Answer::count(std::mem::take(&mut pairs))];
                    output.session(&cap).give(());
                }
            }
        })
        .container::<Vec<()>>()
        .probe_with(&probe);
    });
    let part = part.clone();
    Box::new(move |worker| {
        part.take();
        for (input, side) in inputs.iter_mut().zip(&sides) {
            let each = side.len().div_ceil(peers);
            for chunk in side.chunks(each).skip(index).take(1).flat_map(|mine| mine.chunks(1 << 14)) {
                chunk.iter().for_each(|record| input.send(*record));
                worker.step();
            }
            input.advance_to(input.time() + 1);
        }
        worker.step_or_park_while(None, || probe.less_than(inputs[0].time()));
    })
}
