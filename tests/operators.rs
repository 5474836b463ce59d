//! Every transformation against what a loop over a `Vec` gives, and the edges.

use std::collections::BTreeMap;

use dstream::{Str, hadoop::Compression, prelude::*};
use proptest::prelude::*;

type Pairs = Vec<(u8, u16)>;

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

fn groups(pairs: &[(u8, u16)]) -> BTreeMap<u8, Vec<u16>> {
    let mut groups: BTreeMap<u8, Vec<u16>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(*key).or_default().push(*value);
    }
    groups
}

/// Every way to match the two sides, as nested loops: `None` where a record has no match.
fn matches(left: &[(u8, u16)], right: &[(u8, u16)]) -> Vec<(u8, (Option<u16>, Option<u16>))> {
    let mut out = Vec::new();
    for (k, v) in left {
        out.extend(right.iter().filter(|(q, _)| q == k).map(|(_, w)| (*k, (Some(*v), Some(*w)))));
        if !right.iter().any(|(q, _)| q == k) {
            out.push((*k, (Some(*v), None)));
        }
    }
    out.extend(
        right.iter().filter(|(q, _)| !left.iter().any(|(k, _)| k == q)).map(|(q, w)| (*q, (None, Some(*w)))),
    );
    sorted(out)
}

fn pairs(most: usize) -> impl Strategy<Value = Pairs> {
    prop::collection::vec((0u8..12, any::<u16>()), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn keyed_operators_equal_nested_loops(left in pairs(60), right in pairs(60), partitions in 1usize..9) {
        let (grouped, averages, cogrouped) = (Collected::new(), Collected::new(), Collected::new());
        let (inner, left_outer, right_outer, full_outer) =
            (Collected::new(), Collected::new(), Collected::new(), Collected::new());
        let (a, b) = (left.clone(), right.clone());
        let ssc = dstream::stream!(batch = 1s, {
            let left = queue_stream(vec![a]);
            let right = queue_stream(vec![b]);
            left.group_by_key(partitions = partitions).collect_to(&grouped);
            left.combine_by_key(
                |v| (u64::from(v), 1u64),
                |(sum, n), v| (sum + u64::from(v), n + 1),
                |a, b| (a.0 + b.0, a.1 + b.1),
            )
            .map_values(|(sum, n)| sum / n)
            .collect_to(&averages);
            left.join(right, partitions = partitions).collect_to(&inner);
            left.left_outer_join(right).collect_to(&left_outer);
            left.right_outer_join(right).collect_to(&right_outer);
            left.full_outer_join(right).collect_to(&full_outer);
            left.cogroup(right).collect_to(&cogrouped);
        })?;
        ssc.run_batches(1)?;

        let naive = groups(&left);
        prop_assert_eq!(sorted(grouped.values().concat()), naive.clone().into_iter().collect::<Vec<_>>());
        let mean = |values: &Vec<u16>| values.iter().map(|v| u64::from(*v)).sum::<u64>() / values.len() as u64;
        prop_assert_eq!(sorted(averages.values().concat()), naive.iter().map(|(k, v)| (*k, mean(v))).collect::<Vec<_>>());

        let all = matches(&left, &right);
        prop_assert_eq!(sorted(full_outer.values().concat()), all.clone());
        let kept = sorted(left_outer.values().concat());
        prop_assert_eq!(kept, all.iter().filter_map(|(k, (v, w))| Some((*k, ((*v)?, *w)))).collect::<Vec<_>>());
        let kept = sorted(right_outer.values().concat());
        prop_assert_eq!(kept, all.iter().filter_map(|(k, (v, w))| Some((*k, (*v, (*w)?)))).collect::<Vec<_>>());
        let kept = sorted(inner.values().concat());
        prop_assert_eq!(kept, all.iter().filter_map(|(k, (v, w))| Some((*k, ((*v)?, (*w)?)))).collect::<Vec<_>>());

        let mut both: BTreeMap<u8, (Vec<u16>, Vec<u16>)> = BTreeMap::new();
        left.iter().for_each(|(k, v)| both.entry(*k).or_default().0.push(*v));
        right.iter().for_each(|(k, w)| both.entry(*k).or_default().1.push(*w));
        prop_assert_eq!(sorted(cogrouped.values().concat()), both.into_iter().collect::<Vec<_>>());
    }

    /// One key has more records than a task takes: its matches come from several, in order all the same.
    #[test]
    fn a_key_with_most_records_is_joined_like_any_other(
        n in 4_000usize..9_000, right in pairs(20), partitions in 1usize..5
    ) {
        let left: Pairs = (0..n as u16).map(|n| (if n % 4 == 0 { n as u8 % 12 } else { 3 }, n)).collect();
        let (inner, full_outer, flipped) = (Collected::new(), Collected::new(), Collected::new());
        let (a, b) = (left.clone(), right.clone());
        let ssc = dstream::stream!(batch = 1s, {
            let left = queue_stream(vec![a]);
            let right = queue_stream(vec![b]);
            left.join(right, partitions = 1).collect_to(&inner);
            left.full_outer_join(right, partitions = partitions).collect_to(&full_outer);
            right.full_outer_join(left, partitions = partitions).collect_to(&flipped);
        })?;
        ssc.run_batches(1)?;
        let all = matches(&left, &right);
        prop_assert_eq!(sorted(full_outer.values().concat()), all.clone());
        let flip = |(k, (v, w))| (k, (w, v));
        prop_assert_eq!(sorted(flipped.values().concat().into_iter().map(flip).collect()), all);
        let mut in_order = Vec::new();
        for (k, v) in &left {
            in_order.extend(right.iter().filter(|(q, _)| q == k).map(|(_, w)| (*k, (*v, *w))));
        }
        prop_assert_eq!(inner.values().concat(), in_order);
    }

    #[test]
    fn the_others_equal_iterators(batch in pairs(5_000), n in 1usize..9) {
        let (keys, values, flat) = (Collected::new(), Collected::new(), Collected::new());
        let (parts, sums, dealt, turned) = (Collected::new(), Collected::new(), Collected::new(), Collected::new());
        let input = batch.clone();
        let ssc = dstream::stream!(batch = 1s, {
            let pairs = queue_stream(vec![input]);
            pairs.keys().collect_to(&keys);
            pairs.values().collect_to(&values);
            pairs.flat_map_values(|v| [v, v / 2].into_iter().filter(|v| v % 3 != 0)).collect_to(&flat);
            pairs.glom().collect_to(&parts);
            pairs.map_partitions(|part| [part.map(|(_, v)| u64::from(v)).sum::<u64>()]).collect_to(&sums);
            pairs.repartition(n).glom().collect_to(&dealt);
            pairs.transform(|rdd| rdd.filter(|(k, _)| k % 2 == 0).map(|(k, v)| (v, k))).collect_to(&turned);
        })?;
        ssc.run_batches(1)?;
        prop_assert_eq!(keys.values().concat(), batch.iter().map(|(k, _)| *k).collect::<Vec<_>>());
        prop_assert_eq!(values.values().concat(), batch.iter().map(|(_, v)| *v).collect::<Vec<_>>());
        let naive: Vec<_> = batch
            .iter()
            .flat_map(|(k, v)| [*v, v / 2].into_iter().filter(|v| v % 3 != 0).map(|v| (*k, v)))
            .collect();
        prop_assert_eq!(flat.values().concat(), naive);
        prop_assert_eq!(parts.values().concat().concat(), batch.clone());
        prop_assert_eq!(sums.values().concat().iter().sum::<u64>(), batch.iter().map(|(_, v)| u64::from(*v)).sum::<u64>());
        let dealt = dealt.values().concat();
        prop_assert_eq!(dealt.len(), n);
        prop_assert!(dealt.iter().all(|part| part.len().abs_diff(batch.len() / n) <= 1));
        prop_assert_eq!(sorted(dealt.concat()), sorted(batch.clone()));
        let naive: Vec<_> = batch.iter().filter(|(k, _)| k % 2 == 0).map(|(k, v)| (*v, *k)).collect();
        prop_assert_eq!(turned.values().concat(), naive);
    }
}

#[test]
fn union_takes_any_number_of_streams() -> dstream::Result<()> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let a = queue_stream(vec![vec![1]]);
        let b = queue_stream(vec![vec![2]]);
        a.union(b, queue_stream(vec![vec![3]]), a.map(|n| n * 10)).collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [vec![1, 2, 3, 10]]);
    Ok(())
}

