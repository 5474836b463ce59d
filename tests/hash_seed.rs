//! Where keys go can't be foreseen by who sends them, and stays the same after a restart. Only one context of
//! a process may be started, so this is one test.

use std::path::Path;

use dstream::{
    checkpoint::inspect_checkpoint,
    prelude::*,
    testing::{ManualClock, TestSource},
};

/// Runs one batch of a program, started or stepped, and returns the seed in its checkpoint and the order of
/// its keys.
fn life(folder: &Path, conf: Config, started: bool) -> (u64, Vec<u64>) {
    let (keys, clock, out) = (TestSource::new(), ManualClock::new(Time::from_millis(500)), Collected::new());
    keys.push((0..100u64).collect());
    let source = keys.clone();
    let conf = conf.threads(1).handle_signals(false).clock(clock.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = folder, {
        let totals = source
            .map(|n| (n, 1u64))
            .reduce_by_key(|a, b| a + b)
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        totals.map(|(n, _)| *n).collect_to(&out);
    })
    .unwrap_or_else(|error| panic!("{error}"));
    if started {
        ssc.start().unwrap_or_else(|error| panic!("{error}"));
        clock.set(Time::from_millis(60_000));
        assert!(out.wait_for(1, std::time::Duration::from_secs(10)));
        ssc.stop();
    } else {
        ssc.run_batches(1).unwrap_or_else(|error| panic!("{error}"));
    }
    drop(ssc);
    let mut text = Vec::new();
    inspect_checkpoint(folder, &mut text).unwrap_or_else(|error| panic!("{error}"));
    let text = String::from_utf8_lossy(&text).into_owned();
    let seed = text.split("hash seed ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| panic!("no seed in {text}"));
    (seed, out.values().into_iter().find(|keys| !keys.is_empty()).unwrap_or_default())
}

#[test]
fn a_started_program_has_a_seed_of_its_own_and_keeps_it() {
    let folder = || tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let (a, b, stepped, given) = (folder(), folder(), folder(), folder());
    let (seed, _) = life(a.path(), Config::new(), true);
    assert_ne!(seed, life(b.path(), Config::new(), true).0);
    // The state comes back, and its keys stay where they were, whatever else the settings say now.
    let again = life(a.path(), Config::new().hash_seed(7), true);
    assert_eq!((again.0, again.1.len()), (seed, 100));
    // What is stepped gives the same in every run.
    let first = life(stepped.path(), Config::new(), false);
    assert_eq!((first.0, first.1.len()), (0, 100));
    assert_eq!(life(given.path(), Config::new().hash_seed(7), true).0, 7);
}
