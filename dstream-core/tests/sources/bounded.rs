use std::{fs, time::Duration};

use dstream_core::{
    Config, ContextState,
    source::{queue_stream, rate_stream, socket_text_stream, text_file_stream},
    testing::{Collected, TestSource},
};

use crate::{Folder, Reported};

#[test]
fn every_source_is_drained_and_the_context_stopped() {
    let out = Collected::new();
    let numbers = TestSource::new();
    let source = numbers.clone();
    numbers.push(vec![1]);
    let ssc = dstream::stream!(batch = 1s, {
        let queued = queue_stream(vec![vec![10], vec![], vec![30]]);
        queued.union(source).collect_to(&out);
    })
    .unwrap();
    ssc.run_to_end().unwrap();
    assert_eq!(out.values(), [vec![10, 1], vec![], vec![30]]);
    assert_eq!(ssc.state(), ContextState::Stopped);
    let error = ssc.run_to_end().unwrap_err().to_string();
    assert!(error.contains("make a new one"), "{error}");
}

#[test]
fn nothing_is_no_batch() {
    let out = Collected::<u8>::new();
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(Vec::<Vec<u8>>::new()).collect_to(&out);
    })
    .unwrap();
    ssc.run_to_end().unwrap();
    assert!(out.values().is_empty());
}

#[test]
fn all_files_that_are_there_are_one_batch() {
    let folder = Folder::new();
    let out = Collected::new();
    let files = text_file_stream(folder.path()).new_files_only(true).settle(Duration::from_secs(3_600));
    let ssc = dstream::stream!(batch = 1s, {
        files.collect_to(&out);
    })
    .unwrap();
    folder.write("a", "old\n", 1_000);
    fs::write(folder.join("b"), "new\n").unwrap();
    folder.write("c", "future\n", 100 * 365 * 24 * 3_600_000);
    folder.write("_d", "ignored\n", 1_000);
    ssc.run_to_end().unwrap();
    assert_eq!(out.values(), [["old", "new", "future"]]);
}

#[test]
fn a_file_that_cannot_be_read_is_returned_when_all_else_is_done() {
    let folder = Folder::new();
    let out = Collected::new();
    let reported = Reported::default();
    let files = text_file_stream(folder.path());
    let ssc = dstream::stream!(batch = 1s, conf = reported.config(), {
        files.collect_to(&out);
    })
    .unwrap();
    folder.write("a", "one\n", 1_000);
    folder.write("b.gz", "no gzip", 2_000);
    folder.write("c", "two\n", 3_000);
    let error = ssc.run_to_end().unwrap_err().to_string();
    assert!(error.contains("/b.gz`"), "{error}");
    assert_eq!(out.values(), [["one", "two"]]);
    assert_eq!(reported.take(), [error]);
}

#[test]
fn a_missing_folder_is_an_error() {
    let folder = Folder::new();
    let out = Collected::new();
    for (path, expected) in [("none", "can't be listed"), ("none-*", "no folder matches")] {
        let files = text_file_stream(folder.join(path));
        let ssc = dstream::stream!(batch = 1s, {
            files.collect_to(&out);
        })
        .unwrap();
        let error = ssc.run_to_end().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_failed_batch_is_returned_when_the_rest_has_run() {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1], vec![0], vec![0], vec![4]]).map(|n| 12 / n).collect_to(&out);
    })
    .unwrap();
    let error = ssc.run_to_end().unwrap_err().to_string();
    assert!(error.contains("`map`") && error.contains("divide by zero"), "{error}");
    assert_eq!(out.values(), [[12], [3]]);
}

#[test]
fn a_source_without_end_is_refused_by_name() {
    let (numbers, lines) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64]]).union(rate_stream(5)).collect_to(&numbers);
    })
    .unwrap();
    let error = ssc.run_to_end().unwrap_err().to_string();
    assert!(error.starts_with("source `rate_stream(5)`: has no end"), "{error}");
    assert!(numbers.values().is_empty());
    assert_eq!(ssc.state(), ContextState::Stopped);

    let ssc = dstream::stream!(batch = 1s, {
        socket_text_stream("127.0.0.1", 9).collect_to(&lines);
    })
    .unwrap();
    let error = ssc.run_to_end().unwrap_err().to_string();
    assert!(error.starts_with("source `socket_text_stream(127.0.0.1:9)`: has no end"), "{error}");
}

#[test]
fn a_batch_may_end_the_run() {
    let out = Collected::new();
    let ssc = dstream::StreamingContext::with_config(Duration::from_secs(1), Config::new()).unwrap();
    let handle = ssc.clone();
    let ssc = dstream::stream!(ssc, {
        let numbers = queue_stream((0..).map(|n| vec![n]));
        numbers.collect_to(&out);
        numbers.foreach_rdd(|rdd| {
            if rdd.iter().any(|n| *n == 3) {
                handle.stop();
            }
        });
    })
    .unwrap();
    ssc.run_to_end().unwrap();
    assert_eq!(out.values(), [[0], [1], [2], [3]]);
    assert_eq!(ssc.state(), ContextState::Stopped);
}

#[test]
fn only_a_fresh_context_runs_to_its_end() {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1], vec![2]]).collect_to(&out);
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    assert!(ssc.run_to_end().unwrap_err().to_string().contains("started or run before"));
    ssc.run_batches(1).unwrap();
    assert_eq!(out.values(), [[1], [2]]);
}