#[test]
fn a_batch_is_joined_with_a_table_that_changes() -> dstream::Result<()> {
    let spam = std::sync::Arc::new(std::sync::Mutex::new(Rdd::parallelize(vec![(Str::from("buy"), ())])));
    let table = std::sync::Arc::clone(&spam);
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let lines = queue_stream(vec![vec!["buy now"], vec!["buy now"]]);
        let counts = lines.flat_map(|line| line.split(' ')).count_by_value();
        let clean = counts.transform(move |rdd| {
            let spam = table.lock().unwrap_or_else(|e| e.into_inner()).clone();
            rdd.left_outer_join(&spam).filter(|(_, (_, spam))| spam.is_none()).map(|(word, (n, _))| (word, n))
        });
        clean.collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    *spam.lock().unwrap_or_else(|e| e.into_inner()) = Rdd::parallelize(vec![("now".into(), ())]);
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [vec![("now".into(), 1)], vec![("buy".into(), 1)]]);
    Ok(())
}

#[test]
fn transforms_see_the_time_and_may_change_what_they_captured() -> dstream::Result<()> {
    let (times, sums) = (Collected::new(), Collected::new());
    let mut batches = 0u64;
    let clock = dstream::testing::ManualClock::new(Time::from_millis(500));
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().clock(clock), {
        let a = queue_stream(vec![vec![1u64], vec![2]]);
        let b = queue_stream(vec![vec![10u64], vec![20]]);
        a.transform(|rdd, time| rdd.map(move |n| (n, time.as_millis()))).collect_to(&times);
        a.transform_with(b, |a, b| {
            batches += 1;
            let batch = batches;
            a.union(b).map(move |n| n * batch)
        })
        .collect_to(&sums);
    })?;
    ssc.run_batches(2)?;
    assert_eq!(times.values(), [vec![(1, 1000)], vec![(2, 2000)]]);
    assert_eq!(sums.values(), [vec![1, 10], vec![4, 40]]);
    Ok(())
}

