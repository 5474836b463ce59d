//! Windows and state in whole pipelines: the lecture's transcripts, and the forms against each other.

use std::{collections::BTreeMap, time::Duration};

use dstream::{CompactString, ManualClock, prelude::*};

fn words(batches: &[&str]) -> Vec<Vec<String>> {
    batches.iter().map(|line| if line.is_empty() { vec![] } else { vec![(*line).to_owned()] }).collect()
}

fn sorted<T: Ord + Clone>(batches: Vec<Vec<T>>) -> Vec<Vec<T>> {
    batches
        .into_iter()
        .map(|mut batch| {
            batch.sort();
            batch
        })
        .collect()
}

fn counts(pairs: &[(&str, u64)]) -> Vec<(CompactString, u64)> {
    pairs.iter().map(|(word, n)| ((*word).into(), *n)).collect()
}

fn at(seconds: u64) -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis(seconds * 1_000)))
}

#[test]
fn a_window_of_ten_seconds_that_slides_by_five() -> dstream::Result<()> {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 5s, conf = at(0), {
        let words = queue_stream(words(&["", "hello", "world", "", "", ""])).flat_map(|line| line.split(' '));
        words.map(|word| (word, 1u64)).reduce_by_key_and_window(|a, b| a + b, 10s, 5s).collect_to(&out);
    })?;
    ssc.run_batches(6)?;
    let (hello, world) = (counts(&[("hello", 1)]), counts(&[("world", 1)]));
    let both = counts(&[("hello", 1), ("world", 1)]);
    assert_eq!(sorted(out.values()), [vec![], hello, both, world, vec![], vec![]]);
    Ok(())
}

#[test]
fn forms_of_windows_agree() -> dstream::Result<()> {
    let folder = tempfile_dir();
    let input = words(&["a b a", "b", "", "c a", "a", "b b b", "", ""]);
    let (plain, inverse, values, grouped) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let (total, counted, longest, whole) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = at(0), checkpoint = folder.path(), {
        let words = queue_stream(input.clone()).flat_map(|line| line.split(' '));
        let pairs = words.map(|word| (word, 1u64));
        pairs.reduce_by_key_and_window(|a, b| a + b, 3s, 2s).collect_to(&plain);
        pairs
            .reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 3s, 2s, partitions = 3)
            .collect_to(&inverse);
        words.count_by_value_and_window(3s, 2s).collect_to(&values);
        pairs
            .group_by_key_and_window(3s, 2s)
            .map_values(|ones| ones.iter().sum::<u64>())
            .collect_to(&grouped);
        words.window(3s, 2s).map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).collect_to(&whole);
        words.count_by_window(3s, 2s).collect_to(&counted);
        words.map(|word| word.len()).reduce_by_window(|a, b| a + b, |a, b| a - b, 3s, 2s).collect_to(&total);
        words.map(|word| word.len()).reduce_by_window(|a, b| a.max(b), 3s, 2s).collect_to(&longest);
    })?;
    ssc.run_batches(8)?;
    let naive: Vec<Vec<(CompactString, u64)>> = [2usize, 4, 6, 8]
        .map(|end| {
            let mut counts = BTreeMap::new();
            for word in input[end.saturating_sub(3)..end].iter().flatten().flat_map(|line| line.split(' ')) {
                *counts.entry(CompactString::from(word)).or_insert(0) += 1;
            }
            counts.into_iter().collect()
        })
        .to_vec();
    for form in [&plain, &inverse, &values, &grouped, &whole] {
        assert_eq!(sorted(form.values()), naive);
    }
    let sums: Vec<u64> = naive.iter().map(|counts| counts.iter().map(|(_, n)| n).sum()).collect();
    assert_eq!(counted.values().concat(), sums);
    assert_eq!(
        total.values(),
        sums.iter().map(|n| if *n == 0 { vec![] } else { vec![*n as usize] }).collect::<Vec<_>>()
    );
    assert_eq!(longest.values().concat(), [1; 4]);
    let times: Vec<u64> = plain.batches().iter().map(|(time, _)| time.as_millis()).collect();
    assert_eq!(times, [2_000, 4_000, 6_000, 8_000]);
    Ok(())
}

