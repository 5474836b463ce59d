//! Programs whose disk is full or breaks while they run.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use dstream::{
    ContextState, Error, StreamingContext,
    checkpoint::CheckpointError,
    prelude::*,
    testing::{ManualClock, SimDisk, TestSource},
};

const LONG: Duration = Duration::from_secs(10);
/// There is no space, for as long as this stands.
const FULL: std::ops::Range<u64> = 0..u64::MAX;

/// Only one context of a process may be started, so these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// A program that counts, on a disk in memory and by a clock that is moved by hand.
struct Program {
    ssc: StreamingContext,
    numbers: TestSource<u64>,
    clock: ManualClock,
    totals: Collected<((), u64)>,
    reports: Arc<Mutex<Vec<String>>>,
}

impl Program {
    fn new(disk: &SimDisk, now: u64) -> Program {
        let (numbers, clock, totals) = (TestSource::new(), ManualClock::new(at(now)), Collected::new());
        let reports = Arc::new(Mutex::new(Vec::new()));
        let hook = reports.clone();
        let conf = Config::new()
            .threads(1)
            .handle_signals(false)
            .graceful_stop_timeout(Duration::from_millis(100))
            .clock(clock.clone())
            .on_report(move |error| {
                hook.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string())
            });
        let source = numbers.clone();
        let ssc = dstream::stream!(batch = 1s, conf = conf, checkpoint = disk, {
            let total = source
                .map(|n| ((), n))
                .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
            total.collect_to(&totals);
        })
        .unwrap_or_else(|error| panic!("{error}"));
        Program { ssc, numbers, clock, totals, reports }
    }

    /// Lets the clock reach a batch with a number.
    fn batch(&self, n: u64, time: Time) {
        self.numbers.push(vec![n]);
        assert!(self.clock.wait_for_waiter(time));
        self.clock.set(time);
    }

    fn totals(&self) -> Vec<u64> {
        self.totals.values().concat().into_iter().map(|((), total)| total).collect()
    }

    fn reports(&self) -> Vec<String> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[test]
fn batches_wait_for_space_and_go_on() -> dstream::Result<()> {
    let _turn = turn();
    let disk = SimDisk::new(0);
    let program = Program::new(&disk, 500);
    program.ssc.start()?;
    disk.fill(FULL);
    program.batch(1, at(1_000));
    // Tried again after 50, 100, 200 ms and so on, at last after a second; not before the clock has reached
    // that.
    let (mut now, mut tried) = (1_000, 0);
    for delay in [50, 100, 200, 400] {
        now += delay;
        assert!(program.clock.wait_for_waiter(at(now)), "{now}");
        assert!(disk.calls() > tried);
        tried = disk.calls();
        program.clock.set(at(now));
    }
    assert!(program.clock.wait_for_waiter(at(now + 800)));
    assert_eq!(program.totals(), [], "the batch has not begun");
    let reports = program.reports();
    assert_eq!(reports.len(), 3, "after the first, the second and the fourth attempt: {reports:?}");
    assert!(reports[0].starts_with("writing `/ckpt/checkpoint-"), "{reports:?}");

    disk.fill(0..0);
    program.batch(2, at(now + 800));
    assert!(program.totals.wait_for(2, LONG));
    assert_eq!(program.totals(), [1, 3]);
    assert!(!program.ssc.await_termination_or_timeout(Duration::from_millis(1))?, "no batch has failed");
    program.ssc.stop();
    drop(program);

    disk.restart(true);
    let program = Program::new(&disk, 500);
    program.numbers.push(vec![10]);
    program.ssc.run_batches(1)?;
    assert_eq!(program.totals(), [13]);
    Ok(())
}

