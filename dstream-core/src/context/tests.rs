//! The life of a context, with pipelines made by hand.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::Ordering,
        mpsc::{self, Receiver as Channel, Sender},
    },
    thread,
    time::Duration,
};

mod failures;

use super::{
    ContextState, StreamingContext,
    parts::{Parts, SourcePart},
    signals,
};
use crate::{
    Config, Error, Result, Time,
    batch::Pipeline,
    block::Block,
    output::Output,
    plan::{OpMeta, StageMeta},
    receiver::{Receiver, ReceiverContext, receiver_stream},
    sink::policy::OutputPolicy,
    source::{Input, Limits, Source, SourceContext},
    sync::Unpoisoned,
    testing::{Collected, ManualClock, TestSource},
};

const LONG: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const OP: OpMeta =
    OpMeta { name: "collect_to", file: "tests.rs", line: 7, column: 1, end_line: 7, end_column: 9 };
const STAGE: StageMeta = StageMeta { id: 0, root: 0, operators: &[], places: &[OP] };

/// Only one context of a process may be started, so these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unpoisoned()
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn config(clock: &ManualClock) -> Config {
    Config::new().threads(2).handle_signals(false).clock(clock.clone())
}

fn context(clock: &ManualClock) -> StreamingContext {
    StreamingContext::with_config(SECOND, config(clock)).unwrap()
}

/// A pipeline that collects the records of a source, after `each` was called with them.
fn add<S: Source, T: Clone + Send + 'static>(
    ssc: &StreamingContext,
    source: S,
    mut each: impl FnMut(&[T]) -> Result<()> + Send + 'static,
) -> Result<Collected<T>>
where
    S::Block: for<'a> Block<Record<'a> = T>,
{
    let out = Collected::new();
    let (input, seen) = (Input::new(source), out.clone());
    let taken = input.clone();
    let output = Output::new("collect_to".into(), &OP);
    let outputs = vec![output.clone()];
    let run = move |batch: &mut crate::batch::Batch<'_>| {
        let blocks = batch.blocks_of(&taken, &OP);
        let tasks = batch.stage(&STAGE, blocks, |_, blocks| {
            blocks.iter_mut().flat_map(|block| block.records().collect::<Vec<T>>()).collect::<Vec<T>>()
        });
        let rdd = batch.collect(tasks);
        batch.output(&output, &rdd, &mut OutputPolicy::new(None, None), |rdd, batch| {
            let records = rdd.collect();
            each(&records)?;
            seen.push(batch.time(), records);
            Ok(())
        });
    };
    let pipeline = Some(Pipeline { run: Box::new(run) });
    let sources = vec![SourcePart { name: "the source".into(), op: OP, input: Arc::new(input) }];
    ssc.add(Parts { pipeline, sources, outputs, ..Parts::default() })?;
    Ok(out)
}

fn times<T: Clone>(out: &Collected<T>) -> Vec<u64> {
    out.batches().into_iter().map(|(time, _)| time.as_millis()).collect()
}

fn message(result: Result<impl Sized>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn batches_are_aligned_and_begin_strictly_after_the_start() {
    let _turn = turn();
    for (start, first) in [(2_500, 3_000), (2_000, 3_000)] {
        let clock = ManualClock::new(at(start));
        let ssc = context(&clock);
        let out = add(&ssc, TestSource::<i32>::new(), |_| Ok(())).unwrap();
        ssc.start().unwrap();
        assert!(clock.wait_for_waiter(at(first)));
        clock.set(at(first));
        assert!(clock.wait_for_waiter(at(first + 1000)));
        clock.set(at(first + 1000));
        assert!(out.wait_for(2, LONG));
        assert_eq!(times(&out), [first, first + 1000]);
    }
}

#[test]
fn missed_batches_run_one_by_one_at_their_own_times() {
    let _turn = turn();
    let clock = ManualClock::new(at(2_500));
    let (ssc, source) = (context(&clock), TestSource::new());
    let out = add(&ssc, source.clone(), |_| Ok(())).unwrap();
    (1..=4).for_each(|n| source.push(vec![n]));
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(at(3_000)));
    clock.set(at(6_200));
    assert!(clock.wait_for_waiter(at(7_000)));
    assert!(out.wait_for(4, LONG));
    let expected = (1..=4).map(|n| (at(2_000 + 1000 * n as u64), vec![n])).collect::<Vec<_>>();
    assert_eq!(out.batches(), expected);
}

