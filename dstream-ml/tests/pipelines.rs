//! Models in pipelines: which batches a prediction knows of, and what is left after restarts and failures.

use std::{fs, path::Path, thread, time::Duration};

use dstream::{
    ml::{
        KMeansModel, KMeansState, LabeledPoint, ModelHandle, StreamingKMeans,
        StreamingLinearRegressionWithSGD,
    },
    prelude::*,
    testing::{LoopbackCluster, ManualClock},
};

const START: u64 = 4_000_000_000;

fn conf(batch: u64) -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis((START + batch) * 1_000))).threads(2)
}

/// One cluster, which forgets nothing: its center is the mean of all points, its weight their number.
fn mean() -> ModelHandle<KMeansModel> {
    StreamingKMeans::new(1).initial_centers(vec![vec![0.0]], vec![0.0]).build().expect("a model")
}

/// Two centers, of which the second, at 10.0, has hardly any weight: it goes where its first point is.
fn two() -> ModelHandle<KMeansModel> {
    let centers = vec![vec![0.0], vec![10.0]];
    StreamingKMeans::new(2).initial_centers(centers, vec![1.0, 1e-3]).build().expect("a model")
}

fn put(folder: &Path, name: &str, text: &str) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, text)
        .and_then(|()| fs::rename(&hidden, folder.join(name)))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn numbers(line: &str) -> Option<Vec<f64>> {
    Some(vec![line.parse().ok()?])
}

/// As the original does: outputs run in the order of their statements, and so does training.
#[test]
fn predictions_know_the_batches_before_their_statement() {
    let model = two();
    let (above, below, keyed) = (Collected::new(), Collected::new(), Collected::new());
    let dir = tempfile::tempdir().expect("a folder");
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        // The nearest center of 8.0 is the second one, until that has moved to 20.0.
        let points = queue_stream(vec![vec![vec![6.0]], vec![vec![20.0], vec![20.0]], vec![vec![6.0]]]);
        let probes = points.map(|_| vec![8.0]);
        probes.predict_on(&model).collect_to(&above);
        points.filter(|point| point[0] > 6.0).train_on(&model);
        probes.predict_on(&model).collect_to(&below).named("below");
        probes.map(|probe| ("a key", probe)).predict_on_values(&model).collect_to(&keyed);
    })
    .expect("a context");
    ssc.run_batches(3).expect("all batches");
    assert_eq!(above.values(), [vec![1], vec![1, 1], vec![0]]);
    assert_eq!(below.values(), [vec![1], vec![0, 0], vec![0]]);
    assert_eq!(keyed.values()[2], [("a key".into(), 0)]);
}

/// The order of several pipelines is that in which they were added; the model needs no output.
#[test]
fn pipelines_share_a_model() {
    let model = two();
    let out = Collected::new();
    let dir = tempfile::tempdir().expect("a folder");
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        queue_stream(vec![vec![vec![20.0]]]).train_on(&model);
    })
    .expect("a context");
    dstream::stream!(ssc, { queue_stream(vec![vec![vec![8.0]]]).predict_on(&model).collect_to(&out) })
        .expect("a pipeline");
    ssc.run_batches(1).expect("a batch");
    assert_eq!(out.values(), [[0]]);
    assert!(model.latest().centers()[1][0] > 19.9);
}

