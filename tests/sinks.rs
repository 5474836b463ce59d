//! Outputs that fail: retried, skipped, kept as dead letters; sinks, and each batch in them exactly once.

#[path = "sinks/conformance.rs"]
mod conformance;
#[path = "sinks/restarts.rs"]
mod restarts;
#[path = "sinks/table.rs"]
mod table;

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use dstream::{
    prelude::*,
    sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError, TextFiles, Transient},
    testing::{ManualClock, TestSource},
};

const NOW: Time = Time::from_millis(1_000_000_000);

/// Only one context of a process may be started, so the tests of started ones take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn failed(outcome: dstream::Result<()>) -> String {
    outcome.err().map(|error| error.to_string()).unwrap_or_default()
}

/// Writes down what is called, and panics or fails where it is told to.
#[derive(Clone, Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<String>>>,
    panics_in: &'static str,
    fails_in: &'static str,
}

impl Recorder {
    fn call(&self, what: &str, call: String) -> Result<(), SinkError> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        assert!(self.panics_in != what, "a panic in {what}");
        if self.fails_in == what { Err(SinkError::permanent(format!("no {what}"))) } else { Ok(()) }
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink<u64> for Recorder {
    type Part = (usize, u64);

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.call("open", format!("open {}", context.application()))
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.call("begin", format!("begin {} of {}", batch.records(), batch.partitions()))?;
        Ok(Begin::Write)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, u64>) -> Result<(usize, u64), SinkError> {
        if partition.index() == 1 {
            self.call("write", "write".into())?;
        }
        Ok((partition.index(), partition.iter().sum()))
    }

    fn commit(&mut self, _: &SinkBatch, parts: Vec<(usize, u64)>) -> Result<(), SinkError> {
        self.call("commit", format!("commit {parts:?}"))
    }

    fn abort(&mut self, _: &SinkBatch) {
        let _ = self.call("abort", "abort".into());
    }

    fn close(&mut self) {
        let _ = self.call("close", "close".into());
    }
}

/// Two batches of three records in two partitions, through a sink.
fn record(sink: Recorder) -> (Vec<String>, Vec<String>) {
    let calls = sink.clone();
    let ssc = dstream::stream!(batch = 1s, name = "app", {
        queue_stream(vec![vec![1u64, 2, 3], vec![4, 5, 6]]).repartition(2).write_to(sink);
    })
    .unwrap();
    let errors = (0..2).map(|_| failed(ssc.run_batches(1))).collect();
    ssc.stop();
    (calls.calls(), errors)
}

#[test]
fn a_sink_is_opened_once_written_in_partitions_committed_once_and_closed() {
    let (calls, errors) = record(Recorder::default());
    let expected = [
        "open app",
        "begin 3 of 2",
        "write",
        "commit [(0, 4), (1, 2)]",
        "begin 3 of 2",
        "write",
        "commit [(0, 10), (1, 5)]",
        "close",
    ];
    assert_eq!((calls.as_slice(), errors), (&expected.map(str::to_owned)[..], vec![String::new(); 2]));
}

#[test]
fn a_sink_that_panics_or_fails_fails_its_output_and_is_aborted() {
    let other = Collected::new();
    for what in ["open", "begin", "write", "commit"] {
        for panics in [true, false] {
            let mut sink = Recorder::default();
            *(if panics { &mut sink.panics_in } else { &mut sink.fails_in }) = what;
            let calls = sink.clone();
            let ssc = dstream::stream!(batch = 1s, {
                let nums = queue_stream(vec![vec![1u64, 2, 3]]).repartition(2);
                nums.write_to(sink);
                nums.collect_to(&other);
            })
            .unwrap();
            let error = failed(ssc.run_batches(1));
            let said = if panics { format!("a panic in {what}") } else { format!("no {what}") };
            assert!(error.contains("`write_to`") && error.contains(&said), "{what}: {error}");
            let aborted = calls.calls().contains(&"abort".to_owned());
            assert_eq!(aborted, what != "open", "{what}");
        }
    }
    // Other outputs have run all the same.
    assert_eq!(other.values().len(), 8);
}

