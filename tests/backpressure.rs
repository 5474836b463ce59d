//! Back-pressure, and batches that are behind: what sources give while a batch takes too long.

use std::{
    fs,
    io::{self, Write},
    net::TcpListener,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver as Channel, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use dstream::{
    ContextState, Error,
    backpressure::{Backpressure, OnBehind},
    events::BatchCompleted,
    prelude::*,
    receiver::{Receiver, ReceiverContext},
    source::{Limits, Source},
    testing::{Events, ManualClock},
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
    // Not by itself with a clock that is stepped.
    Config::new().threads(1).handle_signals(false).clock(clock.clone()).backpressure(Backpressure::new())
}

/// An output that lets each batch go on when it is told to.
fn gate() -> (impl Fn(Time) -> dstream::Result<()> + Send + Sync + 'static, Gate) {
    let ((begin, begun), (open, opened)) = (mpsc::channel(), mpsc::channel::<()>());
    let opened = Mutex::new(opened);
    let wait = move |time: Time| {
        begin.send(time.as_millis()).unwrap_or_default();
        lock(&opened).recv().unwrap_or_default();
        Ok(())
    };
    (wait, Gate { begun, open })
}

/// Has nothing, and tells of each batch that it is done.
struct Told(Sender<u64>);

impl Source for Told {
    type Block = Vec<u64>;
    type Plan = ();

    fn name(&self) -> String {
        "told".into()
    }

    fn plan(&mut self, _time: Time, _limits: &Limits) -> dstream::Result<Option<()>> {
        Ok(None)
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> dstream::Result<Vec<Vec<u64>>> {
        Ok(Vec::new())
    }

    fn committed(&mut self, time: Time) {
        self.0.send(time.as_millis()).unwrap_or_default();
    }
}

struct Gate {
    begun: Channel<u64>,
    open: Sender<()>,
}

impl Gate {
    /// Waits until the batch at this time is processed.
    fn wait(&self, batch: u64) {
        assert_eq!(self.begun.recv_timeout(LONG), Ok(batch));
    }

    /// Lets the batch that is processed end.
    fn open(&self) {
        self.open.send(()).unwrap();
    }
}

/// Moves the clock to each of these times, when the batch clock waits for it.
fn step(clock: &ManualClock, times: impl IntoIterator<Item = u64>) {
    for time in times {
        assert!(clock.wait_for_waiter(at(time)), "the batch clock does not wait for {time}");
        clock.set(at(time));
    }
}

fn sizes(out: &Collected<u64>) -> Vec<usize> {
    out.values().iter().map(Vec::len).collect()
}

#[test]
fn while_a_batch_takes_too_long_the_next_ones_have_nothing_and_then_what_can_be_processed() {
    let _turn = turn();
    let (clock, out) = (ManualClock::new(at(0)), Collected::new());
    let (wait, gate) = gate();
    let (tell, done) = mpsc::channel();
    let told = Told(tell);
    let ssc = dstream::stream!(batch = 1s, conf = config(&clock), {
        let numbers = rate_stream(1000);
        numbers.collect_to(&out);
        numbers.union(told).foreach_rdd(|_, time| wait(time));
    })
    .unwrap();
    ssc.start().unwrap();
    step(&clock, [1000]);
    gate.wait(1000);
    // The next ones are planned while it runs. It is done at 3.5 s: 1,000 records in 2.5 s.
    step(&clock, [2000, 3000]);
    assert!(clock.wait_for_waiter(at(4000)));
    clock.set(at(3500));
    gate.open();
    for batch in [2000, 3000] {
        gate.wait(batch);
        gate.open();
    }
    [1000, 2000, 3000].into_iter().for_each(|batch| assert_eq!(done.recv_timeout(LONG), Ok(batch)));
    step(&clock, [4000]);
    gate.wait(4000);
    assert_eq!(sizes(&out), [1000, 0, 0, 400]);
    // That one takes a fifth of an interval.
    clock.set(at(4200));
    gate.open();
    assert_eq!(done.recv_timeout(LONG), Ok(4000));
    step(&clock, [5000]);
    gate.wait(5000);
    assert_eq!(sizes(&out), [1000, 0, 0, 400, 2000]);
    clock.set(at(5200));
    gate.open();
    assert_eq!(done.recv_timeout(LONG), Ok(5000));
    // Each of these takes a fifth of an interval. What is left is less than there might be.
    for (batch, size) in [(6000, 2600), (7000, 1000), (8000, 1000)] {
        step(&clock, [batch]);
        gate.wait(batch);
        assert_eq!(sizes(&out).last(), Some(&size));
        clock.set(at(batch + 200));
        gate.open();
        assert_eq!(done.recv_timeout(LONG), Ok(batch));
    }
    drop(gate);
    ssc.stop();
}

#[test]
fn without_it_each_batch_has_all_that_has_arrived() {
    let _turn = turn();
    let (clock, out) = (ManualClock::new(at(0)), Collected::new());
    let (wait, gate) = gate();
    // A clock that is stepped does not say how long batches take.
    let conf = Config::new().threads(1).handle_signals(false).clock(clock.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let numbers = rate_stream(1000);
        numbers.collect_to(&out);
        numbers.foreach_rdd(|_, time| wait(time));
    })
    .unwrap();
    ssc.start().unwrap();
    step(&clock, [1000, 2000, 3000]);
    for batch in [1000, 2000, 3000] {
        gate.wait(batch);
        gate.open();
    }
    assert!(out.wait_for(3, LONG));
    assert_eq!(sizes(&out), [1000; 3]);
    drop(gate);
    ssc.stop();
}

#[test]
fn files_wait_in_their_folder_and_none_is_lost() {
    let _turn = turn();
    let (clock, out) = (ManualClock::new(at(0)), Collected::new());
    let folder = tempfile::tempdir().unwrap();
    let (wait, gate) = gate();
    let add = |names: std::ops::Range<u64>| {
        for name in names {
            // A kilobyte and a bit each: 12 records of the limit.
            let mut line = name.to_string();
            line.push_str(&" ".repeat(12 * 1024 - line.len()));
            fs::write(folder.path().join(format!("{name:03}")), line).unwrap();
        }
    };
    let files = dstream::source::text_file_stream(folder.path()).new_files_only(false).settle(Duration::ZERO);
    // Files have the times of this machine.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let first = (now / 1000 + 3600) * 1000;
    clock.set(at(first - 500));
    add(0..10);
    let (tell, done) = mpsc::channel();
    let told = Told(tell);
    let ssc = dstream::stream!(batch = 1s, conf = config(&clock), {
        let names = files.map(|line| line.trim().parse::<u64>().unwrap_or(u64::MAX));
        names.collect_to(&out);
        names.union(told).foreach_rdd(|_, time| wait(time));
    })
    .unwrap();
    ssc.start().unwrap();
    step(&clock, [first]);
    gate.wait(first);
    add(10..30);
    // 120 records in 3 s: 40 a second, and the lowest rate is 100.
    step(&clock, [first + 1000, first + 2000]);
    assert!(clock.wait_for_waiter(at(first + 3000)));
    clock.set(at(first + 2999));
    gate.open();
    for late in [1000, 2000] {
        gate.wait(first + late);
        gate.open();
    }
    [0, 1000, 2000].into_iter().for_each(|late| assert_eq!(done.recv_timeout(LONG), Ok(first + late)));
    let mut batch = first + 3000;
    while out.values().concat().len() < 30 {
        step(&clock, [batch]);
        gate.wait(batch);
        // It takes its interval, so the rate stays about what it is.
        clock.set(at(batch + 999));
        gate.open();
        assert_eq!(done.recv_timeout(LONG), Ok(batch));
        batch += 1000;
        assert!(batch < first + 60_000, "{:?}", sizes(&out));
    }
    let sizes = sizes(&out);
    assert_eq!(sizes[..4], [10, 0, 0, 9], "{sizes:?}");
    let mut all = out.values().concat();
    all.sort_unstable();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
    drop(gate);
    ssc.stop();
}

/// Stores blocks as it is told to.
struct Blocks(Channel<Vec<u64>>, Sender<u64>);

impl Receiver for Blocks {
    type Block = Vec<u64>;

    fn name(&self) -> String {
        "blocks".into()
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Vec<u64>>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        while !ctx.is_stopping() {
            if let Ok(block) = self.0.recv_timeout(Duration::from_millis(5)) {
                let first = block[0];
                if ctx.store_block(block) {
                    self.1.send(first)?;
                }
            }
        }
        Ok(())
    }
}

#[test]
fn what_a_receiver_has_stored_waits_for_batches_that_may_take_it_and_a_stop_takes_it_all() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    for graceful in [true, false] {
        let (clock, out) = (ManualClock::new(at(0)), Collected::new());
        let (wait, gate) = gate();
        let ((send, blocks), (store, stored)) = (mpsc::channel(), mpsc::channel());
        let receiver = Blocks(blocks, store);
        let put = |from: u64| {
            send.send((from..from + 250).collect()).unwrap();
            assert_eq!(stored.recv_timeout(LONG), Ok(from));
        };
        let checkpoint = folder.path().join(graceful.to_string());
        let ssc = dstream::stream!(batch = 1s, conf = config(&clock), checkpoint = &checkpoint, {
            let numbers = receiver;
            numbers.collect_to(&out);
            numbers.foreach_rdd(|_, time| wait(time));
        })
        .unwrap();
        ssc.start().unwrap();
        (0..4).for_each(|block| put(block * 250));
        step(&clock, [1000]);
        gate.wait(1000);
        // Nothing is known yet of how long this one takes.
        (4..8).for_each(|block| put(block * 250));
        step(&clock, [2000]);
        assert!(clock.wait_for_waiter(at(3000)));
        clock.set(at(2999));
        gate.open();
        gate.wait(2000);
        gate.open();
        assert!(out.wait_for(2, LONG));
        // 1,000 records in 2 s: two blocks.
        step(&clock, [3000]);
        gate.wait(3000);
        assert_eq!(sizes(&out), [1000, 0, 500], "{graceful}");
        if graceful {
            // The last batch has the rest.
            gate.open();
            gate.open();
            thread::scope(|scope| {
                let stop = scope.spawn(|| ssc.stop_gracefully());
                assert!(clock.wait_for_waiter(at(4000)));
                clock.set(at(4000));
                stop.join().unwrap();
            });
            assert_eq!(sizes(&out), [1000, 0, 500, 500]);
        } else {
            drop(gate);
            ssc.stop();
            // What waits is in the log.
            let (_, none) = mpsc::channel::<Vec<u64>>();
            let (receiver, again) = (Blocks(none, mpsc::channel().0), Collected::new());
            let ssc = dstream::stream!(batch = 1s, conf = config(&clock), checkpoint = &checkpoint, {
                let numbers = receiver;
                numbers.collect_to(&again);
                numbers.foreach_rdd(|_, _| Ok::<(), Error>(()));
            })
            .unwrap();
            ssc.run_batches(3).unwrap();
            let mut all = [out.values().concat(), again.values().concat()].concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all, (0..2000).collect::<Vec<_>>());
            assert!(again.values().concat().contains(&1999));
        }
    }
}

