//! Receivers whose log can't be written.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    sync::{
        Arc, LazyLock,
        mpsc::{self, Receiver as Channel, Sender},
    },
    time::Duration,
};

use super::*;
use crate::{
    Bytes, Config,
    block::Block,
    checkpoint::{
        CheckpointError, IntoCheckpointStore, LocalDir, StoreLock,
        sim::{Faults, Rng, SimFs},
    },
    source::{AnyInput, SourceContext},
    testing::{ManualClock, next_batch},
};

const LONG: Duration = Duration::from_secs(10);
const ALWAYS: std::ops::Range<u64> = 0..u64::MAX;

/// What a receiver is told to store: a block, one if there is room, or one record.
enum Step {
    Block(Vec<u64>),
    Try(Vec<u64>),
    Record(u64),
}

struct Scripted(Channel<Step>, Sender<bool>);

impl Receiver for Scripted {
    type Block = Vec<u64>;

    fn name(&self) -> String {
        "scripted".to_owned()
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Vec<u64>>,
    ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        while !ctx.is_stopping() {
            match self.0.recv_timeout(Duration::from_millis(5)) {
                Ok(Step::Block(block)) => self.1.send(ctx.store_block(block))?,
                Ok(Step::Try(block)) => self.1.send(ctx.try_store_block(block) == Ok(true))?,
                Ok(Step::Record(record)) => self.1.send(ctx.store(record))?,
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// A receiver with a log on this disk.
struct Fixture {
    fs: SimFs,
    clock: ManualClock,
    log: Arc<SharedWal>,
    source: ReceiverStream<Scripted>,
    steps: Sender<Step>,
    answers: Channel<bool>,
    reports: Channel<String>,
}

/// Opens the log on a disk that nobody else has.
fn open(
    fs: &SimFs,
    config: &Config,
    receiver_offsets: &BTreeMap<String, Bytes>,
    forget: &[String],
) -> crate::Result<SharedWal> {
    static LOCK: LazyLock<Arc<dyn StoreLock>> = LazyLock::new(|| Arc::new(Unlocked));
    let storage = LocalDir::with_fs(Arc::new(fs.clone()), "/ckpt".into()).into_checkpoint_store();
    SharedWal::open(&LOCK, &storage, config, receiver_offsets, forget, false)
}

struct Unlocked;

impl StoreLock for Unlocked {}

fn log(fs: &SimFs, config: &Config) -> Arc<SharedWal> {
    Arc::new(open(fs, config, &BTreeMap::new(), &[]).unwrap())
}

impl Fixture {
    fn new(fs: SimFs, set: impl FnOnce(Config) -> Config) -> Fixture {
        let clock = ManualClock::new(Time::from_millis(1_000));
        let ((steps, script), (answer, answers)) = (mpsc::channel(), mpsc::channel());
        let (report, reports) = mpsc::channel();
        let config = set(Config::new())
            .clock(clock.clone())
            .on_report(move |error| drop(report.send(error.to_string())));
        let log = log(&fs, &config);
        let mut source = receiver_stream(Scripted(script, answer));
        let context = SourceContext {
            log: Some(ReceiverLog::new(&log, "scripted")),
            ..SourceContext::new(config, Duration::from_secs(1))
        };
        source.start(&context).unwrap();
        Fixture { fs, clock, log, source, steps, answers, reports }
    }

    fn send(&self, step: Step) {
        assert!(self.steps.send(step).is_ok());
    }

    fn answer(&self) -> Option<bool> {
        self.answers.recv_timeout(LONG).ok()
    }

    fn has_no_answer(&self) -> bool {
        self.answers.recv_timeout(Duration::from_millis(50)).is_err()
    }

    fn report(&self) -> String {
        self.reports.recv_timeout(LONG).unwrap_or_default()
    }

    fn batch(&mut self) -> Vec<u64> {
        let mut blocks = next_batch(&mut self.source, Time::from_millis(0)).unwrap();
        blocks.iter_mut().flat_map(|block| block.records().collect::<Vec<_>>()).collect()
    }

    /// What a new process finds.
    fn left(&self) -> Vec<u64> {
        let fs = self.fs.fork();
        let mut fixture = Fixture::new(fs, |config| config);
        let mut blocks = next_batch(&mut fixture.source, Time::from_millis(0)).unwrap();
        let records = blocks.iter_mut().flat_map(|block| {
            block.open().unwrap();
            block.records().collect::<Vec<_>>()
        });
        let records = records.collect();
        fixture.source.stop();
        records
    }
}

fn full() -> Faults {
    Faults { full: Some(ALWAYS), ..Faults::default() }
}

#[test]
fn nothing_is_acknowledged_while_the_disk_is_full() {
    let mut fixture = Fixture::new(SimFs::new(0), |config| config);
    fixture.send(Step::Block(vec![1]));
    assert_eq!(fixture.answer(), Some(true));
    fixture.fs.set_faults(full());
    fixture.send(Step::Block(vec![2]));
    // Half a second, then one, then two.
    for (after, until) in [(0, 1_500), (500, 2_500), (1_000, 4_500)] {
        fixture.clock.advance(Duration::from_millis(after));
        assert!(fixture.clock.wait_for_waiter(Time::from_millis(until)));
        let report = fixture.report();
        assert!(report.contains("writing `/ckpt/log/log-"), "{report}");
    }
    assert!(fixture.has_no_answer());
    // Its batch is planned all the same, and can't begin.
    assert_eq!(fixture.batch(), [1, 2]);
    assert!(fixture.log.write().is_err());
    fixture.fs.set_faults(Faults::default());
    assert!(fixture.has_no_answer());
    fixture.clock.advance(Duration::from_secs(2));
    assert_eq!(fixture.answer(), Some(true));
    fixture.send(Step::Block(vec![3]));
    assert_eq!(fixture.answer(), Some(true));
    assert_eq!(fixture.left(), [1, 2, 3]);
    fixture.source.stop();
}

/// What is not written counts as held although it is processed.
#[test]
fn a_full_disk_slows_down_who_sends_single_records() {
    let mut fixture = Fixture::new(SimFs::new(0), |config| config.receiver_buffer_bytes(24));
    fixture.fs.set_faults(full());
    let mut processed = Vec::new();
    for record in 0..3 {
        fixture.send(Step::Record(record));
        assert_eq!(fixture.answer(), Some(true));
        processed.append(&mut fixture.batch());
    }
    fixture.send(Step::Record(3));
    assert!(fixture.has_no_answer());
    assert_eq!(processed, [0, 1, 2]);
    fixture.fs.set_faults(Faults::default());
    // The log's own thread tries again.
    fixture.clock.advance(Duration::from_secs(20));
    assert_eq!(fixture.answer(), Some(true));
    assert_eq!(fixture.left(), [0, 1, 2]);
    assert_eq!(fixture.batch(), [3]);
    fixture.source.stop();
}

#[test]
fn a_block_for_which_there_is_no_room_is_given_back() {
    let room = |config: Config| config.receiver_buffer_bytes(24);
    let quota = |config: Config| config.max_rate(2);
    for set in [room as fn(Config) -> Config, quota] {
        let mut fixture = Fixture::new(SimFs::new(0), set);
        for (block, stored) in [(vec![1, 2], true), (vec![3, 4], false)] {
            fixture.send(Step::Try(block));
            assert_eq!(fixture.answer(), Some(stored));
        }
        assert_eq!(fixture.batch(), [1, 2]);
        fixture.send(Step::Try(vec![5]));
        assert_eq!(fixture.answer(), Some(true));
        assert_eq!(fixture.left(), [1, 2, 5]);
        fixture.source.stop();
    }
}

#[test]
fn a_receiver_that_can_never_work_is_not_started() {
    struct Impossible;
    impl Receiver for Impossible {
        type Block = Vec<u64>;
        fn name(&self) -> String {
            "impossible".to_owned()
        }
        fn check(&self) -> Result<()> {
            Err(Error::Invalid("nobody may listen there".to_owned()))
        }
        fn run(
            &mut self,
            _: &ReceiverContext<Vec<u64>>,
        ) -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
            unreachable!("it is refused")
        }
    }
    let context = SourceContext::new(Config::new(), Duration::from_secs(1));
    let error = receiver_stream(Impossible).start(&context).unwrap_err();
    assert_eq!(error.to_string(), "nobody may listen there");
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_a_restart_is_asked_for() {
    let mut fixture = Fixture::new(SimFs::new(0), |config| config);
    fixture.fs.set_faults(Faults { bad_sync_from: Some(0), ..Faults::default() });
    fixture.send(Step::Block(vec![1]));
    assert_eq!(fixture.answer(), Some(false));
    let report = fixture.report();
    assert!(report.contains("the disk is broken") && report.contains("restart the program"), "{report}");
    // Neither is the next, and the batch can't begin.
    fixture.send(Step::Block(vec![2]));
    assert_eq!(fixture.answer(), Some(false));
    assert_eq!(fixture.batch(), [1, 2]);
    assert!(matches!(fixture.log.write(), Err(crate::checkpoint::CheckpointError::Unsynced { .. })));
    fixture.source.stop();
}

#[test]
fn what_waits_is_written_in_one_append() {
    let fs = SimFs::new(0);
    let log = log(&fs, &Config::new());
    let receivers = ["a", "b", "c"].map(|name| ReceiverLog::new(&log, name));
    let budget = budget::Budget::new(100, CancellationToken::new());
    log.write().unwrap();
    let enqueue =
        || receivers.each_ref().map(|r| r.enqueue(Bytes::from_static(b"x"), Arc::new(budget.take(1))));
    let counts = enqueue().map(|(_, count)| count);
    fs.set_faults(Faults::default());
    receivers[0].write_until(counts[0]).unwrap();
    let calls = fs.calls();
    assert!(calls > 0);
    // The first has written for all.
    for (receiver, count) in receivers.iter().zip(counts) {
        receiver.write_until(count).unwrap();
    }
    assert_eq!(fs.calls(), calls);
    // A frame of four parts and a sync, now that the file is there.
    enqueue();
    log.write().unwrap();
    assert_eq!(fs.calls(), calls + 5);
}

#[test]
fn what_was_forgotten_stays_so_although_it_is_read_again() {
    let fs = SimFs::new(0);
    let first = log(&fs, &Config::new());
    let budget = budget::Budget::new(100, CancellationToken::new());
    // Of two receivers, one still needs the beginning of the log.
    for name in ["a", "b"] {
        ReceiverLog::new(&first, name).enqueue(Bytes::from_static(b"x"), Arc::new(budget.take(1)));
    }
    first.write().unwrap();
    let open = |receiver_offsets: &BTreeMap<String, Bytes>, forget: &[&str]| {
        let forget: Vec<String> = forget.iter().map(|name| (*name).to_owned()).collect();
        super::tests::open(&fs, &Config::new(), receiver_offsets, &forget).unwrap()
    };
    let mut receiver_offsets = first.receiver_offsets();
    for forget in [&["b"][..], &[]] {
        let log = open(&receiver_offsets, forget);
        assert_eq!((log.found("a").len(), log.found("b").len()), (1, 0));
        receiver_offsets = log.receiver_offsets();
    }
}

#[test]
fn a_closed_log_is_not_written() {
    let fs = SimFs::new(0);
    let log = log(&fs, &Config::new());
    let receiver = ReceiverLog::new(&log, "a");
    log.close();
    let budget = budget::Budget::new(100, CancellationToken::new());
    let (_, count) = receiver.enqueue(Bytes::from_static(b"x"), Arc::new(budget.take(1)));
    let error = receiver.write_until(count).unwrap_err().to_string();
    assert!(error.contains("stopped") && fs.paths().is_empty(), "{error}");
}

/// One receiver's life after another on a disk that fails, each ended at any call.
fn simulate(seed: u64) -> std::result::Result<(), String> {
    let mut rng = Rng(seed);
    let fs = SimFs::new(rng.next());
    let config = Config::new();
    // The checkpoint, and the blocks that were acknowledged.
    let (mut receiver_offsets, mut acknowledged) = (BTreeMap::new(), Vec::<u64>::new());
    for life in 0..6 {
        let at = rng.below(80);
        fs.set_faults(match life {
            5 => Faults::default(),
            _ => Faults {
                kill_at: (rng.below(3) > 0).then(|| rng.below(80)),
                full: (rng.below(3) == 0).then(|| at..at + rng.below(10)),
                bad_sync_from: (rng.below(4) == 0).then(|| rng.below(80)),
            },
        });
        let log = match open(&fs, &config, &receiver_offsets, &[]) {
            Ok(log) => Arc::new(log),
            Err(Error::Checkpoint(CheckpointError::Io { .. } | CheckpointError::Unsynced { .. }))
                if life < 5 =>
            {
                fs.restart(rng.below(2) == 0);
                continue;
            }
            Err(error) => return Err(format!("life {life}: {error}")),
        };
        let used = |receiver_offsets: &BTreeMap<String, Bytes>| {
            let bytes = receiver_offsets.get("a").cloned().unwrap_or_default();
            crate::checkpoint::ReceiverOffset::from_bytes(&bytes).unwrap_or_default().next
        };
        let receiver = ReceiverLog::new(&log, "a");
        let found: Vec<u64> = log.found("a").into_iter().map(|(number, _)| number).collect();
        let expected: Vec<u64> =
            acknowledged.iter().copied().filter(|n| *n >= used(&receiver_offsets)).collect();
        // What was not acknowledged may be there too.
        if !found.is_sorted_by(|a, b| a + 1 == *b) || expected.iter().any(|n| !found.contains(n)) {
            return Err(format!("life {life}: found {found:?}, expected {expected:?}"));
        }
        if found.iter().any(|n| *n < used(&receiver_offsets)) {
            return Err(format!(
                "life {life}: found {found:?}, of which {} were used up",
                used(&receiver_offsets)
            ));
        }
        let budget = budget::Budget::new(1_000_000, CancellationToken::new());
        let (mut next, mut batch) = (found.last().map(|n| n + 1), 0);
        for _ in 0..rng.below(30) {
            for _ in 0..rng.below(4) {
                let (number, count) =
                    receiver.enqueue(vec![7; rng.below(50) as usize].into(), Arc::new(budget.take(1)));
                next = Some(number + 1);
                if rng.below(3) == 0 && receiver.write_until(count).is_ok() {
                    acknowledged.extend(
                        acknowledged.last().map_or(0, |n| n + 1).max(found.first().copied().unwrap_or(0))
                            ..=number,
                    );
                }
            }
            if let Some(next) = next {
                batch += 1;
                receiver.planned(Time::from_millis(batch), next);
                let _ = log.write();
            }
            if rng.below(2) == 0 {
                log.finish(Time::from_millis(batch.saturating_sub(rng.below(2))));
                // The commit may fail, too.
                if rng.below(3) > 0 {
                    receiver_offsets = log.receiver_offsets();
                    let position = receiver_offsets
                        .values()
                        .filter_map(|b| crate::checkpoint::ReceiverOffset::from_bytes(b));
                    position.for_each(|used| log.clean(used.position));
                }
            }
        }
        drop(log);
        fs.restart(rng.below(2) == 0);
    }
    Ok(())
}

#[test]
fn no_acknowledged_block_is_lost_or_comes_twice() {
    for seed in 0..2_000 {
        assert_eq!(simulate(seed), Ok(()), "seed {seed}");
    }
}

/// Before plans were values, these were the two numbers, 8 bytes each.
#[test]
fn a_plan_of_an_earlier_version_is_refused_by_name() {
    let (steps, answers) = (mpsc::channel().1, mpsc::channel().0);
    let input = Input::new(receiver_stream(Scripted(steps, answers)));
    // As fixed numbers, maps and lists: whatever MessagePack takes the first byte for.
    for first in [5u64, 0x82, 0x92, 0x1_81, 0xa6] {
        let bytes = [first.to_le_bytes(), (first + 1).to_le_bytes()].concat();
        let error = input.replay(Time::from_millis(7_000), Some(&bytes)).unwrap_err().to_string();
        assert!(error.contains("source `scripted`") && error.contains("00:00:07"), "{error}");
    }
}
