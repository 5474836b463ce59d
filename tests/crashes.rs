//! A program with every kind of state, ended in every access to its disk, comes to what an undisturbed one
//! does.
//!
//! `DSTREAM_SEED=7` runs one seed, `DSTREAM_SEEDS=100000` that many.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use dstream::{
    ContextState, Error,
    checkpoint::{CheckpointError, Stateful},
    prelude::*,
    source::{Checkpointed, Limits, Source},
    testing::{ManualClock, SimDisk},
};

/// The first batch, and how many there are.
const FIRST: u64 = 1_000;
const BATCHES: u64 = 14;

/// Numbers that look random.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

/// A log that can be read again, of (key, number) pairs. How many of them have come by the time of a batch is
/// another matter in each life, so a batch that is planned anew gets others.
struct Feed {
    name: &'static str,
    life: u64,
    next: Checkpointed<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Feed {
    fn new(name: &'static str, life: u64) -> Feed {
        Feed { name, life, next: Checkpointed::new(0) }
    }
}

impl Source for Feed {
    type Block = Vec<(u64, u64)>;
    type Plan = Range<u64>;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn plan(&mut self, time: Time, _: &Limits) -> dstream::Result<Option<Range<u64>>> {
        let mut rng = Rng(self.life << 32 ^ time.as_millis() ^ self.name.len() as u64);
        let come = if rng.below(3) == 0 { 0 } else { rng.below(5) };
        let from = *self.next;
        *self.next += come;
        Ok((come > 0).then_some(from..from + come))
    }

    fn blocks(&mut self, _: Time, plan: &Range<u64>) -> dstream::Result<Vec<Self::Block>> {
        Ok(vec![plan.clone().map(|n| (Rng(n).below(6), n)).collect()])
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.next)
    }
}

/// What outputs have written, under the time of the batch; it survives the program, as a database would.
#[derive(Default)]
struct World {
    outputs: [BTreeMap<u64, Written>; 6],
    /// The last output that has run, if nothing but kills goes wrong: none before it may run again.
    last: Option<(u64, usize)>,
    strict: bool,
    /// The output that fails, and in which batch.
    fails: Option<(usize, u64)>,
    /// The batch that failed in this life.
    failed: Option<u64>,
    wrong: Option<String>,
}

struct Written {
    values: Vec<[u64; 3]>,
    /// Written behind a failed batch, of which a restart knows nothing.
    forgotten: bool,
}

const RAW: usize = 0;
const TOTALS: usize = 1;
const RECENT: usize = 2;
const GREATEST: usize = 3;
const EVENTS: usize = 4;
const OPEN: usize = 5;

/// The outputs of one life.
#[derive(Clone)]
struct Outputs {
    world: Arc<Mutex<World>>,
    disk: SimDisk,
}

impl Outputs {
    fn write(&self, output: usize, time: Time, mut values: Vec<[u64; 3]>) -> dstream::Result<()> {
        if self.disk.is_killed() {
            return Ok(());
        }
        let time = time.as_millis();
        let world = &mut *lock(&self.world);
        if world.fails == Some((output, time)) {
            world.fails = None;
            world.failed = Some(time);
            return Err(Error::Invalid("the output is not there".into()));
        }
        if output != RAW {
            values.sort_unstable();
        }
        let mut wrong = |what: String| {
            world.wrong.get_or_insert(format!("output {output} of batch {time}: {what}"));
        };
        if world.strict && world.last > Some((time, output)) {
            wrong(format!("runs again behind {:?}", world.last));
        }
        if let Some(before) = world.outputs[output].get(&time)
            && !before.forgotten
            && before.values != values
        {
            wrong(format!("has {values:?}, before {:?}", before.values));
        }
        world.last = Some((time, output));
        let forgotten = world.failed.is_some_and(|failed| failed < time);
        world.outputs[output].insert(time, Written { values, forgotten });
        Ok(())
    }
}

