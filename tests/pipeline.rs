//! Whole pipelines, stepped batch by batch, against what a loop by hand gives.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use dstream::{Error, Str, prelude::*, testing::ManualClock};
use proptest::prelude::*;

fn lines(batches: &[&[&str]]) -> Vec<Vec<String>> {
    batches.iter().map(|batch| batch.iter().map(|line| (*line).to_owned()).collect()).collect()
}

fn sorted<T: Ord>(mut records: Vec<T>) -> Vec<T> {
    records.sort();
    records
}

fn naive_counts(batch: &[String]) -> Vec<(Str, u64)> {
    let mut counts = BTreeMap::new();
    for word in batch.iter().flat_map(|line| line.split(' ')) {
        *counts.entry(Str::from(word)).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn counts_words_of_each_batch() -> dstream::Result<()> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let lines = queue_stream(lines(&[&["hello hello world"], &[], &["aaa bbb ccc", "ccc ddd"]]));
        let pairs = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64));
        pairs.reduce_by_key(|a, b| a + b).collect_to(&out);
    })?;
    ssc.run_batches(4)?;
    let counts: Vec<_> = out.values().into_iter().map(sorted).collect();
    assert_eq!(counts[0], [("hello".into(), 2), ("world".into(), 1)]);
    assert_eq!(counts[2], [("aaa".into(), 1), ("bbb".into(), 1), ("ccc".into(), 2), ("ddd".into(), 1)]);
    assert!(counts[1].is_empty() && counts[3].is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn equals_the_naive_count(
        batches in prop::collection::vec(prop::collection::vec("[ab]{0,2}( \
            [a-c]{0,2}){0,4}", 0..2_500), 1..4),
        partitions in 1usize..20,
    ) {
        let (counts, values, totals, longest) =
            (Collected::new(), Collected::new(), Collected::new(), Collected::new());
        let input = batches.clone();
        let ssc = dstream::stream!(batch = 1s, {
            let words = queue_stream(input).flat_map(|line| line.split(' '));
            words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b, partitions = partitions)
                .collect_to(&counts);
            words.count_by_value().collect_to(&values);
            words.count().collect_to(&totals);
            words.map(|word| word.len()).reduce(|a, b| a.max(b)).collect_to(&longest);
        })?;
        ssc.run_batches(batches.len())?;
        for (at, batch) in batches.iter().enumerate() {
            let naive = naive_counts(batch);
            let words = || batch.iter().flat_map(|line| line.split(' '));
            prop_assert_eq!(&sorted(counts.values()[at].clone()), &naive);
            prop_assert_eq!(&sorted(values.values()[at].clone()), &naive);
            prop_assert_eq!(&totals.values()[at], &[words().count() as u64]);
            prop_assert_eq!(longest.values()[at].first().copied(), words().map(str::len).max());
        }
    }
}

#[test]
fn three_consumers_run_each_closure_once_a_record() -> dstream::Result<()> {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let (a, b, c) = (Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let words =
            queue_stream(lines(&[&["x y", "z"], &["x"]])).flat_map(|line| line.split(' ')).map(|word| {
                calls.fetch_add(1, Ordering::Relaxed);
                word.to_owned()
            });
        words.count().collect_to(&a);
        words.filter(|word| word != "x").collect_to(&b);
        words.count_by_value().collect_to(&c);
    })?;
    ssc.run_batches(2)?;
    assert_eq!(seen.load(Ordering::Relaxed), 4);
    assert_eq!(a.values(), [vec![3], vec![1]]);
    assert_eq!(b.values(), [vec!["y", "z"], vec![]]);
    assert_eq!(c.values().concat().len(), 4);
    Ok(())
}

#[test]
fn a_union_keeps_the_order_of_its_parents() -> dstream::Result<()> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        let low = queue_stream(vec![vec![1, 2]]);
        let high = queue_stream(vec![vec![10, 20]]);
        high.union(low.map(|n| n + 1)).union(high).union(low).collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [vec![10, 20, 2, 3, 10, 20, 1, 2]]);
    Ok(())
}

#[test]
fn closures_see_the_names_around_the_pipeline_and_not_each_others() -> dstream::Result<()> {
    let word = 2;
    let n = 100;
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(lines(&[&["a bbb cc"]]))
            .flat_map(|n| n.split(' '))
            .map(|word| (word, word.len()))
            .filter(|(_, length)| *length >= word)
            .map(|(w, length)| format!("{w}{}", length + n))
            .collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [vec!["bbb103", "cc102"]]);
    Ok(())
}

