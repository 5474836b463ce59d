//! Programs that run as several processes, which exchange bytes, do what one process does: batch by batch,
//! also after a restart and with another number of processes, and fail clearly where one of them fails.

#[path = "exchange/transforms.rs"]
mod transforms;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::Duration,
};

use dstream::{
    Bytes, Error, JobError,
    clock::CancellationToken,
    exchange::{Exchange, ExchangeError, ExchangeStep},
    prelude::*,
    testing::{LoopbackCluster, LoopbackProcess, ManualClock},
};
use proptest::prelude::*;

type Pairs = Vec<(String, u32)>;
/// By output, batch for batch, the records as text.
type Outputs = BTreeMap<&'static str, BTreeMap<u64, Vec<String>>>;

const START: u64 = 10_000;

/// Keys of all lengths, of which long ones have only their hash in common with a table.
const KEYS: [&str; 7] = [
    "",
    "a",
    "b",
    "fifteen letters",
    "sixteen letters.",
    "a key that no text of 24 bytes holds",
    "another one, as long as that",
];

fn config(start: u64) -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis(start))).threads(1).partitions(8)
}

fn shown<T: Debug + Clone>(out: &Collected<T>) -> BTreeMap<u64, Vec<String>> {
    let text = |records: Vec<T>| records.iter().map(|record| format!("{record:?}")).collect();
    out.batches().into_iter().map(|(time, records)| (time.as_millis(), text(records))).collect()
}

