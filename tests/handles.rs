//! Streams that a pipeline publishes: they start other pipelines, and can be asked for their latest batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dstream::{Error, Str, prelude::*, testing::ManualClock};

fn at(seconds: u64) -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis(seconds * 1_000)))
}

const fn s(seconds: u64) -> Time {
    Time::from_millis(seconds * 1_000)
}

fn message<T>(result: dstream::Result<T>) -> String {
    result.map(drop).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_stream_starts_other_pipelines_and_is_computed_once() -> dstream::Result<()> {
    let (calls, counts, long, both) =
        (Arc::new(AtomicU64::new(0)), Collected::new(), Collected::new(), Collected::new());
    let counted = calls.clone();
    let (ssc, words) = dstream::stream!(batch = 1s, conf = at(0), {
        let lines = queue_stream(vec![vec!["to be"], vec![], vec!["or not to be"]]);
        lines.flat_map(|line| line.split(' ')).map(|word| {
            counted.fetch_add(1, Relaxed);
            word
        })
    })?;
    // A variable may be named several times; it is one stream.
    let again = words.clone();
    let lengths = dstream::stream!(ssc, {
        again.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b, partitions = 1).collect_to(&counts);
        let lengths = again.filter(|word| word.len() > 2).map(|word: Str| word.len());
        lengths.collect_to(&long);
        lengths
    })?;
    dstream::stream!(ssc, {
        let lengths = lengths.map(|n| n as u64);
        (&words).map(|word| word.len() as u64).union(lengths).reduce(|a, b| a + b).collect_to(&both);
    })?;
    ssc.run_batches(3)?;
    assert_eq!(calls.load(Relaxed), 6);
    let pairs = |words: &[&str]| words.iter().map(|word| ((*word).into(), 1u64)).collect::<Vec<_>>();
    assert_eq!(counts.values(), [pairs(&["to", "be"]), vec![], pairs(&["or", "not", "to", "be"])]);
    assert_eq!(long.values(), [vec![], vec![], vec![3]]);
    assert_eq!(both.values(), [vec![4], vec![], vec![12]]);
    Ok(())
}

