//! Sources that take their time to say what belongs to a batch: they hold up nobody else.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver as Channel, Sender},
    },
    time::Duration,
};

use dstream::{
    ContextState,
    clock::CancellationToken,
    prelude::*,
    source::{Limits, Source, SourceContext},
    testing::{ManualClock, SimDisk},
};

const LONG: Duration = Duration::from_secs(10);

/// Only one context of a process may be started, so these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    lock(&TURN)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn config(clock: &ManualClock) -> Config {
    Config::new().threads(2).handle_signals(false).clock(clock.clone())
}

/// Tells of each plan that it begins, and goes on with it when it is let; each batch has its own time.
struct Gated {
    begun: Sender<u64>,
    gate: Channel<()>,
}

/// The test's side of it.
struct Gate {
    begun: Channel<u64>,
    open: Sender<()>,
}

fn gated() -> (Gated, Gate) {
    let ((begun, seen), (open, gate)) = (mpsc::channel(), mpsc::channel());
    (Gated { begun, gate }, Gate { begun: seen, open })
}

impl Source for Gated {
    type Block = Vec<u64>;
    type Plan = u64;

    fn name(&self) -> String {
        "gated".into()
    }

    fn plan(&mut self, time: Time, _: &Limits) -> dstream::Result<Option<u64>> {
        self.begun.send(time.as_millis()).unwrap_or_default();
        // The test that has gone waits for nothing.
        self.gate.recv().unwrap_or_default();
        Ok(Some(time.as_millis()))
    }

    fn blocks(&mut self, _: Time, plan: &u64) -> dstream::Result<Vec<Vec<u64>>> {
        Ok(vec![vec![*plan]])
    }
}

/// Each batch has what has arrived by then; tells of each plan when it is made.
struct Arrivals {
    arrived: Arc<Mutex<Vec<u64>>>,
    planned: Sender<u64>,
}

impl Source for Arrivals {
    type Block = Vec<u64>;
    type Plan = Vec<u64>;

    fn name(&self) -> String {
        "arrivals".into()
    }

    fn plan(&mut self, _: Time, _: &Limits) -> dstream::Result<Option<Vec<u64>>> {
        Ok(Some(std::mem::take(&mut *lock(&self.arrived))))
    }

    fn blocks(&mut self, time: Time, plan: &Vec<u64>) -> dstream::Result<Vec<Vec<u64>>> {
        self.planned.send(time.as_millis()).unwrap_or_default();
        Ok(vec![plan.clone()])
    }
}

#[test]
fn a_slow_source_does_not_give_the_others_what_came_after_their_time() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let (slow, gate) = gated();
    let (arrived, (planned, plans)) = (Arc::<Mutex<Vec<u64>>>::default(), mpsc::channel());
    let quick = Arrivals { arrived: Arc::clone(&arrived), planned };
    let (slow_out, quick_out) = (Collected::new(), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = config(&clock), {
        slow.collect_to(&slow_out);
        quick.collect_to(&quick_out);
    })
    .unwrap();
    ssc.start().unwrap();
    for batch in 1..=2 {
        lock(&arrived).push(batch);
        assert!(clock.wait_for_waiter(at(batch * 1_000)));
        clock.set(at(batch * 1_000));
        assert_eq!(
            plans.recv_timeout(LONG),
            Ok(batch * 1_000),
            "the slow source still plans the first batch"
        );
    }
    assert_eq!(gate.begun.recv_timeout(LONG), Ok(1_000));
    assert_eq!(slow_out.values().len(), 0);
    (0..2).for_each(|_| gate.open.send(()).unwrap());
    assert!(slow_out.wait_for(2, LONG) && quick_out.wait_for(2, LONG));
    assert_eq!(slow_out.values(), [[1_000], [2_000]]);
    assert_eq!(quick_out.values(), [[1], [2]]);
    drop(gate);
    ssc.stop();
}

