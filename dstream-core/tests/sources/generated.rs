use std::time::Duration;

use dstream_core::{
    Config,
    source::{Source, generator_stream, queue_stream, rate_stream},
    testing::{ManualClock, next_batch},
};

use crate::{at, read, source_context};

fn records<S: Source, O>(source: &mut S, time: u64) -> Vec<O>
where
    S::Block: for<'a> dstream_core::source::Block<Record<'a>: dstream_core::Record<Owned = O>>,
{
    read(source, at(time)).into_iter().flat_map(Result::unwrap).collect()
}

#[test]
fn a_rate_has_exactly_the_rows_that_are_due() {
    let mut rate = rate_stream(10);
    rate.start(&source_context(&ManualClock::new(at(2_500)), Config::new())).unwrap();
    assert_eq!(records(&mut rate, 3_000), (0..10).collect::<Vec<_>>());
    assert_eq!(records(&mut rate, 4_000), (10..20).collect::<Vec<_>>());
    // A batch that comes late, and one that comes again.
    assert_eq!(records(&mut rate, 7_000), (20..50).collect::<Vec<_>>());
    assert!(records(&mut rate, 7_000).is_empty());
}

#[test]
fn a_rate_that_does_not_divide_loses_no_row() {
    let mut rate = rate_stream(7);
    let mut context = source_context(&ManualClock::new(at(0)), Config::new());
    context.interval = Duration::from_millis(300);
    rate.start(&context).unwrap();
    let rows: Vec<Vec<u64>> = (1..=1000).map(|batch| records(&mut rate, batch * 300)).collect();
    assert!(rows.iter().all(|rows| rows.len() == 2 || rows.len() == 3));
    assert_eq!(rows.concat(), (0..2_100).collect::<Vec<_>>());
}

#[test]
fn many_rows_are_cut_into_partitions() {
    let mut rate = rate_stream(100_000);
    rate.start(&source_context(&ManualClock::new(at(0)), Config::new())).unwrap();
    let blocks = read(&mut rate, at(1_000));
    assert_eq!(blocks.len(), 16);
    assert_eq!(
        blocks.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>(),
        (0..100_000).collect::<Vec<_>>()
    );
    // More than anybody can count: the rows are made while they are read.
    let mut rate = rate_stream(u64::MAX);
    rate.start(&source_context(&ManualClock::new(at(0)), Config::new())).unwrap();
    assert_eq!(next_batch(&mut rate, at(1_000)).unwrap().last().map(|rows| rows.end), Some(u64::MAX));
    assert!(next_batch(&mut rate, at(2_000)).unwrap().is_empty());
    assert_eq!(next_batch(&mut rate_stream(0), at(1_000)).unwrap(), []);
}

#[test]
fn a_generator_counts_its_rows() {
    let mut squares = generator_stream(3, |n| n * n);
    assert_eq!(records(&mut squares, 1_000), [0, 1, 4]);
    assert_eq!(records(&mut squares, 2_000), [9, 16, 25]);
    let mut many = generator_stream(5_000, |n| n);
    assert_eq!(read(&mut many, at(1_000)).len(), 5);
    assert_eq!(next_batch(&mut generator_stream(0, |n| n), at(1_000)).unwrap().len(), 0);
}

#[test]
fn a_queue_has_modes() {
    let queued = || vec![vec![1, 2], vec![], vec![3]];
    let batches = |mut queue: dstream_core::source::QueueStream<i32>| -> Vec<Vec<i32>> {
        (1..=5).map(|batch| records(&mut queue, batch)).collect()
    };
    assert_eq!(batches(queue_stream(queued())), [vec![1, 2], vec![], vec![3], vec![], vec![]]);
    assert_eq!(
        batches(queue_stream(queued()).all_at_once()),
        [vec![1, 2, 3], vec![], vec![], vec![], vec![]]
    );
    assert_eq!(
        batches(queue_stream(queued()).default_batch(vec![0, 0])),
        [vec![1, 2], vec![], vec![3], vec![0, 0], vec![0, 0]]
    );
    assert_eq!(
        batches(queue_stream(queued()).all_at_once().default_batch(vec![0])),
        [vec![1, 2, 3], vec![0], vec![0], vec![0], vec![0]]
    );
}