#[test]
fn a_panic_in_abort_and_close_costs_nothing_more() {
    for panics_in in ["abort", "close"] {
        let sink = Recorder { panics_in, fails_in: "commit", ..Recorder::default() };
        let (_, errors) = record(sink);
        assert!(errors.iter().all(|error| !error.is_empty()), "{errors:?}");
    }
}

/// Notes which batch a restart would run again at the earliest; refuses one of the batches.
struct Earliest(Arc<Mutex<Vec<(Time, Time)>>>);

impl Sink<u64> for Earliest {
    type Part = ();

    fn write(&self, _: &SinkBatch, partition: Partition<'_, u64>) -> Result<(), SinkError> {
        if partition.iter().any(|n| *n == 13) { Err("unlucky".into()) } else { Ok(()) }
    }

    fn commit(&mut self, batch: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push((batch.time(), batch.rerun_from()));
        Ok(())
    }
}

#[test]
fn a_sink_is_told_which_batches_a_restart_may_run_again() {
    let run = |folder: Option<&std::path::Path>| {
        let seen = Arc::default();
        let sink = Earliest(Arc::clone(&seen));
        let batches: Vec<Vec<u64>> = (0..30).map(|n| vec![n]).collect();
        let conf = Config::new().clock(ManualClock::new(NOW));
        let conf = match folder {
            Some(folder) => conf.checkpoint(folder),
            None => conf,
        };
        let ssc = dstream::stream!(batch = 1s, conf = conf, {
            queue_stream(batches).write_to(sink);
        })
        .unwrap();
        assert!(ssc.run_batches(30).is_err());
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(seen.len(), 29);
        seen.clone()
    };
    // Without a checkpoint none runs again.
    assert!(run(None).iter().all(|(time, earliest)| time == earliest));
    let folder = tempfile::tempdir().unwrap();
    let failed = NOW + Duration::from_secs(14);
    for (time, earliest) in run(Some(folder.path())) {
        // A few behind the last, as some older checkpoints are kept; never behind one that failed.
        let last = time.min(failed);
        assert!(
            earliest < last && (time < NOW + Duration::from_secs(6) || last.since(earliest).as_secs() < 6)
        );
    }
}

/// Fails with transient errors for a while, and sends what it has written.
struct Flaky {
    left: u32,
    written: mpsc::Sender<(u64, u32, bool, Vec<u64>)>,
}

impl Sink<u64> for Flaky {
    type Part = Vec<u64>;

    fn write(&self, _: &SinkBatch, partition: Partition<'_, u64>) -> Result<Vec<u64>, SinkError> {
        Ok(partition.iter().copied().collect())
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Vec<u64>>) -> Result<(), SinkError> {
        if self.left > 0 {
            self.left -= 1;
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        }
        let time = batch.time().since(NOW).as_secs();
        Ok(self.written.send((time, batch.attempt(), batch.may_be_written(), parts.concat()))?)
    }
}

/// A started context with a flaky sink that fails `times` times, behind its first tick.
struct Started {
    clock: ManualClock,
    ssc: StreamingContext,
    written: mpsc::Receiver<(u64, u32, bool, Vec<u64>)>,
}