#[test]
fn intervals_that_were_missed_are_one_batch_if_asked_for() {
    let _turn = turn();
    let (clock, out, events) = (ManualClock::new(at(0)), Collected::new(), Events::new());
    let (wait, gate) = gate();
    let conf =
        config(&clock).on_behind(OnBehind::Merge).backpressure(Backpressure::off()).listener(events.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let numbers = rate_stream(1000);
        numbers.collect_to(&out);
        numbers.foreach_rdd(|_, time| wait(time));
    })
    .unwrap();
    ssc.start().unwrap();
    step(&clock, [1000]);
    gate.wait(1000);
    // One waits, and three more intervals pass.
    step(&clock, [2000, 3000, 4000, 5000]);
    assert!(clock.wait_for_waiter(at(6000)));
    gate.open();
    gate.wait(2000);
    step(&clock, [6000]);
    gate.open();
    gate.wait(6000);
    assert_eq!(sizes(&out), [1000, 1000, 4000]);
    gate.open();
    // The machine has slept for an hour.
    assert!(clock.wait_for_waiter(at(7000)));
    clock.set(at(3_600_500));
    gate.wait(3_600_000);
    assert_eq!(sizes(&out)[3..], [3_594_000]);
    drop(gate);
    ssc.stop();
    let intervals: Vec<u64> = events
        .recorded()
        .iter()
        .filter_map(|event| match event {
            dstream::events::Event::BatchPlanned(planned) => Some(planned.intervals),
            _ => None,
        })
        .collect();
    assert_eq!(intervals, [1, 1, 4, 3594]);
}

