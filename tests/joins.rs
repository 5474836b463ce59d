//! Joins against nested loops, whoever reads them, and what they clone.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use dstream::{prelude::*, testing::ManualClock};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

type Pairs = Vec<(u16, u32)>;
type Match = (u16, (Option<u32>, Option<u32>));

/// Every way to match the two sides, as nested loops: in the order of the left side, then what the right side
/// has alone.
fn matches(left: &Pairs, right: &Pairs) -> Vec<Match> {
    let mut out = Vec::new();
    for (k, v) in left {
        let before = out.len();
        out.extend(right.iter().filter(|(q, _)| q == k).map(|(_, w)| (*k, (Some(*v), Some(*w)))));
        if out.len() == before {
            out.push((*k, (Some(*v), None)));
        }
    }
    let alone = right.iter().filter(|(q, _)| !left.iter().any(|(k, _)| k == q));
    out.extend(alone.map(|(q, w)| (*q, (None, Some(*w)))));
    out
}

fn inner(all: &[Match]) -> Vec<(u16, (u32, u32))> {
    all.iter().filter_map(|(k, (v, w))| Some((*k, ((*v)?, (*w)?)))).collect()
}

fn lefts(all: &[Match]) -> Vec<(u16, (u32, Option<u32>))> {
    all.iter().filter_map(|(k, (v, w))| Some((*k, ((*v)?, *w)))).collect()
}

fn rights(all: &[Match]) -> Vec<(u16, (Option<u32>, u32))> {
    all.iter().filter_map(|(k, (v, w))| Some((*k, (*v, (*w)?)))).collect()
}

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

/// A few records of a few keys, none at all, or so many that a bucket is shared out, half of them of one key.
fn side() -> impl Strategy<Value = Pairs> {
    let few = || prop::collection::vec((0u16..12, any::<u32>()), 0..60);
    let many = (2_500u32..6_000, 0u16..12).prop_map(|(n, heavy)| {
        (0..n).map(|at| (if at % 2 == 0 { heavy } else { (at % 3_000) as u16 }, at)).collect()
    });
    prop_oneof![3 => few(), 1 => Just(Vec::new()), 2 => many]
}

/// Both sides, not both of many records: the loops are nested.
fn sides() -> impl Strategy<Value = (Pairs, Pairs)> {
    (side(), side()).prop_map(|(left, mut right)| {
        if left.len() > 100 && right.len() > 100 {
            right.truncate(40);
        }
        (left, right)
    })
}