fn start(times: u32, retry: Option<Retry>, other: &Collected<u64>) -> dstream::Result<Started> {
    let clock = ManualClock::new(NOW);
    let conf = Config::new().clock(clock.clone()).handle_signals(false);
    let conf = conf.graceful_stop_timeout(millis(50));
    let (sender, written) = mpsc::channel();
    let (source, numbers) = (TestSource::new(), TestSource::new());
    source.push(vec![1u64, 2]);
    source.push(vec![3]);
    numbers.push(vec![7u64]);
    let flaky = Flaky { left: times, written: sender };
    let ssc = match retry {
        Some(retry) => dstream::stream!(batch = 1s, conf = conf, {
            source.write_to(flaky, retry = retry);
        }),
        None => dstream::stream!(batch = 1s, conf = conf, {
            source.write_to(flaky);
        }),
    }?;
    let _ = dstream::stream!(ssc, {
        numbers.collect_to(other);
    })?;
    ssc.start()?;
    assert!(clock.wait_for_waiter(NOW + millis(1_000)));
    clock.advance(millis(1_000));
    Ok(Started { clock, ssc, written })
}

#[test]
fn a_transient_error_is_retried_with_back_off_while_batches_wait() -> dstream::Result<()> {
    let _turn = turn();
    let other = Collected::new();
    let Started { clock, ssc, written } = start(3, None, &other)?;
    // 100 ms after the first attempt, then 200, then 400.
    for at in [1_100, 1_300, 1_700] {
        assert!(clock.wait_for_waiter(NOW + millis(at)), "{at}");
        // What comes behind it waits.
        assert!(other.values().is_empty());
        clock.set(NOW + millis(at));
    }
    assert_eq!(written.recv_timeout(millis(10_000)), Ok((1, 4, true, vec![1, 2])));
    assert!(clock.wait_for_waiter(NOW + millis(2_000)));
    clock.set(NOW + millis(2_000));
    assert_eq!(written.recv_timeout(millis(10_000)), Ok((2, 1, false, vec![3])));
    assert!(other.wait_for(1, millis(10_000)));
    ssc.stop();
    ssc.await_termination()
}

#[test]
fn attempts_and_the_time_for_them_are_limited() {
    let _turn = turn();
    for (retry, waits, says) in [
        (Retry::new().attempts(2), vec![1_100], "given up after 2 attempts"),
        (Retry::new().deadline(millis(250)), vec![1_100], "given up after 2 attempts"),
        (Retry::never(), vec![], "connection refused"),
    ] {
        let other = Collected::new();
        let Started { clock, ssc, written } = start(9, Some(retry), &other).unwrap();
        for at in waits {
            assert!(clock.wait_for_waiter(NOW + millis(at)));
            clock.set(NOW + millis(at));
        }
        let error = failed(ssc.await_termination());
        assert!(error.contains("`write_to`") && error.contains(says), "{error}");
        // The batch has failed for this output, and for no other.
        assert!(other.wait_for(1, millis(10_000)));
        assert!(written.try_recv().is_err());
        ssc.stop();
    }
}

#[test]
fn a_stop_ends_the_wait() {
    let _turn = turn();
    for graceful in [false, true] {
        let other = Collected::new();
        let Started { clock, ssc, .. } = start(u32::MAX, None, &other).unwrap();
        assert!(clock.wait_for_waiter(NOW + millis(1_100)));
        // A graceful one when its limit has passed.
        if graceful {
            ssc.stop_gracefully()
        } else {
            ssc.stop()
        }
        let error = failed(ssc.await_termination());
        assert!(error.contains("connection refused") && error.contains("the context stops"), "{error}");
    }
}

#[test]
fn whoever_steps_batches_is_told_at_once_unless_there_is_a_policy() {
    let (sender, written) = mpsc::channel();
    let flaky = Flaky { left: 1, written: sender.clone() };
    let ssc = dstream::stream!(batch = 1s, {
        queue_stream(vec![vec![1u64], vec![2]]).write_to(flaky);
    })
    .unwrap();
    assert!(failed(ssc.run_batches(1)).contains("connection refused"));
    assert_eq!(failed(ssc.run_batches(1)), "");
    assert_eq!(written.recv().map(|(.., records)| records), Ok(vec![2]));

    let clock = ManualClock::new(NOW);
    let flaky = Flaky { left: 1, written: sender };
    let conf = Config::new().clock(clock.clone());
    let ssc = dstream::stream!(batch = 1s, conf = conf, {
        queue_stream(vec![vec![1u64]]).write_to(flaky, retry = Retry::new());
    })
    .unwrap();
    let stepping = thread::spawn(move || ssc.run_batches(1));
    assert!(clock.wait_for_waiter(NOW + millis(100)));
    clock.advance(millis(100));
    assert!(stepping.join().unwrap().is_ok());
    assert_eq!(written.recv(), Ok((1, 2, true, vec![1])));
}