#[test]
fn the_batch_clock_waits_for_batches_that_are_behind() {
    let _turn = turn();
    let (clock, out) = (ManualClock::new(at(0)), Collected::new());
    let (wait, gate) = gate();
    let conf = config(&clock).max_batches_behind(2).backpressure(Backpressure::off());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        let numbers = rate_stream(1000);
        numbers.collect_to(&out);
        numbers.foreach_rdd(|_, time| wait(time));
    })
    .unwrap();
    ssc.start().unwrap();
    step(&clock, [1000]);
    gate.wait(1000);
    step(&clock, [2000, 3000, 4000]);
    // The fourth is not planned before the second begins, and the fifth not at all meanwhile.
    gate.open();
    gate.wait(2000);
    assert!(clock.wait_for_waiter(at(5000)));
    for batch in [2000, 3000] {
        gate.open();
        gate.wait(batch + 1000);
    }
    assert_eq!(sizes(&out), [1000; 4]);
    drop(gate);
    ssc.stop();
}

#[test]
fn a_program_ends_if_too_many_batches_wait_and_it_says_so() {
    let _turn = turn();
    let clock = ManualClock::new(at(0));
    let (wait, gate) = gate();
    let conf = config(&clock).max_batches_behind(2).on_behind(OnBehind::Stop);
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        rate_stream(1000).foreach_rdd(|_, time| wait(time));
    })
    .unwrap();
    ssc.start().unwrap();
    step(&clock, [1000]);
    gate.wait(1000);
    step(&clock, [2000, 3000, 4000]);
    let error = ssc.await_termination().unwrap_err();
    drop(gate);
    assert!(matches!(error, Error::Behind { waiting: 2, limit: 2, .. }), "{error:?}");
    assert!(
        error.to_string().contains(
            "2 batches wait and `max_batches_behind` is 2: batches take longer than their interval"
        ),
        "{error}"
    );
    ssc.stop();
    assert_eq!(ssc.state(), ContextState::Stopped);
}