fn config() -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis(0))).partitions(3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn whoever_reads_a_join_has_what_nested_loops_give(batches in prop::collection::vec(sides(), 1..4)) {
        let n = batches.len();
        let (a, b): (Vec<Pairs>, Vec<Pairs>) = batches.iter().cloned().unzip();
        let (counted, in_order, grown) = (Collected::new(), Collected::new(), Collected::new());
        let (left_all, left_counted, left_sums) = (Collected::new(), Collected::new(), Collected::new());
        let (right_rdd, right_counted, right_behind) = (Collected::new(), Collected::new(), Collected::new());
        let (full_order, full_recent, full_window) = (Collected::new(), Collected::new(), Collected::new());
        let (right_order, left_order, twice) = (Collected::new(), Collected::new(), Collected::new());
        let (seen, texts) = (Arc::new(Mutex::new(Vec::new())), Collected::new());
        let counts = Arc::clone(&seen);
        let ssc = dstream::stream!(batch = 1s, conf = config(), {
            let left = queue_stream(a);
            let right = queue_stream(b);
            // Nobody needs a match.
            left.join(right).count().collect_to(&counted);
            // One stage.
            left.join(right, partitions = 1).map(|(k, (v, w))| (k, (v, w))).collect_to(&in_order);
            left.left_outer_join(right, partitions = 1).filter(|_| true).collect_to(&left_order);
            left.right_outer_join(right, partitions = 1).filter(|_| true).collect_to(&right_order);
            left.full_outer_join(right, partitions = 1).filter(|_| true).collect_to(&full_order);
            left.join(right).flat_map(|(k, (v, w))| [(k, v), (k, w)]).filter(|(k, _)| k % 2 == 0)
                .collect_to(&grown);
            // Several branches of one.
            let lefts = left.left_outer_join(right);
            lefts.map(|record| record).collect_to(&left_all);
            lefts.count().collect_to(&left_counted);
            lefts
                .map_values(|(v, w)| u64::from(v) + w.map_or(0, u64::from))
                .reduce_by_key(|a, b| a + b)
                .collect_to(&left_sums);
            // Somebody has all matches as his own.
            let rights = left.right_outer_join(right);
            rights.foreach_rdd(|rdd| counts.lock().unwrap_or_else(PoisonError::into_inner).push(rdd.count()));
            rights.collect_to(&right_rdd);
            rights.count().collect_to(&right_counted);
            rights.keys().collect_to(&right_behind);
            // Windows.
            let full = left.full_outer_join(right);
            full.count_by_window(2s, 1s).collect_to(&full_recent);
            full.window(2s, 1s).collect_to(&full_window);
            left.join(right).union(right.join(left)).count().collect_to(&twice);
            // Keys and values that own something.
            left.map(|(k, v)| (format!("the key {k}"), v.to_string()))
                .full_outer_join(right.map(|(k, w)| (format!("the key {k}"), w.to_string())), partitions = 1)
                .map(|(k, (v, w))| (k.len(), v, w))
                .collect_to(&texts);
        })?;
        ssc.run_batches(n)?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all: Vec<Vec<Match>> = batches.iter().map(|(left, right)| matches(left, right)).collect();
        for (at, all) in all.iter().enumerate() {
            let inner = inner(all);
            prop_assert_eq!(&counted.values()[at], &[inner.len() as u64]);
            prop_assert_eq!(&twice.values()[at], &[2 * inner.len() as u64]);
            prop_assert_eq!(&in_order.values()[at], &inner);
            prop_assert_eq!(&left_order.values()[at], &lefts(all));
            prop_assert_eq!(&right_order.values()[at], &rights(all));
            prop_assert_eq!(&full_order.values()[at], all);
            let both = inner.iter().flat_map(|(k, (v, w))| [(*k, *v), (*k, *w)]).filter(|(k, _)| k % 2 == 0);
            prop_assert_eq!(sorted(grown.values()[at].clone()), sorted(both.collect()));

            let (lefts, rights) = (sorted(lefts(all)), sorted(rights(all)));
            prop_assert_eq!(sorted(left_all.values()[at].clone()), lefts.clone());
            prop_assert_eq!(&left_counted.values()[at], &[lefts.len() as u64]);
            let mut sums: Vec<(u16, u64)> = Vec::new();
            for (k, (v, w)) in lefts {
                match sums.last_mut() {
                    Some((key, sum)) if *key == k => *sum += u64::from(v) + w.map_or(0, u64::from),
                    _ => sums.push((k, u64::from(v) + w.map_or(0, u64::from))),
                }
            }
            prop_assert_eq!(sorted(left_sums.values()[at].clone()), sums);

            prop_assert_eq!(&right_counted.values()[at], &[rights.len() as u64]);
            prop_assert_eq!(seen[at], rights.len() as u64);
            let keys = sorted(right_behind.values()[at].clone());
            prop_assert_eq!(keys, rights.iter().map(|(k, _)| *k).collect::<Vec<_>>());
            prop_assert_eq!(sorted(right_rdd.values()[at].clone()), rights);

            let recent =
                if at == 0 { Vec::new() } else { self::matches(&batches[at - 1].0, &batches[at - 1].1) };
            let recent = sorted([recent, all.clone()].concat());
            prop_assert_eq!(&full_recent.values()[at], &[recent.len() as u64]);
            prop_assert_eq!(sorted(full_window.values()[at].clone()), recent);

            let text = |n: Option<u32>| n.map(|n| n.to_string());
            let all = all.iter().map(|(k, (v, w))| (format!("the key {k}").len(), text(*v), text(*w)));
            prop_assert_eq!(&texts.values()[at], &all.collect::<Vec<_>>());
        }
    }
}

static CLONES: AtomicU64 = AtomicU64::new(0);

/// A value that knows how often any of its kind was cloned.
#[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
struct Counted(String);

impl Clone for Counted {
    fn clone(&self) -> Self {
        CLONES.fetch_add(1, Relaxed);
        Counted(self.0.clone())
    }
}

fn clones(ssc: &StreamingContext) -> dstream::Result<u64> {
    CLONES.store(0, Relaxed);
    ssc.run_batches(1)?;
    Ok(CLONES.load(Relaxed))
}

/// The only test of this binary whose values are counted.
#[test]
fn a_record_is_cloned_for_each_match_but_the_last() -> dstream::Result<()> {
    const KEYS: u64 = 100;
    const EACH: u64 = 5;
    let side = |each: u64| {
        let records = (0..KEYS * each).map(|n| (n % KEYS, Counted(n.to_string())));
        vec![records.collect::<Vec<_>>()]
    };
    let ssc = dstream::stream!(batch = 1s, conf = config(), {
        let left = queue_stream(side(1));
        let right = queue_stream(side(EACH)).map(|(key, _)| (key, ()));
        left.join(right).filter(|(_, (value, _))| value.0.len() > 2).count().print();
    })?;
    assert_eq!(clones(&ssc)?, KEYS * (EACH - 1));

    let ssc = dstream::stream!(batch = 1s, conf = config(), {
        queue_stream(side(2)).join(queue_stream(side(EACH))).count().print();
    })?;
    assert_eq!(clones(&ssc)?, 0);

    // What an output needs of a join's matches, of each task.
    let ssc = dstream::stream!(batch = 1s, conf = config().partitions(1), {
        queue_stream(side(1)).join(queue_stream(side(1))).print(3);
    })?;
    assert_eq!(clones(&ssc)?, KEYS, "those of the right side");
    Ok(())
}
