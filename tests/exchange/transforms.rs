//! What `transform` may do where a process has only a part of each batch.

use dstream::prelude::*;

use super::{START, cluster, config, part};

type Nums = Rdd<(u32, u64)>;
type Change = fn(Nums) -> Nums;

/// What each of so many processes has after `change`, or why it failed.
fn changed(processes: usize, change: Change) -> Vec<Result<Vec<(u32, u64)>, String>> {
    let nums = vec![(0..40u32).map(|n| (n % 8, u64::from(n))).collect::<Vec<_>>()];
    cluster(processes, |at, end| {
        let (out, own) = (Collected::new(), part(&nums, at, processes));
        let ssc = dstream::stream!(batch = 1s, conf = config(START).exchange(end), {
            let nums = queue_stream(own);
            nums.transform(move |rdd| change(rdd)).collect_to(&out);
        })
        .map_err(|error| error.to_string())?;
        ssc.run_batches(1).map_err(|error| error.to_string())?;
        Ok(out.values().concat())
    })
}

/// What all processes had together.
fn together(processes: usize, change: Change) -> Vec<(u32, u64)> {
    let mut all: Vec<_> = changed(processes, change).into_iter().flat_map(Result::unwrap).collect();
    all.sort_unstable();
    all
}

fn table() -> Nums {
    Rdd::parallelize((0..8).map(|n| (n, 100)).collect())
}

#[test]
fn what_each_record_yields_by_itself_is_that_of_one_process() {
    let changes: [Change; 7] = [
        |rdd| rdd.filter(|(_, n)| n % 3 == 0).map(|(key, n)| (key, n * 2)).evaluate(),
        |rdd| rdd.map_values(|n| n + 1).coalesce(1).repartition(3),
        |rdd| rdd.join(table()).map(|(key, (n, more))| (key, n + more)).evaluate(),
        |rdd| table().join(rdd).map(|(key, (n, more))| (key, n + more)).evaluate(),
        |rdd| {
            rdd.left_outer_join(table().filter(|(key, _)| *key > 3)).map(|(key, (n, _))| (key, n)).evaluate()
        },
        |rdd| rdd.subtract_by_key(table().filter(|(key, _)| *key > 3)),
        |rdd| rdd.clone().union(rdd.by_ref().map(|(key, n)| (*key, *n))).evaluate(),
    ];
    for change in changes {
        let one = together(1, change);
        assert!(!one.is_empty());
        assert_eq!(together(2, change), one);
    }
}

#[test]
fn what_needs_the_whole_batch_is_refused_in_each_process() {
    let refused: [(&str, Change); 18] = [
        ("count", |rdd| if rdd.count() > 3 { rdd } else { table() }),
        ("count", |rdd| if rdd.by_ref().filter(|_| true).count() > 3 { rdd } else { table() }),
        ("collect", |rdd| Rdd::parallelize(rdd.collect())),
        ("iter", |rdd| Rdd::parallelize(rdd.iter().copied().collect())),
        ("take", |rdd| Rdd::parallelize(rdd.take(3))),
        ("first", |rdd| Rdd::parallelize(rdd.first().copied().into_iter().collect())),
        ("top", |rdd| Rdd::parallelize(rdd.top(2))),
        ("reduce", |rdd| Rdd::parallelize(rdd.reduce(|a, b| a.max(b)).into_iter().collect())),
        ("count_by_key", |rdd| Rdd::parallelize(rdd.by_ref().count_by_key().into_iter().collect())),
        ("reduce_by_key", |rdd| rdd.reduce_by_key(|a, b| a + b)),
        ("distinct", |rdd| rdd.map(|(key, _)| (key, 0u64)).distinct()),
        ("sort_by", |rdd| rdd.sort_by(|(_, n)| *n)),
        ("zip_with_index", |rdd| rdd.zip_with_index().map(|((key, _), at)| (key, at)).evaluate()),
        ("join", |rdd| rdd.clone().join(rdd).map(|(key, (n, _))| (key, n)).evaluate()),
        ("right_outer_join", |rdd| rdd.right_outer_join(table()).map(|(key, (_, n))| (key, n)).evaluate()),
        ("subtract", |rdd| table().subtract(rdd)),
        ("union", |rdd| rdd.union(table()).evaluate()),
        ("cogroup", |rdd| rdd.cogroup(table()).map(|(key, (a, _))| (key, a.len() as u64)).evaluate()),
    ];
    for (operation, change) in refused {
        assert!(changed(1, change)[0].is_ok(), "{operation} of a process that is alone");
        for (at, outcome) in changed(2, change).into_iter().enumerate() {
            let said = outcome.expect_err(operation);
            let expected =
                format!("`{operation}` inside `transform` would see only the records of process {at} of 2");
            assert!(said.contains(&expected), "{operation}: {said}");
        }
    }
}

#[test]
fn what_is_not_made_of_the_batch_would_be_there_once_a_process() {
    assert_eq!(together(1, |_| table()).len(), 8);
    for outcome in changed(2, |_| table()) {
        let said = outcome.unwrap_err();
        assert!(said.contains("each of the 2 processes would add it"), "{said}");
    }
    assert!(together(2, |_| Rdd::parallelize(vec![])).is_empty());
}

#[test]
fn the_operators_of_a_stream_behind_a_transform_see_all_processes() {
    let nums = vec![(0..40u64).collect::<Vec<_>>()];
    let counts = cluster(2, |at, end| {
        let (out, own) = (Collected::new(), part(&nums, at, 2));
        let ssc = dstream::stream!(batch = 1s, conf = config(START).exchange(end), {
            let nums = queue_stream(own);
            nums.transform(|rdd| rdd.filter(|n| n % 2 == 0)).count().collect_to(&out);
        })
        .unwrap();
        ssc.run_batches(1).unwrap();
        out.values().concat()
    });
    assert_eq!(counts.concat(), [20]);
}
