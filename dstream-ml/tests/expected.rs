//! The same centers, weights and predictions as pyspark.mllib 3.5 on the same batches: `expected.py` says how
//! its values were made.

use dstream::{
    ml::{
        KMeansState, LabeledPoint, LinearState, Model, ModelHandle, StreamingKMeans,
        StreamingLinearRegressionWithSGD, StreamingLogisticRegressionWithSGD, TimeUnit,
    },
    model::{Next, Part},
    prelude::*,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    kmeans: Vec<Case<KMeansSettings, Vec<f64>, KMeansAfter>>,
    linear: Vec<Case<SgdSettings, (f64, Vec<f64>), SgdAfter>>,
    logistic: Vec<Case<SgdSettings, (f64, Vec<f64>), SgdAfter>>,
    random_centers: Vec<RandomCenters>,
}

#[derive(Deserialize)]
struct Case<S, T, A> {
    name: String,
    settings: S,
    /// The partitions of each batch.
    batches: Vec<Vec<Vec<T>>>,
    probes: Vec<Vec<f64>>,
    after: Vec<A>,
}

#[derive(Deserialize)]
struct KMeansSettings {
    k: usize,
    decay: f64,
    unit: String,
    half_life: Option<f64>,
    centers: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct KMeansAfter {
    centers: Vec<Vec<f64>>,
    weights: Vec<f64>,
    predictions: Vec<usize>,
}

#[derive(Deserialize)]
struct SgdSettings {
    step: f64,
    iterations: u32,
    fraction: f64,
    reg: f64,
    tolerance: f64,
    weights: Vec<f64>,
}

#[derive(Deserialize)]
struct SgdAfter {
    weights: Vec<f64>,
    predictions: Vec<f64>,
}

#[derive(Deserialize)]
struct RandomCenters {
    k: usize,
    dimensions: usize,
    weight: f64,
    seed: u64,
    centers: Vec<Vec<f64>>,
}

fn expected() -> Expected {
    serde_json::from_str(include_str!("expected.json")).expect("expected.json is what expected.py writes")
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let bound = 1e-6 * expected.abs().max(1e-9);
        assert!((found - expected).abs() <= bound, "{what}: found {found}, expected {expected}");
    }
}

/// What `train_on` does with the partitions of a batch.
fn learn<M: Model>(model: &mut M, batch: &[Vec<M::Example>]) {
    for round in 0.. {
        let part = |(partition, examples): (usize, &Vec<M::Example>)| {
            model.summarize(Part { round, partition, examples }).expect("a summary")
        };
        let parts = batch.iter().enumerate().map(part).collect();
        if model.update(round, parts).expect("an update") == Next::Done {
            return;
        }
    }
}

/// Runs the batches through a pipeline, and returns the model after each.
fn run<M: Model>(model: &ModelHandle<M>, batches: &[Vec<Vec<M::Example>>]) -> Vec<M> {
    let out = Collected::new();
    let dir = tempfile::tempdir().expect("a folder");
    let queue: Vec<Vec<M::Example>> = batches.iter().map(|parts| parts.concat()).collect();
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        queue_stream(queue).train_on(model).collect_to(&out);
    })
    .expect("a context");
    ssc.run_batches(batches.len()).expect("all batches");
    out.values().concat()
}

fn kmeans(settings: &KMeansSettings) -> StreamingKMeans {
    let unit = if settings.unit == "batches" { TimeUnit::Batches } else { TimeUnit::Points };
    let algorithm = StreamingKMeans::new(settings.k)
        .decay_factor(settings.decay)
        .time_unit(unit)
        .initial_centers(settings.centers.clone(), settings.weights.clone());
    match settings.half_life {
        Some(half_life) => algorithm.half_life(half_life, unit),
        None => algorithm,
    }
}

#[test]
fn clusters_are_those_of_spark() {
    for Case { name, settings, batches, probes, after } in expected().kmeans {
        let model = kmeans(&settings).build().expect("a model");
        let mut by_hand = model.latest().as_ref().clone();
        let in_pipeline = run(&model, &batches);
        for (t, (batch, expected)) in batches.iter().zip(&after).enumerate() {
            learn(&mut by_hand, batch);
            for model in [&by_hand, &in_pipeline[t]] {
                let what = format!("{name}, batch {t}");
                assert_near(&model.centers().concat(), &expected.centers.concat(), &what);
                assert_near(model.weights(), &expected.weights, &what);
                let predictions: Vec<usize> =
                    probes.iter().map(|p| model.predict(p).expect("a cluster")).collect();
                assert_eq!(predictions, expected.predictions, "{what}");
            }
        }
    }
}

