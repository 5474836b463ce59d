//! Actions against naive ones, panics, threads.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use dstream_core::prelude::*;
use proptest::prelude::*;

use crate::support::{flat, pairs, partitions, rdd, sorted};

proptest! {
    #[test]
    fn actions(input in partitions(), n in 0usize..40) {
        let all = flat(&input);
        let nums = rdd(&input);
        let chain = || nums.by_ref().map(|n| *n);
        prop_assert_eq!(chain().collect(), all.clone());
        prop_assert_eq!(chain().count(), all.len() as u64);
        prop_assert_eq!(nums.count(), all.len() as u64);
        prop_assert_eq!(chain().take(n), all[..n.min(all.len())].to_vec());
        prop_assert_eq!(nums.take(n), all[..n.min(all.len())].to_vec());
        prop_assert_eq!(chain().first(), all.first().copied());
        prop_assert_eq!(nums.first(), all.first());
        let mut up = sorted(all.clone());
        prop_assert_eq!(chain().take_ordered(n), up[..n.min(up.len())].to_vec());
        up.reverse();
        prop_assert_eq!(chain().top(n), up[..n.min(up.len())].to_vec());
        prop_assert_eq!(nums.top(n), up[..n.min(up.len())].to_vec());
        prop_assert_eq!(nums.take_ordered(n), sorted(all.clone())[..n.min(up.len())].to_vec());
        prop_assert_eq!(nums.reduce(u8::max), all.iter().copied().max());
        prop_assert_eq!(nums.fold(0, u8::wrapping_add), all.iter().copied().fold(0, u8::wrapping_add));

        let text = |n: u8| n.to_string();
        let naive = all.iter().map(|n| text(*n)).collect::<String>();
        prop_assert_eq!(chain().map(text).reduce(|a, b| a + &b), (!all.is_empty()).then(|| naive.clone()));
        prop_assert_eq!(chain().map(text).fold(String::new(), |a, b| a + &b), naive.clone());
        prop_assert_eq!(nums.aggregate(String::new(), |a, n| a + &text(*n), |a, b| a + &b), naive);

        let seen = Mutex::new(Vec::new());
        nums.foreach(|n| seen.lock().unwrap().push(*n));
        prop_assert_eq!(sorted(seen.into_inner().unwrap()), sorted(all));
        let seen = Mutex::new(Vec::new());
        nums.foreach_partition(|part| seen.lock().unwrap().push(part.copied().collect::<Vec<_>>()));
        prop_assert_eq!(sorted(seen.into_inner().unwrap()), sorted(input));
    }

    #[test]
    fn maps(input in pairs()) {
        let all = flat(&input);
        let pairs = rdd(&input);
        let mut counts: HashMap<String, u64> = HashMap::new();
        all.iter().for_each(|(k, _)| *counts.entry(k.clone()).or_default() += 1);
        prop_assert_eq!(pairs.count_by_key(), counts);
        prop_assert_eq!(pairs.collect_as_map(), all.iter().cloned().collect::<HashMap<_, _>>());
        prop_assert_eq!(pairs.clone().map(|pair| pair).collect_as_map(),
            all.into_iter().collect::<HashMap<_, _>>());
    }
}

#[test]
fn few_but_slow_records_are_shared_out() {
    let nums = Rdd::parallelize_in((0..16).collect(), 16);
    let threads = Mutex::new(HashSet::new());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("a pool");
    pool.install(|| {
        nums.foreach(|_| {
            thread::sleep(Duration::from_millis(5));
            threads.lock().expect("no panic").insert(thread::current().id());
        });
    });
    assert!(threads.into_inner().expect("no panic").len() > 1);
}

#[test]
fn few_and_fast_records_stay_on_the_callers_thread() {
    let nums = Rdd::parallelize_in((0..16u64).collect(), 4);
    let here = thread::current().id();
    // A thread that is put aside by the system may share out what is left; it is not put aside every time.
    let alone =
        (0..20).any(|_| nums.by_ref().map(|_| thread::current().id()).collect().iter().all(|id| *id == here));
    assert!(alone);
}

#[test]
fn a_panic_reaches_the_caller() {
    for n in [4, 40_000] {
        let nums = Rdd::parallelize_in((0..n).collect(), 8);
        let panic = std::panic::catch_unwind(|| nums.map(|i| assert_ne!(i, n - 1, "record {i}")).count());
        let text = panic.expect_err("panics").downcast_ref::<String>().cloned();
        assert!(text.is_some_and(|text| text.contains(&format!("record {}", n - 1))));
    }
}

#[test]
fn a_panic_on_another_thread_of_a_batch_is_reported_and_not_printed() -> Result<(), dstream::Error> {
    static PRINTED: AtomicUsize = AtomicUsize::new(0);
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PRINTED.fetch_add(usize::from(panic.payload_as_str() == Some("elsewhere")), Relaxed);
        print(panic);
    }));
    let place = line!() + 3;
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().threads(4), {
        let nums = queue_stream(vec![vec![0; 10_000]]);
        nums.foreach_rdd(|rdd| {
            let driver = thread::current().id();
            rdd.repartition(16).foreach_partition(|_| {
                thread::sleep(Duration::from_millis(5));
                assert!(thread::current().id() == driver, "elsewhere");
            });
        });
    })?;
    let error = ssc.run_batches(1).expect_err("the batch fails").to_string();
    assert!(error.contains(&format!("`foreach_rdd` at {}:{}", file!(), place)), "{error}");
    assert!(error.ends_with("failed: elsewhere"), "{error}");
    assert_eq!(PRINTED.load(Relaxed), 0);
    Ok(())
}
