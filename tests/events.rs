//! What a listener is told of a context, in which order.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use dstream::{
    Config, ContextState,
    events::{BatchCompleted, ContextStarted, ContextView, Event, Listener},
    prelude::*,
    receiver::{Receiver, ReceiverContext, Volatile},
    testing::{Events, ManualClock, SimDisk, TestSource},
};

const LONG: Duration = Duration::from_secs(10);

/// Only one context of a process may be started, so these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(events: &Events) -> Config {
    Config::new().threads(2).handle_signals(false).listener(events.clone())
}

/// Each event in short.
fn short(event: &Event) -> String {
    let at = |time: &Time| time.as_millis();
    match event {
        Event::ContextStarted(event) => format!("started {}", event.plan.name),
        Event::ContextStopped(event) => format!("stopped {:?}", event.error),
        Event::ReceiverStarted(event) => format!("{} up", event.source),
        Event::ReceiverFailed(event) => format!("{} {}, {:?}", event.source, event.error, event.next_try_in),
        Event::ReceiverStopped(event) => format!("{} down", event.source),
        Event::BatchPlanned(event) => format!("{} planned at {}", at(&event.batch), at(&event.at)),
        Event::BatchStarted(event) => {
            let inputs: Vec<_> = event.inputs.iter().map(|i| format!("{}: {}", i.source, i.blocks)).collect();
            format!("{} begun after {:?}, {}", at(&event.batch), event.scheduling_delay, inputs.join(", "))
        }
        Event::StageCompleted(event) => {
            let error = event.error.as_ref().map_or("", |_| ", failed");
            format!("{} stage {}.{}{error}", at(&event.batch), event.pipeline, event.stage)
        }
        Event::OutputStarted(event) => format!("{} output {}", at(&event.batch), event.output),
        Event::OutputCompleted(event) => {
            let error = event.error.as_ref().map_or("", |_| ", failed");
            format!("{} output {} done in {} attempts{error}", at(&event.batch), event.output, event.attempts)
        }
        Event::BatchCompleted(event) => {
            let kept: Vec<_> = event.kept.iter().map(|k| format!(", {} {:?}", k.operator, k.keys)).collect();
            let read: Vec<_> = event.inputs.iter().filter_map(|input| input.records).collect();
            let delays = [event.scheduling_delay, event.processing_time, event.total_delay];
            let (outputs, failed) =
                (event.outputs.len(), if event.error.is_some() { ", failed" } else { "" });
            format!(
                "{} done in {delays:?}, read {read:?}, {outputs} outputs{}{failed}",
                at(&event.batch),
                kept.concat()
            )
        }
        Event::CheckpointWritten(event) => format!("{} checkpoint {}", at(&event.batch), event.bytes > 0),
        Event::BatchesBehind(event) => {
            format!("{} is behind by {:?}, {} wait", at(&event.batch), event.delay, event.waiting)
        }
        Event::BatchesCaughtUp(event) => format!("{} is in time", at(&event.batch)),
        Event::Reported(event) => format!("reported {}", event.error),
        other => format!("{other:?}"),
    }
}

fn shorts(events: &Events) -> Vec<String> {
    events.recorded().iter().map(short).collect()
}

/// The original's order: planned, started, the outputs one after another, completed.
#[test]
fn the_events_of_a_batch_come_in_order() {
    let events = Events::new();
    let words: TestSource<&str> = TestSource::new();
    let source = words.clone();
    let conf = config(&events).clock(ManualClock::new(Time::from_millis(5_000)));
    let ssc = dstream::stream!(batch = 1s, name = "app", conf = conf, {
        let pairs = source.map(|word| (word, 1u64));
        let counts = pairs.reduce_by_key_and_window(|a, b| a + b, 2s);
        counts.foreach_rdd(|rdd| if rdd.count() == 3 { Err("three") } else { Ok(()) });
        pairs.filter(|(word, _)| word.len() > 1).count().print();
        counts.window(2s, 2s).count().foreach_rdd(|_| ());
    })
    .unwrap();
    words.push(vec!["a", "b"]);
    words.push(vec!["c"]);
    assert!(ssc.run_batches(2).is_err());
    ssc.stop();
    assert_eq!(
        shorts(&events),
        [
            "started app",
            "6000 planned at 5000",
            "6000 begun after 0ns, test_source: 1",
            "6000 stage 0.0",
            "6000 output counts.foreach_rdd",
            "6000 output counts.foreach_rdd done in 1 attempts",
            "6000 output pairs.filter.count.print",
            "6000 output pairs.filter.count.print done in 1 attempts",
            "6000 done in [0ns, 0ns, 0ns], read [2], 2 outputs, counts Some(2), counts.window Some(2)",
            "7000 planned at 5000",
            "7000 begun after 0ns, test_source: 1",
            "7000 stage 0.0",
            "7000 output counts.foreach_rdd",
            "7000 output counts.foreach_rdd done in 1 attempts, failed",
            "7000 output pairs.filter.count.print",
            "7000 output pairs.filter.count.print done in 1 attempts",
            "7000 output counts.window.count.foreach_rdd",
            "7000 output counts.window.count.foreach_rdd done in 1 attempts",
            "7000 done in [0ns, 0ns, 0ns], read [1], 3 outputs, counts Some(3), counts.window Some(5), \
             failed",
            "stopped None",
        ]
    );
}