#[test]
fn closures_may_leave_early_and_need_not_be_literals() -> dstream::Result<()> {
    fn double(n: i64) -> i64 {
        n * 2
    }
    let negate = |n: i64| -n;
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec!["1", "x", "3"]])
            .flat_map(|text| {
                let n: i64 = text.parse().ok()?;
                if n > 2 {
                    return Some(n * 10);
                }
                Some(n)
            })
            .map(double)
            .map(negate)
            .collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(out.values(), [vec![-2, -60]]);
    Ok(())
}

#[test]
fn narrow_operators_go_on_behind_a_shuffle() -> dstream::Result<()> {
    let (whole, many, total) = (Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let counts = queue_stream(vec![vec!["a", "b", "a", "c"]]).count_by_value(partitions = 2);
        counts.collect_to(&whole);
        counts.filter(|(_, n)| *n > 1).map_values(|n| n * 10).collect_to(&many);
        counts.count().collect_to(&total);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(sorted(whole.values().concat()), [("a".into(), 2), ("b".into(), 1), ("c".into(), 1)]);
    assert_eq!(many.values(), [vec![("a".into(), 20)]]);
    assert_eq!(total.values(), [vec![3]]);
    Ok(())
}

#[test]
fn a_panic_names_its_operator_and_line_and_spares_the_rest() -> dstream::Result<()> {
    let (good, bad) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64], vec![0], vec![5]]);
        let inverse = nums.map(|n| (n, 10u64)).reduce_by_key(|a, b| a + b).map_values(|n| n);
        inverse.map(|(n, ten)| ten / n).collect_to(&bad);
        nums.collect_to(&good);
    })?;
    ssc.run_batches(1)?;
    let line = line!() - 4;
    let Err(Error::Job(failure)) = ssc.run_batches(1) else { panic!("the batch should have failed") };
    assert_eq!((failure.operator.as_str(), failure.line), ("map", line), "{failure}");
    assert!(failure.message.contains("divide by zero") && failure.file.ends_with("pipeline.rs"), "{failure}");
    ssc.run_batches(1)?;
    assert_eq!(good.values(), [vec![1], vec![0], vec![5]]);
    assert_eq!(bad.values(), [vec![10], vec![2]]);
    Ok(())
}

#[test]
fn a_failed_output_is_reported_and_the_next_one_runs() -> dstream::Result<()> {
    let out = Collected::new();
    let times = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&times);
    let clock = ManualClock::new(Time::from_millis(10_500));
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().clock(clock), {
        let nums = queue_stream(vec![vec![1], vec![2]]);
        nums.foreach_rdd(|rdd, time| {
            times.lock().map(|mut times| times.push(time.as_millis())).ok();
            if rdd.first() == Some(&2) { Err("the disk is full") } else { Ok(()) }
        });
        nums.collect_to(&out);
    })?;
    ssc.run_batches(1)?;
    let error = ssc.run_batches(1).map_err(|e| e.to_string());
    assert!(
        error.as_ref().is_err_and(|e| e.contains("`foreach_rdd`") && e.contains("the disk is full")),
        "{error:?}"
    );
    assert_eq!(out.values(), [vec![1], vec![2]]);
    assert_eq!(*seen.lock().unwrap_or_else(|e| e.into_inner()), [11_000, 12_000]);
    Ok(())
}

#[test]
fn an_output_may_change_what_it_captured() -> dstream::Result<()> {
    let (report, result) = std::sync::mpsc::channel();
    let mut total = 0;
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64, 2], vec![3]]).foreach_rdd(move |rdd| {
            total += rdd.iter().sum::<u64>();
            report.send(total).ok();
        });
    })?;
    ssc.run_batches(2)?;
    assert_eq!(result.try_iter().collect::<Vec<_>>(), [3, 6]);
    Ok(())
}

#[test]
fn two_pipelines_share_a_context() -> dstream::Result<()> {
    let (a, b) = (Collected::new(), Collected::new());
    let ssc = StreamingContext::new(std::time::Duration::from_secs(1))?;
    dstream::stream!(ssc, {
        queue_stream(vec![vec![1]]).collect_to(&a);
    })?;
    dstream::stream!(&ssc, {
        queue_stream(vec![vec![2]]).collect_to(&b);
    })?;
    ssc.run_batches(1)?;
    assert_eq!((a.values(), b.values()), (vec![vec![1]], vec![vec![2]]));
    assert!(dstream::stream!(ssc, { queue_stream(vec![vec![2]]).print() }).is_err());
    Ok(())
}

#[test]
fn a_number_of_partitions_that_can_not_work_is_refused_when_the_context_is_built() {
    let built = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![(1, 1)]]).reduce_by_key(|a, b| a + b, partitions = 0).print();
    });
    let error = built.map(drop).map_err(|e| e.to_string());
    assert!(
        error.as_ref().is_err_and(|e| e.contains("reduce_by_key") && e.contains("pipeline.rs")),
        "{error:?}"
    );
}