#[test]
fn a_stop_does_not_wait_for_space() -> dstream::Result<()> {
    let _turn = turn();
    for graceful in [false, true] {
        let disk = SimDisk::new(0);
        let program = Program::new(&disk, 500);
        program.numbers.push(vec![1]);
        program.ssc.run_batches(1)?;
        drop(program);

        let program = Program::new(&disk, 1_500);
        program.ssc.start()?;
        disk.fill(FULL);
        program.batch(2, at(2_000));
        assert!(program.clock.wait_for_waiter(at(2_050)));
        let (done, stopped) = mpsc::channel();
        let ssc = program.ssc.clone();
        std::thread::spawn(move || {
            if graceful {
                ssc.stop_gracefully()
            } else {
                ssc.stop()
            }
            done.send(())
        });
        // Less than the two seconds that a stop waits for a batch that does not end.
        assert!(stopped.recv_timeout(Duration::from_millis(1_500)).is_ok(), "graceful: {graceful}");
        let outcome = program.ssc.await_termination();
        assert!(matches!(outcome, Err(Error::Checkpoint(CheckpointError::Io { .. }))), "{outcome:?}");
        assert_eq!((program.totals(), program.ssc.state()), (vec![], ContextState::Stopped));
        drop(program);

        // What the first batch came to is there.
        disk.restart(true);
        let program = Program::new(&disk, 500);
        program.ssc.run_batches(1)?;
        assert_eq!(program.totals(), [1]);
    }
    Ok(())
}

#[test]
fn a_broken_disk_ends_the_program() -> dstream::Result<()> {
    let _turn = turn();
    for stepped in [false, true] {
        let disk = SimDisk::new(0);
        let program = Program::new(&disk, 500);
        let outcome = if stepped {
            program.ssc.run_batches(1)?;
            disk.break_sync_at(0);
            program.ssc.run_batches(1)
        } else {
            program.ssc.start()?;
            disk.break_sync_at(0);
            program.batch(1, at(1_000));
            program.ssc.await_termination_or_timeout(LONG).map(drop)
        };
        let error = outcome.map_err(|error| error.to_string());
        assert!(
            error
                .as_ref()
                .is_err_and(|e| e.contains("failed sync (the disk is broken)") && e.contains("restart")),
            "{error:?}"
        );
        // It may be that this still goes on.
        program.ssc.stop();
        assert_eq!(program.ssc.state(), ContextState::Stopped);
        assert_eq!(program.totals(), []);
    }
    Ok(())
}

/// A stepped program is told at once, and its next step tries again.
#[test]
fn a_stepped_program_tries_again_when_it_is_stepped() -> dstream::Result<()> {
    let disk = SimDisk::new(0);
    let program = Program::new(&disk, 500);
    (1..=4).for_each(|n| program.numbers.push(vec![n]));
    program.ssc.run_batches(1)?;
    disk.fill(FULL);
    for _ in 0..3 {
        let outcome = program.ssc.run_batches(5);
        assert!(matches!(outcome, Err(Error::Checkpoint(CheckpointError::Io { .. }))), "{outcome:?}");
    }
    assert_eq!(program.totals(), [1]);
    disk.fill(0..0);
    program.ssc.run_batches(3)?;
    assert_eq!(program.totals(), [1, 3, 6, 10]);
    assert_eq!(program.totals.batches().iter().map(|(time, _)| time.as_millis()).max(), Some(4_000));
    Ok(())
}

#[test]
fn a_program_that_runs_to_its_end_ends_with_the_error() -> dstream::Result<()> {
    let disk = SimDisk::new(0);
    let program = Program::new(&disk, 500);
    (1..=4).for_each(|n| program.numbers.push(vec![n]));
    program.ssc.run_batches(1)?;
    drop(program);
    let program = Program::new(&disk, 500);
    program.numbers.push(vec![5]);
    disk.fill(disk.calls() + 60..u64::MAX);
    (0..20).for_each(|_| program.numbers.push(vec![0]));
    let outcome = program.ssc.run_to_end();
    assert!(matches!(outcome, Err(Error::Checkpoint(CheckpointError::Io { .. }))), "{outcome:?}");
    assert_eq!(program.totals()[0], 6);
    Ok(())
}
