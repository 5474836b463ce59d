//! The edges: nothing, too much, all the same.

use dstream_core::prelude::*;

use crate::support::{parts, sorted};

#[test]
fn an_empty_rdd_goes_through_everything() {
    for empty in [Rdd::parallelize(Vec::<(String, u64)>::new()), Rdd::parallelize_in(vec![], 3)] {
        assert!(empty.is_empty());
        let e = || empty.clone();
        assert_eq!(e().map(|p| p).filter(|_| true).flat_map(|p| [p]).count(), 0);
        assert_eq!(e().reduce_by_key(|a, b| a + b).collect(), []);
        assert_eq!(e().group_by_key().collect(), []);
        assert_eq!(e().join(&empty).collect(), []);
        assert_eq!(e().full_outer_join(e()).collect(), []);
        assert_eq!(e().cogroup(e()).collect(), []);
        assert_eq!(e().sort_by_key().collect(), []);
        assert_eq!(e().distinct().collect(), []);
        assert_eq!(e().subtract(e()).collect(), []);
        assert_eq!(e().intersection(e()).collect(), []);
        assert_eq!(e().cartesian(e()).count(), 0);
        assert_eq!(e().zip_with_index().count(), 0);
        assert_eq!(e().sample(0.5, 1).count(), 0);
        assert_eq!(e().coalesce(2).count(), 0);
        assert_eq!(e().union(e()).count(), 0);
        assert_eq!(parts(&e().repartition(2)), [vec![], vec![]]);
        assert_eq!(empty.first(), None);
        assert_eq!(e().keys().reduce(|a, _| a), None);
        assert_eq!(e().values().fold(0, |a, b| a + b), 0);
        assert_eq!(e().keys().top(3), [""; 0]);
        assert!(empty.count_by_key().is_empty());
    }
}

#[test]
fn more_partitions_than_records() {
    let nums = Rdd::parallelize_in(vec![1, 2], 5);
    assert_eq!(nums.num_partitions(), 5);
    assert_eq!(nums.collect(), [1, 2]);
    assert_eq!(nums.clone().map(|n| (n, n)).reduce_by_key(|a, b| a + b).num_partitions(), 5);
    assert_eq!(nums.sort_by(|n| std::cmp::Reverse(*n)).collect(), [2, 1]);
}

#[test]
fn no_partitions_are_one() {
    assert_eq!(Rdd::parallelize_in(vec![1], 0).num_partitions(), 1);
    assert_eq!(Rdd::parallelize_in(vec![1, 2], 2).repartition(0).num_partitions(), 1);
    assert_eq!(Rdd::parallelize_in(vec![1, 2], 2).coalesce(0).evaluate().num_partitions(), 1);
}

#[test]
fn one_partition_gives_arrival_order() {
    let words = Rdd::parallelize(vec![("b", 1), ("a", 2), ("b", 3), ("", 4)]);
    let sums = words.reduce_by_key(|a, b| a + b).collect();
    assert_eq!(sums, [("b".into(), 4), ("a".into(), 2), ("".into(), 4)]);
}

#[test]
fn joins_give_all_pairs_of_duplicates() {
    let left = Rdd::parallelize_in(vec![("", 1), ("", 2), ("x", 3)], 2);
    let right = Rdd::parallelize_in(vec![("", 'a'), ("", 'b'), ("", 'c')], 3);
    let joined: Vec<_> = left.join(right).values().collect();
    assert_eq!(sorted(joined), [(1, 'a'), (1, 'b'), (1, 'c'), (2, 'a'), (2, 'b'), (2, 'c')]);
}

#[test]
fn unit_records() {
    let units = Rdd::parallelize_in(vec![(); 10_000], 3);
    assert_eq!(units.count(), 10_000);
    assert_eq!(units.clone().distinct().collect(), [()]);
    assert_eq!(units.clone().count_by_value().collect(), [((), 10_000)]);
    assert_eq!(units.clone().repartition(4).partitions().map(<[()]>::len).collect::<Vec<_>>(), [2_500; 4]);
    assert_eq!(units.sort_by(|()| 0).count(), 10_000);
}

#[test]
fn one_key_with_all_records() {
    let pairs = Rdd::parallelize_in((0..100_000u64).map(|i| (7u8, i)).collect(), 16);
    assert_eq!(pairs.by_ref().reduce_by_key(|a, b| a + b).collect(), [(7, 100_000 * 99_999 / 2)]);
    let groups = pairs.group_by_key().collect();
    assert!(groups.len() == 1 && groups[0].1.iter().copied().eq(0..100_000));
}

#[test]
fn a_million_distinct_keys() {
    let keys = Rdd::parallelize((0..1_000_000u64).collect());
    let counts = keys.by_ref().map(|k| (k, 1u64)).reduce_by_key(|a, b| a + b);
    assert_eq!(counts.count(), 1_000_000);
    assert!(counts.iter().all(|(_, n)| *n == 1));
    assert_eq!(counts.keys().sort_by(|k| *k).collect(), keys.collect());
}

#[test]
fn large_records() {
    let large = |c: char| c.to_string().repeat(10 << 20);
    let pairs = Rdd::parallelize_in(vec![(large('k'), large('v')), ("small".to_owned(), large('w'))], 2);
    let joined = pairs.by_ref().join(&pairs);
    assert_eq!(
        joined.by_ref().map(|(k, (v, w))| (k.len(), v.len() + w.len())).collect().iter().max(),
        Some(&(10 << 20, 20 << 20))
    );
    assert_eq!(joined.sort_by_key().first().map(|(k, _)| k.len()), Some(10 << 20));
}