/// The sum of a batch whose output fails is not in the checkpoint: it is learned again, and once.
#[test]
fn a_batch_that_runs_again_is_learned_once() {
    let (input, checkpoint) =
        (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let run = |batch: u64, fails: bool| {
        let model = mean();
        let ssc = dstream::stream!(batch = 1s, conf = conf(batch), checkpoint = checkpoint.path(), {
            let lines = (text_file_stream(input.path()).new_files_only(false).settle(Duration::ZERO));
            let points = lines.filter_map(numbers);
            let model_of_batch = points.train_on(&model);
            model_of_batch.foreach_rdd(move |_rdd| if fails { Err("the output fails") } else { Ok(()) });
        })
        .expect("a context");
        let outcome = ssc.run_batches(1);
        assert_eq!(outcome.is_err(), fails);
        model.latest()
    };
    put(input.path(), "first", "1\n3\n");
    assert_eq!(run(1, false).weights(), [2.0]);
    put(input.path(), "second", "5\n");
    // Within the failed run it is learned, and forgotten with it; twice.
    assert_eq!(run(2, true).weights(), [3.0]);
    assert_eq!(run(3, true).weights(), [3.0]);
    let model = run(4, false);
    assert_eq!((model.weights(), model.centers()), (&[3.0][..], &[vec![3.0]][..]));
}

/// What is learned is restored with the settings of the program that goes on.
#[test]
fn an_edited_program_goes_on_with_the_model() {
    let checkpoint = tempfile::tempdir().expect("a folder");
    let run = |batch: u64, algorithm: StreamingKMeans, points: Vec<Vec<f64>>| {
        let model = algorithm.build().expect("a model");
        let ssc = dstream::stream!(batch = 1s, conf = conf(batch), checkpoint = checkpoint.path(), {
            queue_stream(vec![points]).train_on(&model).named("the model");
        })
        .expect("a context");
        ssc.run_batches(1).map(|()| model.latest())
    };
    let begin = |k: usize| StreamingKMeans::new(k).random_centers(1, 0.0, 7);
    let first = run(1, begin(1), vec![vec![2.0], vec![4.0]]).expect("a batch");
    assert_eq!((first.centers(), first.weights()), (&[vec![3.0]][..], &[2.0][..]));
    let second = run(2, begin(1).decay_factor(0.5), vec![vec![6.0]]).expect("a batch");
    assert_eq!((second.centers(), second.weights()), (&[vec![4.5]][..], &[2.0][..]));
    let error = run(3, begin(2), vec![vec![6.0]]).expect_err("another number of clusters").to_string();
    assert!(error.contains("found 1 centers with 1 weights, expected 2 of each"), "{error}");
    assert!(error.contains("the model"), "{error}");
    let wide = StreamingKMeans::new(1).random_centers(3, 0.0, 7);
    let error = run(3, wide, vec![vec![6.0]]).expect_err("another number of dimensions").to_string();
    assert!(error.contains("found centers of 1 dimensions, expected 3"), "{error}");
    // Neither has touched what is there.
    let third = run(3, begin(1), vec![]).expect("a batch");
    assert_eq!(third.centers(), [[4.5]]);
}

/// Of an older program that kept something else under the name.
#[test]
fn an_older_state_is_migrated() {
    let checkpoint = tempfile::tempdir().expect("a folder");
    let points = || vec![vec![LabeledPoint { label: 2.0, features: vec![1.0] }]];
    let begin = StreamingLinearRegressionWithSGD::new().initial_weights(vec![0.0]);
    let linear = begin.build().expect("a model");
    let ssc = dstream::stream!(batch = 1s, conf = conf(1), checkpoint = checkpoint.path(), {
        queue_stream(points()).train_on(&linear).named("model");
    })
    .expect("a context");
    ssc.run_batches(1).expect("a batch");
    drop(ssc);
    let model = mean();
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, conf = conf(2), checkpoint = checkpoint.path(), {
        let points = queue_stream(vec![vec![vec![4.0]]]);
        let trained = points
            .train_on(
                &model,
                migrate = |old: dstream::ml::LinearState| KMeansState {
                    centers: vec![old.weights],
                    weights: vec![1.0],
                },
            )
            .named("model");
        trained.map(|model| model.weights().to_vec()).collect_to(&out);
    })
    .expect("a context");
    ssc.run_batches(1).expect("a batch");
    assert_eq!(out.values(), [[vec![2.0]]]);
    let weight = linear.latest().weights()[0];
    assert!((model.latest().centers()[0][0] - (weight + 4.0) / 2.0).abs() < 1e-12);
}

/// A model that has lost a batch says no more; what was learned before it is still there to read.
#[test]
fn a_batch_that_is_refused_is_lost_until_a_restart() {
    let model = mean();
    let out = Collected::new();
    let dir = tempfile::tempdir().expect("a folder");
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        let points = queue_stream(vec![vec![vec![2.0]], vec![vec![1.0, 2.0]], vec![vec![4.0]]]);
        points.train_on(&model);
        points.map(|_| vec![1.0]).predict_on(&model).collect_to(&out);
    })
    .expect("a context");
    let errors: Vec<String> = (0..3).filter_map(|_| Some(ssc.run_batches(1).err()?.to_string())).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    for error in &errors {
        assert!(error.contains("`train_on`") && error.contains("pipelines.rs"), "{error}");
        assert!(error.contains("a point has 2 dimensions, and the model 1"), "{error}");
    }
    assert_eq!(out.values(), [[0]]);
    assert_eq!(model.latest().weights(), [1.0]);
}

#[test]
fn a_record_that_is_refused_fails_only_what_needs_it() {
    let model = mean();
    let (answers, count) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        let points = queue_stream(vec![vec![vec![f64::NAN]], vec![vec![1.0]]]);
        points.predict_on(&model).collect_to(&answers);
        points.count().collect_to(&count);
    })
    .expect("a context");
    let error = ssc.run_batches(1).expect_err("no answer for NaN").to_string();
    assert!(error.contains("`predict_on`") && error.contains("dimension 0 of a point is NaN"), "{error}");
    ssc.run_batches(1).expect("a batch");
    assert_eq!((answers.values(), count.values()), (vec![vec![0]], vec![vec![1], vec![1]]));
}

