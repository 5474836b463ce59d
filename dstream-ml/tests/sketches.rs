//! Sketches keep their bounds, over a thousand seeds, in one piece and merged; and go through reductions,
//! windows and state.

use std::collections::BTreeMap;

use dstream::{
    ml::{HeavyHitters, HyperLogLog, Quantiles},
    prelude::*,
};

const SEEDS: u64 = 1_000;

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn distinct_counts_are_within_their_bounds() {
    for n in [10u64, 200, 3_000, 10_000] {
        let (mut squares, mut worst) = (0.0, 0.0f64);
        for seed in 0..SEEDS {
            let mut draw = Draw(seed);
            let mut parts = vec![HyperLogLog::new(); 3];
            for _ in 0..n {
                let value = draw.next();
                // Most are seen twice, in different parts.
                parts[draw.below(3) as usize].add(&value);
                parts[draw.below(3) as usize].add(&value);
            }
            let sketch = parts.into_iter().reduce(HyperLogLog::merge).expect("parts");
            let error = sketch.estimate() / n as f64 - 1.0;
            squares += error * error;
            worst = worst.max(error.abs());
        }
        let deviation = (squares / SEEDS as f64).sqrt();
        assert!(deviation < 0.018, "{n}: {deviation}");
        // Of few values, two in one register are more than that.
        assert!(worst < (2.1 / n as f64).max(0.08), "{n}: {worst}");
    }
}

#[test]
fn merged_distinct_counts_are_those_of_one_piece() {
    for seed in 0..50 {
        let mut draw = Draw(seed);
        let values: Vec<u64> = (0..draw.below(2_000)).map(|_| draw.below(1_000)).collect();
        let mut whole = HyperLogLog::new();
        values.iter().for_each(|value| whole.add(value));
        let merged = values.iter().rev().map(HyperLogLog::of).fold(HyperLogLog::new(), HyperLogLog::merge);
        assert_eq!(whole, merged);
        let json = serde_json::to_string(&whole).expect("JSON");
        assert_eq!(serde_json::from_str::<HyperLogLog>(&json).expect("a sketch"), whole);
    }
    assert_eq!(HyperLogLog::new().count(), 0);
    assert_eq!(HyperLogLog::of("text"), HyperLogLog::of(&String::from("text")));
    for wrong in [r#"{"All":[1,2]}"#, r#"{"Few":{"4096":1}}"#, r#"{"Few":{"1":60}}"#] {
        assert!(serde_json::from_str::<HyperLogLog>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn frequent_values_are_within_their_bounds() {
    for seed in 0..SEEDS {
        let mut draw = Draw(seed);
        let (counters, n) = (1 + draw.below(30) as usize, 1 + draw.below(2_000));
        let mut exact = BTreeMap::new();
        let mut parts = vec![HeavyHitters::new(counters); 1 + draw.below(5) as usize];
        for _ in 0..n {
            // A few are frequent.
            let value = (1.0 / (draw.uniform() + 1e-4)) as u64;
            *exact.entry(value).or_insert(0u64) += 1;
            let at = draw.below(parts.len() as u64) as usize;
            parts[at].add(value, 1);
        }
        let sketch = parts.into_iter().reduce(HeavyHitters::merge).expect("parts");
        assert_eq!(sketch.total(), n);
        assert!(sketch.error() * (counters as u64 + 1) <= n, "{counters} {n}: {}", sketch.error());
        for (value, count) in &exact {
            let found = sketch.count(value);
            assert!(found <= *count && *count <= found + sketch.error(), "{value}: {found} of {count}");
        }
        let top = sketch.top(counters);
        assert!(top.len() <= counters && top.is_sorted_by(|a, b| a.1 >= b.1), "{top:?}");
    }
}

#[test]
fn quantiles_are_within_their_bounds() {
    let (mut outside, mut worst) = (0, 0.0f64);
    for seed in 0..SEEDS {
        let mut draw = Draw(seed);
        let n = 5_000 + draw.below(5_000) as usize;
        let mut values: Vec<f64> = (0..n).map(|_| draw.uniform().powi(3)).collect();
        let mut parts = vec![Quantiles::new(); 1 + draw.below(4) as usize];
        let count = parts.len();
        values.iter().enumerate().for_each(|(at, value)| parts[at % count].add(*value));
        let sketch = parts.into_iter().reduce(Quantiles::merge).expect("parts");
        assert_eq!(sketch.count(), n as u64);
        values.sort_by(f64::total_cmp);
        assert_eq!(sketch.quantile(0.0), values.first().copied());
        assert_eq!(sketch.quantile(1.0), values.last().copied());
        let error = |part: f64| {
            let found = sketch.quantile(part).expect("a value");
            (values.partition_point(|value| *value <= found) as f64 / n as f64 - part).abs()
        };
        let errors = [0.01, 0.25, 0.5, 0.9, 0.99].map(error);
        outside += errors.iter().filter(|error| **error > 0.0165).count();
        worst = errors.into_iter().fold(worst, f64::max);
        let bytes = serde_json::to_string(&sketch).expect("JSON").len();
        assert!(bytes < 20_000, "{bytes} bytes");
    }
    assert!(outside <= 5 * SEEDS as usize / 100, "{outside} outside, the worst by {worst}");
    assert!(worst < 0.035, "{worst}");
}

#[test]
fn few_values_have_exact_quantiles() {
    let sketch = (1..=100).map(|n| Quantiles::of(f64::from(n))).reduce(Quantiles::merge).expect("values");
    assert_eq!(sketch.quantile(0.5), Some(50.0));
    assert_eq!(sketch.rank(25.0), 0.25);
    assert_eq!((Quantiles::new().quantile(0.5), sketch.quantile(f64::NAN)), (None, None));
}

/// All that a sketch is for: a batch, a window, a state that a restart finds again.
#[test]
fn sketches_go_through_windows_and_state() {
    let dir = tempfile::tempdir().expect("a folder");
    let (batch, window, state) = (Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        let visits =
            queue_stream(vec![vec![("/", 1u64), ("/", 2)], vec![("/", 2), ("/", 3)], vec![("/", 4)]]);
        let sketches = visits.map(|(page, user)| (page, HyperLogLog::of(&user)));
        sketches.reduce_by_key(|a, b| a.merge(b)).map(|(_, s)| s.count()).collect_to(&batch);
        let recent = sketches.reduce_by_key_and_window(|a, b| a.merge(b), 2s, 1s);
        recent.map(|(_, s)| s.count()).collect_to(&window);
        let ever = sketches.update_state_by_key(|new: &[HyperLogLog], old: Option<HyperLogLog>| {
            Some(new.iter().cloned().fold(old.unwrap_or_default(), HyperLogLog::merge))
        });
        ever.map(|(_, s)| s.count()).collect_to(&state);
    })
    .expect("a context");
    ssc.run_batches(3).expect("three batches");
    assert_eq!(batch.values(), [[2], [2], [1]]);
    assert_eq!(window.values(), [[2], [3], [3]]);
    assert_eq!(state.values(), [[2], [3], [4]]);
}
