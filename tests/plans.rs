//! What a batch had of its sources when it began is given to it again after a restart, by an edited program
//! too, or refused.

use std::{
    fmt::Debug,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use dstream::{
    Config,
    checkpoint::Stateful,
    prelude::*,
    source::{Block, Checkpointed, Limits, Source},
    testing::{Collected, ManualClock, SimDisk},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Three numbers a batch, with a plan as this version of the program has it.
struct Numbers<P> {
    name: &'static str,
    next: Checkpointed<u64>,
    keeps: bool,
    write: fn(Range<u64>) -> P,
    read: fn(&P) -> Range<u64>,
}

impl<P: Serialize + DeserializeOwned + Send + 'static> Source for Numbers<P> {
    type Block = Range<u64>;
    type Plan = P;

    fn name(&self) -> String {
        self.name.into()
    }

    fn plan(&mut self, _: Time, _: &Limits) -> dstream::Result<Option<P>> {
        let from = *self.next;
        *self.next += 3;
        Ok(Some((self.write)(from..*self.next)))
    }

    fn blocks(&mut self, _: Time, plan: &P) -> dstream::Result<Vec<Range<u64>>> {
        Ok(vec![(self.read)(plan)])
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        self.keeps.then_some(&mut self.next)
    }
}

fn numbers<P>(write: fn(Range<u64>) -> P, read: fn(&P) -> Range<u64>) -> Numbers<P> {
    Numbers { name: "numbers", next: Checkpointed::new(0), keeps: true, write, read }
}

#[derive(Serialize, Deserialize)]
struct First {
    from: u64,
    to: u64,
}

fn first() -> Numbers<First> {
    numbers(|range| First { from: range.start, to: range.end }, |plan| plan.from..plan.to)
}

/// A life of the program: batches until one fails, as the last one of each life does but where `succeeds`.
fn live<S: Source<Block: for<'a> dstream::source::Block<Record<'a> = u64>>>(
    disk: &SimDisk,
    source: S,
    forget: Vec<&'static str>,
    batches: usize,
    succeeds: bool,
) -> Result<Vec<(u64, Vec<u64>)>, String> {
    let seen: Arc<Mutex<Vec<(u64, Vec<u64>)>>> = Arc::default();
    let (out, mut left) = (Arc::clone(&seen), batches);
    let fails = move |rdd: &Rdd<u64>, time: Time| {
        left -= 1;
        if left == 0 && !succeeds {
            return Err(dstream::Error::Invalid("not there".into()));
        }
        out.lock().unwrap_or_else(PoisonError::into_inner).push((time.as_millis(), rdd.collect()));
        Ok(())
    };
    let fails = Mutex::new(fails);
    let conf = Config::new().clock(ManualClock::new(Time::from_millis(0)));
    let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = disk, forget = forget, {
        source.foreach_rdd(|rdd, time| (fails.lock().unwrap_or_else(PoisonError::into_inner))(&rdd, time));
    })
    .map_err(|error| error.to_string())?;
    let outcome = ssc.run_batches(batches).map_err(|error| error.to_string());
    drop(ssc);
    disk.restart(true);
    match outcome {
        Err(error) if !error.contains("not there") => Err(error),
        _ => Ok(std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))),
    }
}

/// A disk on which the second batch has begun.
fn begun<S: Source<Block: for<'a> dstream::source::Block<Record<'a> = u64>>>(source: S) -> SimDisk {
    let disk = SimDisk::new(1);
    assert_eq!(live(&disk, source, vec![], 2, false), Ok(vec![(1_000, vec![0, 1, 2])]));
    disk
}

