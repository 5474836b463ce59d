//! Narrow transformations: lazy, fused, in order, partition by partition.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use dstream_core::prelude::*;
use proptest::prelude::*;

use crate::support::{flat, pairs, partitions, parts, rdd};

proptest! {
    #[test]
    fn map_filter_and_flat_map_keep_partitions_and_order(input in partitions()) {
        let chain = rdd(&input).map(|n| u32::from(n) * 3).filter(|n| n % 2 == 0).flat_map(|n| [n, n + 1]);
        let naive: Vec<Vec<u32>> = input
            .iter()
            .map(|part| part.iter().map(|n| u32::from(*n) * 3).filter(|n| n % 2 == 0).flat_map(|n| [n, n + 1])
                .collect())
            .collect();
        prop_assert_eq!(parts(&chain.evaluate()), naive);
    }

    #[test]
    fn partitions_are_seen_whole_also_empty_ones(input in partitions()) {
        let sums: Vec<u32> = input.iter().map(|part| part.iter().map(|n| u32::from(*n)).sum()).collect();
        let found = rdd(&input).map_partitions(|part| [part.map(u32::from).sum::<u32>()]);
        prop_assert_eq!(found.collect(), sums);
        prop_assert_eq!(rdd(&input).glom().collect(), input);
    }

    #[test]
    fn pairs_come_apart(input in pairs()) {
        let all = flat(&input);
        let pairs = rdd(&input);
        let naive: Vec<_> = all.iter().cloned().map(|(k, v)| (k, u32::from(v) + 1)).collect();
        prop_assert_eq!(pairs.clone().map_values(|v| u32::from(v) + 1).collect(), naive);
        let naive: Vec<_> = all.iter().flat_map(|(k, v)| (0..v % 3).map(move |i| (k.clone(), i))).collect();
        prop_assert_eq!(pairs.clone().flat_map_values(|v| 0..v % 3).collect(), naive);
        prop_assert_eq!(pairs.clone().keys().collect(),
            all.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>());
        // By reference, nothing is cloned.
        prop_assert_eq!(pairs.by_ref().values().collect(), all.iter().map(|(_, v)| v).collect::<Vec<_>>());
    }

    #[test]
    fn union_is_in_order(a in partitions(), b in partitions(), c in partitions()) {
        let all = rdd(&a).union(rdd(&b)).union(rdd(&c).map(|n| n)).evaluate();
        prop_assert_eq!(parts(&all), [a, b, c].concat());
    }

    #[test]
    fn indices_count_over_the_partitions(input in partitions()) {
        let naive: Vec<(u8, u64)> = flat(&input).into_iter().zip(0..).collect();
        prop_assert_eq!(rdd(&input).map(|n| n).zip_with_index().collect(), naive);
    }

    #[test]
    fn coalesce_puts_neighbours_together(input in partitions(), n in 0usize..7) {
        let out = rdd(&input).coalesce(n).evaluate();
        prop_assert_eq!(out.collect(), flat(&input));
        prop_assert_eq!(out.num_partitions(), n.clamp(1, input.len().max(1)));
        // Every partition of the input is in one of the output.
        let mut rest = input.as_slice();
        for part in parts(&out) {
            let taken = (0..=rest.len()).find(|i| rest[..*i].concat() == part);
            prop_assert!(taken.is_some());
            rest = &rest[taken.unwrap_or(0)..];
        }
    }

    #[test]
    fn a_sample_is_repeatable_and_in_order(input in partitions(), fraction in 0.0..1.0, seed: u64) {
        let numbered = rdd(&input).zip_with_index().evaluate();
        let once = numbered.by_ref().sample(fraction, seed).collect();
        prop_assert_eq!(&once, &numbered.by_ref().sample(fraction, seed).collect());
        prop_assert!(once.is_sorted_by(|a, b| a.1 < b.1));
        prop_assert_eq!(numbered.by_ref().sample(1.0, seed).count(), numbered.count());
        prop_assert_eq!(numbered.by_ref().sample(0.0, seed).count(), 0);
    }
}

#[test]
fn a_sample_has_its_fraction_in_every_partition() {
    let nums = Rdd::parallelize_in((0..200_000u32).collect(), 4);
    let sample = nums.sample(0.25, 7).evaluate();
    for part in sample.partitions() {
        assert!((12_000..13_000).contains(&part.len()), "{}", part.len());
    }
    // Not the same positions in each partition.
    let firsts: Vec<u32> =
        sample.partitions().enumerate().map(|(i, part)| part[0] - 50_000 * i as u32).collect();
    let second: Vec<u32> =
        sample.partitions().enumerate().map(|(i, part)| part[9] - 50_000 * i as u32).collect();
    assert!(firsts.windows(2).any(|w| w[0] != w[1]) || second.windows(2).any(|w| w[0] != w[1]));
}

#[test]
fn nothing_runs_before_an_action_and_take_runs_no_more_than_it_needs() {
    let calls = AtomicUsize::new(0);
    let nums = Rdd::parallelize_in((0..10_000).collect(), 8);
    let chain = nums.map(|n| {
        calls.fetch_add(1, Relaxed);
        n
    });
    assert_eq!(calls.load(Relaxed), 0);
    assert_eq!(chain.filter(|n| n % 2 == 1).take(3), [1, 3, 5]);
    assert_eq!(calls.load(Relaxed), 6);
}

/// Counts its clones.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Relaxed);
        Counted(Arc::clone(&self.0))
    }
}

#[test]
fn records_are_moved_by_the_only_holder_and_cloned_one_by_one_by_others() {
    let clones = Arc::new(AtomicUsize::new(0));
    let make = || Rdd::parallelize_in((0..10).map(|_| Counted(Arc::clone(&clones))).collect(), 2);
    assert_eq!(make().map(|c| c).coalesce(1).filter(|_| true).count(), 10);
    assert_eq!(make().evaluate().repartition(3).count(), 10);
    assert_eq!(clones.load(Relaxed), 0);

    let held = make();
    assert_eq!(held.by_ref().map(|c| c).count(), 10);
    assert_eq!(clones.load(Relaxed), 0);
    assert_eq!(held.clone().map(|c| c).take(3).len(), 3);
    assert_eq!(clones.load(Relaxed), 3);
    drop(held);
}