/// A life of the program: some batches, fewer if the disk ends it or is broken. `Err` says what is wrong with
/// it.
fn live(disk: &SimDisk, world: &Arc<Mutex<World>>, life: u64, batches: u64) -> Result<(), String> {
    lock(world).failed = None;
    let outputs = Outputs { world: world.clone(), disk: disk.clone() };
    let [raw, totals, recent, greatest, events, open] = std::array::from_fn(|_| outputs.clone());
    let clock = ManualClock::new(Time::from_millis(FIRST - 1));
    let conf = Config::new().threads(1).partitions(2).clock(clock);
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = disk, {
        let a = (Feed::new("a", life));
        let b = (Feed::new("bb", life));
        let pairs = a.map(|(key, n)| (key, [0, n])).union(b.map(|(key, n)| (key, [1, n])));
        pairs
            .map(|(key, [feed, n])| [key, feed, n])
            .foreach_rdd(|rdd, time| raw.write(RAW, time, rdd.collect()));
        let values = pairs.map_values(|[_, n]| n);

        let total = values.update_state_by_key(|new: &[u64], old| total(new, old));
        total
            .map(|(key, total)| [*key, *total, 0])
            .foreach_rdd(|rdd, time| totals.write(TOTALS, time, rdd.collect()));

        let sums = values.reduce_by_key_and_window(|a, b| a + b, |a, b| a - b, 4s, 2s);
        sums.map(|(key, n)| [key, n, 0]).foreach_rdd(|rdd, time| recent.write(RECENT, time, rdd.collect()));

        let max = values.reduce_by_key_and_window(|a, b| a.max(b), 3s, 1s);
        max.map(|(key, n)| [key, n, 0])
            .foreach_rdd(|rdd, time| greatest.write(GREATEST, time, rdd.collect()));

        let (event, left) = values.map_with_state(
            |key: &u64, n: Option<u64>, state: &mut State<u64>| match n {
                Some(n) => {
                    state.update(state.get().copied().unwrap_or(0) + n);
                    None
                }
                None => Some([*key, state.get().copied().unwrap_or(0), 0]),
            },
            timeout = 2s,
        );
        event.foreach_rdd(|rdd, time| events.write(EVENTS, time, rdd.collect()));
        left.map(|(key, sum)| [*key, *sum, 0]).foreach_rdd(|rdd, time| open.write(OPEN, time, rdd.collect()));
    })
    .map_err(|error| error.to_string())?;
    for _ in 0..batches {
        match ssc.run_batches(1) {
            // A full disk may have space for the next attempt, and an output that failed costs no later
            // batch.
            Ok(()) | Err(Error::Job(_)) => {}
            Err(Error::Checkpoint(CheckpointError::Io { .. })) if !disk.is_killed() => {}
            Err(Error::Checkpoint(CheckpointError::Unsynced { .. })) => break,
            // It could not even be started.
            Err(Error::State(_)) if ssc.state() == ContextState::Stopped => break,
            Err(_) if disk.is_killed() => break,
            Err(error) => return Err(format!("life {life}: {error}")),
        }
    }
    lock(world).wrong.take().map_or(Ok(()), |wrong| Err(format!("life {life}: {wrong}")))
}

/// Some keys go, so that there is something to delete.
fn total(new: &[u64], old: Option<u64>) -> Option<u64> {
    let total = old.unwrap_or(0) + new.iter().sum::<u64>();
    (total % 5 != 4).then_some(total)
}

/// Runs without faults, at least to the last of these batches, and compares all with naive loops over what
/// the batches had.
fn end(disk: &SimDisk, world: &Arc<Mutex<World>>, batches: u64) -> Result<(), String> {
    let end = FIRST + 1_000 * (batches - 1);
    for life in 1_000.. {
        // Not a batch before, and none of which only a part has run in a life that was ended.
        let last =
            |world: &World, output: usize| world.outputs[output].last_key_value().map(|(time, _)| *time);
        let forgotten = |world: &World| world.outputs.iter().flat_map(BTreeMap::values).any(|w| w.forgotten);
        {
            let world = lock(world);
            let whole = last(&world, OPEN) == last(&world, RAW) && !forgotten(&world);
            if whole && last(&world, OPEN) >= Some(end) {
                break;
            }
        }
        if life > 1_050 {
            return Err("does not come to its end".into());
        }
        live(disk, world, life, 4)?;
        disk.restart(false);
    }
    check(&lock(world))
}

