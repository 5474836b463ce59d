//! The scaler, naive Bayes and Holt-Winters against what they are by definition.

use dstream::{
    ml::{HoltWinters, LabeledPoint, Model, StandardScaler, StreamingNaiveBayes},
    model::Part,
    prelude::*,
};

fn noise(n: u64) -> f64 {
    let z = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

#[test]
fn a_scaler_has_the_moments_of_all_batches() {
    // Far from 0, where sums of squares would have no digits left.
    let points: Vec<Vec<f64>> = (0..300).map(|n| vec![1e9 + noise(n), 7.0]).collect();
    let scaler = StandardScaler::new(2).build().expect("a model");
    let mut model = scaler.latest().as_ref().clone();
    for batch in points.chunks(70) {
        let parts =
            batch.chunks(20).map(|part| model.summarize(Part { round: 0, partition: 0, examples: part }));
        let parts = parts.collect::<Result<_, _>>().expect("summaries");
        model.update(0, parts).expect("an update");
    }
    let mean = points.iter().map(|p| p[0] - 1e9).sum::<f64>() / 300.0;
    let variance = points.iter().map(|p| (p[0] - 1e9 - mean).powi(2)).sum::<f64>() / 299.0;
    assert!((model.mean()[0] - 1e9 - mean).abs() < 1e-6);
    assert!(
        (model.deviation()[0] / variance.sqrt() - 1.0).abs() < 1e-5,
        "{:?} {variance}",
        model.deviation()
    );
    assert_eq!(model.predict(&vec![1e9, 8.0]).expect("a point")[1], 0.0);
    let mut again = scaler.latest().as_ref().clone();
    again.restore(model.state()).expect("the same dimensions");
    assert_eq!(again.deviation(), model.deviation());
    assert!(StandardScaler::new(0).build().is_err());
}

/// The formulas of Spark's multinomial model, over all points at once.
#[test]
fn naive_bayes_is_that_of_all_batches() {
    let points: Vec<LabeledPoint> = (0..200)
        .map(|n| {
            let label = (n % 3) as f64 - 1.0;
            let features = (0..4).map(|d| ((n * (d + 3) + n % 3 * d) % 5) as f64).collect();
            LabeledPoint { label, features }
        })
        .collect();
    let model = StreamingNaiveBayes::new(4).lambda(0.5).build().expect("a model");
    let mut model = model.latest().as_ref().clone();
    points.chunks(33).for_each(|batch| model.learn(batch).expect("counts"));
    assert_eq!(model.classes().iter().map(|class| class.label).collect::<Vec<_>>(), [-1.0, 0.0, 1.0]);
    let probe = vec![1.0, 0.0, 2.0, 3.0];
    for (label, score) in model.scores(&probe) {
        let of: Vec<&LabeledPoint> = points.iter().filter(|point| point.label == label).collect();
        let sum = |d: usize| of.iter().map(|point| point.features[d]).sum::<f64>();
        let all: f64 = (0..4).map(sum).sum();
        let pi = ((of.len() as f64 + 0.5) / (200.0 + 3.0 * 0.5)).ln();
        let theta = |d: usize| ((sum(d) + 0.5) / (all + 4.0 * 0.5)).ln();
        let expected = pi + (0..4).map(|d| theta(d) * probe[d]).sum::<f64>();
        assert!((score - expected).abs() < 1e-9, "{label}: {score} {expected}");
    }
    let error = model.learn(&[LabeledPoint { label: 0.0, features: vec![-1.0; 4] }]).expect_err("a count");
    assert!(error.to_string().contains("a count is -1"), "{error}");
    let fresh = StreamingNaiveBayes::new(1).build().expect("a model");
    let error = fresh.latest().predict(&vec![1.0]).expect_err("no class").to_string();
    assert!(error.contains("no class is known yet"), "{error}");
}

/// Of 1,000 seeds: an outlier is found, and hardly anything else is.
#[test]
fn anomalies_stand_out() {
    let (mut found, mut false_alarms) = (0, 0);
    for seed in 0..1_000u64 {
        let mut series = HoltWinters::new(12);
        for n in 0..240u64 {
            let season = (n as f64 * std::f64::consts::TAU / 12.0).sin() * 10.0;
            let ordinary = 100.0 + 0.1 * n as f64 + season + noise(seed * 1_000 + n);
            let is_outlier = n == 150 + seed % 50;
            let score = series.observe(if is_outlier { ordinary + 15.0 } else { ordinary });
            let alarm = score.is_some_and(|score| score > 5.0);
            found += usize::from(alarm && is_outlier);
            false_alarms += usize::from(alarm && !is_outlier && n > 60);
        }
    }
    assert_eq!(found, 1_000);
    assert!(false_alarms < 1_000, "{false_alarms} of 180,000");
}

#[test]
fn a_series_without_seasons_is_followed() {
    let mut series = HoltWinters::new(0);
    for n in 0..100 {
        assert_eq!(series.observe(f64::NAN), None);
        let score = series.observe(3.0 * f64::from(n));
        assert!(score.is_none_or(|score| score < 1e3), "{n}: {score:?}");
    }
    let forecast = series.forecast().expect("a forecast");
    assert!((forecast - 300.0).abs() < 0.5, "{forecast}");
    let json = serde_json::to_string(&series).expect("JSON");
    assert_eq!(serde_json::from_str::<HoltWinters>(&json).expect("a series"), series);
}

/// Both models through the operators.
#[test]
fn a_pipeline_scales_before_it_learns() {
    let scaler = StandardScaler::new(1).build().expect("a model");
    let dir = tempfile::tempdir().expect("a folder");
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        let points = queue_stream(vec![vec![("a", vec![10.0]), ("b", vec![30.0])]]);
        points.values().train_on(&scaler);
        points.predict_on_values(&scaler).map(|(key, point)| (key, point[0].signum())).collect_to(&out);
    })
    .expect("a context");
    ssc.run_batches(1).expect("a batch");
    assert_eq!(out.values(), [[("a".into(), -1.0), ("b".into(), 1.0)]]);
}