#[test]
fn a_context_lives_once() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let add_to = |ssc: &StreamingContext| message(add(ssc, TestSource::<i32>::new(), |_| Ok(())));

    let ssc = context(&clock);
    assert_eq!((add_to(&ssc), ssc.state()), (String::new(), ContextState::Initialized));
    ssc.start().unwrap();
    ssc.start().unwrap();
    assert_eq!(ssc.state(), ContextState::Active);
    assert!(add_to(&ssc).contains("has been started"));
    assert!(message(ssc.run_batches(1)).contains("has been started"));

    let other = context(&clock);
    add_to(&other);
    assert!(message(other.start()).contains("another context is active"));
    assert_eq!(other.state(), ContextState::Initialized);

    assert!(!ssc.await_termination_or_timeout(Duration::from_millis(1)).unwrap());
    ssc.stop();
    ssc.stop();
    assert!(ssc.await_termination_or_timeout(LONG).unwrap());
    ssc.await_termination().unwrap();
    assert_eq!(ssc.state(), ContextState::Stopped);
    assert!(add_to(&ssc).contains("has been stopped"));
    assert!(matches!(ssc.start(), Err(Error::State(_))));
    assert!(matches!(ssc.run_batches(1), Err(Error::State(_))));

    other.start().unwrap();
    other.stop();

    let never = context(&clock);
    never.stop_gracefully();
    assert_eq!(never.state(), ContextState::Stopped);
}

struct Broken;

impl Source for Broken {
    type Block = Vec<i32>;
    type Plan = ();

    fn name(&self) -> String {
        "broken".into()
    }

    fn start(&mut self, _: &SourceContext) -> Result<()> {
        panic!("no device")
    }

    fn plan(&mut self, _: Time, _: &Limits) -> Result<Option<()>> {
        Ok(None)
    }

    fn blocks(&mut self, _: Time, _: &()) -> Result<Vec<Vec<i32>>> {
        Ok(Vec::new())
    }
}

#[test]
fn a_start_that_fails_stops_the_context() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let empty = context(&clock);
    assert!(matches!(empty.start(), Err(Error::Invalid(_))));
    assert_eq!(empty.state(), ContextState::Stopped);

    for stepped in [false, true] {
        let ssc = context(&clock);
        add(&ssc, Broken, |_| Ok(())).unwrap();
        let outcome = if stepped { ssc.run_batches(1) } else { ssc.start() };
        assert_eq!(message(outcome), "source `broken`: panicked: no device");
        assert_eq!(ssc.state(), ContextState::Stopped);
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for batch in [Duration::ZERO, Duration::from_micros(1_500)] {
        let error = message(StreamingContext::new(batch));
        assert!(error.contains(&format!("{batch:?}")), "{error}");
    }
    assert!(
        message(StreamingContext::with_config(SECOND, Config::new().threads(0))).contains("`threads` is 0")
    );
    let config = Config::new().block_interval(Duration::ZERO);
    assert!(message(StreamingContext::with_config(SECOND, config)).contains("`block_interval` is 0ns"));
    assert_eq!(Config::new().partitions(7).threads(4).partitions, 7);
    assert_eq!(Config::new().threads(4).partitions, 32);
}

#[test]
fn batches_are_stepped_without_a_clock() {
    let clock = ManualClock::new(at(2_500));
    let (ssc, source) = (context(&clock), TestSource::new());
    let out = add(&ssc, source.clone(), |records: &[i32]| match records {
        [n] if *n < 0 => Err(Error::Invalid(format!("{n} is negative"))),
        _ => Ok(()),
    })
    .unwrap();
    [1, -2, -3, 4].into_iter().for_each(|n| source.push(vec![n]));
    let error = ssc.run_batches(3).unwrap_err();
    assert!(matches!(&error, Error::Job(job) if job.time == at(4_000) && job.message == "-2 is negative"));
    ssc.run_batches(1).unwrap();
    assert_eq!(out.batches(), [(at(3_000), vec![1]), (at(6_000), vec![4])]);
    assert!(message(ssc.start()).contains("`run_batches` drives this context"));

    source.push(vec![5]);
    ssc.stop_gracefully();
    assert_eq!(out.values().last(), Some(&vec![5]));
}