fn check_sgd<M>(case: Case<SgdSettings, (f64, Vec<f64>), SgdAfter>, model: ModelHandle<M>)
where
    M: Model<Example = LabeledPoint, Features = Vec<f64>, Prediction = f64, State = LinearState>,
{
    let Case { name, settings, batches, probes, after } = case;
    let point = |(label, features): (f64, Vec<f64>)| LabeledPoint { label, features };
    let batches: Vec<Vec<Vec<LabeledPoint>>> = batches
        .into_iter()
        .map(|batch| batch.into_iter().map(|part| part.into_iter().map(point).collect()).collect())
        .collect();
    let mut by_hand = model.latest().as_ref().clone();
    let in_pipeline = run(&model, &batches);
    for (t, (batch, expected)) in batches.iter().zip(&after).enumerate() {
        learn(&mut by_hand, batch);
        let mut models = vec![&by_hand];
        // A queue has a partition a batch, and mini-batches are drawn by partition.
        if settings.fraction == 1.0 || batch.len() == 1 {
            models.push(&in_pipeline[t]);
        }
        for model in models {
            let what = format!("{name}, batch {t}");
            assert_near(&model.state().weights, &expected.weights, &what);
            let predictions: Vec<f64> = probes.iter().map(|p| model.predict(p).expect("a value")).collect();
            assert_near(&predictions, &expected.predictions, &what);
        }
    }
}

#[test]
fn linear_regressions_are_those_of_spark() {
    for case in expected().linear {
        let SgdSettings { step, iterations, fraction, tolerance, ref weights, .. } = case.settings;
        let model = StreamingLinearRegressionWithSGD::new()
            .step_size(step)
            .iterations(iterations)
            .mini_batch_fraction(fraction)
            .convergence_tol(tolerance)
            .initial_weights(weights.clone())
            .build()
            .expect("a model");
        check_sgd(case, model);
    }
}

#[test]
fn logistic_regressions_are_those_of_spark() {
    for case in expected().logistic {
        let SgdSettings { step, iterations, fraction, tolerance, reg, ref weights } = case.settings;
        let model = StreamingLogisticRegressionWithSGD::new()
            .step_size(step)
            .iterations(iterations)
            .mini_batch_fraction(fraction)
            .convergence_tol(tolerance)
            .reg_param(reg)
            .initial_weights(weights.clone())
            .build()
            .expect("a model");
        check_sgd(case, model);
    }
}

#[test]
fn random_centers_are_those_of_spark() {
    for RandomCenters { k, dimensions, weight, seed, centers } in expected().random_centers {
        let model =
            StreamingKMeans::new(k).random_centers(dimensions, weight, seed).build().expect("a model");
        assert_near(&model.latest().centers().concat(), &centers.concat(), "random centers");
        assert_eq!(model.latest().weights(), vec![weight; k]);
    }
}

/// What is exported is all that a model needs to begin with.
#[test]
fn a_model_goes_through_json() {
    for case in expected().kmeans {
        let model = kmeans(&case.settings).build().expect("a model");
        let mut model = model.latest().as_ref().clone();
        learn(&mut model, &case.batches[0]);
        let json = model.to_json();
        let state: KMeansState = serde_json::from_str(&json).expect("JSON");
        assert_eq!(state, model.state());
        let again = StreamingKMeans::new(case.settings.k).initial_json(&json).build().expect("a model");
        assert_eq!(again.latest().centers(), model.centers());
    }
    let linear =
        StreamingLinearRegressionWithSGD::new().initial_weights(vec![0.1, -2.0]).build().expect("a model");
    assert_eq!(linear.latest().to_json(), r#"{"weights":[0.1,-2.0]}"#);
    let error =
        StreamingKMeans::new(2).initial_json(&linear.latest().to_json()).build().unwrap_err().to_string();
    assert!(error.contains("missing field `centers`") && error.contains("`to_json`"), "{error}");
}
