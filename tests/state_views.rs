//! What reads a state borrows from its tables: nothing is cloned but what somebody keeps.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use dstream::{prelude::*, testing::ManualClock};
use serde::{Deserialize, Serialize};

static CLONES: AtomicU64 = AtomicU64::new(0);

/// A state that knows how often any of its kind was cloned.
#[derive(Debug, PartialEq, Serialize, Deserialize, Record)]
struct Total(u64);

impl Clone for Total {
    fn clone(&self) -> Self {
        CLONES.fetch_add(1, Relaxed);
        Total(self.0)
    }
}

const KEYS: u64 = 5_000;

fn at(seconds: u64) -> Config {
    Config::new().clock(ManualClock::new(Time::from_millis(seconds * 1_000)))
}

/// The keys in the first batch, then the first of them again and again.
fn pairs() -> Vec<Vec<(u64, u64)>> {
    let mut batches = vec![(0..KEYS).map(|key| (key, 1)).collect()];
    batches.extend([vec![(0, 1)], vec![(0, 1)], vec![(0, 1)]]);
    batches
}

fn add(new: &[u64], old: Option<Total>) -> Option<Total> {
    Some(Total(old.map_or(0, |total| total.0) + new.iter().sum::<u64>()))
}

fn clones(work: impl FnOnce() -> dstream::Result<()>) -> dstream::Result<u64> {
    CLONES.store(0, Relaxed);
    work()?;
    Ok(CLONES.load(Relaxed))
}

/// One test in this binary: another's clones would be counted too.
#[test]
fn states_are_cloned_only_where_they_are_kept() -> dstream::Result<()> {
    let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
    let folder = |name: &str| dir.path().join(name);

    // Stages, lengths and what only looks at the head, of both operators.
    let (counted, large, seen, sums) =
        (Collected::new(), Collected::new(), Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = at(0), checkpoint = folder("views"), {
        let pairs = queue_stream(pairs());
        let totals = pairs.update_state_by_key(|new, old| add(new, old));
        totals.count().collect_to(&counted);
        totals.count_by_window(2s, 2s).collect_to(&seen);
        totals.filter(|(_, total)| total.0 > 2).map(|(key, total)| (*key, total.0)).collect_to(&large);
        totals.print(2);
        let (_events, open) = pairs.map_with_state(|_key: &u64, n: Option<u64>, state: &mut State<Total>| {
            let total = state.get().map_or(0, |total| total.0) + n.unwrap_or(0);
            state.update(Total(total));
            None::<()>
        });
        open.map(|(_, total)| total.0).reduce(|a, b| a + b).collect_to(&sums);
    })?;
    // What `print` owns: one more than it prints of each of the tasks that run at once, and at most that of
    // each bucket.
    let printed = clones(|| ssc.run_batches(4))?;
    assert!(printed <= 4 * 3 * 16, "{printed} of {KEYS} states are cloned");
    assert_eq!(counted.values(), [[KEYS]; 4]);
    assert_eq!(seen.values(), [[2 * KEYS]; 2]);
    assert_eq!(large.values(), [vec![], vec![], vec![(0, 3)], vec![(0, 4)]]);
    assert_eq!(sums.values(), [[KEYS], [KEYS + 1], [KEYS + 2], [KEYS + 3]]);

    // Outputs that want all records as their own share one copy.
    let all = Collected::new();
    let ssc = dstream::stream!(batch = 1s, conf = at(0), checkpoint = folder("copies"), {
        let totals = queue_stream(pairs()).update_state_by_key(|new, old| add(new, old));
        totals.foreach_rdd(|rdd| assert_eq!(rdd.count(), KEYS));
        totals.transform(|rdd| rdd.by_ref().map(|(_, total)| total.0).evaluate()).collect_to(&all);
        totals
            .map(|(key, total)| (total.0, *key))
            .group_by_key()
            .foreach_rdd(|rdd| assert!(rdd.count() <= 2));
    })?;
    assert_eq!(clones(|| ssc.run_batches(1))?, KEYS);
    assert_eq!(clones(|| ssc.run_batches(1))?, KEYS);
    assert_eq!(all.values()[1].iter().sum::<u64>(), KEYS + 1);
    Ok(())
}
