//! Runs that are killed, lose power, and find the disk full or broken: none may lose a batch that was
//! committed.
//!
//! `DSTREAM_SEED=7` runs one seed, `DSTREAM_SEEDS=100000` that many.

use std::collections::BTreeMap;

use super::{
    super::sim::{Faults, Rng, SimFs},
    *,
};

type Snapshot = (BTreeMap<String, u64>, BTreeMap<String, u64>);

/// What the program knows of the past: what a recovery may find.
struct Past {
    /// The state after each batch, by its number.
    after: BTreeMap<u64, Snapshot>,
    /// The last batch that was committed.
    acknowledged: Option<u64>,
}

/// Recovers, and runs some batches until something fails; returns whether the run came to its end.
fn run(fs: &SimFs, past: &mut Past, rng: &mut Rng, batches: u64) -> Result<(), String> {
    let (mut a, mut b) = (Map::new(), Map::new());
    let opened = resume(sim_dir(fs), &mut [("a", &mut a), ("b", &mut b)], &[], small());
    let (mut checkpointer, _, progress_found) = match opened {
        Ok(opened) => opened,
        Err(CheckpointError::Io { .. }) => return Ok(()),
        Err(error) => return Err(format!("recovery refused: {error}")),
    };
    let found = progress_found.map(|p| p.batch_time.as_millis());
    if found < past.acknowledged {
        return Err(format!("found batch {found:?}, but {:?} was committed", past.acknowledged));
    }
    let state = (a.entries.clone(), b.entries.clone());
    let expected = found.map_or_else(Snapshot::default, |batch| past.after[&batch].clone());
    if state != expected {
        return Err(format!("batch {found:?}: found {state:?}, expected {expected:?}"));
    }
    past.acknowledged = found;
    let first = found.map_or(0, |batch| batch + 1);
    for batch in first..first + batches {
        for _ in 0..rng.below(6) {
            let key = format!("key {}", rng.below(12));
            let map = if rng.below(3) == 0 { &mut a } else { &mut b };
            match rng.below(8) {
                0..3 => map.remove(&key),
                3 if rng.below(10) == 0 => map.clear(),
                _ => map.put(&key, rng.next() >> rng.below(64)),
            }
        }
        past.after.insert(batch, (a.entries.clone(), b.entries.clone()));
        let changes = vec![("a".to_owned(), a.take()), ("b".to_owned(), b.take())];
        // A commit that fails is not the end of the program: the disk may have space again for the next one.
        if checkpointer.commit(progress(batch), changes).is_ok() {
            past.acknowledged = Some(batch);
        }
    }
    Ok(())
}

fn faults(rng: &mut Rng) -> Faults {
    let mut faults = Faults::default();
    let at = rng.below(200);
    match rng.below(4) {
        0 => faults.full = Some(at..at + rng.below(30)),
        1 => faults.bad_sync_from = Some(at),
        _ => {}
    }
    if rng.below(4) > 0 {
        faults.kill_at = Some(rng.below(200));
    }
    faults
}

fn simulate(seed: u64) -> Result<(), String> {
    let mut rng = Rng(seed);
    let fs = SimFs::new(rng.next());
    let mut past = Past { after: BTreeMap::new(), acknowledged: None };
    for _ in 0..6 {
        fs.set_faults(faults(&mut rng));
        let batches = 1 + rng.below(20);
        run(&fs, &mut past, &mut rng, batches)?;
        fs.restart(rng.below(2) == 0);
    }
    goes_on(&fs, &mut past, &mut rng)
}

/// Without faults, what is there can be gone on from.
fn goes_on(fs: &SimFs, past: &mut Past, rng: &mut Rng) -> Result<(), String> {
    let before = past.acknowledged;
    run(fs, past, rng, 10)?;
    if past.acknowledged > before { Ok(()) } else { Err("nothing was committed without faults".to_owned()) }
}

pub(super) fn for_seeds(simulate: impl Fn(u64) -> Result<(), String>) {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seeds =
        number("DSTREAM_SEED").map_or(0..number("DSTREAM_SEEDS").unwrap_or(3_000), |seed| seed..seed + 1);
    for seed in seeds {
        if let Err(what) = simulate(seed) {
            panic!("DSTREAM_SEED={seed}: {what}");
        }
    }
}

#[test]
fn no_committed_batch_is_lost() {
    for_seeds(simulate);
}

/// The same run, ended in each of its calls.
#[test]
fn killed_between_any_two_calls() {
    let calls = {
        let fs = SimFs::new(0);
        fs.set_faults(Faults::default());
        let mut past = Past { after: BTreeMap::new(), acknowledged: None };
        run(&fs, &mut past, &mut Rng(1), 30).unwrap();
        fs.calls()
    };
    assert!(calls > 200, "{calls}");
    for kill_at in 0..calls {
        for power_loss in [false, true] {
            let fs = SimFs::new(kill_at);
            let mut past = Past { after: BTreeMap::new(), acknowledged: None };
            fs.set_faults(Faults { kill_at: Some(kill_at), ..Faults::default() });
            let result = run(&fs, &mut past, &mut Rng(1), 30).and_then(|()| {
                fs.restart(power_loss);
                goes_on(&fs, &mut past, &mut Rng(2))
            });
            assert_eq!(result, Ok(()), "killed in call {kill_at}, loss of power: {power_loss}");
        }
    }
}