#[test]
fn a_filter_hides_and_does_not_delete() -> dstream::Result<()> {
    let folder = tempfile_dir();
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, conf = at(0), checkpoint = folder.path(), {
        let pairs = queue_stream(vec![vec![("a", 1)], vec![("a", 1)], vec![("a", 1)], vec![]]);
        pairs
            .reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 2s, 1s, filter = |_, n| *n > 1)
            .collect_to(&out);
    })?;
    ssc.run_batches(4)?;
    assert_eq!(out.values(), [vec![], vec![("a".into(), 2)], vec![("a".into(), 2)], vec![]]);
    Ok(())
}

#[test]
fn initial_state_is_there_before_any_data() -> dstream::Result<()> {
    let folder = tempfile_dir();
    let initial = vec![("hello", 1u64), ("world", 1)];
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, checkpoint = folder.path(), {
        let pairs = queue_stream(words(&["", "hello", "aaa", "world"]))
            .flat_map(|line| line.split(' '))
            .map(|w| (w, 1u64));
        let running = pairs.update_state_by_key(
            |new: &[u64], old: Option<u64>| Some(old.unwrap_or(0) + new.iter().sum::<u64>()),
            initial = initial,
        );
        running.collect_to(&out);
    })?;
    ssc.run_batches(4)?;
    assert_eq!(
        sorted(out.values()),
        [
            counts(&[("hello", 1), ("world", 1)]),
            counts(&[("hello", 2), ("world", 1)]),
            counts(&[("aaa", 1), ("hello", 2), ("world", 1)]),
            counts(&[("aaa", 1), ("hello", 2), ("world", 2)]),
        ]
    );
    Ok(())
}

#[test]
fn sessions_time_out() -> dstream::Result<()> {
    let folder = tempfile_dir();
    let (events, snapshots) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = at(0), checkpoint = folder.path(), {
        let clicks =
            queue_stream(vec![vec![("ann", 1u64), ("bob", 1)], vec![("ann", 1)], vec![], vec![], vec![]]);
        let (ended, open) = clicks.map_with_state(
            |user: &CompactString, click: Option<u64>, state: &mut State<u64>| match click {
                Some(n) => {
                    state.update(state.get().copied().unwrap_or(0) + n);
                    None
                }
                None => Some((user.clone(), state.get().copied().unwrap_or(0))),
            },
            timeout = 2s,
        );
        ended.collect_to(&events);
        open.collect_to(&snapshots);
    })?;
    ssc.run_batches(5)?;
    assert_eq!(events.values(), [vec![], vec![], vec![], counts(&[("bob", 1)]), counts(&[("ann", 2)])]);
    assert_eq!(sorted(snapshots.values())[1], counts(&[("ann", 2), ("bob", 1)]));
    assert!(snapshots.values()[4].is_empty());
    Ok(())
}

#[test]
fn windows_of_run_time_lengths_are_checked_when_the_context_is_built() {
    let length = Duration::from_millis(2_500);
    let built = dstream::stream!(batch = 1s, { queue_stream(vec![vec![1]]).window(length).print() });
    let error = built.map(drop).map_err(|e| e.to_string());
    assert!(
        error.as_ref().is_err_and(|e| e.contains("window") && e.contains("windows.rs") && e.contains("2.5s")),
        "{error:?}"
    );
}

#[test]
fn streams_that_meet_must_slide_alike() {
    let slide = Duration::from_secs(2);
    let built = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1]]);
        nums.window(slide, slide).union(nums).print();
    });
    let error = built.map(drop).map_err(|e| e.to_string());
    assert!(
        error.as_ref().is_err_and(|e| e.contains("union") && e.contains("2s") && e.contains("1s")),
        "{error:?}"
    );
}

fn tempfile_dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}
