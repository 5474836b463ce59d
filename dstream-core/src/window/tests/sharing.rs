//! Results and inputs that somebody else holds.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

#[test]
fn windows_share_partitions_and_partials() {
    let mut window = RecordWindow::new(spec(3, 1));
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

/// Where the records of the partitions are.
fn places<T>(rdd: &Rdd<T>) -> Vec<*const T> {
    rdd.partitions().map(<[T]>::as_ptr).collect()
}

#[test]
fn a_result_is_changed_in_place_unless_it_is_held() {
    let mut window = InverseByKeyAndWindow::new(spec(3, 1), 2);
    let mut slide = |k: usize, least: usize| {
        let b = batch(k);
        let pairs = Some((0..40u32).map(|key| (key, k)).collect());
        let sums = partials(&b, &pairs, 2, |a, b| a + b);
        window.step(&b, &OP, sums, |a, b| a + b, |a, b| a - b, |_, sum| *sum >= least).unwrap()
    };
    let at = places(&slide(1, 0));
    assert_eq!(places(&slide(2, 0)), at);
    let held = slide(3, 0);
    assert_eq!(places(&held), at);
    assert!(places(&slide(4, 0)).iter().all(|place| !at.contains(place)));
    assert!(held.iter().all(|(_, sum)| *sum == 1 + 2 + 3));
    // What is shown of it is a copy where something is hidden.
    let at = places(&slide(5, 0));
    assert_eq!(slide(6, 100).count(), 0);
    assert_eq!(places(&slide(7, 0)), at);
}

#[test]
fn what_did_not_change_is_not_made_again() {
    let calls = AtomicUsize::new(0);
    let f = |a: u64, b: u64| {
        calls.fetch_add(1, Ordering::Relaxed);
        a.max(b)
    };
    let mut window = ReduceByKeyAndWindow::new(spec(10, 1), 1);
    for k in 1..=14 {
        // Many keys before and after the flip, when the first batch leaves; from then on one.
        let many = if k == 5 || k == 12 { 100u32 } else { 1 };
        let pairs = Some((0..many).map(|key| (key, k)).collect());
        let b = batch(k as usize);
        let input = partials(&b, &pairs, 1, f);
        if k == 13 {
            calls.store(0, Ordering::Relaxed);
        }
        let found = window.step(&b, &OP, input, f, |_, _| true).unwrap();
        assert!(k < 13 || found.count() == 100);
    }
    assert!(calls.into_inner() <= 3 * 2);
}

proptest! {
    /// Whoever keeps results has what they were, and who does not the same.
    #[test]
    fn held_results_do_not_change(
        stream in streams(),
        (length, slide) in (1usize..12, 1usize..4),
        held in proptest::collection::vec(0usize..4, 24),
        buckets in 1usize..4,
    ) {
        let hidden = |_: &String, value: &String| value != "a";
        let mut windows = (
            InverseByKeyAndWindow::new(spec(length, slide), buckets),
            ReduceByKeyAndWindow::new(spec(length, slide), buckets),
            GroupByKeyAndWindow::new(spec(length, slide), buckets),
        );
        // Each with what it had at first, and the batch until which it is kept.
        let mut results: Vec<(usize, Rdd<(String, String)>, Vec<_>)> = Vec::new();
        let mut grouped: Vec<(usize, Rdd<(String, Vec<String>)>, Vec<_>)> = Vec::new();
        for k in 1..=stream.len() {
            let b = batch(k);
            let input = || partials(&b, &stream[k - 1], buckets, concat);
            let steps = [
                windows.0.step(&b, &OP, input(), concat, strip, hidden),
                windows.1.step(&b, &OP, input(), concat, hidden),
            ];
            let shown = naive(&stream, k, (length, slide), concat)
                .map(|pairs| pairs.map(|pairs| pairs.into_iter().filter(|(key, v)| hidden(key, v))
                    .collect()));
            for step in steps {
                prop_assert_eq!(outcome(step.clone()), shown.clone());
                results.extend(step.ok().map(|rdd| (k + held[k - 1], rdd.clone(), rdd.collect())));
            }
            let groups = windows.2.step(&b, &OP, groups(&b, &stream[k - 1], buckets));
            grouped.extend(groups.ok().map(|rdd| (k + held[k - 1], rdd.clone(), rdd.collect())));
            results.retain(|(until, ..)| k < *until);
            grouped.retain(|(until, ..)| k < *until);
            prop_assert!(results.iter().all(|(_, rdd, had)| rdd.collect() == *had));
            prop_assert!(grouped.iter().all(|(_, rdd, had)| rdd.collect() == *had));
        }
    }
}