#[test]
fn partitions_are_handed_out_with_their_index() -> dstream::Result<()> {
    let (report, seen) = std::sync::mpsc::channel();
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1, 2, 3]]).repartition(2).foreach_partition(|partition| {
            report.send((partition.index(), partition.into_iter().copied().collect::<Vec<i32>>()))
        });
    })?;
    ssc.run_batches(1)?;
    drop(ssc);
    assert_eq!(sorted(seen.iter().collect()), [(0, vec![1, 3]), (1, vec![2])]);
    Ok(())
}

#[test]
fn folders_of_batches_are_written_and_read_back() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let clock = dstream::testing::ManualClock::new(Time::from_millis(500));
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().clock(clock), {
        let pairs = queue_stream(vec![vec![("a", 1u64), ("b", 2)], vec![]]);
        pairs.save_as_text_files(path("text"), "txt");
        pairs.map_values(|n| n + 1).save_as_object_files(path("objects"));
        pairs.save_as_hadoop_files(
            path("hadoop"),
            "seq",
            compression = Compression::Block,
            skip_empty = true,
        );
        pairs.keys().save_as_text_files(path("keys"), "", skip_empty = true);
    })?;
    ssc.run_batches(2)?;
    assert_eq!(
        std::fs::read_to_string(folder.path().join("text-1000.txt/part-00000"))?,
        "(\"a\", 1)\n(\"b\", 2)\n"
    );
    assert_eq!(std::fs::read_to_string(folder.path().join("keys-1000/part-00000"))?, "a\nb\n");
    assert!(
        folder.path().join("text-2000.txt/_SUCCESS").exists() && !folder.path().join("keys-2000").exists()
    );
    let pairs: Rdd<(Str, u64)> = Rdd::object_file(folder.path().join("objects-1000"))?;
    assert_eq!(pairs.collect(), [("a".into(), 2), ("b".into(), 3)]);
    assert!(!folder.path().join("hadoop-2000.seq").exists());
    let read = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        sequence_file_stream::<String, u64>(folder.path().join("hadoop-*")).collect_to(&read);
    })?;
    ssc.run_to_end()?;
    assert_eq!(read.values(), [[("a".to_owned(), 1), ("b".to_owned(), 2)]]);
    // Other types are reported, with the file and both.
    let ssc = dstream::stream!(batch = 1s, {
        sequence_file_stream::<String, f64>(folder.path().join("hadoop-*")).print();
    })?;
    let error = ssc.run_to_end().unwrap_err().to_string();
    assert!(error.contains("sequence_file_stream(") && error.contains("part-00000"), "{error}");
    assert!(error.contains("LongWritable") && error.contains("DoubleWritable"), "{error}");
    Ok(())
}