#[test]
fn a_batch_that_runs_does_not_wait_for_a_source_that_plans() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let (slow, gate) = gated();
    let ((running, runs), (go_on, gone_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let gone_on = Mutex::new(gone_on);
    let out = Collected::new();
    let ssc = dstream::stream!(batch = 1s, conf = config(&clock), {
        (queue_stream(vec![vec![1]])).foreach_rdd(|_, time| {
            running.send(time.as_millis()).unwrap_or_default();
            lock(&gone_on).recv().unwrap_or_default();
            Ok::<(), dstream::Error>(())
        });
        // Its blocks are taken behind that.
        slow.collect_to(&out);
    })
    .unwrap();
    ssc.start().unwrap();
    gate.open.send(()).unwrap();
    for batch in [1_000, 2_000] {
        assert!(clock.wait_for_waiter(at(batch)));
        clock.set(at(batch));
        assert_eq!(gate.begun.recv_timeout(LONG), Ok(batch));
    }
    assert_eq!(runs.recv_timeout(LONG), Ok(1_000));
    go_on.send(()).unwrap();
    assert!(out.wait_for(1, LONG), "the second batch is being planned");
    assert_eq!(out.values(), [[1_000]]);
    drop((gate, go_on));
    ssc.stop();
}

#[test]
fn a_plan_that_never_returns_holds_no_stop_for_ever() {
    let _turn = turn();
    for graceful in [true, false] {
        let clock = ManualClock::new(at(0));
        let (stuck, gate) = gated();
        let (out, conf) = (Collected::new(), config(&clock).graceful_stop_timeout(Duration::from_millis(50)));
        let ssc = dstream::stream!(batch = 1s, conf = conf, {
            stuck.collect_to(&out);
        })
        .unwrap();
        ssc.start().unwrap();
        assert!(clock.wait_for_waiter(at(1_000)));
        clock.set(at(1_000));
        assert_eq!(gate.begun.recv_timeout(LONG), Ok(1_000));
        match graceful {
            true => ssc.stop_gracefully(),
            false => ssc.stop(),
        }
        assert_eq!(ssc.state(), ContextState::Stopped);
        assert!(out.values().is_empty());
    }
}

/// Waits in its plan until the context stops, as a source that asks a server may.
struct Patient(Option<CancellationToken>);

impl Source for Patient {
    type Block = Vec<u64>;
    type Plan = ();

    fn name(&self) -> String {
        "patient".into()
    }

    fn start(&mut self, context: &SourceContext) -> dstream::Result<()> {
        self.0 = Some(context.stopping.clone());
        Ok(())
    }

    fn plan(&mut self, _: Time, _: &Limits) -> dstream::Result<Option<()>> {
        if let Some(stopping) = &self.0 {
            stopping.wait();
        }
        Ok(Some(()))
    }

    fn blocks(&mut self, time: Time, _: &()) -> dstream::Result<Vec<Vec<u64>>> {
        Ok(vec![vec![time.as_millis()]])
    }
}

#[test]
fn a_graceful_stop_runs_the_batches_whose_plans_it_has_ended() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let (source, out) = (Patient(None), Collected::new());
    let ssc = dstream::stream!(batch = 1s, conf = config(&clock), {
        source.collect_to(&out);
    })
    .unwrap();
    ssc.start().unwrap();
    for batch in [1_000, 2_000] {
        assert!(clock.wait_for_waiter(at(batch)));
        clock.set(at(batch));
    }
    assert!(clock.wait_for_waiter(at(3_000)));
    ssc.stop_gracefully();
    assert_eq!(out.values(), [[1_000], [2_000]]);
}

/// Notes of which batches it is told that they are done.
struct Acknowledged(Sender<u64>);

impl Source for Acknowledged {
    type Block = Vec<u64>;
    type Plan = ();

    fn name(&self) -> String {
        "acknowledged".into()
    }

    fn plan(&mut self, _: Time, _: &Limits) -> dstream::Result<Option<()>> {
        Ok(Some(()))
    }

    fn blocks(&mut self, time: Time, _: &()) -> dstream::Result<Vec<Vec<u64>>> {
        Ok(vec![vec![time.as_millis()]])
    }

    fn committed(&mut self, time: Time) {
        self.0.send(time.as_millis()).unwrap_or_default();
    }
}

#[test]
fn a_source_is_told_which_batches_are_done_until_one_fails() {
    let _turn = turn();
    for (checkpoint, stepped) in [(true, true), (true, false), (false, true), (false, false)] {
        let (disk, clock) = (SimDisk::new(1), ManualClock::new(at(0)));
        let (told, committed) = mpsc::channel();
        let source = Acknowledged(told);
        let out = Collected::new();
        let conf = config(&clock);
        let fails = |time: Time| match time.as_millis() {
            2_000 => Err(dstream::Error::Invalid("not there".into())),
            _ => Ok(()),
        };
        let ssc = match checkpoint {
            true => dstream::stream!(batch = 1s, conf = conf, checkpoint = &disk, {
                let times = source.map(|time| time);
                times.collect_to(&out);
                times.foreach_rdd(|_, time| fails(time));
            }),
            false => dstream::stream!(batch = 1s, conf = conf, {
                let times = source.map(|time| time);
                times.collect_to(&out);
                times.foreach_rdd(|_, time| fails(time));
            }),
        }
        .unwrap();
        if stepped {
            assert!(ssc.run_batches(3).is_err());
        } else {
            ssc.start().unwrap();
            for batch in [1_000, 2_000, 3_000] {
                assert!(clock.wait_for_waiter(at(batch)));
                clock.set(at(batch));
            }
            assert!(out.wait_for(3, LONG));
            ssc.stop_gracefully();
        }
        let committed: Vec<u64> = committed.try_iter().collect();
        match checkpoint {
            true => {
                assert_eq!(committed, [1_000], "the checkpoint stays before the second; stepped: {stepped}")
            }
            false => assert_eq!(committed, [1_000, 3_000], "stepped: {stepped}"),
        }
    }
}