#[test]
fn a_failure_is_reported_and_later_batches_run() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let (ssc, source) = (context(&clock), TestSource::new());
    let out = add(&ssc, source.clone(), |records: &[i32]| {
        assert!(records != [2], "two is too much");
        Ok(())
    })
    .unwrap();
    (1..=3).for_each(|n| source.push(vec![n]));
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(at(1_000)));
    clock.set(at(3_000));
    let error = message(ssc.await_termination_or_timeout(LONG));
    assert!(error.contains("`collect_to` at tests.rs:7 failed: two is too much"), "{error}");
    assert!(out.wait_for(2, LONG));
    assert_eq!((out.values(), ssc.state()), (vec![vec![1], vec![3]], ContextState::Active));
}

/// Stores what it is sent, and when it is stopped what is left.
struct Feed {
    records: Channel<Vec<u32>>,
    stored: Sender<()>,
    at_stop: Vec<u32>,
}

impl Receiver for Feed {
    type Block = Vec<u32>;

    fn name(&self) -> String {
        "feed".into()
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Vec<u32>>,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        while let Ok(records) = self.records.recv() {
            for record in records {
                ctx.store(record);
            }
            self.stored.send(())?;
        }
        while ctx.wait(SECOND) {}
        for record in self.at_stop.drain(..) {
            ctx.store(record);
        }
        self.stored.send(())?;
        Ok(())
    }
}

#[test]
fn a_graceful_stop_processes_all_that_was_received() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let ssc = context(&clock);
    let (feed, records) = mpsc::channel();
    let (stored, wait) = mpsc::channel();
    let (gate, opened) = mpsc::channel::<()>();
    let source = receiver_stream(Feed { records, stored, at_stop: (900..1000).collect() });
    // The first batch takes until the gate is opened; the others find it gone.
    let out = add(&ssc, source, move |_| {
        let _ = opened.recv();
        Ok(())
    })
    .unwrap();
    ssc.start().unwrap();
    for (n, records) in [(0..300), (300..600), (600..900)].into_iter().enumerate() {
        assert!(clock.wait_for_waiter(at(1000 * (n as u64 + 1))));
        feed.send(records.collect()).unwrap();
        wait.recv_timeout(LONG).unwrap();
        clock.advance(SECOND);
    }
    assert!(clock.wait_for_waiter(at(4_000)));
    drop(feed);
    let stopper = thread::spawn({
        let ssc = ssc.clone();
        move || ssc.stop_gracefully()
    });
    wait.recv_timeout(LONG).unwrap();
    clock.advance(SECOND);
    drop(gate);
    stopper.join().unwrap();
    assert_eq!(ssc.state(), ContextState::Stopped);
    assert_eq!(out.values().concat(), (0..1000).collect::<Vec<_>>());
    assert_eq!(times(&out), [1000, 2000, 3000, 4000]);
}

#[test]
fn a_graceful_stop_has_a_limit_and_an_immediate_one_drops_what_waits() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let config = config(&clock).graceful_stop_timeout(Duration::from_millis(10));
    let ssc = StreamingContext::with_config(SECOND, config).unwrap();
    let source = TestSource::new();
    let out = add(&ssc, source.clone(), |_| Ok(())).unwrap();
    ssc.start().unwrap();
    source.push(vec![1]);
    // The clock stands still, so the last batch never comes.
    let (done, stopped) = mpsc::channel();
    let stopper = ssc.clone();
    thread::spawn(move || {
        stopper.stop_gracefully();
        done.send(())
    });
    stopped.recv_timeout(LONG / 2).unwrap();
    assert_eq!((ssc.state(), out.values()), (ContextState::Stopped, vec![]));

    let ssc = context(&clock);
    let (began, begin) = mpsc::channel();
    let (gate, opened) = mpsc::channel::<()>();
    let out = add(&ssc, TestSource::<u8>::new(), move |_| {
        let _ = (began.send(()), opened.recv());
        Ok(())
    })
    .unwrap();
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(at(1000)));
    clock.set(at(5_000));
    begin.recv_timeout(LONG).unwrap();
    assert!(clock.wait_for_waiter(at(6_000)));
    let stopper = thread::spawn({
        let ssc = ssc.clone();
        move || ssc.stop()
    });
    ssc.inner().stopping.wait();
    // Whatever else began now would be collected too.
    drop(gate);
    stopper.join().unwrap();
    assert_eq!(times(&out), [1000]);
}