#[test]
fn edges() -> dstream::Result<()> {
    let (units, one, empty, big) = (Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![(); 3_000]]).count_by_value().collect_to(&units);
        queue_stream(vec![vec![("", 1u64); 5_000]]).reduce_by_key(|a, b| a + b).collect_to(&one);
        let none = queue_stream(Vec::<Vec<(u8, u8)>>::new());
        none.join(none).union(none.map_values(|v| (v, v))).repartition(4).glom().collect_to(&empty);
        let large = queue_stream(vec![vec!["x".repeat(10 << 20), "y".repeat(10 << 20)]]);
        large
            .map(|text| (text, 1))
            .group_by_key()
            .map(|(text, ones)| (text.len(), ones.len()))
            .collect_to(&big);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(units.values(), [vec![((), 3_000)]]);
    assert_eq!(one.values(), [vec![("".into(), 5_000)]]);
    assert_eq!(empty.values(), [vec![vec![]; 4]]);
    assert_eq!(big.values(), [vec![(10 << 20, 1); 2]]);
    Ok(())
}

#[test]
fn a_million_distinct_keys() -> dstream::Result<()> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let keys = queue_stream(vec![(0..1_000_000u64).collect::<Vec<_>>()]);
        keys.map(|n| (n, 1u32)).reduce_by_key(|a, b| a + b).filter(|(_, n)| *n == 1).count().collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [vec![1_000_000]]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Several blocks, so that what tasks found is put together, too.
    #[test]
    fn ordered_operators_equal_a_sorted_vec(
        blocks in prop::collection::vec(prop::collection::vec((0u8..12, any::<u16>()), 0..40), 0..5),
        n in 0usize..20,
        partitions in 1usize..9,
    ) {
        let all: Pairs = blocks.concat();
        let batches: Vec<Pairs> = blocks;
        let count = batches.len();
        let (largest, by_value, by_key, unique, sorted_by, numbered) =
            (Collected::new(), Collected::new(), Collected::new(), Collected::new(), Collected::new(), Collected::new());
        let length = std::time::Duration::from_secs(count.max(1) as u64);
        let ssc = dstream::stream!(batch = 1s, {
            // The window has one partition for each batch of it.
            let pairs = queue_stream(batches).window(length);
            pairs.top(n).collect_to(&largest);
            pairs.top(n, |(_, value)| *value % 100).collect_to(&by_value);
            pairs.top_by_key(n, partitions = partitions).collect_to(&by_key);
            pairs.keys().distinct(partitions = partitions).collect_to(&unique);
            pairs.sort_by(|(key, _)| *key).collect_to(&sorted_by);
            pairs.zip_with_index().collect_to(&numbered);
        }).unwrap();
        ssc.run_batches(count.max(1)).unwrap();
        fn last<T: Clone>(out: &Collected<T>) -> Vec<T> {
            out.values().last().cloned().unwrap_or_default()
        }

        let mut descending = all.clone();
        descending.sort_by(|a, b| b.cmp(a));
        descending.truncate(n);
        prop_assert_eq!(last(&largest), descending);

        let mut ranked = all.clone();
        ranked.sort_by_key(|(_, value)| std::cmp::Reverse(value % 100));
        ranked.truncate(n);
        prop_assert_eq!(last(&by_value), ranked);

        let best = groups(&all).into_iter().map(|(key, mut values)| {
            values.sort_by(|a, b| b.cmp(a));
            values.truncate(n);
            (key, values)
        });
        prop_assert_eq!(sorted(last(&by_key)), best.collect::<Vec<_>>());

        prop_assert_eq!(sorted(last(&unique)), groups(&all).into_keys().collect::<Vec<_>>());

        let mut ascending = all.clone();
        ascending.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(last(&sorted_by), ascending);

        let expected: Vec<_> = all.into_iter().zip(0u64..).collect();
        prop_assert_eq!(last(&numbered), expected);
    }
}

