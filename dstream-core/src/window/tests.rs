//! Windows against their definition: all records in `(t - length, t]`, put together from nothing at every slide.

use std::{
    collections::BTreeMap,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::{
    Config, Rdd, Time,
    batch::{Batch, Missing, OpMeta, Step},
    checkpoint::{Changes, Stateful},
    ops::{CombineByKey, Grouped, Partials},
    record::Portable,
    table::Grouping,
};

static CONFIG: LazyLock<Config> = LazyLock::new(Config::new);

pub(crate) const OP: OpMeta =
    OpMeta { name: "the_operator", file: file!(), line: 1, column: 1, end_line: 10_000, end_column: 1 };

/// Batch `k`, counted from 1, of a stream with an interval of one second.
pub(crate) fn batch(k: usize) -> Batch<'static> {
    let zero = Time::from_millis(7_000);
    Batch::new(zero + seconds(k), zero, 0, &CONFIG, &crate::batch::NothingDone)
}

pub(crate) fn seconds(n: usize) -> Duration {
    Duration::from_secs(n as u64)
}

fn spec(length: usize, slide: usize) -> WindowSpec {
    WindowSpec { length: seconds(length), slide: seconds(slide) }
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
        operator.restored().unwrap();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The pairs of each batch, `None` for one that fails before it comes to the window.
type Stream = Vec<Option<Vec<(u8, String)>>>;

fn streams() -> impl Strategy<Value = Stream> {
    let pairs = proptest::collection::vec((0u8..6, "[a-c]"), 0..8);
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
fn partials<V: Portable>(
    batch: &Batch<'_>,
    pairs: &Option<Vec<(u8, V)>>,
    buckets: usize,
    f: impl Fn(V, V) -> V + Sync,
) -> Step<Partials<u8, V>> {
    let pairs = pairs.as_ref().ok_or_else(|| failure(batch))?;
    let tasks = batch.guard(&[OP], || {
        let tasks = pairs.chunks(pairs.len().div_ceil(2).max(1)).map(|task| {
            let mut sink = CombineByKey::new(batch.seed(), buckets);
            task.iter().for_each(|pair| sink.reduce(pair.clone(), &f));
            sink.done()
        });
        tasks.collect()
    });
    batch.partials(&OP, buckets, tasks, f)
}

/// Groups the pairs of a batch in two tasks.
fn groups<V: Portable>(
    batch: &Batch<'_>,
    pairs: &Option<Vec<(u8, V)>>,
    buckets: usize,
) -> Step<Grouped<u8, V>> {
    let pairs = pairs.as_ref().ok_or_else(|| failure(batch))?;
    let tasks = pairs.chunks(pairs.len().div_ceil(2).max(1)).map(|task| {
        let mut sink = Grouping::new(batch.seed(), buckets);
        task.iter().for_each(|pair| sink.push(pair.clone()));
        sink.done()
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

/// Steps an operator through a stream, starts it again from its checkpoint on the way, and compares every batch.
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

proptest! {
    #[test]
    fn keyed_windows_are_their_definition(
        stream in streams(),
        (length, slide) in (1usize..30, 1usize..7),
        buckets in 1usize..4,
        restart in restarts(),
    ) {
        check(
            stream.len(), length, restart,
            || ReduceByKeyAndWindow::new(spec(length, slide), buckets),
            |window, b, k| {
                window.step(b, &OP, partials(b, &stream[k - 1], buckets, concat), concat, |_, _| true)
            },
            |k| naive(&stream, k, (length, slide), concat),
        );
        check(
            stream.len(), length, restart,
            || InverseByKeyAndWindow::new(spec(length, slide), buckets),
            |window, b, k| {
                window.step(b, &OP, partials(b, &stream[k - 1], buckets, concat), concat, strip, |_, _| true)
            },
            |k| naive(&stream, k, (length, slide), concat),
        );
        let single: Vec<Option<Vec<_>>> = stream.iter().map(|pairs| {
            pairs.as_ref().map(|pairs| pairs.iter().map(|(key, v)| (*key, vec![v.clone()])).collect())
        }).collect();
        check(
            stream.len(), length, restart,
            || GroupByKeyAndWindow::new(spec(length, slide), buckets),
            |window, b, k| window.step(b, &OP, groups(b, &stream[k - 1], buckets)),
            |k| naive(&single, k, (length, slide), |group, more| [group, more].concat()),
        );
    }

    #[test]
    fn numbers_have_the_same_windows_with_an_inverse_and_without(
        stream in proptest::collection::vec(proptest::collection::vec((0u8..4, -2i64..3), 0..6).prop_map(Some), 1..24),
        (length, slide) in (1usize..30, 1usize..7),
        restart in restarts(),
    ) {
        // Sums are 0 now and then: a key must stay as long as it has a record.
        let filter = |_: &u8, sum: &i64| *sum != 1;
        let shown = |k| naive(&stream, k, (length, slide), |a, b| a + b).map(|pairs| {
            pairs.map(|pairs| pairs.into_iter().filter(|(key, sum)| filter(key, sum)).collect())
        });
        let sums = |b: &Batch<'_>, k: usize| partials(b, &stream[k - 1], 2, |a, b| a + b);
        check(
            stream.len(), length, restart,
            || InverseByKeyAndWindow::new(spec(length, slide), 2),
            |window, b, k| window.step(b, &OP, sums(b, k), |a, b| a + b, |a, b| a - b, filter),
            shown,
        );
        check(
            stream.len(), length, restart,
            || ReduceByKeyAndWindow::new(spec(length, slide), 2),
            |window, b, k| window.step(b, &OP, sums(b, k), |a, b| a + b, filter),
            shown,
        );
        check(
            stream.len(), length, restart,
            || ReduceByKeyAndWindow::new(spec(length, slide), 2),
            |window, b, k| {
                window.step(b, &OP, partials(b, &stream[k - 1], 2, i64::max), i64::max, |_, _| true)
            },
            |k| naive(&stream, k, (length, slide), i64::max),
        );
    }

    #[test]
    fn windows_without_keys_are_their_definition(
        stream in proptest::collection::vec(proptest::option::weighted(0.9, proptest::collection::vec("[a-c]", 0..4)), 1..24),
        (length, slide) in (1usize..30, 1usize..7),
        restart in restarts(),
    ) {
        let window = |k| naive_window(&stream, k, length, slide);
        let input = |b: &Batch<'_>, k: usize| match &stream[k - 1] {
            Some(records) => Ok(Rdd::from_partitions(records.chunks(2).map(<[String]>::to_vec))),
            None => Err(failure(b)),
        };
        let reduced = |b: &Batch<'_>, k: usize| {
            Ok(Rdd::from_partitions([input(b, k)?.collect().into_iter().reduce(concat).into_iter().collect()]))
        };
        let joined = |k| window(k).map(|w| w.map(|w| w.into_iter().flatten().reduce(concat).into_iter().collect()));
        check(
            stream.len(), length, restart,
            || WindowOf::new(spec(length, slide)),
            |window, b, k| {
                // The order counts: compared as one record.
                let rdd = window.step(b, &OP, input(b, k))?;
                Ok(Rdd::from_partitions([vec![rdd.collect()]]))
            },
            |k| window(k).map(|w| w.map(|w| vec![w.concat()])),
        );
        check(
            stream.len(), length, restart,
            || CountByWindow::new(spec(length, slide)),
            |window, b, k| {
                let counts = input(b, k).map(|rdd| Rdd::from_partitions([vec![rdd.count()]]));
                window.step(b, &OP, counts)
            },
            |k| window(k).map(|w| w.map(|w| vec![w.concat().len() as u64])),
        );
        check(
            stream.len(), length, restart,
            || ReduceByWindow::new(spec(length, slide)),
            |window, b, k| window.step(b, &OP, reduced(b, k), concat),
            joined,
        );
        check(
            stream.len(), length, restart,
            || InverseByWindow::new(spec(length, slide)),
            |window, b, k| window.step(b, &OP, reduced(b, k), concat, strip),
            joined,
        );
    }

    /// A function that panics fails windows that hold what it panics at, and leaves no trace in others.
    #[test]
    fn panics_pass(stream in streams(), (length, slide) in (1usize..12, 1usize..5), at in "[ab][ab]?") {
        let f = |a: String, b: String| {
            assert!(!(a.contains(&at) || b.contains(&at)), "no {at}, please");
            a + &b
        };
        let inverse = |a: String, b: String| {
            assert!(!b.contains(&at), "no {at} back, please");
            strip(a, b)
        };
        let mut plain = ReduceByKeyAndWindow::new(spec(length, slide), 2);
        let mut inverted = InverseByKeyAndWindow::new(spec(length, slide), 2);
        // Which batches have something to panic at, or fail anyway.
        let bad = |k: usize| stream[k - 1].as_ref().is_none_or(|pairs| pairs.iter().any(|(_, v)| at.contains(v.as_str())));
        for k in 1..=stream.len() {
            let b = batch(k);
            let found = outcome(plain.step(&b, &OP, partials(&b, &stream[k - 1], 2, f), f, |_, _| true));
            let others = outcome(inverted.step(&b, &OP, partials(&b, &stream[k - 1], 2, f), f, inverse, |_, _| true));
            let expected = naive(&stream, k, (length, slide), concat);
            let may_fail = (k.saturating_sub(length) + 1..=k).any(bad);
            prop_assert!(found == expected || may_fail && found.is_err(), "{k}: {found:?} {expected:?}");
            // What left just now may still fail the inverse, once.
            let may_fail = (k.saturating_sub(length + slide) + 1..=k).any(bad);
            prop_assert!(others == expected || may_fail && others.is_err(), "{k}: {others:?} {expected:?}");
        }
    }
}

#[test]
fn a_slide_larger_than_the_window_has_right_totals() {
    // One record a batch with its number: the last two of every three.
    let mut window = InverseByWindow::new(spec(2, 3));
    let found: Vec<_> = (1..=9usize)
        .filter_map(|k| {
            let rdd = Ok(Rdd::from_partitions([vec![k]]));
            outcome(window.step(&batch(k), &OP, rdd, |a, b| a + b, |a, b| a - b)).unwrap()
        })
        .collect();
    assert_eq!(found, [vec![5], vec![11], vec![17]]);
}

#[test]
fn counts_are_zero_before_and_after_the_data() {
    let mut window = CountByWindow::new(spec(2, 1));
    let counts = [0, 0, 3, 1, 0, 0].into_iter().zip(1..);
    let found: Vec<_> = counts
        .map(|(n, k)| {
            outcome(window.step(&batch(k), &OP, Ok(Rdd::from_partitions([vec![n]])))).unwrap().unwrap()[0]
        })
        .collect();
    assert_eq!(found, [0, 0, 3, 4, 1, 0]);
}

#[test]
fn a_window_over_a_window_is_due_when_both_are() {
    let mut inner = WindowOf::new(spec(2, 2));
    let mut outer = WindowOf::new(spec(4, 4));
    let found: Vec<_> = (1..=8)
        .map(|k| {
            let b = batch(k);
            let pairs = inner.step(&b, &OP, Ok(Rdd::from_partitions([vec![k]])));
            outcome(outer.step(&b, &OP, pairs)).unwrap()
        })
        .collect();
    let due: Vec<_> = found.into_iter().flatten().collect();
    assert_eq!(due, [vec![1, 2, 3, 4], vec![5, 6, 7, 8]]);
}

#[test]
fn windows_share_partitions_and_partials() {
    let mut window = WindowOf::new(spec(3, 1));
    let rdd = Rdd::from_partitions([vec![String::from("a")], vec![]]);
    let at = rdd.first().map(std::ptr::from_ref);
    assert!(window.step(&batch(1), &OP, Ok(rdd)).is_ok_and(|rdd| rdd.first().map(std::ptr::from_ref) == at));

    let b = batch(1);
    let shared = partials(&b, &Some(vec![(1, 5), (2, 7), (1, 1)]), 2, i32::max);
    let mut short = ReduceByKeyAndWindow::new(spec(1, 1), 2);
    let mut long = ReduceByKeyAndWindow::new(spec(9, 1), 2);
    for window in [&mut short, &mut long] {
        let found = outcome(window.step(&b, &OP, shared.clone(), i32::max, |_, _| true));
        assert_eq!(found, Ok(Some(vec![(1, 5), (2, 7)])));
    }
}

/// What a slide costs: what enters and what leaves, whatever the length is.
#[test]
fn a_slide_costs_what_enters_and_leaves() {
    for length in [10, 100, 1_000] {
        let calls = AtomicUsize::new(0);
        let f = |a: u64, b: u64| {
            calls.fetch_add(1, Ordering::Relaxed);
            a.max(b)
        };
        let mut window = ReduceByKeyAndWindow::new(spec(length, 1), 1);
        let batches = 3 * length + 7;
        for k in 1..=batches {
            let b = batch(k);
            let pairs = Some((0..3u8).map(|key| (key, (k as u64 * 37) % 101)).collect());
            assert!(window.step(&b, &OP, partials(&b, &pairs, 1, f), f, |_, _| true).is_ok());
        }
        // For each key and batch: in at the end, at a turn, and to answer.
        assert!(calls.into_inner() <= 3 * 3 * batches);
    }
}

#[test]
fn keys_leave_the_tables() {
    let mut window = InverseByKeyAndWindow::new(spec(2, 1), 1);
    let mut most = 0;
    for k in 1..=200usize {
        let b = batch(k);
        let mut sink = CombineByKey::new(b.seed(), 1);
        // Always other keys, whose value is nothing.
        (0..100u64).for_each(|n| sink.reduce((k as u64 * 100 + n, 0i64), |a, b| a + b));
        let input = b.partials(&OP, 1, Ok(vec![sink.done()]), |a, b| a + b);
        let rdd = window.step(&b, &OP, input, |a, b| a + b, |a, b| a - b, |_, _| true);
        assert_eq!(rdd.map(|rdd| rdd.count()).ok(), Some(100 * k.min(2) as u64));
        most = most.max(window.room());
    }
    assert!(most <= 1_000, "{most}");
}

/// When most keys have left, the rest are given new places, and everything that knows the old ones follows.
#[test]
fn a_table_that_shrinks_loses_nothing() {
    let mut window = InverseByKeyAndWindow::new(spec(3, 1), 1);
    let mut stream = Vec::new();
    for k in 1..=14usize {
        let b = batch(k);
        // Many keys, most of which leave; the others come in every batch, and stand behind the many.
        let many = if k % 5 == 1 { 3_000u32 } else { 0 };
        let pairs: Vec<(u32, String)> =
            (0..many).chain(5_000..5_040).map(|key| (key, format!("{k}-{key} "))).collect();
        let mut sink = CombineByKey::new(b.seed(), 1);
        pairs.iter().for_each(|pair| sink.reduce(pair.clone(), concat));
        stream.push(Some(pairs));
        let input = b.partials(&OP, 1, Ok(vec![sink.done()]), concat);
        let found = outcome(window.step(&b, &OP, input, concat, strip, |_, _| true));
        assert!(found == naive(&stream, k, (3, 1), concat), "batch {k}");
    }
    assert!(window.room() < 1_000, "{}", window.room());
}