fn refused<T: Debug>(outcome: Result<T, String>, parts: &[&str]) {
    let error = outcome.expect_err("it is refused");
    for part in parts {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}

#[test]
fn a_batch_that_had_begun_has_the_records_of_its_plan() {
    let disk = begun(first());
    assert_eq!(
        live(&disk, first(), vec![], 2, true),
        Ok(vec![(2_000, vec![3, 4, 5]), (3_000, vec![6, 7, 8])])
    );
}

#[test]
fn a_plan_is_read_by_a_program_that_has_added_a_field() {
    #[derive(Serialize, Deserialize)]
    struct Second {
        #[serde(default)]
        partition: Option<String>,
        to: u64,
        from: u64,
    }
    let second = numbers(
        |range| Second { partition: None, to: range.end, from: range.start },
        |plan| plan.from..plan.to,
    );
    let disk = begun(first());
    assert_eq!(live(&disk, second, vec![], 1, true), Ok(vec![(2_000, vec![3, 4, 5])]));
}

#[test]
fn a_plan_of_another_type_is_refused_until_it_is_let_go() {
    let text = || numbers(|range| format!("{range:?}"), |_| 90..91);
    let disk = begun(first());
    let parts = ["source `numbers`", "the batch at ", "00:00:02", "can't be read", "forget = [\"numbers\"]"];
    for _ in 0..2 {
        refused(live(&disk, text(), vec![], 1, true), &parts);
    }
    // The source starts anew then, and the batch has nothing of it.
    assert_eq!(live(&disk, text(), vec!["numbers"], 2, true), Ok(vec![(2_000, vec![]), (3_000, vec![90])]));
}

#[test]
fn records_of_a_source_that_is_gone_are_not_let_go_in_silence() {
    let stateless = |name| Numbers { name, keeps: false, ..first() };
    let disk = begun(stateless("numbers"));
    let parts =
        ["source `numbers`", "the batch at ", "00:00:02", "does not have any more", "forget = [\"numbers\"]"];
    refused(live(&disk, stateless("renamed"), vec![], 1, true), &parts);
    assert_eq!(live(&disk, stateless("numbers"), vec![], 1, true), Ok(vec![(2_000, vec![3, 4, 5])]));

    let disk = begun(stateless("numbers"));
    assert_eq!(live(&disk, stateless("renamed"), vec!["numbers"], 1, true), Ok(vec![(2_000, vec![])]));
}

/// Numbers are made up, but go on over restarts.
#[test]
fn made_up_sources_go_on_where_they_were() -> dstream::Result<()> {
    let (disk, out) = (SimDisk::new(1), Collected::new());
    for life in 0..3 {
        let conf = Config::new().clock(ManualClock::new(Time::from_millis(0)));
        let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = &disk, {
            rate_stream(2).union(generator_stream(1, |n| 100 + n)).collect_to(&out);
        })?;
        ssc.run_batches(1 + life)?;
    }
    let numbers = (0..6).map(|batch| vec![2 * batch, 2 * batch + 1, 100 + batch]);
    assert_eq!(out.values(), numbers.collect::<Vec<_>>());
    Ok(())
}

/// Numbers of which a block can't be read, for the reason that `fails` gives.
struct Fragile {
    next: Checkpointed<u64>,
    fails: Option<fn() -> dstream::Error>,
}

struct FragileBlock {
    numbers: Range<u64>,
    fails: Option<fn() -> dstream::Error>,
}

impl Block for FragileBlock {
    type Record<'a> = u64;

    fn open(&mut self) -> dstream::Result<()> {
        match self.fails {
            // The second of the blocks of a batch.
            Some(error) if self.numbers.start % 4 == 2 => Err(error()),
            _ => Ok(()),
        }
    }

    fn records(&mut self) -> impl Iterator<Item = u64> {
        self.numbers.clone()
    }

    fn weight(&self) -> usize {
        1 << 20
    }
}

impl Source for Fragile {
    type Block = FragileBlock;
    type Plan = u64;

    fn name(&self) -> String {
        "fragile".into()
    }

    fn plan(&mut self, _: Time, _: &Limits) -> dstream::Result<Option<u64>> {
        *self.next += 4;
        Ok(Some(*self.next - 4))
    }

    fn blocks(&mut self, _: Time, from: &u64) -> dstream::Result<Vec<FragileBlock>> {
        let block = |from| FragileBlock { numbers: from..from + 2, fails: self.fails };
        Ok(vec![block(*from), block(*from + 2)])
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.next)
    }
}

#[test]
fn a_block_that_must_not_be_left_out_fails_its_batch_which_runs_again() {
    let run = |fails: Option<fn() -> dstream::Error>, checkpoint: &std::path::Path| {
        let (sums, reports) = (Collected::new(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&reports);
        let conf = Config::new().on_report(move |error| seen.lock().unwrap().push(error.to_string()));
        let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint, {
            let sum = Fragile { next: Checkpointed::new(0), fails }.reduce(|a, b| a + b);
            sum.collect_to(&sums);
        })
        .unwrap();
        let outcome = ssc.run_batches(2).map_err(|error| error.to_string());
        drop(ssc);
        let reports = reports.lock().unwrap().clone();
        (outcome, sums.values().concat(), reports)
    };
    // Any other error leaves the block out, and says so.
    let checkpoint = tempfile::tempdir().unwrap();
    let (outcome, sums, reports) =
        run(Some(|| dstream::Error::source("fragile", "it is bad")), checkpoint.path());
    assert_eq!((outcome.is_ok(), sums), (true, vec![1, 9]));
    assert!(reports.contains(&"source `fragile`: it is bad".into()), "{reports:?}");

    let checkpoint = tempfile::tempdir().unwrap();
    let (outcome, sums, _) =
        run(Some(|| dstream::Error::unreadable("fragile", "2 to 3 are away")), checkpoint.path());
    let error = outcome.unwrap_err();
    assert!(error.contains("source `fragile`: 2 to 3 are away"), "{error}");
    assert_eq!(sums, [] as [u64; 0]);
    // When it can be read again, nothing is missing.
    let (outcome, sums, _) = run(None, checkpoint.path());
    assert_eq!((outcome, sums), (Ok(()), vec![6, 22]));
}
