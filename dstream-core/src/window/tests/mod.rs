//! Windows against their definition: all records in `(t - length, t]`, put together from nothing at every
//! slide.

mod costs;
mod definition;
mod panics;
mod sharing;

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    Config, Key, Rdd, Time,
    batch::{Batch, Missing, Step},
    checkpoint::{Changes, Stateful},
    exchange::Part,
    plan::OpMeta,
    record::Portable,
    table::{CombineByKey, GroupSink, Grouped, Partials},
};

static CONFIG: LazyLock<Config> = LazyLock::new(Config::new);

pub(crate) const OP: OpMeta =
    OpMeta { name: "the_operator", file: file!(), line: 1, column: 1, end_line: 10_000, end_column: 1 };

/// Batch `k`, counted from 1, of a stream with an interval of one second.
pub(crate) fn batch(k: usize) -> Batch<'static> {
    let zero = Time::from_millis(7_000);
    Batch::new(zero + seconds(k), zero, 0, &CONFIG, &crate::batch::NoProgress)
}

pub(crate) fn seconds(n: usize) -> Duration {
    Duration::from_secs(n as u64)
}

fn spec(length: usize, slide: usize) -> WindowSpec {
    WindowSpec { length: seconds(length), slide: seconds(slide), part: Part::ALL }
}

/// A checkpoint, as the operators see it.
#[derive(Default)]
pub(crate) struct Store(BTreeMap<Vec<u8>, Vec<u8>>);

impl Store {
    /// Takes what changed, and says how many entries that was.
    pub(crate) fn take(&mut self, operator: &mut impl Stateful) -> usize {
        let mut changes = Changes::new();
        operator.changes(&mut changes);
        if changes.is_cleared() {
            self.0.clear();
        }
        for (key, value) in changes.iter() {
            match value {
                Some(value) => drop(self.0.insert(key.to_vec(), value.to_vec())),
                None => drop(self.0.remove(key)),
            }
        }
        changes.iter().count()
    }

