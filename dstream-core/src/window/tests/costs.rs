//! What a window does, and what it keeps.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

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
        // For each key and batch: in at the end, at a flip, and for the result.
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
        let input = b.partials(&OP, 1, Ok(vec![sink.finish()]), |a, b| a + b);
        let rdd = window.step(&b, &OP, input, |a, b| a + b, |a, b| a - b, |_, _| true);
        assert_eq!(rdd.map(|rdd| rdd.count()).ok(), Some(100 * k.min(2) as u64));
        most = most.max(window.index_bound());
    }
    assert!(most <= 1_000, "{most}");
}

/// When most keys have left, the rest are given new places, and everything that knows the old ones follows.
#[test]
fn a_table_that_shrinks_loses_nothing() {
    let mut window = InverseByKeyAndWindow::new(spec(3, 1), 1);
    let mut other = ReduceByKeyAndWindow::new(spec(3, 1), 1);
    let mut stream = Vec::new();
    for k in 1..=14usize {
        let b = batch(k);
        // Many keys, most of which leave; the others come in every batch until they leave one by one, and
        // stand behind the many.
        let many = if k % 5 == 1 { 3_000u32 } else { 0 };
        let pairs: Vec<(u32, String)> = (0..many)
            .chain(5_000 + 2 * k as u32..5_100 - 2 * k as u32)
            .map(|key| (key, format!("{k}-{key} ")))
            .collect();
        stream.push(Some(pairs));
        let input = || partials(&b, &stream[k - 1], 1, concat);
        let found = outcome(window.step(&b, &OP, input(), concat, strip, |_, _| true));
        let others = outcome(other.step(&b, &OP, input(), concat, |_, _| true));
        let expected = naive(&stream, k, (3, 1), concat);
        assert!(found == expected && others == expected, "batch {k}");
    }
    assert!(window.index_bound() < 1_000 && other.index_bound() < 1_000, "{}", window.index_bound());
}