#[test]
fn a_model_is_trained_by_one_operator() {
    let model = mean();
    let dir = tempfile::tempdir().expect("a folder");
    let make = || {
        dstream::stream!(batch = 1s, checkpoint = dir.path(), {
            let points = queue_stream(vec![vec![vec![1.0]]]);
            points.filter(|point| point[0] < 0.0).train_on(&model).named("small");
            points.train_on(&model).named("all");
        })
    };
    let error = make().expect_err("two of them").to_string();
    assert!(error.contains("trained by another operator already") && error.contains("`union`"), "{error}");
    // What was refused holds nothing.
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        queue_stream(vec![vec![vec![1.0]]]).train_on(&model);
    })
    .expect("a context");
    ssc.run_batches(1).expect("a batch");
    assert_eq!(model.latest().weights(), [1.0]);
}

/// A window is learned when it is due, and predictions of a windowed stream use that.
#[test]
fn windows_are_learned_when_they_are_due() {
    let model = mean();
    let dir = tempfile::tempdir().expect("a folder");
    let ssc = dstream::stream!(batch = 1s, checkpoint = dir.path(), {
        let points = queue_stream(vec![vec![vec![1.0]], vec![vec![3.0]], vec![vec![100.0]]]);
        points.window(2s, 2s).train_on(&model);
    })
    .expect("a context");
    ssc.run_batches(3).expect("three batches");
    assert_eq!((model.latest().weights(), model.latest().centers()), (&[2.0][..], &[vec![2.0]][..]));
}

/// Every process has the same model, of the points of all.
#[test]
fn processes_learn_together() {
    let points: Vec<LabeledPoint> = (0..90)
        .map(|n| {
            let features = vec![f64::from(n % 7) - 3.0, f64::from(n % 5) - 2.0];
            LabeledPoint { label: 3.0 * features[0] - features[1], features }
        })
        .collect();
    let run = |processes: usize| {
        let cluster = LoopbackCluster::new(processes);
        let ends: Vec<_> = (0..processes).map(|at| cluster.process(at)).collect();
        let process = |at: usize, end| {
            let begin =
                StreamingLinearRegressionWithSGD::new().initial_weights(vec![0.0; 2]).convergence_tol(0.0);
            let model = begin.build().expect("a model");
            let dir = tempfile::tempdir().expect("a folder");
            let out = Collected::new();
            let part = points.len() / processes;
            let mine = vec![points[at * part..(at + 1) * part].to_vec(), Vec::new(), points[..at].to_vec()];
            let conf = conf(1).exchange(end).partitions(4);
            let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = dir.path(), {
                let points = queue_stream(mine);
                points.train_on(&model).collect_to(&out);
            })
            .expect("a context");
            ssc.run_batches(2).expect("two batches");
            (model.latest().weights().to_vec(), out.values().concat().len())
        };
        thread::scope(|scope| {
            let running: Vec<_> =
                ends.into_iter().enumerate().map(|(at, end)| scope.spawn(move || process(at, end))).collect();
            running.into_iter().map(|process| process.join().expect("no panic")).collect::<Vec<_>>()
        })
    };
    let alone = run(1);
    let together = run(3);
    for (weights, _) in &together {
        assert_eq!(*weights, together[0].0);
        for (found, expected) in weights.iter().zip(&alone[0].0) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }
    // One process has the model of each batch as a record.
    assert_eq!(together.iter().map(|(_, models)| *models).collect::<Vec<_>>(), [2, 0, 0]);
}

/// A process that can't learn a batch fails it in all of them, and none waits for it.
#[test]
fn processes_fail_together() {
    let cluster = LoopbackCluster::new(2);
    let ends: Vec<_> = (0..2).map(|at| cluster.process(at)).collect();
    let errors: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = ends
            .into_iter()
            .enumerate()
            .map(|(at, end)| {
                scope.spawn(move || {
                    let model = mean();
                    let dir = tempfile::tempdir().expect("a folder");
                    let points = if at == 0 { vec![vec![1.0]] } else { vec![vec![1.0, 2.0]] };
                    let queue = vec![points, vec![vec![5.0]]];
                    let conf = conf(1).exchange(end).partitions(4);
                    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = dir.path(), {
                        queue_stream(queue).train_on(&model);
                    })
                    .expect("a context");
                    let errors: Vec<_> = (0..2).filter_map(|_| ssc.run_batches(1).err()).collect();
                    assert_eq!(errors.len(), 2, "{errors:?}");
                    errors[0].to_string()
                })
            })
            .collect();
        running.into_iter().map(|process| process.join().expect("no panic")).collect()
    });
    assert!(errors.iter().all(|error| error.contains("2 dimensions, and the model 1")), "{errors:?}");
    assert!(errors[0].contains("process 1"), "{}", errors[0]);
}