#[test]
fn a_batch_may_stop_its_own_context() {
    let _turn = turn();
    for (graceful, stepped) in [(false, false), (true, false), (false, true), (true, true)] {
        let clock = ManualClock::new(at(0));
        let ssc = context(&clock);
        let own = Mutex::new(Some(ssc.clone()));
        let out = add(&ssc, TestSource::<u8>::new(), move |_| {
            if let Some(ssc) = own.lock().unwrap().take() {
                if graceful {
                    ssc.stop_gracefully()
                } else {
                    ssc.stop()
                }
                assert!(ssc.await_termination().is_err(), "would wait for itself");
            }
            Ok(())
        })
        .unwrap();
        if stepped {
            ssc.run_batches(5).unwrap();
        } else {
            ssc.start().unwrap();
            assert!(clock.wait_for_waiter(at(1_000)));
            clock.set(at(1_000));
        }
        assert!(ssc.await_termination_or_timeout(LONG).unwrap());
        assert_eq!(times(&out), [1000], "graceful: {graceful}, stepped: {stepped}");
    }
}

struct Watched(Sender<&'static str>);

impl Source for Watched {
    type Block = Vec<i32>;
    type Plan = ();

    fn name(&self) -> String {
        "watched".into()
    }

    fn plan(&mut self, _: Time, _: &Limits) -> Result<Option<()>> {
        Ok(None)
    }

    fn blocks(&mut self, _: Time, _: &()) -> Result<Vec<Vec<i32>>> {
        Ok(Vec::new())
    }

    fn stop(&mut self) {
        self.0.send("stopped").unwrap_or_default();
    }
}

#[test]
fn the_last_handle_stops_the_context_and_nothing_of_it_stays() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let ssc = context(&clock);
    let (seen, watch) = mpsc::channel();
    add(&ssc, Watched(seen), |_| Ok(())).unwrap();
    let inner = Arc::downgrade(ssc.inner());
    ssc.start().unwrap();
    drop(ssc.clone());
    assert!(watch.try_recv().is_err());
    drop(ssc);
    assert_eq!(watch.recv_timeout(LONG), Ok("stopped"));
    // The source, and with it the sender, is dropped with the last thread.
    assert_eq!(watch.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    drop(inner);
}

#[test]
fn a_signal_stops_gracefully_and_leaves_the_default_behind() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let config = config(&clock).handle_signals(true);
    let quiet = StreamingContext::with_config(SECOND, config.clone()).unwrap();
    add(&quiet, TestSource::<i32>::new(), |_| Ok(())).unwrap();
    quiet.start().unwrap();
    assert!(!signals::DEFAULT.load(Ordering::SeqCst));
    quiet.stop();

    let ssc = StreamingContext::with_config(SECOND, config).unwrap();
    let source = TestSource::new();
    let out = add(&ssc, source.clone(), |_| Ok(())).unwrap();
    assert!(signals::DEFAULT.load(Ordering::SeqCst));
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(at(1_000)));
    source.push(vec![1]);
    assert!(!signals::DEFAULT.load(Ordering::SeqCst));
    signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
    ssc.inner().stopping.wait();
    clock.set(at(1_000));
    ssc.await_termination().unwrap();
    assert_eq!((out.values(), ssc.state()), (vec![vec![1]], ContextState::Stopped));
    assert!(signals::DEFAULT.load(Ordering::SeqCst));
}