#[test]
fn filter_map_and_inspect_stand_in_the_loop() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static SEEN: AtomicUsize = AtomicUsize::new(0);

    let (ports, lines) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let seen = queue_stream(vec![vec!["port 80", "no port", "port 443"]]).inspect(|line| {
            SEEN.fetch_add(line.len(), Ordering::Relaxed);
        });
        // Borrows from the line; one closure is inlined and the other called.
        let words = seen.filter_map(|line| line.strip_prefix("port "));
        words.filter_map(|port| Some(port.parse::<u16>().ok()? + 1)).collect_to(&ports);
        seen.filter(|line| line.len() > 7).collect_to(&lines);
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    assert_eq!(ports.values(), [[81, 444]]);
    assert_eq!(lines.values(), [["port 443"]]);
    // Once for each record, although two operators read the stream.
    assert_eq!(SEEN.load(Ordering::Relaxed), "port 80no portport 443".len());
}

/// Twice the same batch times, one of them in one partition more: a sample is a function of time and place.
#[test]
fn a_sample_is_the_same_when_the_batch_is_run_again() {
    let run = || {
        let out = Collected::new();
        let clock = dstream::testing::ManualClock::new(dstream::Time::from_millis(10_000));
        let ssc = dstream::stream!(batch = 1s, conf = dstream::Config::new().clock(clock).threads(2), {
            queue_stream(vec![(0..20_000).collect::<Vec<u32>>(); 2])
                .repartition(4)
                .sample(0.25)
                .collect_to(&out);
        })
        .unwrap();
        ssc.run_batches(2).unwrap();
        out.values()
    };
    let sample = run();
    assert_eq!(sample, run());
    assert_ne!(sample[0], sample[1]);
    assert!(sample.iter().all(|batch| (4_500..5_500).contains(&batch.len())), "{:?}", sample[0].len());
    // No two partitions are drawn alike: 3 of 4 records have the same place in another one.
    let quarter =
        |batch: &[u32], part: u32| batch.iter().filter(|n| *n % 4 == part).map(|n| n / 4).collect::<Vec<_>>();
    assert_ne!(quarter(&sample[0], 0), quarter(&sample[0], 1));
}

#[test]
fn all_or_nothing_is_a_sample_too() {
    let (all, none) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1, 2, 3]]);
        nums.sample(1.0).collect_to(&all);
        nums.sample(0.0).collect_to(&none);
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    assert_eq!((all.values(), none.values()), (vec![vec![1, 2, 3]], vec![vec![]]));
    let refused = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1]]).sample(25.0).print();
    });
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("`sample` at tests/operators.rs") && message.contains("the fraction is 25"),
        "{message}"
    );
}

#[test]
fn a_transform_that_returns_an_error_fails_its_batch() {
    let (out, lengths) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec!["1"], vec!["one"], vec!["2", "3"]]);
        let parsed = nums.transform(|rdd| {
            let parsed: std::result::Result<Vec<u64>, _> = rdd.iter().map(|text| text.parse()).collect();
            parsed.map(Rdd::parallelize)
        });
        parsed.collect_to(&out);
        // A chain, and an error with a type of its own.
        let numbered = nums.transform_with(parsed, |nums, parsed| match parsed.count() {
            2 => Err(std::fmt::Error),
            _ => Ok(nums.map(|text| text.len())),
        });
        numbered.collect_to(&lengths);
    })
    .unwrap();
    let error = ssc.run_batches(3).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`transform` at tests/operators.rs:"), "{text}");
    assert!(text.ends_with("failed: invalid digit found in string"), "{text}");
    let cause = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    assert!(cause.last().is_some_and(|cause| cause.is::<std::num::ParseIntError>()));
    assert_eq!(out.values(), [vec![1], vec![2, 3]]);
    assert_eq!(lengths.values(), [[1]]);
}