    pub(crate) fn give(&self, operator: &mut impl Stateful) {
        self.0.iter().for_each(|(key, value)| operator.restore(key, value).unwrap());
        operator.finish_restore().unwrap();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The pairs of each batch, `None` for one that fails before it comes to the window.
type Stream = Vec<Option<Vec<(String, String)>>>;

/// Keys of all lengths, of which long ones have only their hash in common with a table.
const KEYS: [&str; 6] = [
    "",
    "a",
    "fifteen letters",
    "sixteen letters.",
    "a key that no text of 24 bytes holds",
    "another one, as long as that",
];

fn streams() -> impl Strategy<Value = Stream> {
    let key = proptest::sample::select(&KEYS[..]).prop_map(str::to_owned);
    let pairs = proptest::collection::vec((key, "[a-c]"), 0..8);
    proptest::collection::vec(prop_oneof![9 => pairs.prop_map(Some), 1 => Just(None)], 1..24)
}

fn concat(a: String, b: String) -> String {
    a + &b
}

/// The inverse of `concat`: what leaves is what came first.
fn strip(sum: String, left: String) -> String {
    sum.strip_prefix(&left).expect("what leaves is the oldest").to_owned()
}

fn failure(batch: &Batch<'_>) -> Missing {
    batch.failed(&OP, format!("batch {}", batch.time().as_millis()))
}

/// Combines the pairs of a batch in two tasks.
fn partials<K: Key<Owned = K> + Portable, V: Portable>(
    batch: &Batch<'_>,
    pairs: &Option<Vec<(K, V)>>,
    buckets: usize,
    f: impl Fn(V, V) -> V + Sync,
) -> Step<Partials<K, V>> {
    let pairs = pairs.as_ref().ok_or_else(|| failure(batch))?;
    let tasks = batch.guard(&[OP], || {
        let tasks = pairs.chunks(pairs.len().div_ceil(2).max(1)).map(|task| {
            let mut sink = CombineByKey::new(batch.seed(), buckets);
            task.iter().for_each(|pair| sink.reduce(pair.clone(), &f));
            sink.finish()
        });
        tasks.collect()
    });
    batch.partials(&OP, buckets, tasks, f)
}

/// Groups the pairs of a batch in two tasks.
fn groups<K: Key<Owned = K> + Portable, V: Portable>(
    batch: &Batch<'_>,
    pairs: &Option<Vec<(K, V)>>,
    buckets: usize,
) -> Step<Grouped<K, V>> {
    let pairs = pairs.as_ref().ok_or_else(|| failure(batch))?;
    let tasks = pairs.chunks(pairs.len().div_ceil(2).max(1)).map(|task| {
        let mut sink = GroupSink::new(batch.seed(), buckets);
        task.iter().for_each(|pair| sink.push(pair.clone()));
        sink.finish()
    });
    batch.groups(&OP, buckets, Ok(tasks.collect()))
}

/// What a step should yield: `Ok(None)` if it isn't due, `Err` if it fails.
type Outcome<T> = Result<Option<T>, String>;

fn outcome<T: Clone + Ord>(step: Step<Rdd<T>>) -> Outcome<Vec<T>> {
    match step {
        Ok(rdd) => {
            let mut records = rdd.collect();
            records.sort();
            Ok(Some(records))
        }
        Err(Missing::NotDue) => Ok(None),
        Err(Missing::Failed(failure)) => Err(failure.message),
    }
}

/// The batches in the window at batch `k`, if it is due and none of them failed.
fn naive_window<T: Clone>(
    stream: &[Option<Vec<T>>],
    k: usize,
    length: usize,
    slide: usize,
) -> Outcome<Vec<Vec<T>>> {
    if !k.is_multiple_of(slide) {
        return Ok(None);
    }
    let from = k.saturating_sub(length);
    let batches = stream[from..k].iter().zip(from + 1..);
    let batches =
        batches.map(|(pairs, at)| pairs.clone().ok_or(format!("batch {}", batch(at).time().as_millis())));
    batches.collect::<Result<_, _>>().map(Some)
}

fn naive<K: Ord + Clone, V: Clone>(
    stream: &[Option<Vec<(K, V)>>],
    k: usize,
    (length, slide): (usize, usize),
    f: impl Fn(V, V) -> V,
) -> Outcome<Vec<(K, V)>> {
    let Some(window) = naive_window(stream, k, length, slide)? else { return Ok(None) };
    let mut sums: BTreeMap<K, V> = BTreeMap::new();
    for (key, value) in window.into_iter().flatten() {
        let sum = match sums.remove(&key) {
            Some(sum) => f(sum, value),
            None => value,
        };
        sums.insert(key, sum);
    }
    Ok(Some(sums.into_iter().collect()))
}

/// When the checkpoint is asked for the first time, and when the program is started again.
#[derive(Debug, Clone, Copy)]
struct Restart {
    logged_from: usize,
    at: usize,
}

fn restarts() -> impl Strategy<Value = Restart> {
    (1usize..10, 1usize..24).prop_map(|(logged_from, at)| Restart { logged_from, at })
}

/// Steps an operator through a stream, starts it again from its checkpoint on the way, and compares every
/// batch.
fn check<O: Stateful, T: Ord + Clone + std::fmt::Debug>(
    batches: usize,
    length: usize,
    restart: Restart,
    new: impl Fn() -> O,
    step: impl Fn(&mut O, &Batch<'_>, usize) -> Step<Rdd<T>>,
    expected: impl Fn(usize) -> Outcome<Vec<T>>,
) {
    let (mut operator, mut store, mut restarted, mut logged) = (new(), Store::default(), false, 0);
    for k in 1..=batches {
        let found = outcome(step(&mut operator, &batch(k), k));
        match (&found, expected(k)) {
            // After a restart only the time of a failed batch is known.
            (Err(found), Err(_)) if restarted => assert!(found.contains("batch"), "{found}"),
            (found, expected) => assert_eq!(found, &expected, "batch {k}"),
        }
        if k >= restart.logged_from || k == restart.at {
            let written = store.take(&mut operator);
            // If it was asked after the last batch, too: this one came and one left, no more.
            assert!(logged != k - 1 || logged == 0 || written <= 2, "{written} entries");
            logged = k;
            assert!(store.len() <= length);
        }
        if k == restart.at {
            operator = new();
            store.give(&mut operator);
            restarted = true;
        }
    }
}