/// Runs `process` as each of so many processes, and gives the results in their order.
fn cluster<T: Send>(processes: usize, process: impl Fn(usize, LoopbackProcess) -> T + Sync) -> Vec<T> {
    let cluster = LoopbackCluster::new(processes);
    let ends: Vec<_> = (0..processes).map(|at| cluster.process(at)).collect();
    let process = &process;
    thread::scope(|scope| {
        let running: Vec<_> =
            ends.into_iter().enumerate().map(|(at, end)| scope.spawn(move || process(at, end))).collect();
        running
            .into_iter()
            .map(|process| process.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// The part of each batch that one of so many processes has: they are behind one another.
fn part<T: Clone>(batches: &[Vec<T>], process: usize, processes: usize) -> Vec<Vec<T>> {
    let cut = |batch: &Vec<T>, at: usize| at * batch.len() / processes;
    batches.iter().map(|batch| batch[cut(batch, process)..cut(batch, process + 1)].to_vec()).collect()
}

/// What all processes had, in their order.
fn union(all: Vec<Outputs>) -> Outputs {
    let mut whole = Outputs::new();
    for outputs in all {
        for (name, batches) in outputs {
            for (time, records) in batches {
                whole.entry(name).or_default().entry(time).or_default().extend(records);
            }
        }
    }
    whole
}

/// A batch's records in an order that does not tell how often tables have grown.
fn sorted(mut outputs: Outputs) -> Outputs {
    outputs.values_mut().flat_map(BTreeMap::values_mut).for_each(|records| records.sort());
    outputs
}

/// Every wide operator without a memory.
fn stateless(left: Vec<Pairs>, right: Vec<Pairs>, conf: Config) -> dstream::Result<Outputs> {
    let n = left.len();
    let (reduced, combined, grouped) = (Collected::new(), Collected::new(), Collected::new());
    let (counts, distinct, top, top_by, top_by_key) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let (joined, outer, matches, cogrouped) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let (count, reduce, dealt, in_order, numbered) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let (twice, units) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let pairs = queue_stream(left);
        let others = queue_stream(right);
        pairs.map_values(|n| n.to_string()).reduce_by_key(|a, b| a + &b).collect_to(&reduced);
        pairs
            .combine_by_key(
                |n| vec![n],
                |mut held: Vec<u32>, n| {
                    held.push(n);
                    held
                },
                |mut a: Vec<u32>, b| {
                    a.extend(b);
                    a
                },
            )
            .collect_to(&combined);
        pairs.group_by_key().collect_to(&grouped);
        let keys = pairs.keys();
        keys.count_by_value().collect_to(&counts);
        keys.distinct().collect_to(&distinct);
        pairs.top(3).collect_to(&top);
        pairs.top(3, |(_, n)| std::cmp::Reverse(*n)).collect_to(&top_by);
        pairs.top_by_key(2).collect_to(&top_by_key);
        pairs.join(others).collect_to(&joined);
        pairs.full_outer_join(others).map(|(key, sides)| (sides, key)).collect_to(&outer);
        pairs.left_outer_join(others).count().collect_to(&matches);
        pairs.cogroup(others).collect_to(&cogrouped);
        pairs.count().collect_to(&count);
        pairs.map(|(key, n)| format!("{key}{n}")).reduce(|a, b| a + &b).collect_to(&reduce);
        pairs.repartition(3).collect_to(&dealt);
        pairs.sort_by(|(_, n)| *n).collect_to(&in_order);
        pairs.zip_with_index().collect_to(&numbered);
        // A shuffle behind a shuffle, with another number of partitions.
        let sums = pairs.reduce_by_key(|a, b| a.wrapping_add(b), partitions = 5);
        sums.map(|(key, n)| (n % 3, key)).group_by_key(partitions = 3).collect_to(&twice);
        // Values that are nothing, or may be.
        keys.map(|key| (key, ())).reduce_by_key(|(), ()| ()).join(pairs).collect_to(&units);
    })?;
    ssc.run_batches(n)?;
    Ok(BTreeMap::from([
        ("reduced", shown(&reduced)),
        ("combined", shown(&combined)),
        ("grouped", shown(&grouped)),
        ("counts", shown(&counts)),
        ("distinct", shown(&distinct)),
        ("top", shown(&top)),
        ("top_by", shown(&top_by)),
        ("top_by_key", shown(&top_by_key)),
        ("joined", shown(&joined)),
        ("outer", shown(&outer)),
        ("matches", shown(&matches)),
        ("cogrouped", shown(&cogrouped)),
        ("count", shown(&count)),
        ("reduce", shown(&reduce)),
        ("dealt", shown(&dealt)),
        ("in_order", shown(&in_order)),
        ("numbered", shown(&numbered)),
        ("twice", shown(&twice)),
        ("units", shown(&units)),
    ]))
}

/// Every operator that keeps something from batch to batch; a life of `pairs.len()` batches.
fn stateful(pairs: Vec<Pairs>, conf: Config, checkpoint: &Path) -> dstream::Result<Outputs> {
    let n = pairs.len();
    let (totals, events, open) = (Collected::new(), Collected::new(), Collected::new());
    let (recent, sums, groups, three) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let (all, counted, reduced, inverse) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, {
        let pairs = queue_stream(pairs);
        let texts = pairs.map_values(|n| format!("{n};"));
        let totals_of = texts.update_state_by_key(
            |new: &[String], old: Option<String>| Some(old.unwrap_or_default() + &new.concat()),
            initial =
                vec![("a".to_owned(), "at first;".to_owned()), ("elsewhere".to_owned(), "..".to_owned())],
        );
        totals_of.collect_to(&totals);
        let (seen, sessions) = pairs.map_with_state(
            |key: &String, n: Option<u32>, state: &mut State<u64>| {
                if let Some(n) = n {
                    state.update(state.get().copied().unwrap_or(0) + u64::from(n));
                }
                Some((key.clone(), n, state.get().copied()))
            },
            timeout = 2s,
        );
        seen.collect_to(&events);
        sessions.collect_to(&open);
        let recent_texts = texts.reduce_by_key_and_window(|a, b| a + &b, 3s, 1s);
        recent_texts.collect_to(&recent);
        let recent_sums = pairs.reduce_by_key_and_window(
            |a, b| a.wrapping_add(b),
            |a, b| a.wrapping_sub(b),
            3s,
            1s,
            partitions = 3,
        );
        recent_sums.collect_to(&sums);
        let recent_groups = pairs.group_by_key_and_window(3s, 1s);
        recent_groups.collect_to(&groups);
        let recent_pairs = pairs.window(3s, 1s);
        recent_pairs.collect_to(&three);
        recent_pairs.count().collect_to(&all);
        let recent_count = pairs.count_by_window(3s, 1s);
        recent_count.collect_to(&counted);
        let recent_text = texts.values().reduce_by_window(|a, b| a + &b, 3s, 1s);
        recent_text.collect_to(&reduced);
        let recent_sum =
            pairs.values().reduce_by_window(|a, b| a.wrapping_add(b), |a, b| a.wrapping_sub(b), 3s, 1s);
        recent_sum.collect_to(&inverse);
    })?;
    ssc.run_batches(n)?;
    Ok(BTreeMap::from([
        ("totals", shown(&totals)),
        ("events", shown(&events)),
        ("open", shown(&open)),
        ("recent", shown(&recent)),
        ("sums", shown(&sums)),
        ("groups", shown(&groups)),
        ("three", shown(&three)),
        ("all", shown(&all)),
        ("counted", shown(&counted)),
        ("reduced", shown(&reduced)),
        ("inverse", shown(&inverse)),
    ]))
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let key = proptest::sample::select(&KEYS[..]).prop_map(str::to_owned);
    prop::collection::vec((key, 0u32..40), 0..30)
}

/// The first difference, since all of it would fill pages.
fn assert_same(one: &Outputs, many: &Outputs, processes: usize) {
    for (name, batches) in one {
        assert_eq!(Some(batches), many.get(name), "`{name}` in {processes} processes");
    }
    assert_eq!(one.len(), many.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn several_processes_do_what_one_does(
        batches in prop::collection::vec((pairs(), pairs()), 1..4),
        processes in 2usize..5,
    ) {
        let (left, right): (Vec<Pairs>, Vec<Pairs>) = batches.into_iter().unzip();
        let one = stateless(left.clone(), right.clone(), config(START)).unwrap();
        let many = cluster(processes, |at, end| {
            let (left, right) = (part(&left, at, processes), part(&right, at, processes));
            stateless(left, right, config(START).exchange(end)).unwrap()
        });
        // Also in the same order: processes own neighbouring buckets, and have neighbouring parts of the
        // input.
        assert_same(&one, &union(many), processes);
    }

    #[test]
    fn state_and_windows_of_several_processes_are_those_of_one(
        batches in prop::collection::vec(pairs(), 2..9),
        processes in 2usize..5,
        restart in 1usize..8,
    ) {
        let (first, second) = batches.split_at(restart.min(batches.len() - 1));
        let lives = |conf: &(dyn Fn(u64) -> Config + Sync), folder: &Path,
                     part: &dyn Fn(&[Pairs]) -> Vec<Pairs>, life: usize| {
            let later = START + 1_000 * first.len() as u64;
            match life {
                0 => stateful(part(first), conf(START), folder).unwrap(),
                _ => stateful(part(second), conf(later), folder).unwrap(),
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let one: Vec<_> =
            (0..2).map(|life| lives(&config, folder.path(), &|batches| batches.to_vec(), life)).collect();
        let folders: Vec<_> = (0..processes).map(|_| tempfile::tempdir().unwrap()).collect();
        for (life, one) in one.into_iter().enumerate() {
            let many = cluster(processes, |at, end| {
                let end = std::sync::Mutex::new(Some(end));
                let conf = |start| match end.lock().unwrap().take() {
                    Some(end) => config(start).exchange(end),
                    None => config(start),
                };
                lives(&conf, folders[at].path(), &|batches| part(batches, at, processes), life)
            });
            assert_same(&sorted(one), &sorted(union(many)), processes);
        }
    }
}

/// Many keys, so that tasks pass on what their caches turn away, buckets are cut into parts, and joins are
/// shared out.
#[test]
fn many_keys_of_several_processes_are_those_of_one() {
    let batch = |salt: u32| -> Pairs {
        (0..60_000u32).map(|n| (format!("{}", n.wrapping_mul(2_654_435_761) % 50_000 + salt), n)).collect()
    };
    let run = |left: Pairs, right: Pairs, conf: Config| {
        let (counts, groups, joined) = (Collected::new(), Collected::new(), Collected::new());
        let ssc = dstream::stream!(batch = 1s, conf = conf, {
            let pairs = queue_stream(vec![left]);
            let others = queue_stream(vec![right]);
            pairs.keys().count_by_value().collect_to(&counts);
            pairs.group_by_key().collect_to(&groups);
            pairs.join(others).collect_to(&joined);
        })
        .unwrap();
        ssc.run_batches(1).unwrap();
        BTreeMap::from([("counts", shown(&counts)), ("groups", shown(&groups)), ("joined", shown(&joined))])
    };
    let (left, right) = (batch(0), batch(20_000));
    let one = sorted(run(left.clone(), right.clone(), config(START)));
    let many = cluster(3, |at, end| {
        let mut parts = [part(std::slice::from_ref(&left), at, 3), part(std::slice::from_ref(&right), at, 3)];
        let [left, right] = parts.each_mut().map(|part| part.remove(0));
        run(left, right, config(START).exchange(end))
    });
    assert_eq!(one, sorted(union(many)));
}

/// A small program, in which `edit` says what differs in a process, and its failures.
fn failing(
    conf: Config,
    batches: usize,
    edit: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
) -> (Vec<Option<JobError>>, BTreeMap<u64, Vec<String>>) {
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let nums = queue_stream(vec![vec![1u64, 2, 3, 4]; 3]);
        nums.map(|n| (edit(n), 1u64)).reduce_by_key(|a, b| a + b).collect_to(&out);
    })
    .unwrap();
    let failures = (0..batches)
        .map(|_| match ssc.run_batches(1) {
            Ok(()) => None,
            Err(Error::Job(failure)) => Some(failure),
            Err(other) => panic!("{other}"),
        })
        .collect();
    (failures, shown(&out))
}

/// The messages of the failures of each process, in batches 0, 1, ..
fn messages(failures: &[Option<JobError>]) -> Vec<String> {
    failures.iter().map(|failure| failure.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
}

/// An end of a cluster that does something to what it receives, which it is told with the number of the
/// exchange.
#[derive(Debug)]
struct Meddled {
    end: LoopbackProcess,
    exchanges: AtomicUsize,
    meddle: fn(usize, Vec<Bytes>) -> Vec<Bytes>,
}

impl Exchange for Meddled {
    fn process(&self) -> usize {
        self.end.process()
    }

    fn processes(&self) -> usize {
        self.end.processes()
    }

    fn exchange(&self, step: &ExchangeStep<'_>, messages: Vec<Bytes>) -> Result<Vec<Bytes>, ExchangeError> {
        let received = self.end.exchange(step, messages)?;
        Ok((self.meddle)(self.exchanges.fetch_add(1, Relaxed), received))
    }

    fn announce(&self, message: Bytes) -> Result<(), ExchangeError> {
        self.end.announce(message)
    }

    fn announcement(&self, stop: &CancellationToken) -> Result<Option<Bytes>, ExchangeError> {
        self.end.announcement(stop)
    }
}

#[test]
fn the_failure_of_one_process_fails_the_operator_everywhere_and_the_next_batch_goes_on() {
    let all = cluster(3, |at, end| {
        let seen = std::sync::Arc::new(AtomicUsize::new(0));
        failing(config(START).exchange(end), 2, move |n| {
            assert!(!(at == 1 && seen.fetch_add(1, Relaxed) == 2), "three is too many");
            n
        })
    });
    for (at, (failures, _)) in all.iter().enumerate() {
        let said = messages(failures);
        assert!(said[0].contains("three is too many"), "{said:?}");
        if at != 1 {
            assert!(said[0].contains("`reduce_by_key` at tests/exchange.rs:"), "{said:?}");
            assert!(said[0].contains("process 1 has nothing for this operator"), "{said:?}");
        }
        assert_eq!(said[1], "");
    }
    let counts: usize = all.iter().map(|(_, out)| out.values().map(Vec::len).sum::<usize>()).sum();
    assert_eq!(counts, 4, "the second batch, every key once");
}

#[test]
fn a_process_that_is_gone_fails_the_batch_at_once() {
    let all = cluster(3, |at, end| {
        let batches = if at == 2 { 1 } else { 2 };
        failing(config(START).exchange(end), batches, |n| n)
    });
    for (failures, _) in &all[..2] {
        let said = messages(failures);
        assert_eq!(said[0], "");
        assert!(said[1].contains("`reduce_by_key` at tests/exchange.rs:"), "{said:?}");
        assert!(said[1].contains("the exchange failed: process 2 is gone"), "{said:?}");
    }
}

#[test]
fn a_process_that_does_not_answer_is_given_up() {
    let cluster = LoopbackCluster::new(2).timeout(Duration::from_millis(50));
    let (here, silent) = (cluster.process(0), cluster.process(1));
    let (failures, _) = failing(config(START).exchange(here), 1, |n| n);
    let said = messages(&failures);
    assert!(said[0].contains("the exchange failed: process 1 has not answered within 50ms"), "{said:?}");
    drop(silent);
}

#[test]
fn a_bucket_that_arrives_damaged_fails_the_batch_and_no_other() {
    let meddle: fn(usize, Vec<Bytes>) -> Vec<Bytes> = |at, mut received| {
        // Each batch has two exchanges: that of the operator, and that of the output.
        if at == 2 {
            let mut bytes = received[1].to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            received[1] = bytes.into();
        }
        received
    };
    let all = cluster(2, |at, end| {
        let conf = match at {
            0 => config(START).exchange(Meddled { end, exchanges: AtomicUsize::new(0), meddle }),
            _ => config(START).exchange(end),
        };
        failing(conf, 3, |n| n)
    });
    let said = messages(&all[0].0);
    assert!(said[1].contains("`reduce_by_key` at"), "{said:?}");
    assert!(said[1].contains("process 1 has sent a message that arrived damaged"), "{said:?}");
    assert_eq!((&said[0][..], &said[2][..]), ("", ""));
    let others = messages(&all[1].0);
    assert!(others[1].contains("process 0 has nothing for this operator"), "{others:?}");
    assert_eq!((&others[0][..], &others[2][..]), ("", ""));
}

#[test]
fn a_program_that_was_edited_on_one_host_is_refused() {
    let all = cluster(2, |at, end| {
        let conf = config(START).exchange(end);
        if at == 0 {
            return messages(&failing(conf, 1, |n| n).0).remove(0);
        }
        let out = Collected::new();
        let ssc = dstream::stream!(batch = 1s, conf = conf, {
            let nums = queue_stream(vec![vec![1u64, 2, 3, 4]; 3]);
            nums.map(|n| (n, 1u64)).group_by_key().collect_to(&out);
        })
        .unwrap();
        ssc.run_batches(1).err().map(|error| error.to_string()).unwrap_or_default()
    });
    assert!(
        all[0].contains("process 1 is at the operator `group_by_key`, this one at `reduce_by_key`"),
        "{all:?}"
    );
    assert!(
        all[1].contains("process 0 is at the operator `reduce_by_key`, this one at `group_by_key`"),
        "{all:?}"
    );
    assert!(all.iter().all(|said| said.contains("all processes must run the same program")), "{all:?}");
}

/// What would be read as something else, or go to the wrong place, is named.
#[test]
fn types_partitions_and_seeds_that_differ_are_refused() {
    let difference = |edit: fn(Config) -> Config, signed: bool| {
        cluster(2, move |at, end| {
            let conf = config(START).exchange(end);
            if at == 0 {
                return messages(&failing(conf, 1, |n| n).0).remove(0);
            }
            if !signed {
                return messages(&failing(edit(conf), 1, |n| n).0).remove(0);
            }
            let out = Collected::new();
            let ssc = dstream::stream!(batch = 1s, conf = conf, {
                let nums = queue_stream(vec![vec![1u64, 2, 3, 4]; 3]);
                nums.map(|n| (n, 1i64)).reduce_by_key(|a, b| a + b).collect_to(&out);
            })
            .unwrap();
            ssc.run_batches(1).err().map(|error| error.to_string()).unwrap_or_default()
        })
    };
    for said in difference(|conf| conf, true) {
        assert!(said.contains("exchanges records of other types here"), "{said}");
    }
    for said in difference(|conf| conf.partitions(9), false) {
        assert!(said.contains("partitions here") && said.contains("set `Config::partitions`"), "{said}");
    }
    for said in difference(|conf| conf.hash_seed(7), false) {
        assert!(said.contains("set `Config::hash_seed`"), "{said}");
    }
}

/// One process that is a cluster of one is alone: nothing is asked of the exchange.
#[test]
fn a_cluster_of_one_exchanges_nothing() {
    let cluster = LoopbackCluster::new(1);
    let (failures, out) = failing(config(START).exchange(cluster.process(0)), 1, |n| n);
    assert_eq!(messages(&failures), [""]);
    assert_eq!(out.values().map(Vec::len).collect::<Vec<_>>(), [4]);
    assert_eq!(cluster.bytes(), 0);
}