/// A stage that fails, and the output that needs it.
#[test]
fn a_failed_stage_is_told_with_its_place() {
    let events = Events::new();
    let ssc = dstream::stream!(batch = 1s, conf = config(&events), {
        queue_stream(vec![vec![1u64]]).map(|n| n / (n - 1)).print();
    })
    .unwrap();
    assert!(ssc.run_batches(1).is_err());
    ssc.stop();
    let stages: Vec<_> = events
        .recorded()
        .into_iter()
        .filter_map(|event| match event {
            Event::StageCompleted(event) => event.error,
            Event::OutputCompleted(event) if event.attempts == 0 => event.error,
            _ => None,
        })
        .collect();
    assert_eq!(stages.len(), 2, "{:?}", shorts(&events));
    assert!(stages.iter().all(|error| error.contains("`map` at tests/events.rs:")), "{stages:?}");
}

struct Flaky(u32);

impl Receiver for Flaky {
    type Block = Volatile<Vec<u32>>;

    fn name(&self) -> String {
        "flaky".to_owned()
    }

    fn run(
        &mut self,
        ctx: &ReceiverContext<Self::Block>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0 += 1;
        if self.0 == 1 {
            return Err("no luck".into());
        }
        while ctx.wait(LONG) {}
        Ok(())
    }
}

/// A started context under a manual clock: a receiver that fails once, and a batch that is late.
#[test]
fn receivers_and_late_batches_are_told() {
    let _turn = turn();
    let (events, clock) = (Events::new(), ManualClock::new(Time::from_millis(500)));
    let conf = config(&events).clock(clock.clone()).restart_delay(Duration::from_millis(100));
    let (began, begin) = mpsc::channel();
    let (gate, opened) = mpsc::channel::<()>();
    let opened = Mutex::new(opened);
    let source = Flaky(0);
    let ssc = dstream::stream!(batch = 1s, name = "late", conf = conf, {
        source.foreach_rdd(|_| {
            let _ = (began.send(()), opened.lock().unwrap().recv());
        });
    })
    .unwrap();
    ssc.start().unwrap();
    // The receiver waits for its second try.
    assert!(clock.wait_for_waiter(Time::from_millis(600)));
    clock.set(Time::from_millis(600));
    assert!(events.wait_for(LONG, |events| events.iter().filter(|e| short(e) == "flaky up").count() == 2));
    assert!(clock.wait_for_waiter(Time::from_millis(1_000)));
    clock.set(Time::from_millis(1_000));
    begin.recv_timeout(LONG).unwrap();
    assert!(clock.wait_for_waiter(Time::from_millis(2_000)));
    clock.set(Time::from_millis(2_000));
    // The second batch is planned while the first one runs.
    assert!(events.wait_for(LONG, |events| events.iter().any(|e| short(e) == "2000 planned at 2000")));
    clock.set(Time::from_millis(2_500));
    gate.send(()).unwrap();
    begin.recv_timeout(LONG).unwrap();
    clock.set(Time::from_millis(2_700));
    gate.send(()).unwrap();
    assert!(events.wait_for(LONG, |events| events.iter().any(|e| short(e).starts_with("2000 done"))));
    drop(gate);
    ssc.stop();
    let found = shorts(&events);
    let of = |word: &str| found.iter().filter(|text| text.contains(word)).cloned().collect::<Vec<_>>();
    assert_eq!(of("flaky ")[..3], ["flaky up", "flaky failed: no luck, 100ms", "flaky up"]);
    assert_eq!(found.iter().filter(|text| text.starts_with("reported")).count(), 1, "{found:?}");
    assert_eq!(of("flaky down").len(), 1);
    assert_eq!(
        [of(" begun"), of(" done in [")].concat(),
        [
            "1000 begun after 0ns, flaky: 0",
            "2000 begun after 500ms, flaky: 0",
            "1000 done in [0ns, 1.5s, 1.5s], read [0], 1 outputs",
            "2000 done in [500ms, 200ms, 700ms], read [0], 1 outputs",
        ]
    );
    assert_eq!(of(" is "), ["1000 is behind by 1.5s, 1 wait", "2000 is in time"]);
    assert_eq!(found.last().map(String::as_str), Some("stopped None"));
}