#[test]
fn what_can_not_work_is_refused() {
    let refused = |conf: Config| {
        let ssc = dstream::stream!(batch = 1s, conf = conf.volatile_state(true), {
            let pairs = queue_stream(vec![vec![1u64]]).map(|n| (n, 1u64));
            pairs.reduce_by_key_and_window(|a, b| a + b, 2s).print();
        });
        ssc.and_then(|ssc| ssc.run_batches(1)).unwrap_err().to_string()
    };
    let bad = [
        (
            Config::new().on_behind(OnBehind::Merge),
            "keeps something from batch to batch, `pairs.reduce_by_key_and_window`, and needs each batch",
        ),
        (Config::new().on_behind(OnBehind::Stop), "give `max_batches_behind` as well"),
        (Config::new().max_batches_behind(0), "`max_batches_behind` is 0, but must be at least 1"),
        (Config::new().backpressure(Backpressure::new().min_rate(0)), "`min_rate` of the back-pressure is 0"),
        (
            Config::new().backpressure(Backpressure::new().integral(-0.5)),
            "`integral` of the back-pressure is -0.5, but must be a number that is not negative",
        ),
        (
            Config::new().backpressure(Backpressure::new().proportional(f64::NAN)),
            "`proportional` of the back-pressure is NaN",
        ),
    ];
    for (conf, expected) in bad {
        let error = refused(conf);
        assert!(error.contains(expected), "{error}");
    }
}

/// In real time: a client that sends as fast as it can, and records that take time.
#[test]
fn a_socket_is_not_read_faster_than_its_lines_are_processed() {
    static SENT: AtomicU64 = AtomicU64::new(0);
    static DONE: AtomicU64 = AtomicU64::new(0);
    let _turn = turn();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let producer = thread::spawn(move || -> io::Result<()> {
        let (mut socket, _) = listener.accept()?;
        let lines = "0123456789012345678901234567890123456789\n".repeat(100);
        loop {
            socket.write_all(lines.as_bytes())?;
            SENT.fetch_add(100, Ordering::Relaxed);
        }
    });
    let (tell, batches) = mpsc::channel();
    let tell = Mutex::new(tell);
    struct Tell(Mutex<Sender<BatchCompleted>>);
    impl dstream::events::Listener for Tell {
        fn batch_completed(&self, batch: &BatchCompleted) {
            lock(&self.0).send(batch.clone()).unwrap_or_default();
        }
    }
    // Without an initial rate the first batch would have all that a socket gives in an interval.
    let backpressure = Backpressure::new().initial_rate(20_000);
    let conf = Config::new().threads(1).handle_signals(false).listener(Tell(tell)).backpressure(backpressure);
    let ssc = dstream::stream!(batch = 200ms, conf = conf, {
        let lines = socket_text_stream("127.0.0.1", port);
        // 50,000 lines a second.
        let slow = lines.filter(|_line| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(20) {
                std::hint::spin_loop();
            }
            true
        });
        slow.count().foreach_rdd(|rdd| {
            DONE.fetch_add(rdd.collect().into_iter().sum::<u64>(), Ordering::Relaxed);
            Ok::<(), Error>(())
        });
    })
    .unwrap();
    ssc.start().unwrap();
    let completed: Vec<BatchCompleted> =
        (0..40).map(|_| batches.recv_timeout(LONG).expect("a batch")).collect();
    let ahead = SENT.load(Ordering::Relaxed) - DONE.load(Ordering::Relaxed);
    ssc.stop();
    assert!(producer.join().unwrap().is_err(), "it ends when its connection does");
    let mut late: Vec<f64> =
        completed[20..].iter().map(|batch| batch.at.since(batch.batch).as_secs_f64() / 0.2).collect();
    late.sort_by(f64::total_cmp);
    // Others use this machine, too, so some may be late; without back-pressure they would all be, by
    // hundreds.
    let each = |batch: &BatchCompleted| {
        let input = &batch.inputs[0];
        (batch.at.since(batch.batch), batch.processing_time, input.records, input.limit)
    };
    let all: Vec<_> = completed.iter().map(each).collect();
    assert!(late[late.len() / 2] < 4.0, "late, processing, records, limit: {all:?}");
    // Without back-pressure: all that fits into the buffer of the receiver, 256 MiB.
    assert!(ahead < 2_000_000, "{ahead} lines are sent and not processed");
}
