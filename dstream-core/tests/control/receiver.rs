use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver as Channel, Sender},
    },
    time::Duration,
};

use dstream_core::{
    Config,
    receiver::{Receiver, ReceiverContext, Volatile, receiver_stream},
    source::{Block, Source},
    testing::{ManualClock, next_batch},
};

use crate::{LONG, at, source_context};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// What the test tells the receiver to do; it answers each but those that end the run.
enum Step {
    Store(Vec<u32>),
    StoreBlock(Vec<u32>),
    Return,
    Fail,
    Panic,
    Stop,
}

struct Scripted {
    steps: Channel<Step>,
    answers: Sender<&'static str>,
}

impl Receiver for Scripted {
    type Block = Vec<u32>;

    fn name(&self) -> String {
        "scripted".into()
    }

    fn run(&mut self, ctx: &ReceiverContext<Vec<u32>>) -> Outcome {
        self.answers.send("run")?;
        while let Ok(step) = self.steps.recv() {
            match step {
                Step::Store(records) => records.into_iter().for_each(|record| assert!(ctx.store(record))),
                Step::StoreBlock(block) => assert!(ctx.store_block(block)),
                Step::Return => return Ok(()),
                Step::Fail => return Err("no route".into()),
                Step::Panic => panic!("on purpose"),
                Step::Stop => ctx.stop(),
            }
            self.answers.send("done")?;
        }
        Ok(())
    }
}

fn scripted() -> (Scripted, Sender<Step>, Channel<&'static str>) {
    let (script, steps) = mpsc::channel();
    let (answers, heard) = mpsc::channel();
    (Scripted { steps, answers }, script, heard)
}

fn blocks<S: Source>(source: &mut S) -> Vec<Vec<u32>>
where
    S::Block: for<'a> Block<Record<'a> = u32>,
{
    next_batch(source, at(0)).unwrap().iter_mut().map(|block| block.records().collect()).collect()
}

#[test]
fn a_receiver_that_ends_is_run_again_ever_later() {
    let clock = ManualClock::new(at(0));
    let config = Config::new().restart_delay_max(Duration::from_secs(2));
    let (receiver, script, heard) = scripted();
    let mut source = receiver_stream(receiver);
    source.start(&source_context(&clock, config)).unwrap();
    assert_eq!(heard.recv_timeout(LONG), Ok("run"));

    let mut now = 0;
    let ends = [Step::Return, Step::Fail, Step::Panic, Step::Fail];
    for (end, delay) in ends.into_iter().zip([500, 1000, 2000, 2000]) {
        script.send(end).unwrap();
        assert!(clock.wait_for_waiter(at(now + delay)));
        now += delay;
        clock.set(at(now - 1));
        assert!(heard.try_recv().is_err());
        clock.set(at(now));
        assert_eq!(heard.recv_timeout(LONG), Ok("run"));
    }
    // A run that stored something has shown that it works.
    script.send(Step::Store(vec![1])).unwrap();
    assert_eq!(heard.recv_timeout(LONG), Ok("done"));
    script.send(Step::Fail).unwrap();
    assert!(clock.wait_for_waiter(at(now + 500)));
    source.stop();
    assert_eq!(heard.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    assert!(source.has_pending());
    assert_eq!(blocks(&mut source), [[1]]);
}

#[test]
fn a_receiver_can_end_itself_for_good() {
    let clock = ManualClock::new(at(0));
    let (receiver, script, heard) = scripted();
    let mut source = receiver_stream(receiver);
    source.start(&source_context(&clock, Config::new())).unwrap();
    for step in [Step::Store(vec![7]), Step::Stop, Step::Fail] {
        script.send(step).unwrap();
    }
    assert_eq!(heard.iter().collect::<Vec<_>>(), ["run", "done", "done"]);
    assert_eq!(blocks(&mut source), [[7]]);
    assert!(!source.has_pending());
}

#[test]
fn blocks_are_closed_by_time_by_size_and_by_batch() {
    let clock = ManualClock::new(at(0));
    let (receiver, script, heard) = scripted();
    let mut source = receiver_stream(receiver);
    // Four records of four bytes.
    source.start(&source_context(&clock, Config::new().max_block_bytes(16))).unwrap();
    assert_eq!(heard.recv_timeout(LONG), Ok("run"));
    let store = |step| {
        script.send(step).unwrap();
        assert_eq!(heard.recv_timeout(LONG), Ok("done"));
    };
    store(Step::Store(vec![1, 2, 3, 4, 5]));
    clock.set(at(199));
    store(Step::Store(vec![6]));
    clock.set(at(200));
    store(Step::Store(vec![7]));
    store(Step::StoreBlock(vec![8, 9, 10, 11, 12]));
    store(Step::Store(vec![13]));
    let expected = [vec![1, 2, 3, 4], vec![5, 6], vec![7], vec![8, 9, 10, 11, 12], vec![13]];
    assert_eq!(blocks(&mut source), expected);
    store(Step::Store(vec![14]));
    assert_eq!(blocks(&mut source), [[14]]);
    assert!(blocks(&mut source).is_empty());
    drop(script);
    source.stop();
}

/// A block that knows how many of its kind there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Counted {
        alive.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Block for Counted {
    type Record<'a> = ();

    fn records(&mut self) -> impl Iterator<Item = ()> {
        std::iter::once(())
    }

    fn weight(&self) -> usize {
        10
    }
}

/// Stores as fast as it can.
struct Flood {
    alive: Arc<AtomicUsize>,
    stored: Sender<usize>,
}

impl Receiver for Flood {
    type Block = Volatile<Counted>;

    fn name(&self) -> String {
        "flood".into()
    }

    fn run(&mut self, ctx: &ReceiverContext<Volatile<Counted>>) -> Outcome {
        while ctx.store_block(Volatile(Counted::new(&self.alive))) {
            self.stored.send(self.alive.load(Ordering::SeqCst))?;
        }
        Ok(())
    }
}

#[test]
fn a_full_buffer_blocks_the_receiver_until_a_batch_is_processed() {
    let clock = ManualClock::new(at(0));
    let alive = Arc::new(AtomicUsize::new(0));
    let (stored, heard) = mpsc::channel();
    let mut source = receiver_stream(Flood { alive: Arc::clone(&alive), stored });
    source.start(&source_context(&clock, Config::new().receiver_buffer_bytes(35))).unwrap();
    let mut in_process = Vec::new();
    for _ in 0..100 {
        for _ in 0..3 {
            assert!(heard.recv_timeout(LONG).unwrap() <= 3);
        }
        // Planned, but not processed: still held.
        in_process.extend(next_batch(&mut source, at(0)).unwrap());
        assert_eq!(in_process.len(), 3);
        assert!(heard.try_recv().is_err());
        in_process.clear();
    }
    for _ in 0..3 {
        heard.recv_timeout(LONG).unwrap();
    }
    assert_eq!(heard.recv_timeout(Duration::from_millis(50)), Err(mpsc::RecvTimeoutError::Timeout));
    // The one that waits for room is not lost at a stop.
    source.stop();
    assert_eq!(next_batch(&mut source, at(0)).unwrap().len(), 4);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}