#[test]
fn slices_follow_the_grid_of_the_stream() -> dstream::Result<()> {
    let (ssc, nums) = dstream::stream!(batch = 1s, conf = at(10), {
        queue_stream((1..=9).map(|n| vec![n]).collect::<Vec<_>>()).window(2s, 2s).map(|n| n * 10)
    })?;
    nums.remember(Duration::from_secs(6));
    let place = "`slice` of `map` at tests/handles.rs:";
    let error = message(nums.slice(s(0), s(9)));
    assert!(error.starts_with(place) && error.contains("no batch has run yet"), "{error}");
    ssc.run_batches(7)?;
    let sliced = |from, to| -> dstream::Result<Vec<(u64, Vec<i32>)>> {
        let batches = nums.slice(from, to)?.into_iter();
        Ok(batches.map(|(time, rdd)| (time.as_millis() / 1_000, rdd.collect())).collect())
    };
    // The zero time is 10. Both ends are rounded down to the even seconds.
    assert_eq!(sliced(s(13), s(15))?, [(12, vec![10, 20]), (14, vec![30, 40])]);
    assert_eq!(sliced(s(17), s(17))?, [(16, vec![50, 60])]);
    assert_eq!(sliced(s(0), s(13))?, [(12, vec![10, 20])]);
    assert_eq!(sliced(s(3), s(10))?, []);
    let error = message(nums.slice(s(14), s(13)));
    assert!(error.starts_with(place) && error.contains("after its end"), "{error}");
    let error = message(nums.slice(s(14), s(18)));
    assert!(error.contains("has not run yet: the newest is that of"), "{error}");
    ssc.run_batches(1)?;
    assert_eq!(sliced(s(14), s(19))?.len(), 3);
    let error = message(nums.slice(s(12), s(18)));
    assert!(
        error.contains("is not remembered, only those from") && error.contains("remember(duration)"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_windowed_stream_keeps_its_slide() -> dstream::Result<()> {
    let (ssc, pairs) = dstream::stream!(batch = 1s, conf = at(0), {
        queue_stream((1..=8).map(|n| vec![n]).collect::<Vec<_>>()).window(2s, 2s)
    })?;
    let (sums, out) = (Collected::new(), Collected::new());
    dstream::stream!(ssc, {
        (&pairs).reduce(|a, b| a + b).collect_to(&sums);
        (&pairs).window(4s).count().collect_to(&out);
    })?;
    let error = message(dstream::stream!(ssc, { (&pairs).window(3s).print() }));
    assert!(error.contains("not a multiple of the slide of its stream, 2s"), "{error}");
    let error = message(dstream::stream!(ssc, {
        let nums = queue_stream(vec![vec![1]]);
        (&pairs).union(nums).print();
    }));
    assert!(error.contains("`union`") && error.contains("2s and 1s"), "{error}");
    ssc.run_batches(4)?;
    assert_eq!(sums.batches(), [(s(2), vec![3]), (s(4), vec![7])]);
    assert_eq!(out.batches(), [(s(2), vec![2]), (s(4), vec![4])]);
    Ok(())
}

#[test]
fn a_stream_of_another_context_is_refused() -> dstream::Result<()> {
    let (_first, nums) = dstream::stream!(batch = 1s, { queue_stream(vec![vec![1]]).map(|n| n + 1) })?;
    let second = StreamingContext::new(Duration::from_secs(1))?;
    let error = message(dstream::stream!(second, { nums.print() }));
    assert!(error.contains("`map` at tests/handles.rs:") && error.contains("another context"), "{error}");
    Ok(())
}

#[test]
fn a_failed_batch_fails_what_reads_it() -> dstream::Result<()> {
    let out = Collected::new();
    let (ssc, nums) = dstream::stream!(batch = 1s, conf = at(0), {
        queue_stream(vec![vec![1u64], vec![0], vec![2]]).map(|n| 10 / n)
    })?;
    dstream::stream!(ssc, { (&nums).collect_to(&out) })?;
    nums.remember(Duration::from_secs(9));
    assert!(ssc.run_batches(1).is_ok());
    let error = ssc.run_batches(1);
    assert!(matches!(&error, Err(Error::Job(failure)) if failure.operator == "map"), "{error:?}");
    ssc.run_batches(1)?;
    assert_eq!(out.batches(), [(s(1), vec![10]), (s(3), vec![5])]);
    assert_eq!(nums.slice(s(3), s(3))?.len(), 1);
    assert!(matches!(nums.slice(s(1), s(3)), Err(Error::Job(failure)) if failure.time == s(2)));
    Ok(())
}

/// Knows how often any of its kind was owned.
struct Costly;

static OWNED: AtomicU64 = AtomicU64::new(0);

impl Record for Costly {
    type Owned = u64;

    fn own(self) -> u64 {
        OWNED.fetch_add(1, Relaxed)
    }
}

#[test]
fn a_stream_without_a_handle_is_not_collected() -> dstream::Result<()> {
    let (ssc, costly) = dstream::stream!(batch = 1s, conf = at(0), {
        queue_stream(vec![vec![1, 2], vec![3], vec![4]]).map(|_| Costly)
    })?;
    let other = costly.clone();
    ssc.run_batches(2)?;
    assert_eq!(OWNED.load(Relaxed), 3);
    // Only the last batch is kept.
    assert_eq!(costly.slice(s(2), s(2))?.len(), 1);
    assert!(message(costly.slice(s(1), s(2))).contains("not remembered"));
    drop((costly, other));
    ssc.run_batches(1)?;
    assert_eq!(OWNED.load(Relaxed), 3);
    Ok(())
}

/// What a handle had is gone after a restart, so the batch is published again, though outputs that have run
/// are not repeated.
#[test]
fn a_batch_that_runs_again_is_handed_out_again() -> dstream::Result<()> {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
    let (input, checkpoint) = (dir.path().join("in"), dir.path().join("checkpoint"));
    let written = std::fs::create_dir(&input).and_then(|()| std::fs::write(input.join("file"), "a\nb\n"));
    written.unwrap_or_else(|error| panic!("{error}"));
    let live = |crash: bool| -> dstream::Result<_> {
        let (first, second) = (Collected::new(), Collected::new());
        let (ssc, lines) =
            dstream::stream!(batch = 1s, checkpoint = checkpoint.clone(), conf = at(4_000_000_000), {
                let lines = (text_file_stream(&input).new_files_only(false).settle(Duration::ZERO));
                lines.count().collect_to(&first);
                lines
            })?;
        dstream::stream!(ssc, {
            lines.map(|line| (!crash).then_some(line).ok_or("told to").unwrap()).collect_to(&second);
        })?;
        let outcome = ssc.run_batches(1);
        Ok((outcome.is_ok(), first.values(), second.values()))
    };
    assert_eq!(live(true)?, (false, vec![vec![2]], vec![]));
    assert_eq!(live(false)?, (true, vec![], vec![vec!["a".into(), "b".into()]]));
    Ok(())
}