#[test]
fn closures_are_called_with_the_same_batch_again() -> dstream::Result<()> {
    let at_once = || Retry::new().attempts(3).delays(Duration::ZERO, Duration::ZERO);
    let (rdds, times, partitions) = (Arc::new(Mutex::new(Vec::new())), AtomicU32::new(0), AtomicU32::new(0));
    let seen = rdds.clone();
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64, 2, 3]]).repartition(3);
        nums.foreach_rdd(
            |rdd, time| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
                let mut seen = seen.lock().map_err(|_| "a panic")?;
                seen.push((rdd.collect(), time));
                if seen.len() < 3 {
                    Err(Transient::new("later"))?
                }
                Ok(())
            },
            retry = at_once(),
        );
        nums.foreach_rdd(
            |_rdd| -> io::Result<()> {
                match times.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(io::ErrorKind::TimedOut.into()),
                    _ => Ok(()),
                }
            },
            retry = at_once(),
        );
        nums.foreach_partition(
            |partition| -> Result<(), Transient> {
                let first = partitions.fetch_add(1, Ordering::SeqCst) < 3;
                if first && partition.index() == 1 { Err(Transient::new("later")) } else { Ok(()) }
            },
            retry = at_once(),
        );
        nums.print(retry = Retry::never(), on_error = OnError::Fail);
        nums.collect_to(&Collected::new(), retry = Retry::never());
    })?;
    ssc.run_batches(1)?;
    let seen = rdds.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|batch| *batch == seen[0]), "{seen:?}");
    Ok(())
}

#[test]
fn a_batch_that_can_not_be_written_is_skipped_or_goes_to_dead_letters() -> dstream::Result<()> {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let dead = TextFiles::new(folder.path().join("dead"), "");
    let worse = Recorder { fails_in: "commit", ..Recorder::default() };
    let calls = worse.clone();
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64, 2, 3]]);
        nums.foreach_rdd(|_rdd| Err("no such table"), on_error = OnError::Skip);
        nums.foreach_partition(|_partition| -> () { panic!("a bug") }, on_error = OnError::Skip);
        nums.foreach_rdd(|_rdd| Err("no such table"), on_error = OnError::dead_letters(dead));
        nums.foreach_rdd(|_rdd| Err("no such table"), on_error = OnError::dead_letters(worse));
    })?;
    let error = failed(ssc.run_batches(1));
    assert!(error.contains("no such table; and the dead letters failed: no commit"), "{error}");
    assert!(calls.calls().contains(&"abort".to_owned()));
    let folders: Vec<_> = std::fs::read_dir(folder.path()).into_iter().flatten().flatten().collect();
    let [dead] = folders.as_slice() else { panic!("{folders:?}") };
    assert_eq!(Rdd::text_file(dead.path())?.collect(), ["1", "2", "3"]);
    Ok(())
}

/// What an operator above the output could not make is not there to be skipped.
#[test]
fn a_failure_above_the_output_is_not_skipped() {
    let ssc = dstream::stream!(batch = 1s, {
        let nums = queue_stream(vec![vec![1u64, 0]]).map(|n| 6 / n);
        nums.foreach_rdd(|_rdd| {}, on_error = OnError::Skip);
    })
    .unwrap();
    assert!(failed(ssc.run_batches(1)).contains("`map`"));
}
