//! Windows against their definition.

use proptest::prelude::*;

use super::*;

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
            pairs.as_ref().map(|pairs| pairs.iter().map(|(key, v)| (key.clone(), vec![v.clone()])).collect())
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
        stream in proptest::collection::vec(
            proptest::collection::vec((0u8..4, -2i64..3), 0..6).prop_map(Some), 1..24),
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
        stream in proptest::collection::vec(
            proptest::option::weighted(0.9, proptest::collection::vec("[a-c]", 0..4)), 1..24),
        (length, slide) in (1usize..30, 1usize..7),
        restart in restarts(),
    ) {
        let window = |k| naive_window(&stream, k, length, slide);
        let input = |b: &Batch<'_>, k: usize| match &stream[k - 1] {
            Some(records) => Ok(Rdd::from_partitions(records.chunks(2).map(<[String]>::to_vec))),
            None => Err(failure(b)),
        };
        let reduced = |b: &Batch<'_>, k: usize| {
            let all = input(b, k)?.collect().into_iter().reduce(concat);
            Ok(Rdd::from_partitions([all.into_iter().collect()]))
        };
        let joined =
            |k| window(k).map(|w| w.map(|w| w.into_iter().flatten().reduce(concat).into_iter().collect()));
        check(
            stream.len(), length, restart,
            || RecordWindow::new(spec(length, slide)),
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
    let mut inner = RecordWindow::new(spec(2, 2));
    let mut outer = RecordWindow::new(spec(4, 4));
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
