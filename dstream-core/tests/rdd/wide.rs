//! Wide transformations against naive ones.

use std::collections::{BTreeMap, BTreeSet};

use dstream_core::prelude::*;
use proptest::prelude::*;

use crate::support::{flat, pairs, partitions, parts, rdd, sorted};

/// The values of each key, in order.
fn groups<K: Ord + Clone, V: Clone>(pairs: &[(K, V)]) -> BTreeMap<K, Vec<V>> {
    let mut groups: BTreeMap<K, Vec<V>> = BTreeMap::new();
    pairs.iter().for_each(|(k, v)| groups.entry(k.clone()).or_default().push(v.clone()));
    groups
}

proptest! {
    #[test]
    fn keyed_aggregations(input in pairs()) {
        let all = groups(&flat(&input));
        let pairs = rdd(&input);
        prop_assert_eq!(sorted(pairs.clone().group_by_key().collect()),
            all.clone().into_iter().collect::<Vec<_>>());

        // Not commutative: the order of the values counts.
        let joined = pairs.by_ref().map_values(|v| v.to_string()).reduce_by_key(|a, b| a + "," + &b);
        let text = |vs: &Vec<u8>| vs.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        prop_assert_eq!(sorted(joined.collect()),
            all.iter().map(|(k, vs)| (k.clone(), text(vs))).collect::<Vec<_>>());

        let combined = pairs.combine_by_key(
            |v| vec![v],
            |mut vs: Vec<u8>, v| { vs.push(v); vs },
            |a, b| [a, b].concat(),
        );
        prop_assert_eq!(combined.num_partitions(), input.len().max(1));
        prop_assert_eq!(sorted(combined.collect()), all.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn joins(left in pairs(), right in pairs()) {
        let (a, b) = (flat(&left), flat(&right));
        let (l, r) = (rdd(&left), rdd(&right));
        let keys = |pairs: &[(String, u8)]| pairs.iter().map(|(k, _)| k.clone()).collect::<BTreeSet<_>>();
        let (in_a, in_b) = (keys(&a), keys(&b));

        let mut inner = Vec::new();
        for (k, v) in &a {
            b.iter().filter(|(q, _)| q == k).for_each(|(_, w)| inner.push((k.clone(), (*v, *w))));
        }
        let some = |(k, (v, w)): &(String, (u8, u8))| (k.clone(), (Some(*v), Some(*w)));
        let only_a: Vec<_> = a.iter().filter(|(k, _)| !in_b.contains(k)).cloned().collect();
        let only_b: Vec<_> = b.iter().filter(|(k, _)| !in_a.contains(k)).cloned().collect();

        let joined = l.by_ref().join(&r);
        prop_assert_eq!(joined.num_partitions(), left.len().max(right.len()).max(1));
        prop_assert_eq!(sorted(joined.collect()), sorted(inner.clone()));

        let left_outer = inner.iter().map(|(k, (v, w))| (k.clone(), (*v, Some(*w))));
        let left_outer = left_outer.chain(only_a.iter().map(|(k, v)| (k.clone(), (*v, None))));
        prop_assert_eq!(sorted(l.by_ref().left_outer_join(r.clone()).collect()), sorted(left_outer));

        let right_outer = inner.iter().map(|(k, (v, w))| (k.clone(), (Some(*v), *w)));
        let right_outer = right_outer.chain(only_b.iter().map(|(k, w)| (k.clone(), (None, *w))));
        prop_assert_eq!(sorted(l.clone().right_outer_join(&r).collect()), sorted(right_outer));

        let full = inner.iter().map(some);
        let full = full.chain(only_a.iter().map(|(k, v)| (k.clone(), (Some(*v), None))));
        let full = full.chain(only_b.iter().map(|(k, w)| (k.clone(), (None, Some(*w)))));
        prop_assert_eq!(sorted(l.clone().full_outer_join(r.clone()).collect()), sorted(full));

        prop_assert_eq!(sorted(l.by_ref().subtract_by_key(&r).collect()), sorted(only_a));

        let (ga, gb) = (groups(&a), groups(&b));
        let both = in_a.union(&in_b).map(|k| {
            (k.clone(), (ga.get(k).cloned().unwrap_or_default(), gb.get(k).cloned().unwrap_or_default()))
        });
        prop_assert_eq!(sorted(l.cogroup(r).collect()), both.collect::<Vec<_>>());
    }

    #[test]
    fn sets(a in partitions(), b in partitions()) {
        let (x, y) = (flat(&a), flat(&b));
        let set = |v: &[u8]| v.iter().copied().collect::<BTreeSet<_>>();
        prop_assert_eq!(sorted(rdd(&a).distinct().collect()), set(&x).into_iter().collect::<Vec<_>>());
        let subtracted = rdd(&a).subtract(rdd(&b).by_ref());
        prop_assert_eq!(
            sorted(subtracted.collect()),
            sorted(x.iter().copied().filter(|n| !y.contains(n)))
        );
        prop_assert_eq!(
            sorted(rdd(&a).intersection(rdd(&b)).collect()),
            set(&x).intersection(&set(&y)).copied().collect::<Vec<_>>()
        );
        let counts = groups(&x.iter().map(|n| (*n, ())).collect::<Vec<_>>());
        prop_assert_eq!(
            sorted(rdd(&a).count_by_value().collect()),
            counts.into_iter().map(|(n, all)| (n, all.len() as u64)).collect::<Vec<_>>()
        );
        let product: Vec<(u8, u8)> = x.iter().flat_map(|n| y.iter().map(move |m| (*n, *m))).collect();
        prop_assert_eq!(rdd(&a).cartesian(rdd(&b)).collect(), product);
    }

    #[test]
    fn sorting_is_total_and_stable(input in pairs()) {
        let numbered = rdd(&input).zip_with_index().map(|((k, v), i)| (k, (v, i))).evaluate();
        let mut naive = numbered.collect();
        naive.sort_by(|a, b| a.0.cmp(&b.0));
        let out = numbered.clone().sort_by_key();
        prop_assert_eq!(out.collect(), naive);
        prop_assert_eq!(out.num_partitions(), input.len().max(1));
        let mut naive = numbered.collect();
        naive.sort_by_key(|(_, (v, _))| std::cmp::Reverse(*v));
        prop_assert_eq!(numbered.sort_by(|(_, (v, _))| std::cmp::Reverse(*v)).collect(), naive);
    }

    #[test]
    fn repartition_deals_in_turn(input in partitions(), n in 0usize..7) {
        let n_parts = n.max(1);
        let mut naive = vec![Vec::new(); n_parts];
        flat(&input).into_iter().enumerate().for_each(|(i, record)| naive[i % n_parts].push(record));
        prop_assert_eq!(parts(&rdd(&input).repartition(n)), naive);
    }

    #[test]
    fn borrowed_and_owned_keys_go_to_the_same_partitions(
        words in proptest::collection::vec("[a-c]{0,3}", 0..60)
    ) {
        let owned = Rdd::parallelize_in(words.clone(), 3);
        let borrowed = owned.by_ref().map(|w| (w.as_str(), 1u64)).reduce_by_key(|a, b| a + b);
        let counts = owned.map(|w| (w, 1u64)).reduce_by_key(|a, b| a + b);
        let text = |p: Vec<Vec<(String, u64)>>| p;
        let borrowed = borrowed.map(|(w, n)| (w.to_string(), n)).evaluate();
        prop_assert_eq!(text(parts(&borrowed)), parts(&counts));
    }
}

/// More records than one thread works on alone: what runs in parallel gives the same.
#[test]
fn large_inputs_give_the_same_as_small_ones() {
    let n = 300_000u64;
    let nums = Rdd::parallelize_in((0..n).map(|i| (i * 7919 % 10_007, i)).collect(), 13);
    let sums = sorted(nums.by_ref().reduce_by_key(|a, b| a + b).collect());
    let naive = groups(&nums.collect());
    assert_eq!(sums, naive.iter().map(|(k, vs)| (*k, vs.iter().sum())).collect::<Vec<(u64, u64)>>());

    let mut by_key = nums.collect();
    by_key.sort_by_key(|(k, _)| *k);
    let out = nums.clone().sort_by_key();
    assert_eq!(out.collect(), by_key);
    let sizes: Vec<usize> = out.partitions().map(<[_]>::len).collect();
    assert!(sizes.iter().max().zip(sizes.iter().min()).is_some_and(|(a, b)| a - b <= 1), "{sizes:?}");

    let dealt = nums.clone().repartition(7);
    assert!(dealt.partitions().all(|p| p.len().abs_diff(n as usize / 7) <= 1));
    // Every run gives the same partitions.
    let again = nums.by_ref().reduce_by_key(|a, b| a + b);
    assert_eq!(parts(&nums.reduce_by_key(|a, b| a + b)), parts(&again));
}