/// A listener that never returns holds neither the batches nor the stop beyond its limit.
#[test]
fn a_listener_that_blocks_holds_up_nothing() {
    struct Blocks(Mutex<mpsc::Receiver<()>>);

    impl Listener for Blocks {
        fn any(&self, _: &Event) {
            let _ = self.0.lock().unwrap().recv();
        }
    }

    let _turn = turn();
    let (opener, gate) = mpsc::channel();
    let (events, clock) = (Events::new(), ManualClock::new(Time::from_millis(0)));
    let out = Collected::new();
    let conf = config(&events).clock(clock.clone()).listener(Blocks(Mutex::new(gate)));
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        queue_stream(vec![vec![1]]).collect_to(&out);
    })
    .unwrap();
    ssc.start().unwrap();
    // Many more events than a queue holds.
    clock.set(Time::from_millis(5_000_000));
    assert!(out.wait_for(5_000, 6 * LONG));
    let start = Instant::now();
    ssc.stop();
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    assert_eq!(ssc.state(), ContextState::Stopped);
    assert!(matches!(events.recorded().last(), Some(Event::ContextStopped(_))));
    drop(opener);
}

/// Each is told of what comes after it was added; one that panics is told of the next event all the same.
#[test]
fn listeners_can_be_added_and_may_panic() {
    struct Panics(Arc<AtomicU64>);

    impl Listener for Panics {
        fn batch_completed(&self, _: &BatchCompleted) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("a bug of the listener's");
        }
    }

    let events = Events::new();
    let ssc = dstream::stream!(batch = 1s, conf = Config::new().threads(1), {
        queue_stream(vec![vec![1]]).print();
    })
    .unwrap();
    ssc.run_batches(1).unwrap();
    let count = Arc::new(AtomicU64::new(0));
    ssc.add_listener(Panics(Arc::clone(&count))).unwrap();
    ssc.add_listener(events.clone()).unwrap();
    ssc.run_batches(2).unwrap();
    ssc.stop();
    assert_eq!(count.load(Ordering::Relaxed), 2);
    let completed = events.recorded().into_iter().filter(|event| matches!(event, Event::BatchCompleted(_)));
    assert_eq!(completed.count(), 2);
}