fn check(world: &World) -> Result<(), String> {
    let raw: BTreeMap<u64, &Vec<[u64; 3]>> =
        world.outputs[RAW].iter().map(|(time, written)| (*time, &written.values)).collect();
    let times: Vec<u64> = raw.keys().copied().collect();
    let expected: Vec<u64> = (0..times.len() as u64).map(|k| FIRST + 1_000 * k).collect();
    equal("the batches", 0, &times, &expected)?;
    for feed in [0, 1] {
        let come: Vec<u64> =
            raw.values().flat_map(|batch| batch.iter().filter(|r| r[1] == feed).map(|r| r[2])).collect();
        equal("what came", feed, &come, &(0..come.len() as u64).collect())?;
    }

    let mut totals: BTreeMap<u64, u64> = BTreeMap::new();
    let mut open: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (&time, batch) in &raw {
        let mut new: BTreeMap<u64, Vec<u64>> = totals.keys().map(|key| (*key, vec![])).collect();
        for [key, _, n] in *batch {
            new.entry(*key).or_default().push(*n);
            let (sum, seen) = open.entry(*key).or_default();
            (*sum, *seen) = (*sum + n, time);
        }
        let states = new.iter().filter_map(|(key, new)| Some((*key, total(new, totals.get(key).copied())?)));
        totals = states.collect();
        let timed_out = |(_, seen): &(u64, u64)| *seen + 2_000 < time;
        let events = open.iter().filter(|(_, held)| timed_out(held)).map(|(key, held)| [*key, held.0, 0]);
        let events: Vec<_> = events.collect();
        open.retain(|_, held| !timed_out(held));

        let window = |length: u64| {
            let batches = raw.range((time + 1).saturating_sub(length)..=time);
            let mut values: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for [key, _, n] in batches.flat_map(|(_, batch)| batch.iter()) {
                values.entry(*key).or_default().push(*n);
            }
            values
        };
        let reduced = |length, f: fn(&Vec<u64>) -> u64| -> Vec<[u64; 3]> {
            window(length).iter().map(|(key, values)| [*key, f(values), 0]).collect()
        };
        let due = (time - FIRST + 1_000).is_multiple_of(2_000);
        let outputs = [
            (TOTALS, Some(totals.iter().map(|(key, total)| [*key, *total, 0]).collect::<Vec<_>>())),
            (RECENT, due.then(|| reduced(4_000, |values| values.iter().sum()))),
            (GREATEST, Some(reduced(3_000, |values| values.iter().copied().max().unwrap_or(0)))),
            (EVENTS, Some(events)),
            (OPEN, Some(open.iter().map(|(key, (sum, _))| [*key, *sum, 0]).collect())),
        ];
        for (output, expected) in outputs {
            let found = world.outputs[output].get(&time).map(|written| written.values.clone());
            equal(&format!("output {output}"), time, &found, &expected)?;
        }
    }
    Ok(())
}

fn equal<T: PartialEq + Debug>(what: &str, of: u64, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what} of {of}: found {found:?}, expected {expected:?}"))
    }
}

/// Lives that end or fail anywhere, then one that does not.
fn simulate(seed: u64) -> Result<(), String> {
    let mut rng = Rng(seed);
    let disk = SimDisk::new(rng.next());
    let world = Arc::new(Mutex::new(World { strict: rng.below(2) == 0, ..World::default() }));
    for life in 0..1 + rng.below(5) {
        let strict = lock(&world).strict;
        let at = rng.below(150);
        match rng.below(4) {
            0 if !strict => disk.fill(at..at + rng.below(60)),
            1 if !strict => disk.break_sync_at(at),
            2 if !strict => {
                let (output, batch) = (rng.below(6) as usize, rng.below(BATCHES));
                lock(&world).fails = Some((output, FIRST + 1_000 * batch));
            }
            _ => {}
        }
        if rng.below(5) > 0 {
            disk.kill_at(rng.below(250));
        }
        let batches = 1 + rng.below(5);
        live(&disk, &world, life, batches)?;
        disk.restart(rng.below(2) == 0);
    }
    lock(&world).fails = None;
    end(&disk, &world, BATCHES)
}

/// Runs every case, on all cores; the first that is wrong ends the test.
fn for_all(cases: Range<u64>, run: impl Fn(u64) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicU64::new(cases.start), Mutex::new(None));
    let work = || {
        while lock(&wrong).is_none() {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if !cases.contains(&case) {
                break;
            }
            if let Err(what) = run(case) {
                lock(&wrong).get_or_insert(what);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, |n| n.get());
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let wrong = lock(&wrong).take();
    assert_eq!(wrong, None);
}

#[test]
fn programs_that_end_anywhere_lose_nothing_and_repeat_nothing() {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seeds =
        number("DSTREAM_SEED").map_or(0..number("DSTREAM_SEEDS").unwrap_or(1_000), |seed| seed..seed + 1);
    for_all(seeds, |seed| simulate(seed).map_err(|what| format!("DSTREAM_SEED={seed}: {what}")));
}

/// One program, ended in its first access, in its second, and so on.
#[test]
fn a_program_that_ends_in_any_access() {
    let world = || Arc::new(Mutex::new(World { strict: true, ..World::default() }));
    let calls = {
        let disk = SimDisk::new(0);
        live(&disk, &world(), 0, 5).unwrap_or_else(|wrong| panic!("{wrong}"));
        disk.calls()
    };
    assert!(calls > 200, "{calls}");
    for_all(0..2 * calls, |case| {
        let (kill_at, power_loss) = (case / 2, case % 2 == 0);
        let (disk, world) = (SimDisk::new(case), world());
        disk.kill_at(kill_at);
        let outcome = live(&disk, &world, 0, 5).and_then(|()| {
            assert!(disk.is_killed());
            disk.restart(power_loss);
            end(&disk, &world, 7)
        });
        outcome.map_err(|what| format!("ended in access {kill_at}, loss of power: {power_loss}: {what}"))
    });
}
