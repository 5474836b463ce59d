//! A program as several processes: process 0 leads, and what it has in its outputs and its checkpoint is what
//! one process alone would have.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use dstream::{
    Error,
    prelude::*,
    testing::{LoopbackCluster, LoopbackProcess, ManualClock},
};

type Counts = BTreeMap<String, u64>;

const START: u64 = 10_000;

fn config(start: u64) -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis(start))).threads(1).partitions(8)
}

/// Runs `process` as each of so many processes, and gives the results in their order.
fn cluster<T: Send>(processes: usize, process: impl Fn(usize, LoopbackProcess) -> T + Sync) -> Vec<T> {
    let cluster = LoopbackCluster::new(processes);
    run(&cluster, processes, process)
}

fn run<T: Send>(
    cluster: &LoopbackCluster,
    processes: usize,
    process: impl Fn(usize, LoopbackProcess) -> T + Sync,
) -> Vec<T> {
    let process = &process;
    thread::scope(|scope| {
        let running: Vec<_> = (0..processes)
            .map(|at| (at, cluster.process(at)))
            .map(|(at, end)| scope.spawn(move || process(at, end)))
            .collect();
        running
            .into_iter()
            .map(|process| process.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn text(error: dstream::Result<()>) -> String {
    error.err().map(|error| error.to_string()).unwrap_or_default()
}

/// Files of words, and how often each word is there.
fn files(folder: &Path) -> Counts {
    let mut counts = Counts::new();
    for file in 0..12 {
        let words: Vec<_> = (0..500 * (file + 1)).map(|n| format!("word{}", n * n % (90 + file))).collect();
        words.iter().for_each(|word| *counts.entry(word.clone()).or_default() += 1);
        fs::write(folder.join(format!("{file:02}.txt")), words.join("\n")).unwrap();
    }
    counts
}

#[test]
fn files_are_divided_and_the_outputs_are_those_of_process_0() {
    let folder = tempfile::tempdir().unwrap();
    let expected = files(folder.path());
    let mut first: Option<Vec<_>> = None;
    for processes in [1, 2, 3, 5] {
        let lines = Arc::new((0..processes).map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
        let all = cluster(processes, |at, end| {
            let (counts, partitions) = (Collected::new(), Arc::new(Mutex::new(Vec::new())));
            let (lines, seen) = (Arc::clone(&lines), Arc::clone(&partitions));
            let ssc = dstream::stream!(batch = 1s, conf = config(START).exchange(end), {
                let words = text_file_stream(folder.path()).map(move |line| {
                    lines[at].fetch_add(1, SeqCst);
                    line
                });
                let counted = words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
                counted.collect_to(&counts);
                counted.foreach_rdd(move |rdd| seen.lock().unwrap().push(rdd.num_partitions()));
            })
            .unwrap();
            ssc.run_to_end().unwrap();
            let partitions = partitions.lock().unwrap().clone();
            (counts.values(), partitions)
        });
        let (counts, partitions) = &all[0];
        assert_eq!(partitions, &[8], "as many as in one process");
        let found: Counts = counts[0].iter().map(|(word, n)| (word.to_string(), *n)).collect();
        assert_eq!(found, expected);
        // Also in the same order.
        assert_eq!(first.get_or_insert_with(|| counts.clone()), counts, "{processes} processes");
        for (counts, partitions) in &all[1..] {
            assert!(counts.is_empty() && partitions.is_empty(), "outputs are those of process 0");
        }
        let lines: Vec<_> = lines.iter().map(|lines| lines.load(SeqCst)).collect();
        assert!(lines.iter().all(|lines| *lines > 0), "everybody has a part: {lines:?}");
        assert_eq!(lines.iter().sum::<usize>() as u64, expected.values().sum::<u64>());
    }
}

/// Totals, a window, and the number of records, over batches of words.
fn stateful(batches: Vec<Vec<String>>, conf: Config, checkpoint: &Path) -> dstream::Result<[Vec<Counts>; 3]> {
    let (totals, recent, few) = (Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, {
        let words = queue_stream(batches);
        let pairs = words.map(|word| (word, 1u64));
        let counted = pairs.update_state_by_key(|new: &[u64], old: Option<u64>| {
            Some(old.unwrap_or(0) + new.iter().sum::<u64>())
        });
        counted.collect_to(&totals);
        let windowed = pairs.reduce_by_key_and_window(|a, b| a + b, 3s, 1s);
        windowed.collect_to(&recent);
        let counts = pairs.count_by_window(2s, 1s);
        counts.map(|n| ("all".to_owned(), n)).collect_to(&few);
    })?;
    ssc.run_to_end()?;
    let shown = |out: &Collected<(String, u64)>| {
        out.values().into_iter().map(|batch| batch.into_iter().collect()).collect()
    };
    Ok([shown(&totals), shown(&recent), shown(&few)])
}

#[test]
fn state_goes_on_with_any_number_of_processes() {
    let batch =
        |salt: usize| -> Vec<String> { (0..200).map(|n| format!("k{}", (n * n + salt) % 37)).collect() };
    let lives: Vec<Vec<Vec<String>>> =
        (0..6).map(|life| (0..3).map(|at| batch(life * 3 + at)).collect()).collect();
    let (alone, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (life, (batches, processes)) in lives.iter().zip([2, 2, 3, 1, 4, 1]).enumerate() {
        let start = START + 3_000 * life as u64;
        let expected = stateful(batches.clone(), config(start), alone.path()).unwrap();
        let all = cluster(processes, |at, end| {
            // What a source that can't be divided has belongs to process 0.
            let batches = if at == 0 { batches.clone() } else { vec![vec!["of nobody".to_owned()]; 3] };
            stateful(batches, config(start).exchange(end), shared.path()).unwrap()
        });
        assert_eq!(all[0], expected, "life {life}, {processes} processes");
    }
}

#[test]
fn a_process_that_is_gone_ends_all_and_nothing_is_lost_or_doubled() {
    let batches = |life: u64| -> Vec<Vec<String>> {
        (0..4).map(|n| vec![format!("k{}", n % 3), format!("of life {life}")]).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let processes = 3;
    let loopback = LoopbackCluster::new(processes);
    let done = AtomicUsize::new(0);
    let life = |at: usize, end: LoopbackProcess, life: u64, dies: Option<usize>| {
        let totals = Collected::new();
        let conf = config(START + 10_000 * life).exchange(end);
        let (loopback, done) = (&loopback, &done);
        thread::scope(|_| {
            let batches = batches(life);
            let (loopback, count) = (loopback.clone(), Arc::new(AtomicUsize::new(0)));
            let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = folder.path(), {
                let words = queue_stream(batches);
                let pairs = words.map(move |word| {
                    // In the third batch.
                    if count.fetch_add(1, SeqCst) == 5
                        && let Some(dies) = dies
                    {
                        loopback.kill(dies);
                    }
                    (word, 1u64)
                });
                let counted = pairs.update_state_by_key(|new: &[u64], old: Option<u64>| {
                    Some(old.unwrap_or(0) + new.iter().sum::<u64>())
                });
                counted.collect_to(&totals);
            })
            .unwrap();
            let outcome = ssc.run_to_end();
            done.fetch_add(at, SeqCst);
            (outcome, totals.values())
        })
    };
    let all = run(&loopback, processes, |at, end| life(at, end, 0, Some(2)));
    for (outcome, _) in &all {
        assert!(matches!(outcome, Err(Error::Exchange(_))), "{outcome:?}");
        assert!(text(outcome.clone()).contains("process 2 "), "{outcome:?}");
    }
    assert_eq!(all[0].1.len(), 2, "the third batch has no output");
    // The queue of a new process has its own batches; what the first life has committed is there.
    let loopback = LoopbackCluster::new(processes);
    let all = run(&loopback, processes, |at, end| life(at, end, 1, None));
    all.iter().for_each(|(outcome, _)| assert!(outcome.is_ok(), "{outcome:?}"));
    let last: Counts = all[0].1.last().unwrap().iter().cloned().collect();
    assert_eq!(last["of life 0"], 2);
    // The batch that had begun runs again without its records, which a queue has not any more.
    assert_eq!(last["of life 1"], 4);
}

#[test]
fn processes_of_different_programs_are_refused_at_the_start() {
    let program = |conf: Config, checkpoint: &Path, edited: bool| {
        let out = Collected::new();
        let ssc = match edited {
            false => dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, {
                queue_stream(vec![vec![1u64]]).collect_to(&out);
            }),
            true => dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, {
                queue_stream(vec![vec![1u64]]).map(|n| n + 1).collect_to(&out);
            }),
        };
        text(ssc.and_then(|ssc| ssc.run_to_end()))
    };
    let (shared, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let all = cluster(2, |at, end| program(config(START).exchange(end), shared.path(), at == 1));
    assert!(
        all[0].contains("process 1 can't take part: its pipelines are not those of process 0"),
        "{all:?}"
    );
    assert!(all[1].contains("all processes must run the same program"), "{all:?}");
    // Both find the checkpoint of process 0, or the program does not start.
    let all = cluster(2, |_, end| program(config(START).exchange(end), shared.path(), false));
    assert_eq!(all, ["", ""]);
    let all = cluster(2, |at, end| {
        let folder = if at == 0 { shared.path() } else { other.path() };
        program(config(START + 10_000).exchange(end), folder, false)
    });
    assert!(all[0].contains("storage that all of them share"), "{all:?}");
    assert!(all[1].contains("storage that all of them share"), "{all:?}");
}

/// No serde.
#[derive(Debug, Clone)]
struct Opaque(u64);

impl dstream::Record for Opaque {
    type Owned = Opaque;

    fn own(self) -> Opaque {
        self
    }
}

#[test]
fn records_that_can_not_be_sent_are_an_error_where_they_are_put_out() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let all = cluster(2, |_, end| {
        let ssc = dstream::stream!(batch = 1s, conf = config(START).exchange(end), {
            text_file_stream(folder.path()).map(|line| Opaque(line.len() as u64)).foreach_rdd(|rdd| {
                rdd.iter().for_each(|Opaque(n)| assert!(*n > 0));
            });
        })
        .unwrap();
        text(ssc.run_to_end())
    });
    for said in all {
        assert!(said.contains("`foreach_rdd` at tests/cluster.rs"), "{said}");
        assert!(said.contains("can't be sent to process 0"), "{said}");
    }
    // Unless process 0 has all of them.
    let all = cluster(2, |_, end| {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let ssc = dstream::stream!(batch = 1s, conf = config(START).exchange(end), {
            queue_stream(vec![vec![1u64, 2]]).map(Opaque).foreach_rdd(move |rdd| {
                count.fetch_add(rdd.iter().map(|Opaque(n)| *n as usize).sum(), SeqCst);
            });
        })
        .unwrap();
        ssc.run_to_end().unwrap();
        seen.load(SeqCst)
    });
    assert_eq!(all, [3, 0]);
}

#[test]
fn a_failure_of_one_process_is_one_of_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let checkpoint = tempfile::tempdir().unwrap();
    let run = |start: u64, fails: bool| {
        cluster(2, |at, end| {
            let totals = Collected::new();
            let conf = config(start).exchange(end);
            let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint.path(), {
                let words = text_file_stream(folder.path()).map(move |word| {
                    assert!(!(fails && at == 1 && word == "word4"), "four is too many");
                    (word, 1u64)
                });
                let counted = words.update_state_by_key(|new: &[u64], old: Option<u64>| {
                    Some(old.unwrap_or(0) + new.iter().sum::<u64>())
                });
                counted.collect_to(&totals);
            })
            .unwrap();
            (text(ssc.run_to_end()), totals.values())
        })
    };
    let all = run(START, true);
    assert!(all[0].0.contains("four is too many"), "{:?}", all[0].0);
    assert!(all[0].1.is_empty());
    // The checkpoint has stayed before that batch, which runs again when the program is mended.
    let all = run(START + 10_000, false);
    assert_eq!((&all[0].0[..], &all[1].0[..]), ("", ""));
    let totals: Counts = all[0].1.last().unwrap().iter().map(|(word, n)| (word.to_string(), *n)).collect();
    let again = tempfile::tempdir().unwrap();
    assert_eq!(totals, files(again.path()));
}