/// A listener that needs something which can't be had, or has it.
struct Opens(Mutex<Vec<String>>, Option<&'static str>);

impl Listener for Opens {
    fn attached(&self, context: &ContextView) -> dstream::Result<()> {
        let pipelines = context.plan().pipelines.len();
        self.0.lock().unwrap().push(format!("{} {:?} {pipelines}", context.name(), context.batch_interval()));
        match self.1 {
            Some("panic") => panic!("no port"),
            Some(error) => Err(dstream::Error::Invalid(error.into())),
            None => Ok(()),
        }
    }

    fn detached(&self) {
        self.0.lock().unwrap().push("detached".into());
    }

    fn context_started(&self, _: &ContextStarted) {
        self.0.lock().unwrap().push("started".into());
    }
}

/// Those that are attached already give up what they have opened; others know of nothing.
#[test]
fn a_refused_start_detaches_the_listeners_before() -> dstream::Result<()> {
    let _turn = turn();
    let opens = |refusal| Arc::new(Opens(Mutex::default(), refusal));
    let (before, refuses, behind) = (opens(None), opens(Some("the port is taken")), opens(None));
    let conf = Config::new().clock(ManualClock::default()).listener(before.clone());
    let conf = conf.listener(refuses.clone()).listener(behind.clone());
    let ssc = dstream::stream!(batch = 1s, name = "opens", conf = conf, {
        queue_stream(vec![vec![1u64]]).foreach_rdd(|_| ());
    })?;
    assert!(ssc.run_batches(1).is_err());
    assert_eq!(*before.0.lock().unwrap(), ["opens 1s 1", "detached"]);
    assert_eq!(*refuses.0.lock().unwrap(), ["opens 1s 1"]);
    assert_eq!(*behind.0.lock().unwrap(), [""; 0]);
    Ok(())
}

#[test]
fn a_listener_is_attached_before_the_first_event_and_may_refuse_the_start() -> dstream::Result<()> {
    let _turn = turn();
    for refusal in [None, Some("the port is taken"), Some("panic")] {
        let (listener, late) = (Opens(Mutex::default(), refusal), Opens(Mutex::default(), refusal));
        let (listener, late) = (Arc::new(listener), Arc::new(late));
        let out = Collected::new();
        let conf = Config::new().clock(ManualClock::default()).listener(listener.clone());
        let ssc = dstream::stream!(batch = 1s, name = "opens", conf = conf, {
            queue_stream(vec![vec![1u64]]).collect_to(&out);
        })?;
        let ran = ssc.run_batches(1);
        if let Some(refusal) = refusal {
            let error = ran.unwrap_err().to_string();
            let wanted = if refusal == "panic" {
                "a listener panicked when it was attached to the context: no port"
            } else {
                refusal
            };
            assert!(error.contains(wanted), "{error}");
            assert!(out.values().is_empty());
            assert_eq!(*listener.0.lock().unwrap(), ["opens 1s 1"]);
            continue;
        }
        ran?;
        ssc.add_listener(late.clone())?;
        ssc.stop();
        assert_eq!(*listener.0.lock().unwrap(), ["opens 1s 1", "started"]);
        assert_eq!(*late.0.lock().unwrap(), ["opens 1s 1"]);
    }
    Ok(())
}

/// A listener may stop its context, and is told the rest when it returns.
#[test]
fn a_listener_may_stop_its_context() {
    struct Stops(Mutex<Option<dstream::StreamingContext>>, Events);

    impl Listener for Stops {
        fn any(&self, event: &Event) {
            self.1.any(event);
        }

        fn batch_completed(&self, _: &BatchCompleted) {
            if let Some(ssc) = self.0.lock().unwrap().take() {
                ssc.stop();
            }
        }
    }

    let _turn = turn();
    let (events, clock) = (Events::new(), ManualClock::new(Time::from_millis(0)));
    let conf = Config::new().threads(1).handle_signals(false).clock(clock.clone());
    let ssc =
        dstream::stream!(batch = 1s, conf = conf, { queue_stream(vec![vec![1]]).count().print() }).unwrap();
    ssc.add_listener(Stops(Mutex::new(Some(ssc.clone())), events.clone())).unwrap();
    ssc.start().unwrap();
    assert!(clock.wait_for_waiter(Time::from_millis(1_000)));
    clock.set(Time::from_millis(1_000));
    assert!(ssc.await_termination_or_timeout(LONG).unwrap());
    assert!(events.wait_for(LONG, |events| matches!(events.last(), Some(Event::ContextStopped(_)))));
}

fn with_checkpoint(disk: &SimDisk, events: &Events, edited: bool) -> dstream::StreamingContext {
    let conf = config(events).clock(ManualClock::new(Time::from_millis(5_000)));
    let totals = |new: &[u64], old: Option<u64>| Some(old.unwrap_or(0) + new.len() as u64);
    if edited {
        dstream::stream!(batch = 1s, name = "app", conf = conf, checkpoint = disk, {
            let pairs = queue_stream(vec![vec!["c"], vec!["d"]]).map(|word| (word, 1u64));
            pairs.count().print();
            let totals = pairs.update_state_by_key(totals);
            totals.print();
        })
    } else {
        dstream::stream!(batch = 1s, name = "app", conf = conf, checkpoint = disk, {
            let totals =
                queue_stream(vec![vec!["a", "b"]]).map(|word| (word, 1u64)).update_state_by_key(totals);
            totals.print();
        })
    }
    .unwrap()
}

/// Checkpoints are told with their bytes; a plan that has changed over a restart is no trouble.
#[test]
fn checkpoints_are_told_and_the_plan_is_that_of_the_program() {
    let disk = SimDisk::new(7);
    let before = Events::new();
    let ssc = with_checkpoint(&disk, &before, false);
    ssc.run_batches(1).unwrap();
    ssc.stop();
    let found = shorts(&before);
    let written: Vec<_> = found.iter().filter(|text| text.contains("checkpoint")).collect();
    // When it begins, and when it is done.
    assert_eq!(written, ["6000 checkpoint true", "6000 checkpoint true"], "{found:?}");
    assert!(
        found.contains(&"6000 done in [0ns, 0ns, 0ns], read [2], 1 outputs, totals Some(2)".to_owned()),
        "{found:?}"
    );

    let after = Events::new();
    let ssc = with_checkpoint(&disk, &after, true);
    ssc.run_batches(1).unwrap();
    ssc.stop();
    let recorded = after.recorded();
    let Some(Event::ContextStarted(started)) = recorded.first() else { panic!("{recorded:?}") };
    assert_eq!(started.plan, ssc.plan());
    assert_eq!(started.plan.pipelines[0].outputs().count(), 2);
    let found = shorts(&after);
    assert!(
        found.contains(&"7000 done in [0ns, 0ns, 0ns], read [1], 2 outputs, totals Some(3)".to_owned()),
        "{found:?}"
    );
}

/// Other programs read events as JSON or the like: each has the name of its kind.
#[test]
fn events_can_be_written_for_other_programs() {
    fn is_serialize(_: &impl serde::Serialize) {}

    let events = Events::new();
    let ssc = dstream::stream!(batch = 1s, conf = config(&events), { queue_stream(vec![vec![1]]).print() })
        .unwrap();
    ssc.run_batches(1).unwrap();
    ssc.stop();
    is_serialize(&events.recorded());
}
