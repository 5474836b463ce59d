//! Windows and state in whole pipelines: the lecture's transcripts, and the forms against each other.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dstream::{Str, prelude::*, testing::ManualClock};
use proptest::{collection::vec, prelude::*};

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

fn counts(pairs: &[(&str, u64)]) -> Vec<(Str, u64)> {
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
            .named("inverse")
            .collect_to(&inverse);
        words.count_by_value_and_window(3s, 2s).collect_to(&values);
        pairs
            .group_by_key_and_window(3s, 2s)
            .map_values(|ones| ones.iter().sum::<u64>())
            .collect_to(&grouped);
        words.window(3s, 2s).map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b).collect_to(&whole);
        words.count_by_window(3s, 2s).collect_to(&counted);
        words.map(|word| word.len()).reduce_by_window(|a, b| a + b, |a, b| a - b, 3s, 2s).collect_to(&total);
        words
            .map(|word| word.len())
            .reduce_by_window(|a, b| a.max(b), 3s, 2s)
            .named("longest")
            .collect_to(&longest);
    })?;
    ssc.run_batches(8)?;
    let naive: Vec<Vec<(Str, u64)>> = [2usize, 4, 6, 8]
        .map(|end| {
            let mut counts = BTreeMap::new();
            for word in input[end.saturating_sub(3)..end].iter().flatten().flat_map(|line| line.split(' ')) {
                *counts.entry(Str::from(word)).or_insert(0) += 1;
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
            |user: &Str, click: Option<u64>, state: &mut State<u64>| match click {
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

/// What a batch comes to is made once, however many windows and plain operators want it.
#[test]
fn operators_that_reduce_alike_reduce_once() -> dstream::Result<()> {
    let (folder, calls) = (tempfile_dir(), Arc::new(AtomicU64::new(0)));
    let (batch, short, long) = (Collected::new(), Collected::new(), Collected::new());
    let counted = calls.clone();
    let ssc = dstream::stream!(batch = 1s, conf = at(0), checkpoint = folder.path(), {
        let ones = queue_stream(vec![vec![("a", 1u64); 1_000]; 2]);
        ones.reduce_by_key(|a, b| a + b + 0 * counted.fetch_add(1, Relaxed)).collect_to(&batch);
        ones.reduce_by_key_and_window(|a, b| a + b + 0 * counted.fetch_add(1, Relaxed), 2s)
            .collect_to(&short);
        ones.reduce_by_key_and_window(|a, b| a + b + 0 * counted.fetch_add(1, Relaxed), |a, b| a - b, 9s, 1s)
            .named("long")
            .collect_to(&long);
    })?;
    ssc.run_batches(1)?;
    assert_eq!(calls.swap(0, Relaxed), 999);
    ssc.run_batches(1)?;
    // And what the windows themselves put together.
    assert!((999..=1_005).contains(&calls.load(Relaxed)), "{calls:?}");
    assert_eq!(batch.values()[1], counts(&[("a", 1_000)]));
    assert_eq!([short.values().remove(1), long.values().remove(1)].concat(), counts(&[("a", 2_000); 2]));
    Ok(())
}

#[test]
fn a_shared_reduction_keeps_partitions() -> dstream::Result<()> {
    let [one, three, window] = [0; 3].map(|n| Arc::new(AtomicU64::new(n)));
    let found = [one.clone(), three.clone(), window.clone()];
    let ssc = dstream::stream!(batch = 1s, conf = at(0), {
        let pairs = queue_stream(vec![vec![("a", 1u64), ("a", 1)]]);
        let three = pairs.reduce_by_key(|a, b| a + b, partitions = 3);
        let recent = pairs.reduce_by_key_and_window(|a, b| a + b, 1s, partitions = 3);
        pairs
            .reduce_by_key(|a, b| a + b, partitions = 1)
            .foreach_rdd(|rdd| found[0].store(rdd.num_partitions() as u64, Relaxed));
        three.foreach_rdd(|rdd| found[1].store(rdd.num_partitions() as u64, Relaxed));
        recent.foreach_rdd(|rdd| found[2].store(rdd.num_partitions() as u64, Relaxed));
    })?;
    ssc.run_batches(1)?;
    assert_eq!([one, three, window].map(|n| n.load(Relaxed)), [1, 3, 3]);
    Ok(())
}

#[test]
fn a_shared_reduction_fails_where_its_function_is_written() -> dstream::Result<()> {
    let out = Collected::new();
    let line = line!() + 3;
    let ssc = dstream::stream!(batch = 1s, conf = at(0), {
        let pairs = queue_stream(vec![vec![("a", 0), ("a", 1)], vec![], vec![("a", 4)]]);
        pairs.reduce_by_key_and_window(|a, b| 4 / a + b, 2s).collect_to(&out);
        pairs.reduce_by_key(|a, b| 4 / a + b).collect_to(&out);
    })?;
    let error = ssc.run_batches(1).map_err(|error| error.to_string());
    let place = format!("windows.rs:{line}");
    assert!(
        error.as_ref().is_err_and(|e| e.contains(&place) && e.contains("reduce_by_key_and_window")),
        "{error:?}"
    );
    // The batch is lost to the window as long as it is in it, and to nothing else.
    assert!(ssc.run_batches(1).is_err() && ssc.run_batches(1).is_ok());
    assert_eq!(out.values(), [vec![], vec![("a".into(), 4)], vec![("a".into(), 4)]]);
    Ok(())
}

/// Two variables of one name, as a macro has them, are two reducers.
#[test]
fn variables_of_one_name_are_told_apart() -> dstream::Result<()> {
    let (ours, theirs) = (Collected::new(), Collected::new());
    macro_rules! both {
        ($more:ident) => {{
            let more = 100;
            dstream::stream!(batch = 1s, {
                let nums = queue_stream(vec![vec![1, 2]]);
                nums.reduce(|a, b| a + b + more).collect_to(&ours);
                nums.reduce(|a, b| a + b + $more).collect_to(&theirs);
            })
        }};
    }
    let more = 1;
    both!(more)?.run_batches(1)?;
    assert_eq!((ours.values(), theirs.values()), (vec![vec![103]], vec![vec![4]]));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Written with other names, the same closures are not shared.
    #[test]
    fn sharing_changes_no_result(batches in vec(vec((0u8..5, 0i64..100), 0..40), 1..12)) {
        let run = || -> dstream::Result<_> {
            let folder = tempfile_dir();
            let shared: [Collected<(u8, i64)>; 4] = std::array::from_fn(|_| Collected::new());
            let alone: [Collected<(u8, i64)>; 4] = std::array::from_fn(|_| Collected::new());
            let groups: [Collected<(u8, Vec<i64>)>; 2] = std::array::from_fn(|_| Collected::new());
            let ssc = dstream::stream!(batch = 1s, conf = at(0), checkpoint = folder.path(), {
                let pairs = queue_stream(batches.clone());
                pairs.reduce_by_key(|a, b| a + b).collect_to(&shared[0]);
                pairs.reduce_by_key_and_window(|a, b| a + b, 3s).collect_to(&shared[1]);
                pairs.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 4s, 2s).named("shared \
                    2").collect_to(&shared[2]);
                let sums = pairs.update_state_by_key(|new: &[i64], old| {
                    Some(old.unwrap_or(0) + new.iter().sum::<i64>())
                });
                sums.collect_to(&shared[3]);
                pairs.reduce_by_key(|a, other| a + other).collect_to(&alone[0]).named("alone 0");
                pairs.reduce_by_key_and_window(|b, a| b + a, 3s).named("alone 1").collect_to(&alone[1]);
                pairs.reduce_by_key_and_window(|x, y| x + y, |x, y| x - y, 4s, 2s).named("alone \
                    2").collect_to(&alone[2]);
                pairs.map(|pair| pair).group_by_key_and_window(12s, 1s).map_values(|v| v.iter().sum::<i64>())
                    .collect_to(&alone[3]);
                pairs.group_by_key_and_window(2s).named("groups 0").collect_to(&groups[0]);
                pairs.map(|pair| pair).group_by_key_and_window(2s).named("groups 1").collect_to(&groups[1]);
            })?;
            ssc.run_batches(batches.len())?;
            Ok((shared.map(|out| out.batches()), alone.map(|out| out.batches()),
                groups.map(|out| out.batches())))
        };
        let (shared, alone, [group, other]) = run().map_err(|e| TestCaseError::fail(e.to_string()))?;
        for (shared, alone) in shared.into_iter().zip(alone) {
            let sorted = |batches: Vec<(Time, Vec<(u8, i64)>)>| -> Vec<_> {
                batches.into_iter().map(|(time, batch)| (time, batch.into_iter().collect::<BTreeMap<_, _>>()))
                    .collect()
            };
            prop_assert_eq!(sorted(shared), sorted(alone));
        }
        prop_assert_eq!(group, other);
    }
}
